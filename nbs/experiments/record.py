"""Where measurements are kept: one small JSON file each, in `results`, with flat rows, one a line.

A file says how its rows came to be, on which day, after which commit, on what machine and by which weights. In files
from before this script existed, `commit` is the one that brought the figures, and null stands for what nobody noted.
"""
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from datetime import date
from math import isnan
from numbers import Integral, Real
from pathlib import Path

RESULTS = Path(__file__).parent/"results"
LARGEST = 10_000  # bytes of a file

Value = str | int | float | bool | None


def plain(
    value: object,  # of a row; numpy's numbers too
) -> Value:
    "The value for JSON: floats with four digits, NaN as null; raises TypeError where a row is not flat."
    if value is None or isinstance(value, (str, bool)): return value
    if isinstance(value, Integral): return int(value)
    if isinstance(value, Real): return None if isnan(value) else float(f"{value:.4g}")
    raise TypeError(f"a row holds plain values, not {type(value).__name__}: {value!r}")


def sha12(
    path: Path,  # of weights
) -> str:
    "The first twelve digits of a file's sha256."
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def commit() -> str | None:
    "The last commit; None where there is no git."
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or None


def machine() -> str:
    "The processor, how many cores of it, how busy it is, and Python's version."
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpu}, {cores} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def text_of(
    about: dict[str, object],    # everything but the rows
    rows: Iterable[dict[str, Value]],
) -> str:
    "The JSON of a result, one row a line."
    head = "".join(f' "{key}": {json.dumps(value, ensure_ascii=False)},\n' for key, value in about.items())
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    return f'{{\n{head} "rows": [\n{lines}\n ]\n}}\n'


def record(
    name: str,                    # of the measurement; its file is `results/<name>.json`
    rows: Iterable[dict],         # what was found: names and plain values
    how: str,                     # how: the command, and what a reader must know to judge the figures
    weights: Iterable[Path] = (), # the files that were measured
) -> Path:
    "Writes a measurement, in place of an older one; raises TypeError of nested rows and ValueError of more than 10 KB."
    files = {f"{p.parent.name}/{p.name}": sha12(p) for p in map(Path, weights)}
    about = {"how": how, "date": date.today().isoformat(), "commit": commit(), "machine": machine(), "weights": files}
    text = text_of(about, [{key: plain(value) for key, value in row.items()} for row in rows])
    if (size := len(text.encode())) > LARGEST: raise ValueError(f"{name}: {size} bytes, not {LARGEST}: fewer rows")
    path = RESULTS/f"{name}.json"
    path.write_text(text, encoding="utf-8")
    return path


def read(
    name: str,  # of the measurement
) -> dict:
    "What was recorded: `rows`, and `how`, `date`, `commit`, `machine` and `weights`."
    return json.loads((RESULTS/f"{name}.json").read_text(encoding="utf-8"))


def replaced(
    name: str,         # of the measurement
    rows: list[dict],  # that are new
    *keys: str,        # the columns that tell rows apart
) -> list[dict]:
    "All recorded rows, new ones in place of old ones; rows of another day say which. For what is measured in parts."
    known = read(name) if (RESULTS/f"{name}.json").exists() else {"rows": [], "date": None}
    day = {} if known["date"] == date.today().isoformat() else {"date": known["date"]}
    found = {tuple(row[key] for key in keys): {**day, **row} for row in known["rows"]}
    found |= {tuple(row[key] for key in keys): row for row in rows}
    return list(found.values())


def find(
    name: str,           # of the measurement
    **where: Value,      # columns and what they must hold
) -> dict:
    "The one row that holds these values; raises LookupError if there is none, or more than one."
    found = [row for row in read(name)["rows"] if all(row.get(key) == value for key, value in where.items())]
    if len(found) != 1: raise LookupError(f"{len(found)} rows of {name} have {where}")
    return found[0]


Column = str | Callable[[dict], object]  # its name, or how its cell is written


def percent(
    key: str,  # of a column
) -> Column:
    "A cell that says a share in percent."
    return lambda row: "" if row.get(key) is None else f"{row[key]:.1%}"


def ratio(
    part: str,   # column of how many
    whole: str,  # column of how many there are
) -> Column:
    "A cell that says `3 of 8`."
    return lambda row: f"{row[part]:,} of {row[whole]:,}"


def said(
    value: object,  # of a cell
) -> str:
    "A value in words: shares with three places, larger figures with three digits, null as nothing."
    if isinstance(value, bool) or not isinstance(value, (int, float)): return "" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 100: return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"


def table(
    rows: Iterable[dict],        # of a result
    columns: dict[str, Column],  # by their titles
) -> str:
    "A Markdown table."
    lines = [[said(row.get(c) if isinstance(c, str) else c(row)) for c in columns.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*columns], ["---"]*len(columns), *lines))


def about(
    name: str,  # of the measurement
) -> str:
    "How, when, where and by which weights a result was measured, in Markdown."
    found = read(name)
    weights = ", ".join(f"`{file}` ({sha or 'hash not noted'})" for file, sha in found["weights"].items())
    parts = [f"[{name}.json](results/{name}.json)", found["date"], f"commit {found['commit']}", found["machine"],
        weights]
    return f"<small>{', '.join(filter(None, parts))}. {found['how']}.</small>"


def report(
    name: str,                       # of the measurement
    columns: dict[str, Column],      # by their titles
    rows: list[dict] | None = None,  # which; None: all
) -> str:
    "The table of a result and how it was measured, in Markdown."
    return f"{table(read(name)['rows'] if rows is None else rows, columns)}\n\n{about(name)}"
