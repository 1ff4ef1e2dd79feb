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

function signIn(form) {
  const { username, password, browser } = Object.fromEntries(new FormData(form));
  return signInWith(username, password, browser);
}

export async function signInWith(username, password, browser = browserName()) {
  const answer = await (await call("POST", "session", { json: { username, password, device_id: browser }, quiet: true })).json();
  localStorage.setItem(BROWSER, browser);
  localStorage.setItem(ACCOUNT, username);
  return answer;
}

// Runs what a form is for; a refusal is said beside it, and what was typed stays.
export function onSubmit(form, work) {
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

// A password that replaces another.
export const newPassword = html`<label><span>New password</span><input name="new_password" type="password" required minlength="8" autocomplete="new-password"></label>
  <label><span>New password again</span><input name="again" type="password" required autocomplete="new-password"></label>`;
const brand = html`<p class="brand"><img src="/favicon.ico" alt="" width="28" height="28"><span>RBackup</span></p>`;
const refused = html`<p class="note danger" role="alert" hidden></p>`;

function fields({ account, fixed = false, fresh = false }) {
  return html`<label><span>Name</span><input name="username" required autocomplete="username" autocapitalize="none" spellcheck="false" value="${account}" ${fixed ? "readonly" : ""}></label>
    <label><span>Password</span><input name="password" type="password" required ${fresh ? "" : "autofocus"} minlength="${fresh ? 8 : 1}" autocomplete="${fresh ? "new-password" : "current-password"}"></label>
    ${fresh && html`<label><span>Password again</span><input name="again" type="password" required autocomplete="new-password"></label>`}
    <label><span>This browser is called</span><input name="browser" required maxlength="120" value="${browserName()}"></label>`;
}

export function signInPage(app, hello, done) {
  const account = localStorage.getItem(ACCOUNT) ?? "";
  render(html`<main class="gate"><form class="card stack">${brand}<h1>Sign in</h1>${fields({ account })}${refused}
    <button class="primary">Sign in</button>
    ${hello.registration !== "closed" && html`<button type="button" class="quiet" data-do="register">${hello.registration === "invite" ? "I have an invitation" : "Create an account"}</button>`}</form></main>`, app);
  const form = app.querySelector("form");
  form.elements[account ? "password" : "username"].focus();
  form.querySelector("[data-do]")?.addEventListener("click", () => registerPage(app, hello, done));
  onSubmit(form, async () => done(await signIn(form)));
}

// What somebody has to bring who wants an account; nothing where nothing is asked.
function admission(hello) {
  if (hello.first_run && hello.setup_code) return { name: "setup_code", label: "Setup code", note: "The server printed it when it started: it stands in its window or its log." };
  if (!hello.first_run && hello.registration === "invite") return { name: "invite", label: "Invitation", note: "Who looks after this server made it for you. It lets in one account." };
  return null;
}

export function registerPage(app, hello, done) {
  const needed = admission(hello);
  render(html`<main class="gate"><form class="card stack">${brand}<h1>${hello.first_run ? "Welcome" : "Create an account"}</h1>
    ${hello.first_run && html`<p class="faint">Nobody has an account here yet. The first one also looks after the server.</p>`}
    ${needed && html`<label><span>${needed.label}</span><input class="codes" name="${needed.name}" required autocomplete="off" autocapitalize="characters" spellcheck="false" aria-describedby="needed"></label><p class="faint" id="needed">${needed.note}</p>`}
    ${fields({ account: "", fresh: true })}${refused}<button class="primary">Create the account</button>
    ${!hello.first_run && html`<button type="button" class="quiet" data-do="back">I have an account</button>`}</form></main>`, app);
  const form = app.querySelector("form");
  form.elements[needed?.name ?? "username"].focus();
  form.querySelector("[data-do]")?.addEventListener("click", () => signInPage(app, hello, done));
  onSubmit(form, async () => {
    const { again, browser, ...json } = Object.fromEntries(new FormData(form));
    if (json.password !== again) throw new Error("The two passwords are not the same.");
    const made = await (await call("POST", "/account/register", { json, quiet: true })).json();
    const signedIn = await signIn(form);
    recovery(app, json.username, made.recovery_code, () => done(signedIn));
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
      ${fields({ account, fixed: account !== "" })}${refused}<footer><button type="button" class="quiet" data-do="leave">Another account</button><button class="primary">Sign in</button></footer></form>`, { must: true });
    const form = dialog.querySelector("form");
    document.body.classList.add("locked");
    form.querySelector("[data-do]").addEventListener("click", () => location.reload());
    form.elements.password.focus();
    onSubmit(form, async () => {
      await signIn(form);
      dialog.close();
      document.body.classList.remove("locked");
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
