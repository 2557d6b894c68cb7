// Doubles of a browser, for the real loop: canvases whose pixels can be counted, a clock that only goes when told to,
// a camera, and a kernel at the other end that answers as it is asked to.
import { deflateSync, inflateSync } from "node:zlib";
import { Control } from "../../camredact/live/static/control.js";
import { Loop } from "../../camredact/live/static/loop.js";
import { modelSize } from "../../camredact/live/static/rules.js";
import { localTransport } from "../../camredact/page/static/local.js";

// ------------------------------------------------------------------------------------------------------------ pixels

/** A canvas that does what the page asks of one, pixel by pixel, and raises at all else. */
export class Canvas {
  constructor(width, height) { [this.w, this.h] = [width, height]; this.clear(); }
  clear() { this.data = new Uint8ClampedArray(4 * this.w * this.h); }
  get width() { return this.w; }
  set width(w) { this.w = w; this.clear(); }
  get height() { return this.h; }
  set height(h) { this.h = h; this.clear(); }
  getContext() { return this.context ??= new Context(this); }
  close() { this.closed = true; }
}

const mix = (s, d) => s.map((v, i) => (v * s[3] + d[i] * (255 - s[3])) / 255);
const BLEND = {  // colours as [r, g, b, a]
  copy: s => s,
  "source-over": (s, d) => mix(s, d),
  "source-in": (s, d) => [s[0], s[1], s[2], s[3] * d[3] / 255],
  "destination-over": (s, d) => mix(d, s),
};

class Context {
  constructor(canvas) { Object.assign(this, { canvas, fillStyle: "#000000", globalCompositeOperation: "source-over",
    imageSmoothingEnabled: true }); }

  drawImage(image, x, y, width = image.width, height = image.height) {
    if (image.closed) throw new Error("InvalidStateError: the image is closed");
    const { data, w, h } = this.canvas, blend = BLEND[this.globalCompositeOperation];
    if (!blend || x || y) throw new Error(`the double cannot draw so: ${this.globalCompositeOperation} at ${x}, ${y}`);
    if (this.globalCompositeOperation === "copy") data.fill(0);
    if (this.globalCompositeOperation === "copy" && image.width === w && image.height === h && width === w
      && height === h) return void data.set(image.data);
    const [sx, sy] = [image.width / width, image.height / height],
      smooth = this.imageSmoothingEnabled && (sx !== 1 || sy !== 1);
    for (let j = 0; j < Math.min(height, h); j++) for (let i = 0; i < Math.min(width, w); i++) {
      const [u, v] = [Math.floor((i + .5) * sx), Math.floor((j + .5) * sy)], from = 4 * (v * image.width + u),
        to = 4 * (j * w + i);
      const near = 4 * (Math.min(v + 1, image.height - 1) * image.width + Math.min(u + 1, image.width - 1));
      const source = [0, 1, 2, 3].map(k => (image.data[from + k] + image.data[(smooth ? near : from) + k]) / 2);
      const colour = blend(source, data.subarray(to, to + 4));
      for (let k = 0; k < 4; k++) data[to + k] = colour[k];
    }
  }

  fillRect(x, y, width, height) {
    const { data, w, h } = this.canvas, rgb = [1, 3, 5].map(i => parseInt(this.fillStyle.slice(i, i + 2), 16));
    for (let j = y; j < Math.min(y + height, h); j++) for (let i = 4 * (j * w + x);
      i < 4 * (j * w + Math.min(x + width, w)); i += 4)
      [data[i], data[i + 1], data[i + 2], data[i + 3]] = [...rgb, 255];
  }

  getImageData(x, y, width, height) { return { width, height, data: this.canvas.data.slice(0, 4 * width * height) }; }
  putImageData(image) { this.canvas.data.set(image.data); }
}

/** A picture of one colour, as a camera would give it. Its colour is no grey, so each of its pixels tells on itself. */
export function picture(width, height, n) {
  const canvas = new Canvas(width, height);
  new Uint32Array(canvas.data.buffer).fill(new Uint32Array(Uint8Array.of(200, n % 256, 40, 255).buffer)[0]);
  return canvas;
}

/** Which pixels of a canvas are not checkerboard, as a list of [x, y, number of the frame they are from]. */
export function seen(canvas) {
  const out = [];
  for (let y = 0, i = 0; y < canvas.height; y++) for (let x = 0; x < canvas.width; x++, i += 4) {
    const [r, g, b, a] = canvas.data.subarray(i, i + 4),
      grey = (Math.floor(x / 8) + Math.floor(y / 8)) % 2 ? 0xdb : 0x6d;
    if (r !== grey || g !== grey || b !== grey || a !== 255) out.push([x, y, g]);
  }
  return out;
}

// --------------------------------------------------------------------------------------------------------------- PNG

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const LARGEST = 1e5;  // pixels that are decoded: ten times those of any picture here

/** A PNG of one 8-bit channel. `grey(x, y)` gives the values. */
export function png(width, height, grey = () => 255) {
  const rows = Buffer.from(Array.from({ length: height },
    (_, y) => [0, ...Array.from({ length: width }, (_, x) => grey(x, y))]).flat());
  const chunk = (name, data) => { const b = Buffer.alloc(12 + data.length); b.writeUInt32BE(data.length);
    b.write(name, 4); data.copy(b, 8); return b; };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width); head.writeUInt32BE(height, 4); head[8] = 8;
  return Buffer.concat([SIGNATURE, chunk("IHDR", head), chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0))]);
}

/** What a browser makes of such a PNG; it rejects what is none and what is far too large, and is not asked to mind
    checksums. */
export async function decode(bytes) {
  const b = Buffer.from(bytes);
  if (!b.subarray(0, 8).equals(SIGNATURE)) throw new Error("The source image could not be decoded.");
  const [width, height, at] = [b.readUInt32BE(16), b.readUInt32BE(20), 33];
  if (width * height > LARGEST) throw new Error("The source image could not be decoded.");
  const rows = inflateSync(b.subarray(at + 8, at + 8 + b.readUInt32BE(at))), canvas = new Canvas(width, height);
  for (let i = 0; i < width * height; i++) {
    const grey = rows[Math.floor(i / width) * (width + 1) + 1 + i % width];
    canvas.data.set([grey, grey, grey, 255], 4 * i);
  }
  return canvas;
}

/** The picture in what `encode` makes: its size in units of 32 pixels, and its number. */
async function decodeSent(bytes) {
  if (bytes.length !== 3) throw new Error("The source image could not be decoded.");
  return picture(32 * bytes[0], 32 * bytes[1], bytes[2]);
}

// ----------------------------------------------------------------------------------------------- the world around it

/** Lets everything that waits for a promise go on. */
export async function settle() { for (let i = 0; i < 30; i++) await null; }

/** A platform for the loop. `clock.pass(ms)` runs the timers that are due, in their order. */
export class Platform {
  constructor() {
    Object.assign(this, { time: 1000, offset: 0, timers: new Map(), ids: 0, pages: 0, unseen: false,
      watchers: new Set() });
    Object.assign(this, { open: new Set(), files: [], memory: {}, fault: null });
  }
  now = () => this.time + this.offset;  // timers go on by themselves when somebody sets the clock
  setTimeout = (f, ms) => { this.timers.set(++this.ids, [this.time + ms, f]); return this.ids; };
  clearTimeout = id => { this.timers.delete(id); };
  nonce = () => `page ${++this.pages}`;
  hidden = () => this.unseen;
  onVisibility = f => { this.watchers.add(f); return () => this.watchers.delete(f); };
  onView = () => () => {};
  canvas = () => new Canvas(16, 16);
  encodesFaithfully = async () => this.fault !== "encodesFaithfully";
  bitmap = async ({ videoWidth, videoHeight, number }) => {
    this.raise("bitmap");
    return this.keep(picture(videoWidth, videoHeight, number));
  };
  encode = async canvas => { this.raise("encode");
    return Buffer.from([canvas.width / 32, canvas.height / 32, canvas.data[1]]); };  // size, number
  decode = async (bytes, type) => this.keep(await (type === "image/jpeg" ? decodeSent(bytes) : decode(bytes)));
  video = async stream => camera(stream.width, stream.height);
  frames = (video, f) => { video.tick = f; return () => { video.tick = () => {}; }; };
  recall = key => this.memory[key] ?? null;
  remember = (key, value) => { this.memory[key] = value; };
  place = () => ({ hostname: "far.example.org", port: "8888" });
  png = async canvas => ({ of: canvas });
  download = (file, kind) => this.files.push([kind, file]);
  recorder = canvas => ({ canvas, stop: async () => ({ of: canvas }) });

  keep(bitmap) { this.open.add(bitmap); bitmap.close = () => { bitmap.closed = true; this.open.delete(bitmap); };
    return bitmap; }
  raise(where) { if (this.fault === where) throw new Error(`no ${where}`); }
  look(hidden) { this.unseen = hidden; for (const f of this.watchers) f(); }

  async pass(ms) {
    const until = this.time + ms;
    for (;;) {
      await settle();
      const [id, [at, f]] = [...this.timers].sort((a, b) => a[1][0] - b[1][0])[0] ?? [0, [Infinity]];
      if (at > until) break;
      this.time = Math.max(this.time, at);
      this.timers.delete(id);
      f();
    }
    this.time = until;
    await settle();
  }
}

export function camera(videoWidth = 32, videoHeight = 32) { return { videoWidth, videoHeight, number: 0, tick() {} }; }

/** The other end: keeps what was sent, and answers when told to. */
export class Kernel {
  constructor() { this.sent = []; this.open = true; this.full = false; this.dropped = 0; }
  ready() { if (!this.open) throw new Error("the channel is closed"); return !this.full; }
  drop() { this.dropped++; }
  send(message, buffers) {
    if (!this.open) throw new Error("the channel is closed");
    this.sent.push({ message, buffers });
  }
  onMessage(f) { this.callback = f; }
  close() { this.open = false; }

  /** The answer to a frame that was sent, as an honest kernel would make it; `changes` spoil it. */
  answer({ message, buffers: [jpeg] }, changes = {}, grey = undefined) {
    const { kind, ...echo } = message, [width, height] = [32 * jpeg[0], 32 * jpeg[1]];
    return [{ kind: "matte", ...echo, width, height, ms: { decode: 1, predict: 8, matte: 1, encode: 1 }, ...changes },
      [png(width, height, grey)]];
  }

  async reply(frame = this.sent.at(-1), changes = {}, buffers = undefined) {
    const [message, own] = this.answer(frame, changes);
    this.callback(message, buffers ?? own);
    await settle();
  }
}

/** A kernel that reads a stream: each answer holds the next picture, of `size`, and the matte that was made of it. */
export function fedKernel(kernel, size) {
  return {
    size, number: 0,
    async reply({ message }, { changes = {}, spoil = all => all, grey } = {}) {
      const jpeg = Buffer.from([...this.size.map(n => n / 32), ++this.number]), [width, height] = this.size;
      const [h, w] = modelSize(height, width, 32 * 32);
      const { kind, ...echo } = message;
      const answer = { kind: "matte", ...echo, width: w, height: h, waited: 5, ms: { predict: 8 }, ...changes };
      kernel.callback(answer, spoil([png(w, h, grey), jpeg]));
      await settle();
    },
  };
}

export const CHOICE = { hidden: ["Car"], bar: 0, dial: "cautious", model: "fast", zones: ["hide 0,0 0.5,1"] };
export const OTHER = { ...CHOICE, hidden: ["Sky"] };

/** A loop that follows a camera and has been told what to hide. `size` is that of the camera. */
export function stage({ size = [32, 32], budget = 32 * 32, video = camera(...size) } = {}) {
  const platform = new Platform(), kernel = new Kernel();
  const loop = new Loop({ transport: kernel, platform, budgetOf: () => budget });
  loop.choose(CHOICE, "Live.");
  loop.play(video);
  /** The camera gives its next picture. */
  const shoot = async () => { video.number++; video.tick(); await settle(); return kernel.sent.at(-1); };
  const pixels = () => seen(loop.screen);
  /** One frame, and its honest answer after some ms. */
  const round = async (ms = 40) => { const frame = await shoot(); await platform.pass(ms); await kernel.reply(frame); };
  return { platform, kernel, video, loop, shoot, pixels, round };
}

/** A worker of a page, with the kernel's double in it. One that is dead hears nothing and says nothing. */
export class FakeWorker {
  constructor(kernel) {
    Object.assign(this, { kernel, dead: false });
    kernel.worker = this;
    kernel.onMessage((...answer) => kernel.worker.say(answer));
    Promise.resolve().then(() => this.say([{ kind: "ready" }, []]));
  }
  say(data) { if (!this.dead) this.onmessage({ data }); }
  postMessage(parcel) { if (!this.dead) this.kernel.send(...parcel); }
  terminate() { this.dead = true; }
}

/** The way of frames in the page on the device, with a kernel's double at its end. */
export const locally = (kernel, platform, lost) => localTransport({ make: () => new FakeWorker(kernel), platform, lost });

// -------------------------------------------------------------------------------------------- the widget around it all

export class Model {
  constructor(traits) { Object.assign(this, { traits, listeners: {}, saved: 0 }); }
  get(name) { return this.traits[name]; }
  on(name, f) { (this.listeners[name] ??= []).push(f); }
  save_changes() { this.saved++; }
  say(message) { for (const f of this.listeners["msg:custom"] ?? []) f(message, []); }
  set(name, value) {
    if (JSON.stringify(this.traits[name]) === JSON.stringify(value)) return;
    this.traits[name] = value;
    for (const f of this.listeners[`change:${name}`] ?? []) f();
  }
}

/** A document with a body: elements that hold what they are told. */
export class Page {
  constructor() { this.body = this.createElement("body"); }
  createElement(localName) {
    const element = localName === "canvas" ? new Canvas(300, 150) : {};
    Object.assign(element, { localName, style: {}, children: [] });
    const append = (...all) => { for (const child of all) { child.parent = element; element.children.push(child); } };
    return Object.assign(element, { dataset: {}, append, setAttribute() {},
      replaceChildren(...all) { element.children = []; append(...all); },
      remove() { element.parent.children = element.parent.children.filter(child => child !== element); } });
  }
  one(name, within = this.body) {
    return within.children.find(e => e.localName === name) ?? within.children.map(e => this.one(name, e)).find(Boolean);
  }
}

/** The windows that a page opens: the last one's page, how many were closed, and `left`, as if somebody closed it. */
export class Windows {
  constructor() { this.closed = 0; }
  open(left) {
    Object.assign(this, { page: new Page(), left });
    return { page: this.page, close: () => { this.closed++; } };
  }
}

class Track extends EventTarget { stop() { this.stopped = true; } }

export function stream(width = 32, height = 32) {
  const track = new Track();
  return { width, height, track, getTracks: () => [track], getVideoTracks: () => [track] };
}

export const TRAITS = {
  hidden: ["Car"], bar: 0, dial: "cautious", model: "fast", zones: [], camera: "default", running: true, just_run: true,
    show_raw: true, look_ahead: false, codes: ["Car", "Sky", "Tree"],
  dials: ["precise", "cautious"], presets: { "no cars": { hidden: ["Car"], bar: 0 },
    unsure: { hidden: ["Sky"], bar: .5 } },
};

/** A widget whose camera gives `given` (a stream, an error, or a promise of one), with one view. */
export async function widget({ given = () => stream(), traits = {}, attach = true, memory = {},
  platform = new Platform(), by = kernel => kernel } = {}) {
  const kernel = new Kernel(), model = new Model({ ...structuredClone(TRAITS), ...traits });
  platform.memory = memory;
  const capture = async wanted => { streams.asked.push(wanted); return streams.last = await given(); };
  const streams = { asked: [], released: 0, capture, release: () => { streams.released++; } };
  const lost = error => { if (loop.video) loop.fail(error); };
  const loop = new Loop({ transport: by(kernel, platform, lost), platform, budgetOf: () => 32 * 32 });
  const control = new Control({ model, loop, streams, platform }), view = () => {};
  if (attach) control.attach(view);
  await settle();
  const round = async () => { loop.video.tick(); await settle(); await kernel.reply(); };
  return { platform, kernel, model, streams, loop, control, view, round };
}
