// The loop, with its protections: each test takes one reason to cover, and looks at the pixels.
import test from "node:test";
import assert from "node:assert/strict";
import { commTransport } from "../../camredact/live/static/jupyter.js";
import { Loop } from "../../camredact/live/static/loop.js";
import { MAX_AGE, PROTOCOL, SILENCE } from "../../camredact/live/static/rules.js";
import { WORDS } from "../../camredact/live/static/words.js";
import { CHOICE, Canvas, Kernel, OTHER, camera, decode, png, seen, settle, stage } from "./doubles.mjs";

const all = (pixels, number, n = 32 * 32) => pixels.length === n && pixels.every(p => p[2] === number);

function covered({ loop, pixels }, state, words) {
  assert.deepEqual(pixels(), []);
  assert.equal(loop.state, state);
  if (words) assert.match(loop.words, words instanceof RegExp ? words : new RegExp(words));
}

test("without a matte there is only checkerboard", async () => {
  const s = stage();
  covered(s, "late", WORDS.waiting);
  await s.shoot();
  await s.shoot();
  covered(s, "late", WORDS.waiting);
  assert.deepEqual(seen(new Loop({ transport: new Kernel(), platform: s.platform }).screen), []);
});

test("a frame's own matte for the choice of now reveals that frame", async () => {
  const s = stage(), first = await s.shoot(), second = await s.shoot();
  await s.kernel.reply(first);
  assert.ok(all(s.pixels(), 1));
  assert.deepEqual([s.loop.state, s.loop.words], ["live", "Live."]);
  await s.kernel.reply(second);
  assert.ok(all(s.pixels(), 2));
  assert.deepEqual([s.loop.counts.shown, s.loop.pending.size, s.platform.open.size], [2, 0, 0]);
});

test("what is sent says page, id and choice", async () => {
  const s = stage(), { message, buffers } = await s.shoot();
  assert.deepEqual(message, { kind: "frame", protocol: PROTOCOL, page: "page 1", id: 1, at: null, ...CHOICE });
  assert.equal(buffers.length, 1);
});

test("a frame says when it was sent, by the clock that the last answer told", async () => {
  const s = stage();
  await s.kernel.reply(await s.shoot(), { at: 70000.4 });
  await s.platform.pass(250);
  assert.equal((await s.shoot()).message.at, 70250);
  await s.kernel.reply(undefined, { at: "late" });
  assert.equal((await s.shoot()).message.at, null);
});

test("of a matte, only white is shown", async () => {
  const s = stage({ size: [128, 64], budget: 64 * 32 }), frame = await s.shoot();
  const [message] = s.kernel.answer(frame);
  assert.deepEqual([message.width, message.height], [64, 32]);
  await s.kernel.reply(frame, {}, [png(64, 32, (x, y) => x < 20 ? 255 : x < 40 ? 254 : x < 50 ? 1 : 0)]);
  assert.deepEqual(new Set(s.pixels().map(p => Math.floor(p[0] / 2))), new Set(Array(20).keys()));
  assert.equal(s.pixels().length, 40 * 64);
  await s.kernel.reply(await s.shoot(), {}, [png(64, 32, () => 0)]);
  assert.deepEqual([s.loop.counts.shown, s.pixels()], [2, []], "nothing is left of the frame before");
});

test("the share that a matte covers is told, and of what is covered by a fault nothing is told", async () => {
  const s = stage({ size: [128, 64], budget: 64 * 32 }), told = () => s.loop.stats().covered;
  const shoot = async limit => s.kernel.reply(await s.shoot(), {}, [png(64, 32, x => x < limit ? 255 : 0)]);
  assert.equal(told(), NaN);
  for (const limit of [48, 0, 64]) {
    await shoot(limit);
    assert.deepEqual([told(), s.pixels().length], [1 - limit / 64, 128 * limit]);
  }
  const faults = [() => s.kernel.reply(undefined, { error: "no memory" }), () => s.loop.choose(OTHER),
    () => s.platform.pass(MAX_AGE), () => s.platform.look(true), () => s.loop.unfollow("stopped", WORDS.stopped)];
  for (const fault of faults) {
    s.platform.look(false);
    s.loop.choose(CHOICE);
    s.platform.offset += 1000;
    await shoot(48);
    assert.equal(told(), .25, fault);
    await s.shoot();
    await fault();
    assert.deepEqual([told(), s.pixels()], [NaN, []], fault);
  }
});

test("a picture that waits for the next one's matte counts what both cover", async () => {
  const s = stage({ size: [128, 64], budget: 64 * 32 });
  s.loop.lookAhead = true;
  for (const limit of [48, 32]) await s.kernel.reply(await s.shoot(), {}, [png(64, 32, x => x < limit ? 255 : 0)]);
  assert.deepEqual([s.loop.counts.shown, s.loop.covered], [1, .5]);
});

test("it is empty where no matte of the last second covers anything", async () => {
  const s = stage(), empty = () => s.loop.stats().empty, speck = [png(32, 32, (x, y) => x || y ? 255 : 0)];
  const shoot = async buffers => { await s.platform.pass(200); await s.kernel.reply(await s.shoot(), {}, buffers); };
  for (const [n, buffers] of [[5], [1, speck], [5]]) for (let i = 0; i < n; i++) {
    await shoot(buffers);
    assert.ok(!empty(), `${i} of ${n}`);
  }
  await shoot();
  assert.ok(empty());
  s.loop.choose(OTHER);
  assert.ok(!empty(), "nobody has looked under this choice");
  await shoot();
  assert.ok(!empty());
});

test("what the kernel says of frames that wait is kept until an answer says nothing of it", async () => {
  const s = stage(), said = [];
  s.loop.listeners.add(what => what === "state" && said.push(s.loop.waits));
  await s.kernel.reply(await s.shoot());
  const before = said.length;
  for (const waits of ["Frames wait.", "Frames wait.", undefined, undefined])
    await s.kernel.reply(await s.shoot(), { waits });
  assert.deepEqual(said.slice(before), ["Frames wait.", ""]);
  assert.equal(s.loop.state, "live");
});

test("a matte with holes is no white one", async () => {
  const s = stage();
  await s.round();
  s.platform.decode = async () => s.platform.keep(new Canvas(32, 32));
  await s.round();
  assert.deepEqual([s.loop.counts.shown, s.pixels()], [2, []]);
});

test("sizes that do not divide: a pixel is shown only if every mask pixel that it touches is white", async () => {
  for (const size of [[80, 60], [47, 53], [30, 90], [20, 20]]) {
    const s = stage({ size }), frame = await s.shoot(), [{ width, height }] = s.kernel.answer(frame), [W, H] = size;
    const grey = (x, y) => (x * 7 + y * 13) % 97 === 0 || Math.abs(x - y) < 2 ? 0 : 255;
    await s.kernel.reply(frame, {}, [png(width, height, grey)]);
    assert.equal(s.loop.state, "live");
    for (const [x, y] of s.pixels())
      for (let v = Math.floor(y * height / H); v < (y + 1) * height / H; v++)
        for (let u = Math.floor(x * width / W); u < (x + 1) * width / W; u++) assert.equal(grey(u, v), 255,
          `${size}: ${x},${y} shows ${u},${v}`);
  }
});

// what may be wrong with an answer: changes to it, then its buffers; whether it is even about this frame
const WRONG = {
  "another page": [{ page: "page 2" }, undefined, false],
  "no page": [{ page: undefined }, undefined, false],
  "another kind": [{ kind: "mask" }, undefined, false],
  "an unknown id": [{ id: 77 }, undefined, false],
  "an id of another type": [{ id: "2" }, undefined, false],
  "a dropped frame": [{ dropped: true }, undefined, false],
  "another thing hidden": [{ hidden: OTHER.hidden }],
  "nothing hidden": [{ hidden: [] }],
  "more hidden": [{ hidden: ["Car", "Sky"] }],
  "nothing said of what is hidden": [{ hidden: undefined }],
  "weights, as before": [{ hidden: undefined, weights: [5, 0, 0] }],
  "another protocol": [{ protocol: 1 }],
  "no protocol": [{ protocol: undefined }],
  "another bar": [{ bar: .5 }],
  "another dial": [{ dial: "precise" }],
  "another model": [{ model: "accurate" }],
  "another zone": [{ zones: ["hide 0,0 0.4,1"] }],
  "no zone": [{ zones: [] }],
  "nothing said of zones": [{ zones: undefined }],
  "another width": [{ width: 64 }],
  "another height": [{ height: 64 }],
  "an error": [{ error: "the model broke" }],
  "a matte of another size": [{}, [png(32, 31)]],
  "a narrower matte": [{}, [png(31, 32)]],
  "a larger matte": [{}, [png(64, 64)]],
  "no matte": [{}, []],
  "two mattes": [{}, [png(32, 32), png(32, 32)]],
  "a matte that is no PNG": [{}, [Buffer.from("GIF89a")]],
  "a truncated matte": [{}, [png(32, 32).subarray(0, 45)]],
  "an empty matte": [{}, [Buffer.alloc(0)]],
};
for (const [what, [changes, buffers, ours = true]] of Object.entries(WRONG)) test(`refused: ${what}`, async () => {
  const s = stage();
  await s.kernel.reply(await s.shoot(), changes, buffers);
  covered(s, ours ? "failed" : "late");
  await s.platform.pass(600);
  await s.round();
  assert.ok(all(s.pixels(), 2), "the next one is shown");
  await s.kernel.reply(await s.shoot(), changes, buffers);
  assert.deepEqual(s.pixels().filter(p => p[2] === 3), [], "nothing of that frame, ever");
  assert.equal(s.pixels().length, ours ? 0 : 32 * 32,
    "an answer that is ours and wrong covers; one that is not changes nothing");
  await s.platform.pass(MAX_AGE + 1000);
  covered(s, ours ? "failed" : "late");
  assert.deepEqual([s.loop.pending.size, s.platform.open.size], [0, 0], "no place and no picture is lost");
});

test("the error is said", async () => {
  const s = stage();
  await s.kernel.reply(await s.shoot(), { error: "NoWeights: reinstall" });
  covered(s, "failed", "NoWeights: reinstall");
  await s.platform.pass(400);
  await s.shoot();
  assert.equal(s.kernel.sent.length, 1, "and asked again only after a while");
});

test("a second answer to the same frame reveals nothing", async () => {
  const s = stage(), frame = await s.shoot();
  await s.kernel.reply(frame);
  s.loop.visibilityChanged();
  await s.kernel.reply(frame);
  covered(s, "late");
});

test("covered from the click on, until a matte that was asked for after it", async () => {
  const s = stage();
  await s.round();
  const before = await s.shoot();
  s.loop.choose(OTHER, "Live.");
  covered(s, "late", WORDS.choice);
  assert.equal(s.platform.open.size, 0);
  await s.kernel.reply(before);
  await s.kernel.reply(before, OTHER);
  covered(s, "late", WORDS.choice);
  s.loop.choose(CHOICE, "Live.");
  await s.kernel.reply(before);
  covered(s, "late", WORDS.choice);
  s.loop.choose(OTHER, "Live.");
  await s.round();
  assert.equal(s.loop.state, "live");
  assert.deepEqual(s.kernel.sent.at(-1).message.hidden, OTHER.hidden);
});

test("a click while the matte is being decoded", async () => {
  const s = stage(), frame = await s.shoot();
  let ready;
  s.platform.decode = bytes => new Promise(yes => { ready = async () => yes(s.platform.keep(await decode(bytes))); });
  await s.kernel.reply(frame);
  s.loop.choose(OTHER, "Live.");
  await ready();
  await settle();
  covered(s, "late", WORDS.choice);
  assert.equal(s.platform.open.size, 0);
});

test("a kernel of another version is refused in words, whatever it says", async () => {
  for (const protocol of [undefined, 1, PROTOCOL - 1, String(PROTOCOL)]) for (const more of [{}, { dropped: true },
    { error: "weights must be a list of 32 numbers" }]) {
    const s = stage();
    await s.kernel.reply(await s.shoot(), { protocol, ...more });
    covered(s, "failed", WORDS.version);
  }
});

test("another model: covered, and paced afresh", async () => {
  const s = stage();
  await s.round(900);
  s.loop.choose({ ...CHOICE, model: "accurate" }, "Live.");
  covered(s, "late", WORDS.choice);
  assert.equal(s.loop.pace.answers.length, 0);
});

test("a picture is covered when it gets too old", async () => {
  const s = stage();
  for (let i = 0; i < 3; i++) await s.round(40);
  await s.platform.pass(300 - 40 - 1);
  assert.equal(s.loop.state, "live");
  await s.platform.pass(1);
  covered(s, "late", WORDS.frame);
  await s.round();
  for (let t = 0; t < 400; t += 100) { await s.platform.pass(100); await s.shoot(); }
  covered(s, "late", WORDS.late);
});

test("a matte that comes too late for its frame", async () => {
  const s = stage();
  for (let i = 0; i < 40; i++) await s.round(40);
  const slow = await s.shoot();
  await s.platform.pass(900);
  await s.kernel.reply(slow);
  covered(s, "late", WORDS.late);
});

test("a slow kernel gives a slow picture, not a permanent checkerboard", async () => {
  const s = stage();
  for (let i = 0; i < 40; i++) await s.round(40);
  for (let i = 0; i < 4; i++) await s.round(700);
  assert.equal(s.loop.state, "live");
  assert.equal(s.loop.maxAge, 2000);
});

test("places in flight are few, and come back when nothing answers", async () => {
  const s = stage();
  for (let i = 0; i < 300; i++) { await s.shoot(); await s.platform.pass(33); assert.ok(s.loop.pending.size <= 3); }
  assert.ok(s.kernel.sent.length >= 3 && s.kernel.sent.length <= 5, `${s.kernel.sent.length} sent in ten seconds`);
  await s.platform.pass(MAX_AGE);
  assert.deepEqual([s.loop.pending.size, s.platform.open.size], [0, 0]);
});

test("each picture of the camera is sent at most once", async () => {
  const s = stage();
  for (let i = 0; i < 30; i++) { s.video.number++; s.video.tick(); await s.platform.pass(10);
    if (i % 3 === 0) await s.kernel.reply(); }
  const numbers = s.kernel.sent.map(f => f.message.id);
  assert.ok(numbers.length > 10 && numbers.length <= 30);
  assert.equal(new Set(numbers).size, numbers.length);
});

test("a kernel that falls silent: late, then failed, and live again once Start is pressed", async () => {
  const s = stage();
  for (let i = 0; i < 5; i++) await s.round();
  const states = new Set();
  for (let t = 0; t < SILENCE + 3000; t += 100) { await s.shoot(); await s.platform.pass(100);
    states.add(s.loop.state); }
  assert.deepEqual([...states], ["live", "late", "failed"]);
  covered(s, "failed", WORDS.silent);
  await s.kernel.reply();  // to what it was sent long ago
  covered(s, "failed", WORDS.silent);
  assert.deepEqual([s.loop.video, s.kernel.dropped], [null, 1]);
  s.loop.play(s.video);
  await s.round();
  assert.equal(s.loop.state, "live");
});

test("a kernel that never answers is sent less and less, then nothing, whatever is clicked, and Start begins anew",
  async () => {
  const s = stage();
  for (let t = 0; t < 48 * 30; t++) {
    await s.shoot();
    await s.platform.pass(1000 / 30);
    if (t % 7 === 0) s.loop.choose(t % 2 ? CHOICE : OTHER, "Live.");
  }
  assert.ok(s.kernel.sent.length <= 5, `${s.kernel.sent.length} raw frames on their way`);
  const { length } = s.kernel.sent;
  s.loop.play(s.video);
  await s.shoot();
  assert.equal(s.kernel.sent.length, length + 1);
});

test("nothing is drawn or sent while the way is shut, and what is under way when it shuts is not sent", async () => {
  for (const [shut, state] of [["open", "failed"], ["full", "live"]]) {
    const s = stage();
    await s.round();
    const { length } = s.kernel.sent, { encode } = s.platform;
    s.kernel[shut] = shut === "full";
    s.platform.encode = () => assert.fail("a raw JPEG is made");
    await s.shoot();
    await s.platform.pass(50);
    await s.shoot();
    assert.deepEqual([s.loop.state, s.kernel.sent.length, s.loop.pending.size], [state, length, 0]);
    s.platform.encode = async canvas => { s.kernel[shut] = shut === "full"; return encode(canvas); };
    s.kernel[shut] = shut !== "full";
    await s.platform.pass(600);
    await s.shoot();
    assert.deepEqual([s.kernel.sent.length, s.loop.pending.size, s.platform.open.size], [length, 0, 0]);
  }
});

test("Stop throws away what waits, and keeps nothing raw", async () => {
  const s = stage(), raw = ({ data }) => { for (let i = 0; i < data.length;
    i += 4) if (data[i] === 200 && data[i + 2] === 40) return true; return false; };
  await s.round();
  await s.shoot();
  assert.ok(raw(s.loop.sender), "the test would prove nothing");
  s.loop.unfollow("stopped", WORDS.stopped);
  assert.deepEqual(["sender", "mask", "probe"].filter(name => raw(s.loop[name])), []);
  assert.deepEqual([s.kernel.dropped, s.platform.open.size], [1, 0]);
});

test("over Jupyter's comm nothing is sent unless it is connected", async () => {
  const s = stage(), kernel = { connectionStatus: "connected" }, sent = [],
    frames = { on() {}, off() {}, widget_manager: { kernel }, send: message => sent.push(message.id) };
  const loop = new Loop({ transport: commTransport(frames), platform: s.platform, budgetOf: () => 32 * 32 }),
    video = camera();
  loop.choose(CHOICE, "Live.");
  loop.play(video);
  const shoot = async () => { video.tick(); await settle(); };
  for (const status of ["connecting", "disconnected", "connecting"]) {
    kernel.connectionStatus = status;
    for (let t = 0; t < 30; t++) { await shoot(); await s.platform.pass(100); }
    assert.deepEqual([sent, loop.state, loop.words], [[], "failed", `Covered: ${WORDS.away}`]);
  }
  kernel.connectionStatus = "connected";
  await s.platform.pass(600);
  await shoot();
  assert.equal(sent.length, 1);
  frames.widget_manager = undefined;  // another front end, which does not tell
  await shoot();
  assert.equal(sent.length, 2);
});

test("a page out of view is covered, sends nothing, and starts afresh when it is back", async () => {
  const s = stage();
  await s.round();
  const before = await s.shoot();
  s.platform.look(true);
  covered(s, "late", WORDS.hidden);
  await s.kernel.reply(before);
  covered(s, "late", WORDS.hidden);
  assert.equal(await s.shoot(), before, "nothing more is sent");
  s.loop.choose(OTHER, "Live.");
  covered(s, "late", WORDS.hidden);
  s.platform.look(false);
  covered(s, "late", WORDS.waiting);
  await s.kernel.reply(before);
  covered(s, "late", WORDS.waiting);
  await s.round();
  assert.equal(s.loop.state, "live");
});

test("stopped: covered, and answers come too late", async () => {
  const s = stage();
  await s.round();
  const before = await s.shoot();
  s.loop.unfollow("stopped", WORDS.stopped);
  await s.kernel.reply(before);
  await s.shoot();
  await s.platform.pass(5000);
  covered(s, "stopped", WORDS.stopped);
  assert.equal(s.kernel.sent.at(-1), before);
  assert.equal(s.platform.timers.size, 0);
});

test("the channel closes: covered for good, whatever is tried", async () => {
  const s = stage();
  await s.round();
  const before = await s.shoot();
  s.loop.close();
  await s.kernel.reply(before);
  covered(s, "failed", WORDS.closed);
  s.loop.play(s.video);
  await s.shoot();
  covered(s, "failed", WORDS.closed);
  s.loop.unfollow("stopped", WORDS.stopped);
  covered(s, "failed", WORDS.closed);
  assert.equal(s.platform.watchers.size, 0);
});

for (const fault of ["bitmap", "encode", "send"]) test(`the ${fault} fails: covered, no place lost, and tried again`,
  async () => {
  const s = stage();
  await s.round();
  s.platform.fault = fault;
  s.kernel.open = fault !== "send";
  await s.shoot();
  covered(s, "failed", "Covered: ");
  assert.deepEqual([s.loop.pending.size, s.platform.open.size], [0, 0]);
  s.platform.fault = null;
  s.kernel.open = true;
  await s.platform.pass(600);
  await s.round();
  assert.equal(s.loop.state, "live");
});

test("drawing fails half way: covered", async () => {
  const s = stage();
  await s.round();
  const frame = await s.shoot();
  s.loop.stage.getContext().drawImage = () => { throw new Error("no more memory"); };
  await s.kernel.reply(frame);
  covered(s, "failed", "no more memory");
});

test("answers out of order: the screen never goes back", async () => {
  const s = stage(), first = await s.shoot(), second = await s.shoot();
  await s.kernel.reply(second);
  await s.kernel.reply(first);
  assert.ok(all(s.pixels(), 2));
});

test("decoders out of order: every frame is shown, in the order of the answers", async () => {
  const s = stage(), shown = [], first = await s.shoot(), second = await s.shoot(), ready = [];
  s.loop.listeners.add(what => { if (what === "screen") shown.push(s.pixels()[0]?.[2]); });
  s.platform.decode = bytes => new Promise(yes => ready.push(async () => yes(s.platform.keep(await decode(bytes)))));
  await s.kernel.reply(first);
  await s.kernel.reply(second);
  await ready[1]();
  await settle();
  await ready[0]();
  await settle();
  assert.deepEqual(shown, [1, 2]);
});

test("another size of the camera: the screen follows, and stays covered until a matte", async () => {
  const s = stage();
  await s.round();
  s.loop.play(camera(96, 64));
  covered(s, "late", WORDS.waiting);
  assert.deepEqual([s.loop.screen.width, s.loop.screen.height], [96, 64]);
});

test("two tabs on one kernel never use each other's mattes", async () => {
  const a = stage(), kernel = new Kernel(), b = new Loop({ transport: kernel, platform: a.platform,
    budgetOf: () => 32 * 32 }), video = camera();
  b.choose(CHOICE, "Live.");
  b.play(video);
  const frame = await a.shoot();
  video.tick();
  await settle();
  assert.equal(frame.message.id, kernel.sent.at(-1).message.id);
  await kernel.reply(frame);
  assert.deepEqual(seen(b.screen), []);
  await a.kernel.reply(kernel.sent.at(-1));
  covered(a, "late");
});

test("a view that breaks does not keep others from being covered", async () => {
  const s = stage(), heard = [], log = console.error;
  s.loop.listeners.add(() => { throw new Error("a broken view"); });
  s.loop.listeners.add(what => heard.push(what));
  console.error = () => {};
  try { s.loop.cover("late", "x"); } finally { console.error = log; }
  assert.deepEqual(heard, ["screen", "state"]);
});

test("a browser that alters frames on their way: nothing is sent, nothing is shown", async () => {
  const s = stage();
  s.platform.fault = "encodesFaithfully";
  s.video.tick();
  await settle();
  assert.equal(s.kernel.sent.length, 0);
  covered(s, "failed", /alters/);
});

test("a browser that reads white from every canvas shows nothing", async () => {
  const s = stage(), frame = await s.shoot();
  for (const name of ["mask", "probe"]) s.loop[name].getContext().getImageData =
    (x, y, width, height) => ({ width, height, data: new Uint8ClampedArray(4 * width * height).fill(255) });
  await s.kernel.reply(frame, {}, [png(32, 32, () => 0)]);
  covered(s, "failed", /alters/);
});

test("the double of a canvas can show what the tests look for", () => {
  const a = new Canvas(8, 8);
  assert.equal(seen(a).length, 64, "an empty canvas is not a covered one");
});

test("the raw view gets every picture once, and never one that is older than what it shows", async () => {
  const s = stage(), drawn = [];
  s.loop.listeners.add(what => what === "raw" && drawn.push(s.loop.latest ? s.loop.latest.data[1] : s.video.number));
  for (let i = 0; i < 5; i++) { await s.shoot(); await s.platform.pass(33); }  // two are sent, three find no place
  assert.deepEqual(drawn, [1, 2, 3, 4, 5]);
  s.loop.invalidate();
  await s.kernel.reply();
  const bitmaps = [], quick = s.platform.bitmap;
  s.platform.bitmap = video => { const picture = quick(video);
    return new Promise(yes => bitmaps.push(() => yes(picture))); };
  await s.shoot();            // 6: its picture is slow to come
  s.loop.pausedUntil = Infinity;
  await s.platform.pass(33);
  await s.shoot();            // 7 is drawn at once
  for (const give of bitmaps) give();
  await settle();
  assert.deepEqual(drawn.slice(5), [7]);
  assert.equal(s.loop.latest, null);
});

/** A loop, and mattes that are white in their first columns. */
const looking = () => Object.assign(stage(), { left: x => png(32, 32, u => u < x ? 255 : 0) });

test("looking ahead, a picture shows when the next one's matte is there, and hides what that hides as well",
  async () => {
  const s = looking();
  s.loop.lookAhead = true;
  const first = await s.shoot(), second = await s.shoot();
  await s.kernel.reply(first, {}, [s.left(20)]);
  assert.deepEqual(s.pixels(), [], "the first waits for the second");
  const third = await s.shoot();
  await s.kernel.reply(second, {}, [s.left(8)]);
  assert.ok(all(s.pixels(), 1, 8 * 32), "it hides what the next one's matte hides");
  await s.kernel.reply(third, {}, [s.left(30)]);
  assert.deepEqual([s.pixels().length, new Set(s.pixels().map(p => p[2]))], [8 * 32, new Set([2])]);
  assert.deepEqual([s.loop.counts.shown, s.platform.open.size], [2, 2], "only the third waits, with its matte");
});

test("looking ahead, whatever is wrong with the next answer covers, and the picture that waited is gone", async () => {
  for (const [name, [changes, buffers, about = true]] of Object.entries(WRONG)) {
    if (!about) continue;
    const s = looking();
    s.loop.lookAhead = true;
    const first = await s.shoot(), second = await s.shoot();
    await s.kernel.reply(first);
    await s.kernel.reply(second, changes, buffers);
    assert.ok(s.loop.state === "failed" && s.pixels().length === 0, name);
    assert.deepEqual([s.loop.held, s.platform.open.size, s.loop.counts.shown], [null, 0, 0], name);
  }
});

test("looking ahead, a picture whose next one never comes is not shown, and what shows goes when it is old",
  async () => {
  const s = stage();
  s.loop.lookAhead = true;
  await s.round();
  await s.round();
  assert.ok(all(s.pixels(), 1));
  await s.platform.pass(MAX_AGE);
  covered(s, "late");
  assert.equal(s.loop.counts.shown, 1);
});

test("a choice, Stop, or no more looking ahead: the picture that waits is let go", async () => {
  const ends = { choice: s => s.loop.choose(OTHER), stop: s => s.loop.unfollow("stopped", WORDS.stopped),
    hidden: s => s.platform.look(true) };
  for (const [name, end] of Object.entries(ends)) {
    const s = stage();
    s.loop.lookAhead = true;
    await s.round();
    assert.equal(s.platform.open.size, 2, name);
    end(s);
    assert.ok(s.loop.held === null && s.platform.open.size === 0, `after ${name} nothing waits`);
    covered(s, s.loop.state);
  }
  const s = stage();
  s.loop.lookAhead = true;
  await s.round();
  s.loop.lookAhead = false;
  await s.round();
  assert.ok(all(s.pixels(), 2));
  assert.equal(s.platform.open.size, 0);
});

test("looking ahead, a camera of five pictures a second stays live", async () => {
  const s = stage();
  s.loop.lookAhead = true;
  for (let i = 0; i < 4; i++) { await s.round(); await s.platform.pass(160); }
  for (let i = 0; i < 10; i++) {
    const frame = await s.shoot();
    await s.platform.pass(40);
    await s.kernel.reply(frame);
    for (let t = 0; t < 160; t += 20) { await s.platform.pass(20); assert.equal(s.loop.state, "live", `after ${t} ms`);
      }
  }
});

test("looking ahead, an answer that was overtaken is not the next one's, and does not undo what waits", async () => {
  const s = looking();
  s.loop.lookAhead = true;
  const first = await s.shoot(), second = await s.shoot();
  await s.kernel.reply(second, {}, [s.left(20)]);
  await s.kernel.reply(first);
  assert.deepEqual([s.pixels(), s.loop.held.frame.id, s.platform.open.size, s.loop.counts.refused], [[], 2, 2, 1]);
  await s.kernel.reply(await s.shoot(), {}, [s.left(8)]);
  assert.deepEqual([s.pixels().length, new Set(s.pixels().map(p => p[2]))], [8 * 32, new Set([2])]);
});

test("looking ahead, a picture of another size begins anew", async () => {
  const s = stage({ size: [64, 32], budget: 64 * 32 });
  s.loop.lookAhead = true;
  await s.round();
  Object.assign(s.video, { videoWidth: 32, videoHeight: 64 });
  await s.round();
  assert.deepEqual([s.pixels(), s.loop.state, s.platform.open.size], [[], "late", 2]);
  await s.round();
  assert.equal(s.loop.state, "live");
});
