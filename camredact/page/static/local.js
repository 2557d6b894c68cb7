// A transport that leads to a worker of this page, and the platform that goes with it: pixels as they are, no files.
import { WORDS } from "../../live/static/words.js";

Object.assign(WORDS, {
  silent: "No matte for 10 seconds. The camera is off. Press Start to try again.",
  closed: "This camera was closed: load this page again.",
  loading: "the network is being loaded.",
  broken: "the worker could not be loaded, or broke down. It is started again; if this stays, load this page again.",
  hung: "the network did not answer, and is started again.",
});

export const HUNG = 8000;  // ms without an answer: long for a machine with much to do, and before the loop gives up
const LOADING = 60000;     // ms until the network is ready
const AGAIN = 1000;        // ms from the end of one worker to the start of the next

/** A transport for the loop. `make` starts a worker. It has one frame at a time, and one more waits here, where it can
    be called back. A worker that errs, breaks or hangs is ended, and another started; `lost` covers. */
export function localTransport({ make, platform, lost = () => {} }) {
  let worker = null, ready = false, busy = false, waiting = null, timer;
  let callback = () => {}, words = WORDS.loading;
  const after = (ms, f) => { platform.clearTimeout(timer); timer = platform.setTimeout(f, ms); };
  const start = () => {
    const mine = worker = make(), broken = () => mine === worker && again(WORDS.broken);
    const listen = ({ data }) => mine === worker && hear(data);
    Object.assign(mine, { onmessage: listen, onerror: broken, onmessageerror: broken });
    after(LOADING, () => again(WORDS.hung));
  };
  const end = () => {
    worker?.terminate();
    platform.clearTimeout(timer);
    worker = waiting = null;
    ready = busy = false;
  };
  const again = why => {
    end();
    words = why;
    after(AGAIN, start);
    lost(new Error(why));
  };
  const post = parcel => {
    try { worker.postMessage(parcel); } catch (error) { return again(error.message); }
    busy = true;
    after(HUNG, () => again(WORDS.hung));
  };
  const hear = ([message, buffers]) => {
    if (message?.error) return again(message.error);
    platform.clearTimeout(timer);
    busy = false;
    if (message?.kind === "ready") return void (ready = true);
    const next = waiting;
    waiting = null;
    if (next) post(next);
    callback(message, buffers);
  };
  start();
  return {
    ready() {
      if (!ready) throw new Error(words);
      return !waiting;
    },
    send(message, buffers) {
      if (busy) waiting = [message, buffers];
      else post([message, buffers]);
    },
    onMessage: f => { callback = f; },
    drop() { waiting = null; },
    close: end,
  };
}

/** What the loop wants of a browser, where frames and mattes are pixels. */
export function localPlatform(platform) {
  const read = canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return {
    ...platform,
    recall: () => null,
    remember() {},  // nothing is stored
    encode: async canvas => read(canvas),
    decode: matte => createImageBitmap(matte),
    async encodesFaithfully() {  // what was drawn is read, to the last bit
      const canvas = platform.canvas(32, 32), c = canvas.getContext("2d"), colour = x => [8 * x, 255 - 8 * x, 40];
      for (let x = 0; x < 32; x++) {
        c.fillStyle = `rgb(${colour(x)})`;
        c.fillRect(x, 0, 1, 32);
      }
      return read(canvas).data.every((v, i) => v === [...colour((i >> 2) % 32), 255][i % 4]);
    },
  };
}
