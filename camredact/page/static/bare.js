// Pictures as files that hold nothing else: browsers add a colour profile.

/** A JPEG or WebP without notes; another file as it is. */
export async function bare(file) {
  const parts = { "image/jpeg": bareJpeg, "image/webp": bareWebp }[file.type];
  return parts ? new Blob(parts(new Uint8Array(await file.arrayBuffer())), { type: file.type }) : file;
}

/** All segments of a JPEG but notes, from its first byte to its last. */
function bareJpeg(bytes) {
  const parts = [bytes.subarray(0, 2)];
  let at = 2;
  while (bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const marker = bytes[at + 1], end = at + 2 + (bytes[at + 2] << 8 | bytes[at + 3]);
    if (!(marker > 0xe0 && marker <= 0xef || marker === 0xfe)) parts.push(bytes.subarray(at, end));
    at = end;
  }
  return [...parts, bytes.subarray(at)];
}

/** The picture's chunk of a WebP, and a head that says how long that is. */
function bareWebp(bytes) {
  const view = new DataView(bytes.buffer), head = bytes.slice(0, 12);
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true), end = at + 8 + size + size % 2;
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) === "VP8 ") {
      new DataView(head.buffer).setUint32(4, 4 + end - at, true);
      return [head, bytes.subarray(at, end)];
    }
    at = end;
  }
  throw new Error("this browser writes WebP in another form: choose PNG or JPEG");
}
