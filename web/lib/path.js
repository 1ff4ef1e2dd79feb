// Paths of devices. They are bytes; here they are percent-encoded as the server writes them, in which every byte but letters and
// digits is escaped: so "/" is always %2F and "\" always %5C, and both separate. Pure.

const SEPARATOR = /%2F|%5C/i;
// Characters that show nothing or turn the order of what follows: shown by their number, so that a name looks like what it is.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function decode(encoded) {
  const bytes = [];
  for (let at = 0; at < encoded.length; at += 1) {
    if (encoded[at] === "%") {
      bytes.push(parseInt(encoded.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(encoded.charCodeAt(at));
    }
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

export function encode(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

// The last name of a path, without the separator a folder ends with.
export function lastName(encoded) {
  const parts = encoded.split(SEPARATOR);
  if (parts.length > 1 && parts[parts.length - 1] === "") parts.pop();
  return decode(parts[parts.length - 1]);
}

export function show(name) {
  if (name === "") return "/";
  return name.replace(UNSEEN, (letter) => `⟨U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

// Every folder on the way to this one, the outermost first.
export function crumbs(folder) {
  const found = [];
  let rest = folder;
  let way = "";
  for (let match = SEPARATOR.exec(rest); match; match = SEPARATOR.exec(rest)) {
    const end = match.index + 3;
    way += rest.slice(0, end);
    found.push({ folder: way, name: decode(rest.slice(0, match.index)) });
    rest = rest.slice(end);
  }
  return found;
}

export function parent(folder) {
  const all = crumbs(folder);
  return all.length > 1 ? all[all.length - 2].folder : "";
}

export function folderOf(path) {
  const all = crumbs(path);
  return all.length ? all[all.length - 1].folder : "";
}

// Where a file that is brought into a folder goes; its own folders get the separator the folder has.
export function below(folder, relative) {
  const separator = folder.toUpperCase().endsWith("%5C") ? "%5C" : "%2F";
  const names = relative.split("/").filter((name) => name !== "" && name !== "." && name !== "..");
  return folder + names.map(encode).join(separator);
}
