"""The kernel's half under faults: Hypothesis writes scripts of frames and faults. A ledger beside the real `Session`
knows which pixels each answer may show; then each fault meets each state."""
import queue
import time
from collections import defaultdict

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from camredact.core.redact import DIALS, hide_weights
from camredact.live.session import ECHO, PROTOCOL, Session

SIZE = (32, 64)  # height and width of every frame


def jpeg(n: int) -> bytes:
    "A frame whose grey says its number."
    return cv2.imencode(".jpg", np.full((*SIZE, 3), n % 50*5, np.uint8))[1].tobytes()


# What is sent: changes to the message, and what becomes of the buffers.
SPOILT = {
    "as agreed": ({}, lambda b: [b]),
    "another kind": ({"kind": "picture"}, lambda b: [b]),
    "no page": ({"page": None}, lambda b: [b]),
    "a negative id": ({"id": -1}, lambda b: [b]),
    "an unknown category": ({"hidden": ["Car", "Carr"]}, lambda b: [b]),
    "a name that is no text": ({"hidden": [["Car"]]}, lambda b: [b]),
    "one name in place of a list": ({"hidden": "Car"}, lambda b: [b]),
    "weights of its own": ({"weights": [0.]*32}, lambda b: [b]),
    "the protocol before": ({"protocol": 1}, lambda b: [b]),
    "an unknown dial": ({"dial": "careless"}, lambda b: [b]),
    "an unknown model": ({"model": "../x.onnx"}, lambda b: [b]),
    "a zone outside of the picture": ({"zones": ["hide 0,0 2,2"]}, lambda b: [b]),
    "a zone that is no text": ({"zones": [None]}, lambda b: [b]),
    "an endless bar": ({"bar": float("inf")}, lambda b: [b]),
    "a truncated JPEG": ({}, lambda b: [b[:len(b)//2]]),
    "a bit flipped": ({}, lambda b: [b[:15] + bytes([b[15] ^ 255]) + b[16:]]),
    "noise for a JPEG": ({}, lambda b: [bytes(range(200))]),
    "an empty JPEG": ({}, lambda b: [b""]),
    "no buffer": ({}, lambda b: []),
    "two buffers": ({}, lambda b: [b, b]),
}

ZONES = {  # what each covers, as rows and columns
    "": np.s_[:0, :0], "hide 0,0 0.5,1": np.s_[:, :SIZE[1]//2], "show 0,0.5 1,1": np.s_[:SIZE[0]//2, :]}

REFUSED = set(SPOILT) - {"as agreed", "a truncated JPEG", "a bit flipped", "noise for a JPEG",
    "an empty JPEG"}  # at once, before they are decoded


def _raise(e: BaseException) -> None: raise e


# What the model does with its scores, float32[H,W] each.
OUTCOMES = {
    "as it should": lambda s, c: (s, c),
    "an error": lambda s, c: _raise(RuntimeError("a wire came off")),
    "no memory": lambda s, c: _raise(MemoryError()),
    "an exit": lambda s, c: _raise(SystemExit()),
    "an interrupt": lambda s, c: _raise(KeyboardInterrupt()),
    "a timeout": lambda s, c: _raise(TimeoutError()),
    "scores that are no numbers": lambda s, c: (s*np.nan, c),
    "a confidence that is no number": lambda s, c: (s, c*np.nan),
    "some that are no numbers": lambda s, c: (np.where(np.arange(s.shape[1]) % 3 == 0, np.nan, s), c),
    "endless scores": lambda s, c: (s - np.inf, c),
    "a row too few": lambda s, c: (s[1:], c[1:]),
    "another shape": lambda s, c: (s, c[..., None]),
    "a single score": lambda s, c: s[0, 0],
    "nothing": lambda s, c: None,
    "text": lambda s, c: ("visible", "everywhere"),
}
HARMLESS = {"as it should", "endless scores"}


def certain(score: np.ndarray, peak: float) -> np.ndarray:
    "Where a score must hide: pieces of 1 or more that reach the peak, and pieces with something that is no number."
    odd = ~np.isfinite(score)
    n, pieces = cv2.connectedComponents(((score >= 1) | odd).astype(np.uint8), connectivity=8)
    sure = [k for k in range(1, n) if (odd | (score >= peak))[pieces == k].any()]
    return np.isin(pieces, sure)


class Faults(RuleBasedStateMachine):
    "A session with a model that waits to be told what to do."

    def __init__(self) -> None:
        super().__init__()
        self.now, self.asked, self.told = 0., queue.Queue(), queue.Queue()
        self.sent: list[dict] = []
        self.answers: dict[int, list] = defaultdict(list)
        self.weighted: dict[int, np.ndarray] = {}  # the weights that the model was given for a frame
        self.maps: dict[int,
            tuple] = {}          # what the model was told to say of a frame, where that is an answer at all
        self.busy: int | None = None
        self.stopped, self.looked, self.seen = False, 0, 0
        self.session = Session(load=lambda name: self, clock=lambda: self.now, models=["a", "b"])
        self.choice = {"hidden": ["Car"], "bar": 0, "dial": "cautious", "model": "a", "zones": []}

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # the worker's thread
        self.asked.put(int(rgb.mean().round()))
        outcome, seed = self.told.get(timeout=30)
        self.weighted[self.busy] = weights
        rng = np.random.default_rng(seed)
        s, c = (np.repeat(np.repeat(rng.random((4, 8), np.float32), 8, 0), 8, 1)*k for k in (2, 1))
        said = OUTCOMES[outcome](s, c)
        if outcome in HARMLESS: self.maps[self.busy] = said
        return said

    def settle(self) -> None:
        "Wait until the model is asked, or nothing is left unanswered."
        until = time.monotonic() + 5
        while self.busy is None and (left := [n for n in range(len(self.sent)) if not self.answers[n]]):
            assert time.monotonic() < until, f"nothing happens to {left}"
            try: grey = self.asked.get(timeout=.002)
            except queue.Empty: continue
            self.busy = next(n for n in left if n % 50*5 == grey)

    @rule(page=st.integers(0, 2), spoilt=st.sampled_from(list(SPOILT)), deaf=st.integers(0, 9))
    def send(self, page: int, spoilt: str, deaf: int) -> None:
        n, (changes, change) = len(self.sent), SPOILT[spoilt]
        message = {"kind": "frame", "protocol": PROTOCOL, "page": f"page {page}", "id": n, **self.choice, **changes}
        self.sent.append(message)

        def reply(answer: dict, pngs: list[bytes]) -> None:
            self.answers[n].append((answer, pngs))
            if deaf == 0: raise BrokenPipeError("nobody listens")
        self.session.submit(message, change(jpeg(n)), reply)
        if spoilt in REFUSED: assert any("error" in answer for answer, _ in self.answers[n]), f"{spoilt}, and no error"
        self.settle()

    @precondition(lambda self: self.busy is not None)
    @rule(outcome=st.sampled_from(list(OUTCOMES)), seed=st.integers(0, 999))
    def say(self, outcome: str, seed: int) -> None:
        n = self.busy
        self.told.put((outcome, seed))
        until = time.monotonic() + 5
        while not self.answers[n]:
            assert time.monotonic() < until, f"no answer to {n}"
            time.sleep(.0002)
        answer = self.answers[n][0][0]
        self.busy = None
        if outcome not in HARMLESS or self.stopped: assert "error" in answer
        self.settle()

    @rule(seconds=st.floats(0, 1e6))
    def jump_ahead(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.floats(0, 1e6))
    def jump_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule(names=st.sampled_from(["Car", "Pedestrian", "Sky,Car,Sky", ""]), bar=st.sampled_from([0, .5]),
        dial=st.sampled_from(["precise", "cautious"]), model=st.sampled_from("ab"), zones=st.sampled_from([*ZONES]))
    def choose(self, names: str, bar: float, dial: str, model: str, zones: str) -> None:
        self.choice = {"hidden": [n for n in names.split(",") if n], "bar": bar, "dial": dial, "model": model,
            "zones": [zones] if zones else []}

    @precondition(lambda self: len(self.sent) > 5)
    @rule(chance=st.integers(0, 4))
    def stop(self, chance: int) -> None:
        if not chance: self.end()

    def end(self) -> None:
        self.session.stop(timeout=0)
        self.stopped = True

    @invariant()
    def shows_only_what_the_model_let_through(self) -> None:
        for n, got in list(self.answers.items()):
            assert len(got) <= 1, f"frame {n} was answered {len(got)} times"
            for answer, pngs in got:
                message = self.sent[n]
                names = message["hidden"]
                understood = {**message, "hidden": sorted(set(names)) if isinstance(names, list) and all(isinstance(n,
                    str) for n in names) else names}
                assert (answer["kind"], answer["protocol"]) == ("matte",
                    PROTOCOL) and all(answer[k] in (message[k], understood[k]) for k in ECHO if k in message)
                if pngs: assert answer["hidden"] == understood["hidden"]
                assert ("error" in answer) + ("dropped" in answer) + len(pngs) == 1
                for png in pngs: self.check_png(n, message, png)

    def check_png(self, n: int, message: dict, png: bytes) -> None:
        self.looked += SIZE[0]*SIZE[1]
        assert n in self.maps, f"frame {n} shows something, and the model said nothing"
        assert np.array_equal(self.weighted[n],
            hide_weights(message["hidden"], message["dial"])), f"frame {n} was judged by other weights"
        visible = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        score, confidence = self.maps[n]
        assert visible.shape == SIZE and set(np.unique(visible)) <= {0, 255}
        unsure = ~((confidence >= message["bar"]) & np.isfinite(confidence))
        hidden = certain(score, DIALS[message["dial"]].peak) | unsure
        for zone in message["zones"]: hidden[ZONES[zone]] = True
        self.seen += int((visible == 255).sum())
        shown = (visible[hidden] == 255).sum()
        assert not shown, f"{shown} pixels of frame {n} show that must not"

    @invariant()
    def says_what_it_is(self) -> None:
        if self.stopped: assert self.session.stopped
        assert self.session._worker.is_alive() or self.stopped

    def teardown(self) -> None:
        self.session.stop(timeout=0)
        while self.busy is not None:
            self.told.put(("as it should", 0))
            self.stopped, self.busy = True, None
        self.session._worker.join(20)
        assert not self.session._worker.is_alive()
        for n in range(len(self.sent)):
            assert len(self.answers[n]) == 1, f"{len(self.answers[n]) or 'no'} answer to {n}"
        self.shows_only_what_the_model_let_through()


# ---- each fault in each state

REACH = {  # how a session gets into a state
    "idle": lambda m: None,
    "busy": lambda m: m.send(page=0, spoilt="as agreed", deaf=1),
    "waiting": lambda m: [m.send(page=0, spoilt="as agreed", deaf=1) for _ in range(2)],
    "live": lambda m: [(m.send(page=0, spoilt="as agreed", deaf=1), m.say(outcome="as it should", seed=n))
        for n in range(3)],
    "failed": lambda m: (m.send(page=0, spoilt="as agreed", deaf=1), m.say(outcome="an error", seed=0)),
    "stopped": lambda m: (m.send(page=0, spoilt="as agreed", deaf=1), m.end()),
}
EVENTS = {
    "a deaf listener": lambda m, n: m.send(page=n % 3, spoilt="as agreed", deaf=0),
    "the clock jumps ahead": lambda m, n: m.jump_ahead(seconds=n),
    "the clock jumps back": lambda m, n: m.jump_back(seconds=n),
    "another choice": lambda m, n: m.choose(names="Sky", bar=.5*(n % 2), dial="cautious", model="b",
        zones="show 0,0.5 1,1"),
    "Stop": lambda m, n: m.end(),
}
PAIRS = [(fault, state) for state in REACH
    for fault in (*SPOILT, *EVENTS, *(OUTCOMES if state in ("busy", "waiting", "stopped") else ()))]


def trial(fault: str, state: str, seed: int) -> tuple[int, int]:
    # how many pixels were looked at, and how many rightly seen
    "A session in that state meets that fault; then chance goes on for a while."
    m, rng = Faults(), np.random.default_rng(seed)
    pick = lambda names: list(names)[rng.integers(len(names))]
    try:
        m.choose(names="Car", bar=.5*(seed % 2), dial="cautious", model="a", zones=[*ZONES][seed % len(ZONES)])
        REACH[state](m)
        if fault in SPOILT: m.send(page=int(rng.integers(3)), spoilt=fault, deaf=1)
        elif fault in OUTCOMES: m.say(outcome=fault, seed=seed)
        else: EVENTS[fault](m, int(rng.integers(1000)))
        for _ in range(4):
            m.shows_only_what_the_model_let_through()
            if m.busy is not None and rng.integers(2): m.say(outcome=pick(OUTCOMES), seed=seed)
            else: m.send(page=int(rng.integers(3)), spoilt=pick(SPOILT), deaf=int(rng.integers(9)))
        m.shows_only_what_the_model_let_through()
        m.says_what_it_is()
    finally: m.teardown()
    return m.looked, m.seen


def campaign(times: int) -> dict:
    "`times` trials of each fault in each state: their number, the pixels looked at and rightly seen, which failed."
    result = {"trials": 0, "pixels": 0, "seen": 0, "failed": []}
    for fault, state in PAIRS:
        for _ in range(times):
            if len(result["failed"]) > 4: return result  # enough to go by
            result["trials"] += 1
            try: looked, seen = trial(fault, state, result["trials"])
            except AssertionError as e:
                result["failed"].append({"error": str(e)[:200], "fault": fault, "state": state,
                    "seed": result["trials"]})
            else: result.update(pixels=result["pixels"] + looked, seen=result["seen"] + seen)
    return result
