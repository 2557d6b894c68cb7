/* The service worker: stores the whole page, each file checked against its SHA-256, and answers from there alone. It
   adds the headers that a plain host does not send: no script and no connection but this page's own, and threads. */
importScripts("files.js");  // PAGE: the version, and the SHA-256 of each file

const OURS = `camredact ${registration.scope} `, NAME = OURS + PAGE.version;  // an origin may hold other pages
const HEADERS = {
  "content-security-policy": PAGE.policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

async function store() {
  const cache = await caches.open(NAME);
  await Promise.all(Object.entries(PAGE.files).map(async ([name, sha256]) => {
    const response = await fetch(new Request(name, { integrity: `sha256-${sha256}`, cache: "no-cache" }));
    if (!response.ok) throw new Error(`${name}: status ${response.status}`);
    await cache.put(name, response);
  }));
}

async function takeOver() {
  for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== NAME) await caches.delete(name);
  await clients.claim();
}

async function answer({ url }) {
  const name = url.slice(registration.scope.length).split(/[?#]/)[0] || "index.html";
  const stored = await (await caches.open(NAME)).match(name);
  if (!stored) return new Response("not a file of this page", { status: 404 });
  const headers = new Headers(stored.headers);
  for (const [header, value] of Object.entries(HEADERS)) headers.set(header, value);
  return new Response(stored.body, { headers });
}

oninstall = event => event.waitUntil(store());
onactivate = event => event.waitUntil(takeOver());
onmessage = event => event.data === "take over" && skipWaiting();
onfetch = event => { if (event.request.url.startsWith(registration.scope)) event.respondWith(answer(event.request)); };
