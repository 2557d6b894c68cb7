"""The leak test, tested: every check has a redactor that leaks in that way and no other, and fair ones are not accused.

And the project's own `redact`: whatever the matte hides makes no difference to any byte of what comes out.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image

from camredact.core.redact import redact, redacted_png
from camredact.core.models import load, models
from camredact.core.still import redact_still
from camredact.leaktest import checks as ck
from camredact.leaktest import containers as ct
from camredact.leaktest import pixels as px
from camredact.leaktest import plant as pl
from camredact.leaktest.run import leaktest, status
from camredact.leaktest.trial import Bench, Failed, Redactor, command
from camredact.streets.street import draw_clip, draw_street

COMMAND = str(Path(sys.executable).with_name("camredact"))
BOX = (60, 100, 180, 220)  # top, left, bottom, right: what the doubles cover
PICTURE = draw_street(3, 240, 320).picture


Redact = Callable[[np.ndarray, np.ndarray], np.ndarray]  # picture, matte -> picture


def styled(style: str) -> Redact: return lambda picture, matte: redact(picture, matte, style)


def scrambled(picture: np.ndarray, matte: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    "Noise in place of what is hidden."
    return np.where(matte[..., None] > 0, rng.integers(0, 256, picture.shape, np.uint8), picture)


def pillow(format: str, **more: Any) -> Callable[[np.ndarray], bytes]:
    "An encoder."
    def encode(picture: np.ndarray) -> bytes:
        data = BytesIO()
        Image.fromarray(picture).save(data, format, **more)
        return data.getvalue()
    return encode


def opencv(ext: str, *more: int) -> Callable[[np.ndarray], bytes]:
    return lambda picture: cv2.imencode(ext, picture[..., ::-1], more)[1].tobytes()


ENCODERS = {"none": lambda picture: picture, "png": pillow("PNG"), "jpeg": pillow("JPEG"),
    "jpeg 4:4:4": pillow("JPEG", quality=95, subsampling=0),
    "progressive jpeg": pillow("JPEG", quality=30, progressive=True), "webp": pillow("WEBP"),
    "lossless webp": pillow("WEBP", lossless=True), "opencv png": opencv(".png"),
    "opencv jpeg": opencv(".jpg"), "opencv webp": opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 60)}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    "Two pictures and a matte; they differ only where it hides."
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    matte = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 255])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    picture = rng.integers(0, 256, (*shape, 3), np.uint8) if draw(st.booleans()) else np.full((*shape, 3),
        draw(st.integers(0, 255)), np.uint8)
    return picture, scrambled(picture, matte, rng), matte


@settings(max_examples=60, deadline=None)
@given(pairs(), st.sampled_from(["checkerboard", "solid"]), st.sampled_from(list(ENCODERS)))
def test_what_is_hidden_changes_no_byte(pair: tuple[np.ndarray, np.ndarray, np.ndarray], style: str,
    encoder: str) -> None:
    a, b, matte = pair
    one, other = (ENCODERS[encoder](redact(p, matte, style)) for p in (a, b))
    assert one == other if isinstance(one, bytes) else np.array_equal(one, other)


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_holes_are_empty_and_alpha_is_all_or_nothing(pair: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    a, b, matte = pair
    assert redacted_png(a, matte) == redacted_png(b, matte)
    rgba = np.asarray(Image.open(BytesIO(redacted_png(a, matte))))
    assert rgba.shape == (*matte.shape, 4) and set(np.unique(rgba[..., 3])) <= {0, 255}
    assert not rgba[rgba[..., 3] == 0].any()
    assert np.array_equal(rgba[..., 3], 255 - matte)


def mosaic(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    h, w = matte.shape
    small = cv2.resize(picture, (-(-w//12), -(-h//12)), interpolation=cv2.INTER_AREA)
    return cv2.copyTo(cv2.resize(small, (w, h), interpolation=cv2.INTER_NEAREST), matte, picture.copy())


def blurred(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    return cv2.copyTo(cv2.GaussianBlur(picture, (0, 0), 6), matte, picture.copy())
def putalpha(picture: np.ndarray, matte: np.ndarray) -> np.ndarray: return np.dstack([picture, 255 - matte])
def faint(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    return cv2.addWeighted(picture, .04, redact(picture, matte), .96, 0)


def feathered(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    alpha = cv2.GaussianBlur(255 - matte, (0, 0), 3)
    return np.dstack([picture*(alpha > 0)[..., None], alpha])


def test_covering_after_the_encoder_leaves_traces_beside_the_cover() -> None:
    "Blocks at the border of a matte: redact, then encode, never the other way."
    matte = np.zeros((64, 64), np.uint8)
    matte[20:43, 20:43] = 255
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = scrambled(grey, matte, np.random.default_rng(0))
    def early(picture: np.ndarray) -> np.ndarray:
        data = np.frombuffer(ENCODERS["jpeg"](picture), np.uint8)
        return redact(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), matte)
    assert np.count_nonzero(early(grey) != early(noise)) > 100
    assert ENCODERS["jpeg"](redact(grey, matte)) == ENCODERS["jpeg"](redact(noise, matte))


# photos: the doubles

def box_matte(shape: tuple[int, ...]) -> np.ndarray:
    "BOX as a matte for a picture of any size."
    matte, (h, w) = np.zeros(shape[:2], np.uint8), shape[:2]
    matte[BOX[0]*h//240:BOX[2]*h//240, BOX[1]*w//320:BOX[3]*w//320] = 255
    return matte


def covered(source: Path, how: Redact = redact) -> Image.Image:
    "The box over a picture, as an image that remembers nothing."
    picture = np.asarray(Image.open(source).convert("RGB"))
    return Image.fromarray(how(picture, box_matte(picture.shape)))


def careful(source: Path, out: Path) -> None: covered(source).save(out)


def with_cover(how: Redact) -> Redactor: return lambda source, out: covered(source, how).save(out)


def keeps(*keys: str) -> Redactor:
    "Passes on what Pillow knows of the source."
    def redactor(source: Path, out: Path) -> None:
        info = Image.open(source).info
        covered(source).save(out, **{key: info[key] for key in keys if key in info})
    return redactor


def segments(*names: str) -> Redactor:
    "Passes on segments of a JPEG unread."
    def redactor(source: Path, out: Path) -> None:
        careful(source, out)
        data = out.read_bytes()
        kept = [b"\xff" + bytes([0xFE if name == "COM" else 0xE0 + int(name[3:])]) + (len(body) + 2).to_bytes(2,
            "big") + body
            for name, body in ct.jpeg_parts(source.read_bytes()) if name in names]
        out.write_bytes(data[:2] + b"".join(kept) + data[2:])
    return redactor


def coordinates(source: Path, out: Path) -> None:
    exif, gps = Image.Exif(), Image.open(source).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    exif[ExifTags.IFD.GPSInfo] = {k: v for k, v in gps.items() if k < 5}
    covered(source).save(out, exif=exif)


def thumbnail(source: Path, out: Path) -> None:
    small = pl.small_jpeg(np.asarray(Image.open(source).convert("RGB")), "made anew")
    covered(source).save(out, exif=pl.with_thumbnail(Image.Exif().tobytes(), small))


def tail(source: Path, out: Path) -> None:
    careful(source, out)
    out.write_bytes(out.read_bytes() + dict(ct.PARSERS[source.suffix[1:]](source.read_bytes())).get(ct.TRAILER, b""))


def copies_time(source: Path, out: Path) -> None:
    careful(source, out)
    shutil.copystat(source, out)


def writes_day(source: Path, out: Path) -> None:
    covered(source).save(out, comment=time.strftime("taken %Y:%m:%d", time.gmtime(source.stat().st_mtime)).encode())
def writes_name(source: Path, out: Path) -> None: covered(source).save(out, comment=source.name.encode())
def signs(source: Path, out: Path) -> None: covered(source).save(out, comment=b"made by a redactor")


def attribute(source: Path, out: Path) -> None:
    careful(source, out)
    os.setxattr(out, "user.name", source.name.encode())


def leaves_copy(source: Path, out: Path) -> None:
    shutil.copy(source, out.parent/"original")
    careful(source, out)


def leaves_name(source: Path, out: Path) -> None:
    careful(source, out)
    (out.parent/f"{source.stem}.done").write_text("done")


def writes_over(source: Path, out: Path) -> None:
    data = BytesIO()
    covered(source).save(data, {".jpg": "JPEG"}.get(out.suffix, out.suffix[1:]))
    with out.open("r+b" if out.exists() else "wb") as f: f.write(data.getvalue())


NOTED, SEEN, PARTS = "unseen notes", "unseen bytes", "parts not needed"
EXIF = {"EXIF", "GPS", "thumbnail", PARTS, NOTED, SEEN}
ALL = ("APP1", "APP2", "APP11", "APP13", "COM")
DOUBLES: dict[str, tuple[Redactor, str, set[str]]] = {  # a redactor, what it reads, what leaks
    "exif": (keeps("exif"), "jpg", EXIF),
    "exif of a png": (keeps("exif"), "png", EXIF),
    "exif of a webp": (keeps("exif"), "webp", EXIF),
    "xmp": (keeps("xmp"), "jpg", {"XMP", PARTS, NOTED}),
    "profile": (keeps("icc_profile"), "png", {"colour profile", PARTS, NOTED}),
    "comment": (keeps("comment"), "jpg", {"comments", PARTS, NOTED}),
    "iptc": (segments("APP13"), "jpg", {"IPTC", PARTS, NOTED}),
    "private": (segments("APP11"), "jpg", {PARTS, NOTED}),
    "every segment": (segments(*ALL), "jpg", EXIF | {"XMP", "IPTC", "comments", "colour profile"}),
    "coordinates": (coordinates, "jpg", {"GPS", NOTED}),
    "thumbnail": (thumbnail, "jpg", {"thumbnail", SEEN}),
    "tail": (tail, "jpg", {"after the end", NOTED, SEEN}),
    "tail of a png": (tail, "png", {"after the end", NOTED, SEEN}),
    "tail of a webp": (tail, "webp", {"after the end", NOTED, SEEN}),
    "time": (copies_time, "jpg", {"file time"}),
    "day": (writes_day, "jpg", {"file time", NOTED}),
    "name": (writes_name, "jpg", {"file name", PARTS, NOTED}),
    "copy": (leaves_copy, "jpg", {"left behind"}),
    "sidecar": (leaves_name, "jpg", {"left behind"}),
    "over": (writes_over, "png", {"over an older file"}),
    "attribute": (attribute, "png", {"attributes", "file name", NOTED}),
    "mosaic": (with_cover(mosaic), "png", {"covered pixels"}),
    "blur": (with_cover(blurred), "png", {"covered pixels"}),
    "mosaic of a jpeg": (with_cover(mosaic), "jpg", {"covered pixels"}),
    "faint": (with_cover(faint), "png", {"covered pixels"}),
    "alpha": (with_cover(putalpha), "png", {"colour under alpha 0"}),
    "feather": (with_cover(feathered), "png", {"partial alpha", "covered pixels"})}


def verdicts(rows: list[px.Row]) -> dict[str, str]: return {r.check.split(": ")[1]: r.verdict for r in rows}


def leaks_of(rows: list[px.Row]) -> set[str]:
    return {check for check, verdict in verdicts(rows).items() if verdict == px.LEAKS}


@pytest.mark.parametrize("name", DOUBLES)
def test_every_leak_is_found_and_no_other(name: str) -> None:
    redactor, kind, leaks = DOUBLES[name]
    rows = leaktest(redactor, PICTURE, [kind])
    assert leaks_of(rows) == leaks, "\n".join(map(str, rows))
    assert status(rows) == 1
    assert all(r.evidence and "\n" not in r.evidence for r in rows)


def test_every_check_of_photos_has_caught_something() -> None:
    caught = set().union(*(leaks for _, _, leaks in DOUBLES.values()))
    assert caught == {*ck.CHECKS["photo"], *ck.PIXEL_CHECKS, "over an older file", SEEN, NOTED}


# photos: those that should not be accused

def test_the_careful_one_is_clean_in_every_format() -> None:
    rows = leaktest(careful, PICTURE)
    assert set(verdicts(rows).values()) == {px.CLEAN, px.RECOGNISABLE} and status(rows) == 0, "\n".join(map(str, rows))
    assert verdicts(rows)["traces of the camera"] == px.RECOGNISABLE
    assert len(rows) == len(ck.CHECKS["photo"]) + len(ck.PIXEL_CHECKS) + 4


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("how", [redact, styled("solid")], ids=["checkerboard", "solid"])
def test_a_cover_is_clean_through_every_encoder(how: Redact, suffix: str) -> None:
    assert verdicts(leaktest(with_cover(how), PICTURE, ["png"], suffix))["covered pixels"] == px.CLEAN


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("how", [mosaic, blurred])
def test_a_mosaic_leaks_through_every_encoder(how: Redact, suffix: str) -> None:
    assert verdicts(leaktest(with_cover(how), PICTURE, ["png"], suffix))["covered pixels"] == px.LEAKS


def test_a_clip_of_its_own_is_handed_in() -> None:
    "What moves in it is what the redactor gets."
    seen = []
    def redactor(source: Path, out: Path) -> None:
        seen.append(px.frames(source).shape)
        recodes()(source, out)
    leaktest(redactor, PICTURE, ["mp4"], clip=np.stack([scene.picture for scene in draw_clip(2, 3, 120, 160, fps=10)]))
    assert set(seen) == {(3, 120, 160, 4)}


def test_an_encoder_on_the_way_is_no_leak() -> None:
    "A bad JPEG in between changes every pixel of a PNG, and what is covered stays covered."
    def redactor(source: Path, out: Path) -> None:
        Image.open(BytesIO(pillow("JPEG", quality=40)(np.asarray(covered(source))))).convert("RGB").save(out)
    assert not leaks_of(leaktest(redactor, PICTURE, ["png"]))


def test_a_file_of_its_own_kind_of_notes() -> None:
    "What was not planted is no leak, and not clean either."
    rows = leaktest(signs, PICTURE, ["jpg"])
    assert verdicts(rows)[PARTS] == px.UNSURE and verdicts(rows)["comments"] == px.CLEAN and status(rows) == 3


def test_a_format_that_is_not_known() -> None:
    "Searched for secrets all the same."
    rows = leaktest(careful, PICTURE, ["png"], ".tiff")
    assert verdicts(rows)["parts not needed"] == px.UNSURE and not leaks_of(rows)
    def tells(source: Path, out: Path) -> None:
        covered(source).save(out, description=Image.open(source).info.get("Description", ""))
    assert "comments" in leaks_of(leaktest(tells, PICTURE, ["png"], ".tiff"))


def noise_over(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    return scrambled(picture, matte, np.random.default_rng())


@pytest.mark.parametrize("how, why", [(lambda p, m: p, "nothing was covered"), (noise_over, "another one in every run"),
    (lambda p, m: redact(p, m)[::2, ::2].copy(), "went in")])
def test_what_cannot_be_known_is_said_to_be_so(how: Redact, why: str) -> None:
    rows = leaktest(with_cover(how), PICTURE, ["png"])
    row = next(r for r in rows if r.check == "photo: covered pixels")
    assert (row.verdict, status(rows)) == (px.UNSURE, 3) and why in row.evidence


def test_a_pattern_that_moves_with_its_region_is_not_accused() -> None:
    "It finds what is dark, and lays a sticker over it, as large as what it found."
    rng = np.random.default_rng(0)
    sticker, scene = rng.integers(150, 256, (40, 40, 3), np.uint8), np.full((200, 240, 3), 230, np.uint8)
    scene[40:160, 60:200] = 60
    def redactor(source: Path, out: Path) -> None:
        picture = np.asarray(Image.open(source).convert("RGB")).copy()
        x, y, w, h = cv2.boundingRect((picture.max(2) < 100).astype(np.uint8))
        picture[y:y + h, x:x + w] = cv2.resize(sticker, (w, h))
        Image.fromarray(picture).save(out)
    row = next(r for r in leaktest(redactor, scene, ["png"]) if r.check == "photo: covered pixels")
    assert row.verdict == px.UNSURE and "the covers are not the same" in row.evidence


def holes(source: Path, out: Path) -> None:
    "The project's own way to write a PNG."
    picture = np.asarray(Image.open(source).convert("RGB"))
    out.write_bytes(redacted_png(picture, redact_still(source, segmenter=load())[1]))


@pytest.mark.skipif(not models(), reason="no weights in camredact/weights")
def test_holes_of_a_network_are_clean() -> None:
    "Their edges move with every change below them. `nbs/leaktest/run.ipynb` has the same without holes."
    rows = leaktest(holes, draw_street(2, 480, 640).picture, suffix=".png")
    said = verdicts(rows)
    assert said.pop("traces of the camera") == px.RECOGNISABLE and set(said.values()) == {px.CLEAN}, rows


@pytest.mark.skipif(not models(), reason="no weights in camredact/weights")
def test_the_runtime_writes_no_files_of_its_own(tmp_path: Path) -> None:
    "ONNX Runtime 1.29 and later keep a session's number in a file, and report their use, unless told not to first."
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")} | dict.fromkeys(("TMPDIR",
        "HOME", "XDG_CACHE_HOME"), str(tmp_path))
    subprocess.run([sys.executable, "-c", "from camredact.core.models import load; load()"], env=env, check=True,
        timeout=120)
    assert [p.name for p in tmp_path.rglob("*")] == []


# clips

CLIP = pl.still_clip(PICTURE)[:, :, ::2][:, ::2].copy()


def recodes(notes: tuple[str, ...] = (), kinds: tuple[str, ...] = (), chapters: bool = False, raw: bool = False,
    handler: bool = False, how: Redact = redact) -> Redactor:
    "Covers the pictures, and copies what it is told; `raw` passes the pictures' stream on without decoding it."
    def redactor(source: Path, out: Path) -> None:
        pictures = px.frames(source)[..., :3]
        pictures = np.stack([how(np.ascontiguousarray(p), box_matte(p.shape)) for p in pictures])
        with av.open(str(source)) as old, av.open(str(out), "w") as new:
            new.metadata.update({k: v for k, v in old.metadata.items() if k.lower() in notes})
            if chapters: new.set_chapters(old.chapters())
            kept = {s.index: stream_like(new, s) for s in old.streams if kind_of(s) in kinds}
            if raw: kept[0] = new.add_stream_from_template(old.streams.video[0])
            else: film = pl.add_film(new, pictures)
            if handler: film.metadata["handler_name"] = old.streams.video[0].metadata["handler_name"]
            for packet in old.demux():
                if packet.size and packet.stream.index in kept:
                    packet.stream = kept[packet.stream.index]
                    new.mux(packet)
            if not raw: pl.mux_film(new, film, pictures)
    return redactor


def kind_of(stream: Any) -> str:
    if stream.disposition & av.stream.Disposition.attached_pic: return "picture"
    return "second" if stream.type == "video" and stream.index else stream.type


def stream_like(new: Any, stream: Any) -> Any:
    if stream.type == "data": return new.add_data_stream("bin_data")
    copy = new.add_stream_from_template(stream, opaque=True)
    copy.disposition = stream.disposition
    return copy


def attaches(source: Path, out: Path) -> None:
    "A cover picture of its own."
    pictures = np.stack([redact(np.ascontiguousarray(p), box_matte(p.shape)) for p in px.frames(source)[..., :3]])
    with av.open(str(out), "w") as new:
        new.add_attachment("cover.jpg", "image/jpeg", pl.small_jpeg(PICTURE, "new"))
        pl.mux_film(new, pl.add_film(new, pictures), pictures)


def silent(source: Path, out: Path) -> None:
    "Keeps a track, and nothing in it."
    pictures = np.stack([redact(np.ascontiguousarray(p), box_matte(p.shape)) for p in px.frames(source)[..., :3]])
    with av.open(str(out), "w") as new:
        film, sound = pl.add_film(new, pictures), new.add_stream("aac", rate=16000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        silence.sample_rate = 16000
        new.mux([*sound.encode(silence), *sound.encode(None)])
        pl.mux_film(new, film, pictures)


def boxes(source: Path, out: Path) -> None:
    "Adds what stands behind the pictures in the source."
    recodes()(source, out)
    data = source.read_bytes()
    at = data.rfind(b"uuid") - 4 if source.suffix == ".mp4" else data.rfind(b"leak") - 2
    if at >= 0: out.write_bytes(out.read_bytes() + data[at:])


def nameless(source: Path, out: Path) -> None:
    with av.open(str(out), "w") as new:
        new.set_chapters([{"id": 1, "start": 0, "end": 300, "time_base": Fraction(1, 1000), "metadata": {}}])
        pictures = np.stack([redact(np.ascontiguousarray(p), box_matte(p.shape)) for p in px.frames(source)[..., :3]])
        pl.mux_film(new, pl.add_film(new, pictures), pictures)


def after_bare(more: Callable[[Path, Path], None]) -> Redactor:
    def redactor(source: Path, out: Path) -> None:
        recodes()(source, out)
        more(source, out)
    return redactor


def in_place(source: Path, out: Path) -> None:
    new = out.with_name(f"new{out.suffix}")
    recodes()(source, new)
    data = new.read_bytes()
    new.unlink()
    with out.open("r+b" if out.exists() else "wb") as f: f.write(data)


CLIP_DOUBLES: dict[str, tuple[Redactor, str, set[str]]] = {
    "title": (recodes(notes=("title",)), "mp4", {"notes", NOTED}),
    "comment": (recodes(notes=("comment",)), "mkv", {"notes", NOTED}),
    "handler": (recodes(handler=True), "mp4", {"notes", NOTED}),
    "place": (recodes(notes=("location",)), "mp4", {"place", NOTED}),
    "place in mkv": (recodes(notes=("location",)), "mkv", {"place", NOTED}),
    "time": (recodes(notes=("creation_time",)), "mp4", {"recording time", NOTED}),
    "sound": (recodes(kinds=("audio",)), "mp4", {"sound"}),
    "second": (recodes(kinds=("second",)), "mkv", {"second pictures"}),
    "cover": (recodes(kinds=("picture",)), "mp4", {"attached pictures", NOTED, SEEN}),
    "attachment": (attaches, "mkv", {"attached pictures"}),
    "subtitles": (recodes(kinds=("subtitle",)), "mkv", {"subtitles", NOTED}),
    "data": (recodes(kinds=("data",)), "mp4", {"data", NOTED}),
    "chapters": (recodes(chapters=True), "mkv", {"chapters", NOTED}),
    "chapters without names": (nameless, "mkv", {"chapters"}),
    "sei": (recodes(raw=True), "mp4", {"SEI", NOTED}),
    "uuid": (boxes, "mp4", {PARTS, NOTED}),
    "void": (boxes, "mkv", {PARTS, NOTED}),
    "file time": (after_bare(shutil.copystat), "mp4", {"file time"}),
    "name": (after_bare(lambda s, o: (o.parent/f"{s.stem}.log").write_text("1 clip")), "mp4", {"left behind"}),
    "over": (in_place, "mp4", {"over an older file"}),
    "mosaic": (recodes(how=mosaic), "mp4", {"covered pixels"}),
    "blur": (recodes(how=blurred), "mkv", {"covered pixels"})}


@pytest.mark.parametrize("name", CLIP_DOUBLES)
def test_every_leak_of_clips_is_found_and_no_other(name: str) -> None:
    redactor, kind, leaks = CLIP_DOUBLES[name]
    rows = leaktest(redactor, PICTURE, [kind])
    assert leaks_of(rows) == leaks, "\n".join(map(str, rows))


def test_every_check_of_clips_has_caught_something() -> None:
    caught = set().union(*(leaks for _, _, leaks in CLIP_DOUBLES.values()))
    in_photos = {"file name", "attributes"}  # caught there by the same functions
    assert caught | in_photos == {*ck.CHECKS["clip"], "over an older file", "covered pixels", SEEN, NOTED}


@pytest.mark.parametrize("suffix", [None, ".mp4", ".mkv", ".webm"])
def test_a_careful_clip_is_clean(suffix: str | None) -> None:
    def webm(source: Path, out: Path) -> None:
        from camredact.media.writer import write_clip
        write_clip(out, [redact(np.ascontiguousarray(p), box_matte(p.shape)) for p in px.frames(source)[..., :3]], 10)
    rows = leaktest(webm if suffix == ".webm" else recodes(), PICTURE, ct.CLIPS, suffix)
    assert set(verdicts(rows).values()) == {px.CLEAN}, "\n".join(map(str, rows))


def appended(data: bytes) -> Redactor:
    "A careful clip with bytes behind it."
    return after_bare(lambda _, out: out.write_bytes(out.read_bytes() + data))


def noted(**notes: str) -> Redactor:
    "A clip of its own with notes of its own."
    def redactor(source: Path, out: Path) -> None:
        pictures = px.frames(source)[..., :3]
        with av.open(str(out), "w") as box:
            box.metadata.update(notes)
            pl.mux_film(box, pl.add_film(box, pictures), pictures)
    return redactor


VOID = b"\xec\x8b" + b"hello there"
FREE = b"\0\0\0\x13free" + b"hello there"


@pytest.mark.parametrize("name, redactor, suffix, check",
    [("void", appended(VOID), ".mkv", "parts not needed"), ("free", appended(FREE), ".mp4", "parts not needed"),
    ("camera", noted(camera="ACME 5"), ".mkv", "notes"), ("comment", noted(comment="a nice day"), ".mp4", "notes")])
def test_foreign_notes_are_not_called_clean(name: str, redactor: Redactor, suffix: str, check: str,
    tmp_path: Path) -> None:
    "Nothing that was planted, and yet it may say something."
    trial = Bench(redactor, tmp_path, "mp4", suffix).run(CLIP[:4, ::2, ::2].copy())
    assert ck.CHECKS["clip"][check](trial)[0] == px.UNSURE, ck.CHECKS["clip"][check](trial)


def test_a_second_frame_is_not_called_clean(tmp_path: Path) -> None:
    "A WebP whose first frame is covered, and whose second is the source."
    def animates(source: Path, out: Path) -> None:
        covered(source).save(out, format="WEBP", save_all=True, append_images=[Image.open(source).convert("RGB")])
    verdict, evidence = ck.check_parts(Bench(animates, tmp_path, "webp", ".webp").run(PICTURE[None]))
    assert verdict == px.LEAKS and "animation" in evidence


def test_silence_is_clean() -> None:
    assert not leaks_of(leaktest(silent, PICTURE, ["mp4"]))


def test_a_redactor_that_makes_no_clip_of_a_clip() -> None:
    "A picture where a clip was asked for: nothing can be told of its streams, but secrets are searched for."
    def sheet(source: Path, out: Path) -> None:
        Image.fromarray(redact(PICTURE, box_matte(PICTURE.shape))).save(out, "PNG")
    rows = leaktest(sheet, PICTURE, ["mp4"])
    assert verdicts(rows)["covered pixels"] == px.UNSURE and not leaks_of(rows)


# files that are broken, and secrets that are hidden well

@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*ct.PARSERS]), st.data())
def test_walks_end_whatever_the_bytes_say(kind: str, data: st.DataObject) -> None:
    heads = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8", "webp": b"RIFF\xff\xff\xff\xffWEBP",
        "mp4": b"\0\0\0\x08ftyp", "mkv": b"\x1aE\xdf\xa3\x80"}
    blob = heads[kind] + data.draw(st.binary(max_size=200))
    parts = list(ct.PARSERS[kind](blob))
    assert len(parts) <= len(blob) and sum(len(body) for _, body in parts) <= len(blob)
    if kind in ct.CLIPS: assert len(list(ck.inner_parts(blob, kind))) <= len(blob)


@pytest.mark.parametrize("kind", pl.PLANT)
def test_broken_outputs_are_searched(kind: str, tmp_path: Path) -> None:
    "Cut anywhere, a file is still taken apart; and a secret in what is left of it is found."
    secrets, path = pl.Secrets(), tmp_path/f"whole.{kind}"
    pl.PLANT[kind](path, CLIP if kind in ct.CLIPS else PICTURE, secrets)
    whole = path.read_bytes()
    for share in (.1, .35, .6, .85):
        cut = tmp_path/f"cut.{kind}"
        cut.write_bytes(whole[:int(len(whole)*share)])
        parts = ct.parts_of(cut)
        for secret in secrets.values():
            if secret.encode() in cut.read_bytes(): assert pl.places(secret, parts)


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 7))
def test_secrets_are_found_however_they_are_written(before: bytes, after: bytes, n: int) -> None:
    secret = pl.Secrets()["any"]
    text = pl.spellings(secret)[n]
    assert pl.places(secret, [ct.part("it", before + text + after)]) == ["it"]
    assert pl.places(pl.Secrets()["any"], [ct.part("it", before + text + after)]) == []


# commands

def test_a_command_and_its_temporary_files(tmp_path: Path) -> None:
    script = tmp_path/"redactor.py"
    script.write_text("import sys, tempfile\nfrom PIL import Image\nim = Image.open(sys.argv[1]).convert('RGB')\n"
        "im.info.clear()\nif 'keep' in sys.argv: im.save(tempfile.mkstemp('.png')[1])\n"
        "im.paste((0, 0, 0), (20, 20, 200, 200))\nim.save(sys.argv[2])\n")
    words = [sys.executable, str(script), "{in}", "{out}"]
    assert status(leaktest(command(words), PICTURE, ["png"])) == 0
    assert leaks_of(leaktest(command([*words, "keep"]), PICTURE, ["png"])) == {"left behind"}


@pytest.mark.parametrize("words, why", [(["{in}"], "no {out}"), (["{out}"], "no {in}"), (["no-such-program", "{in}",
    "{out}"], "cannot be run"),
    ([sys.executable, "-c", "raise SystemExit('no such picture')", "{in}", "{out}"],
        "status 1: no such picture"), ([sys.executable, "-c", "", "{in}{out}"], "wrote no redacted.jpg")])
def test_commands_that_fail(words: list[str], why: str) -> None:
    with pytest.raises(Failed, match=re.escape(why)) as e: leaktest(command(words), PICTURE)
    assert "\n" not in str(e.value)


def test_a_command_that_does_not_end() -> None:
    with pytest.raises(Failed, match="longer than 1 second"):
        leaktest(command([sys.executable, "-c", "import time; time.sleep(60)", "{in}", "{out}"], limit=1), PICTURE,
            ["png"])


def test_an_unknown_kind_of_input() -> None:
    with pytest.raises(ValueError, match="choose of jpg, png, webp, mp4, mkv"): leaktest(careful, PICTURE, ["gif"])


BLACK = "import sys; from PIL import Image; im = Image.open(sys.argv[1]); Image.new('RGB', im.size).save(sys.argv[2])"
COPY = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"


def cli(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([COMMAND, "leaktest", *args], capture_output=True, text=True, timeout=300)


def test_the_command_line() -> None:
    done = cli("--inputs", "png", "--", sys.executable, "-c", BLACK, "{in}", "{out}")
    assert done.returncode == 0 and "0 leaks" in done.stdout, done
    done = cli("--inputs", "jpg,png", "--json", "--", sys.executable, "-c", COPY, "{in}", "{out}")
    rows = {r["check"]: r["verdict"] for r in json.loads(done.stdout)}
    assert done.returncode == 1 and rows["photo: EXIF"] == "leaks", done
    assert rows["photo: covered pixels"] == "cannot tell"


@pytest.mark.parametrize("args, why", [(["--inputs", "png"], "-- CMD {in} {out}"), (["--inputs", "gif", "--", "x",
    "{in}", "{out}"], "choose of jpg"), (["--picture", "none.png", "--", "x", "{in}", "{out}"], "none.png"),
    (["--", "no-such-program", "{in}", "{out}"],
        "cannot be run"), (["--inputs", "png", "--", sys.executable, "-c", "", "{in}",
        "{out}"], "wrote no redacted.png")])
def test_a_bad_command_line(args: list[str], why: str) -> None:
    done = cli(*args)
    assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, done
