/* The page in which everything happens on the device: the camera, the network in a worker, stills, and storage for
   offline use. Nothing is stored but the page itself.

   1 Stills   2 Offline   3 The page */
import { beginning, fold, pageStreams } from "../../live/static/alone.js";
import { browserPlatform } from "../../live/static/browser.js";
import { Control } from "../../live/static/control.js";
import { Loop } from "../../live/static/loop.js";
import { view } from "../../live/static/panel.js";
import { CHOICE } from "../../live/static/rules.js";
import { brush, drawn, fileOf } from "./brush.js";
import { localPlatform, localTransport } from "./local.js";

// -------------------------------------------------------------------------------------------------------- 1 Stills

const CALM = 250;  // ms without another click before stills are looked at again

/** Pictures, redacted one after the other by a worker of their own, with the current choice. A click that changes the
    choice removes all results of the one before. */
export class Stills {
  constructor({ state, section, make }) {
    Object.assign(this, { state, section, make, files: [], strokes: new WeakMap() });
    for (const name of CHOICE) state.on(`change:${name}`, () => this.begin(this.files));
    section.querySelector("select").onchange = () => this.begin(this.files);
    section.querySelector("input").onchange = ({ target }) => this.begin([...target.files]);
    section.ondragover = e => e.preventDefault();
    section.ondrop = e => { e.preventDefault(); this.begin([...e.dataTransfer.files]); };
  }

  say(words) { this.section.querySelector("[role=status]").textContent = words; }

  /** Forgets all results, and redacts these files. */
  begin(files) {
    this.files = files;
    this.worker?.terminate();
    clearTimeout(this.timer);
    for (const a of this.section.querySelectorAll("li a")) URL.revokeObjectURL(a.href);
    this.section.querySelector("ul").replaceChildren();
    this.say(files.length ? "Nothing is shown until the network has answered." : "");
    if (files.length) this.timer = setTimeout(() => this.run([...files]), CALM);
  }

  run(left) {
    const type = this.section.querySelector("select").value, worker = this.worker = this.make();
    const next = () => {
      if (!left.length) { worker.terminate(); return this.say("Done. Look at each picture before you publish it."); }
      const choice = Object.fromEntries(CHOICE.map(name => [name, this.state.get(name)]));
      worker.postMessage([{ kind: "still", file: left[0], type, ...choice }, []]);
    };
    const failed = why => {
      if (worker !== this.worker) return;
      this.add(left.shift(), null, why);
      worker.terminate();  // one that erred may have no memory left
      if (left.length) this.run(left);
      else this.say("");
    };
    worker.onmessage = ({ data: [{ kind, error, file, done, all }] }) => {
      if (worker !== this.worker) return;  // it answers to an earlier choice
      if (kind === "ready") return next();
      if (kind === "look") return this.say(`${left[0].name}: look ${done + 1} of ${all}`);
      if (kind !== "still") return failed(error);
      this.add(left.shift(), file);
      next();
    };
    worker.onerror = worker.onmessageerror = () => failed("the worker broke down: load this page again");
  }

  /** A result, or why there is none. What was brushed over a picture stays covered after every new choice. */
  async add(given, file, why = "") {
    const item = document.createElement("li"), words = document.createElement("p");
    item.append(words);
    this.section.querySelector("ul").append(item);
    const fail = why => { item.replaceChildren(words); words.textContent = `${given.name} is not shown: ${why}.`; };
    if (!file) return fail(why);
    const number = this.section.querySelectorAll("li").length, strokes = this.strokesOf(given);
    try {
      const canvas = strokes.length && await drawn(file, strokes);
      const last = canvas ? await fileOf(canvas, file.type) : file;
      if (item.isConnected) result(item, words, { name: given.name, number, file: last, strokes });
    } catch (error) { fail(error.message || error); }
  }

  /** The strokes over a picture, to which the brush adds. */
  strokesOf(given) {
    if (!this.strokes.has(given)) this.strokes.set(given, []);
    return this.strokes.get(given);
  }
}

const ENDINGS = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" };

/** Shows a result, with a link that saves it and a brush that covers more of it. */
function result(item, words, { name, number, file, strokes }) {
  const [img, a, more] = ["img", "a", "button"].map(tag => document.createElement(tag));
  const save = last => {
    URL.revokeObjectURL(img.src);
    img.src = a.href = URL.createObjectURL(last);
  };
  words.textContent = name;
  Object.assign(img, { alt: "a redacted picture" });
  Object.assign(a, { download: `redacted-${number}.${ENDINGS[file.type]}`, textContent: "Save" });
  Object.assign(more, { type: "button", textContent: "Cover more", title: "Draw on the picture to cover more of it" });
  more.onclick = async () => {
    more.replaceWith("draw on the picture to cover more");
    try { draw(await drawn(file, []), img, { a, strokes, save, type: file.type }); }
    catch (error) { words.textContent = `${name}: ${error.message || error}`; }
  };
  save(file);
  words.append(" ", a, " ", more);
  item.append(img);
}

/** Puts a canvas in a picture's place that is covered wherever a finger or the mouse goes. While a stroke is drawn
    there is nothing to save. */
function draw(canvas, img, { a, strokes, save, type }) {
  let points = null;
  const at = e => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [(e.clientX - left) / width, (e.clientY - top) / height];
  };
  const cover = e => { points.push(at(e)); brush(canvas, points.slice(-2), type === "image/png"); };
  canvas.className = "brushed";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "a redacted picture, to draw on");
  canvas.onpointerdown = e => {
    if (!e.isPrimary) return;
    canvas.setPointerCapture(e.pointerId);
    a.style.visibility = "hidden";  // it keeps its place, or the canvas would move under the finger
    strokes.push(points = []);
    cover(e);
  };
  canvas.onpointermove = e => { if (points && e.isPrimary) cover(e); };
  canvas.onpointerup = canvas.onpointercancel = async e => {
    if (!points || !e.isPrimary) return;
    points = null;
    const drawnSoFar = strokes.length, file = await fileOf(canvas, type).catch(() => null);
    if (!file || strokes.length > drawnSoFar) return;  // a later stroke is not in it
    save(file);
    a.style.visibility = "";
  };
  img.replaceWith(canvas);
}

// ------------------------------------------------------------------------------------------------------- 2 Offline

/** Has the page stored for offline use. The first time, the page then reloads from there: the service worker adds the
    headers that threads need. A new version waits until somebody asks for it, and never ends a
    recording. */
async function store(part, bytes, recording) {
  const [words, button] = ["[role=status]", "button"].map(s => part.querySelector(s));
  const workers = navigator.serviceWorker;
  const size = `${(bytes / 1e6).toFixed(1)} MB`, first = !workers?.controller;
  try {
    if (!workers) throw new Error("this browser, or this address, allows no storage");
    workers.oncontrollerchange = () => recording() || location.reload();
    const registration = await workers.register("sw.js", { updateViaCache: "none" }), { installing } = registration;
    const offer = () => { button.hidden = !registration.waiting; };
    registration.onupdatefound = () => { registration.installing.onstatechange = offer; };
    button.onclick = () => recording() || registration.waiting.postMessage("take over");
    if (first && installing && !registration.active) {
      words.textContent = `This page is being stored for offline use: ${size} …`;
      await new Promise((_, no) => {
        const failed = () => installing.state === "redundant" && no(new Error("not all of it could be stored"));
        installing.onstatechange = failed;
      });
    }
    offer();
    words.textContent = `Ready for offline: ${size} are stored in this browser.`;
  } catch (error) {
    words.textContent = `This page takes ${size}. It works only with a connection: ${error.message || error}.`;
  }
}

// ------------------------------------------------------------------------------------------------------ 3 The page

/** On a narrow screen, the controls that are seldom changed are folded away with the categories. */
function tidy(root, narrow) {
  fold(root, narrow);
  const seldom = ".camredact-menu:not(:first-child), .camredact-bar > .camredact-option";
  if (narrow) root.querySelector("details").append(...root.querySelectorAll(seldom));
}

/** The screen stays on while the camera runs. */
function keepAwake(loop) {
  let lock = null;
  const look = async () => {
    if (!loop.video === !lock) return;
    if (lock) { lock = void lock.release?.(); return; }
    lock = {};
    try { lock = await navigator.wakeLock.request("screen"); lock.onrelease = () => { lock = null; }; }
    catch { lock = {}; }  // some browsers cannot
  };
  loop.listeners.add(what => what === "state" && look());
}

async function main() {
  const camera = document.getElementById("camera"), section = document.getElementById("stills");
  const table = await (await fetch("table.json")).json();
  let control = null;
  await store(document.getElementById("offline"), table.bytes, () => !!control?.recorder);
  const state = beginning(table, matchMedia("(pointer: coarse)").matches), platform = localPlatform(browserPlatform());
  const make = () => new Worker("worker.js", { type: "module" });
  const transport = localTransport({ make, platform, lost: error => { if (loop.video) loop.fail(error); } });
  const loop = new Loop({ transport, platform, budgetOf: name => table.budgets[name] });
  control = new Control({ model: state, loop, streams: pageStreams(navigator.mediaDevices), platform });
  view(control, camera);
  tidy(camera, matchMedia("(max-width: 900px)").matches);
  keepAwake(loop);
  new Stills({ state, section, make });
  section.hidden = false;
}

main().catch(error => {
  document.getElementById("camera").textContent = `This page cannot be used: ${error.message || error}`;
});
