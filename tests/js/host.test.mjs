// The page without Jupyter: messages as bytes, a socket that comes and goes, and a photo. What is shown is looked at in pixels.
import test from "node:test";
import assert from "node:assert/strict";
import { Loop } from "../../camredact/live/static/loop.js";
import { SILENCE } from "../../camredact/live/static/rules.js";
import { WORDS } from "../../camredact/live/static/words.js";
import { State, beginning, pageStreams } from "../../camredact/live/static/alone.js";
import { pack, socketTransport, unpack } from "../../camredact/live/static/socket.js";
import { Photo, hiddenWords, photoView, queryOf, shrunk, whyNot } from "../../camredact/live/static/host.js";
import { CHOICE, Platform, TRAITS, camera, png, seen, settle, stream } from "./doubles.mjs";

test("a message comes back as it went", () => {
  for (const [message, buffers] of [[{ kind: "frame", id: 7, words: "für alle" }, [Uint8Array.of(255, 216, 0, 1)]],
    [{}, []]]) {
    const [said, data] = unpack(pack(message, buffers.map(b => b.buffer)));
    assert.deepEqual([said, data.map(b => [...new Uint8Array(b)])], [message, buffers.map(b => [...b])]);
  }
  assert.equal(Buffer.from(pack({ a: 1 }, [Uint8Array.of(9).buffer])).toString("hex"),
    "00000007" + Buffer.from('{"a":1}').toString("hex") + "09");
});

test("what is no message is no answer", () => {
  for (const bytes of [[], [0, 0, 0], [0, 0, 0, 9, 123], [255, 255, 255, 255, 123, 125], [0, 0, 0, 1, 123]])
    assert.throws(() => unpack(Uint8Array.from(bytes).buffer), String(bytes));
});

/** Sockets that a test opens, answers and breaks. */
function network() {
  const made = [];
  class Socket {
    constructor(url, protocols) { Object.assign(this, { url, protocols, readyState: 0, bufferedAmount: 0, sent: [] });
      made.push(this); }
    open() { this.readyState = 1; this.onopen?.(); }
    send(bytes) { this.sent.push(unpack(bytes)); }
    close() { this.readyState = 3; this.onclose?.(); }
    answer([message, buffers]) { this.onmessage({ data: pack(message, buffers) }); }
  }
  return { made, Socket, get last() { return made.at(-1); } };
}

/** A loop that follows a camera over a socket that is open. */
async function live(more = {}) {
  const net = network(), platform = new Platform(), video = camera();
  let loop;
  const lost = error => { if (loop.video) loop.fail(error); };
  const transport = socketTransport("ws://here/live", { Socket: net.Socket, now: platform.now, lost, ...more });
  assert.equal(net.made.length, 0, "nobody takes a seat before there is a frame to send");
  assert.throws(() => transport.ready(), /connecting/);
  loop = new Loop({ transport, platform, budgetOf: () => 32 * 32 });
  net.last.open();
  loop.choose(CHOICE, "Live.");
  loop.play(video);
  const shoot = async () => { video.number++; video.tick(); await settle(); return net.last.sent.at(-1); };
  /** What an honest service answers to a frame. */
  const honest = ([{ kind, ...echo }, [jpeg]]) => { const [w, h] = [...new Uint8Array(jpeg)].map(n => 32 * n);
    return [{ kind: "matte", ...echo, width: w, height: h, ms: { predict: 8 } }, [png(w, h)]]; };
  const round = async () => { const frame = await shoot(); net.last.answer(honest(frame)); await settle();
    return frame; };
  return { net, platform, loop, video, transport, shoot, honest, round, pixels: () => seen(loop.screen) };
}

test("frames go out and mattes come in over a socket", async () => {
  const s = await live(), [message] = await s.round();
  assert.deepEqual([message.kind, message.page, message.id, message.hidden], ["frame", s.loop.page, 1, CHOICE.hidden]);
  assert.deepEqual([s.loop.state, s.pixels().length], ["live", 32 * 32]);
});

test("a lost connection covers at once, and the next one starts covered", async () => {
  const s = await live();
  await s.round();
  const [before, late] = [s.net.last, await s.shoot()];
  before.close();
  assert.deepEqual([s.pixels(), s.loop.state], [[], "failed"]);
  assert.match(s.loop.words, /connection to the service was lost/);
  await s.platform.pass(600);
  await s.shoot();
  assert.equal(s.net.made.length, 2, "the next frame tries again");
  assert.deepEqual([s.pixels(), s.loop.state], [[], "failed"]);
  s.net.last.open();
  before.answer(s.honest(late));
  await settle();
  assert.deepEqual(s.pixels(), [], "an answer of the old connection reveals nothing");
  await s.platform.pass(600);
  await s.round();
  assert.deepEqual([s.loop.state, s.pixels().length], ["live", 32 * 32]);
});

test("attempts come at longer and longer intervals, and none after the end", async () => {
  const s = await live();
  s.net.last.close();
  const times = [];
  for (let t = 0; t < 400; t++) {
    const before = s.net.made.length;
    await s.platform.pass(100);
    await s.shoot();
    if (s.net.made.length > before) { times.push(t); s.net.last.close(); }
    assert.deepEqual(s.pixels(), []);
  }
  const gaps = times.slice(1).map((t, i) => t - times[i]);
  assert.ok(gaps.length >= 5 && gaps.length < 12 && gaps.at(-1) > 4 * gaps[0], `attempts at ${times}`);
  s.transport.close();
  await s.platform.pass(20000);
  assert.throws(() => s.transport.ready(), /connecting/);
  assert.equal(s.net.made.length, times.length + 1);
});

test("a socket that has fallen silent is closed, its late answers reveal nothing, and Start opens another",
  async () => {
  const s = await live();
  await s.round();
  const dead = s.net.last, late = await s.shoot();
  for (let t = 0; t < SILENCE + 1000; t += 500) { await s.platform.pass(500); await s.shoot(); }
  assert.deepEqual([s.net.made.length, dead.readyState, s.loop.video], [1, 3, null]);
  assert.deepEqual([s.pixels(), s.loop.state, s.loop.words], [[], "failed", WORDS.silent]);
  s.loop.play(s.video);
  await s.shoot();
  s.net.last.open();
  dead.answer(s.honest(late));
  await s.platform.pass(600);
  assert.deepEqual(s.pixels(), []);
  await s.round();
  assert.deepEqual([s.loop.state, s.pixels().length, s.net.made.length], ["live", 32 * 32, 2]);
});

test("frames do not queue up in the browser", async () => {
  const s = await live();
  await s.round();
  const slow = s.net.last, sent = slow.sent.length;
  slow.bufferedAmount = 1;
  for (let i = 0; i < 5; i++) { await s.shoot(); await s.platform.pass(100); }
  assert.equal(slow.sent.length, sent, "a frame waits until the one before has left");
  slow.bufferedAmount = 0;
  await s.round();
  assert.deepEqual([slow.sent.length, s.net.made.length, s.loop.state], [sent + 1, 1, "live"]);
});

test("Stop closes the socket, and Start opens another", async () => {
  const s = await live();
  await s.round();
  const late = await s.shoot(), before = s.net.last;
  s.loop.unfollow("stopped", WORDS.stopped);
  assert.deepEqual([before.readyState, s.loop.state, s.pixels()], [3, "stopped", []]);
  await s.platform.pass(3000);
  assert.equal(s.net.made.length, 1, "nobody connects while it is stopped");
  s.loop.play(camera());
  before.answer(s.honest(late));
  await settle();
  assert.deepEqual([s.pixels(), s.loop.state], [[], "late"]);
});

test("a socket that is answered stays, however long", async () => {
  const s = await live();
  for (let t = 0; t < 3 * SILENCE; t += 1000) { await s.platform.pass(1000); await s.round(); }
  assert.deepEqual([s.net.made.length, s.loop.state], [1, "live"]);
});

test("why a socket was never opened is said, and forgotten once one is", async () => {
  const s = await live({ why: async () => WORDS.full });
  s.net.last.close();
  await s.platform.pass(600);
  await s.shoot();
  assert.equal(s.net.made.length, 2);
  assert.match(s.loop.words, /connecting/, "this one was open before");
  s.net.last.close();
  await settle();
  for (let t = 0; t < 3; t++) { await s.platform.pass(600); await s.shoot(); }
  assert.match(s.loop.words, /no seat is free/);
  s.net.last.open();
  await s.platform.pass(600);
  await s.round();
  assert.equal(s.loop.state, "live");
});

test("the service says whether it has a seat", async () => {
  const answer = (ok, said) => async () => ({ ok, status: ok ? 200 : 503, json: async () => said });
  assert.equal(await whyNot(answer(true, { live: 16, seats: 16 })), WORDS.full);
  assert.equal(await whyNot(answer(true, { live: 1, seats: 16 })), WORDS.unwelcome);
  assert.equal(await whyNot(answer(false, { error: "not ready: loading" })), "not ready: loading");
});

test("bytes that are no message cover", async () => {
  const s = await live();
  await s.round();
  s.net.last.onmessage({ data: Uint8Array.of(255, 255, 255, 255).buffer });
  assert.deepEqual([s.pixels(), s.loop.state], [[], "failed"]);
});

test("nothing is said of a lost connection before anybody pressed Start", async () => {
  const s = await live();
  s.loop.unfollow("idle", WORDS.idle);
  s.net.last.close();
  assert.deepEqual([s.loop.state, s.loop.words], ["idle", WORDS.idle]);
});

test("the state tells of changes, and of nothing else", () => {
  const state = new State({ a: [1] }), heard = [], f = () => heard.push(state.get("a"));
  state.on("change:a", f);
  state.set("a", [1]);
  state.set("a", [2]);
  state.off("change:a", f);
  state.set("a", [3]);
  assert.deepEqual(heard, [[2]]);
});

test("the page begins with everything covered that the first preset covers, and without the raw picture", () => {
  const tables = { ...TRAITS, dial: "cautious", model: "fast", models: ["fast"] };
  for (const [handheld, which] of [[true, "environment"], [false, "default"]]) {
    const state = beginning(tables, handheld);
    assert.deepEqual(["hidden", "bar", "preset", "camera", "running", "show_raw"].map(n => state.get(n)),
      [["Car"], 0, "no cars", which, false, false]);
  }
});

test("cameras are asked for without sound, and errors are told in words", async () => {
  const asked = [], devices = { getUserMedia: async wanted => { asked.push(wanted); return stream(); } };
  await pageStreams(devices).capture("environment");
  assert.deepEqual([asked[0].audio, asked[0].video.facingMode], [false, "environment"]);
  await assert.rejects(pageStreams(undefined).capture("default"), /only to pages on https/);
  const none = { getUserMedia: async () => { throw Object.assign(new Error("x"), { name: "NotFoundError" }); } };
  await assert.rejects(pageStreams(none).capture("default"), /none was found/);
});

// ------------------------------------------------------------------------------------------------------------- photos

/** A photo on its way: `answers` are given when a test says so. */
function photo(hidden = ["Car"]) {
  const state = new State({ hidden, bar: 0, dial: "cautious", model: "fast", zones: [] }), shown = [], asked = [], waits = [];
  const ask = (url, options) => new Promise((yes, no) => {
    options.signal.addEventListener("abort", () => no(new Error("aborted")));
    asked.push({ url, options, yes, no });
  });
  const photo = new Photo({ state, headers: { authorization: "Bearer x" }, ask,
    show: (png, words) => shown.push([png, words]),
    shrink: async file => file, wait: ms => new Promise(yes => { waits.push([ms, yes]); if (!ms) yes(); }) });
  const pass = async () => { for (const [, yes] of waits) yes(); await settle(); };
  const answer = (n, png) => asked[n].yes({ ok: true, blob: async () => png,
    headers: new Map([["camredact-hidden", "Car"]]) });
  return { state, photo, shown, asked, answer, waits, pass };
}

const FILE = new Blob(["jpeg"]);

test("a photo is covered until the service has answered", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  assert.deepEqual(p.shown.map(([png]) => png), [null]);
  assert.equal(p.asked[0].url, "redact?categories=Car&bar=0&dial=cautious&model=fast");
  assert.equal(p.asked[0].options.headers.authorization, "Bearer x");
  p.answer(0, "png");
  await settle();
  assert.deepEqual(p.shown.at(-1), ["png", "Hidden: Car."]);
});

test("a photo goes out once for several clicks, and again when the service has time", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  for (const code of ["Sky", "Tree", "Road"]) p.state.set("hidden", [code]);
  await settle();
  assert.equal(p.asked.length, 1, "nobody waits for the next click");
  await p.pass();
  assert.equal(p.asked.length, 2);
  assert.match(p.asked[1].url, /categories=Road/);
  const busy = { ok: false, status: 503, headers: new Map([["retry-after", "7"]]),
    json: async () => ({ error: "all places are taken" }) };
  for (let n = 1; n < 5; n++) {
    assert.deepEqual([p.asked.length, p.shown.at(-1)[0]], [n + 1, null]);
    p.asked[n].yes(busy);
    await settle();
    if (n < 4) assert.equal(p.waits.at(-1)[0], 7000);
    await p.pass();
  }
  assert.deepEqual([p.asked.length, p.shown.at(-1)], [5, [null, "Nothing is shown: all places are taken"]]);
});

test("who clicks while a busy service is waited for sends the new choice alone", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  p.asked[0].yes({ ok: false, status: 429, headers: new Map(), json: async () => ({ error: "slow down" }) });
  await settle();
  p.state.set("hidden", ["Sky"]);
  await p.pass();
  assert.deepEqual(p.asked.map(a => new URLSearchParams(a.url.split("?")[1]).get("categories")), ["Car", "Sky"]);
});

test("an answer that is not the service's is told by its status", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  p.asked[0].yes({ ok: false, status: 502, headers: new Map(), json: async () => JSON.parse("<html>") });
  await settle();
  assert.deepEqual(p.shown.at(-1), [null, "Nothing is shown: the service cannot be reached (status 502): try again later."]);
});

/** A browser that reads photos of that size; gives the canvases that were made. */
function browser(t, width, height) {
  const made = [];
  globalThis.createImageBitmap = async () => { if (!width) throw new Error("no picture");
    return { width, height, close() {} }; };
  globalThis.document = { createElement() {
    const canvas = { getContext: () => ({ fillRect() {}, drawImage() {} }),
      toBlob: (f, kind) => f(new Blob(["small"], { type: kind })) };
    made.push(canvas);
    return canvas;
  } };
  t.after(() => { delete globalThis.createImageBitmap; delete globalThis.document; });
  return made;
}

test("a photo that is too large for the service is made smaller", async t => {
  const made = browser(t, 6000, 4000), small = await shrunk(FILE);
  assert.deepEqual([small.type, made.length], ["image/jpeg", 1]);
  const { width, height } = made[0];
  assert.ok(width * height <= 16e6 && width * height > 15.9e6 && Math.abs(width / height - 1.5) < .001,
    `${width} x ${height}`);
});

test("a photo that is small enough, or cannot be read here, goes as it is", async t => {
  for (const [width, height] of [[4000, 3000], [0, 0]]) {
    const made = browser(t, width, height);
    assert.equal(await shrunk(FILE), FILE);
    assert.equal(made.length, 0);
  }
});

test("what was hidden is said in words, and that nothing was", () => {
  assert.equal(hiddenWords("unsure<0.5"), "Hidden: what the model is less sure of than 0.5.");
  assert.equal(hiddenWords("Car,TrafficLight"), "Hidden: Car; Traffic light.");
  assert.match(hiddenWords("nothing"), /whole picture shows/);
});

test("nothing to hide is said on purpose", () => {
  assert.equal(queryOf(photo([]).state).get("categories"), "none");
});

test("a photo that was redacted for the choice before is not shown", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  p.state.set("hidden", ["Car", "Sky"]);
  await p.pass();
  assert.equal(p.asked.length, 2);
  assert.ok(p.asked[0].options.signal.aborted && !p.asked[1].options.signal.aborted, "nobody waits for the old one");
  assert.match(p.asked[1].url, /categories=Car%2CSky/);
  p.answer(0, "for the old choice");
  await settle();
  assert.ok(p.shown.every(([png]) => png === null));
  p.answer(1, "for the new one");
  await settle();
  assert.equal(p.shown.at(-1)[0], "for the new one");
  p.state.set("zones", ["hide 0,0 0.5,1", "show 0,0 1,1"]);
  assert.equal(p.shown.at(-1)[0], null, "covered from the click on");
  await p.pass();
  assert.match(p.asked[2].url, /&zone=hide\+0%2C0\+0.5%2C1&zone=show\+0%2C0\+1%2C1$/);
});

test("a picture whose bytes come after a click is not shown", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  let last;
  p.asked[0].yes({ ok: true, blob: () => new Promise(yes => { last = yes; }),
    headers: new Map([["camredact-hidden", "Car"]]) });
  await settle();
  p.state.set("hidden", ["Sky"]);
  last("for the old choice");
  await settle();
  assert.ok(p.shown.every(([png]) => png === null));
});

test("errors show words and no picture", async () => {
  const p = photo();
  p.photo.redact(FILE);
  await p.pass();
  p.asked[0].yes({ ok: false, json: async () => ({ error: "the picture is cut short" }) });
  await settle();
  assert.deepEqual(p.shown.at(-1), [null, "Nothing is shown: the picture is cut short"]);
  p.photo.redact(FILE);
  await p.pass();
  p.asked[1].no(new TypeError("Failed to fetch"));
  await settle();
  assert.deepEqual(p.shown.at(-1), [null, "Nothing is shown: Failed to fetch"]);
});

test("the picture before is let go of", t => {
  const made = [], gone = [];
  t.mock.method(URL, "createObjectURL", () => { made.push(`blob:${made.length}`); return made.at(-1); });
  t.mock.method(URL, "revokeObjectURL", url => gone.push(url));
  const element = () => ({ attributes: {}, setAttribute(n, v) { this.attributes[n] = v; },
    removeAttribute(n) { delete this.attributes[n]; } });
  const parts = { img: element(), "[role=status]": element(), a: element() },
    show = photoView({ querySelector: s => parts[s] });
  show("one", "Hidden: Car.");
  assert.deepEqual([parts.img.attributes.src, parts.a.attributes.href, parts.img.hidden], ["blob:0", "blob:0", false]);
  show(null, "Covered");
  assert.deepEqual([parts.img.attributes, parts.a.attributes, parts.img.hidden, gone.includes("blob:0")],
    [{}, {}, true, true]);
});
