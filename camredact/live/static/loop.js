/* The loop: frames go out, mattes come in, and a frame is shown only under its own matte.

   The way of a frame:   Loop.frame -> Loop.send -> transport ... kernel ... transport -> Loop.receive -> Loop.show

   Failing means covering. The screen is a checkerboard, and only `Loop.show` puts anything else there: a picture that
   was composed off screen from one frame and the matte made for that very frame and that very choice. Whatever else
   happens ends in `Loop.cover`. */
import { checkerboard, compose, erosions, greyToAlpha, readsTrue, resize, whiteInBoth } from "./pixels.js";

export const PROTOCOL = 3;        // the version of what page and kernel say to each other; session.py has it as well
export const MAX_AGE = 2000;      // ms: no picture is ever shown for longer, and no answer awaited for longer
export const MIN_MAX_AGE = 300;   // ms: a fast kernel may still stumble a little
export const SILENCE = 10000;     // ms without any answer, and the camera is let go
export const BUDGET = 320 * 256;  // pixels sent for a model that does not say

/** The frame's height and width for the model: multiples of 32 near `budget` pixels, the shape kept. */
export function modelSize(h, w, budget) {
  if (!(Math.min(h, w, budget) >= 1)) throw new RangeError(`a picture of ${h} x ${w} for ${budget} pixels has no size`);
  const misfit = (a, b) => a > b ? a / b : b / a;
  const shape = Math.min(Math.max(w / h, 1 / 4), 4);
  const tall = Math.floor(Math.sqrt(budget / shape) / 32), wide = Math.floor(Math.sqrt(budget * shape) / 32);
  let least = Infinity, best;
  for (const n of [tall, tall + 1]) for (const m of [wide, wide + 1]) {
    const cost = n && m ? misfit(m / n, shape) ** 2 * misfit(n * m * 1024, budget) : Infinity;
    if (cost < least) [least, best] = [cost, [32 * n, 32 * m]];
  }
  return best;
}

/** Whether two choices (or a choice and an answer's echo of one) are the same in everything that shapes a matte. */
export function sameChoice(a, b) {
  return !!a && !!b && a.bar === b.bar && a.dial === b.dial && a.model === b.model &&
    Array.isArray(a.hidden) && a.hidden.length === b.hidden?.length &&
    a.hidden.every((name, i) => name === b.hidden[i]);
}

/** Mean, standard deviation and 95th percentile of some milliseconds; NaN where there are none. */
export function summary(samples) {
  const n = samples.length, mean = samples.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(samples.reduce((a, b) => a + (b - mean) ** 2, 0) / n);
  const p95 = n ? [...samples].sort((a, b) => a - b)[Math.min(n - 1, Math.floor(.95 * n))] : NaN;
  return { mean, deviation, p95 };
}

/** How old a frame may be and still be shown, from the answer times so far: a slow machine gives a slow picture. */
export function maxAge(p95) {
  return Number.isFinite(p95) ? Math.min(MAX_AGE, Math.max(MIN_MAX_AGE, 4 * p95)) : MAX_AGE;
}

/** How many frames may be under way, from ms a whole answer takes and ms that the kernel works on it: as many as keep
    the kernel busy while others travel. A slow kernel gets one at a time, or each frame would wait for the one before;
    a quick one gets three, since it waits for the page and not the page for it. */
export function inFlight(answer, work) {
  if (!Number.isFinite(answer + work)) return 2;
  if (work > 200) return 1;
  return Math.min(3, Math.max(work < QUICK ? 3 : 2, Math.floor(answer / Math.max(work, 1))));
}

/** Why this answer must not be shown for this frame under this choice; "" where it may. */
export function refusal(answer, buffers, frame, choice) {
  if (!sameChoice(answer, choice)) return "a matte came for another choice";
  if (answer.width !== frame.width || answer.height !== frame.height) return "a matte came in the wrong size";
  if (buffers.length !== 1) return "an answer came without a matte";
  return "";
}

export const WORDS = {
  idle: "Not started. Press Start.",
  stopped: "Stopped. The camera is off.",
  waiting: "Covered until the first matte.",
  choice: "Covered until the first matte of the new choice.",
  hidden: "Covered while the picture is not in view.",
  late: "Covered: the mattes take longer than a picture may be old.",
  frame: "Covered: the camera gives no new picture.",
  altered: "this browser alters what a page reads from a canvas. Allow canvas access for this page, then Start.",
  version: "the kernel runs another version of camredact: restart it, run the notebook again and reload this page.",
  away: "Jupyter has lost its connection to the kernel.",
  silent: "No answer from the kernel for 10 seconds. The camera is off. Press Start, or run the notebook again.",
  closed: "The kernel behind this camera is gone: run the notebook again.",
  ended: "The camera ended: it was unplugged, or another program took it. Start asks for it again.",
};

const RECENT = 2000;  // ms that rates look back
const KEPT = 40;      // answers that means are of
const PAUSE = 500;    // ms without a question after a refused answer
const QUICK = 50;     // ms of work, or less, for which three frames may be under way
const NOTICE = 5000;  // ms that a notice is said
const EMPTY = 1000;   // ms in which no matte covers anything, after which nothing is there

/** Sends frames, and shows those whose matte comes back. `transport` is {ready(), send(message, buffers),
    onMessage(callback), drop(), close()}: `ready` says whether a frame would leave at once, and throws words where it
    could not leave at all; `drop` throws away what waits. `platform` is the browser, or a test's double of it;
    `budgetOf(model)` says how many pixels a model takes. */
export class Loop {
  constructor({ transport, platform, budgetOf = () => BUDGET }) {
    Object.assign(this, { transport, platform, budgetOf });
    this.page = platform.nonce();  // a kernel's messages reach every tab, and a reloaded page counts from 1 again
    this.pending = new Map();      // id -> frame under way; whatever makes their answers worthless clears it
    this.listeners = new Set();    // called with "screen", "raw", "state", "tick" or, where it gives up, "left"
    this.choice = this.video = this.latest = null;
    this.closed = "";
    this.inView = true;            // whether anybody can see the picture, as far as its views know
    this.lookAhead = false;        // whether a picture waits for the next one's matte, and covers what that covers too
    this.held = null;              // the picture that waits, with its own matte
    this.interval = 0;             // ms from the picture that waited last to the one that it waited for
    this.epoch = this.last = this.shownId = 0;
    this.unanswered = 0;           // frames that were sent since the last answer
    this.waits = "";               // the kernel's words where frames wait for its cells
    this.counts = { shown: 0, dropped: 0, refused: 0, sent: 0 };
    this.resetStats();
    for (const name of ["checker", "stage", "mask", "sender", "probe"]) this[name] = platform.canvas(640, 480, name);
    checkerboard(this.checker);
    this.cover("idle", WORDS.idle);
    transport.onMessage((message, buffers) => this.receive(message, buffers ?? []));
    this.unwatch = platform.onVisibility(() => this.visibilityChanged());
  }

  get hidden() { return !this.inView || this.platform.hidden(); }
  /** The share of the picture that is covered by its matte; NaN where the picture does not show. */
  get covered() { return this.state === "live" ? this.share : NaN; }
  /** Whether the mattes of the last second covered nothing. */
  get empty() { return this.state === "live" && this.shownAt - this.emptySince >= EMPTY; }
  get age() { return this.state === "live" ? this.platform.now() - this.shownAt : NaN; }
  /** Who waits for the next picture is older by its interval. */
  get maxAge() {
    return Math.min(MAX_AGE, maxAge(summary(this.answers).p95) + (this.lookAhead ? 2 * this.interval : 0));
  }

  /** Follows a video from now on, covered until its first matte. */
  play(video) {
    if (this.closed) return;
    this.unfollow("late", WORDS.waiting);
    this.video = video;
    this.since = this.newest = this.platform.now();
    this.askedAt = this.encodesFaithfully = undefined;
    this.unanswered = 0;
    this.fit(video.videoWidth || 640, video.videoHeight || 480);
    this.endFrames = this.platform.frames(video, () => this.frame());
    this.watch();
    this.cover("late", this.hidden ? WORDS.hidden : WORDS.waiting);
  }

  /** Covers and lets the video go, with all that is raw: what waits to be sent, and what was drawn for it. */
  unfollow(state, words) {
    this.endFrames?.();
    if (this.video) this.transport.drop();
    resize(this.sender, 1, 1);
    this.platform.clearTimeout(this.watching);
    this.video = this.endFrames = null;
    this.rawTimes = [];
    this.invalidate();
    if (this.closed) this.cover("failed", this.closed);
    else this.cover(state, words);
    this.notify("raw");
  }

  /** Nothing can be asked or answered any more. */
  close() {
    if (this.closed) return;
    this.closed = WORDS.closed;
    this.transport.close();
    this.unwatch();
    this.unfollow();
    this.notify("left");
  }

  /** What to hide from now on. Covered at once, until a matte of this choice comes. */
  choose(choice, words = "") {
    if (sameChoice(choice, this.choice)) { this.liveWords = words; return; }
    if (choice.model !== this.choice?.model) this.resetStats();
    this.choice = choice;
    this.liveWords = words;
    this.invalidate();
    if (this.video) this.cover("late", this.hidden ? WORDS.hidden : WORDS.choice);
  }

  /** Where nobody can see the picture, nothing is sent. */
  look(inView) {
    if (inView === this.inView) return;
    this.inView = inView;
    this.visibilityChanged();
  }

  /** The page, or the picture in it, went out of view or came back. */
  visibilityChanged() {
    if (!this.video) return;
    this.askedAt = undefined;
    this.invalidate();
    this.cover("late", this.hidden ? WORDS.hidden : WORDS.waiting);
  }

  /** The video has a new picture: called once for each. */
  frame() {
    const now = this.platform.now();
    if (now < this.newest) {  // the clock went back, which a browser's never should: what it timed is worth nothing
      this.resetStats();
      this.visibilityChanged();
    }
    this.newest = now;
    this.rawTimes.push(now);
    const asks = this.choice && !this.hidden && now >= this.pausedUntil;
    if (asks && this.hasPlace(now)) this.send(now);
    else this.notify("raw");
  }

  /** Whether one more frame may be under way. Where nothing is answered, each waits twice as long as the one before:
      frames may lie anywhere between page and kernel, and nobody can call them back. */
  hasPlace(now) {
    const places = inFlight(summary(this.answers).mean, summary(this.works).mean);
    if (this.pending.size >= places || !this.open()) return false;
    return this.unanswered < places || now - this.tried >= MAX_AGE * 2 ** (this.unanswered - places);
  }

  /** Whether a frame would leave at once; covered where the way is shut. */
  open() {
    try { return this.transport.ready(); }
    catch (error) { this.fail(error); return false; }
  }

  /** Keeps the frame as it is, and sends it at the model's size. Its place is free once it is answered, or late. */
  async send(now) {
    const { platform } = this, frame = { id: ++this.last, at: now, epoch: this.epoch, choice: this.choice };
    this.pending.set(frame.id, frame);
    frame.timer = platform.setTimeout(() => this.giveUp(frame), MAX_AGE);
    try {
      this.encodesFaithfully ??= await platform.encodesFaithfully();  // else the kernel would judge another picture
      if (!this.encodesFaithfully) throw new Error(WORDS.altered);
      if (!this.pending.has(frame.id)) return;
      frame.picture = await platform.bitmap(this.video);
      if (!this.pending.has(frame.id)) return void frame.picture.close();
      this.latest = frame.picture;  // the raw view takes it from here: converting a video's picture twice is dear
      if (this.newest === now) this.notify("raw");
      this.latest = null;
      const { width, height } = frame.picture;
      const budget = Math.min(this.budgetOf(frame.choice.model), width * height);  // enlarging adds nothing
      [frame.height, frame.width] = modelSize(height, width, budget);
      resize(this.sender, frame.width, frame.height);
      const c = this.sender.getContext("2d");
      c.imageSmoothingQuality = "medium";  // averages over areas where the picture gets smaller
      c.drawImage(frame.picture, 0, 0, frame.width, frame.height);
      const jpeg = await platform.encode(this.sender);
      if (!this.pending.has(frame.id)) return;
      if (!this.transport.ready()) return void this.release(frame);
      frame.sent = this.tried = platform.now();
      this.askedAt ??= frame.sent;
      this.unanswered++;
      this.counts.sent++;
      const at = Number.isFinite(this.ahead) ? Math.round(frame.sent + this.ahead) : null;  // by the kernel's clock
      const message = { kind: "frame", protocol: PROTOCOL, page: this.page, id: frame.id, at, ...frame.choice };
      this.transport.send(message, [jpeg]);
    } catch (error) {
      if (this.release(frame)) this.fail(error);
    }
  }

  /** An answer, or what claims to be one: it reveals its frame only if everything about it is as it was asked for. */
  async receive(answer, buffers) {
    const { platform } = this;
    if (answer?.kind !== "matte" || answer.page !== this.page) return;
    this.askedAt = undefined;
    this.unanswered = 0;
    this.hearWaits(answer.waits);
    this.ahead = Number.isFinite(answer.at) ? answer.at - platform.now() : NaN;  // of the kernel's clock, at least
    const frame = this.pending.get(answer.id);
    let ready = { frame };
    if (!frame?.sent) return void this.counts.refused++;
    this.release(frame, true);
    try {
      if (answer.protocol !== PROTOCOL) throw new Error(WORDS.version);
      if (answer.dropped) return void this.counts.dropped++;
      if (answer.error) throw new Error(answer.error);
      const why = refusal(answer, buffers, frame, this.choice);
      if (why) throw new Error(why);
      this.measure(frame, answer);
      const before = this.decoding;  // decoders race: what is overtaken all the same is not shown
      this.decoding = platform.decode(buffers[0]);
      [ready.mask] = await Promise.all([this.decoding, before?.catch(() => {})]);
      if (frame.epoch !== this.epoch) return;
      if (frame.id < this.held?.frame.id) return void this.counts.refused++;
      ready = this.pairWithNext(ready);
      if (ready) this.show(ready.frame, ready.mask, ready.next);
    } catch (error) {
      this.counts.refused++;
      if (frame.epoch === this.epoch) this.fail(error);
    } finally {
      free(ready);
    }
  }

  /** What an answer says of frames that wait for cells; nothing, where they do not. */
  hearWaits(words = "") {
    if (words === this.waits) return;
    this.waits = words;
    this.notify("state");
  }

  /** Looking ahead: the picture before, which waited for this one's matte. Else: this one. */
  pairWithNext(ready) {
    const before = this.held;
    this.held = this.lookAhead ? ready : null;
    if (!this.lookAhead) { free(before); return ready; }
    if (before) this.interval = Math.max(0, ready.frame.at - before.frame.at);
    const { width, height } = ready.frame;
    if (before?.frame.width === width && before.frame.height === height) return { ...before, next: ready.mask };
    free(before);  // of another size: this one's matte says nothing of it
    return null;
  }

  /** The only way onto the screen. Where there is a next picture's matte, what that covers is covered as well. */
  show(frame, mask, next = mask) {
    const fits = m => m.width === frame.width && m.height === frame.height;
    if (!(fits(mask) && fits(next))) throw new Error("a matte came in the wrong size");
    const age = this.platform.now() - frame.at;
    if (frame.id < this.shownId) return void this.counts.refused++;
    if (!(age >= 0 && age <= this.maxAge)) return this.state === "live" || this.cover("late", WORDS.late);
    const { width, height } = frame.picture;
    this.share = this.readMask([mask, next], Math.max(erosions(mask.width, width), erosions(mask.height, height)));
    this.fit(width, height);
    compose(this.stage, frame.picture, this.mask, this.checker);
    this.screen = this.stage;
    this.shownId = frame.id;
    this.shownAt = frame.at;
    this.emptySince = this.share > 0 ? NaN : this.emptySince || frame.at;
    this.counts.shown++;
    this.shownTimes.push(this.platform.now());
    this.platform.clearTimeout(this.expiry);
    this.expiry = this.platform.setTimeout(() => this.expire(), this.maxAge - age);
    this.say("live", this.liveWords);
    this.notify("screen");
  }

  /** What shows is too old: either its successors' mattes are late, or there are none. */
  expire() { this.cover("late", this.newest > this.shownAt ? WORDS.late : WORDS.frame); }

  /** Checkerboard, everywhere and at once; the words say why. */
  cover(state, words) {
    this.platform.clearTimeout(this.expiry);
    this.emptySince = NaN;
    this.screen = this.checker;
    this.notify("screen");
    this.say(state, words);
  }

  /** Something went wrong that may pass: covered, and asked again after a while. */
  fail(error) {
    this.pausedUntil = this.platform.now() + PAUSE;
    this.askedAt = undefined;
    this.unanswered = 0;
    this.invalidate();
    this.cover("failed", `Covered: ${error?.message || error}`);
  }

  /** Forgets the frames under way: their answers, should they come, find nothing to reveal. */
  invalidate() {
    this.epoch++;
    free(this.held);
    this.held = null;
    this.decoding = undefined;  // one that never ends must not hold up those after it
    for (const frame of this.pending.values()) this.release(frame);
  }

  /** Gives a frame's place back, and unless it is `kept` its picture; false where that was done before. */
  release(frame, kept = false) {
    this.platform.clearTimeout(frame.timer);
    if (!kept) frame.picture?.close();
    return this.pending.delete(frame.id);
  }

  giveUp(frame) {
    if (!this.release(frame)) return;
    this.keep(this.answers, MAX_AGE);
    if (this.state !== "live" && this.state !== "failed") this.cover("late", WORDS.late);
  }

  /** Looks four times a second whether the kernel has fallen silent; views take their figures from the same beat. */
  watch() {
    const { platform } = this, now = platform.now();
    if (now - this.askedAt > SILENCE) {
      this.unfollow("failed", WORDS.silent);
      return this.notify("left");
    }
    this.watching = platform.setTimeout(() => this.watch(), 250);
    if (now - this.newest > MAX_AGE && this.state === "late" && !this.hidden) this.say("late", WORDS.frame);
    this.rawTimes = this.rawTimes.filter(t => t > now - RECENT);
    this.shownTimes = this.shownTimes.filter(t => t > now - RECENT);
    this.notify("tick");
  }

  /** Starts the figures afresh: another model, another pace. */
  resetStats() {
    Object.assign(this, { answers: [], works: [], predicts: [], shownTimes: [], rawTimes: [] });
    Object.assign(this, { since: this.platform.now(), pausedUntil: -Infinity, tried: -Infinity, askedAt: undefined });
  }

  measure(frame, answer) {
    const ms = answer.ms ?? {};
    this.keep(this.answers, this.platform.now() - frame.sent);
    this.keep(this.works, Object.values(ms).reduce((a, b) => a + (Number.isFinite(b) ? b : 0), 0));
    if (Number.isFinite(ms.predict)) this.keep(this.predicts, ms.predict);
  }

  keep(samples, value) { if (samples.push(value) > KEPT) samples.shift(); }

  /** The picture that the camera gives decides the size of everything. */
  fit(width, height) {
    if (this.checker.width === width && this.checker.height === height) return;
    for (const canvas of [this.checker, this.stage]) resize(canvas, width, height);
    checkerboard(this.checker);
  }

  /** Decoded PNGs of one size onto `this.mask`, as alpha: opaque where all are white. Returns the share covered. */
  readMask(pictures, times) {
    if (!readsTrue(this.probe)) throw new Error(WORDS.altered);
    const [{ width, height }] = pictures;
    resize(this.mask, width, height);
    const c = this.mask.getContext("2d", { willReadFrequently: true });
    c.globalCompositeOperation = "copy";
    let image;
    for (const picture of new Set(pictures)) {
      c.drawImage(picture, 0, 0);
      const read = c.getImageData(0, 0, width, height);
      if (image) whiteInBoth(image.data, read.data);
      else image = read;
    }
    const covered = greyToAlpha(image.data, width, height, times);
    c.putImageData(image, 0, 0);
    return covered;
  }

  /** The figures of the last two seconds, for people and for Python. */
  stats() {
    const span = Math.min(RECENT, Math.max(RECENT / 4, this.platform.now() - this.since));
    const rate = times => 1000 * times.length / span;
    const answer = summary(this.answers);
    return { fps: rate(this.shownTimes), raw_fps: rate(this.rawTimes), age_ms: this.age,
      covered: this.covered, empty: this.empty,
      answer_ms: answer.mean, answer_deviation_ms: answer.deviation,
      predict_ms: summary(this.predicts).mean, ...this.counts };
  }

  say(state, words) {
    this.plain = words;
    if (this.platform.now() < this.noticeUntil) words += ` ${this.notice}`;
    if (this.state === state && this.words === words) return;
    Object.assign(this, { state, words });
    this.notify("state");
  }

  /** Something to know that changes no state: said for a while beside whatever else is said. */
  warn(notice) {
    Object.assign(this, { notice, noticeUntil: this.platform.now() + NOTICE });
    this.say(this.state, this.plain);
  }

  notify(what) {
    for (const listener of this.listeners) try { listener(what); } catch (error) { console.error("camredact:", error); }
  }
}

function free(ready) {
  ready?.frame.picture.close();
  ready?.mask?.close();
}
