// The account's own affairs: who is signed in, tokens for programs, repositories of restic's, the password, invitations.

import { call, read } from "../lib/api.js";
import { announce, command, confirm, open } from "../lib/dialog.js";
import * as curl from "../lib/curl.js";
import { ago, bytes, count, date } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { show } from "../lib/path.js";
import { newPassword, onSubmit, signInWith } from "./gate.js";

// What a token is for, and what that takes.
export const PURPOSES = [
  { name: "send", label: "Send files", scopes: ["append"], note: "Adds new versions, and can neither read nor remove any." },
  { name: "restic", label: "restic backups", scopes: ["append"], restic: true, note: "Backs up and restores; forget and prune are refused." },
  { name: "prune", label: "restic with prune", scopes: ["append", "delete"], restic: true, note: "May also forget and prune." },
  { name: "read", label: "Look and restore", scopes: ["restore"], note: "Lists and downloads, and changes nothing." },
];
const moment = (text) => Date.parse(`${text}Z`);

export async function accountPage(main, { account, hello }) {
  document.title = "Account · RBackup";
  const [sessions, tokens, repos, overview] = await Promise.all([read("sessions"), read("tokens"), read("repos"), read("overview")]);
  const page = new Page(main, { account, devices: overview.devices.map((device) => device.device_id) });
  render(html`<div class="page narrow"><h1 class="wrap"><bdi>${show(account)}</bdi></h1>
    <section class="section"><header><h2>Signed in</h2><button class="small" data-do="everywhere">Sign out everywhere</button></header><ul class="plain">${sessions.map((one) => session(one))}</ul></section>
    <section class="section"><header><h2>Tokens</h2><button class="small primary" data-do="token">Make a token</button></header>${tokens.length > 0 ? html`<ul class="plain">${tokens.map((one) => token(one))}</ul>` : html`<p class="faint">For cron jobs and restic: each may do one thing, and is revoked alone.</p>`}</section>
    <section class="section"><header><h2>restic repositories</h2></header>${repos.length > 0 ? html`<ul class="plain">${repos.map((one) => repository(one))}</ul>` : html`<p class="faint">None yet. <code>restic init</code> makes one at <code class="wrap">${curl.resticAddress(location.origin, "NAME")}</code></p>`}</section>
    <section class="section"><h2>Password</h2><form class="card stack" id="password"><input type="hidden" name="username" autocomplete="username" value="${account}">
      <label><span>Present password</span><input name="password" type="password" required autocomplete="current-password"></label>${newPassword}
      <label class="check"><input type="checkbox" name="revoke_tokens" value="true"><span>Revoke all tokens too</span></label>
      <p class="faint">Every other device and browser is signed out. Files and the recovery code stay as they are.</p><p class="note danger" role="alert" hidden></p><div><button class="primary">Change the password</button></div></form></section>
    ${overview.administrator && hello.registration === "invite" && html`<section class="section"><header><h2>Invitations</h2><button class="small" data-do="invite">Invite somebody</button></header><p class="faint">A code lets one person make an account of their own. Nobody sees another's files.</p></section>`}</div>`, main);
  onSubmit(main.querySelector("#password"), (form) => page.password(form));
  main.querySelector(".page").addEventListener("click", (event) => page.click(event));
}

function session(one) {
  const used = one.last_used ? `last used ${ago(moment(one.last_used), Date.now())}` : "not used yet";
  return html`<li data-session="${one.id}"><b class="wrap row">${icon(one.browser ? "person" : "device")}<bdi>${show(one.device_id)}</bdi>${one.current && html`<span class="tag ok">this browser</span>`}</b>
    <span class="sub wrap">${one.browser ? "Browser" : "Device"} · since ${date(moment(one.created))} · ${used}${one.address && html` from <bdi>${show(one.address)}</bdi>`}${one.user_agent && html`<bdi class="agent" title="${one.user_agent}">${show(one.user_agent)}</bdi>`}</span>
    <span class="side">${!one.current && html`<button class="small" data-end="${one.id}" aria-label="Sign out ${show(one.device_id)}">Sign out</button>`}</span></li>`;
}

function token(one) {
  const where = [one.device_id && `on ${show(one.device_id)}`, one.path && `below ${show(one.path)}`].filter(Boolean).join(" ");
  const used = one.last_used ? `last used ${ago(moment(one.last_used), Date.now())}` : "never used";
  return html`<li><b class="wrap row"><bdi>${show(one.name)}</bdi>${one.scopes.map((scope) => html`<span class="tag">${scope}</span>`)}</b>
    <span class="sub wrap">${where && html`<bdi>${where}</bdi> · `}made ${date(moment(one.created))} · ${one.expires ? `until ${date(moment(one.expires))}` : "without an end"} · ${used}</span>
    <span class="side"><button class="small" data-revoke="${one.id}" data-name="${one.name}" aria-label="Revoke ${show(one.name)}">Revoke</button></span></li>`;
}

function repository(one) {
  return html`<li><b class="wrap"><bdi>${show(one.name)}</bdi></b><span class="sub">${count(one.snapshots, "snapshot")} · ${bytes(one.bytes)}</span><span class="sub wrap"><code>${curl.resticAddress(location.origin, one.name)}</code></span>
    <span class="side"><button class="small" data-repo="${one.name}">${icon("terminal")}Copy</button></span></li>`;
}

class Page {
  constructor(main, { account, devices }) {
    Object.assign(this, { main, account, devices });
  }

  again() {
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  async click(event) {
    const { dataset } = event.target.closest("button") ?? { dataset: {} };
    if (dataset.end) await this.change("sessions", dataset.end, "Signed out");
    if (dataset.revoke && (await confirm({ title: "Revoke this token?", text: `${show(dataset.name)} is refused from now on, and whatever uses it stops.`, yes: "Revoke" }))) await this.change("tokens", dataset.revoke, "Revoked");
    if (dataset.repo !== undefined) command({ title: "Reach it with restic", note: "TOKEN is one that was made for restic; restic then asks for the repository's own password.", text: curl.restic(location.origin, this.account, dataset.repo, "TOKEN") });
    const act = { everywhere: () => this.everywhere(), token: () => this.token(), invite: () => this.invite() }[dataset.do];
    await act?.();
  }

  async change(what, id, said) {
    await call("DELETE", what, { query: { id } }).then(() => announce(said), (error) => announce(error.message));
    this.again();
  }

  async everywhere() {
    if (!(await confirm({ title: "Sign out everywhere?", text: "Every device and browser has to sign in again, this one too. Tokens go on.", yes: "Sign out" }))) return;
    await call("DELETE", "sessions", { query: { id: "all" } }).catch((error) => announce(error.message));
    location.reload();
  }

  async password(form) {
    const { again, ...json } = Object.fromEntries(new FormData(form));
    if (json.new_password !== again) throw new Error("The two passwords are not the same.");
    const ended = await (await call("POST", "account/password", { json, quiet: true })).json();
    await signInWith(json.username, json.new_password);
    announce("The password was changed");
    this.again();
    const { dialog } = open(html`<div class="sheet"><h2>The password was changed</h2><p>${count(Math.max(0, ended.sessions_ended - 1), "other session")} ended${ended.tokens_revoked > 0 && html`, and ${count(ended.tokens_revoked, "token")}`}.</p><footer><button class="primary" data-close>Close</button></footer></div>`);
    dialog.querySelector("button").focus();
  }

  token() {
    const { dialog } = open(html`<form class="sheet"><h2>Make a token</h2>
      <label><span>What it is called</span><input name="name" required maxlength="100" placeholder="nightly backup"></label>
      <fieldset><legend>What it may do</legend>${PURPOSES.map((one, nth) => html`<label class="choice"><input type="radio" name="purpose" value="${one.name}" ${nth === 0 ? "checked" : ""}><span><b>${one.label}</b><br><span class="faint">${one.note}</span></span></label>`)}</fieldset>
      <label><span>For the device</span><select name="device_id">${this.devices.map((name) => html`<option value="${name}">${show(name)}</option>`)}<option value="">any device</option></select></label>
      <label><span>Ends after</span><select name="expires_days"><option value="">never</option><option value="30">30 days</option><option value="365" selected>a year</option></select></label>
      <p class="note danger" role="alert" hidden></p><footer><button type="button" data-close>Cancel</button><button class="primary">Make it</button></footer></form>`);
    const form = dialog.querySelector("form");
    form.elements.name.focus();
    onSubmit(form, async () => {
      const { name, purpose, device_id, expires_days } = Object.fromEntries(new FormData(form));
      const use = PURPOSES.find((one) => one.name === purpose);
      const device = use.restic ? "" : device_id;
      const made = await (await call("POST", "tokens", { json: { name, scopes: use.scopes, ...(device && { device_id: device }), ...(expires_days && { expires_days: Number(expires_days) }) } })).json();
      dialog.close();
      this.shown(use, device, made.token);
      this.again();
    });
  }

  // The only time it is ever shown.
  shown(use, device, token) {
    const line = use.restic ? curl.restic(location.origin, this.account, "NAME", token) : curl.withToken(location.origin, token, device, use.name);
    command({ title: "Your new token", note: "It is shown once. The line below is ready to be used; the token is the long word in it.", text: line });
  }

  async invite() {
    const { invite, expires } = await (await call("POST", "invites")).json();
    command({ title: "An invitation", note: `It lets one person make an account at ${location.origin} until ${date(moment(expires))}, and is shown once.`, text: invite });
  }
}
