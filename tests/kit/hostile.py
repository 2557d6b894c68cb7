"""Files that were made to hurt: each from a seed, and a campaign that feeds them to a child process and looks on.

Truncated, with bits flipped, bytes swapped or parts repeated, bombs, CMYK, 16-bit, animated, without sides, huge.
"""
import io
import multiprocessing as mp
import struct
import time
import zlib
from collections import Counter
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from PIL import Image

from kit.fakes import Even

LONGEST, MOST = 2., 1 << 30  # seconds over one file; bytes of memory
KINDS: dict[str, Any] = {}   # names of files to begin with, and what makes them


def kind(f: Any) -> Any:
    "Adds a maker of files: takes a random generator, gives bytes."
    KINDS[f.__name__.replace("_", " ")] = f
    return f


def save(im: Image.Image, format: str, **more: Any) -> bytes:
    "A picture as a file."
    out = io.BytesIO()
    im.save(out, format, **more)
    return out.getvalue()


def noise(rng: np.random.Generator, shape: tuple[int, ...] = (48, 64, 3)) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 0) -> bytes:
    "A PNG with any header and any data."
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR",
        struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@kind
def jpeg(rng: np.random.Generator) -> bytes: return cv2.imencode(".jpg", noise(rng))[1].tobytes()


@kind
def progressive_jpeg(rng: np.random.Generator) -> bytes:
    return save(Image.fromarray(noise(rng)), "JPEG", progressive=True)


@kind
def cmyk_jpeg(rng: np.random.Generator) -> bytes: return save(Image.fromarray(noise(rng, (48, 64, 4)), "CMYK"), "JPEG")


@kind
def grey_jpeg(rng: np.random.Generator) -> bytes: return save(Image.fromarray(noise(rng, (48, 64))), "JPEG")


@kind
def turned_jpeg(rng: np.random.Generator) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(0, 12))
    return save(Image.fromarray(noise(rng)), "JPEG", exif=exif)


@kind
def rgba_png(rng: np.random.Generator) -> bytes: return save(Image.fromarray(noise(rng, (48, 64, 4))), "PNG")


@kind
def png_of_16_bit(rng: np.random.Generator) -> bytes:
    return cv2.imencode(".png", noise(rng, (48, 64)).astype(np.uint16)*257)[1].tobytes()


@kind
def palette_png(rng: np.random.Generator) -> bytes:
    return save(Image.fromarray(noise(rng)).quantize(7), "PNG", transparency=3)


@kind
def webp(rng: np.random.Generator) -> bytes:
    return save(Image.fromarray(noise(rng)), "WEBP", lossless=bool(rng.integers(2)))


def _frames(rng: np.random.Generator) -> list[Image.Image]: return [Image.fromarray(noise(rng)) for _ in range(3)]


def animated(
    format: str,  # of Pillow's
) -> Any:
    "A maker of films of three frames."
    def make(rng: np.random.Generator) -> bytes:
        first, *more = _frames(rng)
        return save(first, format, save_all=True, append_images=more)
    return make


KINDS |= {f"animated {format}": animated(format) for format in ("WEBP", "PNG", "GIF")}


@kind
def bomb(rng: np.random.Generator) -> bytes:
    "Few bytes that become many: as large as is just allowed, or far beyond."
    side = int(rng.choice([1024, 1025, 7900, 8100, 20_000, 60_000]))
    return png(side, side, rows(min(side, 8100)))


@cache
def rows(side: int) -> bytes:
    "The data of a black picture that is that wide and high."
    return zlib.compress(bytes(side*(side + 1)), 1)


@kind
def jpeg_of_many_passes(rng: np.random.Generator) -> bytes:
    "A black picture, and some bytes that send the decoder over it again: a few times, or ever so often."
    head, again = black_jpeg()
    return head + again*int(rng.choice([10, 1000, 80_000])) + b"\xff\xd9"


@cache
def black_jpeg() -> tuple[bytes, bytes]:
    "As large as a frame may be: the file but for its end, and its last pass."
    data = save(Image.new("RGB", (1024, 1024)), "JPEG", progressive=True)[:-2]
    return data, data[data.rindex(b"\xff\xda"):]


@kind
def jpeg_that_claims_more(rng: np.random.Generator) -> bytes:
    "A small JPEG whose header says that it is large: as large as a frame may just not be, or far beyond."
    data = bytearray(jpeg(rng))
    at = data.index(b"\xff\xc0") + 5
    data[at:at + 4] = struct.pack(">HH", *rng.choice([1, 1024, 1025, 8000, 60_000], 2))
    return bytes(data)


@kind
def sides_of_nought(rng: np.random.Generator) -> bytes: return png(int(rng.integers(2)), 0, zlib.compress(b""))


@kind
def another_depth(rng: np.random.Generator) -> bytes:
    return png(64, 48, zlib.compress(bytes(64*48*9)), int(rng.choice([1, 2, 4, 16, 3, 99])),
        int(rng.choice([0, 2, 3, 4, 6, 5])))


@kind
def noise_with_a_head(rng: np.random.Generator) -> bytes:
    return bytes(rng.choice([b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWEBP",
        b""])) + rng.bytes(int(rng.integers(2000)))


@cache
def film(codec: str, format: str) -> bytes:
    "Eight small frames."
    import av
    out, rng = io.BytesIO(), np.random.default_rng(3)
    with av.open(out, "w", format=format, options={"fflags": "+bitexact"}) as box:
        stream = box.add_stream(codec, rate=15, options={"g": "4", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(8): box.mux(stream.encode(av.VideoFrame.from_ndarray(noise(rng), "rgb24")))
        box.mux(stream.encode())
    return out.getvalue()


@kind
def clip(rng: np.random.Generator) -> bytes:
    return film(*[("mpeg4", "mp4"), ("mjpeg", "avi"), ("libvpx", "matroska"),
        ("mpeg2video", "mpegts")][int(rng.integers(4))])


def cleaned(data: bytes) -> bool:
    "Whether a clip came of it; one that shows what is hidden fails here, and so does an error of several lines."
    from tempfile import TemporaryDirectory

    from camredact.media.clip import redact_clip
    from camredact.media.reader import BadClip, ClipReader
    from camredact.core.redact import checkerboard
    with TemporaryDirectory() as folder:
        source, out = Path(folder)/"in", Path(folder)/"out.mp4"
        source.write_bytes(data)
        try: done = redact_clip(source, out, segmenter=Even(), progress=False)
        except BadClip as e:
            assert str(e) and "\n" not in str(e) and not out.exists(), e
            return False
        shots = list(ClipReader(out))
        assert len(shots) == done.frames
        for s in shots:
            upper = np.s_[:s.rgb.shape[0]//2 - 3]
            off = np.abs(s.rgb[upper].astype(int) - checkerboard(*s.rgb.shape[:2])[upper]).mean()
            assert off < 16, "a clip shows what is hidden"
        return True


def spoil(
    data: bytes,
    rng: np.random.Generator,
) -> bytes:
    "Damage, or none."
    b, n = bytearray(data), len(data)
    for how in rng.choice(["cut", "flip", "set", "repeat", "drop", "none", "none"], 2):
        if n < 4: break
        at = int(rng.integers(n))
        if how == "cut": b = b[:at]
        if how == "flip": b[at] ^= 1 << int(rng.integers(8))
        if how == "set": b[at:at + 4] = rng.bytes(4)
        if how == "repeat": b[at:at] = b[at:at + int(rng.integers(64))]
        if how == "drop": del b[at:at + int(rng.integers(64))]
        n = len(b)
    return bytes(b)


def made(seed: int) -> tuple[str, bytes]:
    "The file of a seed, and of which kind it is."
    rng = np.random.default_rng(seed)
    name = list(KINDS)[seed % len(KINDS)]
    return name, spoil(KINDS[name](rng), rng)


def child(pipe: Connection) -> None:
    "Takes seeds, gives what became of their files; ends when it gets None."
    from queue import Queue

    from camredact.core.picture import FRAME_PIXELS, STILL_PIXELS, BadPicture, read_still
    from camredact.live.session import PROTOCOL, Session
    answers: Queue = Queue()
    message = {"kind": "frame", "protocol": PROTOCOL, "page": "p", "hidden": ["Car"], "bar": 0, "dial": "precise",
        "model": "even", "zones": []}
    with Session(load=lambda name: Even(), models=["even"]) as session:
        while (seed := pipe.recv()) is not None:
            name, data = made(seed)
            began = time.process_time()  # of all its threads: what else the machine does is no fault of the file's
            session.submit({**message, "id": seed}, [data], lambda answer, pngs: answers.put((answer, pngs)))
            answer, pngs = answers.get()
            if pngs:
                visible = cv2.imdecode(np.frombuffer(pngs[0], np.uint8), cv2.IMREAD_UNCHANGED)
                assert visible.size <= FRAME_PIXELS
                assert not visible[:len(visible)//2].any(), "a frame shows what is hidden"
            else: assert answer["error"] and "\n" not in answer["error"], answer
            try: rgb = read_still(data)
            except BadPicture as e: assert str(e) and "\n" not in str(e)
            else: assert rgb.dtype == np.uint8 and rgb.shape[2:] == (3,) and 0 < rgb.size <= 3*STILL_PIXELS
            pipe.send((name, "frame" if pngs or name == "clip" and cleaned(data) else "refused",
                time.process_time() - began))


def campaign(
    seconds: float = 1e9,     # how long at most
    first: int = 0,           # the first seed
    files: float = 1e9,       # how many at most
) -> dict:
    "How many files, what became of them, the most work and memory; `failed` names seeds."
    pipe, theirs = mp.get_context("spawn").Pipe()
    process = mp.get_context("spawn").Process(target=child, args=(theirs,), daemon=True)
    process.start()
    watched, met, slowest, most, failed, seed = psutil.Process(process.pid), Counter(), 0., 0, [], first
    until, base = time.monotonic() + seconds, time.monotonic() + 60  # for the imports
    while time.monotonic() < until and seed - first < files:
        pipe.send(seed)
        while not pipe.poll(.02):
            most = max(most, watched.memory_info().rss if process.is_alive() else 0)
            if not process.is_alive() or time.monotonic() - base > 15: break
        try:
            if not pipe.poll(): raise EOFError
            name, became, took = pipe.recv()
        except EOFError:
            failed.append({"seed": seed, "kind": made(seed)[0],
                "why": f"the process died or hung (exit status {process.exitcode})"})
            break
        base, slowest = time.monotonic(), max(slowest, took)
        met[f"{name}, {became}"] += 1
        if took > LONGEST: failed.append({"seed": seed, "kind": name, "why": f"{took:.1f} s of work"})
        seed += 1
    if most > MOST: failed.append({"seed": None, "kind": "", "why": f"{most/2**20:.0f} MB"})
    if process.is_alive():
        pipe.send(None)
        process.join(5)
        process.kill()
    return {"files": seed - first, "slowest_s": round(slowest, 2), "most_mb": round(most/2**20),
        "became": dict(sorted(met.items())), "failed": failed}
