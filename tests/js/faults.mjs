// Faults by the thousand: the real loop and the real widget's state, in a world of doubles where anything may go wrong
// at any time. `trial(state, fault, seed)` brings a world into a state, does the fault to it, lets chance go on for a
// while, and looks at every pixel after every step; at the end, what can recover must have recovered.
import { MAX_AGE, SILENCE } from "../../camredact/live/static/rules.js";
import { HUNG } from "../../camredact/page/static/local.js";
import { blit } from "../../camredact/live/static/pixels.js";
import { pack, unpack } from "../../camredact/live/static/socket.js";
import { waysTransport } from "../../camredact/live/static/ways.js";
import { Canvas, TRAITS, png, seen, settle, stream, widget } from "./doubles.mjs";

const SIZES = [[32, 32], [64, 32], [40, 30]], RED = 200, BLUE = 40;  // of each picture; its green is its number

/** Random numbers from a seed (mulberry32, which is in the public domain): `roll(n)` is one of 0 ... n - 1. */
export function dice(seed) {
  const next = () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (t ^ t >>> 14) >>> 0;
  };
  const roll = n => next() % n;
  return { roll, pick: list => list[roll(list.length)] };
}

// ------------------------------------------------------------------------------------------------ the way to the kernel

/** A transport to the same kernel by a socket, once a frame has gone over the comm. What a socket cannot carry comes over
    the comm. The kernel counts in `carried` what the socket brought. */
export function bySocket(kernel, platform) {
  let socket, listen;
  class Socket {
    constructor() { socket = this; this.closed = false; queueMicrotask(() => this.onmessage({ data: "P" })); }
    get readyState() { return this.closed || !kernel.open ? 3 : 1; }
    get bufferedAmount() { return kernel.full ? 1 : 0; }
    send(bytes) { const [message, buffers] = unpack(bytes); kernel.send(message, buffers.map(b => new Uint8Array(b))); }
    close() { this.closed = true; this.onclose(); }
  }
  const comm = { ready: () => kernel.ready(), send: (...all) => kernel.send(...all), drop: () => kernel.drop(),
    close: () => kernel.close(), onMessage: f => { listen = f; },
    ask: () => queueMicrotask(() => listen({ kind: "way", port: 1, token: "T", proof: "P" })) };
  kernel.carried = 0;
  kernel.onMessage((message, buffers) => {
    if (!socket || socket.closed || buffers?.length > 1) return listen(message, buffers);
    kernel.carried++;
    socket.onmessage({ data: pack(message ?? null, buffers ?? []) });
  });
  return waysTransport(comm, { place: { hostname: "127.0.0.1", protocol: "http:", host: "127.0.0.1" }, Socket,
    now: platform.now });
}

// ------------------------------------------------------------------------------------------------------- the world

/** The widget, and beside it a ledger that knows, without asking the widget, what may be seen: what the kernel's own
    matte for a frame showed, once it was delivered, as long as nothing has voided it since. */
export class World {
  constructor(seed, by) { Object.assign(this, dice(seed),
    { by, ledger: new Map(), taken: new Map(), turn: 0, shots: 0, looked: 0, shown: 0, newest: {} }); }

  async open(platform) {
    this.size = this.pick(SIZES);
    const { round, ...parts } = await widget({ given: () => stream(...this.size), platform, by: this.by });
    Object.assign(this, parts, { decode: parts.platform.decode, canvas: new Canvas(...this.size) });
    blit(this.canvas, this.loop.screen);
    this.mirror = what => { if (what === "screen") blit(this.canvas, this.loop.screen); };
    this.control.attach(this.mirror);
    this.control.record();
    return this;
  }

  /** The camera gives its next picture; returns the frame that was sent of it, if one was. */
  async shoot() {
    const { loop: { video }, kernel: { sent } } = this, before = sent.length, number = ++this.shots;
    if (!video) return undefined;
    video.number = number;
    this.taken.set(number, { at: this.platform.time, turn: this.turn, holes: this.holes ?? this.roll(97) + 1 });
    video.tick();
    await settle();
    return sent[before];
  }

  /** What the kernel's own matte shows of a frame: of each frame something else. */
  static white(frame, x, y) { return ((x >> 3) * 7 + (y >> 3) * 13 + frame.holes * 31) % (frame.holes % 7 + 3) > 1; }

  /** The kernel's own answer to a frame. From now on that may be seen, unless something came in between. */
  honest(frame) {
    Object.assign(frame, this.taken.get(frame.buffers[0][2]));
    const [message, buffers] = this.kernel.answer(frame, {}, (x, y) => World.white(frame, x, y) ? 255 : 0);
    const [width, height, number] = frame.buffers[0];
    return { message, buffers, number, own: { frame, width: 32 * width, height: 32 * height } };
  }

  async reply(frame) {
    if (!frame) return;
    const { message, buffers, number, own } = this.honest(frame);
    if (frame.turn === this.turn) this.ledger.set(number, own);
    await this.deliver(message, buffers);
  }

  async deliver(message, buffers) { this.kernel.callback(message, buffers); await settle(); }

  /** Does what makes every answer so far worthless. */
  async void(f) { this.turn++; this.ledger.clear(); await f(); this.check(); await settle(); this.check(); }

  async pass(ms) { await this.platform.pass(ms); this.check(); }

  async round() { const frame = await this.shoot(); await this.pass(20 + this.roll(60)); await this.reply(frame);
    this.check(); }

  /** Whether the pixel x, y of a canvas may be seen. */
  allowed(canvas, x, y, number) {
    const own = this.ledger.get(number), at = 4 * (y * canvas.width + x);
    if (!own || canvas.data[at] !== RED || canvas.data[at + 2] !== BLUE) return false;
    return World.shows(own, canvas, x, y) && this.platform.time - own.frame.at <= MAX_AGE + 100;
  }

  /** Whether a matte is white wherever the pixel x, y of a canvas touches it. */
  static shows(own, canvas, x, y) {
    const [sx, sy] = [own.width / canvas.width, own.height / canvas.height];
    for (let v = Math.floor(y * sy); v < (y + 1) * sy; v++)
      for (let u = Math.floor(x * sx); u < (x + 1) * sx; u++) if (!World.white(own.frame, u, v)) return false;
    return true;
  }

  /** Whether one of the mattes of later pictures shows all that is open, too. */
  later(canvas, open) {
    return [...this.ledger].some(([number, own]) => number > open[0][2]
      && open.every(([x, y]) => World.shows(own, canvas, x, y)));
  }

  /** Looks at the screen, at what a view shows, and at the film that is being recorded. Frames may not go back. */
  check() {
    const film = this.control.recorder ? [["film", this.control.film]] : [];
    for (const [name, canvas] of [["screen", this.loop.screen], ["view", this.canvas], ...film]) {
      this.looked += canvas.width * canvas.height;
      const open = seen(canvas), bad = open.filter(p => !this.allowed(canvas, ...p)),
        newest = Math.max(0, ...open.map(p => p[2]));
      this.shown += open.length;
      if (newest && newest < (this.newest[name] ?? 0)) throw new Error(`frame ${newest} after ${this.newest[name]} on the ${name}`);
      if (newest) this.newest[name] = newest;
      if (open.length && this.model.get("look_ahead")
        && !this.later(canvas, open)) throw new Error(`unauthorised pixels on the ${name}: the next matte was not asked`);
      if (bad.length) throw new Error(`${bad.length} unauthorised pixels on the ${name}, the first at ${bad[0].slice(0, 2)} of frame ${bad[0][2]}`);
    }
    if (this.loop.state !== "live" && this.loop.screen !== this.loop.checker) throw new Error(`a picture in the state ${this.loop.state}`);
  }

  /** Chance goes on: frames, answers in any order, old answers again, time. */
  async wander(steps) {
    for (let i = 0; i < steps; i++) {
      const { sent } = this.kernel;
      await this.pick([() => this.shoot(), () => this.round(), () => this.pass(this.roll(400)),
        () => sent.length && this.reply(this.pick(sent.slice(-4)))])();
      this.check();
    }
  }

  /** Everything is mended; whether the picture then comes back. */
  async recovers() {
    Object.assign(this.platform, { fault: null, decode: this.decode });
    Object.assign(this.kernel, { open: true, full: false });
    for (const canvas of [this.loop.stage, this.loop.mask]) canvas.context = null;
    if (!this.control.recorder) this.control.record();
    if (this.platform.unseen) await this.void(() => this.platform.look(false));
    if (!this.model.get("codes").every(c => TRAITS.codes.includes(c))
      || !this.model.get("hidden").every(c => TRAITS.codes.includes(c)))
      await this.void(() => this.model.set("hidden", ["Car"]));
    const off = () => !this.loop.video || this.loop.encodesFaithfully === false;
    if (off()) await this.void(() => this.control.press(true));
    if (this.kernel.worker) { await this.shoot(); await this.pass(HUNG + 600); }  // one that is dead is found so
    if (off()) await this.void(() => this.control.press(true));
    await this.pass(MAX_AGE + 600);
    for (let i = 0; i < 3; i++) await this.reply(this.kernel.sent.at(-1));  // each message gets an answer, however late
    this.holes = 5;  // mattes that have something white in common
    for (let i = 0; i < 4; i++) await this.round();
    return this.loop.state === "live" && seen(this.loop.screen).length > 0;
  }
}

// ------------------------------------------------------------------------------------------------ states and faults

const rounds = async (w, n) => { for (let i = 0; i < n; i++) await w.round(); };

/** Where the world is when the fault comes. */
export const STATES = {
  "before the first matte": () => {},
  live: w => rounds(w, 2),
  "a frame under way": async w => { await rounds(w, 2); await w.shoot(); },
  "a matte being decoded": async w => {
    await w.round();
    const { decode } = w;
    w.platform.decode = async bytes => { await new Promise(yes => w.platform.setTimeout(yes, 50));
      return decode(bytes); };
    await w.reply(await w.shoot());
  },
  "looking ahead": async w => { w.model.set("look_ahead", true); await rounds(w, 3); },
  late: async w => { await w.round(); await w.pass(MAX_AGE); },
  failed: async w => { await w.round(); await spoil(w, { error: "it broke" }); },
  "a choice just made": async w => { await w.round(); await w.void(() => w.control.hide(["Tree"], true)); },
  "out of view": async w => { await w.round(); await w.void(() => w.platform.look(true)); },
  stopped: async w => { await w.round(); await w.void(() => w.control.press(false)); },
};

/** An answer to the newest frame, or to a new one, that is not as it was asked for. */
async function spoil(w, changes, change = buffers => buffers) {
  const frame = await w.shoot() ?? w.kernel.sent.at(-1);
  if (!frame) return;  // covered, and nothing was asked: there is nothing to answer
  const { message, buffers } = w.honest(frame);
  await w.deliver({ ...message, ...changes }, change(buffers));
}

const flip = (w, png) => { const b = Buffer.from(png); b[w.roll(b.length)] ^= 1 << w.roll(8); return b; };
const drawn = (w, name) => { w.loop[name].getContext()[w.pick(["drawImage",
  "getImageData"])] = () => { throw new Error("no more memory"); }; };
const another = async w => {  // a tab that shows the same notebook, and counts its frames as this one does
  const tab = await new World(w.roll(1e9), w.by).open(w.platform);
  for (let i = 0; i < w.shots + 2; i++) {
    const frame = await tab.shoot();
    if (!frame) continue;
    const { message, buffers } = tab.honest(frame);
    await w.deliver(message, buffers);
    await tab.deliver(message, buffers);
  }
  tab.control.close();
};

/** What goes wrong. */
export const FAULTS = {
  "the model raises": w => spoil(w, { error: "RuntimeError: NaN" }),
  "a frame is dropped": w => spoil(w, { dropped: true }),
  "another kind": w => spoil(w, { kind: w.pick(["mask", "", undefined, 7]) }),
  "another page": w => spoil(w, { page: w.pick(["page 2", "", undefined, null]) }),
  "an unknown id": w => spoil(w, { id: w.pick([-1, 1e9, "1", undefined, NaN, {}]) }),
  "another thing hidden": w => spoil(w, { hidden: w.pick([[], ["Tree"], ["Carr"], ["Car", "Car"], undefined, "Car",
    null, [null]].filter(h => JSON.stringify(h) !== JSON.stringify(w.loop.choice.hidden))) }),
  "another version": w => spoil(w, { protocol: w.pick([1, 2, "3", undefined, null, NaN]) }),
  "another dial": w => spoil(w, { dial: w.pick(["precise", "", undefined]) }),
  "another model": w => spoil(w, { model: w.pick(["accurate", "", undefined]) }),
  "another zone": w => spoil(w, { zones: w.pick([["hide 0,0 0.1,0.1"], [""], [null], undefined, null, "", 7]) }),
  "another bar": w => spoil(w, { bar: w.pick([.5, NaN, "0", undefined]) }),
  "another size": w => spoil(w, w.pick([{ width: 96 + 32 * w.roll(3) }, { height: 96 }, { width: undefined },
    { height: "32" }])),
  "a matte of another size": w => spoil(w, {}, () => [png(...w.pick([[31, 32], [32, 33], [96, 64], [1, 1]]))]),
  "a matte that is cut off": w => spoil(w, {}, ([b]) => [b.subarray(0, w.roll(b.length - 24))]),
  "a matte with a bit flipped": async w => {  // refused, or read as it was: where the flip changes nothing that is read
    const frame = await w.shoot();
    if (!frame) return;
    const { message, buffers: [b], number, own } = w.honest(frame);
    w.ledger.set(number, own);
    await w.deliver(message, [flip(w, b)]);
  },
  "noise for a matte": w => spoil(w, {}, () => [Buffer.from(Array.from({ length: w.roll(200) }, () => w.roll(256)))]),
  "no matte, or two": w => spoil(w, {}, ([b]) => w.pick([[], [b, b], undefined])),
  "no message at all": w => w.deliver(w.pick([null, undefined, "matte", 7, []]), []),
  "figures that are none": async w => {
    const frame = await w.shoot();
    if (!frame) return;
    const { message, buffers, number, own } = w.honest(frame);
    w.ledger.set(number, own);
    await w.deliver({ ...message, ms: w.pick([{ predict: NaN }, { predict: -1e9 }, "ms", null, { decode: "1" }, 7]) },
      buffers);
  },
  "the same answer twice": async w => { const f = await w.shoot(); await w.reply(f); await w.reply(f); },
  "answers in the wrong order": async w => { const frames = [await w.shoot(), await w.shoot(), await w.shoot()];
    for (const f of frames.reverse()) await w.reply(f); },
  "an answer from before": async w => { const old = [...w.kernel.sent];
    await w.void(() => w.control.hide(["Sky"], true)); for (const f of old) await w.reply(f); },
  "an answer that comes late": async w => { const f = await w.shoot(); await w.pass(MAX_AGE + w.roll(500) - 250);
    await w.reply(f); },
  "no answer": async w => { for (let t = 0; t < 2500; t += 100) { await w.shoot(); await w.pass(100); } },
  "silence": async w => { for (let t = 0; t < SILENCE + 1000; t += 500) { await w.shoot(); await w.pass(500); } },
  "no picture to be had": async w => { w.platform.fault = "bitmap"; await w.shoot(); },
  "no JPEG to be made": async w => { w.platform.fault = "encode"; await w.shoot(); },
  "a browser that alters pictures": async w => { w.loop.encodesFaithfully = undefined;
    w.platform.fault = "encodesFaithfully"; await w.shoot(); },
  "nothing can be sent": async w => { w.kernel.open = false; await w.shoot(); },
  "the way is full": async w => { w.kernel.full = true;
    for (let t = 0; t < 1500; t += 100) { await w.shoot(); await w.pass(100); } },
  "no PNG to be read": async w => { w.platform.decode = async () => { throw new Error("no memory"); };
    await w.reply(await w.shoot()); },
  "a decoder that never ends": async w => { w.platform.decode = () => new Promise(() => {});
    await w.reply(await w.shoot()); },
  "no memory to read the mask": async w => { const f = await w.shoot(); drawn(w, "mask"); await w.reply(f); },
  "no memory to compose": async w => { const f = await w.shoot(); drawn(w, "stage"); await w.reply(f); },
  "no memory for the film": async w => {
    const f = await w.shoot();
    if (w.control.film) w.control.film.getContext().drawImage = () => { throw new Error("no more memory"); };
    await w.reply(f);
  },
  "a view that breaks": async w => { w.loop.listeners = new Set([() => { throw new Error("a broken view"); },
    ...w.loop.listeners]); await w.reply(await w.shoot()); },
  "the clock jumps ahead": async w => { const f = await w.shoot(); w.platform.offset += 1000 * (1 + w.roll(7200));
    await w.reply(f); },
  "the clock jumps back": async w => { const f = await w.shoot(); w.platform.offset -= 1000 * (1 + w.roll(7200));
    const before = w.loop.counts.shown; await w.reply(f);
    if (w.loop.counts.shown > before) throw new Error("a frame from the future is shown"); },
  "a choice made meanwhile": async w => { const f = await w.shoot(); await w.void(() => w.control.hide(["Sky"], true));
    await w.reply(f); },
  "everything is shown, meanwhile": async w => { const f = await w.shoot();
    await w.void(() => w.model.set("hidden", [])); await w.reply(f); },
  "another model chosen meanwhile": async w => { const f = await w.shoot();
    await w.void(() => w.model.set("model", "accurate")); await w.reply(f); },
  "a zone drawn meanwhile": async w => { const f = await w.shoot();
    await w.void(() => w.model.set("zones", [...w.model.get("zones"), "hide 0,0 0.5,0.5"])); await w.reply(f); },
  "an unknown category": async w => { const f = await w.shoot(); await w.void(() => w.model.set("hidden", ["Carr"]));
    await w.reply(f); await spoil(w, { error: "unknown category 'Carr'" }); },
  "the camera is switched": async w => { const f = await w.shoot(); w.size = w.pick(SIZES);
    await w.void(() => w.model.set("camera", "user")); await w.reply(f); },
  "the camera ends": async w => { const f = await w.shoot();
    await w.void(() => w.streams.last?.track.dispatchEvent(new Event("ended"))); await w.reply(f); },
  "the page goes out of view": async w => { const f = await w.shoot();
    await w.void(() => w.platform.look(!w.platform.unseen)); await w.reply(f); },
  "the picture is scrolled out of view": async w => {
    const f = await w.shoot(), views = [w.view, w.mirror];
    await w.control.finish();  // a recording is seen later
    await w.void(() => { for (const view of views) w.control.see(view, false); });
    await w.reply(f);
    if (await w.shoot()) throw new Error("a frame is sent that nobody can see");
    for (const view of views) w.control.see(view, true);
  },
  "a clock that is none": async w => {
    const frame = await w.shoot();
    if (!frame) return;
    const { message, buffers, number, own } = w.honest(frame);
    w.ledger.set(number, own);
    await w.deliver({ ...message, at: w.pick([NaN, "1", null, -1e18, 1e308, {}]) }, buffers);
  },
  "Stop, meanwhile": async w => { const f = await w.shoot(); await w.void(() => w.control.press(false));
    await w.reply(f); },
  "Stop and Start": async w => { const f = await w.shoot(); await w.void(() => w.control.press(false));
    await w.void(() => w.control.press(true)); await w.reply(f); },
  "the view leaves": async w => { const f = await w.shoot(); for (const v of [w.view, w.mirror]) w.control.detach(v);
    blit(w.canvas, w.loop.checker); await w.pass(900); await w.void(() => w.platform.pass(200)); await w.reply(f);
    for (const v of [w.view, w.mirror]) w.control.attach(v); await settle(); blit(w.canvas, w.loop.screen); },
  "another tab's answers": another,
  "the channel closes": async w => { const f = await w.shoot(); await w.void(() => w.loop.close()); await w.reply(f); },
};

/** What goes wrong with a worker. */
export const WORKER_FAULTS = {
  "the worker is killed": async w => { const f = await w.shoot(); w.kernel.worker.dead = true;
    await w.pass(HUNG + w.roll(900)); await w.reply(f); },
  "the worker hangs": async w => { w.kernel.worker.postMessage = () => {};
    for (let t = 0; t < HUNG + 1000; t += 100) { await w.shoot(); await w.pass(100); } },
  "the worker breaks down": async w => { const f = await w.shoot(); w.kernel.worker.onerror({}); w.check();
    await w.reply(f); },
  "a message that cannot be read": async w => { await w.shoot(); w.kernel.worker.onmessageerror({}); },
  "the worker has no memory": w => spoil(w, { error: "RangeError: Array buffer allocation failed" }),
  "the worker never loads": async w => { w.kernel.worker.onerror({}); w.kernel.worker.onmessage = () => {};
    for (let t = 0; t < 3000; t += 100) { await w.shoot(); await w.pass(100); } },
  "an answer of a worker that was ended": async w => {
    const f = await w.shoot(), old = w.kernel.worker;
    if (!f) return;
    old.onerror({});
    const { message, buffers } = w.honest(f);
    old.onmessage({ data: [message, buffers] });
    await settle();
  },
};

const FINAL = ["the channel closes"];

/** One trial; raises where a pixel is seen that may not be, or where the picture does not come back. `by` makes the way
    to the kernel. */
export async function trial(state, fault, seed, by = undefined) {
  const w = await new World(seed, by).open();
  await STATES[state](w);
  w.check();
  await { ...FAULTS, ...WORKER_FAULTS }[fault](w);
  w.check();
  await w.wander(5);
  const back = await w.recovers();
  if (back === FINAL.includes(fault)) throw new Error(back
    ? "it came back from what is final" : `it did not come back: ${w.loop.state}, ${w.loop.words}`);
  return [w.looked, w.shown, w.kernel.carried];
}

/** `times` trials for each fault in each state, as long as fewer than `enough` fail: how many, how many pixels were
    looked at and rightly seen, how many answers a socket carried, and which failed. */
export async function campaign(times, first = 1, enough = Infinity, by = undefined, faults = FAULTS) {
  const result = { trials: 0, pixels: 0, seen: 0, carried: 0, failed: [] }, log = console.error;
  console.error = () => {};  // a view that breaks is among the faults
  for (const state of Object.keys(STATES)) for (const fault of Object.keys(faults)) for (let i = 0; i < times; i++) {
    if (result.failed.length >= enough) break;
    const seed = first + result.trials++;
    try {
      const [looked, shown, carried] = await trial(state, fault, seed, by);
      result.pixels += looked;
      result.seen += shown;
      result.carried += carried ?? 0;
    } catch (error) { result.failed.push({ state, fault, seed, error: error.message }); }
  }
  console.error = log;
  return result;
}
