"""An hour at full rate in a real browser, with the shipped model.

Every few seconds: the memory of the kernel and of the browser, the age of the frame that is shown, how many were shown
and dropped. What counts are the slopes: a camera that runs all day may not grow, nor fall behind.

example: make measure WHAT=soak ARGS="--minutes 5 --dry"
"""
import argparse
import sys
import tempfile
from pathlib import Path

from kit.clips import draw_film
from kit.soak import soak
from record import read, record

from camredact.core.models import WEIGHTS

RUN = "browser started by hand"
MOST = {"kernel_mb": 50, "browser_mb": 200, "age_ms": 50}  # slopes in an hour that are let pass
POINTS = 30                                                # of a curve
FIGURES = ("minutes", "shown", "dropped", "live_share", "fps_p50", "age_p50_ms", "age_p95_ms")


def summary(
    found: dict,  # of `soak`
) -> dict:
    "The figures of the run, without its samples."
    slopes = {f"{key}_an_hour": slope for key, slope in found["slope_an_hour"].items()}
    return {"run": RUN, **{key: found[key] for key in FIGURES}, **slopes, "page_errors": len(found["page_errors"])}


def points(
    samples: dict[str, list],  # of `soak`
) -> list[dict]:
    "Some of the samples, as far apart as can be."
    last = len(samples["s"]) - 1
    return [{"run": RUN, **{key: values[round(i*last/(POINTS - 1))] for key, values in samples.items()}}
        for i in range(POINTS)]


def note(
    found: dict,  # of `soak`
    how: str,
) -> None:
    "Records this run in place of the last one that was watched in the same way; other runs stay."
    for name, rows in (("soak", [summary(found)]), ("soak-curves", points(found["samples"]))):
        others = [row for row in read(name)["rows"] if row["run"] != RUN]
        record(name, [*others, *rows], how, [WEIGHTS/"fast.onnx"])


def main() -> int:
    "Runs, prints, records; 1 where it was not always live, or something grew."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_film(Path(folder))
        found = soak(Path(folder)/"street.mjpeg", 60*a.minutes)
    print(summary(found), *found["page_errors"], sep="\n")
    how = f"soak.py --minutes {a.minutes:g}; drawn street at 320x240, the shipped fast; {RUN}; other runs are older"
    if not a.dry: note(found, how)
    grows = [key for key, most in MOST.items() if found["slope_an_hour"][key] > most]
    return int(found["live_share"] < .99 or bool(found["page_errors"] or grows))


if __name__ == "__main__": sys.exit(main())
