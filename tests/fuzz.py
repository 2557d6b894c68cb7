"""Files that were made to hurt, for the frame handler, the decoder of stills and the reader of clips: `make fuzz`, ten minutes.

A child process takes one file after the other, each from a seed: truncated, with bits flipped, bytes swapped or parts
repeated, bombs, CMYK, 16-bit, animated, with sides of nought, huge. The parent looks on: the child may not die, may not
do more than two seconds of work over a file, nor take more than 1 GB. Every file gives a picture of allowed size, or one clear line.
"""
import argparse
import json
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from kit.hostile import campaign  # noqa: E402


def main() -> int:
    "Prints what was found; 1 where anything failed."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    a = parser.parse_args()
    found = campaign(a.seconds, a.first)
    if not a.dry:
        path = Path(__file__).parents[1] / "cards" / "metrics.json"
        noted = {"date": date.today().isoformat(), "how": f"tests/fuzz.py --seconds {a.seconds:g} --first {a.first}", **found}
        path.write_text(json.dumps({**json.loads(path.read_text()), "fuzz": noted}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, n in found.pop("became").items(): print(f"{n:7} {name}")
    print(found)
    return int(bool(found["failed"]))


if __name__ == "__main__": sys.exit(main())
