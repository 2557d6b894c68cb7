// The panel that a person sees: the pictures, the buttons, the menus, and a box for each category.
import { label, presetOf } from "./control.js";
import { paintOn } from "./display.js";
import { resize } from "./pixels.js";
import { CHOICE } from "./rules.js";
import { WAYS } from "./words.js";
import { zoneView } from "./zones.js";

const PANEL = `
  <div class="camredact-pictures">
    <figure><canvas class="camredact-redacted" role="img" aria-label="the redacted picture"></canvas>
      <figcaption><b>redacted</b><span class="camredact-rate"></span><span class="camredact-share"
        title="how much of the picture the matte covers"></span></figcaption></figure>
    <figure><canvas class="camredact-raw" role="img" aria-label="the raw picture"></canvas>
      <figcaption><b>raw</b><span class="camredact-rate"></span></figcaption></figure>
  </div>
  <div class="camredact-said">
    <span class="camredact-dot" aria-hidden="true"></span><span role="status" aria-live="polite"></span></div>
  <p class="camredact-waits"></p>
  <div class="camredact-bar">
    <button type="button" name="start" title="Ask for the camera and go">Start</button>
    <button type="button" name="stop" title="Cover the picture and switch the camera off">Stop</button>
    <button type="button" name="snapshot" title="Save the redacted picture as a PNG">Snapshot</button>
    <button type="button" name="record" title="Record the redacted picture; press again to save it">Record</button>
    <button type="button" name="window" title="The redacted picture in a window of its own, for a second screen. It is
      covered whenever this page is out of view">Window</button>
    <label class="camredact-option" title="The camera's own picture. It never leaves this page and the kernel.">
      <input type="checkbox" name="raw">raw picture</label>
    <span class="camredact-answer"></span>
  </div>
  <div class="camredact-menus">
    <label class="camredact-menu"><span>Preset</span>
      <select name="preset" title="A set of categories to hide"></select></label>
    <label class="camredact-menu camredact-dial"><span>Dial</span>
      <select name="dial" title="Every position misses somebody, precise most; cautious covers most. Measured in
        streets that no training saw: how many of people's pixels are missed, how much of the picture is covered beside them">
      </select></label>
    <label class="camredact-menu"><span>Model</span>
      <select name="model" title="The network that looks at each frame"></select></label>
    <label class="camredact-menu"><span>Camera</span>
      <select name="camera" title="Where the picture comes from"></select></label>
  </div>
  <div class="camredact-kinds" role="group" aria-label="Categories to hide"></div>
  <div class="camredact-more">
    <label class="camredact-option" title="Cover as well wherever the best of the 32 probabilities is low">
      <input type="checkbox" name="uncertain">also hide what the model is unsure of</label>
    <label class="camredact-option"
      title="Delays the picture by one frame, and also covers what the next frame's matte covers">
      <input type="checkbox" name="ahead">look one picture ahead</label>
  </div>`;

function h(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A box for each category, and one for each group of them. */
function group([title, codes], colours) {
  const all = h("input", { type: "checkbox", name: "group", value: title });
  const boxes = codes.map(code => {
    const chip = h("span", { className: "camredact-chip" });
    chip.style.background = `rgb(${colours[code]})`;
    const box = h("input", { type: "checkbox", name: "hide", value: code });
    return h("label", { title: code }, box, chip, h("span", {}, label(code)));
  });
  return h("fieldset", {}, h("legend", {}, h("label", { title: `All of: ${title}` }, all, title)), ...boxes);
}

/** Offers `options`, as pairs of value and text, where they are others than before, and chooses `value`. */
function fill(select, options, value) {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
    select.dataset.options = key;
  }
  select.value = value;
}

const PEOPLE = "no people";  // the preset under which a matte that covers nothing means that nobody is there

const whole = x => Number.isFinite(x) ? x.toFixed(0) : "";

/** Builds the panel in `el`, and returns what removes it. */
export function view(control, el) {
  const { model, loop } = control, get = name => model.get(name), groups = new Map(get("groups"));
  const root = h("div", { className: "camredact", innerHTML: PANEL });
  const one = selector => root.querySelector(selector), all = selector => [...root.querySelectorAll(selector)];
  const part = name => one(`[name=${name}]`);
  const [redacted, raw] = all("canvas"), [redactedRate, rawRate] = all(".camredact-rate");
  const words = one("[role=status]"), answer = one(".camredact-answer"), share = one(".camredact-share");
  one(".camredact-kinds").append(...get("groups").map(g => group(g, get("colours"))));

  const choose = ({ name, value }) => control.set({ [name]: value });
  const changed = {
    preset: e => control.choosePreset(e.value), dial: choose, model: choose, camera: choose,
    hide: e => control.hide([e.value], e.checked), group: e => control.hide(groups.get(e.value), e.checked),
    raw: e => control.showRaw(e.checked), uncertain: e => control.coverUnsure(e.checked),
    ahead: e => control.set({ look_ahead: e.checked }),
  };
  const pressed = {
    start: () => control.press(true), stop: () => control.press(false),
    snapshot: () => control.snapshot(), record: () => control.record(),
    window: () => control.openWindow(),
  };
  root.addEventListener("change", e => changed[e.target.name]?.(e.target));
  root.addEventListener("click", e => pressed[e.target.name]?.());
  // JupyterLab's plain keys (arrows move between cells, letters edit them) are not meant for a focused box or menu.
  const keys = e => root.contains(e.target)
    && e.target.toggleAttribute("data-lm-suppress-shortcuts", !(e.ctrlKey || e.metaKey || e.altKey));
  window.addEventListener("keydown", keys, true);

  const paintRaw = () => {
    const on = !!get("show_raw"), picture = loop.latest ?? loop.video;
    raw.parentNode.hidden = !on;
    if (on && (picture?.videoWidth ?? picture?.width)) {
      resize(raw, picture.videoWidth ?? picture.width, picture.videoHeight ?? picture.height);
      raw.getContext("2d").drawImage(picture, 0, 0);
    } else Object.assign(raw, { width: loop.screen.width, height: loop.screen.height });  // which clears it
  };
  let broken = "";  // why this view shows nothing, whatever others show
  const paint = () => {
    const before = broken;
    broken = paintOn(redacted, loop);
    if (broken !== before) state();
    Object.assign(root.dataset, { shown: loop.counts.shown, ageMs: whole(loop.age) });
  };
  const figures = () => {
    const s = loop.stats(), predict = Number.isFinite(s.predict_ms) ? s.predict_ms.toFixed(1) : "";
    Object.assign(root.dataset, { fps: s.fps.toFixed(1), rawFps: s.raw_fps.toFixed(1), ageMs: whole(s.age_ms),
      answerMs: whole(s.answer_ms), predictMs: predict, dropped: s.dropped, shown: s.shown });
    redactedRate.textContent = loop.video ? `${s.fps.toFixed(0)} fps` : "";
    rawRate.textContent = loop.video ? `${s.raw_fps.toFixed(0)} fps` : "";
    const covered = broken ? "" : whole(100 * s.covered);
    root.dataset.covered = covered;
    share.textContent = covered && (s.empty && get("preset") === PEOPLE ? "nobody here" : `covers ${covered} %`);
    const answered = loop.video && Number.isFinite(s.answer_ms);
    const { way } = loop.transport;
    answer.textContent = answered ? `answer ${whole(s.answer_ms)} ± ${whole(s.answer_deviation_ms)} ms` : "";
    if (answered && way) answer.textContent += ` ${WAYS[way]}`;
    root.dataset.way = way ?? "";
    answer.title = predict && `from sending a frame to its matte, of which the model ${predict} ms`;
  };
  const state = () => {
    root.dataset.state = broken ? "failed" : loop.state;
    words.textContent = broken || loop.words;
    one(".camredact-waits").textContent = loop.waits;
    part("start").disabled = control.busy || !!loop.closed;
    part("stop").disabled = !control.busy;
    part("record").textContent = control.recorder ? "End recording" : "Record";
    part("record").setAttribute("aria-pressed", String(!!control.recorder));
    part("window").setAttribute("aria-pressed", String(!!control.closeWindow));
  };
  const paintZones = zoneView(control, root);
  const choice = () => {
    const hidden = new Set(get("hidden")), presets = get("presets");
    const name = presetOf([...hidden], get("bar"), presets);
    for (const box of all("[name=hide]")) box.checked = hidden.has(box.value);
    for (const box of all("[name=group]")) {
      const codes = groups.get(box.value), n = codes.filter(c => hidden.has(c)).length;
      Object.assign(box, { checked: n === codes.length, indeterminate: n > 0 && n < codes.length });
    }
    part("uncertain").checked = get("bar") > 0;
    part("ahead").checked = !!get("look_ahead");
    part("raw").checked = !!get("show_raw");
    paintZones();
    const own = name === "custom" ? [["custom", hidden.size || get("bar") ? "custom" : "nothing"]] : [];
    fill(part("preset"), [...own, ...Object.keys(presets).map(n => [n, n])], name);
    const price = get("prices")?.[get("model")] ?? {};  // of each position of the dial, as it was measured
    const measured = price[get("dial")] ? ": people's pixels missed, street covered" : "";
    one(".camredact-dial span").textContent = `Dial${measured}`;
    fill(part("dial"), get("dials").map(n => [n, price[n] ? `${n}: ${price[n]}` : n]), get("dial"));
    fill(part("model"), get("models").map(n => [n, n]), get("model"));
  };
  let known = null;  // once a camera was allowed, the browser tells the names of all
  const cameras = async () => fill(part("camera"), await control.platform.cameras(get("clip"), get("feed")),
    get("camera"));
  const show = what => {
    if (what === "screen") paint();
    else if (what === "raw") paintRaw();
    else if (what === "tick") figures();
    else if (what === "state") {
      state();
      figures();
      if (loop.video !== known) cameras();
      known = loop.video;
    }
  };

  const follow = { show_raw: () => { choice(); paintRaw(); }, camera: cameras, clip: cameras };
  for (const name of [...CHOICE, "look_ahead"]) follow[name] = choice;
  for (const [name, f] of Object.entries(follow)) model.on(`change:${name}`, f);
  const unwatch = control.platform.onCameras(cameras);
  for (const f of [choice, cameras, paint, paintRaw, state, figures]) f();
  el.replaceChildren(root);
  control.attach(show);
  const unsee = control.platform.onView(root, inView => control.see(show, inView));
  return () => {
    for (const [name, f] of Object.entries(follow)) model.off(`change:${name}`, f);
    window.removeEventListener("keydown", keys, true);
    unwatch();
    unsee();
    control.detach(show);
    root.remove();
  };
}
