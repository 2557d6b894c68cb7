"Measurements: small flat records, pages that show what they say, cards that are made from them."
import contextlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from camredact.core.categories import CODES
from camredact.core.redact import DIALS

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT/"nbs"/"experiments"
RESULTS = sorted((EXPERIMENTS/"results").glob("*.json"))
PAGES = sorted(EXPERIMENTS.glob("*.ipynb"))

each_result = pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    "The module that records, with an empty folder for results."
    monkeypatch.syspath_prepend(EXPERIMENTS)
    module = importlib.import_module("record")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


@each_result
def test_result_is_small_and_flat(path: Path, record: ModuleType) -> None:
    text, found = path.read_text(encoding="utf-8"), json.loads(path.read_text(encoding="utf-8"))
    assert len(text.encode()) <= record.LARGEST
    assert list(found) == ["how", "date", "commit", "machine", "weights", "rows"]
    for row in found["rows"]: assert {key: record.plain(value) for key, value in row.items()} == row
    assert text == record.text_of({key: value for key, value in found.items() if key != "rows"}, found["rows"]), "not one row a line"


def test_what_is_recorded_is_read(record: ModuleType, tmp_path: Path) -> None:
    import numpy as np
    (tmp_path/"net.onnx").write_bytes(b"weights")
    record.record("speed", [{"size": "small", "ms": np.float32(1.23456), "times": np.int64(3), "best": np.nan}], "by a test", [tmp_path/"net.onnx"])
    found = record.read("speed")
    assert found["rows"] == [{"size": "small", "ms": 1.235, "times": 3, "best": None}] and found["how"] == "by a test"
    assert found["weights"] == {f"{tmp_path.name}/net.onnx": record.sha12(tmp_path/"net.onnx")}
    assert record.find("speed", size="small")["ms"] == 1.235
    assert [r["size"] for r in record.kept("speed", [{"size": "large"}], "size")] == ["small", "large"]


def test_nested_and_large_results_are_refused(record: ModuleType) -> None:
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


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_page_shows_what_was_recorded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Every cell runs, and each table says today what it said when it was saved."
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.syspath_prepend(EXPERIMENTS)
    shown: list[str] = []
    space = {"Markdown": lambda text: shown.append(text)}
    with contextlib.chdir(path.parent):
        for cell in sources(path):
            shown.clear()
            exec(compile(cell["source"].replace("from IPython.display import Markdown", ""), path.name, "exec"), space)
            assert shown == saved(cell), f"a record has changed: run {path.name} again. The cell begins {cell['source'][:60]!r}"
    pyplot.close("all")


def test_every_result_is_shown() -> None:
    pages = "\n".join(cell["source"] for path in PAGES for cell in sources(path))
    assert [p.stem for p in RESULTS if f'"{p.stem}"' not in pages] == []


def test_cards_say_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    cards = importlib.import_module("cards")
    for name, text in cards.cards().items(): assert (cards.WEIGHTS/name).read_text(encoding="utf-8") == text, f"{name}: run make prep"


def test_dial_stands_where_it_was_measured() -> None:
    rows = json.loads((EXPERIMENTS/"results"/"dial.json").read_text(encoding="utf-8"))["rows"]
    margins = json.loads((EXPERIMENTS/"results"/"dial-promise.json").read_text(encoding="utf-8"))["rows"]
    for row in margins: assert DIALS[row["dial"]].margin == row["margin"]
    for name, dial in DIALS.items(): assert dict(zip(CODES, dial.tau)) == {row["category"]: row[name] for row in rows}


def test_accurate_costs_at_most_four_times_as_much() -> None:
    "Both at the largest size that they see, timed on one machine."
    folder = ROOT/"camredact"/"weights"
    fast, accurate = (json.loads((folder/f"{name}.json").read_text(encoding="utf-8"))["figures"]["predict_ms"] for name in ("fast", "accurate"))
    assert accurate <= 4*fast
