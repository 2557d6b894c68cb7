"""Every fault in every state of the page's half and of the kernel's, many times: `make faults` puts the figures into
cards/metrics.json. Each trial has a seed of its own, and a failure names it.
"""
import argparse
import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from kit import kernel_faults  # noqa: E402

ROOT = Path(__file__).parents[1]
PAGE = """import {{ FAULTS, STATES, campaign }} from "{module}";
const r = await campaign({times}, {first});
console.log(JSON.stringify({{ faults: Object.keys(FAULTS).length, states: Object.keys(STATES).length, ...r }}));"""


def page(
    times: int,  # of each fault in each state
    first: int,  # the first seed
) -> dict:
    "The campaign against `camera.js`, in Node."
    node = subprocess.run([ROOT / ".ci" / "tools", "node"], capture_output=True, text=True, check=True).stdout.strip()
    code = PAGE.format(module=(ROOT / "tests" / "js" / "faults.mjs").as_uri(), times=times, first=first)
    return json.loads(subprocess.run([node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True).stdout)


def kernel(times: int) -> dict:
    "The campaign against `Session`, in this process."
    logging.disable(logging.CRITICAL)
    return {"faults": len({f for f, _ in kernel_faults.PAIRS}), "states": len(kernel_faults.REACH), **kernel_faults.campaign(times)}


def main() -> int:
    "Both halves, the page's in as many processes as there are cores."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="trials of each fault in each state")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    a = parser.parse_args()
    began, cores = time.monotonic(), len(os.sched_getaffinity(0))
    shares = [len(range(i, a.times, cores)) for i in range(min(cores, a.times))]
    with ThreadPoolExecutor() as pool: parts = list(pool.map(page, shares, [1 + 10**6*i for i in range(len(shares))]))
    front = {**parts[0], **{k: sum((p[k] for p in parts), type(parts[0][k])()) for k in ("trials", "pixels", "seen", "failed")}}
    found = {"date": date.today().isoformat(), "how": f"tests/faults.py --times {a.times}; seeds of the page's half from 1 and from each million",
        "times": a.times, "page": front, "kernel": kernel(a.times), "minutes": round((time.monotonic() - began)/60, 1)}
    for half in ("page", "kernel"): found[half] |= {"failed": len(found[half]["failed"]), "failures": found[half]["failed"][:20]}
    print(json.dumps(found, indent=1))
    if not a.dry:
        path = ROOT / "cards" / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "faults": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(any(found[half]["failed"] for half in ("page", "kernel")))


if __name__ == "__main__": sys.exit(main())
