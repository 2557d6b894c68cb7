/* camredact: the page's half of a camera that redacts. One file, no dependencies.

   The way of a frame:   Loop.frame -> Loop.send -> transport ... kernel ... transport -> Loop.receive -> Loop.show

   Failing means covering. The screen is a checkerboard, and only `Loop.show` puts anything else there: a picture that
   was composed off screen from one frame and the matte made for that very frame and that very choice. Whatever else
   happens ends in `Loop.cover`.

   1 Sums   2 Pixels   3 The loop   4 The camera   5 The widget's state   6 The view   7 The browser and Jupyter */

// ---------------------------------------------------------------------------------------------------------- 1 Sums

export const PROTOCOL = 2;        // the version of what page and kernel say to each other; stream.py has it as well
export const MAX_AGE = 2000;      // ms: no picture is ever shown for longer, and no answer awaited for longer
export const MIN_MAX_AGE = 300;   // ms: a fast kernel may still stumble a little
export const SILENCE = 10000;     // ms without any answer, and waiting becomes failing
export const BUDGET = 320 * 256;  // pixels sent for a model that does not say

/** The frame's height and width for the model: multiples of 32 near `budget` pixels, the shape kept. As in segment.py. */
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
    Array.isArray(a.hidden) && a.hidden.length === b.hidden?.length && a.hidden.every((name, i) => name === b.hidden[i]);
}

/** The name of the preset that `hidden` and `bar` amount to, or "custom". */
export function presetOf(hidden, bar, presets) {
  const same = p => p.bar === bar && p.hidden.length === hidden.length && p.hidden.every(c => hidden.includes(c));
  return Object.keys(presets).find(name => same(presets[name])) ?? "custom";
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

// -------------------------------------------------------------------------------------------------------- 2 Pixels

const GREYS = ["#6d6d6d", "#dbdbdb"], SQUARE = 8;

/** Grey squares all over a canvas, dark at the top left, as redact.py draws them. */
export function checkerboard(canvas) {
  const c = canvas.getContext("2d");
  for (let y = 0; y < canvas.height; y += SQUARE) for (let x = 0; x < canvas.width; x += SQUARE) {
    c.fillStyle = GREYS[(x + y) / SQUARE % 2];
    c.fillRect(x, y, SQUARE, SQUARE);
  }
  return canvas;
}

/** How often a mask must be eroded before it is scaled from `mask` to `native` pixels without smoothing.

    Scaling without smoothing gives a pixel the value of the one mask pixel under its centre. Where sides are whole
    multiples that is the only mask pixel it touches. Elsewhere it may touch neighbours, so these must be visible too. */
export function erosions(mask, native) {
  return native % mask === 0 ? 0 : Math.max(1, Math.ceil(mask / native / 2));
}

/** Makes the first of two decoded masks white only where both are. */
export function whiteInBoth(rgba, other) {
  for (let i = 0; i < rgba.length; i++) rgba[i] &= other[i];
}

/** Visible only where the pixel and its eight neighbours are. Beyond the edge there is nothing to hide. */
export function erode(seen, w, h) {
  const rows = new Uint8Array(seen.length), out = new Uint8Array(seen.length);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++)
    rows[i] = seen[i] & (x > 0 ? seen[i - 1] : 1) & (x < w - 1 ? seen[i + 1] : 1);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++)
    out[i] = rows[i] & (y > 0 ? rows[i - w] : 1) & (y < h - 1 ? rows[i + w] : 1);
  return out;
}

/** Turns a decoded mask (RGBA bytes) into alpha, in place: opaque where it was exactly white, nothing elsewhere. */
export function greyToAlpha(rgba, w, h, times) {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, w * h);
  let seen = new Uint8Array(w * h);
  for (let i = 0; i < pixels.length; i++) seen[i] = pixels[i] === 0xffffffff ? 1 : 0;
  for (let n = 0; n < times; n++) seen = erode(seen, w, h);
  for (let i = 0; i < pixels.length; i++) pixels[i] = seen[i] ? 0xffffffff : 0;
}

/** Whether reading a canvas gives what was drawn there. Some browsers hand out white or noise instead, against
    fingerprinting, and a mask read so would be no mask. */
export function readsTrue(canvas) {
  resize(canvas, 2, 1);
  const c = canvas.getContext("2d", { willReadFrequently: true });
  for (const [x, colour] of ["#000000", "#ffffff"].entries()) {
    c.fillStyle = colour;
    c.fillRect(x, 0, 1, 1);
  }
  return [...c.getImageData(0, 0, 2, 1).data].join() === "0,0,0,255,255,255,255,255";
}

/** Draws on `stage`, which nobody sees: the picture where `mask` is opaque, over the checkerboard. */
export function compose(stage, picture, mask, checker) {
  const c = stage.getContext("2d"), { width, height } = stage;
  c.imageSmoothingEnabled = false;
  c.globalCompositeOperation = "copy";
  c.drawImage(mask, 0, 0, width, height);
  c.globalCompositeOperation = "source-in";
  c.drawImage(picture, 0, 0, width, height);
  c.globalCompositeOperation = "destination-over";
  c.drawImage(checker, 0, 0);
}

/** Replaces all of `canvas` by `picture` in one go, at the picture's size. */
export function blit(canvas, picture) {
  resize(canvas, picture.width, picture.height);
  const c = canvas.getContext("2d");
  c.globalCompositeOperation = "copy";
  c.drawImage(picture, 0, 0);
}

function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

// ------------------------------------------------------------------------------------------------------ 3 The loop

export const WORDS = {
  idle: "Not started. Press Start.",
  stopped: "Stopped. The camera is off.",
  waiting: "Covered until the first matte.",
  choice: "Covered until the first matte of the new choice.",
  hidden: "Covered while this page is not in view.",
  late: "Covered: the mattes take longer than a picture may be old.",
  frame: "Covered: the camera gives no new picture.",
  altered: "this browser alters what a page reads from a canvas. Allow canvas access for this page, then Start.",
  version: "the kernel runs another version of camredact: restart it, run the notebook again and reload this page.",
  away: "Jupyter has lost its connection to the kernel.",
  silent: "No answer from the kernel: run the notebook again.",
  closed: "The kernel behind this camera is gone: run the notebook again.",
  ended: "The camera ended: it was unplugged, or another program took it. Start asks for it again.",
};

const RECENT = 2000, KEPT = 40, PAUSE = 500;  // ms for rates, answers for means, ms to wait after a refused answer
const QUICK = 50, NOTICE = 5000;              // ms of work for which three frames may be under way, ms that a notice is said

/** Sends frames, and shows those whose matte comes back. `transport` is {ready(), send(message, buffers),
    onMessage(callback), drop(), close()}: `ready` says whether a frame would leave at once, and throws words where it could
    not leave at all; `drop` throws away what waits. `platform` is the browser, or a test's double of it; `budgetOf(model)`
    says how many pixels a model takes. */
export class Loop {
  constructor({ transport, platform, budgetOf = () => BUDGET }) {
    Object.assign(this, { transport, platform, budgetOf });
    this.page = platform.nonce();  // a kernel's messages reach every tab, and a reloaded page counts from 1 again
    this.pending = new Map();      // id -> frame under way; whatever makes their answers worthless clears it
    this.listeners = new Set();    // called with "screen", "raw", "state" or "tick"
    this.choice = this.video = this.latest = null;
    this.closed = "";
    this.lookAhead = false;        // whether a picture waits for the next one's matte, and hides what that hides as well
    this.held = null;              // the picture that waits, with its own matte
    this.interval = 0;             // ms from the picture that waited last to the one that it waited for
    this.turn = this.last = this.shownId = 0;
    this.unanswered = 0;           // frames that were sent since the last answer
    this.counts = { shown: 0, dropped: 0, refused: 0, sent: 0 };
    this.forget();
    for (const name of ["checker", "stage", "mask", "sender", "probe"]) this[name] = platform.canvas(640, 480, name);
    checkerboard(this.checker);
    this.cover("idle", WORDS.idle);
    transport.onMessage((message, buffers) => this.receive(message, buffers ?? []));
    this.unwatch = platform.onVisibility(() => this.looked());
  }

  get age() { return this.state === "live" ? this.platform.now() - this.shownAt : NaN; }
  /** Who waits for the next picture is older by its interval. */
  get maxAge() { return Math.min(MAX_AGE, maxAge(summary(this.answers).p95) + (this.lookAhead ? 2 * this.interval : 0)); }

  /** Follows a video from now on, covered until its first matte. */
  play(video) {
    if (this.closed) return;
    this.halt("late", WORDS.waiting);
    this.video = video;
    this.since = this.newest = this.platform.now();
    this.asked = this.honest = undefined;
    this.unanswered = 0;
    this.fit(video.videoWidth || 640, video.videoHeight || 480);
    this.unfollow = this.platform.frames(video, () => this.frame());
    this.watch();
    this.cover("late", this.platform.hidden() ? WORDS.hidden : WORDS.waiting);
  }

  /** Covers and lets the video go, with all that is raw: what waits to be sent, and what was drawn for it. */
  halt(state, words) {
    this.unfollow?.();
    if (this.video) this.transport.drop();
    resize(this.sender, 1, 1);
    this.platform.clearTimeout(this.watching);
    this.video = this.unfollow = null;
    this.rawTimes = [];
    this.drop();
    if (this.closed) this.cover("failed", this.closed);
    else this.cover(state, words);
    this.notify("raw");
  }

  /** Nothing can be asked or answered any more. */
  close(words = WORDS.closed) {
    if (this.closed) return;
    this.closed = words;
    this.transport.close();
    this.unwatch();
    this.halt();
  }

  /** What to hide from now on. Covered at once, until a matte of this choice comes. */
  choose(choice, words = "") {
    if (sameChoice(choice, this.choice)) { this.liveWords = words; return; }
    if (choice.model !== this.choice?.model) this.forget();
    this.choice = choice;
    this.liveWords = words;
    this.drop();
    if (this.video) this.cover("late", this.platform.hidden() ? WORDS.hidden : WORDS.choice);
  }

  /** The clock went back, which a browser's never should: whatever it timed is worth nothing. */
  wound() {
    this.forget();
    this.looked();
  }

  /** The page went out of view or came back. */
  looked() {
    if (!this.video) return;
    this.asked = undefined;
    this.drop();
    this.cover("late", this.platform.hidden() ? WORDS.hidden : WORDS.waiting);
  }

  /** The video has a new picture: called once for each. */
  frame() {
    const now = this.platform.now();
    if (now < this.newest) this.wound();
    this.newest = now;
    this.rawTimes.push(now);
    const asks = this.choice && !this.platform.hidden() && now >= this.pausedUntil;
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

  /** Keeps the frame as it is, and sends it at the model's size. Its place is given back when it is answered or late. */
  async send(now) {
    const { platform } = this, frame = { id: ++this.last, at: now, turn: this.turn, choice: this.choice };
    this.pending.set(frame.id, frame);
    frame.timer = platform.setTimeout(() => this.giveUp(frame), MAX_AGE);
    try {
      this.honest ??= await platform.honest();  // else the kernel would judge another picture than the one shown
      if (!this.honest) throw new Error(WORDS.altered);
      if (!this.pending.has(frame.id)) return;
      frame.picture = await platform.bitmap(this.video);
      if (!this.pending.has(frame.id)) return void frame.picture.close();
      this.latest = frame.picture;  // the raw view takes it from here: converting a video's picture twice is dear
      if (this.newest === now) this.notify("raw");
      this.latest = null;
      const { width, height } = frame.picture;
      const budget = Math.min(this.budgetOf(frame.choice.model), width * height);  // enlarging a picture adds nothing to it
      [frame.height, frame.width] = modelSize(height, width, budget);
      resize(this.sender, frame.width, frame.height);
      const c = this.sender.getContext("2d");
      c.imageSmoothingQuality = "medium";  // averages over areas where the picture gets smaller
      c.drawImage(frame.picture, 0, 0, frame.width, frame.height);
      const jpeg = await platform.encode(this.sender);
      if (!this.pending.has(frame.id)) return;
      if (!this.transport.ready()) return void this.settle(frame);
      frame.sent = this.tried = platform.now();
      this.asked ??= frame.sent;
      this.unanswered++;
      this.counts.sent++;
      this.transport.send({ kind: "frame", protocol: PROTOCOL, page: this.page, id: frame.id, ...frame.choice }, [jpeg]);
    } catch (error) {
      if (this.settle(frame)) this.fail(error);
    }
  }

  /** An answer, or what claims to be one: it reveals its frame only if everything about it is as it was asked for. */
  async receive(answer, buffers) {
    const { platform } = this;
    if (answer?.kind !== "matte" || answer.page !== this.page) return;
    this.asked = undefined;
    this.unanswered = 0;
    const frame = this.pending.get(answer.id);
    let ready = { frame };
    if (!frame?.sent) return void this.counts.refused++;
    this.settle(frame, true);
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
      if (frame.turn !== this.turn) return;
      if (frame.id < this.held?.frame.id) return void this.counts.refused++;
      ready = this.exchange(ready);
      if (ready) this.show(ready.frame, ready.mask, ready.next);
    } catch (error) {
      this.counts.refused++;
      if (frame.turn === this.turn) this.fail(error);
    } finally {
      letGo(ready);
    }
  }

  /** Looking ahead: the picture before, which waited for this one's matte. Else: this one. */
  exchange(ready) {
    const before = this.held;
    this.held = this.lookAhead ? ready : null;
    if (!this.lookAhead) { letGo(before); return ready; }
    if (before) this.interval = Math.max(0, ready.frame.at - before.frame.at);
    if (before?.frame.width === ready.frame.width && before.frame.height === ready.frame.height) return { ...before, next: ready.mask };
    letGo(before);  // of another size: nothing can be said of it by this one's matte
    return null;
  }

  /** The only way onto the screen. Where there is a next picture's matte, what that covers is covered as well. */
  show(frame, mask, next = mask) {
    for (const m of [mask, next]) if (m.width !== frame.width || m.height !== frame.height) throw new Error("a matte came in the wrong size");
    const age = this.platform.now() - frame.at;
    if (frame.id < this.shownId) return void this.counts.refused++;
    if (!(age >= 0 && age <= this.maxAge)) return this.state === "live" || this.cover("late", WORDS.late);
    const { width, height } = frame.picture;
    this.readMask([mask, next], Math.max(erosions(mask.width, width), erosions(mask.height, height)));
    this.fit(width, height);
    compose(this.stage, frame.picture, this.mask, this.checker);
    this.screen = this.stage;
    this.shownId = frame.id;
    this.shownAt = frame.at;
    this.counts.shown++;
    this.shownTimes.push(this.platform.now());
    this.platform.clearTimeout(this.expiry);
    this.expiry = this.platform.setTimeout(() => this.cover("late", this.whyLate()), this.maxAge - age);
    this.say("live", this.liveWords);
    this.notify("screen");
  }

  /** Checkerboard, everywhere and at once; the words say why. */
  cover(state, words) {
    this.platform.clearTimeout(this.expiry);
    this.screen = this.checker;
    this.notify("screen");
    this.say(state, words);
  }

  /** Something went wrong that may pass: covered, and asked again after a while. */
  fail(error) {
    this.pausedUntil = this.platform.now() + PAUSE;
    this.unanswered = 0;
    this.drop();
    this.cover("failed", `Covered: ${error?.message || error}`);
  }

  /** Forgets the frames under way: their answers, should they come, find nothing to reveal. */
  drop() {
    this.turn++;
    letGo(this.held);
    this.held = null;
    this.decoding = undefined;  // one that never ends must not hold up those after it
    for (const frame of this.pending.values()) this.settle(frame);
  }

  /** Gives a frame's place back, and unless it is `kept` its picture; false where that was done before. */
  settle(frame, kept = false) {
    this.platform.clearTimeout(frame.timer);
    if (!kept) frame.picture?.close();
    return this.pending.delete(frame.id);
  }

  giveUp(frame) {
    if (!this.settle(frame)) return;
    this.keep(this.answers, MAX_AGE);
    if (this.state !== "live" && this.state !== "failed") this.cover("late", WORDS.late);
  }

  whyLate() { return this.newest > this.shownAt ? WORDS.late : WORDS.frame; }

  /** Looks four times a second whether the kernel has fallen silent; views take their figures from the same beat. */
  watch() {
    const { platform } = this, now = platform.now();
    this.watching = platform.setTimeout(() => this.watch(), 250);
    if (now - this.asked > SILENCE && this.words !== WORDS.silent) this.cover("failed", WORDS.silent);
    if (now - this.newest > MAX_AGE && this.state === "late" && !platform.hidden()) this.say("late", WORDS.frame);
    this.rawTimes = this.rawTimes.filter(t => t > now - RECENT);
    this.shownTimes = this.shownTimes.filter(t => t > now - RECENT);
    this.notify("tick");
  }

  /** Starts the figures afresh: another model, another pace. */
  forget() {
    Object.assign(this, { answers: [], works: [], predicts: [], shownTimes: [], rawTimes: [] });
    Object.assign(this, { since: this.platform.now(), pausedUntil: -Infinity, tried: -Infinity, asked: undefined });
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

  /** Decoded PNGs of one size onto `this.mask`, as alpha: opaque where all are white. */
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
    greyToAlpha(image.data, width, height, times);
    c.putImageData(image, 0, 0);
  }

  /** The figures of the last two seconds, for people and for Python. */
  stats() {
    const span = Math.min(RECENT, Math.max(RECENT / 4, this.platform.now() - this.since));
    const rate = times => 1000 * times.length / span;
    const answer = summary(this.answers);
    return { fps: rate(this.shownTimes), raw_fps: rate(this.rawTimes), age_ms: this.age, max_age_ms: this.maxAge,
      answer_ms: answer.mean, answer_deviation_ms: answer.deviation, answer_p95_ms: answer.p95,
      predict_ms: summary(this.predicts).mean, in_flight: this.pending.size, ...this.counts };
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

function letGo(ready) {
  ready?.frame.picture.close();
  ready?.mask?.close();
}

// ---------------------------------------------------------------------------------------------------- 4 The camera

const PATIENCE = 10000;  // ms for a stream that is there to give its first picture

export function stopTracks(stream) { for (const track of stream?.getTracks() ?? []) track.stop(); }

/** What to ask the browser for: never sound. `wanted` is "default", "user" (front), "environment" (back) or a device. */
export function constraintsFor(wanted, video = true) {
  if (wanted === "default") return { audio: false, video };
  const more = ["user", "environment"].includes(wanted) ? { facingMode: wanted } : { deviceId: { exact: wanted } };
  return { audio: false, video: { ...(video === true ? {} : video), ...more } };
}

/** What went wrong with the camera or the clip, and what to do about it. */
export function sourceWords(error, { hostname = "HOST", port = "8888" } = {}) {
  port ||= "80";  // which an address does not spell out
  const said = {
    Insecure: `Browsers give a camera only to pages on https, localhost or 127.0.0.1, and this page is on ${hostname}. `
      + `On your own machine run: ssh -L ${port}:127.0.0.1:${port} ${hostname}, and open this page at 127.0.0.1:${port}; `
      + "or serve Jupyter over https.",
    NotAllowedError: "The camera was not allowed. Allow it beside the browser's address bar, then Start.",
    NotFoundError: "No camera was found. Plug one in, or choose another source, then Start. Without any: "
      + 'camredact live --source demo plays a drawn street, Camera("/files/clip.webm") a clip beside the notebook.',
    OverconstrainedError: "That camera was not found. Choose another one, then Start.",
    NotReadableError: "The camera does not answer: another program may be using it. Close that, then Start.",
    Clip: "The clip cannot be played. Browsers play webm and mp4 (H.264), by a URL that this page can reach.",
    Mute: "The source gives no picture. Choose another one, then Start.",
  };
  return said[error?.name] ?? `The camera could not be opened: ${error?.message || error}`;
}

function named(name) { return Object.assign(new Error(name), { name }); }

/** Opens one stream at a time. `streams` is {capture(wanted) -> MediaStream, release()}. */
export class Source {
  constructor({ streams, platform, ended = () => {} }) {
    Object.assign(this, { streams, platform, ended, turn: 0, stream: null });
  }

  /** The playing video; undefined where Stop, or another choice, came in between. Rejects with what the browser says. */
  async open(wanted) {
    this.close();
    const turn = this.turn, stale = () => turn !== this.turn;
    let stream, timer;
    try {
      stream = await this.streams.capture(wanted);
      if (stale()) return void stopTracks(stream);
      this.stream = stream;
      for (const track of stream.getVideoTracks()) track.addEventListener("ended", () => stale() || this.ended());
      const late = new Promise((_, no) => { timer = this.platform.setTimeout(() => no(named("Mute")), PATIENCE); });
      const video = await Promise.race([this.platform.video(stream), late]);
      return stale() ? undefined : video;
    } catch (error) {
      if (stale()) return void stopTracks(stream);
      this.close();
      throw error;
    } finally {
      this.platform.clearTimeout(timer);
    }
  }

  /** Stops every track, so that the camera's light goes out, and forgets the stream, so that Start asks again. */
  close() {
    this.turn++;
    stopTracks(this.stream);
    this.stream = null;
    this.streams.release();
  }
}

// ---------------------------------------------------------------------------------------------- 5 The widget's state

/** What the state says while the picture shows. */
export function liveWords(hidden, bar, presets, total) {
  if (!hidden.length && !bar) return "Live. Nothing is hidden: the whole picture shows.";
  const preset = presetOf(hidden, bar, presets), unsure = bar > 0 ? ", and what the model is unsure of" : "";
  const names = hidden.length <= 4 ? hidden.map(label).join("; ") || "nothing by name" : `${hidden.length} of ${total} categories`;
  return `Live. Hidden${preset === "custom" ? "" : ` (${preset})`}: ${names}${unsure}.`;
}

/** Ties the widget's traits to the loop and the source, and counts the views. `model` has get, set, on, save_changes. */
export class Control {
  constructor({ model, loop, streams, platform }) {
    Object.assign(this, { model, loop, platform, views: new Set(), recorder: null, opening: false });
    this.wanted = !!model.get("just_run");  // a cell was run, or Start was pressed, in this page: nothing else opens a camera
    this.source = new Source({ streams, platform, ended: () => this.rest("failed", WORDS.ended) });
    for (const name of ["hidden", "bar", "dial", "model"]) model.on(`change:${name}`, () => this.read());
    model.on("change:look_ahead", () => this.look());
    model.on("change:running", () => model.get("running") || this.stop(true));
    model.on("msg:custom", message => message?.kind === "start" && this.begin());
    model.on("change:camera", () => { if (this.busy) this.start(); });
    if (platform.recall("raw") === "off") this.set({ show_raw: false });
    loop.listeners.add(what => this.heard(what));
    this.look();
    this.read();
    this.tell();
  }

  get busy() { return this.opening || !!this.loop.video; }

  /** Sets traits here and in Python. The change events cover the picture before this returns. */
  set(traits) {
    for (const [name, value] of Object.entries(traits)) this.model.set(name, value);
    if (!this.loop.closed) this.model.save_changes();
  }

  /** Makes the loop's choice from the traits: names, in the order in which the kernel says them back. */
  read() {
    const [hidden, bar, dial, model] = ["hidden", "bar", "dial", "model"].map(name => this.model.get(name));
    this.loop.choose({ hidden: [...hidden].sort(), bar, dial, model }, liveWords(hidden, bar, this.model.get("presets"), this.model.get("codes").length));
  }

  look() { this.loop.lookAhead = !!this.model.get("look_ahead"); }

  choosePreset(name) {
    const preset = this.model.get("presets")[name];
    if (preset) this.set({ hidden: this.sorted(preset.hidden), bar: preset.bar, preset: name });
  }

  /** Hides or shows some categories, and leaves the others as they are. */
  hide(codes, on) {
    const others = this.model.get("hidden").filter(c => !codes.includes(c));
    const hidden = this.sorted(on ? [...others, ...codes] : others);
    this.set({ hidden, preset: presetOf(hidden, this.model.get("bar"), this.model.get("presets")) });
  }

  coverUnsure(on) {
    const presets = this.model.get("presets"), bar = on ? Math.max(...Object.values(presets).map(p => p.bar)) : 0;
    this.set({ bar, preset: presetOf(this.model.get("hidden"), bar, presets) });
  }

  sorted(names) { return this.model.get("codes").filter(c => names.includes(c)); }

  showRaw(on) {
    this.platform.remember("raw", on ? "on" : "off");
    this.set({ show_raw: on });
  }

  /** Opens the source and follows it. */
  async start() {
    if (this.loop.closed) return;
    this.opening = true;
    this.loop.halt("idle", "Asking for the picture.");
    try {
      const video = await this.source.open(this.model.get("camera"));
      if (!video) return;
      this.opening = false;
      this.loop.play(video);
    } catch (error) {
      this.rest("failed", sourceWords(error, this.platform.place()));
    }
  }

  /** Lets the source go. */
  rest(state, words) {
    this.opening = false;
    this.source.close();
    this.loop.halt(state, words);
  }

  /** Python asks for the picture: a cell was run. */
  begin() {
    this.wanted = true;
    if (this.views.size && !this.busy) this.start();
  }

  /** Lets the source go, `forGood` until somebody asks for it again. */
  stop(forGood = false) {
    if (forGood) this.wanted = false;
    this.rest("stopped", WORDS.stopped);
    this.finish();
  }

  /** Start and Stop as pressed: Python hears of it, and Start tries again where it failed. */
  press(on) {
    const changes = !!this.model.get("running") !== on;
    this.wanted = on;
    if (changes) this.set({ running: on });
    if (on) this.start();
    else if (!changes) this.stop();
  }

  attach(view) {
    this.views.add(view);
    this.platform.clearTimeout(this.leaving);
    if (this.wanted && this.model.get("running") && !this.busy && this.views.size === 1) this.start();
  }

  /** Without a view nobody can see that the camera is on: so it is not, unless the view only moved. */
  detach(view) {
    this.views.delete(view);
    if (!this.views.size) this.leaving = this.platform.setTimeout(() => this.stop(), 1000);
  }

  close() {
    this.platform.clearTimeout(this.leaving);
    this.finish();
    this.source.close();
    this.loop.close();
  }

  /** The redacted picture as a file. The raw one is never offered. */
  async snapshot() {
    try { this.platform.download(await this.platform.png(this.loop.screen), "png"); }
    catch (error) { this.lost("snapshot", error); }
  }

  /** Says what could not be saved, and leaves the state as it is. */
  lost(what, error) { this.loop.warn(`The ${what} could not be saved: ${error?.message || error}`); }

  /** Starts a recording of the redacted picture, or ends it and offers the file. */
  record() {
    if (this.recorder) return this.finish();
    this.film = this.platform.canvas(640, 480, "film");
    blit(this.film, this.loop.screen);
    try { this.recorder = this.platform.recorder(this.film); }
    catch (error) { this.loop.warn(`This browser cannot record: ${error.message}`); }
    this.tellViews();
  }

  async finish() {
    const { recorder } = this;
    this.recorder = null;
    this.tellViews();
    if (!recorder) return;
    try {
      const film = await recorder.stop();
      this.platform.download(film, film.type?.includes("mp4") ? "mp4" : "webm");
    } catch (error) { this.lost("recording", error); }
  }

  heard(what) {
    if (what === "state") this.telling ??= this.platform.setTimeout(() => this.tell(), 100);
    if (what === "tick" && this.platform.now() - (this.told ?? 0) > 1000) this.tell();
    this.tellViews(what);
    if (this.recorder && (what === "screen" || what === "tick")) this.filmIt();
    if (this.loop.closed && !this.gone) { this.gone = true; this.source.close(); this.finish(); }
  }

  /** The next picture of the film; without it the film would go on showing the last one, so it ends. */
  filmIt() {
    try { blit(this.film, this.loop.screen); }
    catch (error) { this.lost("rest of the recording", error); this.finish(); }
  }

  /** Tells Python the state, and about once a second the figures. */
  tell() {
    this.telling = undefined;
    this.told = this.platform.now();
    const figures = Object.entries(this.loop.stats()).map(([k, v]) => [k, Number.isFinite(v) ? Math.round(v * 10) / 10 : null]);
    this.set({ state: this.loop.state, words: this.loop.words, stats: Object.fromEntries(figures) });
  }

  tellViews(what = "state") {
    for (const view of this.views) try { view(what); } catch (error) { console.error("camredact:", error); }
  }
}

// ------------------------------------------------------------------------------------------------------- 6 The view

const LABELS = {
  CartLuggagePram: "Cart, luggage, pram", LaneMkgsDriv: "Lane marking", LaneMkgsNonDriv: "Other marking", Misc_Text: "Text",
  MotorcycleScooter: "Motorcycle, scooter", OtherMoving: "Other moving", SignSymbol: "Sign", SUVPickupTruck: "SUV, pickup",
  Truck_Bus: "Truck, bus", VegetationMisc: "Other plant", Column_Pole: "Column, pole", Void: "Void (no name)",
};

/** A category's name for people: "Traffic light" for TrafficLight. */
export function label(code) {
  return LABELS[code] ?? code[0] + code.slice(1).replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
}

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function menu(name, text, hint, pick) {
  const select = h("select", { name, title: hint, onchange: e => pick(e.target.value) });
  return [select, h("label", { class: "camredact-menu" }, h("span", {}, text), select)];
}

function fill(select, options, value) {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
    select.dataset.options = key;
  }
  select.value = value;
}

function button(name, text, hint, press) { return h("button", { type: "button", name, title: hint, onclick: press }, text); }

/** Builds the widget in `el`, and returns what removes it. */
export function view(control, el) {
  const { model, loop } = control, get = name => model.get(name);
  const redacted = h("canvas", { class: "camredact-redacted", role: "img", "aria-label": "the redacted picture" });
  const raw = h("canvas", { class: "camredact-raw", role: "img", "aria-label": "the raw picture" });
  const redactedRate = h("span", { class: "camredact-rate" }), rawRate = h("span", { class: "camredact-rate" });
  const rawFigure = h("figure", {}, raw, h("figcaption", {}, h("b", {}, "raw"), rawRate));
  const pictures = h("div", { class: "camredact-pictures" },
    h("figure", {}, redacted, h("figcaption", {}, h("b", {}, "redacted"), redactedRate)), rawFigure);
  const words = h("span", { role: "status", "aria-live": "polite" }), answer = h("span", { class: "camredact-answer" });
  const said = h("div", { class: "camredact-said" }, h("span", { class: "camredact-dot", "aria-hidden": "true" }), words);

  const start = button("start", "Start", "Ask for the camera and go", () => control.press(true));
  const stop = button("stop", "Stop", "Cover the picture and switch the camera off", () => control.press(false));
  const snapshot = button("snapshot", "Snapshot", "Save the redacted picture as a PNG", () => control.snapshot());
  const record = button("record", "Record", "Record the redacted picture; press again to save the film", () => control.record());
  const rawBox = h("input", { type: "checkbox", name: "raw", onchange: e => control.showRaw(e.target.checked) });
  const rawHint = "The picture as the camera gives it. It never leaves this page and the kernel.";
  const bar = h("div", { class: "camredact-bar" }, start, stop, snapshot, record,
    h("label", { class: "camredact-option", title: rawHint }, rawBox, "raw picture"), answer);

  const [preset, presetMenu] = menu("preset", "Preset", "A set of categories to hide", name => control.choosePreset(name));
  const [dial, dialMenu] = menu("dial", "Dial", "Cautious covers more than it must, precise may miss some", name => control.set({ dial: name }));
  const [network, networkMenu] = menu("model", "Model", "The network that looks at each frame", name => control.set({ model: name }));
  const [camera, cameraMenu] = menu("camera", "Camera", "Where the picture comes from", name => control.set({ camera: name }));
  const menus = h("div", { class: "camredact-menus" }, presetMenu, dialMenu, networkMenu, cameraMenu);

  const boxes = new Map(), groups = [];
  const box = code => {
    const input = h("input", { type: "checkbox", name: "hide", value: code, onchange: e => control.hide([code], e.target.checked) });
    boxes.set(code, input);
    const chip = h("span", { class: "camredact-chip", "aria-hidden": "true" });
    chip.style.background = `rgb(${get("colours")[code]})`;
    return h("label", { title: code }, input, chip, h("span", {}, label(code)));
  };
  const group = ([title, codes]) => {
    const all = h("input", { type: "checkbox", name: "group", value: title, onchange: e => control.hide(codes, e.target.checked) });
    groups.push([all, codes]);
    return h("fieldset", {}, h("legend", {}, h("label", { title: `All of: ${title}` }, all, title)), ...codes.map(box));
  };
  const unsure = h("input", { type: "checkbox", name: "uncertain", onchange: e => control.coverUnsure(e.target.checked) });
  const kinds = h("div", { class: "camredact-kinds", role: "group", "aria-label": "Categories to hide" }, ...get("groups").map(group));
  const doubt = h("label", { class: "camredact-option", title: "Cover as well wherever the best of the 32 probabilities is low" },
    unsure, "also hide what the model is unsure of");
  const ahead = h("input", { type: "checkbox", name: "ahead", onchange: e => control.set({ look_ahead: e.target.checked }) });
  const later = h("label", { class: "camredact-option", title: "A picture waits for the next one's matte, and hides what that hides as well: it comes a picture later, and a slow machine may stay covered" },
    ahead, "look one picture ahead");

  const root = h("div", { class: "camredact" }, pictures, said, bar, menus, kinds, h("div", { class: "camredact-more" }, doubt, later));
  // JupyterLab's plain keys (arrows move between cells, letters edit them) are not meant for a box or menu that has the focus.
  const keys = e => root.contains(e.target) && e.target.toggleAttribute("data-lm-suppress-shortcuts", !(e.ctrlKey || e.metaKey || e.altKey));
  window.addEventListener("keydown", keys, true);

  const paintRaw = () => {
    const on = !!get("show_raw"), picture = loop.latest ?? loop.video;
    rawFigure.hidden = !on;
    if (on && (picture?.videoWidth ?? picture?.width)) {
      resize(raw, picture.videoWidth ?? picture.width, picture.videoHeight ?? picture.height);
      raw.getContext("2d").drawImage(picture, 0, 0);
    } else Object.assign(raw, { width: loop.screen.width, height: loop.screen.height });  // which clears it
  };
  let broken = "";  // why this view shows nothing, whatever others show
  const paint = () => {
    const before = broken;
    try {
      blit(redacted, loop.screen);
      broken = "";
    } catch (error) {
      redacted.width = 0;  // rather nothing than the last picture
      broken = `Covered: the picture cannot be painted here (${error?.message || error}).`;
    }
    if (broken !== before) state();
    root.dataset.shown = loop.counts.shown;
    root.dataset.ageMs = whole(loop.age);
  };
  const figures = () => {
    const s = loop.stats();
    Object.assign(root.dataset, { fps: s.fps.toFixed(1), rawFps: s.raw_fps.toFixed(1), ageMs: whole(s.age_ms), answerMs: whole(s.answer_ms),
      predictMs: Number.isFinite(s.predict_ms) ? s.predict_ms.toFixed(1) : "", dropped: s.dropped, shown: s.shown });
    redactedRate.textContent = loop.video ? `${s.fps.toFixed(0)} fps` : "";
    rawRate.textContent = loop.video ? `${s.raw_fps.toFixed(0)} fps` : "";
    answer.textContent = loop.video && Number.isFinite(s.answer_ms) ? `answer ${whole(s.answer_ms)} ± ${whole(s.answer_deviation_ms)} ms` : "";
    answer.title = Number.isFinite(s.predict_ms) ? `from sending a frame to its matte, of which the model ${s.predict_ms.toFixed(1)} ms` : "";
  };
  const state = () => {
    root.dataset.state = broken ? "failed" : loop.state;
    words.textContent = broken || loop.words;
    start.disabled = control.busy || !!loop.closed;
    stop.disabled = !control.busy;
    record.textContent = control.recorder ? "End recording" : "Record";
    record.setAttribute("aria-pressed", String(!!control.recorder));
  };
  const choice = () => {
    const hidden = new Set(get("hidden")), presets = get("presets"), name = presetOf(get("hidden"), get("bar"), presets);
    for (const [code, input] of boxes) input.checked = hidden.has(code);
    for (const [all, codes] of groups) {
      const n = codes.filter(c => hidden.has(c)).length;
      all.checked = n === codes.length;
      all.indeterminate = n > 0 && n < codes.length;
    }
    unsure.checked = get("bar") > 0;
    ahead.checked = !!get("look_ahead");
    rawBox.checked = !!get("show_raw");
    const own = name === "custom" ? [["custom", hidden.size || get("bar") ? "custom" : "nothing"]] : [];
    fill(preset, [...own, ...Object.keys(presets).map(n => [n, n])], name);
    fill(dial, get("dials").map(n => [n, n]), get("dial"));
    fill(network, get("models").map(n => [n, n]), get("model"));
  };
  let known = null;  // once a camera was allowed, the browser tells the names of all
  const cameras = async () => fill(camera, await control.platform.cameras(get("clip")), get("camera"));
  const show = what => {
    if (what === "screen") paint();
    else if (what === "raw") paintRaw();
    else if (what === "tick") figures();
    else { state(); figures(); if (loop.video !== known) cameras(); known = loop.video; }
  };

  const rawToo = () => { choice(); paintRaw(); };
  const changes = { hidden: choice, bar: choice, dial: choice, model: choice, show_raw: rawToo, look_ahead: choice, camera: cameras, clip: cameras };
  for (const [name, follow] of Object.entries(changes)) model.on(`change:${name}`, follow);
  const unwatch = control.platform.onCameras(cameras);
  choice(); cameras(); paint(); paintRaw(); state(); figures();
  el.replaceChildren(root);
  control.attach(show);
  return () => {
    for (const [name, follow] of Object.entries(changes)) model.off(`change:${name}`, follow);
    window.removeEventListener("keydown", keys, true);
    unwatch();
    control.detach(show);
    root.remove();
  };
}

function whole(x) { return Number.isFinite(x) ? x.toFixed(0) : ""; }

// ------------------------------------------------------------------------------------- 7 The browser and Jupyter

const JPEG = .85;

/** What the loop wants of a browser, in one place, so that tests can give it something else. */
export function browserPlatform() {
  const media = navigator.mediaDevices;
  return {
    now: () => performance.now(),
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: id => clearTimeout(id),
    nonce: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0")).join(""),
    hidden: () => document.hidden,
    onVisibility(f) {
      document.addEventListener("visibilitychange", f);
      return () => document.removeEventListener("visibilitychange", f);
    },
    canvas: (width, height) => Object.assign(document.createElement("canvas"), { width, height }),
    bitmap: video => createImageBitmap(video),
    decode: png => createImageBitmap(new Blob([png], { type: "image/png" })),
    encode: async canvas => (await blob(canvas, "image/jpeg", JPEG)).arrayBuffer(),
    async honest() {  // four blocks of colour, by the way that frames go: within what JPEG may change
      const blocks = [[0, 0, 0], [255, 255, 255], [200, 40, 40], [40, 40, 200]], size = 16;
      const canvas = this.canvas(4 * size, size), c = canvas.getContext("2d", { willReadFrequently: true });
      for (const [i, rgb] of blocks.entries()) {
        c.fillStyle = `rgb(${rgb})`;
        c.fillRect(i * size, 0, size, size);
      }
      const back = await createImageBitmap(new Blob([await this.encode(canvas)], { type: "image/jpeg" }));
      c.clearRect(0, 0, 4 * size, size);
      c.drawImage(back, 0, 0);
      back.close();
      const read = i => c.getImageData((i + .5) * size, size / 2, 1, 1).data;
      return blocks.every((rgb, i) => rgb.every((v, k) => Math.abs(v - read(i)[k]) < 24));
    },
    png: canvas => blob(canvas, "image/png"),
    async video(stream) {
      const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
      video.srcObject = new MediaStream(stream.getVideoTracks());
      await video.play();
      return video;
    },
    frames: followFrames,
    place: () => location,
    recall: key => { try { return localStorage.getItem(`camredact-${key}`); } catch { return null; } },
    remember: (key, value) => { try { localStorage.setItem(`camredact-${key}`, value); } catch (error) { console.warn("camredact:", error); } },
    recorder: recordCanvas,
    download(file, kind) {
      const href = URL.createObjectURL(file), when = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
      h("a", { href, download: `camredact-${when}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    },
    async cameras(clip) {
      const devices = (await media?.enumerateDevices() ?? []).filter(d => d.kind === "videoinput" && d.deviceId && d.label);
      return [...(clip ? [["clip", "Clip"]] : []), ["default", "Default camera"], ["user", "Front camera"], ["environment", "Back camera"],
        ...devices.map(d => [d.deviceId, d.label])];
    },
    onCameras(f) {
      media?.addEventListener("devicechange", f);
      return () => media?.removeEventListener("devicechange", f);
    },
  };
}

function blob(canvas, type, quality) {
  return new Promise((yes, no) => canvas.toBlob(b => b ? yes(b) : no(new Error(`the picture could not be saved as ${type}`)), type, quality));
}

/** Calls `f` once for every new picture of a video; returns what ends that. */
function followFrames(video, f) {
  let on = true, seen = -1;
  const exact = "requestVideoFrameCallback" in video;
  const next = () => exact ? video.requestVideoFrameCallback(step) : requestAnimationFrame(step);
  const step = () => {
    if (!on) return;
    next();
    if (!exact && video.currentTime === seen) return;
    seen = video.currentTime;
    f();
  };
  next();
  return () => { on = false; video.pause(); video.srcObject = null; };
}

function recordCanvas(canvas) {
  const mimeType = ["video/webm;codecs=vp8", "video/webm"].find(type => MediaRecorder.isTypeSupported(type));
  const stream = canvas.captureStream(), recorder = new MediaRecorder(stream, { mimeType }), parts = [];
  recorder.ondataavailable = e => parts.push(e.data);
  recorder.start(1000);
  return {
    stop: () => new Promise(yes => {
      recorder.onstop = () => { stopTracks(stream); yes(new Blob(parts, { type: recorder.mimeType })); };
      recorder.stop();
    }),
  };
}

/** The real front-end model behind a trait that refers to a widget, such as "IPY_MODEL_1234"; null where there is none. */
async function modelOf(model, trait) {
  const ref = model.get(trait);
  return typeof ref === "string" ? model.widget_manager.get_model(ref.slice("IPY_MODEL_".length)) : null;
}

/** Frames and mattes over a comm of their own: the widget `frames` writes on it only to answer. While JupyterLab is not
    connected it would keep whatever it is given, without end, and send it all afterwards: so it is given nothing. */
export function commTransport(frames) {
  let callback = () => {};
  const listen = (message, buffers) => callback(message, buffers);
  frames.on("msg:custom", listen);
  return {
    ready() {
      const status = frames.widget_manager?.kernel?.connectionStatus ?? "connected";  // not everybody tells
      if (status !== "connected") throw new Error(WORDS.away);
      return true;
    },
    send: (message, buffers) => frames.send(message, undefined, buffers),
    onMessage: f => { callback = f; },
    drop() {},  // nothing waits here
    close: () => frames.off("msg:custom", listen),
  };
}

/** ipywebrtc's streams. They keep their MediaStream for good, so it has to be taken from them to be asked for again. */
export function jupyterStreams(model, { mediaDevices } = navigator) {
  let current = null, video;
  return {
    async capture(wanted) {
      const stream = current = await modelOf(model, wanted === "clip" ? "clip" : "stream");
      if (wanted === "clip") return captureClip(stream);
      if (!mediaDevices) throw named("Insecure");
      video ??= stream.get("constraints").video ?? true;
      stream.set("constraints", constraintsFor(wanted, video));
      return stream.captureStream();
    },
    release() {
      if (!current) return;
      current.cameraStream = null;
      current.media?.pause();
    },
  };
}

/** A clip plays muted and for ever. ipywebrtc waits in silence for one that cannot be played. */
async function captureClip(stream) {
  const broken = new Promise((_, no) => {
    const look = setInterval(() => stream.media?.error && no(named("Clip")), 200);
    setTimeout(() => { clearInterval(look); no(named("Clip")); }, PATIENCE);
  });
  const captured = await Promise.race([stream.captureStream(), broken]);
  if (stream.media) {
    Object.assign(stream.media, { muted: true, loop: true });
    await stream.media.play();
  }
  return captured;
}

const controls = new Map();  // by the reference of its frames widget, which no other camera has

async function initialize({ model, signal }) {
  const platform = browserPlatform(), key = model.get("frames");
  const frames = await modelOf(model, "frames").catch(() => null);
  const nowhere = { ready: () => false, send() {}, onMessage() {}, drop() {}, close() {} };
  const loop = new Loop({ transport: frames ? commTransport(frames) : nowhere, platform,
    budgetOf: name => model.get("budgets")[name] ?? BUDGET });
  const look = () => frames?.comm_live || loop.close();
  frames?.on("comm_live_update destroy", look);
  look();
  const control = new Control({ model, loop, streams: jupyterStreams(model), platform });
  controls.set(key, control);
  signal?.addEventListener("abort", () => {
    frames?.off("comm_live_update destroy", look);
    control.close();
    if (controls.get(key) === control) controls.delete(key);
  });
}

function render({ model, el }) { return view(controls.get(model.get("frames")), el); }

export default { initialize, render };
