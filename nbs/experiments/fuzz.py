"""Hostile files, for the frame handler, the decoder of stills and the reader of clips, for ten minutes.

A child process takes one file after the other, each from a seed: truncated, with bits flipped, bytes swapped or parts
repeated, bombs, CMYK, 16-bit, animated, with sides of zero, huge. The parent looks on: the child may not die, may not
do more than two seconds of work over a file, nor take more than 1 GB. Every file gives a picture of allowed size, or
one clear line.

example: make measure WHAT=fuzz ARGS="--seconds 60 --dry"
"""
import argparse
import sys

from kit.hostile import campaign
from record import record


def by_kind(
    became: dict[str, int],  # how often "kind, outcome" was met
) -> list[dict]:
    "Of each kind of file, how often each outcome was met."
    kinds: dict[str, dict] = {}
    for name, n in became.items():
        kind, outcome = name.rsplit(", ", 1)
        kinds.setdefault(kind, {"kind": kind, "frame": 0, "refused": 0})[outcome] = n
    return list(kinds.values())


def main() -> int:
    "Prints what was found; 1 where anything failed."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--first", type=int, default=0, help="the first seed")
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args()
    found, how = campaign(a.seconds, a.first), f"fuzz.py --seconds {a.seconds:g} --first {a.first}"
    print(*found["failed"], *by_kind(found["became"]), sep="\n")
    figures = {key: found[key] for key in ("slowest_s", "most_mb")}
    summary = {"files": found["files"], "failed": len(found["failed"]), **figures}
    print(summary)
    if not a.dry:
        record("fuzz", [summary], how)
        record("fuzz-kinds", by_kind(found["became"]), how)
    return int(bool(found["failed"]))


if __name__ == "__main__": sys.exit(main())
