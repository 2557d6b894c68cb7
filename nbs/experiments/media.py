"""How fast the commands for photos and clips are, and how much memory they take; deface on the same files beside them.

Whole commands are timed, from start to exit, each in turn and all over again. The clips are drawn. deface (PyPI)
finds faces, where camredact covers whole people, so this compares times and nothing else.

example: python nbs/experiments/media.py --deface /path/to/its/venv/bin/deface
         python nbs/experiments/media.py --only memory
"""
import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from record import record, replaced

from camredact.core.models import WEIGHTS
from camredact.streets.street import draw_clip, draw_street

OURS = [sys.executable, "-c", "import sys; from camredact.app.cli import main; sys.exit(main())"]
CLIPS = {"640x480": (480, 640, 150), "1920x1080": (1080, 1920, 45)}  # height, width, frames


def write(path: Path, pictures: Iterator[np.ndarray], rate: int = 15) -> Path:
    "A clip as a telephone would write it: H.264, mp4."
    with av.open(path, "w") as out:
        stream = None
        for rgb in pictures:
            if stream is None:
                stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
                stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p"
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        out.mux(stream.encode())
    return path


def peak(pid: int) -> float:
    "MB that a process has held at most until now; `ru_maxrss` of a child counts its parent's, too."
    try: lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError: return 0.  # it has ended
    return next((int(line.split()[1])/1024 for line in lines if line.startswith("VmHWM")), 0.)


def run(command: list[str]) -> tuple[float, float]:
    "Seconds and MB of a command from start to exit; raises where it fails."
    began, most = time.monotonic(), 0.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while (status := process.poll()) is None:
        most = max(most, peak(process.pid))
        time.sleep(.02)
    if status: raise SystemExit(f"{' '.join(command)} failed: status {status}")
    return time.monotonic() - began, most


def clips(
    folder: Path,        # for the files
    deface: str | None,  # its command
    before: str | None,  # another version's command
    rounds: int,         # of all commands in turn
) -> Iterator[dict]:
    "Frames a second of each command on each clip."
    for name, (h, w, n) in CLIPS.items():
        clip = write(folder/f"{name}.mp4", (s.picture for s in draw_clip(1, n, h, w)))
        ways = {m: [*OURS, "clip", str(clip), "-o", str(folder/f"{m}.mp4"), "--model", m, "--overwrite"]
            for m in ("fast", "accurate")}
        if before: ways[Path(before).name] = [before, "clip", str(clip), "-o", str(folder/"before.mp4"), "--overwrite"]
        if deface: ways["deface"] = [deface, str(clip), "-o", str(folder/"deface.mp4")]
        taken = [{way: run(command)[0] for way, command in ways.items()} for _ in range(rounds)]
        for way in ways: yield {"what": f"clip, {name}", "by": way, "files": 1, "frames": n,
            "a_second": n/statistics.median(t[way] for t in taken), "mb": None}


def memory(
    folder: Path,  # for the files
) -> Iterator[dict]:
    "The most memory that a clip of two minutes and one of twenty took, five frames a second, in MB."
    lap = [s.picture for s in draw_clip(1, 90, 240, 320)]
    for minutes in (2, 20):
        clip = write(folder/f"{minutes}.mp4", (lap[i % 90] for i in range(5*60*minutes)), 5)
        mb = run([*OURS, "clip", str(clip), "-o", str(folder/f"{minutes}.out.mp4")])[1]
        yield {"what": f"clip of {minutes} minutes, 320x240", "by": "fast", "files": 1, "frames": 5*60*minutes,
            "a_second": None, "mb": mb}


def photos(
    folder: Path,        # for the files
    deface: str | None,  # its command
    before: str | None,  # another version's command
    rounds: int,
) -> Iterator[dict]:
    "Photos a second, of a camera's size and of a small one; the start of the program counted."
    for h, w, n in ((720, 960, 20), (3000, 4000, 2)):
        into = folder/f"{w}x{h}"
        into.mkdir()
        files = [str(into/f"{i}.jpg") for i in range(n)]
        for i, file in enumerate(files): cv2.imwrite(file, cv2.resize(draw_street(i, 720, 960).picture, (w, h))[...,
            ::-1])
        out = folder/f"{w}"
        ours = ["photo", *files, "-o", str(out), "--format", "jpg", "--overwrite"]
        ways = {"fast": [*OURS, *ours]}
        if before: ways[Path(before).name] = [before, *ours]
        if deface: ways["deface"] = [deface, *files]  # writes beside them
        taken = [{way: run(command) for way, command in ways.items()} for _ in range(rounds)]
        for way in ways: yield {"what": f"photos, {w}x{h}", "by": way, "files": n, "frames": None,
            "a_second": n/statistics.median(t[way][0] for t in taken), "mb": max(t[way][1] for t in taken)}


def main() -> None:
    "Measures what was asked for, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deface", help="its command, in an environment of its own")
    p.add_argument("--before", help="the camredact command of another version; its file's name stands in the table")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", choices=("clips", "photos", "memory"), help="one part; the rows of the others stay")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as name:
        parts = {"clips": clips(Path(name), a.deface, a.before, a.rounds),
            "photos": photos(Path(name), a.deface, a.before, a.rounds),
            "memory": memory(Path(name))}
        rows = [row for part, found in parts.items() if a.only in (None, part) for row in found]
    for row in rows: print(row)
    how = ("media.py: whole commands; drawn clips in H.264 at 15 frames a second; medians of rounds taken in turn; "
        "deface 1.5.0 with its defaults; memory is the most that was resident, of clips of five frames a second")
    record("media", replaced("media", rows, "what", "by"), how, sorted(WEIGHTS.glob("*.onnx")))


if __name__ == "__main__": main()
