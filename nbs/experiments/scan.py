"""Teaches the judge of `camredact scan` what a photograph is, and measures it on what it has not seen.

Charts of many kinds and photographs shown in many ways are made, measured, and put into four parts by kind of chart and
by source of the photographs. Each part is judged by trees that grew on the three others, with limits that the three
others gave. With `--judge`, one that has trees and limits of all four is written.

example: python nbs/experiments/scan.py --pictures PICTURES --workers 2 --judge camredact/leaktest/trees.json
"""
import argparse
import json
import tempfile
import time
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

from camredact.core.categories import InputError
from camredact.leaktest.photographs import Measured, measured_picture, word
from camredact.leaktest.trees import Forest, Limits, evidence
from camredact.train.data import find_shared

SEED = 0
CHARTS, PER_SET, PER_PHOTO = 12, 20, 8  # of each kind; photographs of each labelled set, and ways for each of these
WHOLE = ("plain", "small", "tiny", "squares", "enlarged", "dark", "pale", "few greys", "few colours", "dithered",
    "palette", "black and white", "grey", "boxed", "blurred", "noisy", "JPEG")  # all of the picture is photograph
ASKED = ("plain", "in axes", "few pixels in axes", "grey in axes", "beside", "inside", "several", "small", "squares",
    "enlarged", "dark", "few greys", "few colours", "dithered", "palette", "JPEG", "on white", "grey")
TEXTURES = ("gravel.png", "grass.png", "brick.png", "hubble_deep_field.jpg", "ihc.png", "cell.png", "retina.jpg",
    "moon.png", "clock_motion.png", "coins.png")  # hardly more than a pattern, or taken through a lens of another kind
OF_CHART, OF_PHOTO = 24, 10  # windows that trees grow on
SHARES = (.03, .05, .08, .12, .2)  # of the charts above the lower limit, in the table of what that costs
HELD, SURE = .06, .01  # the share that ships, and that above the upper limit
LIKELY = .35  # of the charts with many colours, what lies above the limit for these
HOW = (
    "scan.py: {charts} charts of {kinds} kinds, drawn by matplotlib in any size, theme and resolution; {photos} "
    "renderings, in {ways} ways, of photographs that scikit-image, scikit-learn and matplotlib ship and of 9 labelled "
    "sets. Kinds and sources lie in four parts. Each part is judged by trees that grew on the three others, with "
    "limits of the three others. Held: called a photograph, or maybe one. rule: the two rules alone. People and "
    "things: packaged photographs without textures, sky and microscopes, in {asked} ways. {ms:.0f} ms a picture")


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
        for way in WAYS:
            for k in range(2): yield Sample(way, name, f"package__{name}__{way}__{k}"), partial(rendering, way, photo,
                seed + k)
    rng = np.random.default_rng(SEED)
    for source, photos in labelled(shared/"people", PER_SET).items():
        for k, photo in enumerate(photos):
            for way in rng.choice([*WAYS], PER_PHOTO, replace=False):
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


class Bag(NamedTuple):
    "A picture, and what is measured of it."
    sample: Sample
    found: Measured
    seconds: float  # that this took

    @property
    def drawn(self) -> bool: return not self.sample.source

    @property
    def rule(self) -> bool: return any(self.found.whole[2:])


def measured(
    task: tuple[Path, Sample, Callable[[], np.ndarray]],  # folder, which picture, how it is made
) -> Bag:
    "What is measured of a picture."
    folder, sample, make = task
    rgb = made(folder, sample.name, make)
    began = time.perf_counter()
    return Bag(sample, measured_picture(rgb), time.perf_counter() - began)


def as_forest(
    grower: HistGradientBoostingClassifier,
    depth: int,
) -> Forest:
    "The trees as tables, rounded; where one asks less, its last answer stands on both sides."
    n, asked = len(grower._predictors), (1 << depth) - 1
    tables = np.zeros((n, asked)), np.zeros((n, asked)), np.zeros((n, asked + 1))
    for t, (tree,) in enumerate(grower._predictors):
        at = [0]  # numbers of nodes, level by level
        for k in range(asked):
            node = tree.nodes[at[k]]
            if node["is_leaf"]: at += [at[k]]*2
            else:
                tables[0][t, k], tables[1][t, k] = node["feature_idx"], node["num_threshold"]
                at += [node["left"], node["right"]]
        tables[2][t] = tree.nodes["value"][at[asked:]]
    tables[2][0] += grower._baseline_prediction.item()
    return Forest(tables[0].astype(int), tables[1], np.round(tables[2], 4))


def grown(
    x: np.ndarray,   # float32[n,m], measures
    of: np.ndarray,  # int[n], of which picture
    photograph: np.ndarray,  # bool[n]
    depth: int,
    **how: float,    # of the learner
) -> Forest:
    "Trees that tell photographs from charts; each picture weighs the same, and both sides together."
    weights = 1/np.bincount(of)[of]
    for side in (photograph, ~photograph): weights[side] *= len(x)/2/weights[side].sum()
    grower = HistGradientBoostingClassifier(max_depth=depth, max_leaf_nodes=1 << depth, l2_regularization=5,
        early_stopping=False, random_state=SEED, **how).fit(x, photograph, sample_weight=weights)
    forest = as_forest(grower, depth)
    if (off := np.abs(forest.votes(x[::50]) - grower.decision_function(x[::50])).max()) > .01:
        raise ValueError(f"the trees say something else than what they were made of: {off}")
    return forest


Windows = tuple[np.ndarray, np.ndarray]  # float32[n,36], and the number of the picture


def some(rng: np.random.Generator, bags: Sequence[Bag], n: int, first: int = 0) -> Windows:
    "At most n windows of each picture; pictures are numbered from `first` on."
    parts = [b.found.windows[rng.permutation(len(b.found.windows))[:n]] for b in bags]
    return np.concatenate(parts), first + np.repeat(np.arange(len(parts)), [len(p) for p in parts])


def learned(bags: Sequence[Bag]) -> Forest:
    "Trees for windows, grown on pictures that are photographs all over, then on the better half of each one's windows."
    rng = np.random.default_rng(SEED)
    drawn, shown = ([b for b in bags if b.drawn is side] for side in (True, False))
    charts = some(rng, drawn, OF_CHART)
    def grow(photos: Windows, trees: int) -> Forest:
        x, of = (np.concatenate(pair) for pair in zip(charts, photos))
        return grown(x, of, np.arange(len(x)) >= len(charts[0]), 4, max_iter=trees, max_bins=63, learning_rate=.12,
            min_samples_leaf=60)
    forest = grow(some(rng, [b for b in shown if b.sample.what in WHOLE], OF_PHOTO, len(drawn)), 50)
    x, of = some(rng, shown, 24, len(drawn))
    votes = forest.votes(x)
    every = (np.flatnonzero(of == n) for n in np.unique(of))
    best = np.concatenate([k[np.argsort(-votes[k])[:max(2, len(k)//2)]] for k in every])
    return grow((x[best], of[best]), 100)


def told(forest: Forest, bags: Sequence[Bag]) -> np.ndarray:
    "What is measured of each picture when its windows are judged: float32[n,64]."
    return np.stack([evidence(b.found.whole, b.found.level, b.found.windows, forest.votes(b.found.windows))
        for b in bags])


def weighed(x: np.ndarray, bags: Sequence[Bag]) -> Forest:
    "Trees for pictures."
    return grown(x, np.arange(len(x)), np.array([not b.drawn for b in bags]), 3, max_iter=80, learning_rate=.07,
        min_samples_leaf=15)


def numbered(rng: np.random.Generator, names: Sequence[str], n: int) -> dict[str, int]:
    "One of n parts for each name."
    return {name: k % n for k, name in enumerate(rng.permutation(sorted(names)))}


def split(bags: Sequence[Bag], n: int, seed: int) -> list[list[Bag]]:
    "In n parts by kinds of charts and sources of photographs."
    rng = np.random.default_rng(seed)
    part = numbered(rng, {b.sample.what for b in bags if b.drawn}, n)
    part |= numbered(rng, {b.sample.source for b in bags if not b.drawn}, n)
    return [[b for b in bags if part[b.sample.source or b.sample.what] == k] for k in range(n)]


def others(parts: Sequence[list[Bag]], *out: int) -> list[Bag]:
    "All parts but some."
    return [b for k, part in enumerate(parts) if k not in out for b in part]


def judged(
    parts: Sequence[list[Bag]],
    out: int,  # which part
) -> tuple[np.ndarray, np.ndarray]:  # float32[n,64], float64[n]: what is told of each picture of it, and its score
    "One part by trees that grew on the others; of these, each is told by trees of the two that are left."
    rest = [k for k in range(len(parts)) if k != out]
    x = np.concatenate([told(learned(others(parts, out, k)), parts[k]) for k in rest])
    found = told(learned(others(parts, out)), parts[out])
    return found, weighed(x, [b for k in rest for b in parts[k]]).votes(found)


Judged = tuple[Bag, float, int]  # a picture, its score, and its part


def limits(pictures: Sequence[Judged], share: float, out: int | None = None) -> Limits:
    "Limits above which these shares of the charts lie; one part is left out."
    drawn = [(score, bag.found.whole[3]) for bag, score, k in pictures if bag.drawn and k != out]
    scores = [score for score, _ in drawn]
    chart, photograph = np.quantile(scores, [1 - share, 1 - SURE]).tolist()
    likely = float(np.quantile([score for score, many in drawn if many], 1 - LIKELY))
    return Limits(min(likely, chart), chart, photograph)


def rows(pictures: Sequence[Judged]) -> Iterator[dict]:
    "Charts and photographs, each kind and each way; every part is held against the limits of the others."
    parts = {k for *_, k in pictures}
    asked = {share: [limits(pictures, share, k) for k in sorted(parts)] for share in {*SHARES, HELD}}
    def of(what: str, chosen: Callable[[Sample], bool], share: float = HELD) -> dict:
        some = [p for p in pictures if chosen(p[0].sample)]
        words = [word(asked[share][k], score, bag.found) for bag, score, k in some]
        held, maybe = (sum(w.startswith(start) for w in words) for start in (("a photo", "maybe"), "maybe"))
        return {"what": what, "pictures": len(some), "held": held, "unsure": maybe,
            "rule": sum(b.rule for b, *_ in some)}
    groups = {"charts": lambda s: not s.source, "photographs": lambda s: bool(s.source),
        "people and things": lambda s: "." in s.source and s.source not in TEXTURES and s.what in ASKED}
    for what, chosen in groups.items(): yield of(what, chosen)
    yield of("labelled sets, the same ways", lambda s: bool(s.source) and "." not in s.source and s.what in ASKED)
    yield of("textures, sky and microscopes", lambda s: s.source in TEXTURES)
    for share in SHARES:
        for what, chosen in groups.items(): yield of(f"at {share:.0%}: {what}", chosen, share)
    for kind in KINDS:
        row = of(f"chart: {kind}", lambda s, kind=kind: not s.source and s.what == kind)
        if row["held"] + row["rule"]: yield row
    for way in WAYS: yield of(f"photograph: {way}", lambda s, way=way: bool(s.source) and s.what == way)


def lines_of(forest: Forest) -> str:
    "Its tables in JSON, one tree a line."
    tables = []
    for name, table in zip(Forest._fields, forest):
        trees = ([x if x % 1 else int(x) for x in tree] for tree in table.tolist())
        listed = ",\n".join(f"   {json.dumps(tree)}" for tree in trees)
        tables.append(f'  "{name}": [\n{listed}\n  ]')
    return "{\n" + ",\n".join(tables) + "\n }"


def write(path: Path, windows: Forest, pictures: Forest, found: Sequence[Judged], how: str) -> None:
    "The judge."
    head = {"what": "tells photographs from charts, for `camredact scan`", "how": how, "seed": SEED, "commit": commit(),
        "made by": "nbs/experiments/scan.py"}
    head |= {name: round(value, 3) for name, value in limits(found, HELD)._asdict().items()}
    lines = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in head.items())
    path.write_text(f'{{\n{lines} "windows": {lines_of(windows)},\n "pictures": {lines_of(pictures)}\n}}\n',
        encoding="utf-8")


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
        bags = list(pool.map(measured, [(folder, *known) for known in samples()], chunksize=8))
    parts = split(bags, 4, SEED)
    found = [judged(parts, k) for k in range(4)]
    pictures = [(bag, score, k) for k, (_, scores) in enumerate(found) for bag, score in zip(parts[k], scores)]
    table = list(rows(pictures))
    for r in table: print(*r.values(), sep="\t")
    how = HOW.format(charts=sum(b.drawn for b in bags), kinds=len(KINDS), photos=sum(not b.drawn for b in bags),
        ways=len(WAYS), asked=len(ASKED), ms=1000*np.mean([b.seconds for b in bags]))
    record("scan", table, how)
    if a.judge:
        every = others(parts)
        write(a.judge, learned(every), weighed(np.concatenate([x for x, _ in found]), every), pictures, how)


if __name__ == "__main__": main()
