/* The worker: pixels in, mattes out. What goes wrong is an answer with an error, and ends this worker: the page starts
   another. */
import { PROTOCOL } from "../../live/static/rules.js";
import { checkerboard, readsTrue } from "../../live/static/pixels.js";
import { WORDS } from "../../live/static/words.js";
import { at } from "./at.js";
import { open } from "./network.js";
import { stillMatte } from "./still.js";
import { Hold, checkScore, decide, hideWeights, unite, zoneMatte } from "./steps.js";
import { bare } from "./bare.js";

const say = (message, buffers = []) => postMessage([message, buffers]);
let table, hold, score, turn = start();

async function start() {
  try {
    table = await (await fetch(at("table.json"))).json();
    hold = new Hold(table.gap);
    score = await open(table.file);
    say({ kind: "ready" });
  } catch (error) { say({ error: error.message || String(error) }); }
}

/** Scores that were looked at: as many as there are pixels, all of them numbers. */
async function scored(rgb, h, w, weights) {
  const maps = await score(rgb, h, w, weights);
  checkScore(...maps, h, w);
  return maps;
}

function withoutAlpha(rgba) {
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  for (let i = 0, k = 0; i < rgba.length; i += 4) for (let c = 0; c < 3; c++) rgb[k++] = rgba[i + c];
  return rgb;
}

/** A frame's answer, as the kernel would give it, with a matte that is white where the frame may be seen. */
async function frame({ kind, protocol, page, id, at, ...choice }, { data, width: w, height: h }) {
  const { hidden, bar, dial, model, zones } = choice, began = performance.now();
  const maps = await scored(withoutAlpha(data), h, w, hideWeights(hidden, dial, table)), predicted = performance.now();
  const fresh = decide(...maps, h, w, table.steps[dial], bar);
  const key = JSON.stringify([page, hidden, bar, dial, model, zones, h, w]);
  const held = hold.add(key, fresh, table.steps[dial].hold, predicted);
  const seen = new Uint32Array(h * w);
  unite(held, zoneMatte(zones, h, w)).forEach((covered, i) => { if (!covered) seen[i] = 0xffffffff; });
  const ms = { predict: predicted - began, matte: performance.now() - predicted };
  const answer = { kind: "matte", protocol: PROTOCOL, page, id, ...choice, width: w, height: h, ms };
  say(answer, [new ImageData(new Uint8ClampedArray(seen.buffer), w, h)]);
}

/** A file's pixels, upright, over white where it is transparent. */
async function pixelsOf(file, canvas) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("this browser cannot read that picture: save it as JPEG or PNG, or take a smaller one");
  });
  const { width, height } = bitmap;
  if (width * height > table.most)
    throw new Error(`${width} x ${height} pixels are more than a page should take (${table.most / 1e6} million): `
      + "make it smaller first, or use camredact photo");
  const c = Object.assign(canvas, { width, height }).getContext("2d", { willReadFrequently: true });
  c.fillStyle = "#ffffff";
  c.fillRect(0, 0, width, height);
  c.drawImage(bitmap, 0, 0);
  bitmap.close();
  return c.getImageData(0, 0, width, height);
}

/** A still, redacted: a PNG with holes, or a JPEG or WebP with squares, of pixels alone. */
async function still({ file, type, hidden, bar, dial, zones }) {
  if (!readsTrue(new OffscreenCanvas(2, 1))) throw new Error(WORDS.altered);
  const canvas = new OffscreenCanvas(1, 1), pixels = await pixelsOf(file, canvas);
  const { width: w, height: h, data } = pixels;
  const weights = hideWeights(hidden, dial, table), least = Math.fround(bar);
  const ask = async (rgb, tall, wide) => {
    const [scores, confidence] = await scored(rgb, tall, wide, weights);
    return scores.map((s, i) => confidence[i] >= least ? s : Infinity);
  };
  const look = (done, all) => say({ kind: "look", done, all });
  const matte = await stillMatte(pixels, ask, table.steps[dial], table, look);
  const rgba = new Uint32Array(data.buffer), c = canvas.getContext("2d");
  unite(matte, zoneMatte(zones, h, w)).forEach((covered, i) => { if (covered) rgba[i] = 0; });
  c.putImageData(pixels, 0, 0);
  if (type !== "image/png") {
    c.globalCompositeOperation = "destination-over";
    c.drawImage(checkerboard(new OffscreenCanvas(w, h)), 0, 0);
  }
  say({ kind: "still", file: await bare(await canvas.convertToBlob({ type, quality: .92 })) });
}

onmessage = ({ data: [message, buffers] }) => {
  turn = turn.then(() => message.kind === "still" ? still(message) : frame(message, buffers[0]))
    .catch(error => say({ kind: "error", error: error.message || String(error) }));
};
