// The choice and the camera, behind the panel: the widget's traits, Start and Stop, snapshots and films.
import { Source, sourceWords } from "./browser.js";
import { display } from "./display.js";
import { CHOICE } from "./rules.js";
import { WORDS } from "./words.js";
import { blit } from "./pixels.js";

const LABELS = {
  CartLuggagePram: "Cart, luggage, pram", LaneMkgsDriv: "Lane marking", LaneMkgsNonDriv: "Other marking",
  Misc_Text: "Text", MotorcycleScooter: "Motorcycle, scooter", OtherMoving: "Other moving", SignSymbol: "Sign",
  SUVPickupTruck: "SUV, pickup", Truck_Bus: "Truck, bus", VegetationMisc: "Other plant", Column_Pole: "Column, pole",
  Void: "Void (no name)",
};

/** A category's name for people: "Traffic light" for TrafficLight. */
export function label(code) {
  return LABELS[code] ?? code[0] + code.slice(1).replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
}

/** The name of the preset that `hidden` and `bar` amount to, or "custom". */
export function presetOf(hidden, bar, presets) {
  const same = p => p.bar === bar && p.hidden.length === hidden.length && p.hidden.every(c => hidden.includes(c));
  return Object.keys(presets).find(name => same(presets[name])) ?? "custom";
}

/** What the state says while the picture shows. */
export function liveWords(hidden, bar, presets, total, zones = []) {
  if (!hidden.length && !bar && !zones.length) return "Live. Nothing is hidden: the whole picture shows.";
  const preset = presetOf(hidden, bar, presets), unsure = bar > 0 ? ", and what the model is unsure of" : "";
  const few = hidden.map(label).join("; ") || "nothing by name";
  const names = hidden.length <= 4 ? few : `${hidden.length} of ${total} categories`;
  const cover = zones.length === 1 ? "a zone covers" : `${zones.length} zones cover`;
  const zoned = zones.length ? `, and what ${cover}` : "";
  return `Live. Hidden${preset === "custom" ? "" : ` (${preset})`}: ${names}${unsure}${zoned}.`;
}

/** Ties the widget's traits to the loop and the source; knows which views are seen.
    `model` has get, set, on, save_changes. */
export class Control {
  constructor({ model, loop, streams, platform }) {
    Object.assign(this, { model, loop, platform, recorder: null, closeWindow: null, opening: false });
    this.views = new Map();  // each view, and whether it is in view
    this.wanted = !!model.get("just_run");  // a cell was run or Start pressed in this page: nothing else opens a camera
    this.source = new Source({ streams, platform, ended: () => this.closeSource("failed", WORDS.ended) });
    for (const name of CHOICE) model.on(`change:${name}`, () => this.read());
    model.on("change:look_ahead", () => this.readAhead());
    model.on("change:running", () => model.get("running") || this.stop(true));
    model.on("msg:custom", message => message?.kind === "start" && this.begin());
    model.on("change:camera", () => { if (this.busy) this.start(); });
    if (platform.recall("raw") === "off") this.set({ show_raw: false });
    loop.listeners.add(what => this.onLoop(what));
    this.readAhead();
    this.read();
    this.tell();
  }

  get busy() { return this.opening || !!this.loop.video; }

  /** Sets traits here and in Python. The change events cover the picture before this returns. */
  set(traits) {
    for (const [name, value] of Object.entries(traits)) this.model.set(name, value);
    if (!this.loop.closed) this.model.save_changes();
  }

  /** Makes the loop's choice from the traits: names, in the order in which the kernel says them back. */
  read() {
    const choice = Object.fromEntries(CHOICE.map(name => [name, this.model.get(name)]));
    const { hidden, bar, zones } = choice;
    const words = liveWords(hidden, bar, this.model.get("presets"), this.model.get("codes").length, zones);
    this.loop.choose({ ...choice, hidden: [...hidden].sort() }, words);
  }

  readAhead() { this.loop.lookAhead = !!this.model.get("look_ahead"); }

  choosePreset(name) {
    const { hidden, bar } = this.model.get("presets")[name] ?? {};
    if (hidden) this.choose(hidden, bar);
  }

  /** Hides or shows some categories, and leaves the others as they are. */
  hide(codes, on) {
    const others = this.model.get("hidden").filter(c => !codes.includes(c));
    this.choose(on ? [...others, ...codes] : others, this.model.get("bar"));
  }

  coverUnsure(on) {
    const bars = Object.values(this.model.get("presets")).map(preset => preset.bar);
    this.choose(this.model.get("hidden"), on ? Math.max(...bars) : 0);
  }

  /** The names in their own order, the bar, and what both together are called. */
  choose(names, bar) {
    const hidden = this.model.get("codes").filter(code => names.includes(code));
    this.set({ hidden, bar, preset: presetOf(hidden, bar, this.model.get("presets")) });
  }

  showRaw(on) {
    this.platform.remember("raw", on ? "on" : "off");
    this.set({ show_raw: on });
  }

  /** Opens the source and follows it. */
  async start() {
    if (this.loop.closed) return;
    this.opening = true;
    this.loop.unfollow("idle", "Asking for the picture.");
    try {
      const video = await this.open(this.model.get("camera"));
      if (!video) return;
      this.loop.play(video);
      this.opening = false;
      this.loop.notify("state");
    } catch (error) {
      this.closeSource("failed", sourceWords(error, this.platform.place()));
    }
  }

  /** The playing video; of a stream that the kernel reads, what stands for it here. */
  open(wanted) {
    if (wanted !== "feed") return this.source.open(wanted);
    this.source.close();
    return { fed: true };
  }

  /** Lets the source go. */
  closeSource(state, words) {
    this.opening = false;
    this.source.close();
    this.loop.unfollow(state, words);
  }

  /** Python asks for the picture: a cell was run. */
  begin() {
    this.wanted = true;
    if (this.views.size && !this.busy) this.start();
  }

  /** Lets the source go, `forGood` until somebody asks for it again. */
  stop(forGood = false) {
    if (forGood) this.wanted = false;
    this.closeSource("stopped", WORDS.stopped);
    this.finish();
  }

  /** Start and Stop as pressed: Python hears of it, and Start tries again where it failed. */
  press(on) {
    const changes = !!this.model.get("running") !== on;
    this.wanted = on;
    if (changes) this.set({ running: on });
    if (on) this.start();
    else if (!changes) this.stop();
  }

  attach(view) {
    this.loop.listeners.add(view);
    this.see(view, true);
    this.platform.clearTimeout(this.leaving);
    if (this.wanted && this.model.get("running") && !this.busy && this.views.size === 1) this.start();
  }

  /** A view went out of view, or came back: scrolled away, or behind another document. */
  see(view, inView) {
    this.views.set(view, inView);
    this.look();
  }

  /** A recording is seen later, and a window elsewhere. */
  look() { this.loop.look(!!this.recorder || !!this.closeWindow || [...this.views.values()].some(Boolean)); }

  /** Without a view nobody can see that the camera is on: so it is not, unless the view only moved. */
  detach(view) {
    this.loop.listeners.delete(view);
    this.views.delete(view);
    this.look();
    if (!this.views.size) this.leaving = this.platform.setTimeout(() => { this.closeWindow?.(); this.stop(); }, 1000);
  }

  close() {
    this.platform.clearTimeout(this.leaving);
    this.closeWindow?.();
    this.finish();
    this.source.close();
    this.loop.close();
  }

  /** Opens a window with the redacted picture alone, or closes it. It goes with this page, and with the last view. */
  openWindow() {
    if (this.closeWindow) return this.closeWindow();
    const opened = this.platform.window(() => this.closeWindow?.());
    if (!opened) return this.loop.warn("No window was opened: allow pop-ups for this page, then press again.");
    const end = display(this.loop, opened.page);
    this.closeWindow = () => {
      this.closeWindow = null;
      end();
      opened.close();
      this.look();
      this.loop.notify("state");
    };
    this.look();
    this.loop.notify("state");
  }

  /** The redacted picture as a file. The raw one is never offered. */
  async snapshot() {
    try { this.platform.download(await this.platform.png(this.loop.screen), "png"); }
    catch (error) { this.lost("snapshot", error); }
  }

  /** Says what could not be saved, and leaves the state as it is. */
  lost(what, error) { this.loop.warn(`The ${what} could not be saved: ${error?.message || error}`); }

  /** Starts a recording of the redacted picture, or ends it and offers the file. */
  record() {
    if (this.recorder) return this.finish();
    this.film = this.platform.canvas(640, 480, "film");
    blit(this.film, this.loop.screen);
    try { this.recorder = this.platform.recorder(this.film); }
    catch (error) { this.loop.warn(`This browser cannot record: ${error.message}`); }
    this.loop.notify("state");
  }

  async finish() {
    const { recorder } = this;
    this.recorder = null;
    if (!recorder) return;
    this.look();
    this.loop.notify("state");
    try {
      const film = await recorder.stop();
      this.platform.download(film, film.type?.includes("mp4") ? "mp4" : "webm");
    } catch (error) { this.lost("recording", error); }
  }

  onLoop(what) {
    if (what === "state") this.telling ??= this.platform.setTimeout(() => this.tell(), 100);
    if (this.recorder && (what === "screen" || what === "tick")) this.filmIt();
    if (what === "left") {
      this.opening = false;
      this.source.close();
      this.finish();
      this.loop.notify("state");
    }
  }

  /** The next picture of the film; without it the film would go on showing the last one, so it ends. */
  filmIt() {
    try { blit(this.film, this.loop.screen); }
    catch (error) { this.lost("rest of the recording", error); this.finish(); }
  }

  /** Tells Python the state. */
  tell() {
    this.telling = undefined;
    this.set({ state: this.loop.state, words: this.loop.words });
  }
}
