// What can be shown of a file, told by its first bytes and never by its name. Pure.

const IMAGES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]], ["image/jpeg", [0xff, 0xd8, 0xff]], ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/bmp", [0x42, 0x4d]],
];

// What the browser shows by itself, as the server tells it too.
const SHOWN = [["pdf", "%PDF-"], ["audio", "ID3"], ["audio", "\xff\xfb"], ["audio", "fLaC"], ["audio", "WAVE", 8], ["video", "OggS"], ["video", "\x1aE\xdf\xa3"], ["video", "ftyp", 4]];

export function kindOf(bytes) {
  const begins = (magic, at = 0) => magic.every((byte, nth) => bytes[at + nth] === byte);
  const word = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (word(0) === "RIFF" && word(8) === "WEBP") return { show: "image", type: "image/webp" };
  if (word(4) === "ftyp" && word(8) === "avif") return { show: "image", type: "image/avif" };
  const image = IMAGES.find(([, magic]) => begins(magic));
  if (image && (image[0] !== "image/bmp" || bytes.includes(0))) return { show: "image", type: image[0] };
  const shown = SHOWN.find(([, magic, at]) => begins(Array.from(magic, (letter) => letter.charCodeAt(0)), at));
  if (shown) return { show: shown[0] };
  return isText(bytes) ? { show: "text" } : { show: "nothing" };
}

function isText(bytes) {
  if (bytes.includes(0)) return false;
  // The piece may end inside of a letter.
  for (let cut = 0; cut < 4; cut += 1) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.length - cut));
      return true;
    } catch {
      if (bytes.length <= cut) return false;
    }
  }
  return false;
}
