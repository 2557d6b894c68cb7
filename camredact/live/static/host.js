/* camredact: the page around the camera where there is no Jupyter. A socket stands in for the comms, a plain object for
   the widget's traits. Nothing is stored: what was chosen is gone with the page.

   1 A photo   2 The page */

import { beginning, fold, pageStreams } from "./alone.js";
import { browserPlatform } from "./browser.js";
import { Control, label } from "./control.js";
import { Loop } from "./loop.js";
import { BUDGET, CHOICE } from "./rules.js";
import { socketTransport } from "./socket.js";
import { WORDS } from "./words.js";
import { view } from "./panel.js";

Object.assign(WORDS, {
  silent: "No answer from the service for 10 seconds. The camera is off. Press Start to try again.",
  closed: "The service is gone: load this page again.",
  connecting: "connecting to the service.",
  lost: "the connection to the service was lost.",
  full: "no seat is free: all live cameras of this service are in use. Try again later.",
  unwelcome: "the service does not let this page in. Load it again, from the address that the service printed; "
    + "or close other cameras of yours.",
});

// ------------------------------------------------------------------------------------------------------- 1 A photo

/** The choice as the service's parameters. */
export function queryOf(state) {
  const [bar, dial, model] = ["bar", "dial", "model"].map(name => state.get(name));
  const zones = state.get("zones").map(zone => ["zone", zone]);
  return new URLSearchParams([["categories", state.get("hidden").join() || "none"], ["bar", bar], ["dial", dial],
    ["model", model], ...zones]);
}

/** What the service says that it has hidden, for people. */
export function hiddenWords(said) {
  if (said === "nothing") return "Nothing is hidden: the whole picture shows.";
  const words = part => part.startsWith("unsure<") ? `what the model is less sure of than ${part.slice(7)}`
    : part === "zones" ? "what zones cover" : label(part);
  return `Hidden: ${said.split(",").map(words).join("; ")}.`;
}

/** The words of a refusal; of the status alone where they are somebody else's, as a proxy's. */
async function refusal(response) {
  const said = await response.json().catch(() => null);
  return new Error(said?.error ?? `the service cannot be reached (status ${response.status}): try again later.`);
}

const MOST = { pixels: 16e6, bytes: 12e6 };  // that the service takes

/** A photo that is too large for the service, smaller; any other, and one that cannot be read here, as it is. */
export async function shrunk(file, most = MOST) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);  // upright: what is drawn has no note how to turn it
    const scale = Math.min(1, Math.sqrt(most.pixels / (bitmap.width * bitmap.height)));
    if (scale === 1 && file.size <= most.bytes) return file;
    const canvas = document.createElement("canvas"), c = canvas.getContext("2d");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map(n => Math.max(1, Math.floor(scale * n)));
    c.fillStyle = "#ffffff";  // under what is transparent, as the service has it
    c.fillRect(0, 0, canvas.width, canvas.height);
    c.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await new Promise(yes => canvas.toBlob(yes, "image/jpeg", .92)) ?? file;
  } catch { return file; } finally { bitmap?.close(); }
}

const CALM = 250;  // ms without another click before a photo goes out again
const TRIES = 4;   // how often a photo goes out while the service is busy
const later = ms => new Promise(yes => setTimeout(yes, ms));

/** One photo at a time, redacted by the service. `show(png, words)` gets null for the picture wherever there is none
    for the choice of now: while it is worked on, after a click, after an error. */
export class Photo {
  constructor({ state, headers = {}, show, ask = (...all) => fetch(...all), shrink = shrunk, wait = later }) {
    Object.assign(this, { state, headers, show, ask, shrink, wait, file: null, turn: 0 });
    for (const name of CHOICE)
      state.on(`change:${name}`, () => this.file && this.redact(this.file, CALM));
  }

  async redact(file, calm = 0) {
    const turn = ++this.turn;
    if (file !== this.file) [this.file, this.small] = [file, this.shrink(file)];
    this.stop?.abort();
    this.stop = new AbortController();
    this.show(null, "Covered until the service has answered.");
    try {
      await this.wait(calm);
      const response = await this.post(await this.small, turn);
      if (turn !== this.turn) return;
      if (!response.ok) throw await refusal(response);
      const png = await response.blob(), words = hiddenWords(response.headers.get("camredact-hidden"));
      if (turn === this.turn) this.show(png, words);
    } catch (error) {
      if (turn === this.turn) this.show(null, `Nothing is shown: ${error.message || error}`);
    }
  }

  /** The service's answer, once it has time; undefined where nobody waits for it any more. */
  async post(file, turn) {
    for (let tries = 1; turn === this.turn; tries++) {
      const body = new FormData();
      body.append("image", file, "image");
      const { headers, stop: { signal } } = this;
      const response = await this.ask(`redact?${queryOf(this.state)}`, { method: "POST", body, headers, signal });
      if (![429, 503].includes(response.status) || tries === TRIES) return response;
      await this.wait(1000 * (Number(response.headers.get("retry-after")) || 1));
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

// -------------------------------------------------------------------------------------------------------- 2 The page

/** What the service says; throws with its words where it refuses. */
async function ask(path, headers) {
  const response = await fetch(path, { headers });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Why a socket was not opened, as far as the service says it to everybody. */
export async function whyNot(ask = fetch) {
  const response = await ask("ready");
  if (!response.ok) return (await refusal(response)).message;
  const said = await response.json();
  return said.live >= said.seats ? WORDS.full : WORDS.unwelcome;
}

/** A camera at the service that this page is from, with the token that its address holds. `begin(get)` gives its state,
    and `said` what to say of a camera that is not there. */
export async function connect(begin, said) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {}, url = new URL("live", location.href);
  Object.assign(url, { protocol: url.protocol.replace("http", "ws"), hash: "" });
  const state = await begin(path => ask(path, headers));
  const platform = { ...browserPlatform(), recall: () => null, remember() {} };
  const lost = error => { if (loop.video) loop.fail(error); };
  const protocols = ["camredact", ...(token ? [`token.${token}`] : [])];
  const transport = socketTransport(url.href, { protocols, lost, why: whyNot });
  const loop = new Loop({ transport, platform, budgetOf: name => state.get("budgets")[name] ?? BUDGET });
  const streams = pageStreams(navigator.mediaDevices, said);
  const control = new Control({ model: state, loop, streams, platform });
  return { state, control, headers, platform };
}

async function main() {
  const camera = document.getElementById("camera"), section = document.getElementById("photo");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const { state, control, headers, platform } = await connect(
    async get => beginning(await get("categories"), coarse));
  view(control, camera);
  fold(camera, matchMedia("(max-width: 700px)").matches);
  camera.querySelector(".camredact-option").title = "The picture as the camera gives it.";
  // some browsers alter what was drawn
  const shrink = async file => await platform.encodesFaithfully().catch(() => false) ? shrunk(file) : file;
  const photo = new Photo({ state, headers, show: photoView(section), shrink });
  section.querySelector("input").addEventListener("change", ({ target: { files: [file] } }) => {
    if (file) photo.redact(file);
  });
  section.hidden = false;
  const alone = document.getElementById("alone");
  const link = () => { alone.href = `view?${queryOf(state)}${location.hash}`; };
  for (const name of CHOICE) state.on(`change:${name}`, link);
  link();
  alone.parentNode.hidden = false;
  for (const host of document.querySelectorAll(".host")) host.textContent = location.host;
}

if (globalThis.document?.getElementById("camera")) {
  addEventListener("hashchange", () => location.reload());  // another token was pasted
  main().catch(error => {
    document.getElementById("camera").textContent = `The service cannot be used: ${error.message}`;
  });
}
