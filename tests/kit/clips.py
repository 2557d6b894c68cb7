"Films, clips and pictures to play or to redact."
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FRAMES, SEED = 90, 3  # the film: how long, and which street


def jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    "A JPEG of a picture, uint8[H,W,3] RGB."
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def draw_film(folder: Path) -> None:
    "Writes the film, and what is known of it."
    from kit.numbered import stamp, write_mjpeg

    from camredact.streets.street import draw_clip
    scenes = list(draw_clip(SEED, FRAMES, 240, 320, fps=15))
    write_mjpeg(folder / "street.mjpeg", [stamp(s.picture, n) for n, s in enumerate(scenes)], 30)
    np.savez_compressed(folder / "street.npz", labels=np.stack([s.labels for s in scenes]))


KEPT: dict[tuple, bytes] = {}  # clips that were encoded in this session


def write(
    path: Path,  # the suffix chooses the container
    frames: list[np.ndarray],  # uint8[H,W,3] RGB
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    rate: int = 15,  # frames a second
    times: list[int] | None = None,  # of the frames, in milliseconds
    matrix: list[int] | None = None,  # how a player is to turn the picture
    notes: dict[str, str] | None = None,  # of the stream
    ratio: Fraction | None = None,  # width of a pixel to its height
    **options: str,  # of the codec; movflags of the container
) -> Path:
    "A clip; equal clips are encoded once a session."
    key = (path.suffix, b"".join(map(np.ndarray.tobytes, frames)), frames[0].shape, codec, pix_fmt, rate,
        str((times, matrix, notes, ratio, options)))
    if key in KEPT: path.write_bytes(KEPT[key])
    else: KEPT[key] = encode(path, frames, codec, pix_fmt, rate, times, matrix, notes, ratio, options).read_bytes()
    return path


def encode(path: Path, frames: list[np.ndarray], codec: str, pix_fmt: str, rate: int, times: list[int] | None,
        matrix: list[int] | None, notes: dict[str, str] | None, ratio: Fraction | None, options: dict[str,
            str]) -> Path:
    "A clip, as `write` says."
    with av.open(str(path), "w", options={k: options.pop(k) for k in ("movflags",) if k in options}) as box:
        stream = box.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        if matrix: stream.set_display_matrix(matrix)
        if ratio: stream.codec_context.sample_aspect_ratio = ratio
        stream.metadata.update(notes or {})
        if times: stream.codec_context.time_base = Fraction(1, 1000)
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            if times: frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())
    return path
