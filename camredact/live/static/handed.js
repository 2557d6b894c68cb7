// The network in a notebook's page: its files come over the comm, and frames go to a worker that is made of them.
import { WORDS } from "./words.js";

const UNHEARD = 10000;  // ms without a piece, after which it is asked for once more
const KINDS = { js: "text/javascript", json: "application/json", wasm: "application/wasm" };
const hex = bytes => Array.from(new Uint8Array(bytes), b => b.toString(16).padStart(2, "0")).join("");

/** The files that the kernel hands over, by name, each with the bytes and the SHA-256 that the list says. `hears(f)`
    takes what is to hear the kernel's messages; `told(share)` hears how much is here. Never resolves once `ended`. */
export async function handOver(comm, { platform, hears, told = () => {}, ended = () => false }) {
  const ask = message => new Promise(yes => {
    let timer;
    const again = () => {
      if (ended()) return;
      comm.send(message, []);
      timer = platform.setTimeout(again, UNHEARD);
    };
    hears((answer, buffers) => {
      if (answer.kind !== message.kind || answer.name !== message.name || answer.at !== message.at) return;
      platform.clearTimeout(timer);
      yes([answer, buffers]);
    });
    again();
  });
  const [{ files }] = await ask({ kind: "files" }), all = Object.values(files).reduce((n, [size]) => n + size, 0);
  const found = {};
  let here = 0;
  for (const [name, [size, sha256]] of Object.entries(files)) {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const [, [piece]] = await ask({ kind: "piece", name, at });
      const part = new Uint8Array(piece.buffer ?? piece, piece.byteOffset ?? 0, piece.byteLength);
      if (!part.length || at + part.length > size) throw new Error(WORDS.damaged);
      bytes.set(part, at);
      at += part.length;
      told((here += part.length) / all);
    }
    if (hex(await crypto.subtle.digest("SHA-256", bytes)) !== sha256) throw new Error(WORDS.damaged);
    found[name] = bytes;
  }
  return found;
}

/** What is needed of `files` to start workers: addresses of blobs. */
function blobs(files) {
  const blob = (parts, name) => URL.createObjectURL(new Blob(parts, { type: KINDS[name.split(".").at(-1)] }));
  const urls = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, blob([bytes], name)]));
  const where = `const URLS = ${JSON.stringify(urls)}, at = name => URLS[name];\n`;
  return { local: urls["local.js"], worker: blob([where, files["worker.js"]], "worker.js") };
}

/** A transport to a worker of this page. Frames never leave it; of the kernel come the files and, by the widget's
    traits, the choice. Whatever goes wrong on the way is thrown by `ready`, and so covers. */
export function handedTransport(comm, { platform, lost = () => {}, load = address => import(address) }) {
  let callback = () => {}, hear = () => {}, inner = null, share = null, broken = null, closed = false;
  comm.onMessage((...message) => hear(...message));
  const begin = async () => {
    share = 0;
    try {
      const files = await handOver(comm, { platform, hears: f => { hear = f; }, told: s => { share = s; },
        ended: () => closed });
      const { local, worker } = blobs(files), { localTransport, localPlatform } = await load(local);
      if (closed) return;
      const { encode, decode, encodesFaithfully } = localPlatform(platform);
      Object.assign(platform, { encode, decode, encodesFaithfully });
      inner = localTransport({ make: () => new Worker(worker, { type: "module" }), platform, lost });
      inner.onMessage((...answer) => callback(...answer));
    } catch (error) { broken = error; }
  };
  return {
    way: "page",
    ready() {
      const open = comm.ready();  // what the kernel says, Stop among it, comes by the comm
      if (broken) throw broken;
      if (share === null) begin();
      if (!inner) throw new Error(`${WORDS.coming} ${Math.round(100 * share)} % are here.`);
      return open && inner.ready();
    },
    send: (message, buffers) => inner.send(message, buffers),
    onMessage: f => { callback = f; },
    drop() {
      if (broken) share = broken = null;  // Start tries again
      inner?.drop();
    },
    close() { closed = true; inner?.close(); comm.close(); },
  };
}
