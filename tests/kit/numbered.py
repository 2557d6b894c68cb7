"""Films whose frames carry their number in a corner, so that a test can tell which frame it sees.

The number survives scaling, also out of proportion, JPEG and video. It takes four rows of eight cells, white for one:
a mark, sixteen bits of number and eight of checksum. Where a cell is in doubt, no number is read.
"""
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

ROWS, COLUMNS = 4, 8
SHARE = (1/8, 1/4)               # of the picture's height and width that a stamp takes
MARK = (1, 1, 1, 0, 0, 1, 0, 1)  # runs of three, two and one: no stripes and no checkerboard have these
BLACK, WHITE = 70, 185           # tones up to and from which a cell counts as black or white


def checksum(number: int) -> int:
    "The CRC-8 of sixteen bits, started at 255."
    crc = 255
    for byte in divmod(number, 256):
        crc ^= byte
        for _ in range(8): crc = (crc << 1 ^ (7 if crc & 128 else 0)) & 255
    return crc


def cells(number: int) -> np.ndarray:
    "The mark, the number and its checksum, uint8[4,8] of 0 and 1."
    high, low = divmod(number, 256)
    rows = [[byte >> i & 1 for i in range(7, -1, -1)] for byte in (high, low, checksum(number))]
    return np.array([MARK, *rows], np.uint8)


def corner(picture: np.ndarray) -> np.ndarray:
    "A view of the upper left part, where a stamp is."
    return picture[:round(picture.shape[0]*SHARE[0]), :round(picture.shape[1]*SHARE[1])]


def stamp(picture: np.ndarray, number: int) -> np.ndarray:
    "A new picture with a number from 0 to 65535 in the upper left corner."
    assert 0 <= number < 65536, number
    out = picture.copy()
    spot = corner(out)
    spot[:] = 255*cv2.resize(cells(number), spot.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)[..., None]
    return out


def read_stamp(picture: np.ndarray) -> int | None:
    "The number in the corner; None where there is none, or where any cell is in doubt."
    spot = corner(picture)
    if spot.shape[0] < ROWS or spot.shape[1] < COLUMNS: return None
    fine = cv2.resize(spot.mean(2, dtype=np.float32), (4*COLUMNS, 4*ROWS), interpolation=cv2.INTER_AREA)
    tones = fine.reshape(ROWS, 4, COLUMNS, 4)[:, 1:3, :, 1:3].mean((1, 3))
    if ((tones > BLACK) & (tones < WHITE)).any(): return None
    bits = (tones >= WHITE).astype(np.uint8)
    high, low = np.packbits(bits)[1:3].tolist()
    number = 256*high + low
    return number if np.array_equal(bits, cells(number)) else None


def write_mjpeg(path: Path, pictures: Iterable[np.ndarray], fps: float = 30) -> Path:
    "A clip for Chromium's fake camera, which reads JPEGs one after another and plays them over and over."
    with av.open(str(path), "w", format="mjpeg") as box:
        stream = box.add_stream("mjpeg", Fraction(fps), options={"qmin": "2", "qmax": "4"})
        stream.pix_fmt = "yuvj420p"
        for i, picture in enumerate(pictures):
            if i == 0: stream.height, stream.width = picture.shape[:2]
            if i == 0: stream.bit_rate = round(4*fps*picture[..., 0].size)
            box.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        box.mux(stream.encode())
    return path
