// What is ticked in a folder: taken along as one archive, or brought back.

import { address, call } from "../lib/api.js";
import { announce, command } from "../lib/dialog.js";
import * as curl from "../lib/curl.js";
import { bytes, count } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";

// The server takes no more by name; the folder itself has no such bound.
const SELECTED_MAX = 2000;

// Where an archive of a folder, or of some things in it, comes from.
export function archive({ device, folder, at }, items = []) {
  const folders = items.filter((item) => item.folder).map((item) => item.path_encoded);
  const files = items.filter((item) => !item.folder).map((item) => item.id);
  return address("zip", { device_id: device, folder: { encoded: folder }, files: files.join(","), folders: { encoded: folders.join("%00") }, at });
}

export class Basket {
  constructor(place, list, { route, changed }) {
    Object.assign(this, { place, list, route, changed });
    place.addEventListener("click", (event) => this.click(event));
  }

  get items() {
    return [...this.list.ticked.values()];
  }

  empty() {
    this.list.tick(this.items, false);
  }

  show() {
    const { items } = this;
    this.place.hidden = items.length === 0;
    if (items.length === 0) return;
    const files = items.filter((item) => !item.folder);
    const gone = files.filter((item) => item.removed_ms);
    const sum = files.reduce((all, item) => all + item.size, 0);
    const words = [files.length && count(files.length, "file"), items.length > files.length && count(items.length - files.length, "folder")].filter(Boolean).join(" and ");
    const many = items.length > SELECTED_MAX;
    render(html`<b>${words}</b><span class="num">${files.length > 0 && bytes(sum)}</span><span class="push"></span>
      ${many ? html`<span>At most ${SELECTED_MAX} can be picked; take the folder.</span>` : gone.length < items.length && html`<a class="button primary small" href="${archive(this.route(), items)}" download>${icon("download")}Download as zip</a><button class="small" data-do="curl">${icon("terminal")}curl</button>`}
      ${gone.length > 0 && html`<button class="small" data-do="back">${icon("retry")}Bring back</button>`}
      <button class="small quiet" data-do="none">Clear</button>`, this.place);
    announce(`${words} selected`);
  }

  click(event) {
    const what = event.target.closest("button")?.dataset.do;
    if (what === "none") {
      this.empty();
      this.list.focus();
    }
    if (what === "curl") command({ title: "The same with curl", note: "$session is what a device's sign-in gave.", text: curl.archive(location.origin, archive(this.route(), this.items)) });
    if (what === "back") this.bringBack(this.items.filter((item) => item.removed_ms));
  }

  // One after the other; what cannot be brought back is said, and the others come all the same.
  async bringBack(items) {
    const failed = [];
    for (const item of items) await call("POST", "restore", { query: { file_version_id: item.version } }).catch((error) => failed.push(error.message));
    announce(failed.length > 0 ? `${count(failed.length, "file")} could not be brought back: ${failed[0]}` : `${count(items.length, "file")} brought back`);
    this.empty();
    await this.changed();
    this.list.focus();
  }
}
