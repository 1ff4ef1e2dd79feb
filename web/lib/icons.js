// Icons as markup. Each is decoration: what it means stands beside it as text, or in its button's label.

import { html } from "./html.js";

const SHAPES = {
  folder: html`<path d="M3 6.5A1.500 1.500 0 0 1 4.500 5h4l2 2.500h7A1.500 1.500 0 0 1 19 9v8.500A1.500 1.500 0 0 1 17.500 19h-13A1.500 1.500 0 0 1 3 17.500z"/>`,
  file: html`<path d="M6 3.500h6.500L17 8v12.500H6zM12.500 3.500V8H17"/>`,
  device: html`<path d="M3.500 5h15v10.500h-15zM8 19h6M11 15.500V19"/>`,
  search: html`<circle cx="10" cy="10" r="5.500"/><path d="m14.200 14.200 4.800 4.800"/>`,
  check: html`<path d="m4.500 11.500 4.500 4.500 9-10"/>`,
  alert: html`<path d="M11 4 2.500 18.500h17zM11 9v4.500M11 16v.1"/>`,
  clock: html`<circle cx="11" cy="11" r="7.500"/><path d="M11 6.500V11l3 2"/>`,
  up: html`<path d="M11 17V5M6 10l5-5 5 5"/>`,
  down: html`<path d="M11 5v12M6 12l5 5 5-5"/>`,
  upload: html`<path d="M11 14V4M6.500 8.500 11 4l4.500 4.500M4 14.500v3.500h14v-3.500"/>`,
  download: html`<path d="M11 4v10M6.500 9.500 11 14l4.500-4.500M4 14.500v3.500h14v-3.500"/>`,
  close: html`<path d="m5.500 5.500 11 11M16.500 5.500l-11 11"/>`,
  right: html`<path d="m8.500 6 5 5-5 5"/>`,
  terminal: html`<path d="m4 6 5 5-5 5M11 17h7"/>`,
  trash: html`<path d="M4 6.500h14M8.500 6.500V4h5v2.500M5.500 6.500 6.500 19h9l1-12.500"/>`,
  eye: html`<path d="M2.500 11S5.500 5.500 11 5.500 19.500 11 19.500 11 16.500 16.500 11 16.500 2.500 11 2.500 11z"/><circle cx="11" cy="11" r="2.300"/>`,
  person: html`<circle cx="11" cy="7.500" r="3.500"/><path d="M4 19c.5-4 3.500-6 7-6s6.500 2 7 6"/>`,
  retry: html`<path d="M17.500 11A6.500 6.500 0 1 1 15 5.900M17.500 3.500v4h-4"/>`,
};

export function icon(name) {
  return html`<svg class="icon" viewBox="0 0 22 22" aria-hidden="true">${SHAPES[name]}</svg>`;
}
