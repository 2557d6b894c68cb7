"`camredact train`: its options are a recipe's, its result is a model for the camera, and wrong input is one line."
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastai")

from camredact.app.cli import main
from camredact.app.commands import check_model
from camredact.streets.street import draw_street
from camredact.train import recipes
from camredact.train.data import LabelledFrame, write_camvid

TINY = ["--epochs", "1", "--size", "64", "96", "--side", "160", "--batch", "2", "--max-batches", "1", "--from-scratch"]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "Eight drawn streets of several drives."
    return write_camvid(tmp_path_factory.mktemp("train")/"streets", (draw_street(i, 120, 160) for i in range(8)))


def train(data: Path, out: Path, *argv: object) -> int:
    "The command on `data` and no extra data sets."
    return main(["train", "--data", str(data), "--people", str(data/"none"), "--out", str(out), *map(str, argv)])


def test_a_training_is_saved_judged_and_taken_by_the_camera(streets: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture) -> None:
    "Where nobody watches there are no bars."
    assert train(streets, tmp_path/"run", "--holdout", "0006R0", *TINY) == 0
    said, warned = capsys.readouterr()
    assert "left-out drive, " in said and f"camredact live --model {tmp_path/'run'/'fast.pth'}" in said
    assert len(said.splitlines()) < 10 and "\r" not in said + warned and "%|" not in warned
    assert sorted(p.name for p in (tmp_path/"run").glob("*.*")) == ["fast.pth", "scores.json"]
    found = json.loads((tmp_path/"run"/"scores.json").read_text())["street"]
    assert found["frames"] > 0 and found["people_alone"]["cautious"]["recall"] is not None
    assert check_model(str(tmp_path/"run"/"fast.pth")) == str(tmp_path/"run"/"fast.pth")


class Asked(Exception):
    "Carries what `run` was asked for."


def asked(monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple:
    "The recipe and the rest that the command line asks for; nothing is trained."
    def run(*args: object) -> tuple[Path, list[LabelledFrame]]: raise Asked(args)
    monkeypatch.setattr(recipes, "run", run)
    with pytest.raises(Asked) as e: main(["train", *argv])
    return e.value.args[0]


def test_without_options_it_is_the_measured_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    "Its figures stand in the cards: twelve epochs on copies of 960 pixels, people weighing thirty."
    recipe, *rest = asked(monkeypatch, "--out", str(tmp_path))
    assert recipe == recipes.RECIPES["fast"] == recipes.Recipe()
    assert (recipe.epochs, recipe.side, recipe.zoom, recipe.size) == (12, 960, (.8, 3.), (288, 384))
    assert recipe.people_weight == 30
    assert (recipe.batch, recipe.lr, recipe.seed, recipe.jitter, recipe.widths) == (9, 2e-3, 42, .45, (96, 64, 48))
    assert recipe.shares["camvid"] == .6
    assert rest == [tmp_path, None, None, None, None, False, 0, None]


def test_every_option_reaches_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = dict(arch="accurate", epochs=3, size=[64, 96], side=320, zoom=[.5, 2.], widths=[64, 48, 32], batch=4,
        lr=.1, seed=1, jitter=.2)
    argv = []
    for k, v in options.items(): argv += [f"--{'light' if k == 'jitter' else k}", *map(str, np.atleast_1d(v))]
    argv += "--weight 2 --street .75 --holdout 0006R0 --workers 3 --resume --max-batches 5 --start a.pth".split()
    recipe, out, holdout, data, people, start, go_on, workers, most = asked(monkeypatch, "--out", str(tmp_path), *argv)
    base = replace(recipes.RECIPES["accurate"], **options, people_weight=2.).with_street(.75)
    assert recipe == base and recipe.shares["camvid"] == .75
    assert (out, holdout, data, people, start) == (tmp_path, "0006R0", None, None, Path("a.pth"))
    assert (go_on, workers, most) == (True, 3, 5)
    for flag, pretrained in (("--from-scratch", False), ("--pretrained", True)):
        assert asked(monkeypatch, "--out", str(tmp_path), flag)[0].pretrained is pretrained


@pytest.mark.parametrize(("argv", "words"), [
    (["--holdout", "0099XX"], "unknown drive"), (["--epochs", "many"], "see camredact train --help"),
    (["--arch", "resnet1800"], "did you mean resnet18"), (["--start", "none.pth"], "none.pth"),
    (["--pretrained", "--from-scratch"], "not allowed with"), (["--data", "nowhere"], "give --data FOLDER")])
def test_wrong_input_is_one_line(streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture, argv: list,
    words: str) -> None:
    assert train(streets, tmp_path/"run", *TINY[:-1], *argv) == 2
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("camredact:")]
    assert len(lines) == 1 and words in lines[0] and "Traceback" not in said, said


def test_a_checkpoint_of_somebody_else_runs_nothing(streets: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture) -> None:
    "A training that is gone on with reads tensors and plain values only."
    import torch

    class Bad:
        def __reduce__(self): return (Path.touch, (tmp_path/"ran",))
    (tmp_path/"run").mkdir()
    torch.save({"model": Bad(), "opt": {}, "epoch": 1}, tmp_path/"run"/"last.ckpt")
    assert train(streets, tmp_path/"run", "--resume", *TINY) == 2
    assert "last.ckpt is not a checkpoint" in capsys.readouterr().err
    assert not (tmp_path/"ran").exists(), "it ran"
