// All versions of one file, newest first: look at one, take it along, remove it, or see its folder as it was then.

import { address, call, read } from "../lib/api.js";
import { announce, command, confirm } from "../lib/dialog.js";
import * as curl from "../lib/curl.js";
import { ago, bytes, change, count, date, day, exact, time } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { kindOf } from "../lib/kind.js";
import { folderOf, lastName, show } from "../lib/path.js";
import { link } from "../lib/route.js";

const PAGE = 200;
// What is read of a text, and of anything to find out what it is.
const TEXT_BYTES = 64 << 10;
// A picture is held in memory as a whole.
const IMAGE_BYTES_MAX = 32 << 20;

export class Panel {
  constructor(aside, tools) {
    this.aside = aside;
    this.tools = tools;
    aside.addEventListener("click", (event) => this.click(event));
    aside.addEventListener("keydown", (event) => {
      if (event.key === "Escape") tools.close();
    });
  }

  hide() {
    this.forget();
    this.file = null;
    this.aside.hidden = true;
    this.aside.replaceChildren();
  }

  async show(route) {
    const opened = this.aside.hidden;
    this.aside.hidden = false;
    if (this.file?.id !== Number(route.file)) {
      try {
        this.file = await read("versions", { file_id: route.file, limit: PAGE });
      } catch (error) {
        render(html`<header><h2>This file cannot be shown</h2>${closing()}</header><p class="note danger">${error.message}</p>`, this.aside);
        return;
      }
    }
    const { versions } = this.file;
    const then = Number(route.at || Infinity);
    const living = versions.find((one) => one.removed_ms === undefined && one.arrived_ms <= then);
    this.shown = versions.find((one) => String(one.version) === route.version) ?? living ?? versions[0];
    this.draw();
    if (opened) this.aside.querySelector("[data-do=close]").focus();
  }

  draw() {
    this.forget();
    const { path_encoded: path, device_id: device, versions } = this.file;
    const name = show(lastName(path));
    const there = versions.filter((one) => one.removed_ms === undefined).length;
    const days = Map.groupBy ? Map.groupBy(versions, (one) => day(one.arrived_ms)) : groups(versions);
    render(html`<header><h2 class="wrap"><bdi>${name}</bdi></h2>${closing()}</header>
      <p class="faint wrap"><bdi>${show(device)}</bdi> · <a href="${link({ page: "files", device, folder: folderOf(path), file: this.file.id })}"><bdi>${show(this.file.path)}</bdi></a></p>
      <p class="faint">${there === 0 ? "Removed; its versions are held for a while." : count(there, "version")}</p>
      <div class="timeline">${[...days].map(([label, ones]) => html`<h3>${label}</h3><ol>${ones.map((one) => this.line(one))}</ol>`)}</div>
      ${this.file.next && html`<button data-do="older">Show older versions</button>`}
      ${there > 0 && html`<p class="acts"><button class="quiet small" data-do="remove-file">${icon("trash")}Remove the file</button></p>`}`, this.aside);
    this.preview();
  }

  line(one) {
    const all = this.file.versions;
    const older = all[all.indexOf(one) + 1];
    const gone = one.removed_ms !== undefined;
    const shown = one === this.shown;
    return html`<li class="${gone ? "gone" : ""} ${shown ? "shown" : ""}"><button class="version" data-version="${one.version}" aria-expanded="${String(shown)}"><b>${time(one.arrived_ms)}</b><span class="num">${bytes(one.size)}</span>
      <span class="faint">${gone ? `removed ${date(one.removed_ms)}` : ago(one.arrived_ms, this.file.now_ms)}</span><span class="faint num">${older ? change(older.size, one.size) : "first"}</span></button>${shown && this.details(one, gone)}</li>`;
  }

  details(one, gone) {
    const { device_id: device, path_encoded: path, id } = this.file;
    const then = link({ page: "files", device, folder: folderOf(path), at: one.arrived_ms, file: id, version: one.version });
    if (gone) return html`${one.held_until_ms > this.file.now_ms && html`<div class="acts"><button class="primary small" data-do="restore">${icon("retry")}Bring back</button></div>`}<dl class="facts"><dt>Removed</dt><dd>${date(one.removed_ms)} by <bdi>${show(one.removed_by)}</bdi></dd><dt>Held until</dt><dd>${date(one.held_until_ms)}</dd><dt>SHA-256</dt><dd class="wrap"><code>${one.hash}</code></dd></dl>`;
    const [newest, second] = this.file.versions.filter((other) => other.removed_ms === undefined);
    const beside = one === newest ? second : newest;
    return html`<div class="preview" id="preview" tabindex="0" role="group" aria-label="Preview"><p>Reading…</p></div>
      <div class="acts"><a class="button primary small" href="${address("download", { file_version_id: one.version })}" download>${icon("download")}Download</a>
        ${one !== newest && html`<button class="small" data-do="restore">${icon("retry")}Make it the newest</button>`}<a class="button small" href="${then}">${icon("clock")}Folder as of then</a>${beside && html`<a class="button small" id="compare" hidden href="${link({ page: "compare", file: id, a: beside.version, b: one.version, ...(newest !== one && { a: one.version, b: newest.version }) })}">${icon("file")}Compare</a>`}<button class="small" data-do="curl">${icon("terminal")}curl</button><button class="small" data-do="remove">${icon("trash")}Remove</button></div>
      <dl class="facts"><dt>Arrived</dt><dd>${exact(one.arrived_ms)}</dd><dt>Changed</dt><dd>${exact(one.changed_ms)}</dd>${one.mode && html`<dt>Mode</dt><dd>${one.mode}</dd>`}<dt>Version</dt><dd>${one.version}</dd><dt>SHA-256</dt><dd class="wrap"><code>${one.hash}</code></dd></dl>`;
  }

  newest() {
    return this.file.versions.find((one) => one.removed_ms === undefined);
  }

  // Bytes become text or a picture here, by what they are; nothing of a file is ever handed to the browser as a document.
  async preview() {
    const place = this.aside.querySelector("#preview");
    const one = this.shown;
    if (!place || one.size === 0) return place && render(html`<p>The file is empty.</p>`, place);
    const range = (to) => call("GET", "download", { query: { file_version_id: one.version }, headers: { Range: `bytes=0-${to - 1}` } });
    try {
      const head = new Uint8Array(await (await range(Math.min(one.size, TEXT_BYTES))).arrayBuffer());
      const kind = kindOf(head);
      if (!place.isConnected) return null;
      if (kind.show === "text") return this.text(place, head, one);
      if (kind.show === "image" && one.size <= IMAGE_BYTES_MAX) return await this.picture(place, head, kind.type, one, range);
      const src = address("preview", { file_version_id: one.version });
      if (kind.show === "pdf") return render(html`<iframe title="Preview" src="${src}"></iframe>`, place);
      if (kind.show === "audio") return render(html`<audio controls preload="metadata" src="${src}"></audio>`, place);
      if (kind.show === "video") return render(html`<video controls preload="metadata" src="${src}"></video>`, place);
      return render(html`<p>${kind.show === "image" ? "The picture is too large to be shown here." : "There is no preview for this kind of content."}</p>`, place);
    } catch (error) {
      return place.isConnected && render(html`<p>${error.message}</p>`, place);
    }
  }

  text(place, head, one) {
    this.aside.querySelector("#compare")?.removeAttribute("hidden");
    render(html`<pre></pre>${one.size > head.length && html`<p>The first ${bytes(head.length)} of ${bytes(one.size)}.</p>`}`, place);
    place.firstElementChild.textContent = new TextDecoder().decode(head);
  }

  async picture(place, head, type, one, range) {
    const whole = one.size > head.length ? await (await range(one.size)).arrayBuffer() : head;
    this.url = URL.createObjectURL(new Blob([whole], { type }));
    const image = new Image();
    image.alt = `Preview of ${show(lastName(this.file.path_encoded))}`;
    image.src = this.url;
    await image.decode().then(() => place.isConnected && place.replaceChildren(image), () => render(html`<p>The picture cannot be read.</p>`, place));
  }

  forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.version) this.tools.pick(button.dataset.version);
    const act = { close: () => this.tools.close(), curl: () => this.curl(), restore: () => this.restore(), remove: () => this.remove(), "remove-file": () => this.removeFile(), older: () => this.older() }[button.dataset.do];
    act?.();
  }

  curl() {
    const { version } = this.shown;
    const text = `${curl.download(location.origin, version, lastName(this.file.path_encoded))}\n\n${curl.restore(location.origin, version)}\n\n${curl.removeVersion(location.origin, version)}`;
    command({ title: "The same with curl", note: "The first line takes this version along, the second makes it the newest, the third removes it. $session is what a device's sign-in gave.", text });
  }

  // Nothing is sent, and the old version stays what it is.
  async restore() {
    try {
      await call("POST", "restore", { query: { file_version_id: this.shown.version } });
    } catch (error) {
      this.refused(error);
      return;
    }
    await this.again("Restored as the newest version");
    this.tools.pick(this.newest().version);
  }

  async remove() {
    const one = this.shown;
    const there = this.file.versions.filter((other) => other.removed_ms === undefined).length;
    const last = there === 1 ? " It is the last one, so the file leaves the list." : "";
    if (!(await confirm({ title: "Remove this version?", text: `The version of ${date(one.arrived_ms)}, ${bytes(one.size)}.${last} Nothing is erased yet: it is held for a while.`, yes: "Remove" }))) return;
    await this.change("version", { file_version_id: one.version });
  }

  async removeFile() {
    const name = show(lastName(this.file.path_encoded));
    if (!(await confirm({ title: "Remove this file?", text: `${name} leaves the list with all its versions. Nothing is erased yet: they are held for a while.`, yes: "Remove" }))) return;
    await this.change("file", { file_id: this.file.id });
  }

  async change(what, query) {
    try {
      await call("DELETE", what, { query });
    } catch (error) {
      this.refused(error);
      return;
    }
    const held = () => this.file.versions.filter((one) => one.removed_ms !== undefined).sort((one, other) => other.removed_ms - one.removed_ms)[0];
    await this.again(() => (held() ? `Removed, held until ${date(held().held_until_ms)}` : "Removed"));
  }

  refused(error) {
    this.aside.querySelector("header").insertAdjacentElement("afterend", render(html`${error.message}`, Object.assign(document.createElement("p"), { className: "note danger" })));
  }

  // Reads the file anew after a change, and says what has changed.
  async again(said) {
    this.file = await read("versions", { file_id: this.file.id, limit: PAGE });
    announce(typeof said === "function" ? said() : said);
    this.shown = this.file.versions.find((one) => one.version === this.shown.version) ?? this.file.versions[0];
    this.draw();
    this.aside.querySelector("[data-do=close]").focus();
    await this.tools.changed();
  }

  async older() {
    const page = await read("versions", { file_id: this.file.id, cursor: this.file.next, limit: PAGE });
    this.file = { ...page, versions: [...this.file.versions, ...page.versions] };
    this.draw();
  }
}

function closing() {
  return html`<button class="quiet square small" data-do="close" aria-label="Close versions">${icon("close")}</button>`;
}

function groups(versions) {
  const days = new Map();
  for (const one of versions) {
    const label = day(one.arrived_ms);
    days.set(label, [...(days.get(label) ?? []), one]);
  }
  return days;
}
