// A WebSocket: messages as bytes, and a transport for the loop.
import { WORDS } from "./words.js";

/** A message's dictionary and its picture as bytes: a length, JSON, the rest. As in wire.py. */
export function pack(message, buffers) {
  const head = new TextEncoder().encode(JSON.stringify(message)), body = new Uint8Array(buffers[0] ?? []);
  const out = new Uint8Array(4 + head.length + body.length);
  new DataView(out.buffer).setUint32(0, head.length);
  out.set(head, 4);
  out.set(body, 4 + head.length);
  return out.buffer;
}

/** The dictionary and the buffers of a message; throws at what is none. */
export function unpack(data) {
  const n = new DataView(data).getUint32(0);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, n)));
  return [message, data.byteLength > 4 + n ? [data.slice(4 + n)] : []];
}

export const OPEN = 1;  // a socket's readyState
const AGAIN = 500, AGAIN_MOST = 8000;  // ms before another attempt, doubled each time

/** A transport for the loop. The first frame connects. A frame goes out when the one before has left the browser: what
    waits there cannot be called back. Whatever breaks calls `lost`, which covers; the next frame tries to
    connect again. `why` is asked for words where a socket was never opened: browsers do not tell. */
export function socketTransport(url, { protocols = ["camredact"], Socket = globalThis.WebSocket,
  now = () => performance.now(), lost = () => {}, why = async () => "" } = {}) {
  let socket = null, callback = () => {}, attempts = 0, next = 0, closed = false, reason = "";
  const connect = () => {
    const mine = socket = new Socket(url, protocols);
    let opened = false;
    mine.binaryType = "arraybuffer";
    mine.onopen = () => { opened = true; attempts = 0; reason = ""; };
    mine.onmessage = event => {
      if (mine !== socket) return;
      try { callback(...unpack(event.data)); } catch (error) { lost(error); }
    };
    mine.onclose = () => {
      if (mine !== socket) return;
      socket = null;
      next = now() + Math.min(AGAIN_MOST, AGAIN * 2 ** attempts++);
      if (!closed) lost(new Error(WORDS.lost));
      if (!closed && !opened) why().then(words => { reason = words; }, () => { reason = ""; });
    };
  };
  return {
    ready() {
      if (!socket && !closed && now() >= next) connect();
      if (socket?.readyState !== OPEN) throw new Error(reason || WORDS.connecting);
      return !socket.bufferedAmount;
    },
    send: (message, buffers) => socket.send(pack(message, buffers)),
    onMessage: f => { callback = f; },
    drop() { const old = socket; socket = null; old?.close(); },
    close() { closed = true; socket?.close(); },
  };
}
