"What tells something about the source, and what a killed process leaves."
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camredact.app.cli import main
from camredact.core.files import atomic_write
from camredact.leaktest import traces
from camredact.leaktest.pixels import CLEAN, RECOGNISABLE
from camredact.leaktest.traces import check_traces, guess_quality
from camredact.leaktest.trial import Bench
from camredact.media.photo import redact_photo
from camredact.media.container import BadClip
from camredact.media.reader import ClipReader
from camredact.media.scrub import QUALITY, Scrub
from camredact.media.sources import PHOTO_SUFFIXES, plan_results
from camredact.media.writer import ClipWriter, write_clip
from camredact.streets.street import draw_street
from kit.clips import write
from kit.fakes import Even


def test_a_clip_holds_no_text_of_its_encoder(tmp_path: Path) -> None:
    for codec in ("libx264", "mpeg4"):
        writer = ClipWriter(tmp_path/f"{codec}.mp4", codec, (48, 64), Fraction(10), 0)
        for i in range(30): writer.add(np.full((48, 64, 3), 8*i, np.uint8), 6000*i)
        writer.finish()
        writer.close()
        data = (tmp_path/f"{codec}.mp4").read_bytes()
        assert not [word for word in (b"x264", b"threads", b"Lavc", b"Lavf") if word in data], codec
        assert len(list(ClipReader(tmp_path/f"{codec}.mp4"))) == 30


def test_a_scrub_keeps_nothing_of_what_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Two sources that differ under the cover only, with the same random numbers: the same file."
    seeded = np.random.default_rng
    results, street = [], draw_street(3, 96, 128).picture
    for suffix in (".png", ".jpg"):
        for hidden in (0, 250):
            rgb = street.copy()
            rgb[:48] = hidden
            Image.fromarray(rgb).save(tmp_path/"in.png")
            monkeypatch.setattr("camredact.media.scrub.np.random.default_rng", lambda seed=1: seeded(seed))
            redact_photo(tmp_path/"in.png", tmp_path/f"out{suffix}", dial="precise", segmenter=Even(), overwrite=True,
                scrub=True)
            results.append((tmp_path/f"out{suffix}").read_bytes())
        assert results[-1] == results[-2]


def test_a_scrub_moves_every_part_of_a_picture() -> None:
    "And never shows what lies outside, or uncovers a pixel that a hidden one has a part in."
    for n in range(20):
        scrub = Scrub((200, 300))
        rgb = np.random.default_rng(n).integers(0, 256, (200, 300, 3), np.uint8)
        assert (np.abs(scrub.picture(rgb).astype(int) - rgb) < 3).all(2).mean() < .01
        matte = np.zeros((200, 300), np.uint8)
        matte[10 + n*9, 140:160] = 255
        assert 15 < (scrub.matte(matte) == 255).sum() < 150


@pytest.mark.parametrize("scrub, verdict", [(False, RECOGNISABLE), (True, CLEAN)])
def test_a_scrub_hides_the_camera_and_the_quality_of_its_source(tmp_path: Path, scrub: bool, verdict: str) -> None:
    def photo(source: Path, out: Path) -> None:
        redact_photo(source, out, dial="precise", segmenter=Even(), scrub=scrub)
    found = check_traces(Bench(photo, tmp_path, "jpg", ".png"), draw_street(3, 480, 640).picture)
    assert found[0] == verdict, found


def test_a_scrub_ends_in_fresh_noise_and_one_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "QUALITIES", (QUALITY,))
    street = draw_street(3, 480, 640).picture
    scrub = Scrub(street.shape[:2])
    first, second = (scrub.picture(street).mean(2, dtype=np.float32) for _ in range(2))
    assert (first - second).std() > 1
    assert [guess_quality(grey, np.ones_like(grey, bool)) for grey in (street.mean(2, dtype=np.float32), first)] == [0,
        QUALITY]


def test_new_names_say_nothing_of_the_order_of_the_old_ones(tmp_path: Path) -> None:
    for i in range(30): (tmp_path/f"{i:02}.jpg").touch()
    plan, _ = plan_results([tmp_path], None, PHOTO_SUFFIXES, ".png", rename=True)
    assert len(plan) == 30 and [*plan] != sorted(plan)


def test_a_killed_process_leaves_nothing_for_long(tmp_path: Path) -> None:
    write_clip(tmp_path/"in.webm", [np.full((48, 64, 3), i, np.uint8) for i in range(20)])
    code = f"""import time, sys
from pathlib import Path
from camredact.core.files import atomic_write
with atomic_write(Path({str(tmp_path/'out.mp4')!r})) as part:
    part.write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        with atomic_write(tmp_path/"a.txt") as part: part.touch()
        assert len(list(tmp_path.glob(".camredact-*"))) == 1, "the file of a process that is still writing was removed"
        child.send_signal(signal.SIGKILL)
    with atomic_write(tmp_path/"b.txt") as part: part.touch()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt", "in.webm"]


def test_a_list_of_other_files_is_refused_before_they_are_opened(tmp_path: Path) -> None:
    write(tmp_path/"private.ts", [np.zeros((48, 64, 3), np.uint8)]*3, "mpeg2video", "yuv420p")
    (tmp_path/"list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nprivate.ts\n#EXT-X-ENDLIST\n")
    (tmp_path/"list.mp4").write_text("ffconcat version 1.0\nfile private.ts\n")
    long_ago = time.time() - 9*86400
    for name in ("list.m3u8", "list.mp4"):
        os.utime(tmp_path/"private.ts", (long_ago, long_ago))
        with pytest.raises(BadClip, match="list of other files"): ClipReader(tmp_path/name)
        assert (tmp_path/"private.ts").stat().st_atime == long_ago


def test_a_name_writes_no_line_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    folder = tmp_path/"in"
    folder.mkdir()
    (folder/"a\x1b[2K\x1b]0;title\x07.png").write_bytes(b"x")
    (folder/"c\n3 of 3 photos written\n.png").write_bytes(b"x")
    (folder/"d.\x1b[2Jpdf").touch()
    assert main(["photo", str(folder), "-o", str(tmp_path/"out")]) == 1
    assert main(["clip", str(folder/"e\x1b[2K\n.mp4"), "-o", str(tmp_path/"out.mp4")]) == 2
    said = "".join(capfd.readouterr())
    assert "\x1b" not in said and r"\x1b[2K" in said and "3 of 3 photos written" not in said.split("\n")
