// A still in tiles, as core/still.py has it: what the network is shown, and what all looks together cover.
import { modelSize } from "../../live/static/rules.js";
import { decide } from "./steps.js";

const side = (length, n, overlap) => Math.min(length, Math.ceil(length / (n - (n - 1) * overlap)));

/** As Python rounds: halves to the even number. */
const round = x => Math.round(x) - (x % 1 === .5 && Math.round(x) % 2);

/** Stretches of one size that overlap and together cover `length`, each as [from, to]. */
function split(length, n, overlap) {
  const size = side(length, n, overlap);
  return Array.from({ length: n }, (_, i) => round(i * (length - size) / Math.max(n - 1, 1))).map(a => [a, a + size]);
}

/** Grids of tiles [top, bottom, left, right], from the whole picture to the finest. */
export function grids(h, w, budget, { overlap, longest }) {
  const whole = [[0, h, 0, w]], rows = Math.min(Math.max(1, Math.floor(h / w)), longest);
  const columns = Math.min(Math.max(1, Math.floor(w / h)), longest), found = [];
  if (h * w <= budget) return [whole];
  let n = 1;
  while (side(h, n * rows, overlap) * side(w, n * columns, overlap) > budget) n++;
  for (; n * rows * columns > 1; n = n > 1 ? Math.ceil(n / 2) : 0)
    found.unshift(split(h, n * rows, overlap).flatMap(y => split(w, n * columns, overlap).map(x => [...y, ...x])));
  return [whole, ...found];
}

/** Samples along one side: where output pixel `i` of `to` begins among `from`, and what each input pixel weighs. */
function weighs(from, to, areas) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    if (!areas) {
      const at = (i + .5) * scale - .5, first = Math.floor(at), near = k => Math.min(Math.max(k, 0), from - 1);
      return [[near(first), 1 - at + first], [near(first + 1), at - first]];
    }
    const a = i * scale, b = Math.min(a + scale, from), parts = [];
    for (let k = Math.floor(a); k < b; k++) parts.push([k, (Math.min(k + 1, b) - Math.max(k, a)) / (b - a)]);
    return parts;
  });
}

/** One or more channels at another size: `areas` are averaged, or neighbours interpolated. `read(y, x, c)` gives
    values. */
function resampled(read, h, w, tall, wide, channels, areas, out) {
  const columns = weighs(w, wide, areas), row = new Float32Array(w);
  weighs(h, tall, areas).forEach((rows, y) => {
    for (let c = 0; c < channels; c++) {
      row.fill(0);
      for (const [v, part] of rows) for (let x = 0; x < w; x++) row[x] += part * read(v, x, c);
      columns.forEach((parts, x) => {
        let sum = 0;
        for (const [u, part] of parts) sum += part * row[u];
        out[(y * wide + x) * channels + c] = sum;
      });
    }
  });
  return out;
}

/** A map of numbers at another size, interpolated. */
export function resized(map, h, w, tall, wide) {
  return h === tall && w === wide ? map
    : resampled((y, x) => map[y * w + x], h, w, tall, wide, 1, false, new Float32Array(tall * wide));
}

/** A tile of RGBA pixels as the network wants it: RGB, its size near `budget` pixels. */
export function modelTile({ data, width }, [top, bottom, left, right], budget, least) {
  const h = bottom - top, w = right - left, [tall, wide] = modelSize(h, w, Math.min(budget, Math.max(h * w, least)));
  const read = (y, x, c) => data[4 * ((top + y) * width + left + x) + c];
  const rgb = new Uint8ClampedArray(3 * tall * wide);
  return [resampled(read, h, w, tall, wide, 3, tall * wide < h * w, rgb), tall, wide];
}

/** A matte at another size: covered wherever a covered pixel is touched. */
export function resizeMatte(matte, h, w, tall, wide) {
  const turned = fitRows(matte, h, w, tall), out = new Uint8Array(tall * wide);
  for (let x = 0; x < wide; x++) for (let u = Math.floor(x * w / wide); u < Math.ceil((x + 1) * w / wide); u++)
    for (let y = 0; y < tall; y++) out[y * wide + x] |= turned[y * w + u];
  return out;
}

function fitRows(matte, h, w, tall) {
  const out = new Uint8Array(tall * w);
  for (let y = 0; y < tall; y++) for (let v = Math.floor(y * h / tall); v < Math.ceil((y + 1) * h / tall); v++)
    for (let x = 0; x < w; x++) out[y * w + x] |= matte[v * w + x];
  return out;
}

/** What all looks together hide of RGBA pixels. `score(rgb, tall, wide)` resolves to scores that are infinite where the
    confidence is too low; `look(done, all)` hears of each look. */
export async function stillMatte(pixels, score, dial, { still, least, tiles }, look = () => {}) {
  const { width: w, height: h } = pixels, all = grids(h, w, still, tiles), finest = all.pop();
  const step = h * w <= tiles.full ? 1 : 2, coarse = n => Math.ceil(n / step), across = coarse(w);
  const first = [[[0, h, 0, w], least], ...all.flat().map(tile => [tile, still])];
  const most = new Float32Array(coarse(h) * across), matte = new Uint8Array(h * w);
  const fine = n => Math.floor(n / step);
  const place = ([top, bottom, left, right]) => [fine(top), coarse(bottom), fine(left), coarse(right)];
  const many = all.length ? dial.peak : 1, enough = tiles.agreement * many;
  let done = 0;
  const ask = async (tile, budget) => {
    look(done++, first.length + finest.length);
    const [rgb, tall, wide] = modelTile(pixels, tile, budget, least);
    return [await score(rgb, tall, wide), tall, wide];
  };
  for (const [tile, budget] of first) {
    const [found, tall, wide] = await ask(tile, budget), [top, bottom, left, right] = place(tile);
    const part = resized(found, tall, wide, bottom - top, right - left);
    part.forEach((s, i) => {
      const at = (top + Math.floor(i / (right - left))) * across + left + i % (right - left);
      most[at] = Math.max(most[at], s);  // a score that is no number stays one, and is covered
    });
  }
  for (const tile of finest) {
    const [found, tall, wide] = await ask(tile, still), [top, bottom, left, right] = place(tile);
    const read = (y, x) => most[(top + y) * across + left + x], before = new Float32Array(tall * wide);
    resampled(read, bottom - top, right - left, tall, wide, 1, false, before);
    const agreed = found.map((s, i) => (s + Math.max(s, before[i])) / (2 * enough));
    const sure = new Float32Array(agreed.length).fill(1);
    const part = decide(agreed, sure, tall, wide, { ...dial, peak: dial.peak / many }, 0);
    const [y0, y1, x0, x1] = tile, fitted = resizeMatte(part, tall, wide, y1 - y0, x1 - x0);
    for (let y = y0, i = 0; y < y1; y++) for (let x = x0; x < x1; x++, i++) matte[y * w + x] |= fitted[i];
  }
  return matte;
}
