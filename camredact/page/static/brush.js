// A brush over redacted stills. It works on what is redacted already, so it can cover more and never show anything.
import { GREYS, SQUARE, resize } from "../../live/static/pixels.js";
import { bare } from "./bare.js";

const SIZE = .03;  // the brush's radius, as a share of the picture's shorter side
const COLOURS = GREYS.map(grey => parseInt(`ff${grey.slice(1)}`, 16));  // as one number a pixel, which greys allow

/** Discs along a stroke, as [x, y, radius] in pixels; its points are shares of both sides. */
export function discs(points, w, h) {
  const r = Math.max(2, SIZE * Math.min(w, h)), found = [];
  points.map(([x, y]) => [x * w, y * h]).forEach(([x, y], i, all) => {
    const [u, v] = all[Math.max(0, i - 1)], steps = Math.max(1, Math.ceil(Math.hypot(x - u, y - v) / (r / 2)));
    for (let k = 1; k <= steps; k++) found.push([u + (x - u) * k / steps, v + (y - v) * k / steps, r]);
  });
  return found;
}

/** Covers every pixel that a disc touches, in a part of the picture whose first pixel is at left, top: by nothing if
    `holes`, else by the checkerboard's squares. One number a pixel. */
export function stamp(pixels, w, [left, top], [x, y, r], holes) {
  for (let i = 0; i < pixels.length; i++) {
    const u = left + i % w, v = top + Math.floor(i / w);
    const near = Math.hypot(Math.max(u - x, 0, x - u - 1), Math.max(v - y, 0, y - v - 1)) <= r;
    if (near) pixels[i] = holes ? 0 : COLOURS[(Math.floor(u / SQUARE) + Math.floor(v / SQUARE)) % 2];
  }
}

/** Covers a canvas along a stroke. */
export function brush(canvas, points, holes) {
  const c = canvas.getContext("2d", { willReadFrequently: true });
  for (const [x, y, r] of discs(points, canvas.width, canvas.height)) {
    const [left, top] = [x, y].map(n => Math.floor(n - r)), size = Math.ceil(2 * r) + 2;
    const part = c.getImageData(left, top, size, size);
    stamp(new Uint32Array(part.data.buffer), size, [left, top], [x, y, r], holes);
    c.putImageData(part, left, top);
  }
}

/** A picture's file on a canvas, with all strokes so far. */
export async function drawn(file, strokes) {
  const picture = await createImageBitmap(file), canvas = document.createElement("canvas");
  resize(canvas, picture.width, picture.height);
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(picture, 0, 0);
  picture.close();
  for (const points of strokes) brush(canvas, points, file.type === "image/png");
  return canvas;
}

/** What a canvas holds as a file of that type, or of another that the browser can write. */
export async function fileOf(canvas, type) {
  return bare(await new Promise((yes, no) => {
    canvas.toBlob(file => file ? yes(file) : no(new Error("the picture could not be saved")), type, .92);
  }));
}
