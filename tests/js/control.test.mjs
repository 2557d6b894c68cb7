// The camera and the traits: opening, stopping, choosing, recording.
import test from "node:test";
import assert from "node:assert/strict";
import { Source } from "../../camredact/live/static/browser.js";
import { Control } from "../../camredact/live/static/control.js";
import { jupyterStreams } from "../../camredact/live/static/jupyter.js";
import { Loop } from "../../camredact/live/static/loop.js";
import { SILENCE } from "../../camredact/live/static/rules.js";
import { WORDS } from "../../camredact/live/static/words.js";
import { TRAITS, Model, Platform, seen, settle, stream, widget } from "./doubles.mjs";

test("a view starts the camera, and the first matte shows", async () => {
  const w = await widget();
  assert.deepEqual([w.streams.asked, w.loop.state, seen(w.loop.screen)], [["default"], "late", []]);
  await w.round();
  assert.equal(w.loop.state, "live");
});

test("a click covers before its handler returns, and is told to Python", async () => {
  const w = await widget();
  const clicks = [() => w.control.hide(["Tree"], true), () => w.control.hide(["Car", "Tree"], false),
    () => w.control.choosePreset("unsure"),
    () => w.control.coverUnsure(false), () => w.control.set({ hidden: ["Sky", "Tree"] })];
  for (const click of clicks) {
    await w.round();
    assert.equal(w.loop.state, "live");
    const saved = w.model.saved;
    click();
    assert.deepEqual([seen(w.loop.screen), w.loop.words], [[], WORDS.choice]);
    assert.ok(w.model.saved > saved);
  }
  assert.deepEqual([w.model.get("hidden"), w.model.get("preset"), w.loop.choice.hidden],
    [["Sky", "Tree"], "custom", ["Sky", "Tree"]]);
});

test("the name of the preset follows the boxes", async () => {
  const w = await widget();
  w.control.hide(["Tree"], true);
  assert.equal(w.model.get("preset"), "custom");
  w.control.hide(["Tree"], false);
  assert.equal(w.model.get("preset"), "no cars");
});

test("Python chooses: covered, and followed; names are sent in the order in which they come back", async () => {
  const w = await widget();
  await w.round();
  w.model.set("hidden", []);
  assert.deepEqual([seen(w.loop.screen), w.loop.choice.hidden], [[], []]);
  await w.round();
  assert.equal(w.loop.words, "Live. Nothing is hidden: the whole picture shows.");
  w.model.set("hidden", ["Tree", "SUVPickupTruck", "Sky"]);
  await w.round();
  assert.deepEqual([w.loop.state, w.kernel.sent.at(-1).message.hidden], ["live", ["SUVPickupTruck", "Sky", "Tree"]]);
});

test("Stop stops every track, covers, and Start asks again", async () => {
  const w = await widget(), first = w.streams.last;
  await w.round();
  w.control.press(false);
  assert.deepEqual([first.track.stopped, seen(w.loop.screen), w.loop.state, w.model.get("running")],
    [true, [], "stopped", false]);
  const { released } = w.streams;
  assert.ok(released > 0);
  w.control.press(true);
  await settle();
  assert.deepEqual([w.streams.asked.length, w.streams.last !== first], [2, true]);
  await w.round();
  assert.equal(w.loop.state, "live");
});

test("a page that is loaded again switches no camera on, whatever `running` says, until Start is pressed in it",
  async () => {
  for (const just_run of [false, undefined]) {
    const w = await widget({ traits: { just_run } });
    w.model.set("camera", "user");
    w.control.attach(() => {});
    w.model.set("running", false);
    w.model.set("running", true);  // Start, in another page
    await w.platform.pass(3000);
    assert.deepEqual([w.streams.asked, w.loop.video, seen(w.loop.screen)], [[], null, []]);
    w.control.press(true);
    await settle();
    await w.round();
    assert.deepEqual([w.streams.asked, w.loop.state], [["user"], "live"]);
  }
});

test("loaded again, the page says what to press", async () => {
  const w = await widget({ traits: { just_run: false } });
  assert.deepEqual([w.loop.state, w.loop.words], ["idle", WORDS.idle]);
  assert.match(w.loop.words, /Press Start/);
});

test("Stop in another page stops this one, and Start there does not start it", async () => {
  const w = await widget();
  await w.round();
  w.model.set("running", false);
  assert.deepEqual([w.streams.last.track.stopped, w.loop.state], [true, "stopped"]);
  w.model.set("running", true);
  w.control.attach(() => {});
  await settle();
  assert.deepEqual([w.streams.asked.length, w.loop.video], [1, null]);
});

test("a cell that is run starts the camera, in a view that is there or comes", async () => {
  for (const attach of [true, false]) {
    const w = await widget({ traits: { just_run: false }, attach });
    w.model.say({ kind: "else" });
    w.model.say({ kind: "start" });
    if (!attach) w.control.attach(w.view);
    await settle();
    assert.equal(w.streams.asked.length, 1);
  }
});

test("a permission that comes after Stop opens nothing", async () => {
  let allow;
  const w = await widget({ given: () => new Promise(yes => { allow = () => yes(stream()); }) });
  assert.equal(w.loop.words, "Asking for the picture.");
  w.control.press(false);
  allow();
  await settle();
  assert.deepEqual([w.streams.last.track.stopped, w.loop.video, w.loop.state], [true, null, "stopped"]);
});

test("a refusal that comes after Stop says nothing", async () => {
  let refuse;
  const denied = Object.assign(new Error("no"), { name: "NotAllowedError" });
  const w = await widget({ given: () => new Promise((_, no) => { refuse = () => no(denied); }) });
  w.control.press(false);
  refuse();
  await settle();
  assert.equal(w.loop.words, WORDS.stopped);
});

const REFUSED = { NotAllowedError: /not allowed/, NotFoundError: /No camera/, Insecure: /ssh -L/ };
for (const [name, words] of Object.entries(REFUSED)) test(`no camera, ${name}: said, and Start tries again`,
  async () => {
  let broken = true;
  const given = () => { if (broken) throw Object.assign(new Error("x"), { name }); return stream(); };
  const w = await widget({ given });
  assert.deepEqual([w.loop.state, seen(w.loop.screen)], ["failed", []]);
  assert.match(w.loop.words, words);
  broken = false;
  w.control.press(true);
  await settle();
  await w.round();
  assert.equal(w.loop.state, "live");
});

test("a video that comes after Stop is not followed", async () => {
  const w = await widget({ attach: false }), { video } = w.platform;
  let play;
  w.platform.video = stream => new Promise(yes => { play = async () => yes(await video(stream)); });
  w.control.attach(w.view);
  await settle();
  w.control.press(false);
  await play();
  await settle();
  assert.deepEqual([w.streams.last.track.stopped, w.loop.video, w.loop.state], [true, null, "stopped"]);
});

test("a stream without a picture is given up", async () => {
  const w = await widget({ attach: false });
  w.platform.video = () => new Promise(() => {});
  w.control.attach(w.view);
  await settle();
  await w.platform.pass(11000);
  assert.deepEqual([w.loop.state, w.streams.last.track.stopped], ["failed", true]);
  assert.match(w.loop.words, /gives no picture/);
});

test("the camera ends by itself: covered, with the reason", async () => {
  const w = await widget();
  await w.round();
  w.streams.last.track.dispatchEvent(new Event("ended"));
  assert.deepEqual([seen(w.loop.screen), w.loop.state, w.loop.words], [[], "failed", WORDS.ended]);
});

test("another camera: the old one is stopped, and an end of its track means nothing", async () => {
  const w = await widget(), first = w.streams.last;
  await w.round();
  w.model.set("camera", "user");
  assert.deepEqual([seen(w.loop.screen), first.track.stopped], [[], true]);
  await settle();
  first.track.dispatchEvent(new Event("ended"));
  assert.deepEqual([w.streams.asked, w.loop.state], [["default", "user"], "late"]);
});

test("the last view goes: the camera goes off; a view that only moves does not matter", async () => {
  const w = await widget(), other = () => {};
  w.control.detach(w.view);
  w.control.attach(other);
  await w.platform.pass(2000);
  assert.ok(w.loop.video);
  w.control.detach(other);
  await w.platform.pass(2000);
  assert.deepEqual([w.loop.video, w.streams.last.track.stopped, w.loop.state], [null, true, "stopped"]);
  w.control.attach(other);
  await settle();
  assert.ok(w.loop.video);
});

test("a picture that is in no view is covered and nothing is sent, until one of its views is seen again", async () => {
  const w = await widget(), other = () => {}, sent = () => w.kernel.sent.length;
  await w.round();
  w.control.attach(other);
  w.control.see(w.view, false);
  await w.round();
  assert.equal(w.loop.state, "live");
  const before = sent();
  w.control.see(other, false);
  assert.deepEqual([seen(w.loop.screen), w.loop.state, w.loop.words], [[], "late", WORDS.hidden]);
  for (let i = 0; i < 20; i++) { w.loop.video.tick(); await w.platform.pass(100); }
  assert.deepEqual([sent(), w.loop.words], [before, WORDS.hidden]);
  w.control.see(w.view, true);
  await w.round();
  assert.deepEqual([w.loop.state, sent()], ["live", before + 1]);
});

test("a recording goes on while the picture is scrolled away, and no longer", async () => {
  const w = await widget();
  await w.round();
  w.control.record();
  w.control.see(w.view, false);
  await w.round();
  assert.equal(w.loop.state, "live");
  await w.control.finish();
  assert.deepEqual([seen(w.loop.screen), w.loop.words], [[], WORDS.hidden]);
});

test("a kernel that falls silent: the camera goes off, and Start asks for it again", async () => {
  const w = await widget();
  await w.round();
  for (let t = 0; t < SILENCE + 500; t += 100) { w.loop.video?.tick(); await w.platform.pass(100); }
  assert.deepEqual([w.streams.last.track.stopped, w.loop.video, w.loop.state, w.loop.words],
    [true, null, "failed", WORDS.silent]);
  assert.deepEqual([w.loop.sender.width, w.control.busy], [1, false], "something raw is left");
  w.control.press(true);
  await settle();
  await w.round();
  assert.deepEqual([w.streams.asked.length, w.loop.state], [2, "live"]);
});

test("the kernel goes: the camera goes off, and nothing can be started", async () => {
  const w = await widget();
  await w.round();
  w.loop.close();
  assert.deepEqual([seen(w.loop.screen), w.streams.last.track.stopped, w.loop.words], [[], true, WORDS.closed]);
  w.control.press(true);
  await settle();
  assert.equal(w.streams.asked.length, 1);
});

test("snapshots and films are of the redacted picture, and covered while it is", async () => {
  const w = await widget();
  await w.round();
  await w.control.snapshot();
  assert.deepEqual(w.platform.files.map(([kind, file]) => [kind, file.of === w.loop.screen]), [["png", true]]);
  w.control.record();
  const film = w.control.film;
  assert.equal(seen(film).length, 32 * 32);
  w.control.hide(["Tree"], true);
  assert.deepEqual(seen(film), []);
  await w.round();
  assert.equal(seen(film).length, 32 * 32);
  w.control.press(false);
  assert.deepEqual(seen(film), []);
  await settle();
  assert.equal(w.platform.files.at(-1)[1].of, film);
});

test("a snapshot or film that cannot be saved is said, and nothing more is seen", async () => {
  const w = await widget();
  await w.round();
  w.platform.png = async () => { throw new Error("no room"); };
  w.platform.recorder = () => ({ stop: async () => { throw new Error("no codec"); } });
  await w.control.snapshot();
  assert.match(w.loop.words, /snapshot could not be saved: no room/);
  w.control.record();
  await w.control.finish();
  await w.round();
  assert.match(w.loop.words, /recording could not be saved: no codec/);
  assert.equal(w.loop.state, "live");
  await w.platform.pass(6000);
  await w.round();
  assert.doesNotMatch(w.loop.words, /could not/);
  assert.deepEqual([w.platform.files, w.control.recorder], [[], null]);
});

test("the raw view that was switched off stays off", async () => {
  const memory = {}, w = await widget({ memory });
  w.control.showRaw(false);
  assert.equal((await widget({ memory })).model.get("show_raw"), false);
});

test("Python hears the state at once, and nothing else", async () => {
  const w = await widget(), before = w.model.saved;
  for (let i = 0; i < 60; i++) { await w.round(); await w.platform.pass(50); }
  assert.ok(w.model.saved - before <= 2, `${w.model.saved - before} in three seconds`);
  assert.equal(w.model.get("state"), "live");
  w.control.press(false);
  await w.platform.pass(150);
  assert.equal(w.model.get("state"), "stopped");
});

test("ipywebrtc's stream is asked without sound, and forgotten so that it can be asked again", async () => {
  const made = [], model = {
    get: name => ({ constraints: { audio: true, video: { width: 640 } } })[name],
    set: (name, value) => { model.constraints = value; },
    captureStream() { return this.cameraStream ??= (made.push(stream()), Promise.resolve(made.at(-1))); },
  };
  const widget = { get: name => ({ stream: "IPY_MODEL_abc" })[name],
    widget_manager: { get_model: async id => { assert.equal(id, "abc"); return model; } } };
  const source = new Source({ streams: jupyterStreams(widget, { mediaDevices: {} }), platform: new Platform() });
  await source.open("user");
  assert.deepEqual(model.constraints, { audio: false, video: { width: 640, facingMode: "user" } });
  source.close();
  assert.equal(made[0].track.stopped, true);
  await source.open("default");
  assert.equal(made.length, 2);
  await assert.rejects(jupyterStreams(widget, {}).capture("default"), { name: "Insecure" });
});

test("a page without ipywebrtc says so, and goes on without it", async () => {
  const get_model = async () => ({ get() {} });  // what ipywidgets puts in the place of a model that it cannot load
  const model = { get: () => "IPY_MODEL_1", widget_manager: { get_model } };
  const streams = jupyterStreams(model, { mediaDevices: {} });
  for (const wanted of ["clip", "default"]) await assert.rejects(streams.capture(wanted), /not loaded ipywebrtc/);
  streams.release();
});

test("look_ahead is the loop's, from the start and when it changes", async () => {
  const w = await widget({ traits: { look_ahead: true } });
  assert.equal(w.loop.lookAhead, true);
  await w.round();
  assert.equal(w.loop.counts.shown, 0);
  w.model.set("look_ahead", false);
  await w.round();
  assert.deepEqual([w.loop.lookAhead, w.loop.counts.shown], [false, 1]);
});
