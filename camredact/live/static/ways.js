// Two ways for a notebook's frames: a socket to the process beside the kernel if the page reaches it, else the comm.
import { OPEN, pack, unpack } from "./socket.js";
import { WORDS } from "./words.js";

const REST = 5000;  // ms after a socket broke, before the kernel is asked for another

/** Addresses at which a process that listens at `port` of the kernel's machine may be reached: directly, if the page
    comes from this machine, and then through jupyter-server-proxy. `base` is the path of Jupyter's pages. */
export function addresses(port, { protocol, hostname, host }, base) {
  const near = ["127.0.0.1", "localhost", "[::1]"].includes(hostname) ? [["direct", `ws://127.0.0.1:${port}/`]] : [];
  return [...near, ["proxy", `${protocol.replace("http", "ws")}//${host}${base}proxy/${port}/`]];
}

/** A transport over `comm` that asks the kernel for a socket, and changes to it once the other end has sent the proof
    that came over the comm: until then that end gets no frame. If the socket breaks, `lost` covers, and frames go over
    the comm again. `comm` is a transport with `ask`, to which the kernel answers {kind: "way", port, token, proof}. */
export function waysTransport(comm, { place, base = "/", Socket = globalThis.WebSocket, now = () => performance.now(),
  lost = () => {} }) {
  let callback = () => {}, socket = null, trying = null, asked = false, next = 0;
  const letGo = () => {
    const old = [socket, trying];
    socket = trying = null;
    asked = false;
    for (const one of old) one?.close();
  };
  const attempt = ({ token, proof }, [[way, url], ...others]) => {
    const again = () => { trying = null; if (others.length) attempt({ token, proof }, others); };
    let mine;
    try { mine = trying = new Socket(url, ["camredact", `token.${token}`]); } catch { return again(); }
    mine.binaryType = "arraybuffer";
    mine.onmessage = ({ data }) => {
      if (mine === socket) try { callback(...unpack(data)); } catch (error) { lost(error); }
      else if (mine !== trying || data !== proof) mine.close();
      else {
        trying = null;
        socket = mine;
        transport.way = way;
      }
    };
    mine.onclose = () => {
      if (mine === trying) return again();
      if (mine !== socket) return;
      letGo();
      next = now() + REST;
      transport.way = "comm";
      lost(new Error(WORDS.apart));
    };
  };
  comm.onMessage((message, buffers) => {
    if (message?.kind !== "way") return callback(message, buffers);
    if (asked && message.port && !socket && !trying) attempt(message, addresses(message.port, place, base));
  });
  const transport = {
    way: "comm",
    ready() {
      const open = comm.ready();  // what the kernel says, Stop among it, comes by the comm
      if (socket) return open && socket.readyState === OPEN && !socket.bufferedAmount;
      if (open && !asked && now() >= next) { asked = true; comm.ask(); }
      return open;
    },
    send: (message, buffers) => socket ? socket.send(pack(message, buffers)) : comm.send(message, buffers),
    onMessage: f => { callback = f; },
    drop() { letGo(); transport.way = "comm"; next = 0; comm.drop(); },
    close() { letGo(); transport.way = "comm"; next = Infinity; comm.close(); },
  };
  return transport;
}
