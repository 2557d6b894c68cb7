// The network: ONNX Runtime's WebAssembly, and a model that is checked before it is used.
import { at } from "./at.js";

const hex = bytes => Array.from(new Uint8Array(bytes), b => b.toString(16).padStart(2, "0")).join("");

/** The bytes of a file that has this SHA-256. */
async function checked(name, sha256) {
  if (!crypto.subtle) throw new Error("this page is not secure, so nothing can be checked: open it by https");
  const response = await fetch(at(name));
  if (!response.ok) throw new Error(`${name} is not there (status ${response.status}): load this page again`);
  const bytes = await response.arrayBuffer();
  if (hex(await crypto.subtle.digest("SHA-256", bytes)) !== sha256)
    throw new Error(`${name} is corrupted, or another file: delete this page's data in the browser, and load it again`);
  return new Uint8Array(bytes);
}

/** Gets the model ready: what it returns scores RGB pixels. Unless told, the engine takes half of the cores for its
    threads, four at most: they wait by spinning, and must not wait for one another's core. */
export async function open({ file, sha256, webgpu, threads }) {
  const bytes = await checked(file, sha256), ort = await import(at("engine/ort.js"));
  if (threads) ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: at("engine/wasm.js"), wasm: at("engine/engine.wasm") };
  const executionProviders = [...webgpu && navigator.gpu ? ["webgpu"] : [], "wasm"];
  const session = await ort.InferenceSession.create(bytes, { executionProviders, logSeverityLevel: 3 });
  return async (rgb, h, w, weights) => {
    const feeds = { rgb: new ort.Tensor("uint8", rgb, [h, w, 3]), weights: new ort.Tensor("float32", weights, [32]) };
    const { score, confidence } = await session.run(feeds, ["score", "confidence"]);
    return [score.data, confidence.data];
  };
}
