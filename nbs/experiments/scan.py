"""Teaches a judge what a photograph is, and measures it on what it has not seen, beside the rule of `camredact scan`.

Charts of many kinds and photographs shown in many ways are made, measured, and put into four parts by kind of chart and
by source of the photographs. Each part is judged by trees that grew on the three others, with limits that the three
others gave. With `--judge`, one that has trees and limits of all four is written.

example: python nbs/experiments/scan.py --pictures PICTURES --workers 2
"""
import argparse
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from charts import KINDS, WAYS, chart, labelled, packaged, rendering
from common import ROOT
from record import commit, record
from sklearn.ensemble import HistGradientBoostingClassifier
from windows import DEPTH, Forest, measures, windows_of

from camredact.core.categories import InputError
from camredact.leaktest.photographs import looks_photographic
from camredact.train.data import find_shared

SEED = 0
CHARTS, PER_SET = 8, 20  # of each kind; photographs of each labelled set
UNSEEN = ("inside", "smoothed in axes", "inverted", "tinted", "several", "on white")  # ways kept for the test
WHOLE = ("plain", "small", "tiny", "squares", "enlarged", "dark", "pale", "few greys", "few colours", "dithered",
    "palette", "black and white", "grey", "boxed", "blurred", "noisy", "JPEG")  # all of the picture is photograph
TREES, PER_PICTURE = 120, 24  # windows of a picture that trees grow on
HELD, SURE = .05, .01  # shares of the charts above the lower limit, and above the upper one
HOW = (
    "scan.py: {charts} charts of {kinds} kinds, drawn by matplotlib in any size, theme and resolution; {photos} "
    "renderings, in {ways} ways, of photographs that scikit-image, scikit-learn and matplotlib ship and of 9 labelled "
    "sets. Kinds and sources lie in four parts. Each part is judged by trees that grew on the three others, with "
    "limits of the three others; no trees grow on six of the ways. Held: called a photograph, or one that cannot be "
    "judged. rule: what camredact scan says today of the same pictures")


class Sample(NamedTuple):
    "A picture that was made, and what is known of it."
    what: str     # the kind of chart, or the way
    source: str   # of the photograph; "" for a chart
    name: str     # of its file


def samples() -> Iterator[tuple[Sample, Callable[[], np.ndarray]]]:
    "All pictures, and how each is made; raises `InputError` without the sets."
    shared = find_shared(ROOT)
    if shared is None: raise InputError("the labelled sets are not here: nothing can be learned")
    for seed in range(CHARTS):
        for kind in KINDS: yield Sample(kind, "", f"chart__{kind}__{seed}"), partial(chart, kind, seed)
    for name, photo in packaged().items():
        seed = zlib.crc32(name.encode())
        for way in WAYS: yield Sample(way, name, f"package__{name}__{way}__0"), partial(rendering, way, photo, seed)
    rng = np.random.default_rng(SEED)
    for source, photos in labelled(shared/"people", PER_SET).items():
        for k, photo in enumerate(photos):
            for way in rng.choice([*WAYS], 8, replace=False)[:4]:
                yield Sample(str(way), source, f"shared__{source}-{k}__{way}__{k}"), partial(rendering, way, photo,
                    1000 + k)


def made(
    folder: Path,  # where pictures are kept
    name: str,
    make: Callable[[], np.ndarray],
) -> np.ndarray:   # uint8[H,W,3]
    "The picture: from the folder, if it was made before."
    path = folder/f"{name}.png"
    if not path.exists(): cv2.imwrite(str(path), np.ascontiguousarray(make()[..., ::-1]))
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def measured(
    task: tuple[Path, str, Callable[[], np.ndarray]],  # folder, name, how it is made
) -> tuple[np.ndarray, bool]:  # float32[n,22]; what `camredact scan` says
    "What is measured of a picture."
    folder, name, make = task
    rgb = made(folder, name, make)
    windows = windows_of(rgb)
    found = measures(windows) if windows else np.zeros((0, 22), np.float32)
    return found, looks_photographic(rgb)


Bag = tuple[Sample, np.ndarray, bool]  # a picture, its measures, what `camredact scan` says


def some(rng: np.random.Generator, bags: Sequence[Bag]) -> tuple[np.ndarray, np.ndarray]:
    "Some windows of each picture, and the number of the picture."
    bags = [b for b in bags if len(b[1])]
    parts = [m[rng.permutation(len(m))[:PER_PICTURE]] for _, m, _ in bags]
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(p) for p in parts])


def grown(drawn: np.ndarray, drawn_of: np.ndarray, shown: np.ndarray, shown_of: np.ndarray) -> Forest:
    "Trees that tell windows of charts from windows of photographs; all pictures of a side weigh the same together."
    weights = [1/np.bincount(of)[of] for of in (drawn_of, shown_of)]
    weights = np.concatenate([w/w.sum() for w in weights])
    grower = HistGradientBoostingClassifier(max_iter=TREES, max_depth=DEPTH, max_leaf_nodes=1 << DEPTH,
        l2_regularization=5, min_samples_leaf=100, early_stopping=False, random_state=SEED)
    x = np.concatenate([drawn, shown])
    grower.fit(x, np.repeat([0, 1], [len(drawn), len(shown)]), sample_weight=weights*len(x)/2)
    forest = as_forest(grower)
    if (off := np.abs(forest.votes(x[::50]) - grower.decision_function(x[::50])).max()) > .01:
        raise ValueError(f"the trees say something else than what they were made of: {off}")
    return forest


def as_forest(grower: HistGradientBoostingClassifier) -> Forest:
    "The trees as tables, rounded; where one asks less, its last answer stands on both sides."
    tables = np.zeros((TREES, 7)), np.zeros((TREES, 7)), np.zeros((TREES, 8))
    for t, (tree,) in enumerate(grower._predictors):
        at = [0]  # numbers of nodes, level by level
        for k in range(7):
            node = tree.nodes[at[k]]
            if node["is_leaf"]: at += [at[k]]*2
            else:
                tables[0][t, k], tables[1][t, k] = node["feature_idx"], node["num_threshold"]
                at += [node["left"], node["right"]]
        tables[2][t] = tree.nodes["value"][at[7:]]
    tables[2][0] += grower._baseline_prediction.item()
    return Forest(tables[0].astype(int), tables[1].astype(np.float32), np.round(tables[2], 5))


def learned(bags: Sequence[Bag]) -> Forest:
    "Trees that grow twice: on pictures that are photographs all over, then on the better half of each one's windows."
    rng = np.random.default_rng(SEED)
    drawn = some(rng, [b for b in bags if not b[0].source])
    forest = grown(*drawn, *some(rng, [b for b in bags if b[0].source and b[0].what in WHOLE]))
    shown, of = some(rng, [b for b in bags if b[0].source])
    votes = forest.votes(shown)
    every = (np.flatnonzero(of == n) for n in np.unique(of))
    best = np.concatenate([k[np.argsort(-votes[k])[:max(2, len(k)//2)]] for k in every])
    return grown(*drawn, shown[best], of[best])


def numbered(rng: np.random.Generator, names: Sequence[str], n: int) -> dict[str, int]:
    "One of n parts for each name."
    return {name: k % n for k, name in enumerate(rng.permutation(sorted(names)))}


def split(bags: Sequence[Bag], n: int, seed: int) -> list[list[Bag]]:
    "In n parts by kinds of charts and sources of photographs."
    rng = np.random.default_rng(seed)
    part = numbered(rng, {b[0].what for b in bags if not b[0].source}, n)
    part |= numbered(rng, {b[0].source for b in bags if b[0].source}, n)
    return [[b for b in bags if part[b[0].source or b[0].what] == k] for k in range(n)]


Judged = list[tuple[Bag, float]]  # pictures and their scores


def judged(forest: Forest, bags: Sequence[Bag]) -> Judged:
    "Pictures with their scores; one in which nothing changes has less than any."
    return [(b, forest.score(b[1]) if len(b[1]) else -99.) for b in bags]


def limits(pictures: Judged) -> tuple[float, float]:
    "The two limits, so that these shares of the charts lie above them."
    drawn = [score for (sample, *_), score in pictures if not sample.source]
    low, high = np.quantile(drawn, [1 - HELD, 1 - SURE])
    return float(low), float(high)


def row(what: str, found: Judged, limit: Sequence[tuple[float, float]]) -> dict:
    "How many of some pictures are held, how many of these unsure, and how many `camredact scan` holds."
    held = [score > low for (_, score), (low, high) in zip(found, limit)]
    unsure = [low < score < high for (_, score), (low, high) in zip(found, limit)]
    return {"what": what, "pictures": len(found), "held": sum(held), "unsure": sum(unsure),
        "rule": sum(b[2] for b, _ in found)}


def rows(parts: Sequence[Judged]) -> Iterator[dict]:
    "Charts and photographs, each kind and each way; every part is held against the limits of the others."
    limit = [limits([p for k, part in enumerate(parts) if k != out for p in part]) for out in range(len(parts))]
    every = [(p, limit[k]) for k, part in enumerate(parts) for p in part]
    def of(what: str, chosen: Callable[[Sample], bool]) -> dict:
        return row(what, *zip(*[pair for pair in every if chosen(pair[0][0][0])]))
    yield of("charts", lambda s: not s.source)
    yield of("photographs", lambda s: bool(s.source))
    yield of("photographs in packages", lambda s: "." in s.source)
    yield of("photographs, ways not seen before", lambda s: bool(s.source) and s.what in UNSEEN)
    for kind in KINDS: yield of(f"chart: {kind}", lambda s, kind=kind: not s.source and s.what == kind)
    for way in WAYS: yield of(f"photograph: {way}", lambda s, way=way: bool(s.source) and s.what == way)


def write(path: Path, forest: Forest, low: float, high: float, how: str) -> None:
    "The judge, one tree a line."
    head = {"what": "tells photographs from charts, for `camredact scan`", "how": how, "seed": SEED, "commit": commit(),
        "made by": "nbs/experiments/scan.py", "drawn": round(low, 3), "photograph": round(high, 3)}
    lines = [f' "{key}": {json.dumps(value)},\n' for key, value in head.items()]
    tables = []
    for name, table in zip(Forest._fields, forest):
        lines_of = ([float(f"{x:.6g}") if x % 1 else int(x) for x in tree] for tree in table.tolist())
        listed = ",\n".join(f"  {json.dumps(line)}" for line in lines_of)
        tables.append(f' "{name}": [\n{listed}\n ]')
    path.write_text("{\n" + "".join(lines) + ",\n".join(tables) + "\n}\n", encoding="utf-8")


def main() -> None:
    "Makes pictures, learns, tests, records, and writes the judge."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pictures", type=Path, help="a folder that keeps the pictures for the next run")
    p.add_argument("--judge", type=Path, help="a file for a judge that has learned from all of it")
    p.add_argument("--workers", type=int, help="how many processes (default: one for each core)")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(a.workers) as pool:
        folder = a.pictures or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        known = list(samples())
        tasks = [(folder, sample.name, make) for sample, make in known]
        found = pool.map(measured, tasks, chunksize=8)
        bags = [(sample, *said) for (sample, _), said in zip(known, found)]
    quarters = split(bags, 4, SEED)
    seen = [[b for b in quarter if not b[0].source or b[0].what not in UNSEEN] for quarter in quarters]
    parts = []
    for out, quarter in enumerate(quarters):
        parts.append(judged(learned([b for k in range(4) if k != out for b in seen[k]]), quarter))
    told = list(rows(parts))
    for r in told: print(*r.values(), sep="\t")
    how = HOW.format(charts=sum(not b[0].source for b in bags), kinds=len(KINDS),
        photos=sum(bool(b[0].source) for b in bags), ways=len(WAYS))
    record("scan", told, how)
    if a.judge:
        write(a.judge, learned([b for part in seen for b in part]), *limits([p for part in parts for p in part]), how)


if __name__ == "__main__": main()
