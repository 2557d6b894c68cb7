"The number in a frame's corner: read where it is, and nowhere else."
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from kit.numbered import checksum, corner, read_stamp, stamp, write_mjpeg

from camredact.core.redact import checkerboard
from camredact.streets.street import draw_clip, draw_street

NUMBERS = np.random.default_rng(1).permutation(65536)[:1000].tolist()
STREETS = [draw_street(seed).picture for seed in (36, 38, 7, 44)]


def test_no_two_wrong_bits_go_unnoticed() -> None:
    for i in range(16):
        for j in range(16):
            assert i == j or checksum(2026 ^ 1 << i ^ 1 << j) != checksum(2026) != checksum(2026 ^ 1 << i)


def test_stamps_survive_scaling_and_jpeg() -> None:
    "A thousand numbers, scaled between a half and two, also out of proportion, as JPEGs of quality 50."
    sizes = (120, 160), (167, 223), (240, 320), (256, 320), (256, 192), (331, 441), (480, 640)
    filters = cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST
    for i, n in enumerate(NUMBERS):
        scaled = cv2.resize(stamp(STREETS[i % 4], n), sizes[i % 7][::-1], interpolation=filters[i % 3])
        data = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        assert read_stamp(cv2.imdecode(data, cv2.IMREAD_COLOR)) == n


@pytest.mark.parametrize("size", [(120, 160), (240, 320), (320, 240)], ids=str)
def test_stamps_survive_video(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = (stamp(s.picture, 1000*i) for i, s in enumerate(draw_clip(2, 30, *size)))
    with av.open(str(write_mjpeg(tmp_path/"film.mjpeg", frames))) as box:
        assert [read_stamp(f.to_ndarray(format="rgb24")) for f in box.decode(video=0)] == list(range(0, 30000, 1000))


def test_nothing_is_read_where_there_is_no_stamp() -> None:
    rng = np.random.default_rng(3)
    plain = [np.full((240, 320, 3), v, np.uint8) for v in (0, 109, 128, 219, 255)]
    noise = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(20)]
    coarse = [np.kron(rng.integers(0, 2, (30, 40, 1)), np.full((8, 8, 3), 255)).astype(np.uint8) for _ in range(200)]
    for picture in STREETS + plain + noise + coarse: assert read_stamp(picture) is None


@pytest.mark.parametrize("square", [2, 3, 5, 7.5, 8, 10, 15, 16, 20, 30, 40])
def test_checkerboards_are_not_numbers(square: float) -> None:
    y, x = np.ogrid[:240, :320]
    steps = np.arange(0, 2*square, max(1, square/4))
    for dy, dx in ((dy, dx) for dy in steps for dx in steps):
        odd = ((y + dy)//square + (x + dx)//square) % 2
        for dark, light in ((109, 219), (0, 255)):
            assert read_stamp(np.where(odd, light, dark).astype(np.uint8)[..., None].repeat(3, 2)) is None


def test_covered_stamps_are_not_other_numbers() -> None:
    board, rng = checkerboard(240, 320), np.random.default_rng(4)
    assert read_stamp(board) is None
    for n in NUMBERS:
        picture = stamp(STREETS[0], n)
        y, x, h, w = rng.integers((0, 0, 4, 4), (30, 80, 40, 40))
        picture[y:y+h, x:x+w] = board[y:y+h, x:x+w]
        assert read_stamp(picture) in (n, None)


def test_one_grey_cell_puts_all_in_doubt() -> None:
    "Even where the rest would be another number with its right checksum."
    more = next(n for n in range(65535, 0, -1) if n & 2026 == 2026 != n
        and checksum(n) & checksum(2026) == checksum(2026))
    picture, less = stamp(STREETS[0], more), stamp(STREETS[0], 2026)
    assert read_stamp(picture) == more
    corner(picture)[corner(picture) != corner(less)] = 128
    assert read_stamp(picture) is None
