// Devices and their folders, opened one level at a time.

import { read } from "../lib/api.js";
import { element, html } from "../lib/html.js";
import { icon } from "../lib/icons.js";
import { crumbs, lastName, show } from "../lib/path.js";
import { link } from "../lib/route.js";

// Folders that a level shows; the list beside has all of them.
const LEVEL_MAX = 500;

export class Tree {
  constructor(nav, devices) {
    this.nav = nav;
    nav.replaceChildren(element(html`<h2>Devices</h2>`), element(html`<ul>${devices.map((device) => node({ device, folder: "", name: device, sign: "device" }))}</ul>`));
    nav.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.toggle(button);
    });
  }

  // Marks where the list is, and opens the way to it.
  async to(route) {
    this.route = route;
    const way = ["", ...crumbs(route.folder ?? "").map((crumb) => crumb.folder)];
    for (const folder of way.slice(0, -1)) {
      const item = this.find(route.device, folder);
      if (item) await this.expand(item.querySelector("button"));
    }
    this.nav.querySelectorAll(".here").forEach((old) => {
      old.classList.remove("here");
      old.querySelector("a").removeAttribute("aria-current");
    });
    const here = this.find(route.device, route.folder ?? "")?.querySelector(".node");
    here?.classList.add("here");
    here?.querySelector("a").setAttribute("aria-current", "true");
    here?.scrollIntoView({ block: "nearest" });
  }

  find(device, folder) {
    return [...this.nav.querySelectorAll("li")].find((item) => item.dataset.device === device && item.dataset.folder === folder);
  }

  toggle(button) {
    if (button.getAttribute("aria-expanded") === "true") {
      button.setAttribute("aria-expanded", "false");
      button.closest("li").querySelector("ul")?.remove();
    } else {
      this.expand(button);
    }
  }

  async expand(button) {
    const item = button.closest("li");
    if (button.getAttribute("aria-expanded") === "true") return;
    button.setAttribute("aria-expanded", "true");
    const { device, folder } = item.dataset;
    const { at, removed } = this.route ?? {};
    const page = await read("folder", { device_id: device, folder: { encoded: folder }, at, removed, limit: LEVEL_MAX }).catch(() => ({ folders: [] }));
    item.querySelector("ul")?.remove();
    if (page.folders.length > 0) item.append(element(html`<ul>${page.folders.map((one) => node({ device, folder: one.path_encoded, name: lastName(one.path_encoded), sign: "folder", gone: one.removed }))}</ul>`));
    else button.disabled = true;
  }
}

function node({ device, folder, name, sign, gone }) {
  return html`<li data-device="${device}" data-folder="${folder}" class="${gone ? "gone" : ""}"><div class="node"><button aria-expanded="false" aria-label="Folders in ${show(name)}">${icon("right")}</button>
    <a href="${link({ page: "files", device, folder })}">${icon(sign)}<span class="name"><bdi>${show(name)}</bdi></span></a></div></li>`;
}
