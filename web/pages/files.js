// A folder as of any moment: the tree, the list, and beside them the versions of one file.

import { address, call, read } from "../lib/api.js";
import { announce, command, confirm } from "../lib/dialog.js";
import { bytes, count, date, fromLocal, toLocal } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { crumbs, lastName, parent, show } from "../lib/path.js";
import * as curl from "../lib/curl.js";
import { go, link } from "../lib/route.js";
import { Basket, archive } from "./basket.js";
import { Tree } from "./tree.js";
import { Panel } from "./panel.js";

const FIRST_PAGE = 300;
const PAGE = 1000;
const SORTS = [["name", "Name"], ["size", "Size"], ["changed", "Changed"], ["versions", "Versions"]];

export class FilesPage {
  constructor(main, tools) {
    this.main = main;
    this.tools = tools;
    render(html`<div class="files"><nav class="tree" aria-label="Devices and folders"></nav><div class="middle">
      <div class="bar"><nav aria-label="Where you are"><h1 class="unseen">Files</h1><ol class="crumbs"></ol></nav><span class="faint num" id="total"></span>
        <button class="quiet" data-do="time" aria-label="As of…" title="As of…">${icon("clock")}<span>As of…</span></button><button class="quiet square" data-do="zip" aria-label="Download this folder as zip" title="Download this folder as zip">${icon("download")}</button><button class="quiet square" data-do="curl" aria-label="Copy as curl" title="Copy as curl">${icon("terminal")}</button><button class="primary" data-do="bring">${icon("upload")}Bring in</button></div>
      <div class="asof"></div><div class="basket" role="toolbar" aria-label="Selected" hidden></div><rb-list id="files"></rb-list></div><aside class="panel" hidden aria-label="Versions"></aside></div>`, main);
    this.list = main.querySelector("rb-list");
    this.panel = new Panel(main.querySelector(".panel"), { close: () => this.close(), changed: () => this.load(), pick: (version) => go({ ...this.route, version }, { replace: true }) });
    this.basket = new Basket(main.querySelector(".basket"), this.list, { route: () => this.route, changed: () => this.load() });
    main.querySelector(".bar").addEventListener("click", (event) => this.act(event));
    main.querySelector(".asof").addEventListener("change", (event) => this.travel(event));
    main.querySelector(".asof").addEventListener("click", (event) => this.act(event));
    this.list.addEventListener("click", (event) => this.sort(event));
    this.list.addEventListener("keydown", (event) => this.key(event));
  }

  async show(route) {
    const before = this.route ?? {};
    this.route = { ...route, folder: route.folder ?? "" };
    const same = ["device", "folder", "at", "removed", "sort", "order"].every((name) => (before[name] ?? "") === (this.route[name] ?? ""));
    if (!this.tree) {
      const { devices } = await read("overview");
      this.devices = devices.map((device) => device.device_id);
      this.tree = new Tree(this.main.querySelector(".tree"), this.devices);
    }
    if (!this.route.device) {
      if (this.devices.length > 0) return go({ page: "files", device: this.devices[0] }, { replace: true });
      return this.nothing();
    }
    document.title = `${show(this.route.folder ? lastName(this.route.folder) : this.route.device)} · RBackup`;
    if (!same) this.basket.empty();
    if (!same) await this.load({ fresh: true });
    else this.list.refresh();
    if (this.route.file) await this.panel.show(this.route);
    else this.panel.hide();
    this.list.measure();
    return this.tree.to(this.route);
  }

  nothing() {
    this.list.shape({ label: "Files", row: () => html`` });
    render(html`<div class="empty" role="row"><div role="gridcell">${icon("upload")}<h2>Nothing is kept here yet</h2><p>Drop files or a whole folder anywhere in this window, or choose them.</p></div></div>`, this.list.rows);
  }

  async load({ fresh = false } = {}) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.items = [];
    this.next = undefined;
    if (fresh) this.crumbs();
    try {
      await this.page(FIRST_PAGE, turn);
    } catch (error) {
      if (turn === this.turn) this.failed(error);
      return;
    }
    // A device's only way in is its root: one step less for everybody.
    const [only] = this.items;
    if (fresh && this.route.folder === "" && this.items.length === 1 && only.folder && !this.next && lastName(only.path_encoded) === "") {
      go({ ...this.route, folder: only.path_encoded }, { replace: true });
    }
  }

  async page(limit, turn) {
    const { device, folder, at, removed, sort, order } = this.route;
    const answer = await read("folder", { device_id: device, folder: { encoded: folder }, at, removed, sort, order, cursor: this.next, limit });
    if (turn !== this.turn) return;
    const first = this.next === undefined;
    this.items = this.items.concat(answer.folders.map((one) => ({ ...one, folder: true })), answer.files);
    this.next = answer.next;
    if (first) this.frame();
    if (!this.next && this.items.length <= FIRST_PAGE) this.items.sort(this.order());
    const chosen = first ? this.items.findIndex((item) => String(item.id) === this.route.file) : -1;
    this.list.set(this.items, { complete: !this.next, ...(first && { cursor: Math.max(0, chosen) }) });
    this.main.querySelector("#total").textContent = this.next ? `${count(this.items.length, "entry", "entries")} so far` : count(this.items.length, "entry", "entries");
    if (this.items.length === 0) this.empty();
  }

  // What fits into one page is sorted as people sort; more than that comes in the server's order.
  order() {
    const { sort = "name", order } = this.route;
    const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
    const value = { size: (item) => item.size, changed: (item) => item.changed_ms, versions: (item) => item.versions }[sort];
    const turned = order === "desc" ? -1 : 1;
    return (one, other) => {
      if (one.folder !== other.folder) return one.folder ? -1 : 1;
      const byName = names.compare(lastName(one.path_encoded), lastName(other.path_encoded));
      if (one.folder || !value) return (sort === "name" ? turned : 1) * byName;
      return turned * (value(one) - value(other)) || byName;
    };
  }

  frame() {
    const { sort = "name", order = "asc" } = this.route;
    const columns = SORTS.map(([name, label], nth) => html`<span role="columnheader" class="${nth === 1 || nth === 3 ? "right" : ""}" aria-sort="${sort === name ? (order === "asc" ? "ascending" : "descending") : "none"}"><button tabindex="-1" data-sort="${name}">${label}${sort === name && icon(order === "asc" ? "up" : "down")}</button></span>`);
    this.list.shape({
      label: `Files in ${show(this.route.folder ? lastName(this.route.folder) : this.route.device)}`,
      head: html`<div class="head" role="row">${columns}</div>`,
      row: (item) => row(item, this.route),
      open: (item) => this.open(item),
      more: () => this.more(),
      ticks: () => this.basket.show(),
      keyOf: (item) => (item.folder ? item.path_encoded : item.id),
    });
  }

  async more() {
    if (this.loading || !this.next) return;
    this.loading = true;
    await this.page(PAGE, this.turn).catch((error) => announce(error.message));
    this.loading = false;
    this.list.later();
  }

  open(item) {
    if (item.folder) go({ ...this.route, folder: item.path_encoded, file: "", version: "" });
    else go({ ...this.route, file: item.id, version: "" }, { replace: Boolean(this.route.file) });
  }

  close() {
    go({ ...this.route, file: "", version: "" }, { replace: true });
    this.list.focus();
  }

  empty() {
    const past = this.route.at || this.route.folder;
    this.list.rows.replaceChildren();
    render(html`<div class="empty" role="row"><div role="gridcell">${icon("folder")}<h2>${past ? "Nothing was here" : "Nothing is here"}</h2><p>${this.route.at ? "At this moment the folder was empty or had not come yet." : this.route.removed ? "This folder is empty." : "Files that were removed can be shown with “As of…”."}</p></div></div>`, this.list.rows);
  }

  failed(error) {
    render(html`<div class="empty" role="row"><div role="gridcell">${icon("alert")}<h2>This folder cannot be shown</h2><p>${error.message}</p><button data-again>${icon("retry")}Try again</button></div></div>`, this.list.rows ?? this.list);
    this.list.querySelector("[data-again]").addEventListener("click", () => this.load({ fresh: true }));
  }

  crumbs() {
    const { device, folder, at, removed } = this.route;
    const all = [{ folder: "", name: device }, ...crumbs(folder)];
    const parts = all.map((crumb, nth) => {
      const label = html`<bdi>${show(crumb.name)}</bdi>`;
      if (nth === all.length - 1) return html`<li><b class="name" aria-current="page">${label}</b></li>`;
      return html`<li><a class="name" href="${link({ page: "files", device, folder: crumb.folder, at, removed })}">${label}</a></li>`;
    });
    render(parts, this.main.querySelector(".crumbs"));
    this.travelBar(Boolean(at || removed));
  }

  travelBar(shown) {
    const { at, removed } = this.route;
    const moment = at ? Number(at) : Date.now();
    render(shown ? html`<b>${at ? `As of ${date(moment)}` : "As of"}</b>
      <label><span class="unseen">Moment</span><input type="datetime-local" step="1" value="${toLocal(moment)}" max="${toLocal(Date.now() + 60000)}"></label>
      <label class="check"><input type="checkbox" ${removed ? "checked" : ""}><span>Show removed files</span></label>
      <span class="push"></span><button class="small" data-do="now">${at ? "Back to now" : "Close"}</button>` : html``, this.main.querySelector(".asof"));
    this.main.querySelector(".asof").classList.toggle("now", !at);
  }

  travel(event) {
    const at = event.target.type === "datetime-local" ? fromLocal(event.target.value) : this.route.at;
    const removed = event.target.type === "checkbox" ? (event.target.checked ? "yes" : "") : this.route.removed;
    if (at !== null) go({ ...this.route, at, removed });
  }

  act(event) {
    const what = event.target.closest("button")?.dataset.do;
    if (what === "time") {
      this.travelBar(true);
      this.main.querySelector(".asof input").focus();
    }
    if (what === "now") {
      if (this.route.at || this.route.removed) go({ ...this.route, at: "", removed: "" });
      else this.travelBar(false);
    }
    if (what === "bring") this.tools.bringIn();
    if (what === "zip") location.assign(archive(this.route));
    if (what === "curl") this.curl();
  }

  curl() {
    const { device, folder, at, removed } = this.route;
    const list = address("folder", { device_id: device, folder: { encoded: folder }, at, removed });
    const text = `${curl.signIn(location.origin, this.tools.account, device)}\n\n${curl.read(location.origin, list)}\n\n${curl.archive(location.origin, archive(this.route))}\n\n${curl.upload(location.origin, folder)}`;
    command({ title: "The same with curl", note: "Sign the device in once, which ends the session it had; then list this folder, take it along as zip, or send a file into it.", text });
  }

  sort(event) {
    const name = event.target.closest("[data-sort]")?.dataset.sort;
    if (!name) return;
    const turned = (this.route.sort ?? "name") === name ? this.route.order !== "desc" : name !== "name";
    go({ ...this.route, sort: name === "name" ? "" : name, order: turned ? "desc" : "" }, { replace: true });
  }

  key(event) {
    const item = this.items?.[this.list.cursor];
    if (event.target !== this.list || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace" || event.key === "u") this.up();
    else if (event.key === "a") this.list.tick(this.items, this.list.ticked.size < this.items.length);
    else if (event.key === "d" && (this.list.ticked.size > 0 || item?.folder)) location.assign(archive(this.route, this.list.ticked.size > 0 ? this.basket.items : [item]));
    else if (event.key === "r" && (this.list.ticked.size > 0 || item)) this.bringBack(item);
    else if (event.key === "d" && item) location.assign(address("download", { file_version_id: item.version }));
    else if (event.key === "v" && item && !item.folder) this.open(item);
    else if (event.key === "Delete" && item && !item.folder && !item.removed_ms) this.remove(item);
    else return;
    event.preventDefault();
  }

  bringBack(item) {
    const gone = (this.list.ticked.size > 0 ? this.basket.items : [item]).filter((one) => one.removed_ms);
    if (gone.length > 0) this.basket.bringBack(gone);
  }

  up() {
    const { folder } = this.route;
    if (folder !== "") go({ ...this.route, folder: parent(folder), file: "", version: "" });
  }

  async remove(item) {
    const name = show(lastName(item.path_encoded));
    if (!(await confirm({ title: "Remove this file?", text: `${name} leaves the list with ${count(item.versions, "version")}. Nothing is erased yet: removed versions are held for a while.`, yes: "Remove" }))) return;
    await call("DELETE", "file", { query: { file_id: item.id } }).then(() => announce(`${name} removed`), (error) => announce(error.message));
    await this.load();
    this.list.focus();
  }
}

function row(item, route) {
  const name = lastName(item.path_encoded);
  const tick = html`<button class="tick" data-tick tabindex="-1" aria-label="Select ${show(name)}">${icon(item.folder ? "folder" : "file")}<span></span></button>`;
  if (item.folder) {
    return html`<div class="line folder ${item.removed ? "gone" : ""}" role="row"><span class="first" role="gridcell">${tick}<span class="name"><bdi>${show(name)}</bdi></span>${item.removed && html`<span class="tag">removed</span>`}</span><span role="gridcell" class="c2"></span><span role="gridcell" class="c3"></span><span role="gridcell" class="c4"></span></div>`;
  }
  const chosen = String(item.id) === route.file;
  return html`<div class="line ${item.removed_ms ? "gone" : ""} ${chosen ? "chosen" : ""}" role="row"><span class="first" role="gridcell">${tick}<span class="name"><bdi>${name === "" ? "(no name)" : show(name)}</bdi></span>${item.removed_ms && html`<span class="tag">removed</span>`}</span>
    <span class="right num c2" role="gridcell">${bytes(item.size)}</span><span class="num c3" role="gridcell">${date(item.changed_ms)}</span><span class="right num c4" role="gridcell">${item.versions || ""}</span></div>`;
}
