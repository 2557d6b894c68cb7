"Photos of every kind and size that people bring."
import os
import subprocess
import sys
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from camredact.core import picture
from camredact.core.picture import MAX_SIDE, BadPicture, read_file, read_still
from camredact.media.photo import redact_photo, redact_photos
from camredact.streets.street import draw_street
from kit.fakes import Even

register_heif_opener()


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "GIF", "TIFF", "BMP"])
def test_photos_of_other_formats_are_read_by_default(tmp_path: Path, kind: str) -> None:
    street = draw_street(2, 96, 128).picture
    Image.fromarray(street).save(tmp_path/f"in.{kind.lower()}", kind)
    done = redact_photos([tmp_path], tmp_path/"out", segmenter=Even(), dial="precise", progress=False)
    assert len(done.written) == 1 and not done.failed
    out = np.asarray(Image.open(done.written[0]))
    assert (out[:47, :, 3] == 0).all() and np.abs(out[50:, :, :3].astype(int) - street[50:]).mean() < 12


@pytest.mark.parametrize("note", range(1, 9))
@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "JPEG"])
def test_photos_of_other_formats_come_out_upright(note: int, kind: str) -> None:
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:32, :48] = 250
    turns = {1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.swapaxes(0, 1), 6: np.rot90(rgb),
        7: rgb[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(rgb, -1)}
    exif, out = Image.Exif(), BytesIO()
    exif[0x0112] = note
    Image.fromarray(np.ascontiguousarray(turns[note])).save(out, kind, exif=exif)
    assert np.abs(read_still(out.getvalue()).astype(int) - rgb).mean() < 8


def test_a_large_photo_takes_little_more_than_its_pixels(tmp_path: Path) -> None:
    "65 megapixels, which is 195 MB, turned by a quarter: what a process of its own takes at most."
    im = Image.new("RGB", (10_000, 6_500), (140, 150, 160))
    im.paste((250, 0, 0), (4000, 3000, 5000, 3500))
    exif = Image.Exif()
    exif[0x0112] = 6
    im.save(tmp_path/"in.jpg", quality=75, exif=exif)
    code = f"""import re, sys
import numpy as np
from camredact.media.photo import redact_photo
class Red:
    name, budget = "red", 544*416
    def score(self, rgb, weights):
        red, other = rgb[..., 0], np.maximum(rgb[..., 1], rgb[..., 2])
        score = ((red > 60) & (red - 60 > other)).astype(np.float32)*weights[16]
        return score, np.ones_like(score)
for name, style in (("/out.png", "checkerboard"), ("/out.jpg", "checkerboard"), ("/box.jpg", "box")):
    redact_photo({str(tmp_path/'in.jpg')!r}, {str(tmp_path)!r} + name, segmenter=Red(), style=style)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1][:-3])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 800 and "Warning" not in done.stderr
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, 200_000_000)
    holes = np.asarray(Image.open(tmp_path/"out.png").reduce(10))
    assert holes.shape == (1000, 650, 4)
    assert (holes[410:490, 310:340, 3] == 0).all() and (holes[:390, :, 3] == 255).all()
    covered = np.asarray(Image.open(tmp_path/"out.jpg").reduce(10))
    assert np.abs(covered[410:490, 310:340].astype(int) - (0x6d + 0xdb)/2).mean() < 25


@pytest.mark.parametrize("brand", [b"msf1", b"hevc"])
def test_a_burst_is_called_a_clip(brand: bytes) -> None:
    with pytest.raises(BadPicture, match="redact it as a clip"): read_still(b"\0\0\0\x18ftyp" + brand + bytes(99))


def test_code_points_of_heic_and_avif_are_converted() -> None:
    "The name of BT.2020 and PQ in place of what was written: reference white becomes white."
    for kind in ("HEIF", "AVIF"):
        out = BytesIO()
        Image.new("RGB", (64, 64), (148, 148, 148)).save(out, kind, quality=95)
        data = out.getvalue()
        at = data.index(b"colrnclx") + 8
        seen = read_still(data[:at] + bytes((0, 9, 0, 16)) + data[at + 4:])
        assert seen.mean() > 205 and abs(read_still(data).mean() - 148) < 6


def test_a_damaged_photo_of_another_format_is_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("HEIF", "AVIF", "GIF", "TIFF", "BMP"):
        out = BytesIO()
        Image.fromarray(draw_street(2, 96, 128).picture).save(out, kind)
        for n in range(12):
            data = bytearray(out.getvalue())
            for at in rng.integers(0, len(data), 6): data[at] ^= int(rng.integers(1, 256))
            (tmp_path/"in").write_bytes(data[:len(data) if n % 2 else len(data)*2//3])
            try: redact_photo(tmp_path/"in", tmp_path/"out.png", segmenter=Even(), dial="precise", overwrite=True)
            except BadPicture as e: assert str(e) and "\n" not in str(e)
            else: assert (np.asarray(Image.open(tmp_path/"out.png"))[:20, :, 3] == 0).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_is_cut_anywhere_is_one_line(kind: str) -> None:
    out = BytesIO()
    first, second = (Image.new("RGB", (16, 16), grey) for grey in ("black", "white"))
    first.save(out, kind, save_all=True, append_images=[second])
    data = out.getvalue()
    for n in range(len(data)):
        try: read_still(data[:n])
        except BadPicture as e: assert str(e) and "\n" not in str(e)


def test_only_regular_files_are_read_and_no_more_than_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Whatever the file says of its length: it may grow while it is read."
    monkeypatch.setattr(picture, "FILE_BYTES", 1000)
    os.mkfifo(tmp_path/"fifo.png")
    with (tmp_path/"big.png").open("wb") as f: f.truncate(1 << 26)
    for path, why in (("/dev/zero", "is not a file"), (tmp_path/"fifo.png", "is not a file"),
        (tmp_path/"big.png", "is too large for a photo: 1,000 bytes at most")):
        tracemalloc.start()
        with pytest.raises(BadPicture, match=why): read_file(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("along", [0, 1])
def test_a_side_may_be_as_long_as_a_jpeg_s_and_no_longer(along: int) -> None:
    for side in (MAX_SIDE, MAX_SIDE + 1):
        size, out = [1, 1], BytesIO()
        size[along] = side
        Image.new("L", (size[0], size[1])).save(out, "PNG")
        if side == MAX_SIDE: assert read_still(out.getvalue()).shape[1 - along] == side
        else:
            with pytest.raises(BadPicture, match="65,535 along a side at most"): read_still(out.getvalue())
