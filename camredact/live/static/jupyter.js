// Jupyter: frames over a comm, ipywebrtc's streams, and the widget as anywidget wants it.
import { PATIENCE, browserPlatform, constraintsFor, named } from "./browser.js";
import { Control } from "./control.js";
import { handedTransport } from "./handed.js";
import { Loop } from "./loop.js";
import { BUDGET } from "./rules.js";
import { WORDS } from "./words.js";
import { view } from "./panel.js";
import { waysTransport } from "./ways.js";

/** The front-end model behind a trait that refers to a widget, such as "IPY_MODEL_1234"; null where there is none. */
async function modelOf(model, trait) {
  const ref = model.get(trait);
  return typeof ref === "string" ? model.widget_manager.get_model(ref.slice("IPY_MODEL_".length)) : null;
}

/** Frames and mattes over a comm of their own: the widget `frames` writes on it only to answer. While JupyterLab is not
    connected it would keep whatever it is given, without end, and send it all afterwards: so it is given nothing. */
export function commTransport(frames) {
  let callback = () => {};
  const listen = (message, buffers) => callback(message, buffers);
  frames.on("msg:custom", listen);
  return {
    ready() {
      const status = frames.widget_manager?.kernel?.connectionStatus ?? "connected";  // not everybody tells
      if (status !== "connected") throw new Error(WORDS.away);
      return true;
    },
    send: (message, buffers) => frames.send(message, undefined, buffers),
    ask: () => frames.send({ kind: "way" }),
    onMessage: f => { callback = f; },
    drop() {},  // nothing waits here
    close: () => frames.off("msg:custom", listen),
  };
}

const MISSING = "JupyterLab has not loaded ipywebrtc. Reload this page; where that does not help, as in WebKit, "
  + "use camredact serve.";

/** ipywebrtc's streams. They keep their MediaStream for good, so it has to be taken from them to be asked for again. */
export function jupyterStreams(model, { mediaDevices } = navigator) {
  let current = null, video;
  return {
    async capture(wanted) {
      const stream = await modelOf(model, wanted === "clip" ? "clip" : "stream");
      if (!stream.captureStream) throw new Error(MISSING);
      current = stream;
      if (wanted === "clip") return captureClip(stream);
      if (!mediaDevices) throw named("Insecure");
      video ??= stream.get("constraints").video ?? true;
      stream.set("constraints", constraintsFor(wanted, video));
      return stream.captureStream();
    },
    release() {
      if (!current) return;
      current.cameraStream = null;
      current.media?.pause();
    },
  };
}

/** A clip plays muted and for ever. ipywebrtc waits in silence for one that cannot be played. */
async function captureClip(stream) {
  const broken = new Promise((_, no) => {
    const look = setInterval(() => stream.media?.error && no(named("Clip")), 200);
    setTimeout(() => { clearInterval(look); no(named("Clip")); }, PATIENCE);
  });
  const captured = await Promise.race([stream.captureStream(), broken]);
  if (stream.media) {
    Object.assign(stream.media, { muted: true, loop: true });
    await stream.media.play();
  }
  return captured;
}

/** The path of Jupyter's own pages. */
function jupyterBase() {
  try { return JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl ?? "/"; }
  catch { return "/"; }
}

const controls = new Map();  // by the reference of its frames widget, which no other camera has

async function initialize({ model, signal }) {
  const platform = browserPlatform(), key = model.get("frames");
  const frames = await modelOf(model, "frames").catch(() => null);
  const nowhere = { ready: () => false, send() {}, onMessage() {}, drop() {}, close() {} };
  const lost = error => { if (loop.video) loop.fail(error); }, place = platform.place(), base = jupyterBase();
  const by = model.get("engine") === "browser" ? comm => handedTransport(comm, { platform, lost })
    : comm => waysTransport(comm, { place, base, lost });
  const transport = frames ? by(commTransport(frames)) : nowhere;
  const loop = new Loop({ transport, platform, budgetOf: name => model.get("budgets")[name] ?? BUDGET });
  const look = () => frames?.comm_live || loop.close();
  frames?.on("comm_live_update destroy", look);
  look();
  const control = new Control({ model, loop, streams: jupyterStreams(model), platform });
  controls.set(key, control);
  signal?.addEventListener("abort", () => {
    frames?.off("comm_live_update destroy", look);
    control.close();
    if (controls.get(key) === control) controls.delete(key);
  });
}

function render({ model, el }) { return view(controls.get(model.get("frames")), el); }

export default { initialize, render };
