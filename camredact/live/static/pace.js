// How fast it all goes: what answers take, how many frames may be under way, and how old one may be to be shown.
import { MAX_AGE, MIN_MAX_AGE } from "./rules.js";

const RECENT = 2000;  // ms that rates look back
const KEPT = 40;      // answers that means are of
const QUICK = 50;     // ms of work, or less, for which three frames may be under way

/** Mean, standard deviation and 95th percentile of some milliseconds; NaN where there are none. */
function summary(samples) {
  const n = samples.length, mean = samples.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(samples.reduce((a, b) => a + (b - mean) ** 2, 0) / n);
  const p95 = n ? [...samples].sort((a, b) => a - b)[Math.min(n - 1, Math.floor(.95 * n))] : NaN;
  return { mean, deviation, p95 };
}

/** How old a frame may be and still be shown, from the answer times so far: a slow machine gives a slow picture. */
export function maxAge(p95) {
  return Number.isFinite(p95) ? Math.min(MAX_AGE, Math.max(MIN_MAX_AGE, 4 * p95)) : MAX_AGE;
}

/** How many frames may be under way, from ms a whole answer takes and ms that the kernel works on it: as many as keep
    the kernel busy while others travel. A slow kernel gets one at a time, or each frame would wait for the one before;
    a quick one gets three, since it waits for the page and not the page for it. */
export function inFlight(answer, work) {
  if (!Number.isFinite(answer + work)) return 2;
  if (work > 200) return 1;
  return Math.min(3, Math.max(work < QUICK ? 3 : 2, Math.floor(answer / Math.max(work, 1))));
}

/** Milliseconds that answers took, and the times at which pictures came and were shown, from `now` on. */
export class Pace {
  constructor(now) { Object.assign(this, { since: now, answers: [], works: [], predicts: [], shown: [], raw: [] }); }

  get maxAge() { return maxAge(summary(this.answers).p95); }
  get places() { return inFlight(summary(this.answers).mean, summary(this.works).mean); }

  /** An answer that came after `wait`, and what the kernel says its steps took. */
  measure(wait, steps) {
    steps ??= {};
    this.keep(this.answers, wait);
    this.keep(this.works, Object.values(steps).reduce((a, b) => a + (Number.isFinite(b) ? b : 0), 0));
    if (Number.isFinite(steps.predict)) this.keep(this.predicts, steps.predict);
  }

  keep(samples, value) { if (samples.push(value) > KEPT) samples.shift(); }

  forget(now) { for (const name of ["raw", "shown"]) this[name] = this[name].filter(t => t > now - RECENT); }

  /** Pictures a second, and what answers take. */
  figures(now) {
    const span = Math.min(RECENT, Math.max(RECENT / 4, now - this.since));
    const [fps, raw_fps] = [this.shown, this.raw].map(times => 1000 * times.length / span);
    const { mean: answer_ms, deviation: answer_deviation_ms } = summary(this.answers);
    return { fps, raw_fps, answer_ms, answer_deviation_ms, predict_ms: summary(this.predicts).mean };
  }
}
