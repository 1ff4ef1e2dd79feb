// <rb-list>: rows of any number, of which only those exist that are seen. One tab stop; arrows move a cursor, Enter opens, Space
// ticks and Shift ticks on the way. It knows nothing of files: what a row looks like and what it does comes from outside.

import { element, html } from "../lib/html.js";
import { move, reveal, span } from "../lib/rows.js";

class List extends HTMLElement {
  connectedCallback() {
    this.items = [];
    this.cursor = 0;
    this.made = new Map();
    this.ticked = new Map();
    this.tabIndex = 0;
    this.setAttribute("role", "grid");
    this.addEventListener("scroll", () => this.later(), { passive: true });
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("click", (event) => this.click(event));
    this.watch = new ResizeObserver(() => this.measure());
    this.watch.observe(this);
  }

  disconnectedCallback() {
    this.watch?.disconnect();
  }

  // head: markup or nothing; row(item, at): markup; label: what the list is called; more(): wants further items; ticks(): what is
  // ticked has changed, keyOf(item): what names an item among those. Without them nothing can be ticked.
  shape({ label, head, row, open, more, ticks, keyOf }) {
    Object.assign(this, { row, open, more, ticks, keyOf });
    this.setAttribute("aria-label", label);
    this.toggleAttribute("aria-multiselectable", Boolean(ticks));
    if (ticks) this.setAttribute("aria-multiselectable", "true");
    this.rows = element(html`<div class="rows" role="rowgroup"></div>`);
    this.replaceChildren(...(head ? [element(head)] : []), this.rows);
    this.headed = head ? 1 : 0;
    this.measure();
  }

  measure() {
    if (!this.rows) return;
    this.rowHeight = parseFloat(getComputedStyle(this).getPropertyValue("--row")) || 44;
    this.headHeight = this.rows.offsetTop;
    this.show();
  }

  // Makes the rows that are seen anew, from the same items.
  refresh() {
    this.made.forEach((row) => row.remove());
    this.made.clear();
    this.show();
  }

  set(items, { complete, cursor = this.cursor }) {
    this.items = items;
    this.complete = complete;
    this.cursor = Math.max(0, Math.min(cursor, items.length - 1));
    this.setAttribute("aria-rowcount", complete ? items.length + this.headed : -1);
    this.refresh();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.show();
    });
  }

  show() {
    if (!this.rows) return;
    const { rowHeight: row, items } = this;
    const { first, last } = span({ top: this.scrollTop, height: this.clientHeight, row, count: items.length });
    this.rows.style.height = `${items.length * row}px`;
    for (const [at, made] of this.made) {
      if (at < first || at >= last) {
        made.remove();
        this.made.delete(at);
      }
    }
    this.make(first, last);
    this.mark();
    if (!this.complete && last >= items.length - 40) this.more?.();
  }

  // Those that are missing are parsed at once; they lie before or behind what is there, so the order stays.
  make(first, last) {
    const missing = [];
    for (let at = first; at < last; at += 1) if (!this.made.has(at)) missing.push(at);
    if (missing.length === 0) return;
    const fresh = element(html`<div>${missing.map((at) => this.row(this.items[at], at))}</div>`);
    const there = Math.min(...this.made.keys());
    const [before, behind] = [document.createDocumentFragment(), document.createDocumentFragment()];
    for (const at of missing) {
      const made = fresh.firstElementChild;
      made.id = `${this.id}-${at}`;
      made.dataset.at = at;
      made.setAttribute("aria-rowindex", at + 1 + this.headed);
      made.style.top = `${at * this.rowHeight}px`;
      this.made.set(at, made);
      (at < there ? before : behind).append(made);
    }
    this.rows.prepend(before);
    this.rows.append(behind);
  }

  mark() {
    for (const [at, made] of this.made) {
      made.classList.toggle("cursor", at === this.cursor);
      const chosen = this.ticks ? this.ticked.has(this.keyOf(this.items[at])) : at === this.cursor;
      made.setAttribute("aria-selected", chosen);
    }
    if (this.made.has(this.cursor)) this.setAttribute("aria-activedescendant", `${this.id}-${this.cursor}`);
    else this.removeAttribute("aria-activedescendant");
  }

  to(at) {
    this.cursor = at;
    const seen = { at, top: this.scrollTop, height: this.clientHeight - this.headHeight, row: this.rowHeight };
    this.scrollTop = reveal(seen);
    this.show();
  }

  tick(items, on) {
    if (!this.ticks) return;
    for (const item of items) {
      if (on) this.ticked.set(this.keyOf(item), item);
      else this.ticked.delete(this.keyOf(item));
    }
    this.classList.toggle("ticking", this.ticked.size > 0);
    this.mark();
    this.ticks();
  }

  // Ticks what stands between two rows, in whichever order.
  reach(from, to) {
    this.tick(this.items.slice(Math.min(from, to), Math.max(from, to) + 1), true);
  }

  flip(item) {
    this.tick([item], !this.ticked.has(this.keyOf(item)));
  }

  key(event) {
    if (event.target !== this || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.clientHeight / this.rowHeight) - 2);
    const to = move(event.key, this.cursor, this.items.length, page);
    if (to !== null) {
      event.preventDefault();
      const from = this.cursor;
      this.to(to);
      if (event.shiftKey) this.reach(from, to);
    } else if (event.key === " " && this.ticks && this.items.length) {
      event.preventDefault();
      this.flip(this.items[this.cursor]);
    } else if (event.key === "Enter" && this.items.length) {
      event.preventDefault();
      this.open?.(this.items[this.cursor]);
    }
  }

  click(event) {
    const row = event.target.closest("[data-at]");
    if (row && event.target.closest("[data-tick]")) {
      const [from, to] = [this.cursor, Number(row.dataset.at)];
      this.cursor = to;
      if (event.shiftKey) this.reach(from, to);
      else this.flip(this.items[to]);
      return;
    }
    if (!row || event.target.closest("a, button")) return;
    this.cursor = Number(row.dataset.at);
    this.mark();
    this.open?.(this.items[this.cursor]);
  }
}

customElements.define("rb-list", List);
