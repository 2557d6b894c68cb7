// The redacted picture alone, as large as its page: for a second screen, a projector or a stream.
import { blit } from "./pixels.js";

/** Paints what shows on a canvas. Returns "", or why the canvas shows nothing. */
export function paintOn(canvas, loop) {
  try {
    blit(canvas, loop.screen);
    return "";
  } catch (error) {
    canvas.width = 0;  // rather nothing than the last picture
    return `Covered: the picture cannot be painted here (${error?.message || error}).`;
  }
}

const LOOKS = {  // set one by one: a window has no stylesheet, and a page's policy may allow no other
  body: { margin: 0, overflow: "hidden", background: "#000" },
  canvas: { display: "block", width: "100vw", height: "100vh", objectFit: "contain" },
  p: { position: "fixed", left: "2vw", right: "2vw", bottom: "2vw", width: "fit-content", margin: "0 auto",
    padding: ".3em .8em", borderRadius: "4px", background: "rgb(0 0 0 / 80%)", color: "#fff",
    font: "clamp(14px, 2.4vw, 28px)/1.4 system-ui, sans-serif" },
};

/** Fills `page` with the redacted picture, and with words where there is something to say. Returns what ends that. */
export function display(loop, page) {
  const [root, canvas, words] = ["div", "canvas", "p"].map(name => page.createElement(name));
  for (const element of [page.body, canvas, words])
    Object.assign(element.style, LOOKS[element.localName]);
  root.className = "camredact";
  canvas.className = "camredact-redacted";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "the redacted picture");
  words.setAttribute("role", "status");
  let broken = "";
  const show = what => {
    if (what === "screen") broken = paintOn(canvas, loop);
    if (what !== "screen" && what !== "state") return;
    Object.assign(root.dataset, { state: broken ? "failed" : loop.state, shown: loop.counts.shown });
    page.title = words.textContent = broken || loop.words;
    words.hidden = loop.state === "live" && !broken;
  };
  show("screen");
  root.append(canvas, words);
  page.body.replaceChildren(root);
  loop.listeners.add(show);
  return () => { loop.listeners.delete(show); root.remove(); };
}
