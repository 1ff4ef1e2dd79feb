// Markup out of templates. Whatever is put into a template is text, unless it came out of one: a file's name can never become
// an element. The only module that makes the browser parse anything.

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

// Under the page's policy nobody else can hand a string to the parser.
const trusted = globalThis.trustedTypes?.createPolicy("rbackup", { createHTML: (text) => text, createScriptURL: (url) => url });

class Markup {
  constructor(text) {
    this.text = text;
  }
}

export function escape(text) {
  return String(text).replace(/[&<>"']/g, (letter) => ESCAPES[letter]);
}

function piece(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(piece).join("");
  if (value === null || value === undefined || value === false) return "";
  return escape(value);
}

// Attributes are written in double quotes; a test looks at every template for that.
export function html(strings, ...values) {
  return new Markup(strings.reduce((text, part, at) => text + piece(values[at - 1]) + part));
}

export function render(markup, element) {
  const text = piece(markup);
  element.innerHTML = trusted ? trusted.createHTML(text) : text;
  return element;
}

export function element(markup) {
  const template = document.createElement("template");
  render(markup, template);
  return template.content.firstElementChild;
}

// A worker from one of our own files.
export function worker(file) {
  const url = new URL(file, import.meta.url).href;
  return new Worker(trusted ? trusted.createScriptURL(url) : url, { type: "module" });
}
