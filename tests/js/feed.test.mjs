// A stream that the kernel reads: picture and matte come in one answer. What is shown is looked at in pixels.
import test from "node:test";
import assert from "node:assert/strict";
import { refusal } from "../../camredact/live/static/rules.js";
import { CHOICE, fedKernel, picture, png, seen, settle, stage, widget } from "./doubles.mjs";

/** A loop that follows a stream of the kernel's, and what its kernel gives: pictures of a number and a size. */
function fed({ size = [32, 32] } = {}) {
  const s = stage({ video: { fed: true } }), kernel = fedKernel(s.kernel, size);
  const ask = async () => { s.video.tick(); await settle(); return s.kernel.sent.at(-1); };
  const round = async (ms = 40) => { const asked = await ask(); await s.platform.pass(ms); await kernel.reply(asked); };
  return { ...s, kernel, sent: s.kernel.sent, ask, round };
}

const numbers = pixels => [...new Set(pixels.map(([, , n]) => n))];

test("a question goes out without a picture, and its answer's picture shows under its matte", async () => {
  const s = fed();
  const asked = await s.ask();
  assert.deepEqual([asked.buffers.length, asked.message.kind, s.pixels()], [0, "frame", []]);
  await s.kernel.reply(asked, { grey: x => x < 16 ? 255 : 0 });
  assert.deepEqual([s.loop.state, numbers(s.pixels())], ["live", [s.kernel.number]]);
  assert.ok(s.pixels().length === 16 * 32 && s.pixels().every(([x]) => x < 16));
  await s.round();
  assert.deepEqual(numbers(s.pixels()), [s.kernel.number], "the next picture shows, with its own number");
  assert.equal(s.platform.open.size, 0, "pictures and masks are let go");
});

test("the picture's own size decides, whenever it changes", async () => {
  const s = fed();
  for (const size of [[32, 32], [64, 32], [32, 64], [32, 32]]) {
    s.kernel.size = size;
    await s.round();
    assert.deepEqual([s.loop.screen.width, s.loop.screen.height, s.pixels().length], [...size, size[0] * size[1]]);
  }
});

const FAULTS = {
  "an error": [{ error: "rtsp://cam/1 has ended. Connecting again in 1 s." }, () => []],
  "no picture": [{}, ([mask]) => [mask]],
  "no matte": [{}, ([, jpeg]) => [jpeg]],
  "nothing": [{}, () => []],
  "more than both": [{}, ([mask, jpeg]) => [mask, jpeg, jpeg]],
  "picture and matte the wrong way round": [{}, ([mask, jpeg]) => [jpeg, mask]],
  "a picture that cannot be read": [{}, ([mask]) => [mask, Buffer.from("no picture")]],
  "a matte that cannot be read": [{}, ([, jpeg]) => [Buffer.from("no matte"), jpeg]],
  "a matte of another picture's size": [{}, ([, jpeg]) => [png(64, 32), jpeg]],
  "a picture of another size than its matte": [{}, ([mask]) => [mask, Buffer.from([8, 1, 7])]],
  "a matte for another choice": [{ hidden: ["Sky"] }, all => all],
  "a matte of another dial": [{ dial: "precise" }, all => all],
  "a matte without the zones": [{ zones: [] }, all => all],
  "another version": [{ protocol: 1 }, all => all],
};

const faults = Object.entries(FAULTS);
for (const [name, [changes, spoil]] of faults) test(`${name}: covered, and live again after it`, async () => {
  const s = fed();
  await s.round();
  assert.equal(s.pixels().length, 32 * 32);
  await s.kernel.reply(await s.ask(), { changes, spoil });
  assert.deepEqual([s.pixels(), s.loop.state], [[], "failed"]);
  assert.equal(s.platform.open.size, 0, "what came is let go");
  await s.platform.pass(600);
  await s.round();
  assert.deepEqual([s.pixels().length, s.loop.state], [32 * 32, "live"]);
});

test("an answer to another page, of an unknown id, or a second one, reveals nothing", async () => {
  const s = fed();
  const asked = await s.ask();
  await s.kernel.reply(asked, { changes: { page: "another" } });
  await s.kernel.reply(asked, { changes: { id: 999 } });
  assert.deepEqual(s.pixels(), []);
  await s.kernel.reply(asked);
  s.loop.choose({ ...CHOICE, hidden: ["Sky"] });
  await s.kernel.reply(asked);
  assert.deepEqual(s.pixels(), []);
});

test("a click while the picture or its matte is being decoded", async () => {
  for (const kind of ["image/jpeg", "image/png"]) {
    const s = fed(), { decode } = s.platform;
    let go;
    s.platform.decode = async (bytes, type) => {
      if (type === kind) await new Promise(yes => { go = yes; });
      return decode(bytes, type);
    };
    await s.kernel.reply(await s.ask());
    s.loop.choose({ ...CHOICE, hidden: ["Sky"] });
    const raws = [];
    s.loop.listeners.add(what => { if (what === "raw" && s.loop.latest) raws.push(s.loop.latest); });
    go();
    await settle();
    assert.deepEqual([s.pixels().length, s.loop.state, s.platform.open.size, raws.length], [0, "late", 0, 0], kind);
  }
});

test("a stream that gives nothing: covered once the last picture is old, and asked for less and less", async () => {
  const s = fed();
  for (let n = 0; n < 10; n++) await s.round();
  const before = s.sent.length;
  for (let t = 0; t < 8000; t += 10) {
    await s.ask();
    await s.platform.pass(10);
    if (t > s.loop.maxAge + 20) assert.deepEqual(s.pixels(), [], `seen ${t} ms later`);
  }
  assert.ok(s.sent.length - before <= 6, `${s.sent.length - before} questions`);
});

test("a picture is no older than it may be, whatever the kernel says it waited", async () => {
  for (const waited of [undefined, NaN, -1e9, "x", 0, 30, 1e9]) {
    const s = fed();
    for (let n = 0; n < 5; n++) {
      const asked = await s.ask();
      await s.platform.pass(60);
      await s.kernel.reply(asked, { changes: { waited } });
    }
    assert.ok(s.loop.age >= 0 && s.loop.age <= 60, `${s.loop.age} after ${waited}`);
    await s.platform.pass(s.loop.maxAge + 1);
    assert.deepEqual([s.pixels(), s.loop.state], [[], "late"]);
  }
});

test("the raw view gets each picture once, and is cleared at Stop; the rate counts pictures alone", async () => {
  const s = fed(), raws = [];
  s.loop.listeners.add(what => { if (what === "raw") raws.push(s.loop.latest?.data[1] ?? null); });
  for (let n = 0; n < 5; n++) { await s.round(100); for (let k = 0; k < 4; k++) s.loop.frame(); }
  assert.deepEqual(raws.filter(n => n !== null), [1, 2, 3, 4, 5]);
  assert.ok(!raws.includes(null), "the raw view flickers");
  assert.ok(s.loop.stats().raw_fps < 12);
  s.loop.unfollow("stopped", "Stopped.");
  assert.deepEqual([raws.at(-1), s.pixels()], [null, []]);
});

test("the feed is chosen like a camera, and lets the camera go", async () => {
  const s = await widget({ traits: { camera: "feed" } });
  assert.deepEqual([s.streams.asked, s.loop.video], [[], { fed: true, tick: s.loop.video.tick }]);
  s.model.set("camera", "default");
  await settle();
  assert.deepEqual(s.streams.asked, ["default"]);
  const { track } = s.streams.last;
  s.model.set("camera", "feed");
  await settle();
  assert.ok(track.stopped && s.loop.video.fed);
});

test("an answer is of one kind: with its picture for a stream, without for a camera", () => {
  const answer = { ...CHOICE, width: 32, height: 32 };
  assert.equal(refusal(answer, [1, 2], { fed: true }, CHOICE), "");
  assert.match(refusal(answer, [1], { fed: true }, CHOICE), /without a matte/);
  assert.match(refusal(answer, [1, 2], { width: 32, height: 32 }, CHOICE), /without a matte/);
  assert.ok(seen(picture(2, 2, 3)).length === 4);
});
