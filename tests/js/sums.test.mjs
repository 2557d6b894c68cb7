// The pure functions of the page.
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as browser from "../../camredact/live/static/browser.js";
import * as control from "../../camredact/live/static/control.js";
import * as pace from "../../camredact/live/static/pace.js";
import * as pixels from "../../camredact/live/static/pixels.js";
import * as rules from "../../camredact/live/static/rules.js";

const cam = { ...browser, ...control, ...pace, ...pixels, ...rules };

test("the model's size is the one in the table that Python is tested with too", () => {
  const { cases } = JSON.parse(readFileSync(new URL("../sizes.json", import.meta.url)));
  for (const { name, in: [h, w, budget], out } of cases) assert.deepEqual(cam.modelSize(h, w, budget), out, name);
  assert.throws(() => cam.modelSize(0, 640, 81920), /no size/);
  assert.throws(() => cam.modelSize(NaN, 640, 81920), /no size/);
});

test("choices are the same only if the names, bar, dial, model and zones are", () => {
  const a = { hidden: ["Car", "Sky"], bar: 0, dial: "d", model: "m", zones: ["hide 0,0 1,1"] };
  assert.ok(cam.sameChoice(a, structuredClone(a)));
  for (const b of [{ hidden: ["Car", "Tree"] }, { hidden: ["Car"] }, { hidden: ["Car", "Sky", "Tree"] },
    { hidden: ["Sky", "Car"] }, { hidden: undefined }, { hidden: "Car,Sky" }, { bar: .5 }, { dial: "e" },
    { model: "n" }, { zones: [] }, { zones: undefined }, { zones: "hide 0,0 1,1" }, { zones: ["show 0,0 1,1"] }])
    assert.ok(!cam.sameChoice({ ...a, ...b }, a) && !cam.sameChoice(a, { ...a, hidden: [], ...b }), JSON.stringify(b));
  assert.ok(!cam.sameChoice(null, null));
});

test("the age follows the answers, within its bounds", () => {
  assert.deepEqual([NaN, 0, 50, 100, 400, 1e9].map(cam.maxAge), [2000, 300, 300, 400, 1600, 2000]);
});

test("one to three frames are in flight", () => {
  assert.deepEqual([[NaN, NaN], [2000, NaN], [50, 12], [210, 10], [130, 60], [400, 100],
    [900, 400]].map(([a, w]) => cam.inFlight(a, w)), [2, 2, 3, 3, 2, 3, 1]);
});

test("a preset's name follows the set and the bar", () => {
  const presets = { cars: { hidden: ["Car", "Train"], bar: 0 }, unsure: { hidden: ["Void"], bar: .5 } };
  assert.equal(cam.presetOf(["Train", "Car"], 0, presets), "cars");
  assert.equal(cam.presetOf(["Car"], 0, presets), "custom");
  assert.equal(cam.presetOf(["Void"], 0, presets), "custom");
  assert.equal(cam.presetOf(["Void"], .5, presets), "unsure");
});

test("the state says what is hidden, and says so when nothing is", () => {
  const presets = { "no cars": { hidden: ["Car"], bar: 0 } };
  assert.equal(cam.liveWords([], 0, presets, 32), "Live. Nothing is hidden: the whole picture shows.");
  assert.equal(cam.liveWords(["Car"], 0, presets, 32), "Live. Hidden (no cars): Car.");
  assert.equal(cam.liveWords(["TrafficLight"], .5, presets, 32),
    "Live. Hidden: Traffic light, and what the model is unsure of.");
  assert.equal(cam.liveWords(["Car"], 0, presets, 32, ["hide 0,0 1,1"]),
    "Live. Hidden (no cars): Car, and what a zone covers.");
  assert.equal(cam.liveWords([], 0, presets, 32, ["hide 0,0 1,1", "show 0,0 1,1"]),
    "Live. Hidden: nothing by name, and what 2 zones cover.");
});

test("alpha comes from white and from nothing else", () => {
  const rgba = new Uint8ClampedArray([255, 255, 255, 255, 254, 254, 254, 255, 255, 255, 255, 254, 255, 0, 255, 255, 0,
    0, 0, 0]);
  cam.greyToAlpha(rgba, 5, 1, 0);
  assert.deepEqual([...rgba.filter((_, i) => i % 4 === 3)], [255, 0, 0, 0, 0]);
});

test("eroding takes a pixel off every edge but the frame's own", () => {
  const grid = ["11111", "11111", "11011", "11111", "11111"].join("");
  assert.equal(cam.erode(Uint8Array.from(grid), 5, 5).join(""), ["11111", "10001", "10001", "10001", "11111"].join(""));
});

test("whole multiples need no erosion, other sizes do", () => {
  assert.deepEqual([[320, 640], [320, 320], [320, 1280]].map(([m, n]) => cam.erosions(m, n)), [0, 0, 0]);
  assert.deepEqual([[256, 240], [224, 240], [640, 320], [96, 30]].map(([m, n]) => cam.erosions(m, n)), [1, 1, 1, 2]);
});

test("the camera is never asked for sound", () => {
  for (const wanted of ["default", "user", "environment", "a1b2"]) assert.equal(cam.constraintsFor(wanted).audio,
    false);
  assert.deepEqual(cam.constraintsFor("user", { width: 640 }).video, { width: 640, facingMode: "user" });
  assert.deepEqual(cam.constraintsFor("a1b2").video, { deviceId: { exact: "a1b2" } });
});

test("what goes wrong with a camera is said with the way out", () => {
  const say = name => cam.sourceWords({ name, message: "m" }, { hostname: "far.example.org", port: "8888" });
  assert.match(say("Insecure"), /ssh -L 8888:127\.0\.0\.1:8888 far\.example\.org/);
  for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError",
    "OverconstrainedError"]) assert.match(say(name), /Start/);
  assert.match(say("Clip"), /webm and mp4/);
  assert.match(say("AbortError"), /could not be opened: m/);
});
