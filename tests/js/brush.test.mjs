// The brush over redacted stills: all that a stroke touches is covered, and nothing else changes.
import test from "node:test";
import assert from "node:assert/strict";
import { discs, stamp } from "../../camredact/page/static/brush.js";
import { checkerboard } from "../../camredact/live/static/pixels.js";
import { Canvas } from "./doubles.mjs";

const [W, H, STROKE] = [160, 120, [[.2, .3], [.25, .32], [.9, .7]]];

/** A picture after the stroke, one number a pixel, and how far each pixel's centre is from the line. */
function brushed(holes) {
  const pixels = new Uint32Array(W * H).fill(0xff2864c8), [from, to] = [STROKE[1], STROKE[2]];
  for (const disc of discs(STROKE, W, H)) stamp(pixels, W, [0, 0], disc, holes);
  const [a, b] = [from, to].map(([x, y]) => [x * W, y * H]), [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const far = i => {
    const [x, y] = [i % W + .5 - a[0], Math.floor(i / W) + .5 - a[1]];
    const t = Math.min(1, Math.max(0, (x * dx + y * dy) / (dx * dx + dy * dy)));
    return Math.hypot(x - t * dx, y - t * dy);
  };
  return { pixels, far };
}

test("a stroke covers a band without gaps, by holes that hold no colour", () => {
  const { pixels, far } = brushed(true), changed = [...pixels].filter(p => p !== 0xff2864c8);
  assert(changed.length && changed.every(p => p === 0));
  pixels.forEach((p, i) => { if (far(i) < 3) assert.equal(p, 0, `a gap at ${i % W}, ${Math.floor(i / W)}`); });
  assert(pixels.filter(Boolean).length > .7 * W * H, "it covers what it was not drawn over");
});

test("an opaque picture gets the checkerboard's own squares", () => {
  const { pixels } = brushed(false), squares = new Canvas(W, H);
  checkerboard(squares);
  const own = new Uint32Array(squares.data.buffer);
  const changed = [...pixels.keys()].filter(i => pixels[i] !== 0xff2864c8);
  assert(changed.length > 500 && changed.every(i => pixels[i] === own[i]));
});

test("a tap covers a disc, at the edge of the picture too", () => {
  for (const at of [[0, 0], [1, 1], [.5, .5]]) {
    const pixels = new Uint32Array(W * H).fill(1);
    for (const disc of discs([at], W, H)) stamp(pixels, W, [0, 0], disc, true);
    assert(pixels.some(p => p === 0));
  }
});
