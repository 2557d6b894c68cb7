// A transport that leads to a worker of this page, and the platform that goes with it: pixels as they are, no files.
import { MAX_AGE } from "../../live/static/rules.js";
import { WORDS } from "../../live/static/words.js";

Object.assign(WORDS, {
  silent: "No matte for 10 seconds. The camera is off. Press Start to try again.",
  closed: "This camera was closed: load this page again.",
  loading: "the network is being loaded.",
  broken: "the worker could not be loaded, or broke down. It is started again; if this stays, load this page again.",
  hung: "the network did not answer, and is started again.",
});

const HUNG = 2 * MAX_AGE, LOADING = 60000;  // ms without an answer, or until the network is ready
const AGAIN = 1000;                         // ms between two starts, at least

/** A transport for the loop. `make` starts a worker. It has one frame at a time, and one more waits here, where it can be
    called back. A worker that errs, breaks or hangs is ended, and another started; `lost` covers. */
export function localTransport({ make, now = () => performance.now(), lost = () => {} }) {
  let worker = null, ready = false, since = NaN, began = -Infinity, waiting = null, callback = () => {}, words = "";
  const start = () => {
    const mine = worker = make();
    Object.assign(mine, { onmessage: ({ data }) => mine === worker && hear(data),
      onerror: () => mine === worker && again(WORDS.broken), onmessageerror: () => mine === worker && again(WORDS.broken) });
    ready = false;
    since = began = now();
  };
  const end = () => { worker?.terminate(); worker = waiting = null; };
  const again = why => {
    end();
    words = why;
    if (now() - began >= AGAIN) start();
    lost(new Error(why));
  };
  const post = parcel => { worker.postMessage(parcel); since = now(); };
  const hear = ([message, buffers]) => {
    if (message?.error) return again(message.error);
    since = NaN;
    if (message?.kind === "ready") return void (ready = true);
    const next = waiting;
    waiting = null;
    if (next) post(next);
    callback(message, buffers);
  };
  start();
  return {
    ready() {
      if (worker && now() - since > (ready ? HUNG : LOADING)) again(WORDS.hung);
      if (!worker && now() - began >= AGAIN) start();
      if (!worker || !ready) throw new Error(words || WORDS.loading);
      words = "";
      return !waiting;
    },
    send(message, buffers) {
      if (Number.isNaN(since)) post([message, buffers]);
      else waiting = [message, buffers];
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
