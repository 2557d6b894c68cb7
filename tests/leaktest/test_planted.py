"""Redactors that leak where readers do not look. The pictures that they show are clean; each file still has the source.

A row is a format, and a function of what is shown and of the source: it gives the bytes of the file, or writes them.
"""
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from camredact.leaktest import plant as pl
from camredact.leaktest.pixels import CLEAN, LEAKS, RECOGNISABLE, frames
from camredact.leaktest.run import leaktest, status
from camredact.streets.street import draw_clip, draw_street

PICTURE = draw_street(3, 240, 320).picture
CLIP = np.stack([scene.picture for scene in draw_clip(2, 4, 160, 192, fps=10)])


def hidden(pictures: np.ndarray) -> np.ndarray:
    "A black box over the middle of one picture or more."
    done = pictures.copy()
    h, w = done.shape[-3:-1]
    done[..., h//4:h, w//4:3*w//4, :] = 0
    return done


# photos

def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rows(samples: np.ndarray, filters: np.ndarray | None = None) -> bytes:
    "The rows of a PNG; those with filter 1 as differences of pixels."
    flat = np.ascontiguousarray(samples).view(np.uint8).reshape(len(samples), -1)
    filters = np.zeros(len(flat), np.uint8) if filters is None else filters
    step = samples.shape[-1]
    left = np.pad(flat, ((0, 0), (step, 0)))[:, :-step]
    return np.c_[filters, np.where(filters[:, None] == 1, flat - left, flat)].tobytes()


def png(shape: tuple[int, ...], stream: bytes, depth: int = 8, colour: int = 2, before: bytes = b"",
    after: bytes = b"", pieces: list[int] | None = None) -> bytes:
    "A PNG of these rows, packed; with chunks before and after them, in pieces that end there."
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], depth, colour, 0, 0, 0))
    ends = [0, *(pieces or []), len(stream)]
    idat = b"".join(chunk(b"IDAT", stream[a:b]) for a, b in zip(ends, ends[1:]))
    return b"\x89PNG\r\n\x1a\n" + head + before + idat + after + chunk(b"IEND", b"")


def packed(picture: np.ndarray, more: bytes = b"") -> bytes: return zlib.compress(rows(picture) + more)
def bits(source: np.ndarray, n: int) -> np.ndarray: return (source[100:220:3, 110:210:3, 1].reshape(-1)[:n] > 99)*1
def digest(source: np.ndarray) -> bytes: return hashlib.sha256(source.tobytes()).digest()
def low_byte(a: np.ndarray, b: np.ndarray) -> np.ndarray: return (a.astype(np.uint16) << 8 | b).astype(">u2")


def holes(shown: np.ndarray, source: np.ndarray) -> bytes:
    "The source's colours under alpha 0."
    visible = (shown == source).all(2)
    return png(shown.shape, packed(np.dstack([source, visible*np.uint8(255)])), colour=6)


def numbers(shown: np.ndarray, source: np.ndarray) -> bytes:
    "A palette in which half of the colours are black; which of them a pixel has tells how bright it was."
    few = Image.fromarray(shown).quantize(128, dither=Image.Dither.NONE)
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(few.getpalette(), np.uint8).reshape(-1, 3)[:128]
    table[:len(colours)] = colours
    hide = (shown != source).any(2)
    index = np.where(hide, 128 + source[..., 1]//2, np.asarray(few))[..., None].astype(np.uint8)
    return png(shown.shape, packed(index), colour=3, before=chunk(b"PLTE", table.tobytes()))


def animation(shown: np.ndarray, source: np.ndarray) -> bytes:
    data = BytesIO()
    Image.fromarray(shown).save(data, "PNG", save_all=True, append_images=[Image.fromarray(source)])
    return data.getvalue()


def jpeg(picture: np.ndarray, **more: object) -> bytes:
    data = BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=95, **more)
    return data.getvalue()


def segment(kind: int, body: bytes) -> bytes: return struct.pack(">BBH", 255, kind, len(body) + 2) + body


def with_segment(shown: np.ndarray, kind: int, body: bytes) -> bytes:
    data = jpeg(shown)
    return data[:2] + segment(kind, body) + data[2:]


def half_height(shown: np.ndarray, source: np.ndarray) -> bytes:
    data = jpeg(np.vstack([shown, source]))
    at = data.index(b"\xff\xc0")
    return data[:at + 5] + struct.pack(">H", len(shown)) + data[at + 7:]


def filling(shown: np.ndarray, source: np.ndarray) -> bytes:
    "As many fill bytes before a marker as a pixel under the cover is bright."
    data = jpeg(shown)
    return data[:2] + b"\xff"*int(source[160:200, 120:200].mean()*9) + data[2:]


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(picture: np.ndarray) -> bytes:
    data = BytesIO()
    Image.fromarray(picture).save(data, "WEBP", quality=95)
    return data.getvalue()[12:]


def piece(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def canvas(shown: np.ndarray) -> bytes:
    "The header of a WebP with more than a picture; no flag is set."
    sides = b"".join((n - 1).to_bytes(3, "little") for n in shown.shape[1::-1])
    return piece(b"VP8X", bytes(4) + sides)


Photo = Callable[[np.ndarray, np.ndarray], bytes]
PHOTOS: dict[str, tuple[str, Photo]] = {
    "rows behind the last row": ("png", lambda a, b: png(a.shape, packed(a, rows(b)))),
    "bytes behind the stream": ("png", lambda a, b: png(a.shape, packed(a) + packed(b))),
    "low byte of 16 bits": ("png", lambda a, b: png(a.shape, packed(low_byte(a, b)), 16)),
    "numbers of a palette": ("png", numbers),
    "filters of rows": ("png", lambda a, b: png(a.shape, zlib.compress(rows(a, bits(b, len(a)).astype(np.uint8))))),
    "lengths of chunks": ("png", lambda a, b: png(a.shape, packed(a),
        pieces=np.cumsum(8 + bits(b, 400)).tolist())),
    "how well it is packed": ("png", lambda a, b: png(a.shape, zlib.compress(rows(a), int(b[180, 160, 1])//26))),
    "private chunk": ("png", lambda a, b: png(a.shape, packed(a), before=chunk(b"prVt", packed(b)))),
    "text": ("png", lambda a, b: png(a.shape, packed(a), after=chunk(b"tEXt", b"id\0" + digest(b).hex().encode()))),
    "behind the end": ("png", lambda a, b: png(a.shape, packed(a)) + packed(b)),
    "frame of an animation": ("png", animation),
    "rows below the height": ("jpg", half_height),
    "longer APP14": ("jpg", lambda a, b: with_segment(a, 0xEE, b"Adobe\0\x64\0\0\0\0\x01" + jpeg(b)[:60000])),
    "unused table": ("jpg",
        lambda a, b: with_segment(a, 0xDB, b"\3" + bytes(b[150:230:10, 120:200:10, 1].reshape(-1)))),
    "comment": ("jpg", lambda a, b: jpeg(a, comment=digest(b))),
    "fill bytes": ("jpg", filling),
    "thumbnail": ("jpg", lambda a, b: with_segment(a, 0xE0, b"JFXX\0\x13\x28\x1e" + b[::8, ::8].tobytes())),
    "second picture": ("webp", lambda a, b: riff(webp(a), webp(b))),
    "unused alpha": ("webp", lambda a, b: riff(canvas(a), piece(b"ALPH", b"\0" + b[..., 1].tobytes()), webp(a))),
    "chunk of its own": ("webp", lambda a, b: riff(webp(a), piece(b"PRVT", digest(b)))),
    "behind the file": ("webp", lambda a, b: riff(webp(a)) + digest(b))}


# clips

def write(path: Path, pictures: np.ndarray, start: int = 0, container: dict[str, str] | None = None,
    through: str | None = None, notes: dict[str, str] | None = None) -> None:
    "A film of key frames, from frame `start` on, through a bitstream filter."
    with av.open(str(path), "w", options={"fflags": "+bitexact", **(container or {})}) as box:
        film = pl.add_film(box, pictures)
        box.metadata.update(notes or {})
        film.codec_context.gop_size = 1
        box.start_encoding()
        sieve = BitStreamFilterContext(through, in_stream=film) if through else None
        for frame in (*(av.VideoFrame.from_ndarray(p, "rgb24") for p in pictures), None):
            for packet in film.encode(frame):
                shift = round(start/10/packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                for ready in sieve.filter(packet) if sieve else [packet]: box.mux(ready)


def edit_list(out: Path, shown: np.ndarray, source: np.ndarray) -> None:
    write(out, np.concatenate([source[:1], shown]), -1, {"avoid_negative_ts": "disabled"})


def crop(out: Path, shown: np.ndarray, source: np.ndarray) -> None:
    "Frames twice as high. MP4's `clap` and Matroska's PixelCrop can tell players to show the upper half."
    write(out, np.concatenate([shown, source], 1))


def appended(body: Callable[[np.ndarray], bytes]) -> Callable[[Path, np.ndarray, np.ndarray], None]:
    def leak(out: Path, shown: np.ndarray, source: np.ndarray) -> None:
        write(out, shown)
        with out.open("ab") as f: f.write(body(source))
    return leak


def box_of(name: bytes, body: bytes) -> bytes: return struct.pack(">I4s", len(body) + 8, name) + body
def void(body: bytes) -> bytes: return b"\xec" + (1 << 56 | len(body)).to_bytes(8, "big") + body


def second_film(out: Path, shown: np.ndarray, source: np.ndarray) -> None:
    "A track that is not the default."
    with av.open(str(out), "w") as box:
        films = [pl.add_film(box, pictures) for pictures in (shown, source)]
        films[1].disposition = av.stream.Disposition(0)
        for film, pictures in zip(films, (shown, source)): pl.mux_film(box, film, pictures)


def sound(out: Path, shown: np.ndarray, source: np.ndarray) -> None:
    "A sound that nobody hears: its samples are the pixels, at a thousandth."
    with av.open(str(out), "w") as box:
        film = pl.add_film(box, shown)
        track = box.add_stream("pcm_s16le" if out.suffix == ".mkv" else "aac", rate=16000, layout="mono")
        quiet = av.AudioFrame.from_ndarray(source[0, ..., 1].reshape(1, -1).astype(np.int16)//2, "s16", "mono")
        quiet.sample_rate = 16000
        quiet.time_base = Fraction(1, 16000)
        box.mux([*track.encode(quiet), *track.encode(None)])
        pl.mux_film(box, film, shown)


SEI = "h264_metadata=sei_user_data=086f3693b7b34f2c965321492feee5b8+"
Clip = Callable[[Path, np.ndarray, np.ndarray], None]
CLIPS: dict[str, tuple[str, Clip]] = {
    "edit list": ("mp4", edit_list),
    "cropped frames": ("mp4", crop),
    "cropped frames in Matroska": ("mkv", crop),
    "free space": ("mp4", appended(lambda b: box_of(b"free", b[0].tobytes()))),
    "data that no table points to": ("mp4", appended(lambda b: box_of(b"mdat", b[0].tobytes()))),
    "note of the encoder": ("mp4", lambda out, a, b: write(out, a, through=SEI + digest(b).hex())),
    "title": ("mp4", lambda out, a, b: write(out, a, notes={"title": digest(b).hex()})),
    "second film": ("mp4", second_film),
    "sound": ("mkv", sound),
    "void": ("mkv", appended(lambda b: void(b[0].tobytes()))),
    "tag": ("mkv", lambda out, a, b: write(out, a, notes={"summary": digest(b).hex()}))}


def photo(encode: Photo) -> Callable[[Path, Path], None]:
    def redactor(source: Path, out: Path) -> None:
        with Image.open(source) as im: picture = np.asarray(im.convert("RGB"))
        out.write_bytes(encode(hidden(picture), picture))
    return redactor


def clip(encode: Clip) -> Callable[[Path, Path], None]:
    def redactor(source: Path, out: Path) -> None:
        pictures = np.ascontiguousarray(frames(source)[..., :3])
        encode(out, hidden(pictures), pictures)
    return redactor


def attribute(source: Path, out: Path) -> None:
    "A small picture in an attribute of the file."
    with Image.open(source) as im: picture = np.asarray(im.convert("RGB"))
    Image.fromarray(hidden(picture)).save(out)
    os.setxattr(out, "user.preview", cv2.resize(picture, (32, 24)).tobytes())


LEAKY = {**{name: (kind, photo(leak)) for name, (kind, leak) in PHOTOS.items()},
    **{name: (kind, clip(leak)) for name, (kind, leak) in CLIPS.items()},
    "colours of holes": ("png", photo(holes)), "attribute": ("png", attribute)}


@pytest.mark.parametrize("name", LEAKY)
def test_what_readers_pass_over_is_found(name: str) -> None:
    kind, redactor = LEAKY[name]
    rows = leaktest(redactor, PICTURE, [kind], clip=CLIP)
    found = {r.check.split(": ")[1]: r.verdict for r in rows}
    assert status(rows) == 1, "\n".join(map(str, rows))
    where = ("unseen bytes", "colour under alpha 0", "parts not needed")
    assert LEAKS in [found.get(row) for row in where], "\n".join(map(str, rows))


PLAIN = {"png": photo(lambda a, b: png(a.shape, packed(a))), "jpg": photo(lambda a, b: jpeg(a)),
    "webp": photo(lambda a, b: riff(webp(a))), "mp4": clip(lambda out, a, b: write(out, a)),
    "mkv": clip(lambda out, a, b: write(out, a))}


@pytest.mark.parametrize("kind", PLAIN)
def test_the_same_files_without_a_leak_are_clean(kind: str) -> None:
    rows = leaktest(PLAIN[kind], PICTURE, [kind], clip=CLIP)
    assert {r.verdict for r in rows} <= {CLEAN, RECOGNISABLE}, "\n".join(map(str, rows))
