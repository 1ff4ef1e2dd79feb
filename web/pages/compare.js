// Two versions of a text side by side. What both have is folded, and can be opened.

import { call, read } from "../lib/api.js";
import { compare, inside, runs, split } from "../lib/diff.js";
import { bytes, count, date } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { kindOf } from "../lib/kind.js";
import { folderOf, lastName, show } from "../lib/path.js";
import { go, link } from "../lib/route.js";

const TEXT_BYTES_MAX = 1 << 20;
const ROWS_MAX = 5000;

export async function comparePage(main, { route, signal }) {
  const file = await read("versions", { file_id: route.file, limit: 200 }, { signal });
  const living = file.versions.filter((one) => one.removed_ms === undefined);
  const pick = (version) => living.find((one) => String(one.version) === version);
  const [old, now] = [pick(route.a), pick(route.b)];
  const name = show(lastName(file.path_encoded));
  document.title = `${name}, compared · RBackup`;
  const choice = (label, key, chosen) => html`<label><span>${label}</span><select data-side="${key}">${living.map((one) => html`<option value="${one.version}" ${one === chosen ? "selected" : ""}>${date(one.arrived_ms)}, ${bytes(one.size)}</option>`)}</select></label>`;
  render(html`<div class="page wide"><h1 class="wrap"><bdi>${name}</bdi></h1>
    <p><a href="${link({ page: "files", device: file.device_id, folder: folderOf(file.path_encoded), file: file.id, version: route.b })}">Back to its versions</a></p>
    <div class="sides">${choice("Before", "a", old)}${choice("After", "b", now)}</div><div id="compared" aria-live="polite"><p class="faint">Reading…</p></div></div>`, main);
  main.querySelector(".sides").addEventListener("change", ({ target }) => go({ ...route, [target.dataset.side]: target.value }, { replace: true }));
  const place = main.querySelector("#compared");
  if (!old || !now) return void render(html`<p class="note">One of the two versions is not there any more.</p>`, place);
  const texts = await Promise.all([old, now].map((one) => text(one, signal)));
  const why = texts.find((one) => one.why)?.why;
  if (why) return void render(html`<p class="note">${why}</p>`, place);
  return draw(place, split(texts[0].text), split(texts[1].text));
}

async function text(one, signal) {
  if (one.size > TEXT_BYTES_MAX) return { why: `Texts are compared up to ${bytes(TEXT_BYTES_MAX)}; the version of ${date(one.arrived_ms)} is larger.` };
  const content = new Uint8Array(await (await call("GET", "download", { query: { file_version_id: one.version }, signal })).arrayBuffer());
  if (content.length > 0 && kindOf(content).show !== "text") return { why: `The version of ${date(one.arrived_ms)} is no text.` };
  return { text: new TextDecoder().decode(content) };
}

function draw(place, old, now) {
  const rows = compare(old, now);
  const changed = rows.filter(([, , same]) => !same);
  if (changed.length === 0) return void render(html`<div class="card empty">${icon("check")}<h2>Both are the same</h2><p>${count(old.length, "line")}, and none differs.</p></div>`, place);
  const parts = runs(rows);
  const said = `${count(changed.filter(([, nth]) => nth !== null).length, "line")} added or changed, ${changed.filter(([nth]) => nth !== null).length} removed or changed`;
  let left = ROWS_MAX;
  const shown = parts.map((part, nth) => {
    if (part.far) return html`<tbody><tr class="fold"><td colspan="4"><button class="quiet small" data-run="${nth}">${count(part.rows.length, "line")} that both have</button></td></tr></tbody>`;
    const some = part.rows.slice(0, Math.max(0, left));
    left -= part.rows.length;
    return html`<tbody>${some.map((row) => line(row, old, now))}</tbody>`;
  });
  render(html`<p class="faint">${said}.${left < 0 && html` The first ${ROWS_MAX} are shown.`}</p><table class="diff"><colgroup><col class="nth"><col><col class="nth"><col></colgroup><thead><tr><th><span class="unseen">Line</span></th><th>Before</th><th><span class="unseen">Line</span></th><th>After</th></tr></thead>${shown}</table>`, place);
  place.addEventListener("click", ({ target }) => {
    const run = target.closest("[data-run]");
    if (run) render(parts[run.dataset.run].rows.slice(0, ROWS_MAX).map((row) => line(row, old, now)), run.closest("tbody"));
  });
}

function line([one, other, same], old, now) {
  const both = !same && one !== null && other !== null;
  const [first, last] = both ? inside(old[one], now[other]) : [0, 0];
  const side = (nth, lines, sign) => {
    if (nth === null) return html`<td class="nth"></td><td class="none"></td>`;
    const words = both ? html`${seen(lines[nth].slice(0, first))}<mark>${seen(lines[nth].slice(first, lines[nth].length - last))}</mark>${seen(lines[nth].slice(lines[nth].length - last))}` : seen(lines[nth]);
    return html`<td class="nth">${nth + 1}</td><td class="${same ? "" : sign}">${!same && html`<span class="sign">${sign === "old" ? "−" : "+"}</span>`}${words}</td>`;
  };
  return html`<tr class="${same ? "same" : ""}">${side(one, old, "old")}${side(other, now, "new")}</tr>`;
}

// As it stands there, with what shows nothing or turns the order of letters made visible.
function seen(text) {
  return text.split("\t").map((part) => part && show(part)).join("\t");
}
