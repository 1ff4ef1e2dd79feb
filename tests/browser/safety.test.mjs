// Nothing of a file's name or content is ever run or taken for markup, and the page's policy would not let it. Each check is
// first shown what it is there to find.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { XSS, browser, device, house, signIn, visit } from "./kit.mjs";

let chrome;
let server;
let compared;
before(async () => {
  chrome = await browser();
  server = await house();
  const laptop = await device(server.url, "laptop");
  for (const text of XSS) await laptop.put(`/odd/${text}`, text);
  for (const text of XSS) await laptop.put(`/${text}/below`, text);
  await laptop.put(`/deep/${"a/".repeat(1900)}end`, "deep");
  await device(server.url, "<img src=x onerror=alert(2)>");
  for (const text of ["before", XSS.join("\n")]) compared = await laptop.put("/odd/compared", text);
  for (const name of XSS.filter((text) => !/[\u0000-\u001f]/.test(text))) await laptop.ask("POST", "/api/v1/tokens", JSON.stringify({ name, scopes: ["read"] }), { "Content-Type": "application/json" });
});
after(async () => {
  await chrome.close();
  await server.stop();
});

// Elements that nobody but a name or a content would have made.
async function strangers(page) {
  return page.evaluate(() => [...document.querySelectorAll("script:not([src]), iframe, style, img, [onerror], [onload], object, embed, b > x, svg[onload]")]
    .filter((element) => !(element.tagName === "IMG" && (element.getAttribute("src") === "/favicon.ico" || element.src.startsWith("blob:"))))
    .map((element) => element.outerHTML));
}

// What was found on the way is kept also when the way ends early.
async function tour(page, found = []) {
  const look = async () => found.push(...(await strangers(page)));
  await page.locator("#main").getByText("laptop").first().waitFor();
  await look();
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fodd%2F`);
  const rows = page.locator(".line");
  await rows.first().waitFor();
  await look();
  // A name with a slash in it is a folder here, and is opened further down.
  const files = page.locator(".line:not(.folder)");
  const count = await files.count();
  if (count < 10) found.push(`only ${count} files are listed`);
  for (let at = 0; at < count; at += 1) {
    await files.nth(at).click();
    await page.locator("#preview pre, #preview p").first().waitFor();
    await look();
  }
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2F`);
  await rows.first().waitFor();
  await look();
  await page.locator("rb-list").press("a");
  await page.getByRole("toolbar", { name: "Selected" }).getByText(/folder/).waitFor();
  await look();
  const [a, b] = compared.versions.slice(-2).map((one) => one.version);
  await page.goto(`${server.url}/#/compare?file=${compared.id}&a=${a}&b=${b}`);
  await page.locator(".diff").waitFor();
  await look();
  await page.goto(`${server.url}/#/account`);
  await page.getByRole("heading", { name: "Signed in" }).waitFor();
  await page.locator("[data-revoke]").first().click();
  await page.getByRole("dialog").waitFor();
  await look();
  await page.keyboard.press("Escape");
  for (const q of ["<", "alert", "img"]) {
    await page.goto(`${server.url}/#/search?q=${encodeURIComponent(q)}`);
    await rows.first().waitFor();
    await look();
  }
  await page.goto(`${server.url}/#/search?q=${encodeURIComponent("<img src=x onerror=alert(3)>")}`);
  await page.getByText("looked at").or(page.locator("#found", { hasText: /of/ })).first().waitFor();
  await look();
  return found;
}

test("names and contents are text everywhere", async () => {
  const page = await visit(chrome);
  await signIn(page, server.url);
  assert.deepEqual(await tour(page), []);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fodd%2F`);
  await page.getByText("a⟨U+202E⟩gpj.exe").first().waitFor();
  await page.getByText("con⟨U+000A⟩line").first().waitFor();
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fdeep%2F${"a%2F".repeat(1900)}`);
  await page.locator(".line", { hasText: "end" }).waitFor();
  page.calm();
});

test("planted: a template that escapes nothing is seen", async () => {
  const page = await visit(chrome);
  const source = readFileSync(fileURLToPath(new URL("../../web/lib/html.js", import.meta.url)), "utf8");
  const planted = source.replace("return escape(value);", "return String(value);");
  assert.notEqual(planted, source);
  await page.route("**/lib/html.js", (route) => route.fulfill({ contentType: "text/javascript", body: planted }));
  await signIn(page, server.url);
  const found = [];
  await tour(page, found).catch(() => {});
  found.push(...(await strangers(page)));
  assert.ok(found.some((one) => one.includes("alert(") || one.includes("src=\"x\"")), `names became elements: ${found}`);
});

// Whether a script that somebody got into the page would run.
async function inlineRuns(page) {
  return page.evaluate(() => {
    const script = document.createElement("script");
    const made = globalThis.trustedTypes?.createPolicy(`planted ${Math.random()}`, { createScript: (text) => text });
    const text = "globalThis.inlineRan = true";
    script.text = made ? made.createScript(text) : text;
    document.head.append(script);
    return globalThis.inlineRan === true;
  }).catch(() => false);
}

test("the page's policy runs nothing inline; planted: without it something would", async () => {
  const page = await visit(chrome);
  page.expect(/Content Security Policy|TrustedTypes|trusted-types|createPolicy/i);
  await page.goto(server.url);
  await page.getByLabel("Password").waitFor();
  assert.equal(await inlineRuns(page), false);
  page.calm();
  const open = await visit(chrome);
  await open.route(server.url + "/", async (route) => {
    const answer = await route.fetch();
    const headers = { ...answer.headers() };
    delete headers["content-security-policy"];
    await route.fulfill({ response: answer, headers });
  });
  await open.goto(`${server.url}/`);
  await open.getByLabel("Password").waitFor();
  assert.equal(await inlineRuns(open), true, "planted: the policy is missing");
});

test("another site's page gets nothing", async () => {
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.goto(`${server.nas}/`);
  page.expect(/./);
  const got = await page.evaluate(async (url) => {
    const tries = [fetch(`${url}/api/v1/overview`, { credentials: "include" }), fetch(`${url}/api/v1/session`, { method: "DELETE", credentials: "include", headers: { "RBackup-UI": "1" } })];
    return (await Promise.allSettled(tries)).map((one) => one.status);
  }, server.url);
  assert.deepEqual(got, ["rejected", "rejected"]);
  const still = await visit(chrome);
  await signIn(still, server.url, { browser: "another" });
  await still.locator("#main").getByText("laptop").first().waitFor();
});
