// The way in: the first account, signing in, and signing in again over whatever was open.

import { call } from "../lib/api.js";
import { announce, open } from "../lib/dialog.js";
import { element, html, render } from "../lib/html.js";

const BROWSER = "rbackup-browser";
const ACCOUNT = "rbackup-account";

// What this browser is called: what was typed the last time, else what it says of itself.
function browserName() {
  const known = localStorage.getItem(BROWSER);
  if (known) return known;
  const agent = navigator.userAgent;
  const name = ["Firefox", "Edg", "OPR", "Chrome", "Safari"].find((word) => agent.includes(word)) ?? "Browser";
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac", "Linux"].find((word) => agent.includes(word));
  return `${name === "Edg" ? "Edge" : name === "OPR" ? "Opera" : name}${system ? ` on ${system}` : ""}`;
}

async function signIn(form) {
  const values = Object.fromEntries(new FormData(form));
  const json = { username: values.username, password: values.password, device_id: values.browser };
  const answer = await (await call("POST", "session", { json, quiet: true })).json();
  localStorage.setItem(BROWSER, values.browser);
  localStorage.setItem(ACCOUNT, values.username);
  return answer;
}

// Runs what a form is for; a refusal is said beside it, and what was typed stays.
function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.primary");
    button.disabled = true;
    const said = form.querySelector("[role=alert]");
    said.hidden = true;
    try {
      await work(form);
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
      form.querySelector("input[type=password]")?.select();
    }
    button.disabled = false;
  });
}

const brand = html`<p class="brand"><img src="/favicon.ico" alt="" width="28" height="28"><span>RBackup</span></p>`;
const refused = html`<p class="note danger" role="alert" hidden></p>`;

function fields({ account, fixed = false, fresh = false }) {
  return html`<label><span>Name</span><input name="username" required autocomplete="username" autocapitalize="none" spellcheck="false" value="${account}" ${fixed ? "readonly" : ""}></label>
    <label><span>Password</span><input name="password" type="password" required ${fresh ? "" : "autofocus"} minlength="${fresh ? 8 : 1}" autocomplete="${fresh ? "new-password" : "current-password"}"></label>
    ${fresh && html`<label><span>Password again</span><input name="again" type="password" required autocomplete="new-password"></label>`}
    <label><span>This browser is called</span><input name="browser" required maxlength="120" value="${browserName()}"></label>`;
}

export function signInPage(app, done) {
  const account = localStorage.getItem(ACCOUNT) ?? "";
  render(html`<main class="gate"><form class="card stack">${brand}<h1>Sign in</h1>${fields({ account })}${refused}
    <button class="primary">Sign in</button></form></main>`, app);
  const form = app.querySelector("form");
  form.elements[account ? "password" : "username"].focus();
  onSubmit(form, async () => done(await signIn(form)));
}

export function firstRunPage(app, done) {
  render(html`<main class="gate"><form class="card stack">${brand}<h1>Welcome</h1>
    <p class="faint">Nobody has an account here yet. The first one also looks after the server.</p>
    ${fields({ account: "", fresh: true })}${refused}<button class="primary">Create the account</button></form></main>`, app);
  const form = app.querySelector("form");
  form.elements.username.focus();
  onSubmit(form, async () => {
    const { username, password, again } = Object.fromEntries(new FormData(form));
    if (password !== again) throw new Error("The two passwords are not the same.");
    const made = await (await call("POST", "/account/register", { json: { username, password }, quiet: true })).json();
    const signedIn = await signIn(form);
    recovery(app, username, made.recovery_code, () => done(signedIn));
  });
}

function recovery(app, account, code, done) {
  render(html`<main class="gate"><div class="card stack">${brand}<h1>Your recovery code</h1>
    <p>If you forget the password, this code and nothing else opens your files. It is shown <b>once</b>. Print it or write it down, and keep it away from this machine.</p>
    <p class="faint">Account <b class="wrap">${account}</b> at ${location.host}, ${new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format()}</p>
    <code class="code" tabindex="0">${code}</code>
    <button class="noprint" data-do="print">Print</button>
    <label class="check noprint"><input type="checkbox"><span>I have it on paper</span></label>
    <button class="primary noprint" data-do="go" disabled>Continue</button></div></main>`, app);
  app.querySelector("[data-do=print]").addEventListener("click", () => print());
  const go = app.querySelector("[data-do=go]");
  app.querySelector("input").addEventListener("change", (event) => {
    go.disabled = !event.target.checked;
  });
  go.addEventListener("click", done);
  app.querySelector(".code").focus();
}

// Over whatever is open: what was asked for waits, and goes on.
export function signInAgain() {
  return new Promise((resolve) => {
    const account = localStorage.getItem(ACCOUNT) ?? "";
    const { dialog } = open(html`<form class="sheet"><h2>Sign in again</h2>
      <p class="faint">Your session has ended. Whatever you were doing goes on afterwards.</p>
      ${fields({ account, fixed: account !== "" })}${refused}<footer><button class="primary">Sign in</button></footer></form>`, { must: true });
    const form = dialog.querySelector("form");
    form.elements.password.focus();
    onSubmit(form, async () => {
      await signIn(form);
      dialog.close();
      announce("Signed in again");
      resolve();
    });
  });
}

export function unreachable(app, error, again) {
  app.replaceChildren(element(html`<main class="gate"><div class="card stack">${brand}<h1>Not reachable</h1><p>${error.message}</p>
    <button class="primary">Try again</button></div></main>`));
  app.querySelector("button").addEventListener("click", again);
}
