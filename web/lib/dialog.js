// Native dialogs made of markup. Focus goes in and comes back by itself; Esc closes, unless something has to be answered.

import { html, element } from "./html.js";

export function open(markup, { wide = false, must = false } = {}) {
  const dialog = element(html`<dialog class="${wide ? "wide" : ""}"></dialog>`);
  dialog.append(element(markup));
  const heading = dialog.querySelector("h2");
  if (heading) {
    heading.id = `heading-${Date.now()}`;
    dialog.setAttribute("aria-labelledby", heading.id);
  }
  dialog.addEventListener("cancel", (event) => must && event.preventDefault());
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]") || (event.target === dialog && !must)) dialog.close();
  });
  const closed = new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(dialog.returnValue);
  }));
  document.getElementById("dialogs").append(dialog);
  dialog.showModal();
  return { dialog, closed };
}

export async function confirm({ title, text, yes }) {
  const { dialog, closed } = open(html`<form class="sheet" method="dialog"><h2>${title}</h2><p class="wrap">${text}</p>
    <footer><button value="">Cancel</button><button class="danger" value="yes">${yes}</button></footer></form>`);
  dialog.querySelector("button").focus();
  return (await closed) === "yes";
}

// A command to take along. Without TLS browsers give no clipboard, so an older way is tried, and the text stays selectable.
export function command({ title, note, text }) {
  const { dialog } = open(html`<div class="sheet"><h2>${title}</h2>${note && html`<p class="faint">${note}</p>`}
    <pre tabindex="0">${text}</pre>
    <footer><button data-close>Close</button><button class="primary" data-copy>Copy</button></footer></div>`, { wide: true });
  dialog.querySelector("[data-copy]").addEventListener("click", async (event) => {
    event.target.textContent = (await copy(text, dialog.querySelector("pre"))) ? "Copied" : "Press Ctrl+C";
  });
}

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(from);
    return document.execCommand("copy");
  }
}

let timer = 0;

// Says something to those who do not see it.
export function announce(text) {
  const live = document.getElementById("live");
  clearTimeout(timer);
  live.textContent = "";
  timer = setTimeout(() => {
    live.textContent = text;
  }, 60);
}
