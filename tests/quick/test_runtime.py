"""The runtime where it is no lesson: layers, properties on random input, and sessions under random faults."""
import subprocess
import sys
import threading
from collections import Counter
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camredact.core.categories import CODES
from camredact.core.redact import (
    DIALS, checkerboard, decide, hide_weights, redact, redacted_png, resize_matte, union, visible_png)
from camredact.core.picture import BadPicture, FRAME_PIXELS, STILL_PIXELS, decode, read_still
from camredact.core.segment import model_size
from camredact.live.session import HOLD_GAP, MAX_PAGES, PROTOCOL, Hold, Session

ROOT = Path(__file__).parents[2]
settings.register_profile("runtime", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runtime")


# ---- layers

@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
def test_load_of_a_pth_without_torch_says_how_to_mend(tmp_path):
    (tmp_path/"learner.pth").write_bytes(b"")
    code = f"""
import sys, camredact.core.models as s
sys.modules["torch"] = None
try: s.load({str(tmp_path/'learner.pth')!r})
except s.NoWeights as e: print(e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True,
        cwd=ROOT)
    assert done.stdout.strip() == "learner.pth needs torch: pip install 'camredact[train]'"


# ---- the decision

SIDES = st.integers(1, 24)
SHAPES = st.tuples(SIDES, SIDES)
SOME, MANY = st.frozensets(st.sampled_from(CODES)), st.lists(st.booleans(), min_size=32, max_size=32)
NAMES = SOME | MANY.map(lambda on: frozenset(c for c, ticked in zip(CODES, on) if ticked))
SEEDS = st.integers(0, 2**32 - 1)


def random_probs(seed, h, w):
    "Probabilities float32[32,h,w], from nearly sure to quite undecided."
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, rng.choice([.1, 1, 4, 12]), (32, h, w))
    e = np.exp(logits - logits.max(0))
    return (e/e.sum(0)).astype(np.float32)


def random_matte(seed, h, w):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((h, w)) < rng.choice([0, .02, .3, .9, 1]), np.uint8(255), np.uint8(0))


def random_picture(seed, h, w): return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


PEAKS = st.floats(1, 4)


@given(SEEDS, SHAPES, NAMES, NAMES, st.sampled_from(sorted(DIALS)), st.floats(0, .3), st.floats(0, 1), PEAKS)
def test_adding_categories_never_reveals(seed, shape, some, more, dial, margin, bar, peak):
    p = random_probs(seed, *shape)
    confidence = p.max(0)
    a, b = (decide(np.tensordot(hide_weights(names, dial), p, 1), confidence, margin, bar, peak)
        for names in (some, some | more))
    assert (b >= a).all()


@given(SEEDS, SHAPES, NAMES, st.floats(0, .3), st.floats(0, .3), st.floats(0, 1), st.floats(0, 1))
def test_more_margin_and_a_higher_bar_never_reveal(seed, shape, names, margin, more, bar, higher):
    p = random_probs(seed, *shape)
    score, confidence = np.tensordot(hide_weights(names), p, 1), p.max(0)
    before = decide(score, confidence, min(margin, more), min(bar, higher))
    assert (decide(score, confidence, max(margin, more), max(bar, higher)) >= before).all()


ANYTHING = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.data(), SHAPES, st.floats(0, .2), st.floats(0, 1), PEAKS)
def test_a_matte_covers_what_is_not_a_number(data, shape, margin, bar, peak):
    score, confidence = (data.draw(arrays(np.float32, shape, elements=ANYTHING)) for _ in range(2))
    m = decide(score, confidence, margin, bar, peak)
    assert m.shape == shape and m.dtype == np.uint8 and set(np.unique(m)) <= {0, 255}
    shown = m == 0
    assert np.isfinite(score[shown]).all() and np.isfinite(confidence[shown]).all()
    assert (score[shown] < peak).all() and (confidence[shown] >= bar).all()
    assert peak > 1 or (score[shown] < 1).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_faint_piece_is_covered_where_it_holds_what_is_not_a_number(odd):
    score = np.array([[0, 1.5, 0, 1.5, odd], [0, 0, 0, 0, 0]], np.float32)
    for confidence in (None, np.ones_like(score)):
        assert decide(score, confidence, peak=2).tolist() == [[0, 0, 0, 255, 255], [0]*5]


def flood(covered, sure):
    "The pixels of `covered` that a walk from `sure` reaches by steps to any of eight neighbours."
    seen, todo = np.zeros_like(covered), [tuple(at) for at in np.argwhere(covered & sure)]
    while todo:
        y, x = todo.pop()
        if not (0 <= y < seen.shape[0] and 0 <= x < seen.shape[1]) or seen[y, x] or not covered[y, x]: continue
        seen[y, x] = True
        todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return seen


@given(SEEDS, SHAPES, NAMES, PEAKS)
def test_a_piece_stays_covered_where_its_score_reaches_the_peak(seed, shape, names, peak):
    p = random_probs(seed, *shape)
    score = np.tensordot(hide_weights(names), p, 1)
    assert np.array_equal(decide(score, p.max(0), peak=peak) == 255, flood(score >= 1, score >= peak))


@given(SEEDS, st.integers(1, 5), SHAPES)
def test_a_union_hides_what_any_hides(seed, n, shape):
    mattes = [random_matte(seed + i, *shape) for i in range(n)]
    assert np.array_equal(union(mattes) == 255, np.any([m == 255 for m in mattes], axis=0))


def overlap(old, n, new, wanted):
    "Whether pixel `old` of n and pixel `new` of `wanted` share some of one length, in whole numbers."
    return old*wanted < (new + 1)*n and (old + 1)*wanted > new*n


def touched(m, h, w):
    "`resize_matte`, spelled out pixel by pixel."
    out = np.zeros((h, w), np.uint8)
    for (y, x), (r, c) in product(np.ndindex(h, w), np.argwhere(m)):
        if overlap(r, len(m), y, h) and overlap(c, m.shape[1], x, w): out[y, x] = 255
    return out


@settings(max_examples=30)
@given(SEEDS, st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_fitting_hides_exactly_what_is_touched(seed, shape, wanted):
    m = random_matte(seed, *shape)
    assert np.array_equal(resize_matte(m, *wanted), touched(m, *wanted))


# ---- the picture

@given(SEEDS, SEEDS, SHAPES, st.sampled_from(["checkerboard", "solid"]))
def test_redacted_does_not_depend_on_what_is_hidden(seed, other, shape, style):
    m, a, b = random_matte(seed, *shape), random_picture(seed, *shape), random_picture(other, *shape)
    b[m == 0] = a[m == 0]
    out = redact(a, m, style)
    assert np.array_equal(out, redact(b, m, style)) and redacted_png(a, m) == redacted_png(b, m)
    assert np.array_equal(out[m == 0], a[m == 0])
    if style == "checkerboard": assert np.array_equal(out[m == 255], checkerboard(*shape)[m == 255])


@given(SEEDS, SHAPES, st.sampled_from(["shape", "value", "dtype", "picture", "channels", "axes"]))
def test_a_redaction_that_cannot_be_done_returns_nothing(seed, shape, fault):
    m, picture = random_matte(seed, *shape), random_picture(seed, *shape)
    if fault == "shape": m = np.pad(m, ((0, 1), (0, 0)))
    if fault == "value": m[-1, -1] = 254
    if fault == "dtype": m = m.astype(bool)
    if fault == "picture": picture = picture.astype(np.float32)
    if fault == "channels": picture = np.dstack([picture, picture[..., :1]])
    if fault == "axes": m = m[..., None]
    for f in (redact, redacted_png):
        with pytest.raises((ValueError, TypeError)): f(picture, m)


@given(SEEDS, SHAPES)
def test_png_files_say_what_the_matte_says(seed, shape):
    m, picture = random_matte(seed, *shape), random_picture(seed, *shape)
    back = cv2.imdecode(np.frombuffer(redacted_png(picture, m), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back[..., 3], 255 - m) and not back[m == 255].any() and np.array_equal(back[m == 0][:, 2::-1],
        picture[m == 0])
    wire = cv2.imdecode(np.frombuffer(visible_png(m), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(wire, 255 - m)


# ---- reading pictures

def jpeg(h=64, w=96, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR))[1].tobytes()


@given(st.data(), st.sampled_from([".jpg", ".png", ".webp"]), st.booleans())
def test_damaged_files_are_read_or_refused(data, kind, still):
    good = jpeg() if kind == ".jpg" else cv2.imencode(kind, random_picture(0, 32, 32))[1].tobytes()
    spoilt = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=8)):
        spoilt[at] = data.draw(st.integers(0, 255))
    spoilt = bytes(spoilt[:data.draw(st.integers(0, len(good)))])
    try: rgb = read_still(spoilt) if still else decode(spoilt)
    except BadPicture as e: assert str(e) and "\n" not in str(e)
    else:
        assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size <= 3*(STILL_PIXELS if still
            else FRAME_PIXELS)


@given(st.binary(max_size=200))
def test_noise_is_refused_as_a_picture(data):
    with pytest.raises(BadPicture): read_still(data)


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(16*1024, 2_000_000))
def test_model_sizes_are_tiles_near_the_budget(h, w, budget):
    a, b = model_size(h, w, budget)
    assert a >= 32 and b >= 32 and a % 32 == b % 32 == 0
    assert budget/2 <= a*b <= 1.5*budget
    assert model_size(w, h, budget) == (b, a)


# ---- the session

class Faulty:
    "Red is Car; now and then something breaks, as the seed says."
    name, budget = "faulty", 64*96
    FAULTS = (RuntimeError("a wire came off"), MemoryError(), SystemExit(), KeyboardInterrupt(), StopIteration())

    def __init__(self, seed): self.rng = np.random.default_rng(seed)

    def score(self, rgb, weights):
        red = (rgb[..., 0] > 200).astype(np.float32)
        match self.rng.integers(10):
            case 0: raise self.FAULTS[self.rng.integers(len(self.FAULTS))]
            case 1: return red[1:], red[1:]
            case 2: return red*np.nan, red
            case 3: return red, red[..., None]
            case 4: return red
            case 5: return None, None
            case _: return red*weights[5], np.ones_like(red)


def frame_message(rng, page, n):
    "A frame, or something that only looks like one."
    m = {"kind": "frame", "protocol": PROTOCOL, "page": page, "id": n, "hidden": ["Car"], "bar": 0, "dial": "cautious",
        "model": ["a", "b", "gone"][rng.integers(3)], "zones": []}
    match rng.integers(12):
        case 0: m.pop(list(m)[rng.integers(len(m))])
        case 1: m["hidden"] = [["Carr"], [{}], "Car", {"Car": 1}, None, [None]][rng.integers(6)]
        case 2: m["model"] = "../x.onnx"
        case 3: m["dial"] = {"a": 1}
        case 4: m["bar"] = 10**400
    return m


@settings(max_examples=15)
@given(SEEDS, st.booleans())
def test_every_message_gets_exactly_one_answer(seed, stop_early):
    rng = np.random.default_rng(seed)
    picture, total, lock, enough = jpeg(), 60, threading.Lock(), threading.Event()
    answers = Counter()

    def load(name):
        if name == "gone" or rng.integers(4) == 0: raise OSError(f"{name} is gone")
        return Faulty(seed)

    def replier(n, refuse):
        def reply(answer, buffers):
            ok = answer["kind"] == "matte" and (("error" in answer) + ("dropped" in answer) + len(buffers) == 1)
            with lock:
                answers[n] += 1 if ok else 1000
                if len(answers) == total: enough.set()
            if refuse: raise BrokenPipeError("nobody listens")
        return reply

    session = Session(load, models=["a", "b", "gone"])

    def submit(start, messages):
        for i, (m, data, refuse) in enumerate(messages): session.submit(m, [data], replier(start + i, refuse))

    def messages(k):
        return [(frame_message(rng, f"page {rng.integers(3)}", i), picture if rng.integers(6) else picture[:99],
            rng.integers(5) == 0) for i in range(k)]

    senders = [threading.Thread(target=submit, args=(at, messages(total//3))) for at in range(0, total, total//3)]
    for t in senders: t.start()
    if stop_early: session.stop()
    for t in senders: t.join()
    if not stop_early:
        assert enough.wait(20), sorted(set(range(total)) - set(answers))
        assert session._worker.is_alive()
    session.stop()
    session._worker.join(60)
    assert not session._worker.is_alive()
    assert answers == Counter(range(total))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([(4, 5), (5, 4)]), st.floats(0, .7),
    st.booleans()), max_size=30), st.integers(0, 3))
def test_hold_unites_with_its_own_past_only(steps, k):
    "Against a plain history: newest and at most k before it, unbroken in page, choice, size and time."
    hold, now, history = Hold(), 0., []
    for n, (page, choice, shape, later, error) in enumerate(steps):
        now += later
        if error:
            hold.forget(f"page {page}")
            history.append((page, None, None, now, None))
            continue
        m = random_matte(n, *shape)
        held = hold.add(f"page {page}", (choice,), m, k, now)
        expected, newer, mine = m.copy(), now, [h for h in history if h[0] == page]
        for _, c, s, at, old in reversed(mine[-k:] if k else []):
            if c != choice or s != shape or newer - at > HOLD_GAP: break
            expected, newer = np.maximum(expected, old), at
        assert np.array_equal(held, expected)
        history.append((page, choice, shape, now, m))
        assert len(hold.kept) <= MAX_PAGES
