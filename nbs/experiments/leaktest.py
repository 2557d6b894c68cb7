"""The leak test on this project's commands and on deface, side by side.

example: python nbs/experiments/leaktest.py --deface ~/deface/bin/deface
"""
import argparse
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from record import record

from camredact.app.commands import drawn_pictures
from camredact.core.models import WEIGHTS
from camredact.core.picture import read_file, read_still
from camredact.leaktest.containers import CLIPS, PHOTOS
from camredact.leaktest.run import leaktest
from camredact.leaktest.trial import Redactor, command

HOW = (
    "camredact leaktest, inputs jpg, png, webp, mp4, mkv, outputs of the same kind (clips of camredact as mp4). "
    "camredact: `camredact photo {in} -o {out}` and `camredact clip {in} -o {out}` with their defaults, "
    "on drawn streets. deface (pip install deface, OpenCV backend): `deface {in} -o {out}`, on the portrait that "
    "scikit-image ships as astronaut.png (NASA, public domain), since it covers real faces. deface leaves notes and "
    "sound out unless --keep-metadata or --keep-audio is given; its default cover is a blur, and "
    "`--replacewith solid` is there for those who ask. A verdict is of these files only: "
    "which people or faces a redactor finds is not tested here")
OWN = str(Path(sys.executable).with_name("camredact"))


def column(redactors: list[tuple[Redactor, tuple[str, ...], str | None]], picture: object = None) -> dict[str, str]:
    "The verdict of every check, of photos and of clips."
    shown, clip = drawn_pictures() if picture is None else (picture, None)
    return {row.check: row.verdict
        for redactor, kinds, suffix in redactors for row in leaktest(redactor, shown, kinds, suffix, clip)}


def main() -> None:
    "Tests, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deface", required=True, metavar="COMMAND", help="the program, from a venv of its own")
    p.add_argument("--portrait", type=Path, metavar="FILE",
        help="a face in the public domain (default: scikit-image's astronaut.png)")
    a = p.parse_args()
    face = read_still(read_file(a.portrait or Path(str(files("skimage")/"data"/"astronaut.png"))))
    ours = [(command([OWN, kind, "{in}", "-o", "{out}"]), inputs, suffix)
        for kind, inputs, suffix in (("photo", PHOTOS, None), ("clip", CLIPS, ".mp4"))]
    theirs = {more: [(command([a.deface, "{in}", "-o", "{out}", *more.split()]), inputs, None)
        for inputs in (PHOTOS, CLIPS)] for more in ("", "--replacewith solid")}
    version = subprocess.run([a.deface, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    columns = {"camredact": column(ours)}
    columns |= {f"deface {version} {more}".strip(): column(found, face) for more, found in theirs.items()}
    for name, found in columns.items(): print(name, found, flush=True)
    checks = dict.fromkeys(check for found in columns.values() for check in found)
    rows = [{"check": c, **{name: found.get(c, "not tested") for name, found in columns.items()}} for c in checks]
    record("leaktest", rows, HOW, [WEIGHTS/"fast.onnx"])


if __name__ == "__main__": main()
