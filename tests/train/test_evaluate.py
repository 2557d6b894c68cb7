"What `camredact eval` does with folders that are not as they should be, and how often it asks the model."
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camredact.app.cli import main as camredact
from camredact.core.categories import CODES, PEOPLE, PRESETS
from camredact.core.redact import DIALS, hide_weights
from camredact.core.segment import score_picture
from camredact.train.data import find_frames, find_shared, shrink
from camredact.train.evaluate import Answer, evaluate, judge, sweep
from camredact.train.labels import CODES11

SHARED = find_shared(Path(__file__).parents[1])


class Fixed:
    "Says the same of every picture, but for where it is; notes what it was asked."
    name, budget = "fixed", 64*96

    def __init__(self) -> None:
        self.asked: list[str] = []

    def probs(self, rgb: np.ndarray) -> np.ndarray:
        self.asked.append("probs")
        return self._maps(*rgb.shape[:2])

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append("score")
        p = self._maps(*rgb.shape[:2])
        return np.tensordot(weights, p, 1), p.max(0)

    def _maps(self, h: int, w: int) -> np.ndarray:
        "float32[32,h,w]: the same noise for the same size."
        p = np.random.default_rng(0).random((32, h, w)).astype(np.float32)**8
        return p/p.sum(0)


def camvid(folder: Path, names: tuple = ("A_1", "A_2"), size: tuple = (96, 64), labels: tuple | None = None) -> Path:
    "A folder as CamVid's, with people on the left of a road; sizes are width and height."
    for kind in ("images", "labels"): (folder/kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(folder/"images"/f"{name}.png")
        w, h = labels or size
        codes = np.full((h, w), CODES.index("Road"), np.uint8)
        codes[:, :w//3] = CODES.index("Pedestrian")
        Image.fromarray(codes).save(folder/"labels"/f"{name}_P.png")
    return folder


def plain(folder: Path, size: tuple = (96, 64), labels: tuple = (96, 64)) -> Path:
    "A plain folder of one picture with one person."
    for kind in ("images", "labels"): (folder/kind).mkdir(parents=True)
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(folder/"images"/"a.png")
    Image.fromarray(np.eye(labels[1], labels[0], dtype=np.uint8)).save(folder/"labels"/"a.png")
    (folder/"classes.txt").write_text("0 background\n1 person\n")
    return folder


def main(argv: list[str]) -> int:
    "`camredact eval` with these arguments."
    return camredact(["eval", *argv])


def refused(capsys: pytest.CaptureFixture, words: str, *argv: object) -> None:
    "The command says one line, with these words, and 2."
    assert main([*map(str, argv)]) == 2
    said = capsys.readouterr().err
    assert len([line for line in said.splitlines() if line.startswith("camredact:")]) == 1 and words in said, said
    assert "Traceback" not in said


@pytest.mark.parametrize("labels", [(64, 96), (98, 64), (48, 30)])
def test_labels_of_another_aspect_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture, labels: tuple) -> None:
    data = camvid(tmp_path/"c", labels=labels)
    refused(capsys, f"has {labels[0]}x{labels[1]} pixels, its picture 96x64", "--data", data)


@pytest.mark.parametrize("labels", [(48, 32), (192, 128), (96, 64)])
def test_labels_of_the_same_aspect_are_taken(tmp_path: Path, labels: tuple) -> None:
    assert evaluate(Fixed(), camvid(tmp_path/"c", labels=labels))["frames"] == 2


def test_plain_labels_are_of_their_pictures_size(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    refused(capsys, "has 48x32 pixels", "--data", plain(tmp_path/"p", labels=(48, 32)))
    assert evaluate(Fixed(), plain(tmp_path/"q"))["people"]["cautious"]["frames"] == 1


def test_absent_classes_warn_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(Fixed(), camvid(tmp_path/"c"))
    assert found["iou32"]["Tunnel"] is None and found["interval32"]["recall"]["Tunnel"] == [None, None]


def test_a_frame_named_twice_counts_once(tmp_path: Path) -> None:
    data = camvid(tmp_path/"c")
    (tmp_path/"split.txt").write_text("A_1\nimages/A_1.png\nA_2 A_2\nA_1\n")
    assert [f.name for f in find_frames(data, tmp_path/"split.txt")] == ["A_1", "A_2"]


def test_what_cannot_be_written_or_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = camvid(tmp_path/"c")
    (tmp_path/"file").write_text("")
    (tmp_path/"bad.pth").write_bytes(b"PK\3\4 not a learner")
    (tmp_path/"bad.onnx").write_bytes(b"no model")
    refused(capsys, "", "--data", data, "--out", tmp_path/"file"/"below")
    for name in ("bad.pth", "bad.onnx"): refused(capsys, name, "--data", data, "--model", tmp_path/name)


def test_out_is_there_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = camvid(tmp_path/"c")
    assert main(["--data", str(data), "--out", str(tmp_path/"new"/"out")]) == 0
    assert sorted(p.name for p in (tmp_path/"new"/"out").iterdir()) == ["labels", "mattes", "scores.json"]
    assert json.loads((tmp_path/"new"/"out"/"scores.json").read_text())["frames"] == 2
    (data/"images"/"A_2.png").write_bytes(b"broken")
    refused(capsys, "A_2.png cannot be read", "--data", data, "--out", tmp_path/"half")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "new"], "a half-written answer was left"


def test_help_says_how_labels_are_resized(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit): main(["--help"])
    assert "nearest neighbour" in capsys.readouterr().out


def test_the_model_is_asked_once_a_frame(tmp_path: Path) -> None:
    "One forward pass gives every task at every dial, and a sweep of thresholds besides."
    net, frames = Fixed(), find_frames(camvid(tmp_path/"c"), None)
    judge(net, frames, dials={**DIALS, **sweep((.5, .1))})
    assert net.asked == ["probs"]*len(frames)


@pytest.mark.parametrize("hidden", [PRESETS["no people"], PEOPLE, frozenset({"Animal"}), PRESETS["no cars"],
    frozenset(CODES)])
@pytest.mark.parametrize("dial", DIALS)
def test_one_look_gives_the_scores_of_the_graph(hidden: frozenset, dial: str) -> None:
    net, rgb = Fixed(), np.zeros((64, 96, 3), np.uint8)
    weights = hide_weights(hidden, dial)
    np.testing.assert_allclose(Answer(net, rgb).score(weights), score_picture(net, rgb, weights)[0], rtol=1e-5)


def test_small_copies_are_judged_as_their_frames_are(tmp_path: Path) -> None:
    "Both kinds of labels of CamVid, whether read from their files or from copies that hold label ids."
    data = camvid(tmp_path/"c")
    (data/"labels11").mkdir()
    (data/"labels"/"A_2_P.png").unlink()
    Image.fromarray(np.full((64, 96), CODES11.index("road"), np.uint8)).save(data/"labels11"/"A_2.png")
    frames = find_frames(data)
    copies = shrink(frames, tmp_path/"small", side=96)
    a, b = (judge(Sure(), which) for which in (frames, copies))
    assert [f.dataset for f in copies] == ["camvid32", "camvid11"]
    for figure in ("miou11", "acc32", "people"): assert a[figure] == b[figure]


SLIM = """import sys
for name in "torch torchvision fastai fastcore fastprogress timm onnx matplotlib".split(): sys.modules[name] = None
from camredact.app.cli import main
sys.exit(main(sys.argv[1:]))"""


def test_an_onnx_file_is_judged_without_torch(tmp_path: Path) -> None:
    "A fresh process in which nothing of the training packages can be imported; a .pth says what it needs."
    data = camvid(tmp_path/"c")
    slim = lambda *argv: subprocess.run([sys.executable, "-c", SLIM, "eval", "--data", str(data), *argv],
        capture_output=True, text=True, timeout=300)
    done = slim("--json", "--out", str(tmp_path/"out"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 2 and (tmp_path/"out"/"scores.json").is_file()
    (tmp_path/"mine.pth").write_bytes(b"PK")
    done = slim("--model", str(tmp_path/"mine.pth"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "pip install 'camredact[train]'" in done.stderr


@pytest.mark.skipif(SHARED is None, reason="the labelled frames are not here")
def test_camvid_frames_have_every_figure(tmp_path: Path) -> None:
    "One frame of each kind of labels, with the bundled model."
    (tmp_path/"split.txt").write_text("0001TP_006690\n0016E5_07959\n")
    found = evaluate_bundled(SHARED/"camvid", tmp_path/"split.txt")
    assert found["frames"] == 2 and found["interval11"]["clips"] == 2
    assert .3 < found["miou11"] < 1 and .7 < found["acc32"] < 1
    recalls = [found["people"][d]["recall"] for d in DIALS]
    assert recalls == sorted(recalls) and recalls[-1] > .8


def evaluate_bundled(data: Path, split: Path) -> dict:
    "The figures of `fast`."
    from camredact.core.models import load
    return evaluate(load("fast"), data, split)


class Sure(Fixed):
    "Says that all is road."
    def _maps(self, h: int, w: int) -> np.ndarray:
        p = np.zeros((len(CODES), h, w), np.float32)
        p[CODES.index("Road")] = 1
        return p


def test_the_json_has_what_was_promised(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    "The keys that others read."
    assert main(["--data", str(camvid(tmp_path/"c")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"frames", "miou11", "iou11", "acc32", "miou32_present", "iou32", "people", "predict_ms_p50"} <= set(found)
    assert len(found["iou11"]) == 11 and set(CODES) - {"Void"} <= set(found["iou32"])
    for dial in DIALS:
        people = found["people"][dial]
        assert {"recall", "over_cover", "missed"} <= set(people) and set(people["missed"]) == {"20", "40", "80"}


def test_eleven_classes_are_those_of_the_eleven_labels(tmp_path: Path) -> None:
    "Where a frame has both kinds and they disagree, each score is of its own kind."
    data = camvid(tmp_path/"c")
    without = evaluate(Sure(), data)
    (data/"labels11").mkdir()
    for name in ("A_1", "A_2"):
        Image.fromarray(np.full((64, 96), CODES11.index("sky"), np.uint8)).save(data/"labels11"/f"{name}.png")
    both = evaluate(Sure(), data)
    assert without["miou11"] > .3 and both["miou11"] == 0 and list(both["iou11"].values()).count(0) == 1
    assert both["acc32"] == without["acc32"] == pytest.approx(2/3, abs=1e-5)


def test_answers_have_the_size_of_the_frames(tmp_path: Path) -> None:
    "Label maps with the codes' numbers, and mattes, whatever size the labels have."
    data = camvid(tmp_path/"c", size=(160, 120), labels=(80, 60))
    assert main(["--data", str(data), "--out", str(tmp_path/"out")]) == 0
    for name in ("A_1", "A_2"):
        labels, cover = (Image.open(tmp_path/"out"/kind/f"{name}.png") for kind in ("labels", "mattes"))
        assert (labels.mode, labels.size) == ("P", (160, 120)) and np.array(labels).max() < len(CODES)
        assert (cover.mode, cover.size) == ("L", (160, 120)) and set(np.unique(np.array(cover))) <= {0, 255}
