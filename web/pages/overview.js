// Is everything safe? One sentence that says what is known and no more, then each device, the repositories, and what came last.

import { read } from "../lib/api.js";
import { restic } from "../lib/curl.js";
import { command } from "../lib/dialog.js";
import { ago, bytes, count, date } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { decode, folderOf, lastName, show } from "../lib/path.js";
import { link } from "../lib/route.js";

const DAY_MS = 24 * 60 * 60 * 1000;
// Nobody has said how often a device should send; after so many days without anything it is worth a look.
const SILENT_DAYS = 7;

// The sentence, and whether something is worth a look. Pure.
export function verdict(devices, now) {
  const sending = devices.filter((device) => device.last_upload_ms !== undefined);
  if (sending.length === 0) return { ok: true, empty: true, title: "Nothing is kept here yet.", text: "Bring in files below, or send them from a device with curl or restic." };
  const newest = sending.reduce((one, other) => (other.last_upload_ms > one.last_upload_ms ? other : one));
  const silent = sending.filter((device) => now - device.last_upload_ms > SILENT_DAYS * DAY_MS);
  const files = sending.reduce((sum, device) => sum + device.files, 0);
  const text = `${count(files, "file")} from ${count(sending.length, "device")}. The newest came ${ago(newest.last_upload_ms, now)} from ${newest.device_id}.`;
  if (silent.length === 0) return { ok: true, title: `${["", "Your device has", "Both devices have"][sending.length] ?? `All ${sending.length} devices have`} sent something this week.`, text };
  const [first] = silent;
  const title = silent.length === 1 ? `${first.device_id} has been silent since ${new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(first.last_upload_ms)}.` : `${silent.length} of ${sending.length} devices have been silent for more than a week.`;
  return { ok: false, title, text };
}

export async function overviewPage(main, { bringIn }) {
  document.title = "Overview · RBackup";
  const [overview, repos] = await Promise.all([read("overview"), read("repos")]);
  const now = Math.max(overview.counted_ms, Date.now());
  const said = verdict(overview.devices, now);
  render(html`<div class="page"><div class="verdict ${said.ok ? "" : "warn"}"><span class="mark">${icon(said.empty ? "upload" : said.ok ? "check" : "clock")}</span>
      <div><h1 class="wrap">${said.title}</h1><p class="wrap">${said.text}</p></div></div>
    ${said.empty ? beginning() : html`<div class="cards">${overview.devices.map((device) => card(device, now))}</div>`}
    ${repos.length > 0 && html`<section class="section"><h2>restic repositories</h2><ul class="plain">${repos.map((repo) => repository(repo, now))}</ul></section>`}
    ${overview.recent.length > 0 && html`<section class="section"><h2>Came in last</h2><ul class="plain">${overview.recent.map((one) => recent(one, now))}</ul></section>`}
    </div>`, main);
  main.querySelector("[data-do=bring]")?.addEventListener("click", bringIn);
  main.querySelectorAll("[data-repo]").forEach((button) => button.addEventListener("click", () => addressOf(button.dataset.repo, overview.account)));
}

function beginning() {
  return html`<div class="card empty">${icon("upload")}<h2>Bring in your first files</h2><p>Drop files or a whole folder anywhere in this window, or choose them. Each is read, sent, and compared with its SHA-256 before it counts as stored.</p>
    <button class="primary" data-do="bring">${icon("upload")}Choose files</button></div>`;
}

function card(device, now) {
  const silent = device.last_upload_ms !== undefined && now - device.last_upload_ms > SILENT_DAYS * DAY_MS;
  return html`<a class="card device" href="${link({ page: "files", device: device.device_id })}">
    <header>${icon("device")}<h2 class="name"><bdi>${show(device.device_id)}</bdi></h2><span class="push"></span>${state(device, silent)}</header>
    <dl class="figures"><div><dt>Last upload</dt><dd title="${device.last_upload_ms && date(device.last_upload_ms)}">${device.last_upload_ms === undefined ? "never" : ago(device.last_upload_ms, now)}</dd></div>
      <div><dt>Files</dt><dd>${new Intl.NumberFormat().format(device.files)}</dd></div><div><dt>Size</dt><dd>${bytes(device.bytes)}</dd></div></dl>
    ${strip(device)}</a>`;
}

function state(device, silent) {
  if (device.last_upload_ms === undefined) return html`<span class="tag">${icon("clock")}nothing yet</span>`;
  return silent ? html`<span class="tag warn">${icon("clock")}silent</span>` : html`<span class="tag ok">${icon("check")}this week</span>`;
}

// One bar for each of the last 30 days; heights by the logarithm, so that one large day hides no small one.
function strip(device) {
  const most = Math.log1p(Math.max(1, ...device.days));
  const active = device.days.filter((uploads) => uploads > 0).length;
  const bars = device.days.map((uploads, day) => {
    const height = uploads === 0 ? 2 : 5 + Math.round((Math.log1p(uploads) / most) * 27);
    return html`<rect class="${uploads > 0 ? "on" : ""}" x="${day * 10}" y="${34 - height}" width="7" height="${height}" rx="1.5"></rect>`;
  });
  return html`<svg class="strip" viewBox="0 0 297 34" preserveAspectRatio="none" role="img" aria-label="Uploads on ${active} of the last 30 days">${bars}</svg>`;
}

function repository(repo, now) {
  const last = repo.last_write ? `last write ${ago(Date.parse(`${repo.last_write}Z`), now)}` : "empty";
  const locks = repo.locks.length > 0 ? ` · ${count(repo.locks.length, "lock")}` : "";
  return html`<li><b class="wrap"><bdi>${show(repo.name)}</bdi></b><span class="sub">${count(repo.snapshots, "snapshot")} · ${bytes(repo.bytes)} · ${last}${locks}</span>
    <span class="side"><button class="small" data-repo="${repo.name}">${icon("terminal")}Address</button></span></li>`;
}

function addressOf(name, account) {
  command({ title: "Reach it with restic", note: "TOKEN is one that was made for restic, with the account's sessions; restic then asks for the repository's own password.", text: restic(location.origin, account, name, "TOKEN") });
}

function recent(one, now) {
  return html`<li><a class="name" href="${link({ page: "files", device: one.device_id, file: one.file_id, version: one.version })}"><bdi>${show(lastName(one.path_encoded))}</bdi></a>
    <span class="sub wrap"><bdi>${show(one.device_id)}</bdi> · <bdi>${show(decode(folderOf(one.path_encoded)))}</bdi> · ${one.first ? "new file" : "new version"} · ${bytes(one.size)}</span><span class="side faint num" title="${date(one.arrived_ms)}">${ago(one.arrived_ms, now)}</span></li>`;
}
