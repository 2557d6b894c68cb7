/* The loop: frames go out, mattes come in, and a frame is shown only under its own matte.

   The way of a frame:   Loop.frame -> Loop.send -> transport ... kernel ... transport -> Loop.receive -> Loop.show

   Failing means covering. The screen is a checkerboard, and only `Loop.show` puts anything else there: a picture that
   was composed off screen from one frame and the matte made for that very frame and that very choice. Whatever else
   happens ends in `Loop.cover`. */
import { Pace } from "./pace.js";
import { checkerboard, compose, drawAt, fit, free, readMask, readsTrue, resize } from "./pixels.js";
import { BUDGET, MAX_AGE, PAUSE, PROTOCOL, SILENCE, modelSize, refusal, sameChoice } from "./rules.js";
import { Teller, WORDS } from "./words.js";

const EMPTY = 1000;  // ms in which no matte covers anything, after which nothing is there

/** Sends frames, and shows those whose matte comes back. `transport` is {ready(), send(message, buffers),
    onMessage(callback), drop(), close()}: `ready` says whether a frame would leave at once, and throws words where it
    could not leave at all; `drop` throws away what waits. `platform` is the browser, or a test's double of it;
    `budgetOf(model)` says how many pixels a model takes. */
export class Loop extends Teller {
  constructor({ transport, platform, budgetOf = () => BUDGET }) {
    super(platform);
    Object.assign(this, { transport, budgetOf });
    this.page = platform.nonce();  // a kernel's messages reach every tab, and a reloaded page counts from 1 again
    this.pending = new Map();      // id -> frame under way; whatever makes their answers worthless clears it
    this.choice = this.video = this.latest = null;
    this.closed = "";
    this.inView = true;            // whether anybody can see the picture, as far as its views know
    this.lookAhead = false;        // whether a picture waits for the next one's matte, and covers what that covers too
    this.held = null;              // the picture that waits, with its own matte
    this.interval = 0;             // ms from the picture that waited last to the one that it waited for
    this.epoch = this.last = this.shownId = 0;
    this.unanswered = 0;           // frames that were sent since the last answer
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
    return Math.min(MAX_AGE, this.pace.maxAge + (this.lookAhead ? 2 * this.interval : 0));
  }

  /** Follows a video from now on, covered until its first matte. */
  play(video) {
    if (this.closed) return;
    this.unfollow("late", WORDS.waiting);
    this.video = video;
    this.pace.since = this.newest = this.platform.now();
    this.askedAt = this.encodesFaithfully = undefined;
    this.unanswered = 0;
    fit(this.checker, this.stage, video.videoWidth || 640, video.videoHeight || 480);
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
    this.pace.raw = [];
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
    if (!this.video.fed) this.pace.raw.push(now);
    const asks = this.choice && !this.hidden && now >= this.pausedUntil;
    if (asks && this.hasPlace(now)) this.send(now);
    else if (!this.video.fed) this.notify("raw");
  }

  /** Whether one more frame may be under way. Where nothing is answered, each waits twice as long as the one before:
      frames may lie anywhere between page and kernel, and nobody can call them back. */
  hasPlace(now) {
    const { places } = this.pace;
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
    const { platform } = this, { fed } = this.video;
    const frame = { id: ++this.last, at: now, epoch: this.epoch, choice: this.choice, fed };
    this.pending.set(frame.id, frame);
    frame.timer = platform.setTimeout(() => this.giveUp(frame), MAX_AGE);
    try {
      const buffers = fed ? [] : await this.draw(frame, now);
      if (!this.pending.has(frame.id)) return;
      if (!this.transport.ready()) return void this.release(frame);
      frame.sent = this.tried = platform.now();
      this.askedAt ??= frame.sent;
      this.unanswered++;
      this.counts.sent++;
      const at = Number.isFinite(this.ahead) ? Math.round(frame.sent + this.ahead) : null;  // by the kernel's clock
      const message = { kind: "frame", protocol: PROTOCOL, page: this.page, id: frame.id, at, ...frame.choice };
      this.transport.send(message, buffers);
    } catch (error) {
      if (this.release(frame)) this.fail(error);
    }
  }

  /** The frame at the model's size, to be sent; its picture stays with it. Undefined once nobody waits for it. */
  async draw(frame, now) {
    const { platform } = this;
    this.encodesFaithfully ??= await platform.encodesFaithfully();  // else the kernel would judge another picture
    if (!this.encodesFaithfully) throw new Error(WORDS.altered);
    if (!this.pending.has(frame.id)) return;
    const picture = await platform.bitmap(this.video);
    if (!this.pending.has(frame.id)) return void picture.close();
    this.keep(frame, picture, this.newest === now);
    return [await platform.encode(drawAt(this.sender, picture, frame.width, frame.height))];
  }

  /** A frame gets its picture, and so its size for the model. The raw view takes it from here, where it is to be
      `seen`: converting a video's picture twice is dear. */
  keep(frame, picture, seen) {
    const { width, height } = frame.picture = picture;
    const budget = Math.min(this.budgetOf(frame.choice.model), width * height);  // enlarging adds nothing
    [frame.height, frame.width] = modelSize(height, width, budget);
    this.latest = picture;
    if (seen) this.notify("raw");
    this.latest = null;
  }

  /** ms that an answer took, without those that the kernel `waited` for its stream's next picture. */
  took(frame, waited) {
    const now = this.platform.now();
    if (frame.fed) frame.at = frame.sent + (waited > 0 ? Math.min(waited, now - frame.sent) : 0);
    return now - (frame.fed ? frame.at : frame.sent);
  }

  /** The matte of an answer. A frame of a stream that the kernel reads gets its picture from there as well. */
  async unpack(frame, [png, jpeg]) {
    if (frame.fed) {
      const picture = await this.platform.decode(jpeg, "image/jpeg");
      if (frame.epoch !== this.epoch) picture.close();
      else this.keep(frame, picture, true);
      this.pace.raw.push(frame.at);
    }
    return this.platform.decode(png, "image/png");
  }

  /** An answer, or what claims to be one: it reveals its frame only if everything about it is as it was asked for. */
  async receive(answer, buffers) {
    if (answer?.kind !== "matte" || answer.page !== this.page) return;
    this.askedAt = undefined;
    this.unanswered = 0;
    this.hearWaits(answer.waits);
    this.ahead = Number.isFinite(answer.at) ? answer.at - this.platform.now() : NaN;  // of the kernel's clock, at least
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
      this.pace.measure(this.took(frame, answer.waited), answer.ms);
      const before = this.decoding;  // decoders race: what is overtaken all the same is not shown
      this.decoding = this.unpack(frame, buffers);
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
    if (!readsTrue(this.probe)) throw new Error(WORDS.altered);
    this.share = readMask(this.mask, [mask, next], width, height);
    fit(this.checker, this.stage, width, height);
    compose(this.stage, frame.picture, this.mask, this.checker);
    this.screen = this.stage;
    this.shownId = frame.id;
    this.shownAt = frame.at;
    this.emptySince = this.share > 0 ? NaN : this.emptySince || frame.at;
    this.counts.shown++;
    this.pace.shown.push(this.platform.now());
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
    this.pace.keep(this.pace.answers, MAX_AGE);
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
    this.pace.forget(now);
    this.notify("tick");
  }

  /** Starts the figures afresh: another model, another pace. */
  resetStats() {
    this.pace = new Pace(this.platform.now());
    Object.assign(this, { pausedUntil: -Infinity, tried: -Infinity, askedAt: undefined });
  }

  /** The figures of the last two seconds, for people and for Python. */
  stats() {
    const { age, covered, empty } = this;
    return { ...this.pace.figures(this.platform.now()), age_ms: age, covered, empty, ...this.counts };
  }
}
