"A mark that frames carry, and a search for it, and for the heads of picture files, in any bytes."
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MARK = (228, 20, 148)  # red, green, blue
ROW, NEAR = 16, 20     # pixels in a row, and how far each value may be off: JPEG changes them
HEADS = re.compile(rb"\xff\xd8\xff[\xe0-\xef\xdb\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|\x1aE\xdf\xa3"
    rb"|(?:/9j/|iVBORw0KGgo|UklGR|GkXfo)[A-Za-z0-9+/]{60}|\\xff\\xd8\\xff|\\x89PNG", re.S)


def marked_film(folder: Path) -> Path:
    "A street with the mark in its lower left corner and numbers in the upper."
    from kit.numbered import stamp, write_mjpeg

    from camredact.streets.street import draw_clip
    frames = [stamp(scene.picture.copy(), n) for n, scene in enumerate(draw_clip(5, 12, 240, 320, fps=15))]
    for frame in frames: frame[-72:, :72] = MARK
    return write_mjpeg(folder / "marked.mjpeg", frames, 30)


def has_mark(data: bytes) -> bool:
    "Whether somewhere ROW pixels in a row are nearly MARK: interleaved, with or without alpha, in either order."
    values = np.frombuffer(data, np.uint8).astype(np.int16)
    near = [np.abs(values - v) < NEAR for v in MARK]
    for order in (near, near[::-1]):
        for step in (3, 4):
            n = len(values) - step*ROW
            if n > 0 and np.logical_and.reduce([order[k][step*i + k:step*i + k + n] for i in range(ROW)
                for k in range(3)]).any():
                return True
    return False


def pictures(data: bytes) -> list[str]:
    "What in these bytes looks like a picture."
    return [repr(m[0][:20]) for m in HEADS.finditer(data)] + ["the mark"]*has_mark(data)


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    "Every file below a folder."
    for path in sorted(folder.rglob("*")):
        if path.is_file(): yield str(path.relative_to(folder)), path.read_bytes()
