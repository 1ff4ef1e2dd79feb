// Bringing files in: dropped anywhere, or picked. Says what belongs where, and hands it to the queue.

import { call, read, signInAgain } from "../lib/api.js";
import { open } from "../lib/dialog.js";
import { count } from "../lib/format.js";
import { element, html, render, worker } from "../lib/html.js";
import { below, decode, encode, show } from "../lib/path.js";
import { send } from "../lib/send.js";
import { Uploads } from "../lib/uploads.js";

export class Bringing {
  constructor({ where, stored }) {
    this.where = where;
    this.uploads = new Uploads({ hash, send, again: signInAgain });
    this.uploads.addEventListener("stored", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(stored, 400);
    });
    document.querySelector("#tray").replaceChildren(element(html`<rb-tray></rb-tray>`));
    document.querySelector("rb-tray").uploads = this.uploads;
    this.sheet = element(html`<div class="drop" hidden>Drop to bring in</div>`);
    document.body.append(this.sheet);
    this.watch();
  }

  watch() {
    const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    addEventListener("dragenter", (event) => holdsFiles(event) && (this.sheet.hidden = false));
    addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    addEventListener("dragleave", (event) => event.relatedTarget === null && (this.sheet.hidden = true));
    addEventListener("drop", async (event) => {
      this.sheet.hidden = true;
      if (!holdsFiles(event)) return;
      event.preventDefault();
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const files = entries.length > 0 ? (await Promise.all(entries.map((entry) => walk(entry)))).flat() : [...event.dataTransfer.files].map((file) => ({ file, relative: file.name }));
      await this.take(files);
    });
  }

  // Asks for files, and where they belong when that is not plain.
  async pick() {
    const where = this.where();
    const devices = (await read("overview")).devices.map((device) => device.device_id);
    const { dialog } = open(html`<form class="sheet" method="dialog"><h2>Bring in files</h2>
      <label><span>Device</span><input name="device" required maxlength="200" list="devices" value="${where.device ?? devices[0] ?? "This computer"}"><datalist id="devices">${devices.map((name) => html`<option value="${name}"></option>`)}</datalist></label>
      <label><span>Folder</span><input name="folder" required value="${where.folder ? decode(where.folder) : "/"}"></label>
      <p class="note danger" role="alert" hidden></p>
      <footer><button type="button" data-close>Cancel</button><button type="button" data-pick="folder">A folder…</button><button type="button" class="primary" data-pick="files">Files…</button></footer>
      <input type="file" multiple hidden name="files" aria-label="Files"><input type="file" webkitdirectory hidden name="folder-files" aria-label="A folder"></form>`);
    const form = dialog.querySelector("form");
    const said = form.querySelector("[role=alert]");
    dialog.addEventListener("click", (event) => {
      const which = event.target.closest("[data-pick]")?.dataset.pick;
      if (which && form.reportValidity()) form.elements[which === "files" ? "files" : "folder-files"].click();
    });
    form.addEventListener("change", async ({ target }) => {
      if (target.type !== "file" || target.files.length === 0) return;
      const files = [...target.files].map((file) => ({ file, relative: file.webkitRelativePath || file.name }));
      try {
        await this.into(files, form.elements.device.value, folderOf(form.elements.folder.value, where));
        dialog.close();
      } catch (error) {
        said.textContent = error.message;
        said.hidden = false;
      }
    });
  }

  async take(files) {
    const { device, folder } = this.where();
    if (files.length === 0) return;
    if (device) {
      this.into(files, device, folder || encode("/"));
      return;
    }
    const devices = (await read("overview")).devices.map((one) => one.device_id);
    const { dialog } = open(html`<form class="sheet" method="dialog"><h2>${count(files.length, "file")} for which device?</h2>
      <label><span>Device</span><input name="device" required maxlength="200" list="devices" value="${devices[0] ?? "This computer"}"><datalist id="devices">${devices.map((name) => html`<option value="${name}"></option>`)}</datalist></label>
      <p class="faint">They go into its folder <code>/</code>. Open a folder first to bring files in there.</p><p class="note danger" role="alert" hidden></p>
      <footer><button type="button" data-close>Cancel</button><button class="primary" value="yes">Bring in</button></footer></form>`);
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await this.into(files, event.target.elements.device.value, encode("/"));
        dialog.close();
      } catch (error) {
        render(html`${error.message}`, dialog.querySelector("[role=alert]")).hidden = false;
      }
    });
  }

  async into(files, device, folder) {
    await call("POST", "devices", { query: { device_id: device } });
    this.uploads.add(files.map(({ file, relative }) => ({ file, path: below(folder, relative) })), device);
  }
}

// What was typed, with a separator at its end; the folder that was open keeps its exact bytes.
function folderOf(text, where) {
  if (where.folder && show(text) === show(decode(where.folder))) return where.folder;
  return encode(/[/\\]$/.test(text) ? text : `${text}${text.includes("\\") ? "\\" : "/"}`);
}

// All files below a dropped entry. A folder tells its entries in parts.
async function walk(entry, way = "") {
  const relative = way + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, relative }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) break;
    for (const child of part) found.push(...(await walk(child, `${relative}/`)));
  }
  return found;
}

let hasher = null;

// One worker for all files, one file at a time.
function hash(file, onAt) {
  hasher ??= worker("./hashing.js");
  return new Promise((resolve, reject) => {
    hasher.onmessage = ({ data }) => {
      if (data.hash) resolve(data.hash);
      else if (data.failed) reject(new Error(data.failed));
      else onAt(data.hashed);
    };
    hasher.onerror = () => reject(new Error("The file could not be read."));
    hasher.postMessage(file);
  });
}
