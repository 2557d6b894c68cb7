// What the loop goes by: its limits, the size of what it sends, and what must agree before a matte is believed.

export const PROTOCOL = 4;        // the version of what page and kernel say to each other; session.py has it as well
export const CHOICE = ["hidden", "bar", "dial", "model", "zones"];  // said with every frame and in every answer
export const MAX_AGE = 2000;      // ms: no picture is ever shown for longer, and no answer awaited for longer
export const MIN_MAX_AGE = 300;   // ms: a fast kernel may still stumble a little
export const SILENCE = 10000;     // ms without any answer, and the camera is let go
export const PAUSE = 500;         // ms without a question after a refused answer
export const BUDGET = 320 * 256;  // pixels sent for a model that does not say

/** The frame's height and width for the model: multiples of 32 near `budget` pixels, the shape kept. */
export function modelSize(h, w, budget) {
  if (!(Math.min(h, w, budget) >= 1)) throw new RangeError(`a picture of ${h} x ${w} for ${budget} pixels has no size`);
  const misfit = (a, b) => a > b ? a / b : b / a;
  const shape = Math.min(Math.max(w / h, 1 / 4), 4);
  const tall = Math.floor(Math.sqrt(budget / shape) / 32), wide = Math.floor(Math.sqrt(budget * shape) / 32);
  let least = Infinity, best;
  for (const n of [tall, tall + 1]) for (const m of [wide, wide + 1]) {
    const cost = n && m ? misfit(m / n, shape) ** 2 * misfit(n * m * 1024, budget) : Infinity;
    if (cost < least) [least, best] = [cost, [32 * n, 32 * m]];
  }
  return best;
}

/** Whether two choices (or a choice and an answer's echo of one) are the same in everything that shapes a matte. */
export function sameChoice(a, b) {
  return !!a && !!b && a.bar === b.bar && a.dial === b.dial && a.model === b.model &&
    sameList(a.hidden, b.hidden) && sameList(a.zones, b.zones);
}

function sameList(a, b) {
  return Array.isArray(a) && a.length === b?.length && a.every((text, i) => text === b[i]);
}

/** Why this answer must not be shown for this frame under this choice; "" where it may. */
export function refusal(answer, buffers, frame, choice) {
  if (!sameChoice(answer, choice)) return "a matte came for another choice";
  if (buffers.length !== (frame.fed ? 2 : 1)) return "an answer came without a matte";
  if (frame.fed) return "";  // its size is known once its picture is
  if (answer.width !== frame.width || answer.height !== frame.height) return "a matte came in the wrong size";
  return "";
}
