// The picture alone: a window beside the panel, and the service's /view. What is shown is looked at in pixels.
import test from "node:test";
import assert from "node:assert/strict";
import { display, paintOn } from "../../camredact/live/static/display.js";
import { choiceQuery, keepOn } from "../../camredact/live/static/view.js";
import { CHOICE, Canvas, Page, Platform, Windows, seen, settle, stage, stream, widget } from "./doubles.mjs";

const shown = page => seen(page.one("canvas"));

test("alone, the picture shows and is covered as in the panel, and words stand where it is covered", async () => {
  const s = stage(), page = new Page(), end = display(s.loop, page), words = page.one("p");
  assert.deepEqual([shown(page), words.hidden, words.textContent], [[], false, s.loop.words]);
  await s.round();
  assert.deepEqual([shown(page).length, page.one("div").dataset.state, words.hidden], [32 * 32, "live", true]);
  s.loop.choose({ ...CHOICE, hidden: ["Sky"] });
  assert.deepEqual([shown(page), words.hidden, page.title], [[], false, s.loop.words]);
  end();
  await s.round();
  assert.equal(page.one("div"), undefined, "after its end there is nothing");
});

test("a canvas that cannot be painted shows nothing, and says so", async () => {
  const s = stage(), page = new Page();
  display(s.loop, page);
  await s.round();
  const canvas = page.one("canvas"), { getContext } = canvas;
  canvas.getContext = () => { throw new Error("no memory"); };
  await s.round();
  assert.deepEqual([canvas.width, page.one("div").dataset.state, page.one("p").hidden], [0, "failed", false]);
  assert.match(page.one("p").textContent, /^Covered: .*no memory/);
  canvas.getContext = getContext;
  await s.round();
  assert.deepEqual([shown(page).length, page.one("p").hidden], [32 * 32, true]);
  assert.equal(paintOn(new Canvas(1, 1), s.loop), "");
});

/** A widget that is live, and its window. */
async function withWindow() {
  const windows = new Windows(), platform = Object.assign(new Platform(), { window: left => windows.open(left) });
  const s = await widget({ platform });
  await s.round();
  s.control.openWindow();
  return { ...s, windows };
}

test("a window shows what the panel shows, is covered at a click, and is closed by the same button", async () => {
  const s = await withWindow(), { page } = s.windows;
  assert.equal(shown(page).length, 32 * 32);
  s.control.hide(["Sky"], true);
  assert.deepEqual(shown(page), []);
  await s.round();
  assert.equal(shown(page).length, 32 * 32);
  s.control.openWindow();
  assert.deepEqual([s.windows.closed, s.control.closeWindow, page.one("canvas")], [1, null, undefined]);
  await s.round();
  assert.equal(s.loop.state, "live", "the panel goes on");
});

test("a window is covered when the kernel fails or goes, at Stop, when the camera ends, and out of view", async () => {
  const ends = {
    failed: s => s.loop.fail(new Error("gone")), closed: s => s.loop.close(), stopped: s => s.control.press(false),
    ended: s => s.streams.last.track.dispatchEvent(new Event("ended")), hidden: s => s.platform.look(true),
  };
  for (const [name, f] of Object.entries(ends)) {
    const s = await withWindow();
    assert.equal(shown(s.windows.page).length, 32 * 32);
    f(s);
    assert.deepEqual(shown(s.windows.page), [], name);
    assert.equal(s.windows.page.one("p").hidden, false, name);
  }
});

test("while a window is open the picture goes on, wherever its panel is scrolled", async () => {
  const s = await withWindow();
  s.control.see(s.view, false);
  await s.round();
  assert.equal(shown(s.windows.page).length, 32 * 32);
  s.windows.left();  // somebody closes it
  assert.deepEqual([s.control.closeWindow, s.loop.hidden], [null, true]);
});

test("a window goes with the last view, with the page, and with the camera", async () => {
  for (const leave of [s => s.control.detach(s.view), s => s.windows.left(), s => s.control.close()]) {
    const s = await withWindow();
    leave(s);
    await s.platform.pass(1100);
    assert.deepEqual([s.windows.closed, s.windows.page.one("canvas")], [1, undefined]);
  }
});

test("where pop-ups are blocked it is said, and the panel goes on", async () => {
  const s = await widget({ platform: Object.assign(new Platform(), { window: () => null }) });
  await s.round();
  s.control.openWindow();
  assert.match(s.loop.words, /allow pop-ups/);
  assert.deepEqual([s.loop.state, s.control.closeWindow], ["live", null]);
});

// /view

test("the address says what to hide; where it does not, the first preset hides", () => {
  const presets = { "no people": {}, "no cars": {} };
  const asked = search => choiceQuery(search, presets);
  assert.equal(asked(""), "choice?preset=no+people");
  assert.equal(asked("?zone=hide 0,0 0.5,1&camera=environment"), "choice?zone=hide+0%2C0+0.5%2C1&preset=no+people");
  assert.equal(asked("?categories=none"), "choice?categories=none");
  assert.equal(asked("?preset=no cars&dial=precise&hide=x"), "choice?preset=no+cars&dial=precise&hide=x",
    "what is unknown is for the service to refuse");
});

test("a camera that ends is covered, and asked for again until it is back", async () => {
  let there = true;
  const given = () => there ? stream() : Promise.reject(new Error("busy"));
  const s = await widget({ given, traits: { running: false, just_run: false }, attach: false });
  const page = new Page();
  display(s.loop, page);
  keepOn(s.control, s.platform);
  await settle();
  await s.round();
  for (let n = 0; n < 100; n++) { await s.platform.pass(50); await s.round(); }
  assert.deepEqual([shown(page).length, s.streams.asked.length], [32 * 32, 1], "a camera that is there is left alone");
  there = false;
  s.streams.last.track.dispatchEvent(new Event("ended"));
  assert.deepEqual([shown(page), page.one("p").hidden], [[], false]);
  const before = s.streams.asked.length;
  await s.platform.pass(60000);
  const tries = s.streams.asked.length - before;
  assert.ok(tries >= 4 && tries <= 7, `asked ${tries} times in a minute`);
  assert.deepEqual(shown(page), []);
  there = true;
  await s.platform.pass(31000);
  await s.round();
  assert.deepEqual([shown(page).length, s.loop.state], [32 * 32, "live"]);
});
