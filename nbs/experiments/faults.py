"""Every fault in every state of the page's script and of the kernel's session, many times.

Each trial has a seed of its own, and a failure names it.

example: make measure WHAT=faults ARGS="--times 5 --dry"
"""
import argparse
import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kit import kernel_faults
from record import record

ROOT = Path(__file__).parents[2]
PAGE = """import {{ FAULTS, STATES, WORKER_FAULTS, campaign }} from "{folder}/faults.mjs";
import {{ locally }} from "{folder}/doubles.mjs";
const [faults, lead] = {worker} ? [{{ ...FAULTS, ...WORKER_FAULTS }}, locally] : [FAULTS];
const r = await campaign({times}, {first}, Infinity, lead, faults);
console.log(JSON.stringify({{ faults: Object.keys(faults).length, states: Object.keys(STATES).length, ...r }}));"""


def page(
    times: int,    # of each fault in each state
    first: int,    # the first seed
    worker: bool,  # whether frames go to a worker of the page
) -> dict:
    "The campaign against the page's script, in Node."
    node = subprocess.run([ROOT/".ci"/"tools", "node"], capture_output=True, text=True, check=True).stdout.strip()
    code = PAGE.format(folder=(ROOT/"tests"/"js").as_uri(), times=times, first=first, worker=int(worker))
    done = subprocess.run([node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def pages(
    times: int,            # of each fault in each state
    worker: bool = False,  # as for `page`
) -> dict:
    "The same in as many processes as there are cores; seeds from 1 and from each million."
    cores = min(len(os.sched_getaffinity(0)), times)
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(page, [len(range(i, times, cores)) for i in range(cores)],
            [1 + 10**6*i for i in range(cores)], [worker]*cores))
    sums = {key: sum((p[key] for p in parts), type(parts[0][key])()) for key in ("trials", "pixels", "seen", "failed")}
    return {**parts[0], **sums}


def kernel(
    times: int,  # of each fault in each state
) -> dict:
    "The campaign against `Session`, in this process."
    logging.disable(logging.CRITICAL)
    faults = len({fault for fault, _ in kernel_faults.PAIRS})
    return {"faults": faults, "states": len(kernel_faults.REACH), **kernel_faults.campaign(times)}


PARTS = {"page": pages, "worker": partial(pages, worker=True), "kernel": kernel}


def main() -> int:
    "Each part, printed and recorded; 1 where a trial failed."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--times", type=int, default=200, help="trials of each fault in each state")
    p.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="which (default: all)")
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args()
    began, found = time.monotonic(), {part: PARTS[part](a.times) for part in a.parts}
    failures = [failure for half in found.values() for failure in half["failed"]]
    keys = ("faults", "states", "trials", "pixels", "seen")
    rows = [{"half": name, **{key: half[key] for key in keys}, "failed": len(half["failed"])}
        for name, half in found.items()]
    print(*failures[:20], *rows, sep="\n")
    minutes = (time.monotonic() - began)/60
    how = f"faults.py --times {a.times}; seeds of the page from 1 and each million; {minutes:.1f} minutes for {', '.join(a.parts)}"
    name = "faults" if len(a.parts) == len(PARTS) else f"faults-{'-'.join(a.parts)}"
    if not a.dry: record(name, rows, how)
    return int(bool(failures))


if __name__ == "__main__": sys.exit(main())
