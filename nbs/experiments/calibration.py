"""Do the probabilities mean what they say, and would scaled logits cover less?

What ships looks at kept pictures: far people in the towns, near ones on the photographs, nobody in the rooms. Logits
are scaled so that the labels of every second picture become likeliest, each of the three worlds counting as much; the
other pictures judge. Then the label map: by what people's probabilities should be divided.

example: python nbs/experiments/calibration.py
"""
import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from common import drive_frames, kept_frames
from dial import NEAR
from record import record
from torch import Tensor

from camredact.core.categories import CODES, PEOPLE
from camredact.core.models import WEIGHTS
from camredact.core.segment import OnnxSegmenter
from camredact.train.data import LabelledFrame, read_labels, read_rgb, read_truth
from camredact.train.evaluate import Answer
from camredact.train.labels import MAP11, UNKNOWN, VOID11, allowed_codes
from camredact.train.metrics import confusion, label_map, mean_iou

WORLDS = {"towns": ("cityscapes",), "photographs": NEAR, "rooms": ("rooms",)}
BLIND = Path(__file__).parent/"blind"/"fast.onnx"  # has not seen drive 0006R0
PRIORS = (1., 2., 3., 4., 6., 9.)
SHOWN = ("as it ships", "a temperature, and a shift of people")  # of which the reliability is recorded
RECALLS = (.95, .97, .985)
BINS = np.array([0, .01, .03, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1 + 1e-6])
PIXELS = 200  # of people, and of the rest, that are drawn of each picture
ARE_PEOPLE = torch.tensor(np.isin(CODES, sorted(PEOPLE)))
Scaling = Callable[[Tensor], Tensor]


class Drawn(NamedTuple):
    "Pixels drawn of pictures, at the network's resolution."
    logits: Tensor   # float[n,32]
    allowed: Tensor  # bool[n,32]: what the label may be
    people: Tensor   # bool[n]
    weight: Tensor   # float[n]: the share of a picture that each stands for


def small(
    mask: np.ndarray,  # of any size
    like: np.ndarray,  # float[32,h,w]
) -> np.ndarray:
    "Labels at the network's resolution."
    return cv2.resize(mask.astype(np.uint8), like.shape[:0:-1], interpolation=cv2.INTER_NEAREST)


def drawn(
    frame: LabelledFrame,
    probs: np.ndarray,  # float32[32,h,w]
) -> tuple[np.ndarray, ...]:
    "Logits float16[n,32], label ids, people or not, and weights."
    truth, ignore = (small(mask, probs).ravel() > 0 for mask in read_truth(frame))
    rng, parts, weights = np.random.default_rng(0), [], []
    for where in (truth & ~ignore, ~truth & ~ignore):
        at = np.nonzero(where)[0]
        parts.append(rng.choice(at, min(len(at), PIXELS), replace=False))
        weights.append(np.full(len(parts[-1]), len(at)/max(1, len(parts[-1]))/where.size, np.float32))
    at = np.concatenate(parts)
    logits = np.log(np.maximum(probs.reshape(32, -1).T[at], 1e-8)).astype(np.float16)
    return logits, small(read_labels(frame), probs).ravel()[at], truth[at], np.concatenate(weights)


def looked(
    world: str,   # a key of `WORLDS`, or a drive
    file: Path,   # the weights
    every: int,   # frames are left out between
) -> tuple[list[tuple[np.ndarray, ...]], list[dict]]:
    "Drawn pixels of each picture, and how right the label map is by each prior."
    cv2.setNumThreads(1)
    net, allowed, found = OnnxSegmenter(file, threads=1), allowed_codes(), []
    right, confs = {p: np.zeros(2) for p in PRIORS}, {p: 0 for p in PRIORS}
    for frame in (kept_frames(*WORLDS[world]) if world in WORLDS else drive_frames(world))[::every]:
        probs = Answer(net, read_rgb(frame)).probs
        ids = small(read_labels(frame), probs)
        known = ids != UNKNOWN
        if world in WORLDS: found.append(drawn(frame, probs))
        for prior in PRIORS:
            labels = label_map(probs, prior)
            right[prior] += allowed[ids[known], labels[known]].sum(), known.sum()
            if frame.dataset == "camvid32": confs[prior] += confusion(MAP11[labels], MAP11[ids], VOID11 + 1, VOID11)
    return found, [{"pictures": world, "prior": p, "right": right[p][0]/right[p][1],
        "miou11": None if world in WORLDS else mean_iou(confs[p])} for p in PRIORS]


def put_together(
    parts: list[tuple[np.ndarray, ...]],  # of pictures, as `drawn` gives them
) -> Drawn:
    "All of them as tensors."
    logits, ids, people, weights = (np.concatenate(x) for x in zip(*parts))
    return Drawn(torch.tensor(logits.astype(np.float32)), torch.tensor(allowed_codes()[ids]), torch.tensor(people),
        torch.tensor(weights))


def log_people(logits: Tensor) -> Tensor:  # float[n,32] -> float[n]
    "The log of people's probability."
    return logits.log_softmax(-1)[:, ARE_PEOPLE].logsumexp(-1)


def loss(
    world: Drawn,
    scaling: Scaling,
) -> Tensor:
    "-log of what the probabilities give to the label's set, a mean over pixels that are labelled at all."
    given = scaling(world.logits).log_softmax(-1).masked_fill(~world.allowed, -1e4).logsumexp(-1)
    weight = world.weight*~world.allowed.all(-1)
    return -(given*weight).sum()/weight.sum()


KINDS: dict[str, Callable[[], list[Tensor]]] = {"as it ships": list, "one temperature": lambda: [torch.ones(1)],
    "a temperature, and a shift of people": lambda: [torch.ones(1), torch.zeros(1)],
    "a scale and a shift of each category": lambda: [torch.ones(32), torch.zeros(32)]}


def scaled(
    logits: Tensor,          # float[n,32]
    numbers: list[Tensor],   # of a kind: nothing, scales, or scales and shifts
) -> Tensor:
    "Scaled logits."
    if not numbers: return logits
    logits = logits*numbers[0]
    if len(numbers) == 1: return logits
    return logits + (numbers[1]*ARE_PEOPLE if len(numbers[1]) == 1 else numbers[1])


def fitted(
    kind: str,             # a key of `KINDS`
    worlds: list[Drawn],
) -> Scaling:
    "The scaling of that kind with the least loss, each world counting as much."
    numbers = [n.requires_grad_() for n in KINDS[kind]()]
    scaling = partial(scaled, numbers=numbers)
    if not numbers: return scaling
    steps = torch.optim.LBFGS(numbers, max_iter=60, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        steps.zero_grad()
        total = sum(loss(w, scaling) for w in worlds)/len(worlds)
        total.backward()
        return total
    steps.step(step)
    print(kind, [n.detach().numpy().round(2).tolist() for n in numbers])
    return partial(scaled, numbers=[n.detach() for n in numbers])


@torch.inference_mode()
def threshold(world: Drawn, scaling: Scaling, recall: float) -> float:
    "The highest threshold at which so much of people is covered."
    score = log_people(scaling(world.logits)).exp()
    order = score[world.people].argsort(descending=True)
    share = world.weight[world.people][order].cumsum(0)/world.weight[world.people].sum()
    return float(score[world.people][order][int(torch.searchsorted(share, recall))])


@torch.inference_mode()
def covered(world: Drawn, scaling: Scaling, tau: float, people: bool) -> float:
    "The share of people's pixels, or of the others, that a threshold covers."
    weight = world.weight*(world.people == people)
    found = weight*(log_people(scaling(world.logits)).exp() >= tau)
    return float(found.sum()/weight.sum()) if weight.sum() else float("nan")


def scaling_rows(
    kind: str,                 # a key of `KINDS`
    scaling: Scaling,
    worlds: dict[str, Drawn],
) -> Iterator[dict]:
    "At each recall that towns and photographs both reach: the threshold, and what else is covered."
    losses = {f"loss, {name}": float(loss(world, scaling)) for name, world in worlds.items()}
    for recall in RECALLS:
        own = {name: threshold(worlds[name], scaling, recall) for name in ("towns", "photographs")}
        tau = min(own.values())
        yield {"scaling": kind, "recall": recall, **losses, **{f"threshold, {name}": t for name, t in own.items()},
            **{f"own, {name}": covered(worlds[name], scaling, t, False) for name, t in own.items()},
            **{f"one, {name}": covered(world, scaling, tau, False) for name, world in worlds.items()}}


@torch.inference_mode()
def reliability_rows(
    kind: str,                 # a key of `KINDS`
    scaling: Scaling,
    worlds: dict[str, Drawn],
) -> Iterator[dict]:
    "What is said of people, and how many of these pixels are people's."
    for name, world in worlds.items():
        said = log_people(scaling(world.logits)).exp()
        place = torch.bucketize(said, torch.tensor(BINS, dtype=torch.float32), right=True) - 1
        for k in range(len(BINS) - 1):
            weight = world.weight*(place == k)
            if (place == k).sum() < 30: continue
            of_people, pixels = float((world.people*weight).sum()), float(weight.sum())
            yield {"pictures": name, "scaling": kind, "said": float((said*weight).sum())/pixels,
                "people": of_people/pixels, "share": pixels/float(world.weight.sum())}


def main() -> None:
    "Looks, fits, judges, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", help="an .onnx file")
    p.add_argument("--every", type=int, default=1, help="of the pictures (default: 1)")
    p.add_argument("--only", action="store_true", help="print, and record nothing")
    a = p.parse_args()
    sets, files = [*WORLDS, "0006R0"], [*[a.ships]*len(WORLDS), BLIND]
    with ProcessPoolExecutor(2) as pool: parts = list(pool.map(looked, sets, files, [a.every]*len(sets)))
    torch.set_num_threads(2)
    halves = [{name: put_together(found[k::2]) for name, (found, _) in zip(WORLDS, parts)} for k in (0, 1)]
    rows, reliable, priors = [], [], [row for _, found in parts for row in found]
    for kind in KINDS:
        scaling = fitted(kind, list(halves[0].values()))
        rows += scaling_rows(kind, scaling, halves[1])
        if kind in SHOWN: reliable += reliability_rows(kind, scaling, halves[1])
    for row in (*rows, *reliable, *priors): print(row)
    if a.only: return
    how = "calibration.py: pixels of kept pictures, at the network's resolution, one look, without margin and peak"
    record("calibration", rows, f"{how}; fitted on every second picture, judged on the others; own and one: other "
        "pixels covered at each set's own threshold, and at one for both", [a.ships])
    record("calibration-reliability", reliable, how, [a.ships])
    record("calibration-prior", priors, f"{how}; 0006R0 by weights that have not seen it", [a.ships, BLIND])


if __name__ == "__main__": main()
