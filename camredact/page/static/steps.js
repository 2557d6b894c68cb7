/* From scores to what is covered, step for step as in Python: core/redact.py, core/zones.py, live/session.py's Hold.

   A matte is one byte a pixel: 1 covers, 0 shows. */
import { zoneOutline } from "../../live/static/zones.js";

/** The weights of the score: 1/tau of what is hidden, 0 of the rest. */
export function hideWeights(hidden, dial, { codes, steps }) {
  const unknown = hidden.find(code => !codes.includes(code));
  if (unknown !== undefined) throw new Error(`unknown category '${unknown}'`);
  return Float32Array.from(codes, (code, i) => hidden.includes(code) ? 1 / steps[dial].tau[i] : 0);
}

/** Raises unless these are numbers for a picture of h x w. */
export function checkScore(score, confidence, h, w) {
  if (![score, confidence].every(map => map instanceof Float32Array && map.length === h * w))
    throw new Error("the network answered in a wrong size");
  if ([score, confidence].some(map => map.some(Number.isNaN)))
    throw new Error("the network's scores are not numbers");
}

/** The decision. What is not finite is covered. */
export function decide(score, confidence, h, w, { margin, peak }, bar) {
  const matte = Uint8Array.from(score, s => s < 1 && Number.isFinite(s) ? 0 : 1), least = Math.fround(bar);
  if (peak > 1) pieces(matte, h, w, true, piece => {
    if (piece.every(i => score[i] < peak && Number.isFinite(score[i]))) for (const i of piece) matte[i] = 0;
  });
  for (let i = 0; i < matte.length; i++) if (!(confidence[i] >= least && confidence[i] < Infinity)) matte[i] = 1;
  return dilate(matte, h, w, Math.ceil(margin * h));
}

/** Calls `found` with the pixels of each connected piece of a set, corners counting as connections or not. */
function pieces(set, h, w, corners, found) {
  const left = set.slice(), queue = new Int32Array(set.length);
  for (let start = 0, end = 0; start < left.length; start++) {
    const first = end, take = i => { if (left[i]) { left[i] = 0; queue[end++] = i; } };
    take(start);
    for (let k = first; k < end; k++) {
      const y = Math.floor(queue[k] / w), x = queue[k] - y * w;
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, h - 1); v++)
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, w - 1); u++)
          if (corners || u === x || v === y) take(v * w + u);
    }
    if (end > first) found(queue.subarray(first, end));
  }
}

/** Covers all within `px` pixels of what is covered: OpenCV's ellipse. */
export function dilate(matte, h, w, px) {
  if (!px) return matte;
  const out = new Uint8Array(matte.length);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const from = x;
    while (x < w && matte[y * w + x]) x++;
    if (x > from) for (let v = Math.max(y - px, 0); v <= Math.min(y + px, h - 1); v++) {
      const reach = Math.round(Math.sqrt(px * px - (v - y) ** 2));
      out.fill(1, v * w + Math.max(from - reach, 0), v * w + Math.min(x + reach, w));
    }
  }
  return out;
}

/** Covers in the first matte what the second covers too. */
export function unite(matte, other) {
  for (let i = 0; i < matte.length; i++) matte[i] |= other[i];
  return matte;
}

/** The last mattes of one choice; a matte older than `gap`, in ms, holds nothing. */
export class Hold {
  constructor(gap) { this.gap = gap; }

  /** The newest matte, united with the `k` before it of the same key. */
  add(key, newest, k, now) {
    if (key !== this.key || now - this.at > this.gap) this.mattes = [];
    Object.assign(this, { key, at: now, mattes: [...this.mattes, newest].slice(-k - 1) });
    return this.mattes.reduce(unite, new Uint8Array(newest.length));
  }
}

/** Of each pixel the winding number of its centre, and whether the outline crosses it. */
function trace(outline, h, w) {
  const turns = new Int8Array(h * (w + 1)), cuts = new Int8Array(h * (w + 1));
  outline.forEach((a, i) => {
    const b = outline[(i + 1) % outline.length], [[x, top], [u, bottom]] = a[1] <= b[1] ? [a, b] : [b, a];
    const at = y => Math.min(w, Math.max(0, y < top ? x : y >= bottom ? u : (u - x) / (bottom - top) * (y - top) + x));
    for (let y = Math.max(Math.floor(top), 0); y < Math.min(Math.ceil(bottom), h); y++) {
      cuts[y * (w + 1) + Math.floor(Math.min(at(y), at(y + 1)))]++;
      cuts[y * (w + 1) + Math.ceil(Math.max(at(y), at(y + 1)))]--;
      if (top <= y + .5 && y + .5 < bottom) turns[y * (w + 1) + Math.ceil(at(y + .5) - .5)] += a[1] < b[1] ? 1 : -1;
    }
  });
  return [turns, cuts];
}

/** A zone's pixels: with all that it touches and encloses if it hides, else what is wholly inside. */
function area([kind, outline], h, w) {
  const [turns, cuts] = trace(outline.map(([x, y]) => [x * w, y * h]), h, w), inside = new Uint8Array(h * w);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0, turn = 0, cut = 0; x < w; x++, i++) {
    turn += turns[y * (w + 1) + x];
    cut += cuts[y * (w + 1) + x];
    inside[i] = kind === "show" ? turn & 1 && cut <= 0 : turn !== 0 || cut > 0;
  }
  const edge = i => i < w || i >= (h - 1) * w || i % w === 0 || i % w === w - 1;
  if (kind === "hide") pieces(inside.map(v => 1 - v), h, w, false, hole => {
    if (!hole.some(edge)) for (const i of hole) inside[i] = 1;
  });
  return inside;
}

/** What zones cover of a picture. */
export function zoneMatte(zones, h, w) {
  const parts = zones.map(zoneOutline), matte = new Uint8Array(h * w).fill(parts.some(([kind]) => kind === "show"));
  for (const wanted of ["show", "hide"]) for (const part of parts) if (part[0] === wanted)
    area(part, h, w).forEach((inside, i) => { if (inside) matte[i] = wanted === "hide" ? 1 : 0; });
  return matte;
}
