// Masks and canvases: what may be seen of a picture, and the picture with the rest of it covered.

export const GREYS = ["#6d6d6d", "#dbdbdb"];
export const SQUARE = 8;

/** Grey squares all over a canvas, dark at the top left, as redact.py draws them. */
export function checkerboard(canvas) {
  const c = canvas.getContext("2d");
  for (let y = 0; y < canvas.height; y += SQUARE) for (let x = 0; x < canvas.width; x += SQUARE) {
    c.fillStyle = GREYS[(x + y) / SQUARE % 2];
    c.fillRect(x, y, SQUARE, SQUARE);
  }
  return canvas;
}

/** The picture that the camera gives decides the size of both, and the first has squares all over. */
export function fit(checker, stage, width, height) {
  if (checker.width === width && checker.height === height) return;
  for (const canvas of [checker, stage]) resize(canvas, width, height);
  checkerboard(checker);
}

/** How often a mask must be eroded before it is scaled from `mask` to `native` pixels without smoothing.

    Scaling without smoothing gives a pixel the value of the one mask pixel under its centre. Where sides are whole
    multiples, that is the only mask pixel that it touches. Elsewhere it may touch neighbours: those must show too. */
export function erosions(mask, native) {
  return native % mask === 0 ? 0 : Math.max(1, Math.ceil(mask / native / 2));
}

/** Makes the first of two decoded masks white only where both are. */
export function whiteInBoth(rgba, other) {
  for (let i = 0; i < rgba.length; i++) rgba[i] &= other[i];
}

/** Visible only where the pixel and its eight neighbours are. Beyond the edge there is nothing to hide. */
export function erode(seen, w, h) {
  const rows = new Uint8Array(seen.length), out = new Uint8Array(seen.length);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++)
    rows[i] = seen[i] & (x > 0 ? seen[i - 1] : 1) & (x < w - 1 ? seen[i + 1] : 1);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++)
    out[i] = rows[i] & (y > 0 ? rows[i - w] : 1) & (y < h - 1 ? rows[i + w] : 1);
  return out;
}

/** Turns a decoded mask (RGBA bytes) into alpha, in place: opaque where it was exactly white, nothing elsewhere.
    Returns the share that is covered, 0 to 1. */
export function greyToAlpha(rgba, w, h, times) {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, w * h);
  let seen = new Uint8Array(w * h);
  for (let i = 0; i < pixels.length; i++) seen[i] = pixels[i] === 0xffffffff ? 1 : 0;
  for (let n = 0; n < times; n++) seen = erode(seen, w, h);
  let covered = 0;
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = seen[i] ? 0xffffffff : 0;
    covered += 1 - seen[i];
  }
  return covered / pixels.length;
}

/** Whether reading a canvas gives what was drawn there. Some browsers hand out white or noise instead, against
    fingerprinting, and a mask read so would be no mask. */
export function readsTrue(canvas) {
  resize(canvas, 2, 1);
  const c = canvas.getContext("2d", { willReadFrequently: true });
  for (const [x, colour] of ["#000000", "#ffffff"].entries()) {
    c.fillStyle = colour;
    c.fillRect(x, 0, 1, 1);
  }
  return [...c.getImageData(0, 0, 2, 1).data].join() === "0,0,0,255,255,255,255,255";
}

/** Decoded masks of one size onto a canvas, as alpha: opaque where all are white, as far as a picture of the native
    size may show. Returns the share that is covered. */
export function readMask(canvas, pictures, nativeWidth, nativeHeight) {
  const [{ width, height }] = pictures;
  resize(canvas, width, height);
  const c = canvas.getContext("2d", { willReadFrequently: true });
  c.globalCompositeOperation = "copy";
  let image;
  for (const picture of new Set(pictures)) {
    c.drawImage(picture, 0, 0);
    const read = c.getImageData(0, 0, width, height);
    if (image) whiteInBoth(image.data, read.data);
    else image = read;
  }
  const times = Math.max(erosions(width, nativeWidth), erosions(height, nativeHeight));
  const covered = greyToAlpha(image.data, width, height, times);
  c.putImageData(image, 0, 0);
  return covered;
}

/** A picture on a canvas of another size: the mean of an area where it gets smaller. */
export function drawAt(canvas, frame, width, height) {
  resize(canvas, width, height);
  const c = canvas.getContext("2d");
  c.imageSmoothingQuality = "medium";
  c.drawImage(frame, 0, 0, width, height);
  return canvas;
}

/** Draws on `stage`, which nobody sees: the picture where `mask` is opaque, over the checkerboard. */
export function compose(stage, picture, mask, checker) {
  const c = stage.getContext("2d"), { width, height } = stage;
  c.imageSmoothingEnabled = false;
  c.globalCompositeOperation = "copy";
  c.drawImage(mask, 0, 0, width, height);
  c.globalCompositeOperation = "source-in";
  c.drawImage(picture, 0, 0, width, height);
  c.globalCompositeOperation = "destination-over";
  c.drawImage(checker, 0, 0);
}

/** Replaces all of `canvas` by `picture` in one go, at the picture's size. */
export function blit(canvas, picture) {
  resize(canvas, picture.width, picture.height);
  const c = canvas.getContext("2d");
  c.globalCompositeOperation = "copy";
  c.drawImage(picture, 0, 0);
}

/** Gives a canvas a size; one that has it already keeps what is drawn there. */
export function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Lets go of a frame's picture and of its mask, which a browser keeps beside its own memory. */
export function free(ready) {
  ready?.frame.picture?.close();
  ready?.mask?.close();
}
