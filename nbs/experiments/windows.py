"""Windows of a picture, what is measured of them, and small trees that judge it: for `scan.py`."""
from collections.abc import Sequence
from itertools import count, takewhile
from typing import NamedTuple

import cv2
import numpy as np

SIDE = 32   # pixels of a window that is judged
LEAST = 12  # its rows and columns, unrepeated
MOST = 24   # windows of one size


class Picture(NamedTuple):
    "A picture, and where it changes."
    rgb: np.ndarray     # uint8[H,W,3]
    codes: np.ndarray   # int32[H,W], one number for each colour
    across: np.ndarray  # bool[H,W]: another colour than the pixel before
    down: np.ndarray    # bool[H,W]: another than the pixel above
    total: np.ndarray   # int32[H+1,W+1]: how many of both there are above and before


def picture_of(
    rgb: np.ndarray,  # uint8[H,W,3]
) -> Picture:
    "The picture with its changes."
    codes = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    across = np.pad(codes[:, 1:] != codes[:, :-1], ((0, 0), (1, 0)))
    down = np.pad(codes[1:] != codes[:-1], ((1, 0), (0, 0)))
    return Picture(rgb, codes, across, down, cv2.integral(across.astype(np.uint8) + down))


def busy_places(
    picture: Picture,
    size: int,  # of a square
) -> list[tuple[slice, slice]]:
    "Squares in which something changes: those of the smallest size side by side, others half over each other."
    step = size if size == SIDE else size//2
    ys, xs = ([(at, min(n, at + size)) for at in range(0, max(1, n - size//2), step)] for n in picture.codes.shape)
    def changes(y: int, b: int, x: int, r: int) -> int:
        return picture.total[b, r] - picture.total[y, r] - picture.total[b, x] + picture.total[y, x]
    found = [np.s_[y:b, x:r] for y, b in ys for x, r in xs if changes(y, b, x, r) > .04*(b - y)*(r - x)]
    n = min(len(found), MOST)
    return [found[(2*k + 1)*len(found)//(2*n)] for k in range(n)]


class Window(NamedTuple):
    "A square of a picture."
    tile: np.ndarray            # uint8[32,32,3]: unrepeated, then shrunk
    coarse: tuple[float, ...]   # what was measured before it was shrunk


def _coarse(
    codes: np.ndarray,  # int32[h,w], unrepeated: 64 pixels a side at most
    repeats: float,     # how often each of its pixels stood there
    side: int,          # rows or columns of the whole, whichever are fewer
) -> tuple[float, ...]:
    "Equal neighbours, colours, the share of the commonest and of the four commonest, repeats, and the size."
    equal = float((codes[:, 1:] == codes[:, :-1]).mean() + (codes[1:] == codes[:-1]).mean())/2
    counts = np.sort(np.unique(codes, return_counts=True)[1])[::-1]
    n = len(counts)
    common = counts[:4]/codes.size
    return equal, n/codes.size, np.log(n), common[0], common.sum(), np.log2(repeats), np.log(side)


def _window(
    picture: Picture,
    at: tuple[slice, slice],
) -> Window | None:
    "A square without the rows and columns that repeat the one before; None where little is left."
    rows = np.r_[0, 1 + np.flatnonzero(picture.down[at][1:].any(1))]
    columns = np.r_[0, 1 + np.flatnonzero(picture.across[at][:, 1:].any(0))]
    side = min(len(rows), len(columns))
    if side < LEAST: return None
    middle = (x[max(0, len(x)//2 - 32):][:64] for x in (rows, columns))
    coarse = _coarse(picture.codes[at][np.ix_(*middle)], picture.codes[at].size/(len(rows)*len(columns)), side)
    tile = picture.rgb[at][np.ix_(rows, columns)]
    if side < SIDE: tile = np.pad(tile, [(0, max(0, SIDE - n)) for n in tile.shape[:2]] + [(0, 0)], "symmetric")
    if tile.shape != (SIDE, SIDE, 3): tile = cv2.resize(tile, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Window(tile, coarse)


def windows_of(
    rgb: np.ndarray,  # uint8[H,W,3]
) -> list[Window]:
    "Squares of 32 pixels, 64, 128 and so on, up to the whole."
    picture = picture_of(rgb)
    sizes = takewhile(lambda size: size == SIDE or size < 2*max(picture.codes.shape), (SIDE << k for k in count()))
    found = (_window(picture, at) for size in sizes for at in busy_places(picture, size))
    return [window for window in found if window]


def _tones(
    light: np.ndarray,  # float32[n,32,32]
) -> list[np.ndarray]:  # float32[n] each
    "Of brightness: its mean, its range, the share of the commonest of 32 tones, and of the two ends."
    low, span = light.min((1, 2)), np.maximum(np.ptp(light, (1, 2)), 1)
    tone = ((light - low[:, None, None])/span[:, None, None]*31.99).astype(int)
    shares = np.stack([np.bincount(t.ravel(), minlength=32) for t in tone])/SIDE**2
    return [light.mean((1, 2))/255, np.log(span), shares.max(1), shares[:, [0, 1, -2, -1]].sum(1)]


def _mean_step(
    light: np.ndarray,  # float32[n,h,w]
) -> np.ndarray:        # float32[n]
    "How far neighbours are apart."
    return (np.abs(np.diff(light, axis=1)).mean((1, 2)) + np.abs(np.diff(light, axis=2)).mean((1, 2)))/2


def _steps(
    light: np.ndarray,  # float32[n,32,32]
) -> list[np.ndarray]:  # float32[n] each
    "Of steps: their size, that beside the spread, how even and how large they are, and what is left when it is shrunk."
    n = len(light)
    across, down = np.diff(light, axis=2), np.diff(light, axis=1)
    every = np.abs(np.concatenate([across.reshape(n, -1), down.reshape(n, -1)], 1))
    step, span = every.mean(1), np.maximum(np.ptp(light, (1, 2)), 1)
    half, quarter = (light.reshape(n, k, SIDE//k, k, SIDE//k).mean((2, 4)) for k in (16, 8))
    twist = np.abs(np.diff(across, axis=1)).mean((1, 2))/(step + .001)
    return [np.log(step + .05), step/np.maximum(light.std((1, 2)), .5), step/(np.sqrt((every**2).mean(1)) + .001),
        (every > .3*span[:, None]).mean(1), twist, _mean_step(quarter)/(_mean_step(half) + .05)]


def _colours(
    tiles: np.ndarray,  # float32[n,32,32,3]
) -> list[np.ndarray]:  # float32[n] each
    "Of colours: whether green and blue step together, how far they are from a line and from grey, how many there are."
    n = len(tiles)
    pixels = tiles.reshape(n, -1, 3)
    steps = np.concatenate([np.diff(tiles, axis=a).reshape(n, -1, 3) for a in (1, 2)], 1)
    both = steps.swapaxes(1, 2) @ steps
    together = both[:, 1, 2]/np.sqrt(both[:, 1, 1]*both[:, 2, 2] + 1)
    centred = pixels - pixels.mean(1, keepdims=True)
    thick = np.linalg.eigvalsh(centred.swapaxes(1, 2) @ centred/SIDE**2)
    chroma = (pixels[..., [0, 2]] - pixels[..., 1:2]).var(1).sum(1)
    low, span = pixels.min((1, 2), keepdims=True), np.maximum(np.ptp(pixels, (1, 2)), 1)[:, None, None]
    cube = ((pixels - low)/span*31.99).astype(int)
    fine, wide = ([len(np.unique(c)) for c in (cube >> k) @ [1024, 32, 1]] for k in (0, 1))
    return [together, thick[:, 0]/np.maximum(thick[:, 2], 1), np.log(np.maximum(thick[:, 0], 0) + 1),
        np.log(chroma + 1), np.log(np.divide(fine, wide))]


def measures(
    windows: Sequence[Window],  # one or more
) -> np.ndarray:                # float32[n,22]
    "What is measured of each."
    tiles = np.stack([w.tile for w in windows]).astype(np.float32)
    light = tiles @ np.array([.299, .587, .114], np.float32)
    fine = [*_tones(light), *_steps(light), *_colours(tiles)]
    return np.column_stack([np.array([w.coarse for w in windows]), *fine]).astype(np.float32)

DEPTH = 3  # questions that a tree asks


class Forest(NamedTuple):
    "Small trees: each asks three questions of the kind *is this measure above that?*, and gives a number."
    measure: np.ndarray   # int[t,7]: which one is asked for, first at the root, then from the left
    above: np.ndarray     # float32[t,7]
    answer: np.ndarray    # float32[t,8]

    def votes(
        self,
        measured: np.ndarray,  # float32[n,22]
    ) -> np.ndarray:           # float32[n], more for photographs
        "The sum of what all trees say of each window."
        tree = np.arange(len(self.measure))
        rows = np.arange(len(measured))[:, None]
        node = np.zeros((len(measured), len(tree)), int)
        for _ in range(DEPTH):
            node = 2*node + 1 + (measured[rows, self.measure[tree, node]] > self.above[tree, node])
        return self.answer[tree, node - (1 << DEPTH) + 1].sum(1)

    def score(
        self,
        measured: np.ndarray,  # float32[n,22]
    ) -> float:
        "The mean of the best tenth of the windows, four at least."
        votes = np.sort(self.votes(measured))[::-1]
        return float(votes[:max(4, len(votes)//10)].mean())
