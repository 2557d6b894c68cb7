// A page without Jupyter: a plain object for the widget's traits, the browser's cameras, and what a narrow screen folds.
import { constraintsFor } from "./browser.js";

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
    zones: [], running: false, show_raw: false, look_ahead: false, clip: null, state: "idle", words: "" });
}

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
const CAMERA = {
  Insecure: "browsers give a camera only to pages on https, localhost or 127.0.0.1. Open this page by https, "
    + "or through a tunnel: ssh -L.",
  NotFoundError: "none was found. Plug one in, or redact a photo below.",
};

/** The browser's cameras, without sound; `said` are the words for an error of some name. */
export function pageStreams(devices, said = {}) {
  const words = { ...CAMERA, ...said };
  return {
    async capture(wanted) {
      if (!devices) throw new Error(words.Insecure);
      try { return await devices.getUserMedia(constraintsFor(wanted, SIZE)); }
      catch (error) { throw words[error.name] ? new Error(words[error.name]) : error; }
    },
    release() {},
  };
}

/** Puts the 32 boxes behind one line, which a narrow screen begins with closed. */
export function fold(root, narrow) {
  const kinds = root.querySelector(".camredact-kinds");
  const [details, summary] = ["details", "summary"].map(name => document.createElement(name));
  summary.textContent = "All 32 categories";
  details.open = !narrow;
  kinds.replaceWith(details);
  details.append(summary, kinds);
}
