"""The leak test on this project's commands and on deface, side by side. The verdicts go to cards/metrics.json.

example: python cards/leaktest.py --deface ~/deface/bin/deface
"""
import argparse
import json
import subprocess
import sys
from datetime import date
from importlib.resources import files
from pathlib import Path

from camredact.leaktest.checks import Redactor, command, leaktest, read_picture
from camredact.leaktest.plant import CLIPS, PHOTOS

ROOT = Path(__file__).parents[1]
OWN = str(Path(sys.executable).with_name("camredact"))


def column(redactors: list[tuple[Redactor, tuple[str, ...], str | None]], picture: object = None) -> dict[str, str]:
    "The verdict of every check, of photos and of clips."
    return {row.check: row.verdict for redactor, kinds, suffix in redactors for row in leaktest(redactor, kinds, suffix, picture)}


def main() -> None:
    "Tests, prints, and writes; the words of `how` are those that stand there now."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deface", required=True, metavar="COMMAND", help="the program, from a venv of its own")
    p.add_argument("--portrait", metavar="FILE", help="a face in the public domain (default: scikit-image's astronaut.png)")
    a = p.parse_args()
    face = read_picture(a.portrait or str(files("skimage")/"data"/"astronaut.png"))
    ours = [(command([OWN, kind, "{in}", "-o", "{out}"]), inputs, suffix) for kind, inputs, suffix in (("photo", PHOTOS, None), ("clip", CLIPS, ".mp4"))]
    theirs = {more: [(command([a.deface, "{in}", "-o", "{out}", *more.split()]), inputs, None) for inputs in (PHOTOS, CLIPS)] for more in ("", "--replacewith solid")}
    version = subprocess.run([a.deface, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    columns = {"camredact": column(ours), **{f"deface {version} {more}".strip(): column(found, face) for more, found in theirs.items()}}
    for name, found in columns.items(): print(name, found, flush=True)
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    found = {"date": date.today().isoformat(), "how": known["leaktest"]["how"], "columns": columns}
    path.write_text(json.dumps({**known, "leaktest": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
