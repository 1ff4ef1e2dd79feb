// <rb-tray>: what is on its way to the server. It lives beside the pages, so that it survives them.

import { announce } from "../lib/dialog.js";
import { bytes, count, left } from "../lib/format.js";
import { html, render } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { lastName, show } from "../lib/path.js";

const SHOWN_MAX = 60;
const WORDS = { waiting: "Waiting", hashing: "Reading", ready: "Waiting to be sent", sending: "Sending", verifying: "Verifying", done: "Stored and verified" };
const ICONS = { done: "check", failed: "alert" };

class Tray extends HTMLElement {
  set uploads(uploads) {
    this.queue = uploads;
    this.hidden = true;
    this.folded = false;
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Uploads");
    uploads.addEventListener("change", () => this.later());
    this.addEventListener("click", (event) => this.click(event));
    addEventListener("beforeunload", (event) => uploads.busy && event.preventDefault());
  }

  later() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.show();
    }, 80);
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.retry !== undefined) this.queue.retry(Number(button.dataset.retry));
    if (button.dataset.do === "fold") this.folded = !this.folded;
    if (button.dataset.do === "clear") this.queue.clear();
    this.later();
  }

  show() {
    const { queue } = this;
    const totals = queue.totals();
    this.hidden = totals.files === 0;
    if (this.hidden) return;
    const busy = queue.busy;
    const sentence = busy
      ? `Bringing in ${count(totals.files - totals.done - totals.failed, "file")}`
      : totals.failed ? `${count(totals.failed, "file")} failed` : `${count(totals.done, "file")} stored`;
    if (this.said !== busy) {
      // What is done makes room; what failed stays open.
      this.folded = !busy && totals.failed === 0;
      if (!busy) announce(sentence);
    }
    this.said = busy;
    const focused = this.contains(document.activeElement) ? document.activeElement.dataset : null;
    const order = { failed: 0, sending: 1, verifying: 1, hashing: 2, ready: 3, waiting: 4, done: 5 };
    const shown = [...queue.items].sort((one, other) => order[one.state] - order[other.state]).slice(0, SHOWN_MAX);
    render(html`<header><h2>${sentence}</h2><span class="faint num">${busy && left(totals.seconds)}</span>
      <button class="quiet square small" data-do="fold" aria-expanded="${String(!this.folded)}" aria-label="${this.folded ? "Show uploads" : "Fold uploads"}">${icon(this.folded ? "up" : "down")}</button>
      ${!busy && html`<button class="quiet square small" data-do="clear" aria-label="Close uploads">${icon("close")}</button>`}</header>
      ${busy && html`<progress max="${totals.bytes || 1}" value="${totals.sent}" aria-label="All uploads"></progress>`}
      ${!this.folded && html`<ul tabindex="0" aria-label="Files on their way">${shown.map(line)}</ul>`}`, this);
    if (focused?.do) this.querySelector(`[data-do="${focused.do}"]`)?.focus();
  }
}

function line(item) {
  const name = show(lastName(item.path));
  const at = item.state === "hashing" ? item.at : item.sent;
  const moving = item.state === "hashing" || item.state === "sending";
  const told = item.state === "failed" ? item.why : `${WORDS[item.state]}${moving ? ` · ${bytes(at)} of ${bytes(item.file.size)}` : ` · ${bytes(item.file.size)}`}`;
  return html`<li class="${item.state}">${icon(ICONS[item.state] ?? "upload")}<span class="name"><bdi>${name}</bdi></span>
    <span class="faint why wrap">${told}</span>
    ${item.state === "failed" && html`<span class="side"><button class="small" data-retry="${item.id}">${icon("retry")}Try again</button></span>`}</li>`;
}

customElements.define("rb-tray", Tray);
