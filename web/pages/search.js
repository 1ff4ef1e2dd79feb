// Files by name, in all devices, removed ones too. The server reads all names; what it has found is shown while it goes on.

import { read } from "../lib/api.js";
import { announce } from "../lib/dialog.js";
import { bytes, count, date } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { folderOf, decode, lastName, show } from "../lib/path.js";
import { go } from "../lib/route.js";

const PAGE = 500;

export async function searchPage(main, { route, signal }) {
  const q = (route.q ?? "").trim();
  document.title = `${q || "Search"} · RBackup`;
  if (q === "") {
    render(html`<div class="page">${hint()}</div>`, main);
    return;
  }
  render(html`<div class="files single"><div class="middle"><div class="bar"><h1 class="wrap">Files called “<bdi>${show(q)}</bdi>”</h1><span class="faint push" id="found">Looking…</span></div><rb-list id="results"></rb-list></div></div>`, main);
  const list = main.querySelector("rb-list");
  const found = [];
  let next;
  let looked = 0;
  let loading = null;
  const more = () => (loading ??= load().finally(() => {
    loading = null;
  }));
  const load = async () => {
    try {
      const before = found.length;
      do {
        const page = await read("search", { q, cursor: next, limit: PAGE }, { signal });
        found.push(...page.matches);
        looked += page.looked_at;
        next = page.next;
        tell();
      } while (next && found.length === before);
      list.set(found, { complete: !next });
    } catch (error) {
      if (error.name !== "AbortError") render(html`<span class="note danger">${error.message}</span>`, main.querySelector("#found"));
    }
  };
  const tell = () => {
    const names = count(looked, "name");
    main.querySelector("#found").textContent = next ? `${found.length} so far, ${names} looked at` : `${found.length} of ${names}`;
  };
  const head = html`<div class="head tall" role="row">${["Name", "Size", "Changed", "Device"].map((label, nth) => html`<span role="columnheader" class="${nth % 2 === 1 ? "right" : ""}">${label}</span>`)}</div>`;
  list.shape({ label: `Files called ${q}`, head, row, more, open: (item) => go({ page: "files", device: item.device_id, folder: folderOf(item.path_encoded), file: item.id, removed: item.removed_ms ? "yes" : "" }) });
  await more();
  announce(`${count(found.length, "file")} found`);
  if (found.length === 0 && !next) render(html`<div class="empty" role="row"><div role="gridcell">${icon("search")}<h2>No file is called that</h2><p>Words are looked for in names; with a slash in it, a word is looked for in whole paths. <code>ext:pdf</code> and <code>device:name</code> narrow it down.</p></div></div>`, list.rows);
}

function row(item) {
  const folder = folderOf(item.path_encoded);
  return html`<div class="line tall ${item.removed_ms ? "gone" : ""}" role="row"><span class="first" role="gridcell">${icon("file")}<span class="name"><bdi>${show(lastName(item.path_encoded))}</bdi> <span class="faint"><bdi>${show(decode(folder))}</bdi></span></span></span>
    <span class="right num c2" role="gridcell">${bytes(item.size)}</span><span class="num c3" role="gridcell">${date(item.changed_ms)}</span><span class="name right c4" role="gridcell"><bdi>${show(item.device_id)}</bdi></span></div>`;
}

function hint() {
  return html`<div class="empty">${icon("search")}<h2>Find a file by its name</h2><p>Type above. All devices are searched, and removed files too. <code>ext:pdf</code> asks for an ending, <code>device:name</code> for a device, and a word with a slash is looked for in whole paths.</p></div>`;
}
