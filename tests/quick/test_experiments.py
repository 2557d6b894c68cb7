"Measurements: small flat records, pages that show what they say, cards that are made from them."
import contextlib
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import cards
import numpy as np
import pytest
import record
from kit.command import needs_weights

from camredact.core.categories import CODES
from camredact.core.models import card, models, price, prices
from camredact.core.redact import DIALS

ROOT = Path(__file__).parents[2]
NBS = ROOT/"nbs"
RESULTS = sorted(record.RESULTS.glob("*.json"))
PAGES = sorted((NBS/"experiments").glob("*.ipynb"))


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    "An empty folder for results."
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)
def test_result_is_small_and_flat(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = json.loads(text)
    assert len(text.encode()) <= record.LARGEST
    assert list(found) == ["how", "date", "commit", "machine", "weights", "rows"]
    for row in found["rows"]: assert {key: record.plain(value) for key, value in row.items()} == row
    about = {key: value for key, value in found.items() if key != "rows"}
    assert text == record.text_of(about, found["rows"]), "not one row a line"


def test_what_is_recorded_is_read(results: Path) -> None:
    (results/"net.onnx").write_bytes(b"weights")
    row = {"size": "small", "ms": np.float32(1.23456), "times": np.int64(3), "best": np.nan}
    record.record("speed", [row], "by a test", [results/"net.onnx"])
    found = record.read("speed")
    assert found["rows"] == [{"size": "small", "ms": 1.235, "times": 3, "best": None}] and found["how"] == "by a test"
    assert found["weights"] == {f"{results.name}/net.onnx": record.sha12(results/"net.onnx")}
    assert record.find("speed", size="small")["ms"] == 1.235


def test_rows_that_stay_keep_their_date(results: Path) -> None:
    record.record("speed", [{"size": "small", "ms": 1}, {"size": "large", "ms": 8}], "by a test")
    new = [{"size": "large", "ms": 9}]
    assert record.replaced("speed", new, "size") == [{"size": "small", "ms": 1}, *new]
    path = results/"speed.json"
    path.write_text(path.read_text().replace(record.read("speed")["date"], "2026-01-01"))
    assert record.replaced("speed", new, "size") == [{"date": "2026-01-01", "size": "small", "ms": 1}, *new]
    assert record.replaced("pace", new, "size") == new


def test_nested_and_large_results_are_refused(results: Path) -> None:
    with pytest.raises(TypeError, match="plain values"): record.record("bad", [{"curve": [1, 2]}], "by a test")
    with pytest.raises(ValueError, match="fewer rows"): record.record("bad", [{"word": "x"*90}]*120, "by a test")
    with pytest.raises(FileNotFoundError): record.read("bad")


def sources(path: Path) -> Iterator[dict]:
    "The code cells of a notebook, their source in one piece."
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code": yield {**cell, "source": "".join(cell["source"])}


def saved(cell: dict) -> list[str]:
    "The Markdown that a cell showed when it was saved."
    return ["".join(o["data"]["text/markdown"]) for o in cell["outputs"] if "text/markdown" in o.get("data", {})]


def shown(cell: dict, space: dict) -> list[str]:
    "The Markdown that a cell shows today; `space` keeps its names for the next."
    found: list[str] = []
    space["Markdown"] = found.append
    exec(compile(cell["source"].replace("from IPython.display import Markdown", ""), "cell", "exec"), space)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_page_shows_what_was_recorded(path: Path) -> None:
    "Every cell runs, and each table says today what it said when it was saved."
    pyplot, space = pytest.importorskip("matplotlib.pyplot"), {}
    pyplot.switch_backend("agg")
    with contextlib.chdir(path.parent):
        for cell in sources(path):
            drawn = any("image/png" in output.get("data", {}) for output in cell["outputs"])
            assert drawn == ("plt.subplots" in cell["source"]), f"run {path.name} again: a picture is missing"
            assert shown(cell, space) == saved(cell), f"run {path.name} again: {cell['source'][:60]!r} is stale"
    pyplot.close("all")


def test_every_result_is_shown() -> None:
    pages = "\n".join(cell["source"] for path in PAGES for cell in sources(path))
    assert [p.stem for p in RESULTS if f'"{p.stem}"' not in pages] == []


def test_readme_shows_what_was_recorded() -> None:
    cells = sources(NBS/"index.ipynb")
    tables = [cell for cell in cells if "Markdown(" in cell["source"] and "find(" in cell["source"]]
    assert tables
    for cell in tables: assert shown(cell,
        {"find": record.find}) == saved(cell), "run index.ipynb again, then make prep"


@needs_weights
def test_cards_say_what_was_measured() -> None:
    for name, text in cards.cards().items():
        assert (cards.WEIGHTS/name).read_text(encoding="utf-8") == text, f"{name}: run make prep"


@needs_weights
@pytest.mark.parametrize("name", models())
def test_menus_say_of_the_dial_what_was_measured(name: str) -> None:
    "By the weights that ship, in the kept towns, with the preset that a camera begins with."
    assert record.read("weights")["weights"]["weights/{}".format(card(name)["file"])] == card(name)["sha256"][:12]
    rows = [row for row in record.read("weights")["rows"] if row["model"] == name and row["hidden"] == "no people"]
    assert prices(name) == {row["dial"]: price(1 - row["recall"], row["over_cover"]) for row in rows}
    assert list(prices(name)) == list(DIALS)


def test_dial_stands_where_it_was_measured() -> None:
    for row in record.read("dial-promise")["rows"]:
        dial = DIALS[row["dial"]]
        assert (dial.margin, dial.peak) == (row["margin"], row["peak"])
    rows = record.read("dial")["rows"]
    for name, dial in DIALS.items(): assert dict(zip(CODES, dial.tau)) == {row["category"]: row[name] for row in rows}


@needs_weights
def test_swift_takes_half_the_time_of_fast_and_accurate_at_most_four_times() -> None:
    "Each at the largest size that it sees, timed on one machine."
    swift, fast, accurate = (card(name)["figures"]["predict_ms"] for name in ("swift", "fast", "accurate"))
    assert 2*swift <= fast*1.1 and accurate <= 4*fast


GOOD = {"stills": [{"server": "onnxruntime", "clients": 1, "whole_but_predict_ms": 9},
        {"server": "onnxruntime", "clients": 4, "per_s": 31, "all_but_predict_ms": 9}, {"server": "old", "clients": 4,
            "per_s": 10}],
    "start": [{"to_first_answer_s": 2.9}], "image": [{"lint": 0}],
    "hostile": [{"requests": 10, "reached_the_decoder": 5, "raw_pixels": 0, "crashes": 0, "5xx_but_503": 0}]}


@pytest.mark.parametrize("part, row, key, value", [("stills", 0, "whole_but_predict_ms", 11), ("stills", 1,
    "all_but_predict_ms", 11),
    ("stills", 1, "per_s", 29), ("stills", 2, "clients", 1), ("start", 0, "to_first_answer_s", 3.1), ("image", 0,
        "lint", 1),
    ("hostile", 0, "reached_the_decoder", 4), ("hostile", 0, "raw_pixels", 1), ("hostile", 0, "crashes", 1),
        ("hostile", 0, "5xx_but_503", 1)])
def test_service_says_which_bar_is_missed(part: str, row: int, key: str, value: float) -> None:
    service = pytest.importorskip("service")
    found = deepcopy(GOOD)
    assert not service.missed(found) and not service.missed({})
    found[part][row][key] = value
    assert len(service.missed(found)) == 1
