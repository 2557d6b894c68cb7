"Zones in photos and clips: covered in every style, counted where they fail, and part of what a second run asks."
from pathlib import Path

import numpy as np
import pytest
from kit.clips import write
from kit.fakes import Even
from PIL import Image

from camredact.app.cli import main
from camredact.core.still import box_matte
from camredact.core.zones import zone_matte
from camredact.media import clip as clip_module
from camredact.media import photo as photo_module
from camredact.media.clip import fitted, frame_zones, redact_clip
from camredact.media.hysteresis import MODES
from camredact.media.photo import redact_photo, redact_photos
from camredact.media.reader import ClipReader

ZONES = ("hide 0,0 0.25,1", "show 0,0 1,0.8")
GREEN = np.full((60, 80, 3), (20, 230, 20), np.uint8)


class Spot:
    "A model that finds one small thing in the middle."
    name, budget = "spot", 64*96

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score = np.zeros(rgb.shape[:2], np.float32)
        h, w = score.shape
        score[round(.5*h):round(.6*h), round(.5*w):round(.6*w)] = 9
        return score, np.ones_like(score)


def green(rgb: np.ndarray) -> np.ndarray: return (rgb[..., 1].astype(int) - rgb[..., 0] > 100)


@pytest.mark.parametrize("scrub", [False, True])
@pytest.mark.parametrize("style, suffix", [("checkerboard", ".png"), ("checkerboard", ".jpg"), ("solid", ".png"),
    ("box", ".png"), ("box", ".webp")])
def test_photos_hide_zones_in_every_style(tmp_path: Path, style: str, suffix: str, scrub: bool) -> None:
    Image.fromarray(GREEN).save(tmp_path/"in.png")
    out = redact_photo(tmp_path/"in.png", tmp_path/f"out{suffix}", segmenter=Spot(), style=style, scrub=scrub,
        mask=tmp_path/"mask.png", zones=ZONES, dial="precise")
    mask, shown = np.asarray(Image.open(tmp_path/"mask.png")), np.asarray(Image.open(out).convert("RGBA"))
    rim = 3 if scrub else 0  # what the movement may shift
    assert (mask[:, :20 - rim] == 255).all() and (mask[48 + rim:] == 255).all()
    assert not green(shown[:, :19 - rim]).any() and not green(shown[49 + rim:]).any()
    assert mask[5:20, 30:].max() == 0, "a box goes round what was found, and not round a zone"
    assert mask[33, 44] == 255, "what the model found is hidden as well"


@pytest.mark.parametrize("style", ["checkerboard", "solid", "box"])
@pytest.mark.parametrize("mode", MODES)
def test_clips_hide_zones_in_every_frame(tmp_path: Path, mode: str, style: str) -> None:
    source = write(tmp_path/"in.mkv", [GREEN]*4)
    redact_clip(source, tmp_path/"out.mp4", segmenter=Spot(), style=style, mode=mode, mask=tmp_path/"mask.mkv",
        zones=ZONES, progress=False, dial="precise")
    for frame, mask in zip(ClipReader(tmp_path/"out.mp4"), ClipReader(tmp_path/"mask.mkv"), strict=True):
        assert (mask.rgb[:, :20] == 255).all() and (mask.rgb[48:] == 255).all() and not mask.rgb[5:20, 30:].any()
        assert not green(frame.rgb[:, :18]).any() and not green(frame.rgb[50:]).any() and green(frame.rgb[8, 60:]).all()


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (30, 40), (97, 31)])
def test_zones_follow_a_frame_of_another_shape(shape: tuple[int, int]) -> None:
    "A telephone is turned while it films: the picture gets bars, and the zone stays on what it was drawn over."
    there = zone_matte(ZONES[:1], *shape)
    rgb = np.dstack([np.zeros_like(there), 255 - there, np.zeros_like(there)])  # green outside of the zone
    rgb[there == 255] = 255, 0, 0
    moved = fitted(rgb, (60, 80))
    assert (frame_zones(ZONES[:1], shape, (60, 80))[moved[..., 0] > 2] == 255).all()
    assert frame_zones((), shape, (60, 80)) is None


def broken(zones: tuple[str, ...], h: int, w: int) -> np.ndarray: raise MemoryError("no memory for zones")


def row(zones: tuple[str, ...], h: int, w: int) -> np.ndarray: return np.zeros((h, 1), np.uint8)


@pytest.mark.parametrize("how", [broken, row])
def test_clips_are_covered_where_zones_fail(tmp_path: Path, how: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "frame_zones", lambda zones, shape, size: how(zones, *size))
    source = write(tmp_path/"in.mkv", [GREEN]*4)
    done = redact_clip(source, tmp_path/"out.mp4", segmenter=Spot(), mask=tmp_path/"mask.mkv", zones=ZONES,
        progress=False)
    assert (done.frames, done.failed) == (4, 4)
    assert not any(green(frame.rgb).any() for frame in ClipReader(tmp_path/"out.mp4"))
    assert all((mask.rgb == 255).all() for mask in ClipReader(tmp_path/"mask.mkv"))


@pytest.mark.parametrize("how", [broken, row])
def test_photos_are_not_written_where_zones_fail(tmp_path: Path, how: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_module, "zone_matte", how)
    Image.fromarray(GREEN).save(tmp_path/"in.png")
    report = redact_photos([tmp_path/"in.png"], tmp_path/"out", segmenter=Spot(), zones=ZONES, progress=False)
    assert not report.written and len(report.failed) == 1 and not list((tmp_path/"out").rglob("*.png"))


def test_boxes_of_zones_would_be_the_whole_picture() -> None:
    assert box_matte(zone_matte(ZONES, 60, 80)).all(), "else the tests above could not tell"


@pytest.mark.parametrize("command, out", [("photo", "out.png"), ("clip", "out.mp4")])
def test_zones_that_make_no_sense_are_refused_in_one_line(tmp_path: Path, command: str, out: str,
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camredact.app.commands.load", lambda model: Even())
    Image.fromarray(GREEN).save(tmp_path/"in.png")
    source = tmp_path/"in.png" if command == "photo" else write(tmp_path/"in.mkv", [GREEN])
    for zone, says in (("hide 0,0 2,2", "not a point of the picture"), ("hide .1,.1 .5,.5 .9,.9", "lie on a line"),
        ("cover 0,0 1,1", "begins with hide or show")):
        assert main([command, str(source), "-o", str(tmp_path/out), "--zone", "show 0,0 1,1", "--zone", zone]) == 2
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1 and not (tmp_path/out).exists()
    assert main([command, str(source), "-o", str(tmp_path/out), "--zone", "hide 0,0 0.5,1"]) == 0
    assert "no people, hide 0,0 0.5,1" in capsys.readouterr().out
