/* camredact: the page around camera.js where there is no Jupyter. A socket stands in for the comms, a plain object for the
   widget's traits. Nothing is stored: what was chosen is gone with the page.

   1 Messages   2 The socket   3 The state   4 The camera   5 A photo   6 The page */

import { BUDGET, Control, Loop, WORDS, browserPlatform, constraintsFor, label, view } from "./camera.js";

Object.assign(WORDS, {
  silent: "No answer from the service. Start tries again.",
  closed: "The service is gone: load this page again.",
  connecting: "connecting to the service.",
  lost: "the connection to the service was lost.",
});

// ------------------------------------------------------------------------------------------------------ 1 Messages

/** A message's dictionary and its picture as bytes: a length, JSON, the rest. As in service.py. */
export function pack(message, buffers) {
  const head = new TextEncoder().encode(JSON.stringify(message)), body = new Uint8Array(buffers[0] ?? []);
  const out = new Uint8Array(4 + head.length + body.length);
  new DataView(out.buffer).setUint32(0, head.length);
  out.set(head, 4);
  out.set(body, 4 + head.length);
  return out.buffer;
}

/** The dictionary and the buffers of a message; throws at what is none. */
export function unpack(data) {
  const n = new DataView(data).getUint32(0);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, n)));
  return [message, data.byteLength > 4 + n ? [data.slice(4 + n)] : []];
}

// ---------------------------------------------------------------------------------------------------- 2 The socket

const AGAIN = 500, AGAIN_MOST = 8000, OPEN = 1;  // ms before another attempt, doubled each time; a socket's readyState

/** A transport for the loop. Whatever breaks calls `lost`, which covers; the next frame tries to connect again. */
export function socketTransport(url, { protocols = ["camredact"], Socket = globalThis.WebSocket, now = () => performance.now(), lost = () => {} } = {}) {
  let socket = null, callback = () => {}, attempts = 0, next = 0, closed = false;
  const connect = () => {
    const mine = socket = new Socket(url, protocols);
    mine.binaryType = "arraybuffer";
    mine.onopen = () => { attempts = 0; };
    mine.onmessage = event => {
      if (mine !== socket) return;
      try { callback(...unpack(event.data)); } catch (error) { lost(error); }
    };
    mine.onclose = () => {
      if (mine !== socket) return;
      socket = null;
      next = now() + Math.min(AGAIN_MOST, AGAIN * 2 ** attempts++);
      if (!closed) lost(new Error(WORDS.lost));
    };
  };
  connect();
  return {
    send(message, buffers) {
      if (!socket && !closed && now() >= next) connect();
      if (socket?.readyState !== OPEN) throw new Error(WORDS.connecting);
      socket.send(pack(message, buffers));
    },
    onMessage: f => { callback = f; },
    close() { closed = true; socket?.close(); },
  };
}

// ----------------------------------------------------------------------------------------------------- 3 The state

/** What the widget's traits are in a notebook: get, set, on, off. */
export class State {
  constructor(values) { Object.assign(this, { values, listeners: {} }); }
  get(name) { return this.values[name]; }
  on(event, f) { (this.listeners[event] ??= []).push(f); }
  off(event, f) { this.listeners[event] = (this.listeners[event] ?? []).filter(g => g !== f); }
  save_changes() {}  // there is nobody else to tell
  set(name, value) {
    if (JSON.stringify(value) === JSON.stringify(this.values[name])) return;
    this.values[name] = value;
    for (const f of this.listeners[`change:${name}`] ?? []) f();
  }
}

/** The first choice: the preset that errs widest, the back camera where there is one, and no raw picture. */
export function beginning(tables, handheld) {
  const preset = Object.keys(tables.presets)[0];
  return new State({ ...tables, preset, ...tables.presets[preset], camera: handheld ? "environment" : "default",
    running: false, show_raw: false, clip: null, state: "idle", words: "", stats: {} });
}

// ---------------------------------------------------------------------------------------------------- 4 The camera

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
const CAMERA = {
  Insecure: "browsers give a camera only to pages on https, localhost or 127.0.0.1. Open this page by https, or through a tunnel: ssh -L.",
  NotFoundError: "none was found. Plug one in, or redact a photo below.",
};

/** The browser's cameras, without sound. */
export function pageStreams(devices) {
  return {
    async capture(wanted) {
      if (!devices) throw new Error(CAMERA.Insecure);
      try { return await devices.getUserMedia(constraintsFor(wanted, SIZE)); }
      catch (error) { throw CAMERA[error.name] ? new Error(CAMERA[error.name]) : error; }
    },
    release() {},
  };
}

// ------------------------------------------------------------------------------------------------------- 5 A photo

/** The choice as the service's parameters. */
export function queryOf(state) {
  return new URLSearchParams({ categories: state.get("hidden").join() || "none", bar: state.get("bar"), dial: state.get("dial"), model: state.get("model") });
}

/** What the service says that it has hidden, for people. */
export function hiddenWords(said) {
  return said === "nothing" ? "Nothing is hidden: the whole picture shows." : `Hidden: ${said.split(",").map(label).join("; ")}.`;
}

/** One photo at a time, redacted by the service. `show(png, words)` gets null for the picture wherever there is none for
    the choice of now: while it is worked on, after a click, after an error. */
export class Photo {
  constructor({ state, headers = {}, show, ask = (...all) => fetch(...all) }) {
    Object.assign(this, { state, headers, show, ask, file: null, turn: 0 });
    for (const name of ["hidden", "bar", "dial", "model"]) state.on(`change:${name}`, () => this.file && this.redact(this.file));
  }

  async redact(file) {
    const turn = ++this.turn, body = new FormData();
    this.file = file;
    this.stop?.abort();
    this.stop = new AbortController();
    this.show(null, "Covered until the service has answered.");
    try {
      body.append("image", file, "image");
      const response = await this.ask(`redact?${queryOf(this.state)}`, { method: "POST", body, headers: this.headers, signal: this.stop.signal });
      if (!response.ok) throw new Error((await response.json()).error);
      const png = await response.blob(), words = hiddenWords(response.headers.get("camredact-hidden"));
      if (turn === this.turn) this.show(png, words);
    } catch (error) {
      if (turn === this.turn) this.show(null, `Nothing is shown: ${error.message || error}`);
    }
  }
}

/** Shows a PNG with holes over the checkerboard, and lets go of the one before. */
export function photoView(section) {
  const [picture, words, save] = ["img", "[role=status]", "a"].map(s => section.querySelector(s));
  let url = "";
  return (png, said) => {
    URL.revokeObjectURL(url);
    url = png ? URL.createObjectURL(png) : "";
    for (const [element, name] of [[picture, "src"], [save, "href"]]) {
      element.hidden = !png;
      if (png) element.setAttribute(name, url);
      else element.removeAttribute(name);
    }
    words.textContent = said;
  };
}

// -------------------------------------------------------------------------------------------------------- 6 The page

/** Everything to choose from, as the service says; throws with its words. */
async function ask(headers) {
  const response = await fetch("categories", { headers });
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  return said;
}

/** Puts the 32 boxes behind one line, which a narrow screen begins with closed. */
function fold(root, narrow) {
  const kinds = root.querySelector(".camredact-kinds"), details = document.createElement("details"), summary = document.createElement("summary");
  summary.textContent = "All 32 categories";
  details.open = !narrow;
  kinds.replaceWith(details);
  details.append(summary, kinds);
}

async function main() {
  const camera = document.getElementById("camera"), section = document.getElementById("photo");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {}, url = new URL("live", location.href);
  Object.assign(url, { protocol: url.protocol.replace("http", "ws"), hash: "" });
  const state = beginning(await ask(headers), matchMedia("(pointer: coarse)").matches);
  const platform = { ...browserPlatform(), recall: () => null, remember() {} };
  const lost = error => { if (loop.video) loop.fail(error); };
  const transport = socketTransport(url.href, { protocols: ["camredact", ...(token ? [`token.${token}`] : [])], lost });
  const loop = new Loop({ transport, platform, budgetOf: name => state.get("budgets")[name] ?? BUDGET });
  view(new Control({ model: state, loop, streams: pageStreams(navigator.mediaDevices), platform }), camera);
  fold(camera, matchMedia("(max-width: 700px)").matches);
  camera.querySelector(".camredact-option").title = "The picture as the camera gives it.";
  const photo = new Photo({ state, headers, show: photoView(section) });
  section.querySelector("input").addEventListener("change", event => { if (event.target.files[0]) photo.redact(event.target.files[0]); });
  section.hidden = false;
  for (const host of document.querySelectorAll(".host")) host.textContent = location.host;
}

if (globalThis.document?.getElementById("camera"))
  main().catch(error => { document.getElementById("camera").textContent = `The service cannot be used: ${error.message}`; });
