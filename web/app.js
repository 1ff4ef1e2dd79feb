// Begins: who is there, which page the URL names, and the keys that work everywhere.

import "./elements/list.js";
import "./elements/tray.js";
import { call, onExpired, read } from "./lib/api.js";
import { open } from "./lib/dialog.js";
import { date } from "./lib/format.js";
import { element, html, render } from "./lib/html.js";
import { icon } from "./lib/icons.js";
import { show } from "./lib/path.js";
import { go, parse } from "./lib/route.js";
import { Bringing } from "./pages/bring.js";
import { accountPage } from "./pages/account.js";
import { comparePage } from "./pages/compare.js";
import { FilesPage } from "./pages/files.js";
import { registerPage, signInAgain, signInPage, unreachable } from "./pages/gate.js";
import { overviewPage } from "./pages/overview.js";
import { searchPage } from "./pages/search.js";

const THEME = "rbackup-theme";
const LAST = "rbackup-last-sign-in";
const KEYS = [["/", "Search"], ["g", "Files"], ["o", "Overview"], ["b", "Bring in files"], ["↑ ↓ Home End", "Move in a list"], ["Enter", "Open"], ["Backspace  u", "One folder up"], ["v", "Versions"], ["Space", "Select"], ["Shift+↑ ↓", "Select more"], ["a", "Select all, or nothing"], ["d", "Download"], ["r", "Bring back what was removed"], ["Delete", "Remove, after a question"], ["Esc", "Close"], ["t", "Light or dark"], ["?", "These keys"]];
const app = document.getElementById("app");
const tabs = new BroadcastChannel("rbackup");
const LOOK_MS = 15_000;
const themes = ["", "light", "dark"];

let account = "";
let hello = {};
let page = null;
let bringing = null;
let stop = new AbortController();

function setTheme(theme) {
  localStorage.setItem(THEME, theme);
  document.documentElement.dataset.theme = theme;
}

async function begin() {
  try {
    hello = await read("hello", {}, { quiet: true });
    if (hello.first_run) return registerPage(app, hello, shell);
    return shell(await read("session", {}, { quiet: true }).catch((error) => {
      if (error.status !== 401) throw error;
      return new Promise((resolve) => signInPage(app, hello, resolve));
    }));
  } catch (error) {
    return unreachable(app, error, begin);
  }
}

function shell(session) {
  account = session.account;
  const before = lastSignIn(session);
  onExpired(signInAgain);
  render(html`<header class="top noprint"><a class="brand" href="#/" aria-label="RBackup: overview"><img src="/favicon.ico" alt="" width="28" height="28"><span>RBackup</span></a>
    <nav aria-label="Pages"><a href="#/" data-page="overview">Overview</a><a href="#/files" data-page="files">Files</a></nav>
    <form class="find" role="search">${icon("search")}<input type="search" name="q" placeholder="Search all devices" aria-label="Search all devices" autocomplete="off"><kbd aria-hidden="true">/</kbd></form>
    <div class="menu"><button class="quiet square" aria-label="Account" aria-expanded="false" aria-controls="menu">${icon("person")}</button><div id="menu" hidden>
      <p class="who"><b class="wrap"><bdi>${show(account)}</bdi></b><br><span class="faint wrap"><bdi>${show(session.browser)}</bdi></span></p>${before && html`<p class="who faint">Last sign-in before this: ${date(before.at_ms)}, <bdi>${show(before.name)}</bdi>${before.address && html` from <bdi>${show(before.address)}</bdi>`}</p>`}
      <a class="button quiet" href="#/account" data-page="account">Sessions, tokens, password</a><button class="quiet" data-do="theme">Light or dark</button><button class="quiet" data-do="keys">Keys</button><button class="quiet" data-do="out">Sign out</button></div></div></header>
    <main id="main" tabindex="-1"></main>`, app);
  const find = app.querySelector(".find");
  find.addEventListener("submit", (event) => {
    event.preventDefault();
    go({ page: "search", q: find.elements.q.value.trim() });
  });
  app.querySelector(".menu").addEventListener("click", menu);
  bringing ??= new Bringing({ where, stored: () => page?.load?.() ?? route() });
  addEventListener("hashchange", route);
  route();
}

// Told once, with the sign-in; a reload of the page still knows it.
function lastSignIn({ last_sign_in: told }) {
  if (told) sessionStorage.setItem(LAST, JSON.stringify(told));
  return JSON.parse(sessionStorage.getItem(LAST));
}

function where() {
  const { page: name, device, folder } = parse(location.hash);
  return name === "files" ? { device, folder } : {};
}

async function route() {
  const to = parse(location.hash);
  const main = document.getElementById("main");
  if (!main) return;
  app.querySelectorAll("[data-page]").forEach((one) => (one.dataset.page === to.page ? one.setAttribute("aria-current", "page") : one.removeAttribute("aria-current")));
  app.querySelector(".find input").value = to.page === "search" ? to.q ?? "" : "";
  stop.abort();
  stop = new AbortController();
  try {
    if (to.page === "files") {
      if (!(page instanceof FilesPage) || !page.main.isConnected) page = new FilesPage(main, { bringIn: () => bringing.pick(), account });
      await page.show(to);
      return;
    }
    page = null;
    if (to.page === "account") await accountPage(main, { account, hello });
    else if (to.page === "compare") await comparePage(main, { route: to, signal: stop.signal });
    else if (to.page === "search") await searchPage(main, { route: to, signal: stop.signal });
    else await overviewPage(main, { bringIn: () => bringing.pick() });
  } catch (error) {
    page = null;
    if (error.name !== "AbortError") trouble(main, error);
  }
}

function trouble(main, error) {
  main.replaceChildren(element(html`<div class="page"><div class="card empty">${icon("alert")}<h2>This page cannot be shown</h2><p>${error.message}</p><button class="primary">${icon("retry")}Try again</button></div></div>`));
  main.querySelector("button").addEventListener("click", route);
}

function menu(event) {
  const button = event.target.closest("button");
  const list = app.querySelector("#menu");
  const opened = button?.hasAttribute("aria-controls") ? list.hidden : false;
  list.hidden = !opened;
  app.querySelector("[aria-controls=menu]").setAttribute("aria-expanded", String(opened));
  if (button?.dataset.do === "theme") turn();
  if (button?.dataset.do === "keys") keys();
  if (button?.dataset.do === "out") signOut();
}

function turn() {
  setTheme(themes[(themes.indexOf(localStorage.getItem(THEME) ?? "") + 1) % themes.length]);
}

function keys() {
  open(html`<div class="sheet"><h2>Keys</h2><dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl><footer><button data-close>Close</button></footer></div>`);
}

async function signOut() {
  await call("DELETE", "session", { quiet: true }).catch(() => {});
  tabs.postMessage("out");
  leave();
}

function leave() {
  removeEventListener("hashchange", route);
  sessionStorage.removeItem(LAST);
  history.replaceState(null, "", "/");
  page = null;
  begin();
}

// What was signed out elsewhere is signed out here: asked now and then, and when somebody comes back to this tab.
async function look() {
  if (document.hidden || !document.getElementById("main") || document.body.classList.contains("locked")) return;
  await read("session").catch(() => {});
}

function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable], dialog");
}

setInterval(look, LOOK_MS);
addEventListener("focus", look);
document.addEventListener("visibilitychange", look);
tabs.addEventListener("message", () => document.getElementById("main") && leave());

addEventListener("click", (event) => {
  if (!event.target.closest(".menu") && app.querySelector("#menu:not([hidden])")) menu({ target: document.body });
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && app.querySelector("#menu:not([hidden])")) {
    menu({ target: document.body });
    app.querySelector("[aria-controls=menu]").focus();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !document.getElementById("main")) return;
  const act = {
    "/": () => app.querySelector(".find input").focus(),
    "?": keys,
    t: turn,
    g: () => go({ page: "files" }),
    o: () => go({ page: "overview" }),
    b: () => bringing.pick(),
    Escape: () => page?.route?.file && page.close(),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

setTheme(localStorage.getItem(THEME) ?? "");
begin();
