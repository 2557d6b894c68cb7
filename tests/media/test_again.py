"A second run over the same files, what is passed over, and mattes as files. The commands run with the bundled model."
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camredact.app.cli import main
from camredact.media.clip import redact_clip
from camredact.media.finished import memory
from camredact.media.photo import redact_photo
from camredact.media.reader import ClipReader
from camredact.streets.street import draw_street
from kit.clips import write
from kit.command import needs_weights
from kit.fakes import Even, Faulty

pytestmark = needs_weights


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path/"state"))
    monkeypatch.setattr("camredact.app.cli.ends_tidily", nullcontext)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path/"in").mkdir()
    for n in (1, 2): Image.fromarray(draw_street(n, 96, 128).picture).save(tmp_path/"in"/f"{n}.png")
    return tmp_path/"in"


@pytest.mark.parametrize("more", [(), ("--rename",), ("--scrub",)])
def test_a_second_run_says_one_line_and_changes_nothing(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture,
        more: tuple[str, ...]) -> None:
    command = ["photo", str(photos), "-o", str(tmp_path/"out"), *more]
    assert main(command) == 0
    before = {p: (p.read_bytes(), p.stat().st_ino) for p in (tmp_path/"out").iterdir()}
    capsys.readouterr()
    assert main(command) == 0 and len(before) == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and "2 finished before" in out and not err
    assert {p: (p.read_bytes(), p.stat().st_ino) for p in (tmp_path/"out").iterdir()} == before
    names = [name.encode() for p in (*photos.iterdir(), *before) for name in (p.name, p.stem)]
    assert not [n for n in names if len(n) > 1 and n in memory().read_bytes()]


def test_what_changed_is_not_taken_for_finished(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["photo", str(photos), "-o", str(tmp_path/"out")]
    assert main(command) == 0
    for more in (("--hide", "no cars"), ("--style", "solid"), ("--dial", "precise"), ("--opaque",),
        ("--zone", "hide 0,0 1,0.5")):
        assert main([*command, *more]) == 1 and capsys.readouterr().err.count("exists already") == 2
    Image.fromarray(draw_street(3, 96, 128).picture).save(photos/"1.png")
    assert main(command) == 1
    assert "1 finished before" in (said := capsys.readouterr()).out and said.err.count("exists already") == 1
    (tmp_path/"out"/"2.redacted.png").write_bytes(b"changed by somebody")
    assert main(command) == 1 and "finished" not in capsys.readouterr().out
    for p in (tmp_path/"out").iterdir(): p.unlink()
    assert main(command) == 0 and len(list((tmp_path/"out").iterdir())) == 2


def test_results_of_other_weights_are_not_taken_for_finished(photos: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    "A bundled model keeps its name when its weights are renewed."
    command = ["photo", str(photos), "-o", str(tmp_path/"out")]
    assert main(command) == 0 == main(command)
    capsys.readouterr()
    monkeypatch.setattr("camredact.app.commands.card", lambda name: {"sha256": "other weights"})
    assert main(command) == 1 and capsys.readouterr().err.count("exists already") == 2


def test_clips_that_are_finished_are_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    "One that comes later under the same name gets a name of its own."
    grey = [np.full((48, 64, 3), 30*i, np.uint8) for i in range(3)]
    (tmp_path/"in"/"day").mkdir(parents=True)
    write(tmp_path/"in"/"a.mov", grey, "libx264", "yuv420p")
    write(tmp_path/"in"/"day"/"b.mp4", grey[::-1], "libx264", "yuv420p")
    for name in ("c.insv", "notes.txt", ".hidden.mp4"): (tmp_path/"in"/name).touch()
    command = ["clip", str(tmp_path/"in"), "-o", str(tmp_path/"out")]
    assert main(command) == 0
    assert "3 files were passed over (1 hidden, 1 .insv, 1 .txt)" in capsys.readouterr().err
    first = (tmp_path/"out"/"a.redacted.mp4").read_bytes()
    assert main(command) == 0 and "2 of 2 clips were finished before" in capsys.readouterr().out
    write(tmp_path/"in"/"a.avi", [255 - g for g in grey], "mjpeg", "yuvj420p")
    assert main(command) == 0 and "2 of 3 clips" in capsys.readouterr().out
    names = sorted(p.relative_to(tmp_path/"out").as_posix() for p in (tmp_path/"out").rglob("*.mp4"))
    assert names == ["a.redacted-2.mp4", "a.redacted.mp4", "day/b.redacted.mp4"]
    assert (tmp_path/"out"/"a.redacted.mp4").read_bytes() == first
    one = ["clip", str(tmp_path/"in"/"a.mov"), "-o", str(tmp_path/"one.mp4")]
    assert main(one) == 0 == main(one) and "1 of 1 clips were finished" in capsys.readouterr().out


def test_all_that_is_passed_over_is_counted(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (photos/".thumbnails").mkdir()
    for name in ("1.redacted.png", ".hidden.jpg", ".thumbnails/c.jpg", "e.dng", "README"): (photos/name).touch()
    assert main(["photo", str(photos), "-o", str(photos/"out")]) == 0
    assert "5 files were passed over (2 hidden, 1 redacted before, 1 without suffix, 1 .dng)" in capsys.readouterr().err


def test_long_names_and_names_with_a_dash_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("写"*82 + ".png", "-a.png", "--help.png"): Image.new("RGB", (64, 48)).save(name)
    assert main(["photo", "-o", "out", "--", "写"*82 + ".png", "-a.png", "--help.png"]) == 0
    assert sorted(p.name[:3] for p in (tmp_path/"out").iterdir()) == ["--h", "-a.", "写写写"]


# ---- mattes

def test_a_mask_says_what_is_covered(tmp_path: Path) -> None:
    Image.fromarray(draw_street(3, 96, 128).picture).save(tmp_path/"in.png")
    for style, scrub in (("checkerboard", False), ("box", False), ("checkerboard", True)):
        redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Even(), style=style, scrub=scrub,
            mask=tmp_path/"mask.png", overwrite=True)
        mask, out = (np.asarray(Image.open(tmp_path/name)) for name in ("mask.png", "out.png"))
        assert mask.shape == (96, 128) and set(np.unique(mask)) == {0, 255}
        if style == "checkerboard": assert np.array_equal(mask, 255 - out[..., 3])
        else: assert (out[mask == 255] == out[0, 0]).all()


def test_masks_of_a_folder_lie_as_its_results(photos: Path, tmp_path: Path) -> None:
    (photos/"day").mkdir()
    (photos/"1.png").rename(photos/"day"/"1.png")
    assert main(["photo", str(photos), "-o", str(tmp_path/"out"), "--mask", str(tmp_path/"masks")]) == 0
    assert sorted(p.relative_to(tmp_path/"masks").as_posix() for p in (tmp_path/"masks").rglob("*.png")) == [
        "2.redacted.png", "day/1.redacted.png"]


def test_the_matte_of_a_clip_is_a_lossless_grey_clip(tmp_path: Path) -> None:
    "A frame that the model fails at is covered, and its matte says so."
    grey = [np.full((47, 64, 3), 30*i, np.uint8) for i in range(6)]
    done = redact_clip(write(tmp_path/"in.mkv", grey), tmp_path/"out.mp4", dial="precise", mode="none", progress=False,
        segmenter=Faulty({3: RuntimeError()}), mask=tmp_path/"mask.mkv")
    mattes = [f.rgb for f in ClipReader(tmp_path/"mask.mkv")]
    assert (done.failed, len(mattes)) == (1, 6) and {m.shape for m in mattes} == {(48, 64, 3)}
    assert [m.min() for m in mattes] == [0, 0, 0, 255, 0, 0]
    assert all((m[:20] == 255).all() and (m[-20:] == 0).all() for n, m in enumerate(mattes) if n != 3)
