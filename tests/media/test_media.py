"Photos and clips that are to be published: what is left behind, and what happens when anything goes wrong."
import gc
import os
import socket
import struct
import subprocess
import sys
import weakref
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from camredact import core, media
from camredact.core.categories import CODES
from camredact.core.files import BadOutput
from camredact.core.still import box_matte, grids, still_matte
from camredact.media.clip import ClipReport, redact_clip
from camredact.media.hysteresis import Hysteresis, MODES
from camredact.media.photo import redact_photo, redact_photos
from camredact.media.container import TICKS, BadClip, said_length
from camredact.media.reader import ClipReader
from camredact.core.redact import DIALS, checkerboard
from camredact.core.models import models
from camredact.core.picture import BadPicture
from camredact.streets.street import draw_clip, draw_street
from kit.fakes import BASE, STRIPES, Even, Faulty, Stripes
from kit.clips import write
from kit.hostile import made, noise, spoil
from kit.numbered import stamp

SECRET = b"SeCrEt"
PERSON = CODES.index("Pedestrian")
settings.register_profile("media", deadline=None, max_examples=40)
settings.load_profile("media")
clip = partial(redact_clip, dial="precise", progress=False)


class Red:
    "Red is Pedestrian; everything else is Road."
    name, budget = "red", 64*96

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        red = (rgb[..., 0].astype(int) - rgb[..., 1:].max(2) > 60).astype(np.float32)
        return red*weights[PERSON], np.ones_like(red)


FAULTS = [RuntimeError("a wire came off"), MemoryError(), "nan", "size", "nothing", "axes"]


def picture(h: int = 96, w: int = 128, seed: int = 0) -> np.ndarray:
    "A smooth bright pattern with a red square."
    rng = np.random.default_rng(seed)
    rgb = cv2.resize(rng.integers(60, 200, (4, 5, 3), dtype=np.uint8), (w, h))
    rgb[h//4:h//2, w//4:w//2] = 230, 10, 10
    return rgb


def saved(im: np.ndarray | Image.Image, format: str = "PNG", **more: object) -> bytes:
    "A picture as a file."
    out = BytesIO()
    (im if isinstance(im, Image.Image) else Image.fromarray(im)).save(out, format, **more)
    return out.getvalue()


def is_covered(rgb: np.ndarray, most: float = 12.) -> bool:
    "Whether a picture is the checkerboard, as far as a codec leaves it one."
    return float(np.abs(rgb.astype(int) - checkerboard(*rgb.shape[:2])).mean()) < most


def upper(rgb: np.ndarray) -> np.ndarray: return rgb[:rgb.shape[0]//2 - 3]


# ---- photos: what is left behind

def parts_of(data: bytes) -> set[str]:
    "The names of all parts of a JPEG, PNG or WebP; fails on bytes between or after them."
    if data.startswith(b"\x89PNG"):
        at, names = 8, []
        while at < len(data):
            n, name = struct.unpack(">I4s", data[at:at + 8])
            names.append(name.decode())
            at += 12 + n
        assert names[-1] == "IEND" and at == len(data)
        return set(names)
    if data.startswith(b"RIFF"):
        assert struct.unpack("<I", data[4:8])[0] + 8 == len(data)
        at, names = 12, []
        while at < len(data):
            name, n = struct.unpack("<4sI", data[at:at + 8])
            names.append(name.decode())
            at += 8 + n + n % 2
        assert at == len(data)
        return set(names)
    at, names = 2, []
    while data[at + 1] != 0xda:
        names.append(f"{data[at + 1]:02x}")
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    assert data.index(b"\xff\xd9", at) == len(data) - 2
    return set(names)


ALLOWED = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND", "VP8 ", "VP8L", "e0", "db", "c0", "c4", "dd"}  # e0 is JFIF's size


def telling(format: str) -> bytes:
    "A picture with everything in it that should not come out."
    exif = Image.Exif()
    exif[0x0112], exif[0x010f], exif[0x013b] = 1, SECRET.decode(), SECRET.decode()
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (52., 12., 30.)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + SECRET
    more = {"exif": exif, "icc_profile": profile, "xmp": b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"}
    if format == "JPEG": more |= {"comment": SECRET}
    if format == "PNG":
        from PIL.PngImagePlugin import PngInfo
        more |= {"pnginfo": (info := PngInfo())}
        info.add_text("Author", SECRET.decode())
        info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    if format == "WEBP": more |= {"lossless": True}
    data = saved(picture(), format, **more)
    if format == "JPEG":  # IPTC, and a thumbnail
        iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0" + struct.pack(">H", len(SECRET)) + SECRET
        data = data[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + data[2:]
    return data + SECRET + saved(picture(), "JPEG")  # and a picture after its end


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("suffix, opaque", [(".png", False), (".png", True), (".jpg", False), (".webp", False)])
def test_nothing_but_pixels_comes_out(tmp_path: Path, format: str, suffix: str, opaque: bool) -> None:
    source, out = tmp_path/"in.jpg", tmp_path/f"out{suffix}"
    source.write_bytes(telling(format))
    assert SECRET in source.read_bytes()
    redact_photo(source, out, segmenter=Red(), opaque=opaque)
    data = out.read_bytes()
    assert SECRET not in data and b"Exif" not in data and b"http" not in data
    assert parts_of(data) <= ALLOWED
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jpg", out.name]


@pytest.mark.parametrize("note", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_photos_come_out_upright(tmp_path: Path, note: int, format: str) -> None:
    "A picture stored in each of the eight ways that there are comes out as the one that it is."
    upright, exif = Image.fromarray(picture()), Image.Exif()
    ways = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's numbers for the way back
    exif[0x0112] = note
    stored = upright.transpose(ways[note]) if note > 1 else upright
    (tmp_path/"in").write_bytes(saved(stored, format, exif=exif, **({"quality": 95} if format != "PNG" else {})))
    redact_photo(tmp_path/"in", tmp_path/"out.png", ["Sky"], segmenter=Red())
    out = np.asarray(Image.open(tmp_path/"out.png"))[..., :3]
    assert out.shape == (96, 128, 3) and np.abs(out.astype(int) - picture()).mean() < 6


@pytest.mark.parametrize("suffix, opaque", [(".png", False), (".png", True), (".jpg", False), (".webp", False)])
@pytest.mark.parametrize("style", media.clip.STYLES)
def test_files_do_not_depend_on_what_is_covered(tmp_path: Path, suffix: str, opaque: bool, style: str) -> None:
    "Two photos that differ under the cover become the same bytes."
    for n in range(2):
        rgb = picture()
        rgb[:48] = noise(np.random.default_rng(n), (48, 128, 3))
        (tmp_path/"in.png").write_bytes(saved(rgb))
        redact_photo(tmp_path/"in.png", tmp_path/f"out{n}{suffix}", segmenter=Even(), style=style, opaque=opaque)
    assert (tmp_path/f"out0{suffix}").read_bytes() == (tmp_path/f"out1{suffix}").read_bytes()


@pytest.mark.parametrize("style", ["solid", "box"])
def test_a_style_is_seen_in_a_png(tmp_path: Path, style: str) -> None:
    "Who asks for grey gets grey, and no holes."
    (tmp_path/"in.png").write_bytes(saved(picture()))
    redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Red(), dial="precise", style=style)
    out = Image.open(tmp_path/"out.png")
    hidden = np.asarray(out)[26:46, 34:62]
    assert out.mode == "RGB" and (hidden == hidden[0, 0]).all()


def test_transparent_pixels_have_no_colour(tmp_path: Path) -> None:
    (tmp_path/"in.png").write_bytes(saved(picture()))
    redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Red(), dial="precise")
    out = np.asarray(Image.open(tmp_path/"out.png"))
    assert set(np.unique(out[..., 3])) == {0, 255} and not out[out[..., 3] == 0].any()
    assert not out[24:48, 32:64, 3].any() and out[60:, :, 3].all()


def test_colours_are_srgb_and_what_is_clear_stays_unseen(tmp_path: Path) -> None:
    "A profile with red and blue exchanged turns one into the other; where it cannot be used, colours stay."
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    blue = np.full((40, 40, 3), (20, 20, 220), np.uint8)
    for given_, meant in ((swapped, (220, 20, 20)), (profile, (20, 20, 220)), (b"nonsense", (20, 20, 220)),
        (profile[:200], (20, 20, 220))):
        assert np.abs(core.picture.read_still(saved(blue, icc_profile=given_)).astype(int) - meant).max() < 14
    (tmp_path/"in.png").write_bytes(saved(blue, icc_profile=swapped))
    redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Red())  # red only once the profile is applied
    assert not np.asarray(Image.open(tmp_path/"out.png")).any()
    for mode in ("RGBA", "LA", "P", "PA"):
        clear = Image.fromarray(np.dstack([blue, np.zeros((40, 40), np.uint8)])).convert(mode)
        more = {"transparency": 0} if mode == "P" else {}
        if mode == "P": clear = Image.new("P", (40, 40), 0)
        try: data = saved(clear, icc_profile=swapped, **more)
        except OSError: continue  # PNG has no PA
        assert (core.picture.read_still(data) == 255).all(), mode
    seen = saved(Image.new("RGB", (9, 9), (7, 8, 9)), transparency=(7, 8, 9), icc_profile=swapped)
    assert (core.picture.read_still(seen) == 255).all()


# ---- photos: sizes

@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(64*64, 640*480),
    st.sampled_from([1., 1.5, 2., float("inf")]))
def test_looks_cover_all_and_become_fine_enough(h: int, w: int, budget: int, detail: float) -> None:
    (whole, *more), *_, finest = [*(found := grids(h, w, budget, detail)), found[-1]]
    assert (whole, more) == ((slice(0, h), slice(0, w)), [])
    seen = np.zeros((h, w), bool)
    for y, x in finest:
        assert 0 <= y.start < y.stop <= h and 0 <= x.start < x.stop <= w
        assert (y.stop - y.start)*(x.stop - x.start) <= detail**2*budget
        seen[y, x] = True
    assert seen.all()

class Certain:
    "A model that is as sure as it can be of one category, everywhere."
    name, budget = "certain", 64*96

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(rgb.shape[:2], weights.max(), np.float32), np.ones(rgb.shape[:2], np.float32)


@pytest.mark.parametrize("dial", DIALS)
@pytest.mark.parametrize("size", [(90, 120), (1500, 1120)])
def test_what_is_certain_is_covered_at_every_position_however_large_the_photo(size: tuple[int, int], dial: str) -> None:
    "The score of what is certain is 1/threshold: no peak, and no agreement of several looks, may ask for more."
    rarest = max(CODES, key=lambda c: DIALS[dial].tau[CODES.index(c)])
    detector = core.still.make_detector({rarest}, dial, Certain())
    assert still_matte(np.zeros((*size, 3), np.uint8), detector).all()


def test_somebody_small_in_a_large_photo_is_found(tmp_path: Path) -> None:
    "A few pixels of twelve million: one look does not see them, the looks together do."
    rgb = np.full((3000, 4000, 3), 128, np.uint8)
    spots = [(1500, 2000), (2, 3), (3, 3990), (2990, 1), (2990, 3990), (749, 1001), (1499, 999)]
    for y, x in spots: rgb[y:y + 3, x:x + 2] = 230, 10, 10
    eye = core.still.make_detector(segmenter=Red(), dial="precise")
    one, every = still_matte(rgb, eye, float("inf")), still_matte(rgb, eye)
    assert not one.any() and (every >= one).all()
    for y, x in spots: assert every[y:y + 3, x:x + 2].all(), (y, x)
    assert every.mean()/255 < .001


@pytest.mark.parametrize("rows", [256, 480, 384], ids=["first", "middle", "finest"])
def test_what_any_look_is_unsure_of_is_covered(rows: int) -> None:
    "Looks of so many rows are sure of nothing, all others of everything."
    class Unsure(Red):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            score, sure = super().score(rgb, weights)
            return score, sure*(len(rgb) != rows)
    for bar, covers in ((.5, True), (0., False)):
        eye = core.still.make_detector(segmenter=Unsure(), dial="precise", bar=bar)
        assert (still_matte(np.full((960, 1280, 3), 128, np.uint8), eye) == 255*covers).all(), bar


def test_every_look_counts_and_a_failing_one_stops_it(tmp_path: Path) -> None:
    (tmp_path/"in.png").write_bytes(saved(np.zeros((900, 1200, 3), np.uint8)))
    n = 1 + sum(map(len, grids(900, 1200)))
    assert n > 5
    assert n >= len(FAULTS)
    for call in range(n):
        with pytest.raises(Exception):  # noqa: B017
            redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Faulty({call: FAULTS[call % len(FAULTS)]}))
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


# ---- photos: names

def test_a_source_is_never_written_over(tmp_path: Path) -> None:
    source = tmp_path/"in.png"
    source.write_bytes(saved(picture()))
    before = source.read_bytes()
    os.link(source, tmp_path/"hard.png")
    (tmp_path/"soft.png").symlink_to(source)
    for out in (source, tmp_path/"hard.png", tmp_path/"soft.png", tmp_path/"x"/".."/"in.png"):
        (tmp_path/"x").mkdir(exist_ok=True)
        with pytest.raises(BadOutput, match="is the source"): redact_photo(source, out, segmenter=Red(), overwrite=True)
    (tmp_path/"other.png").write_bytes(b"of somebody else")
    with pytest.raises(BadOutput, match="exists already"): redact_photo(source, tmp_path/"other.png", segmenter=Red())
    assert source.read_bytes() == before and (tmp_path/"other.png").read_bytes() == b"of somebody else"
    redact_photo(source, tmp_path/"other.png", segmenter=Red(), overwrite=True)
    assert parts_of((tmp_path/"other.png").read_bytes()) <= ALLOWED


def test_results_that_are_sources_of_the_same_run(tmp_path: Path) -> None:
    "The result of one would be another's source: refused, with overwrite as well."
    for name in ("a.png", "b.png"): (tmp_path/name).write_bytes(saved(picture()))
    (tmp_path/"photo-0001.png").write_bytes(saved(picture(seed=3)))
    before = (tmp_path/"photo-0001.png").read_bytes()
    done = redact_photos([tmp_path/n for n in ("a.png", "b.png", "photo-0001.png")], tmp_path, segmenter=Red(),
        rename=True, overwrite=True, progress=False)
    assert "is a source" in str(done) and (tmp_path/"photo-0001.png").read_bytes() == before
    assert len(done.written) == 2


def test_one_bad_photo_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path/"in"
    folder.mkdir()
    good = saved(picture(), "JPEG")
    bad = {"cut.jpg": good[:len(good)//2], "empty.jpg": b"", "text.jpg": b"hello",
        "lie.png": b"\x89PNG\r\n\x1a\n" + bytes(50), "heic.heic": b"\0\0\0\x18ftypheic" + bytes(99)}
    for name, data in {**bad, "a.jpg": good, "z.jpg": good}.items(): (folder/name).write_bytes(data)
    done = redact_photos([folder], tmp_path/"out", segmenter=Red(), progress=False)
    assert sorted(p.name for p in done.written) == ["a.redacted.png",
        "z.redacted.png"] == sorted(p.name for p in (tmp_path/"out").iterdir())
    assert {p.name for p in done.failed} == set(bad) and all(text and "\n" not in text for text in done.failed.values())
    with pytest.raises(BadOutput, match="name a folder"):
        redact_photos([folder], folder/"a.jpg", segmenter=Red(), progress=False)
    again = redact_photos([folder], tmp_path/"out", segmenter=Red(), progress=False)
    assert len(again.failed) == 7 and "exists already" in again.failed[folder/"a.jpg"]


def test_neutral_names_and_times(tmp_path: Path) -> None:
    for name in ("Jane at home.png", "b.png"): (tmp_path/name).write_bytes(saved(picture()))
    done = redact_photos([tmp_path], tmp_path/"out", segmenter=Red(), rename=True, progress=False)
    assert [p.name for p in done.written] == ["photo-0001.png", "photo-0002.png"]
    assert {p.stat().st_mtime for p in done.written} == {media.photo.NEUTRAL}


@pytest.mark.parametrize("seed", range(60))
def test_hostile_photos_are_cleaned_or_refused(tmp_path: Path, seed: int) -> None:
    "What the decoder of stills is fuzzed with: a file whose upper half is covered, or one line and no file."
    name, data = made(seed)
    if name in ("bomb", "jpeg that claims more") and len(data) > 30_000:
        pytest.skip("as large as is just allowed: minutes of looking")
    (tmp_path/"in").write_bytes(data)
    try: redact_photo(tmp_path/"in", tmp_path/"out.png", segmenter=Even())
    except BadPicture as e: assert str(e) and "\n" not in str(e)
    else: assert not upper(np.asarray(Image.open(tmp_path/"out.png")))[..., 3].any()
    assert {p.name for p in tmp_path.iterdir()} <= {"in", "out.png"}


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path/"in.png").write_bytes(saved(picture()))
    def full(*_: object) -> None: raise OSError(28, "No space left on device")
    monkeypatch.setattr(media.clip.os, "replace", full)
    with pytest.raises(BadOutput, match="No space left"):
        redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=Red())
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


# ---- styles

@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_boxes_hide_at_least_the_matte_and_are_boxes(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    m = np.where(rng.random(shape) < rng.choice([0, .02, .2, 1]), np.uint8(255), np.uint8(0))
    boxes = box_matte(m)
    assert (boxes >= m).all() and set(np.unique(boxes)) <= {0, 255} and boxes.any() == m.any()
    around = np.zeros_like(m)
    for x, y, w, h, _ in cv2.connectedComponentsWithStats(m, connectivity=8)[2][1:]: around[y:y + h, x:x + w] = 255
    assert (box_matte(m, 0) == around).all()
    assert (box_matte(box_matte(m, 0), 0) >= box_matte(m, 0)).all()


# ---- the neighbours of a frame

def random_steps(seed: int, n: int, shape: tuple[int, int] = (32, 64)) -> list[tuple[np.ndarray | None,
    np.ndarray | None]]:
    "Pictures and mattes, some of them missing."
    rng = np.random.default_rng(seed)
    mattes = [np.where(rng.random(shape) < rng.choice([0, .02, .5]), np.uint8(255), np.uint8(0)) if rng.random() < .8
        else None for _ in range(n)]
    return [(noise(rng, (*shape, 3)) if rng.random() < .8 else None, m) for m in mattes]


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 3), st.sampled_from(MODES))
def test_neighbours_only_add(seed: int, n: int, reach: int, way: str) -> None:
    "Each frame comes out once, in order, hidden at least as it was; one without a matte comes out without one."
    steps, step, out = random_steps(seed, n), Hysteresis(way, reach), []
    for i, (rgb, m) in enumerate(steps):
        out += step.push(i, rgb, m)
        assert len(step.window) <= 2*reach + 1
    out += step.flush()
    assert [i for i, _ in out] == list(range(n))
    for (i, m), (_, own) in zip(out, steps):
        assert (m is None) == (own is None)
        if m is None: continue
        assert (m >= own).all() and set(np.unique(m)) <= {0, 255}
        if way == "none": assert np.array_equal(m, own)
        if way == "union":
            near = [k for _, k in steps[max(i - reach, 0):i + reach + 1] if k is not None]
            assert np.array_equal(m, np.maximum.reduce(near))


def walk(way: str, misses: set[int], speed: int = 10, n: int = 14, reach: int = 2,
    hint: set[int] | None = None) -> list[float]:
    "The share of a moving square that is covered in each frame; `hint` has the frames that suspect it, None: all."
    rng, step, out = np.random.default_rng(0), Hysteresis(way, reach), []
    ground, face = cv2.resize(noise(rng, (16, 20, 3)), (320, 256))//2, noise(rng, (40, 24, 3))//2 + 120
    for i in range(n):
        rgb, truth = ground.copy(), np.zeros((256, 320), np.uint8)
        at = np.s_[100:140, 20 + speed*i:44 + speed*i]
        rgb[at], truth[at] = face, 255
        out += step.push(truth, rgb, np.zeros_like(truth) if i in misses else truth,
            None if hint is None else truth*np.uint8(i in hint))
    return [float(m[truth > 0].mean()/255) for truth, m in [*out, *step.flush()]]


@pytest.mark.parametrize("misses", [{0}, {5}, {13}, {5, 6}])
def test_who_is_missed_for_a_moment_stays_covered(misses: set[int]) -> None:
    "Carried along the motion: covered. Without it: not at all."
    assert all(walk("none", misses)[i] == 0 for i in misses)
    for way in ("flow", "agree"): assert all(walk(way, misses)[i] > .8 for i in misses), walk(way, misses)
    assert any(walk("union", misses, speed=18)[i] < .6 for i in misses)  # as they were is not where they are
    assert all(walk("flow", misses, speed=18)[i] > .8 for i in misses), walk("flow", misses, speed=18)


def test_two_witnesses_or_one_and_a_suspicion() -> None:
    "A gap of one frame is closed without any suspicion; one of two frames only where there is one."
    assert walk("agree", {5}, reach=1, hint=set())[5] > .75
    assert max(walk("agree", {5, 6}, reach=1, hint=set())[5:7]) < .5
    assert min(walk("agree", {5, 6}, reach=1, hint={5, 6})[5:7]) > .8


def test_what_stays_suspected_stays_covered() -> None:
    "Certain in one frame, suspected in six more: covered in all seven, but for what motion loses at the rim."
    covered = walk("agree", {*range(14)} - {3}, reach=1, hint={*range(4, 10)}, speed=4)
    assert min(covered[3:10]) > .6 and max(covered[:3] + covered[10:]) < .1, covered


def test_what_is_not_suspected_does_not_last() -> None:
    "Certain in one frame and suspected in none: neighbours alone show it, and with no way further than they reach."
    assert not any(s for i, s in enumerate(walk("agree", {*range(14)} - {5}, reach=1, hint=set())) if i != 5)
    for reach in (1, 2):
        assert not any(s > .1 for i, s in enumerate(walk("flow", {*range(14)} - {5}, reach=reach))
            if abs(i - 5) > reach)


def test_a_frame_without_a_matte_does_not_end_the_trace() -> None:
    "The model fails in the middle: that frame has none, and those after it still know who was there."
    step, m = Hysteresis("agree", 1), np.zeros((32, 64), np.uint8)
    m[8:20, 10:30] = 255
    out = [done for k in (m, None, m*0, m*0, m*0) for done in step.push(0, None, k, m)] + step.flush()
    assert out[1][1] is None and all(np.array_equal(k, m) for i, (_, k) in enumerate(out) if i != 1)


def test_ways_that_do_not_exist_are_refused() -> None:
    for bad in ({"mode": "hope"}, {"reach": -1}):
        with pytest.raises(ValueError): Hysteresis(**bad)


# ---- clips: writing some to read

def moving(n: int = 12, h: int = 96, w: int = 128) -> list[np.ndarray]:
    return [np.roll(picture(h, w), 3*i, 1) for i in range(n)]


def read(path: Path) -> list[media.reader.DecodedFrame]:
    "All frames."
    reader = ClipReader(path)
    try: return list(reader)
    finally: reader.close()


def test_frames_that_were_read_do_not_wait_for_the_collector(tmp_path: Path) -> None:
    source = write(tmp_path/"long.mp4", [np.full((32, 48, 3), i % 255, np.uint8) for i in range(1600)], "libx264",
        "yuv420p")
    def frames() -> int: return sum(type(o) is av.VideoFrame for o in gc.get_objects())
    reader, alive = ClipReader(source), []
    gc.collect()
    before = frames()
    for n, _ in enumerate(reader):
        if n % 50 == 49: alive.append(frames() - before)
    reader.close()
    assert len(alive) == 32 and max(alive) < 60, f"{max(alive)} frames were alive at once"


KINDS = {"h264.mp4": ("libx264", "yuv420p", {"g": "6"}), "vp8.webm": ("libvpx", "yuv420p", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"deadline": "realtime"}), "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "mpeg4.mkv": ("mpeg4", "yuv420p", {}), "mpeg2.ts": ("mpeg2video", "yuv420p", {}),
    "ffv1.mkv": ("ffv1", "bgr0", {}), "png.mov": ("png", "rgb24", {}),
    "h265.mp4": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "ten.mp4": ("libx264", "yuv420p10le", {}), "film.gif": ("gif", "bgr8", {})}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_clips_of_all_kinds_become_clips_that_play(tmp_path: Path, name: str, suffix: str) -> None:
    codec, pix_fmt, options = KINDS[name]
    source = write(tmp_path/name, moving(h=98, w=130) if codec != "ffv1" else moving(h=97, w=129), codec, pix_fmt,
        **options)
    done = clip(source, tmp_path/f"out{suffix}", segmenter=Even())
    assert (done.frames, done.unread, done.failed, done.cut) == (12, 0, 0, False)
    with av.open(str(done.path)) as box:
        assert [s.type for s in box.streams] == ["video"]
        context = box.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.height % 2,
            context.width % 2) == ("h264" if suffix == ".mp4" else "vp9", "yuv420p", 0, 0)
    for shot, rgb in zip(read(done.path), moving(h=97, w=129) if codec == "ffv1" else moving(h=98, w=130)):
        assert is_covered(upper(shot.rgb))
        assert np.abs(shot.rgb[56:96, :128].astype(int) - rgb[56:96, :128]).mean() < 25
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, f"out{suffix}"])
    if suffix == ".mp4":
        data = done.path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat"), "the index is not at the front"


def test_colours_come_through(tmp_path: Path) -> None:
    rgb = np.zeros((96, 128, 3), np.uint8)
    rgb[:, :64], rgb[:, 64:] = (40, 160, 60), (70, 40, 180)
    source = write(tmp_path/"in.mkv", [rgb]*3)
    for suffix in (".mp4", ".webm"):
        clip(source, tmp_path/f"out{suffix}", ["Sky"], segmenter=Red())
        assert np.abs(read(tmp_path/f"out{suffix}")[1].rgb[48, [30, 100]].astype(int) - [(40, 160, 60),
            (70, 40, 180)]).max() < 6


def test_times_are_kept(tmp_path: Path) -> None:
    "Unequal steps, and a beginning that is not at nought."
    times = [500, 520, 600, 603, 1100, 1101, 2000, 2040, 2500, 3333, 3334, 4000]
    source = write(tmp_path/"in.mkv", moving(), times=times)
    for suffix in (".mp4", ".webm"):
        clip(source, tmp_path/f"out{suffix}", segmenter=Even())
        assert [round(1000*s.at/TICKS) for s in read(tmp_path/f"out{suffix}")] == [t - 500 for t in times]


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0,
    -1), (0, 1, 1, 0), (0, -1, -1, 0)])
def test_turned_clips_come_out_upright(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    "The place of every corner, worked out from the matrix."
    a, b, c, d = matrix
    rgb = np.full((64, 96, 3), 128, np.uint8)
    rgb[:24, :24] = 240, 240, 240  # the mark at the upper left, as stored
    one = 1 << 16
    source = write(tmp_path/"in.mp4", [rgb]*3, "libx264", "yuv420p",
        matrix=[a*one, b*one, 0, c*one, d*one, 0, 0, 0, 1 << 30])
    clip(source, tmp_path/"out.mp4", ["Sky"], segmenter=Red())
    out = read(tmp_path/"out.mp4")[0].rgb
    assert out.shape[:2] == ((64, 96) if a else (96, 64))
    x, y = a*-1 + c*-1, b*-1 + d*-1  # the upper left corner of a square round the origin
    at = out[0 if y < 0 else -24:24 if y < 0 else None, 0 if x < 0 else -24:24 if x < 0 else None]
    assert at[4:-4, 4:-4].mean() > 220 and out.mean() < 150
    assert av.open(str(tmp_path/"out.mp4")).decode(video=0).__next__().rotation == 0


@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(8, 9), Fraction(1, 1000)])
@pytest.mark.parametrize("turn", [False, True])
def test_pixels_become_square(tmp_path: Path, ratio: Fraction, turn: bool) -> None:
    "Wider or higher, also where the picture is turned; a ratio that makes no sense is none."
    one, source = 1 << 16, tmp_path/"in.mp4"
    with av.open(str(source), "w") as box:
        stream = box.add_stream("libx264", rate=15)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.sample_aspect_ratio = ratio
        if turn: stream.set_display_matrix([0, one, 0, -one, 0, 0, 0, 0, 1 << 30])
        for rgb in moving(3): box.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        box.mux(stream.encode())
    h, w = {Fraction(4, 3): (96, 171), Fraction(8, 9): (108, 128), Fraction(1, 1000): (96, 128)}[ratio]
    shots = read(clip(source, tmp_path/"out.webm", segmenter=Even()).path)
    assert shots[0].rgb.shape[:2] == ((w + w % 2, h) if turn else (h, w + w % 2)) and all(is_covered(upper(s.rgb))
        for s in shots)


def test_what_is_clear_in_a_clip_is_laid_on_white(tmp_path: Path) -> None:
    with av.open(str(tmp_path/"in.mov"), "w") as box:
        stream = box.add_stream("png", rate=15)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "rgba"
        for _ in range(3):
            box.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 128, 4), (200, 20, 20, 0), np.uint8),
                "rgba")))
        box.mux(stream.encode())
    assert (read(tmp_path/"in.mov")[1].rgb == 255).all()


def loud(path: Path, codec: str = "aac") -> Path:
    "A clip with sound, names, chapters and an attachment, where its container has those."
    with av.open(str(path), "w") as box:
        box.metadata.update(title=SECRET.decode(), comment=SECRET.decode(), location="+52.1+000.1/")
        video, audio = box.add_stream("libx264", rate=15), box.add_stream(codec, rate=48000)
        video.height, video.width, video.pix_fmt = 96, 128, "yuv420p"
        video.metadata["handler_name"] = audio.metadata["handler_name"] = audio.metadata["title"] = SECRET.decode()
        if path.suffix == ".mkv": box.add_attachment("cover.jpg", "image/jpeg", SECRET + saved(picture(), "JPEG"))
        box.set_chapters([{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000),
            "metadata": {"title": SECRET.decode()}}])
        for rgb in moving(): box.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        for i in range(40):
            sound = av.AudioFrame.from_ndarray((8000*np.sin(np.arange(1024)/9)).astype(np.int16)[None], "s16", "mono")
            sound.sample_rate, sound.pts = 48000, i*1024
            box.mux(audio.encode(sound))
        for stream in (video, audio): box.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4", "in.mov"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_nothing_but_frames_comes_out(tmp_path: Path, name: str, suffix: str) -> None:
    source = loud(tmp_path/name)
    assert SECRET in source.read_bytes()
    done = clip(source, tmp_path/f"out{suffix}", segmenter=Even())
    data = done.path.read_bytes()
    assert SECRET not in data and b"Lavf6" not in data and b"Lavc6" not in data
    with av.open(str(done.path)) as box:
        assert [s.type for s in box.streams] == ["video"] and not box.chapters()
        assert set(box.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
        assert set(box.streams.video[0].metadata) <= {"language", "handler_name", "DURATION"}
    assert not done.audio


def test_sound_is_kept_only_where_asked_for_and_with_a_warning(tmp_path: Path) -> None:
    source = loud(tmp_path/"in.mkv")
    with pytest.warns(UserWarning, match="voices identify"):
        done = clip(source, tmp_path/"out.mp4", segmenter=Even(), keep_audio=True)
    assert done.audio and "SOUND" in str(done) and SECRET not in done.path.read_bytes()
    with av.open(str(done.path)) as box:
        assert sorted(s.type for s in box.streams) == ["audio", "video"]
        sound = list(box.decode(audio=0))
    assert 36 <= len(sound) <= 42 and abs(sound[0].time) < .05
    with pytest.warns(UserWarning), pytest.raises(BadOutput, match="cannot hold this sound"):
        clip(source, tmp_path/"out.webm", segmenter=Even(), keep_audio=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "out.mp4"]
    write(tmp_path/"mute.mkv", moving())
    with pytest.warns(UserWarning):
        assert not clip(tmp_path/"mute.mkv", tmp_path/"mute.mp4", segmenter=Even(), keep_audio=True).audio


@pytest.mark.parametrize("style", media.clip.STYLES)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_clips_do_not_depend_on_what_is_covered(tmp_path: Path, style: str, suffix: str) -> None:
    "Two clips that differ under the cover become the same bytes."
    for n in range(2):
        frames = moving(6)
        for i, rgb in enumerate(frames): rgb[:48] = noise(np.random.default_rng(10*n + i), (48, 128, 3))
        write(tmp_path/"in.mkv", frames)
        clip(tmp_path/"in.mkv", tmp_path/f"out{n}{suffix}", segmenter=Even(), style=style, mode="union",
            preview=tmp_path/f"sheet{n}.png")
        (tmp_path/"in.mkv").unlink()
    for name in (f"out0{suffix}", "sheet0.png"):
        assert (tmp_path/name).read_bytes() == (tmp_path/name.replace("0", "1")).read_bytes()


# ---- clips: every matte belongs to its frame

@pytest.mark.parametrize("way, reach", [("none", 0), ("union", 2), ("flow", 2), ("agree", 1)])
def test_every_frame_has_its_own_matte(tmp_path: Path, way: str, reach: int) -> None:
    "The double reads the number of a frame off the frame, and covers the stripe that it means."
    frames = [stamp(np.full((240, 320, 3), (90, 150, 120), np.uint8), i) for i in range(20)]
    source = write(tmp_path/"in.mkv", frames)
    clip(source, tmp_path/"out.mp4", ["Car"], segmenter=Stripes(), mode=way, reach=reach)
    shots = read(tmp_path/"out.mp4")
    assert len(shots) == 20
    for i, shot in enumerate(shots):
        for k in range(STRIPES):
            stripe = shot.rgb[round(BASE*240) + 8:-8, 40*k + 8:40*(k + 1) - 8]
            shown = np.abs(stripe.astype(int) - (90, 150, 120)).mean() < 8
            if k == i % STRIPES: assert not shown, f"frame {i} shows what it should hide"
            elif way == "none": assert shown, f"frame {i} hides stripe {k}"


@pytest.mark.parametrize("fault, at", [*((fault, {5}) for fault in FAULTS), *((FAULTS[0], at) for at in ({0}, {11}, {4,
    5, 6}, set(range(12))))], ids=str)
def test_frames_that_the_model_fails_at_are_covered(tmp_path: Path, fault: object, at: set[int]) -> None:
    source = write(tmp_path/"in.mkv", moving())
    way = "flow"
    done = clip(source, tmp_path/"out.mp4", segmenter=Faulty({i: fault for i in at}), mode=way)
    assert (done.frames, done.failed, done.unread) == (12, len(at), 0)
    assert {i for i, s in enumerate(read(done.path)) if is_covered(s.rgb)} == at
    assert all(is_covered(upper(s.rgb)) for s in read(done.path))
    assert "the model failed" in str(done)


def test_a_frame_whose_matte_cannot_be_laid_on_it_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    def fit(*args: object) -> np.ndarray:
        calls.append(args)
        if len(calls) == 4: raise MemoryError
        return real(*args)
    real = core.redact.resize_matte
    monkeypatch.setattr(media.clip, "resize_matte", fit)
    done = clip(write(tmp_path/"in.mkv", moving()), tmp_path/"out.mp4", segmenter=Even(), mode="none")
    assert [i for i, s in enumerate(read(done.path)) if is_covered(s.rgb)] == [3] and done.failed == 1


# ---- clips: damage

def spots(path: Path) -> list[tuple[int, int]]:
    "Where each packet of pictures lies in a file, and how long it is."
    with av.open(str(path)) as box: return [(p.pos, p.size) for p in box.demux(video=0) if p.size]


def damage(path: Path, n: int, keep: int = 0) -> None:
    "Overwrites packet `n` but for its first bytes."
    (at, size), data = spots(path)[n], bytearray(path.read_bytes())
    data[at + keep:at + size] = bytes([0x55])*(size - keep)
    path.write_bytes(data)


def test_a_frame_that_does_not_decode_is_covered_and_counted(tmp_path: Path) -> None:
    "Each frame of MJPEG stands for itself: one is covered, at its place and time, and no other."
    source = write(tmp_path/"in.avi", moving(), "mjpeg", "yuvj420p")
    damage(source, 5)
    done = clip(source, tmp_path/"out.mp4", segmenter=Even())
    shots = read(done.path)
    assert (done.frames, done.unread, done.failed) == (12, 1, 0) and "could not be read" in str(done)
    assert [i for i, s in enumerate(shots) if is_covered(s.rgb)] == [5]
    assert [round(s.at/TICKS*15) for s in shots] == list(range(12))


@pytest.mark.parametrize("keep", [0, 5, 20])
def test_what_follows_damage_is_covered_until_the_next_key_frame(tmp_path: Path, keep: int) -> None:
    source = write(tmp_path/"in.mp4", moving(24), "libx264", "yuv420p", g="8", bf="0", sc_threshold="0")
    damage(source, 10, keep)
    done = clip(source, tmp_path/"out.mp4", segmenter=Even())
    hidden = {i for i, s in enumerate(read(done.path)) if is_covered(s.rgb)}
    assert hidden >= {10, 11, 12, 13, 14, 15} and not hidden & {*range(10), *range(17, 24)}, hidden
    assert done.frames == 24 and done.unread == len(hidden)


def flip(path: Path, n: int, share: float = .35) -> None:
    "Changes four bytes within packet `n`."
    (at, size), data = spots(path)[n], bytearray(path.read_bytes())
    for i in range(4): data[at + int(size*share) + i] ^= 0x5a
    path.write_bytes(data)


def test_damage_that_a_decoder_hides_is_covered_and_counted(tmp_path: Path) -> None:
    "FFmpeg fills what it did not understand, and calls it a frame."
    source = write(tmp_path/"in.mp4", moving(24), "libx264", "yuv420p", g="12", bf="0")
    flip(source, 6)
    done = clip(source, tmp_path/"out.mp4", segmenter=Even())
    assert (done.frames, done.unread) == (24, 6)
    assert {i for i, s in enumerate(read(done.path)) if is_covered(s.rgb)} == set(range(6, 12))


def test_the_same_damage_is_seen_each_time(tmp_path: Path) -> None:
    "FFmpeg's log leaves out what it has just said; in a frame of three slices that is all there is to hear."
    for n in range(3):
        source = write(tmp_path/f"{n}.mp4", moving(24), "libx264", "yuv420p", g="12", bf="0", slices="3")
        flip(source, 6, .2)
        assert {i for i, s in enumerate(read(source)) if s.rgb is None} == set(range(6, 12)), n


def test_a_length_that_is_no_number_is_none() -> None:
    for said in ("nan:0:0", "-inf:0:0", "x", "1e300:0:0"):
        assert said_length(SimpleNamespace(duration=None, metadata={"DURATION": said})) == 0


@pytest.mark.parametrize("name, codec, options",
    [("a.mp4", "libx264", {"bf": "0"}), ("b.mp4", "libx264", {"bf": "3", "g": "12"}), ("b.mkv", "libx264", {"bf": "3"}),
    ("b.avi", "libx264", {"bf": "2"}),
    ("c.avi", "mpeg4", {"bf": "2"}), ("d.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}), ("e.webm",
        "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    ("f.ts", "mpeg2video", {"bf": "2"}), ("g.ts", "libx264", {"x264-params": "interlaced=1"}), ("h.mp4", "libx265",
        {"x265-params": "log-level=none"})])
def test_clean_clips_lose_no_frame(tmp_path: Path, name: str, codec: str, options: dict) -> None:
    "Frames that wait, frames that are never shown: none is taken for a lost one."
    try: source = write(tmp_path/name, moving(40), codec, "yuv420p", **options)
    except ValueError: pytest.skip(f"this PyAV has no {codec}")
    reader = ClipReader(source)
    shots = list(reader)
    assert len(shots) == 40 and all(s.rgb is not None for s in shots) and not reader.cut


def test_a_packet_that_never_becomes_a_frame_is_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "A decoder that swallows the fifth packet, and says nothing."
    source, real = write(tmp_path/"in.mkv", moving(), "mjpeg", "yuvj420p"), ClipReader._decode
    def swallow(self: ClipReader, packet: av.Packet | None) -> list:
        return real(self, packet)[:0 if self.number == 5 else None]
    monkeypatch.setattr(ClipReader, "_decode", swallow)
    shots = read(source)
    assert [i for i, s in enumerate(shots) if s.rgb is None] == [4] and [round(s.at/TICKS*15)
        for s in shots] == list(range(12))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_unequal_steps_and_long_sound_are_not_taken_for_a_cut(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    times = [0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 3000, 9000]
    source = write(tmp_path/f"in{suffix}", moving(), codec, "yuv420p", times=times)
    assert not clip(source, tmp_path/"out.mp4", segmenter=Even()).cut
    if suffix != ".webm":
        assert not clip(loud(tmp_path/f"loud{suffix}"), tmp_path/"loud-out.mp4",
            segmenter=Even()).cut  # 2.6 s of sound, .8 s of pictures
    write(source, moving(60), codec, "yuv420p", **({"movflags": "+faststart"} if suffix == ".mp4" else {}))
    whole = source.read_bytes()
    source.write_bytes(whole[:len(whole)*2//3])
    assert clip(source, tmp_path/"cut.mp4", segmenter=Even()).cut


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    "A file that is not there does not stand for those that are."
    for i in range(3): (tmp_path/f"{i}.jpg").write_bytes(saved(picture(), "JPEG"))
    (tmp_path/"%d.jpg").write_bytes(saved(picture(h=48, w=64), "JPEG"))
    assert [s.rgb.shape[:2] for s in read(tmp_path/"%d.jpg")] == [(48, 64)]


def test_a_clip_without_a_frame_that_can_be_read_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path/"in.avi", moving(3), "mjpeg", "yuvj420p")
    for i in range(3): damage(source, i)
    with pytest.raises(BadClip, match="no frame that can be read"): clip(source, tmp_path/"out.mp4", segmenter=Even())
    assert [p.name for p in tmp_path.iterdir()] == ["in.avi"]


@pytest.mark.parametrize("name", ["mjpeg.avi", "vp8.webm", "mpeg4.mkv", "mpeg2.ts"])
def test_a_clip_that_breaks_off_is_cleaned_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    codec, pix_fmt, options = KINDS[name]
    source = write(tmp_path/name, moving(24), codec, pix_fmt, **options)
    source.write_bytes(source.read_bytes()[:source.stat().st_size*2//3])
    try: done = clip(source, tmp_path/"out.mp4", segmenter=Even())
    except BadClip: return
    assert 6 <= done.frames <= 24
    if name != "mpeg2.ts": assert done.cut, "a part is taken for the whole"  # that one tells neither frames nor length
    assert all(is_covered(upper(s.rgb)) for s in read(done.path))


@pytest.mark.parametrize("name", ["h264.mp4", "vp8.webm", "vp9.webm", "mjpeg.avi", "mpeg4.mkv", "mpeg2.ts", "film.gif"])
@pytest.mark.parametrize("seed", range(8))
def test_hostile_clips_are_cleaned_or_refused(tmp_path: Path, name: str, seed: int) -> None:
    "Cut, flipped, repeated, dropped: one line and no file, or every frame covered where it should be."
    codec, pix_fmt, options = KINDS[name]
    data, rng = write(tmp_path/name, moving(), codec, pix_fmt, **options).read_bytes(), np.random.default_rng(seed)
    for _ in range(1 + 4*(seed % 3)): data = spoil(data, rng)
    (tmp_path/name).write_bytes(data)
    try: done = clip(tmp_path/name, tmp_path/"out.mp4", segmenter=Even())
    except (BadClip, BadOutput) as e: assert str(e) and "\n" not in str(e)
    else:
        shots = read(done.path)
        assert len(shots) == done.frames and all(is_covered(upper(s.rgb)) for s in shots)
    assert {p.name for p in tmp_path.iterdir()} <= {name, "out.mp4"}


@pytest.mark.parametrize("data", [b"", b"hello\n"*99, saved(picture())[:60], bytes(5000),
    b"\0\0\0\x18ftypmp42" + bytes(50), b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(90)], ids=range(6))
def test_what_is_no_clip_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path/"in.mp4").write_bytes(data)
    with pytest.raises(BadClip) as e: clip(tmp_path/"in.mp4", tmp_path/"out.mp4", segmenter=Even())
    assert "\n" not in str(e.value) and str(tmp_path/"in.mp4") in str(e.value)
    for source in (tmp_path, tmp_path/"missing.mp4"):
        with pytest.raises(BadClip): clip(source, tmp_path/"out.mp4", segmenter=Even())


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    with av.open(str(tmp_path/"in.wav"), "w") as box:
        stream = box.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        box.mux(stream.encode(sound))
    with pytest.raises(BadClip, match="no moving pictures"):
        clip(tmp_path/"in.wav", tmp_path/"out.mp4", segmenter=Even())


def test_frames_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media.container, "CLIP_PIXELS", 96*127)
    with pytest.raises(BadClip, match="12,192 at most"):
        clip(write(tmp_path/"in.mkv", moving(2)), tmp_path/"out.mp4", segmenter=Even())


def test_frames_are_measured_with_square_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Pixels twice as high as wide: the frame is doubled before anything looks at it."
    source = write(tmp_path/"in.mp4", moving(2), "libx264", "yuv420p", ratio=Fraction(1, 2))
    monkeypatch.setattr(media.container, "CLIP_PIXELS", 2*96*128 - 1)
    with pytest.raises(BadClip, match="24,576 pixels"): clip(source, tmp_path/"out.mp4", segmenter=Even())


SHAPES = """import re, sys
import numpy as np
from camredact.core.still import make_detector, still_matte
class Nobody:
    name, budget = "nobody", 544*416
    def score(self, rgb, weights): return np.zeros(rgb.shape[:2], np.float32), np.ones(rgb.shape[:2], np.float32)
h, w = map(int, sys.argv[1:])
assert still_matte(np.zeros((h, w, 3), np.uint8), make_detector(segmenter=Nobody())).shape == (h, w)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1][:-3])"""


@pytest.mark.parametrize("shape", [(65_535, 1), (1, 65_535), (65_535, 900), (900, 65_535)])
def test_memory_is_bounded_for_every_shape(shape: tuple[int, int]) -> None:
    "In megabytes: the longest pictures of one pixel, and of as many as are accepted."
    done = subprocess.run([sys.executable, "-c", SHAPES, *map(str, shape)], capture_output=True, text=True, timeout=300,
        check=True)
    assert int(done.stdout) < 1000


def test_a_playlist_brings_in_nothing(tmp_path: Path) -> None:
    write(tmp_path/"private.mkv", moving(3))
    (tmp_path/"in.mp4").write_text("ffconcat version 1.0\nfile private.mkv\n")
    with pytest.raises(BadClip, match="list of other files"):
        clip(tmp_path/"in.mp4", tmp_path/"out.mp4", segmenter=Even())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(.3)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        (tmp_path/"in.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n")
        (tmp_path/"in.mp4").write_text(f"ffconcat version 1.0\nfile {url}\n")
        for name in ("in.m3u8", "in.mp4"):
            with pytest.raises(BadClip): clip(tmp_path/name, tmp_path/"out.mp4", segmenter=Even())
        with pytest.raises(TimeoutError): server.accept()


# ---- clips: the way through

def test_a_source_clip_is_never_written_over(tmp_path: Path) -> None:
    source = write(tmp_path/"in.mp4", moving(3), "libx264", "yuv420p")
    before = source.read_bytes()
    os.link(source, tmp_path/"hard.mp4")
    (tmp_path/"soft.mp4").symlink_to(source)
    for out in (source, tmp_path/"hard.mp4", tmp_path/"soft.mp4"):
        with pytest.raises(BadOutput, match="is the source"): clip(source, out, segmenter=Even(), overwrite=True)
    (tmp_path/"other.mp4").write_bytes(b"of somebody else")
    for more in ({"out": tmp_path/"other.mp4"}, {"out": tmp_path/"x.mp4", "preview": tmp_path/"other.mp4"},
        {"out": tmp_path/"x.avi"}, {"out": tmp_path/"none"/"x.mp4"}, {"out": tmp_path/"x.mp4",
        "preview": tmp_path/"x.jpg"}):
        with pytest.raises(BadOutput): clip(source, segmenter=Even(), **more)
    assert source.read_bytes() == before and (tmp_path/"other.mp4").read_bytes() == b"of somebody else"
    assert not (tmp_path/"x.mp4").exists()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("at", [0, 6, 11])
def test_an_interruption_leaves_nothing(tmp_path: Path, fault: BaseException, at: int) -> None:
    source = write(tmp_path/"in.mkv", moving())
    with pytest.raises(type(fault)):
        clip(source, tmp_path/"out.mp4", segmenter=Faulty({at: fault}), preview=tmp_path/"sheet.png")
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize("where", ["add", "finish", "close"])
def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*_: object) -> None: raise av.error.FFmpegError(28, "No space left on device")
    monkeypatch.setattr(media.writer.ClipWriter, where, full)
    with pytest.raises(BadOutput, match="No space left"):
        clip(write(tmp_path/"in.mkv", moving()), tmp_path/"out.mp4", segmenter=Even())
    gc.collect()
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


def test_memory_does_not_grow_with_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "No more frames are alive at once than the window needs."
    refs, most = [], []

    def watched(*args: object) -> np.ndarray:
        rgb = real(*args)
        refs.append(weakref.ref(rgb))
        most.append(sum(ref() is not None for ref in refs))
        return rgb
    real = media.reader.picture_of
    monkeypatch.setattr(media.reader, "picture_of", watched)
    source = write(tmp_path/"in.mkv", moving(80))
    for reach in (0, 2):
        most.clear()
        clip(source, tmp_path/f"out{reach}.mp4", segmenter=Even(), reach=reach)
        assert max(most) <= reach + 4, most


def test_the_sheet_shows_redacted_frames(tmp_path: Path) -> None:
    done = clip(write(tmp_path/"in.mkv", moving(30)), tmp_path/"out.mp4", segmenter=Even(),
        preview=tmp_path/"sheet.png")
    sheet = np.asarray(Image.open(tmp_path/"sheet.png"))
    assert sheet.shape == (3*180, 4*240, 3) and np.array_equal(sheet,
        done.sheet) and parts_of((tmp_path/"sheet.png").read_bytes()) <= ALLOWED
    assert all(not (sheet[180*y:180*y + 80, 240*x:240*x + 240, 0] > 225).any() for y in range(3)
        for x in range(4))  # the red of the source is nowhere
    assert "data:image/png;base64" in done._repr_html_() and "30 frames" in done._repr_html_()
    assert "<b>" not in ClipReport(Path("<b>.mp4"))._repr_html_()


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    clip(write(tmp_path/"in.mkv", moving()), tmp_path/"out.mp4", segmenter=Even(), progress=told.append)
    assert told == sorted(told) and len(told) == 12 and told[-1] == 11


def test_progress_in_a_terminal_is_one_line_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(core.files.sys.stderr, "isatty", lambda: True, raising=False)
    redact_clip(write(tmp_path/"in.mkv", moving()), tmp_path/"out.mp4", segmenter=Even())
    said = capsys.readouterr().err
    assert "redacting the clip" in said and said.endswith("\r") and "\n" not in said


@pytest.mark.parametrize("suffix, codec", [(".mp4", "libvpx-vp9"), (".mp4", "mpeg4"), (".webm", "libvpx")])
def test_other_encoders_do_where_the_best_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str,
    codec: str) -> None:
    monkeypatch.setitem(media.writer.CODECS, suffix, ("nonesuch", codec))
    done = clip(write(tmp_path/"in.mkv", moving()), tmp_path/f"out{suffix}", segmenter=Even())
    assert all(is_covered(upper(s.rgb)) and np.abs(s.rgb[56:].astype(int) - rgb[56:]).mean() < 12 for s,
        rgb in zip(read(done.path), moving()))
    monkeypatch.setitem(media.writer.CODECS, suffix, ("nonesuch",))
    with pytest.raises(BadOutput, match="cannot write"):
        clip(tmp_path/"in.mkv", tmp_path/f"x{suffix}", segmenter=Even())


# ---- with a model that is shipped

@pytest.fixture(scope="module")
def shipped() -> Iterator[object]:
    if not models(): pytest.skip("no weights in camredact/weights")
    yield core.models.load()


def test_drawn_people_are_covered_in_a_photo_and_a_clip(tmp_path: Path, shipped: object) -> None:
    street = draw_street(1, 480, 640)
    people = np.isin(street.labels, [CODES.index(c) for c in ("Pedestrian", "Child", "Bicyclist")])
    (tmp_path/"in.png").write_bytes(saved(street.picture))
    redact_photo(tmp_path/"in.png", tmp_path/"out.png", segmenter=shipped)
    alpha = np.asarray(Image.open(tmp_path/"out.png"))[..., 3]
    assert people.any() and (alpha[people] == 0).mean() > .85 and (alpha[~people] == 0).mean() < .5
    scenes = list(draw_clip(1, 8, 240, 320))
    write(tmp_path/"in.mkv", [s.picture for s in scenes])
    done = redact_clip(tmp_path/"in.mkv", tmp_path/"out.mp4", segmenter=shipped, progress=False)
    assert (done.frames, done.failed, done.unread) == (8, 0, 0)
    for shot, scene in zip(read(tmp_path/"out.mp4"), scenes):
        who = np.isin(scene.labels, [CODES.index(c) for c in ("Pedestrian", "Child", "Bicyclist")])
        if who.any(): assert (np.abs(shot.rgb.astype(int) - checkerboard(240, 320)).max(2) < 40)[who].mean() > .5


def test_a_transparency_that_is_not_read_is_refused(tmp_path: Path) -> None:
    "FFmpeg's own VP9 leaves alpha out, and would show what was cut out."
    source = tmp_path/"cut.webm"
    with av.open(str(source), "w") as box:
        stream = box.add_stream("libvpx-vp9", rate=5, width=64, height=48, pix_fmt="yuva420p")
        for _ in range(3):
            box.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 4), (200, 20, 20, 0), np.uint8),
                "rgba").reformat(format="yuva420p")))
        box.mux(stream.encode())
    with pytest.raises(BadClip, match="transparency"): clip(source, tmp_path/"out.mp4", segmenter=Even())
    assert not (tmp_path/"out.mp4").exists()


def test_vorbis_sound_is_not_kept_with_its_notes(tmp_path: Path) -> None:
    with av.open(str(tmp_path/"in.mkv"), "w") as box:
        stream = box.add_stream("libvpx", rate=5, width=64, height=48, pix_fmt="yuv420p")
        sound = box.add_stream("vorbis", rate=44100, layout="stereo", options={"strict": "experimental"})
        for rgb in (np.full((48, 64, 3), 90, np.uint8),)*3: box.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
        quiet = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), "fltp", "stereo")
        quiet.sample_rate = 44100
        for s, frame in ((sound, quiet), (sound, None), (stream, None)): box.mux(s.encode(frame))
    with pytest.warns(UserWarning), pytest.raises(BadOutput, match="Vorbis"):
        clip(tmp_path/"in.mkv", tmp_path/"out.webm", segmenter=Even(), keep_audio=True)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]
