"""An hour at full rate in a real browser, with the shipped model: `make soak` puts the figures into cards/metrics.json.

Every few seconds: the memory of the kernel and of the browser, the age of the frame that is shown, how many were shown
and dropped. What counts are the slopes: a camera that runs all day may not grow, nor fall behind.

The browser is started by hand and asked as little as can be: playwright would switch DevTools' record of the network on,
which notes every picture that a style sheet takes from memory, and grows by half a gigabyte an hour.
"""
import argparse
import json
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from kit.clips import draw_film  # noqa: E402
from kit.soak import soak  # noqa: E402

ROOT = Path(__file__).parents[1]
MOST = {"kernel_mb": 50, "browser_mb": 200, "age_ms": 50}  # slopes in an hour that are let pass


def main() -> int:
    "Runs, prints, writes; 1 where it was not always live, or something grew."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_film(Path(folder))
        found = soak(Path(folder) / "street.mjpeg", 60*a.minutes)
    found = {"date": date.today().isoformat(), "how": f"tests/soak.py --minutes {a.minutes:g}; drawn street at 320x240, the shipped fast", **found}
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))
    if not a.dry:
        path = ROOT / "cards" / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "soak": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    grows = [k for k, most in MOST.items() if found["slope_an_hour"][k] > most]
    return int(found["live_share"] < .99 or bool(found["page_errors"] or grows))


if __name__ == "__main__": sys.exit(main())
