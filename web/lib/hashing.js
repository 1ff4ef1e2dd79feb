// A worker: reads a file in pieces and says its SHA-256. Holds one piece at a time, whatever the file's size.

import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 1 << 20;

self.addEventListener("message", async ({ data: file }) => {
  try {
    const sum = new Sha256();
    let hashed = 0;
    await pieces(file, (piece) => {
      sum.update(piece);
      hashed += piece.length;
      self.postMessage({ hashed });
    });
    self.postMessage({ hash: sum.digest() });
  } catch (error) {
    self.postMessage({ failed: `The file could not be read: ${error.message}` });
  }
});

// One buffer goes to the reader and comes back full, over and over: nothing is left for a collector to find.
async function pieces(file, take) {
  const reader = byteReader(file);
  if (!reader) return slices(file, take);
  for (let buffer = new ArrayBuffer(PIECE_BYTES); ; ) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return null;
    take(value);
    buffer = value.buffer;
  }
}

function byteReader(file) {
  try {
    return file.stream().getReader({ mode: "byob" });
  } catch {
    return null;
  }
}

// For browsers whose files do not read into a buffer of ours.
async function slices(file, take) {
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    take(new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer()));
  }
  return null;
}
