// A WebP of its picture alone: browsers add a colour profile.
export async function bare(file) {
  if (file.type !== "image/webp") return file;
  const bytes = new Uint8Array(await file.arrayBuffer()), view = new DataView(bytes.buffer);
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true), end = at + 8 + size + size % 2, head = bytes.slice(0, 12);
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) === "VP8 ") {
      new DataView(head.buffer).setUint32(4, 4 + end - at, true);
      return new Blob([head, bytes.subarray(at, end)], { type: file.type });
    }
    at = end;
  }
  throw new Error("this browser writes WebP in another form: choose PNG or JPEG");
}
