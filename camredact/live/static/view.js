/* /view: the service's camera without its panel. The address says what to hide. Nobody sits here to press Start, so
   the camera is opened by the page itself, and again after whatever ended it. */
import { display } from "./display.js";
import { beginning } from "./alone.js";
import { connect } from "./host.js";
import { WORDS } from "./words.js";

const SOON = "It is asked for again in a while.";
const ENDED = {
  silent: `No answer from the service for 10 seconds. The camera is off. ${SOON}`,
  ended: `The camera ended: it was unplugged, or another program took it. ${SOON}`,
};
const CAMERA = {
  NotAllowedError: "it was not allowed. Allow it beside the browser's address bar; OBS must be started with "
    + "--use-fake-ui-for-media-stream.",
  NotFoundError: `none was found. Plug one in. ${SOON}`,
  NotReadableError: `it does not answer. Close the program that uses it. ${SOON}`,
};
const AGAIN = { first: 1000, most: 30000 };  // ms before the camera is asked for again, doubled each time

/** What the service is asked to check: the page's own query, and the first preset where it hides nothing by name. */
export function choiceQuery(search, presets) {
  const query = new URLSearchParams(search);
  query.delete("camera");
  if (!query.has("preset") && !query.has("categories")) query.set("preset", Object.keys(presets)[0]);
  return `choice?${query}`;
}

/** Starts the camera, and starts it again whenever it, or the service, has been lost. */
export function keepOn(control, { setTimeout }) {
  let wait = AGAIN.first, waiting = false;
  control.loop.listeners.add(what => {
    if (what !== "state") return;
    if (control.loop.state === "live") wait = AGAIN.first;
    if (control.busy || waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; if (!control.busy) control.press(true); }, wait);
    wait = Math.min(AGAIN.most, 2 * wait);
  });
  control.press(true);
}

/** The state of a page that has nothing to press. */
async function chosen(get) {
  const tables = await get("categories"), state = beginning(tables, matchMedia("(pointer: coarse)").matches);
  const camera = new URLSearchParams(location.search).get("camera") ?? state.get("camera");
  const choice = await get(choiceQuery(location.search, tables.presets));
  for (const [name, value] of Object.entries({ ...choice, camera })) state.set(name, value);
  return state;
}

if (globalThis.document?.getElementById("view")) {
  addEventListener("hashchange", () => location.reload());  // another token was pasted
  Object.assign(WORDS, ENDED);
  connect(chosen, CAMERA).then(({ control, platform }) => {
    display(control.loop, document);
    keepOn(control, platform);
  }).catch(error => {
    document.querySelector("[role=status]").textContent = `The service cannot be used: ${error.message}`;
  });
}
