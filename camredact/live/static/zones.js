// Zones (see core/zones.ipynb): outlines over the pictures, a list, and a pen for a rectangle or a polygon.

const MOST = { zones: 16, points: 32 };
const CLOSE = .02;  // share of the picture within which two points are one
const TOLD = { hide: "always covered", show: "may be seen" };
const isClose = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) < CLOSE;

/** A zone as text, as Python has it: two points are corners in order, numbers have four places at most. */
export function zoneText(kind, points) {
  const [xs, ys] = [0, 1].map(i => points.map(p => Math.round(1e4 * p[i]) / 1e4));
  if (points.length === 2) for (const numbers of [xs, ys]) numbers.sort((a, b) => a - b);
  return [kind, ...xs.map((x, i) => `${x},${ys[i]}`)].join(" ");
}

/** The kind of a zone, and the corners of its outline. */
export function zoneOutline(text) {
  const [kind, ...words] = text.split(" "), points = words.map(word => word.split(",").map(Number));
  if (points.length > 2) return [kind, points];
  const [[left, top], [right, bottom]] = points;
  return [kind, [[left, top], [right, top], [right, bottom], [left, bottom]]];
}

/** Whether points span next to nothing: Python refuses those that lie on a line. */
export function isFlat([first, ...others]) {
  const [dx, dy] = [0, 1].map(i => others.map(p => p[i] - first[i]));
  if (others.length === 1) return Math.abs(dx[0] * dy[0]) < 1e-4;
  return !dx.some((x, i) => dy.some((y, j) => Math.abs(x * y - dx[j] * dy[i]) > 1e-4));
}

/** Draws one zone: a drag is a rectangle; clicks are corners, until the first or the last of them is
    clicked again. What ends a zone returns its points. */
export class Pen {
  constructor() { this.corners = []; }
  get points() { return this.dragged ? [this.from, this.at] : [...this.corners, ...(this.at ? [this.at] : [])]; }
  get dragged() { return !this.corners.length && !!this.from && !isClose(this.from, this.at); }
  down(at) { this.from = this.at = at; }
  move(at) { this.at = at; }

  up(at) {
    this.at = at;
    if (this.dragged) return this.points;
    const { corners } = this;
    this.from = null;
    if (corners.length > 2 && [corners[0], corners.at(-1)].some(corner => isClose(at, corner))) return corners;
    if (!corners.length || !isClose(at, corners.at(-1))) corners.push(at);
    return corners.length === MOST.points ? corners : null;
  }
}

const ZONES = `
  <div class="camredact-bar" role="group" aria-label="Zones"><b>Zones</b>
    <button type="button" name="zone" value="hide" title="A part that is covered whatever the model says">
      Always cover</button>
    <button type="button" name="zone" value="show" title="Everything outside of it is covered">Show only this</button>
    <span class="camredact-how" aria-live="polite"></span></div>
  <ul></ul>`;
const HOW = "Drag a rectangle on the picture, or click corner after corner, then the first or last one again. Escape cancels.";

/** Adds the zones to a panel; returns what paints them, and what removes its listeners. */
export function zoneView(control, root) {
  const { model } = control, zones = () => model.get("zones");
  const part = Object.assign(document.createElement("div"), { className: "camredact-zones", innerHTML: ZONES });
  const [list, how] = ["ul", ".camredact-how"].map(s => part.querySelector(s));
  const buttons = [...part.querySelectorAll("button")];
  root.querySelector(".camredact-kinds").before(part);
  const sheets = [...root.querySelectorAll("figure")].map(figure => {
    const canvas = figure.querySelector("canvas");
    canvas.insertAdjacentHTML("afterend", '<svg viewBox="0 0 1 1" preserveAspectRatio="none"></svg>');
    return canvas.nextElementSibling;
  });
  let kind = "", pen = null;

  const shape = ([kind, points], tag = "polygon") => `<${tag} class="camredact-${kind}" points="${points.join(" ")}"/>`;
  const outlines = () => {
    const lines = zones().map(text => shape(zoneOutline(text)));
    if (pen?.dragged) lines.push(shape(zoneOutline(zoneText(kind, pen.points))));
    else if (pen?.points.length > 1) lines.push(shape([kind, pen.points], "polyline"));
    for (const sheet of sheets) sheet.innerHTML = lines.join("");
  };
  const entry = (text, i) => {
    const item = document.createElement("li"), remove = document.createElement("button");
    const [kind, points] = zoneOutline(text);
    Object.assign(remove, { type: "button", textContent: "Remove", onclick: () => {
      control.set({ zones: zones().filter((_, k) => k !== i) });
      (list.querySelectorAll("button")[Math.max(0, i - 1)] ?? buttons[0]).focus();
    } });
    remove.setAttribute("aria-label", `Remove zone ${i + 1}`);
    const what = text.split(" ").length === 3 ? "rectangle" : `polygon with ${points.length} corners`;
    const sign = document.createElement("span");
    sign.className = `camredact-sign camredact-${kind}`;
    item.title = text;
    item.append(sign, `${i + 1}: ${what}, ${TOLD[kind]}`, remove);
    return item;
  };
  const paint = () => {
    list.replaceChildren(...zones().map(entry));
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.value === kind));
      button.disabled = zones().length >= MOST.zones;
    }
    how.textContent = kind ? HOW : "";
    root.toggleAttribute("data-drawing", !!kind);
    outlines();
  };
  const draw = next => { kind = next; pen = kind ? new Pen() : null; paint(); };
  const end = points => {
    if (!points) return outlines();
    const text = isFlat(points) ? null : zoneText(kind, points);
    draw("");
    if (text) control.set({ zones: [...zones(), text] });
  };
  const at = (sheet, e) => {
    const { left, top, width, height } = sheet.getBoundingClientRect();
    return [(e.clientX - left) / width, (e.clientY - top) / height].map(n => Math.min(1, Math.max(0, n)));
  };
  for (const sheet of sheets) {
    sheet.onpointerdown = e => {
      if (!pen || !e.isPrimary) return;
      sheet.setPointerCapture(e.pointerId);
      pen.down(at(sheet, e));
    };
    sheet.onpointermove = e => { if (pen && e.isPrimary) { pen.move(at(sheet, e)); outlines(); } };
    sheet.onpointerup = e => { if (pen && e.isPrimary) end(pen.up(at(sheet, e))); };
  }
  for (const button of buttons) button.onclick = () => draw(button.value === kind ? "" : button.value);
  root.addEventListener("keydown", e => { if (kind && e.key === "Escape") draw(""); });
  paint();
  return paint;
}
