// A real server on an empty data directory, and a real browser that looks at it. Whatever the browser complains about fails the
// test: an error of a script, a violation of the page's policy, a failed request that nobody expected.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const TOP = fileURLToPath(new URL("../..", import.meta.url));
const TOOLS = join(TOP, "target/tools/browser/");
const CHROMIUM = "/usr/bin/chromium";
const BINARY = process.env.RBACKUP_BIN ?? join(TOP, "target/debug/rbackup");
export const SHOTS = join(TOP, "target/screenshots");
export const PASSWORD = "correct horse battery";
// A NAS is reached by a name and without TLS: then browsers withhold whatever needs a secure context.
const NAS = "nas.test";

for (const needed of [TOOLS, CHROMIUM, BINARY]) {
  if (!existsSync(needed)) throw new Error(`${needed} is missing: tests/run web installs and builds what these tests need`);
}
const require = createRequire(TOOLS);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// A server that knows what else its machine is called; `config` is the rest of its file, as text. Its setup code is what it printed, when it
// printed one.
export async function house({ config = "" } = {}) {
  const place = mkdtempSync(join(tmpdir(), "rbackup-web-"));
  const env = { ...process.env, RBACKUP_STATE_DIR: join(place, "state") };
  const file = join(place, "rbackup.toml");
  writeFileSync(file, `[server]\nnames = ["${NAS}"]\n${config}`);
  const server = spawn(BINARY, ["serve", "--listen", "127.0.0.1:0", "--data", join(place, "data"), "--config", file], { env, stdio: ["ignore", "pipe", "ignore"] });
  const said = [];
  const [url, setup] = await new Promise((resolve, reject) => {
    createInterface(server.stdout).on("line", (line) => {
      said.push(line);
      const code = said.at(-2)?.includes("setup code") && line.trim();
      if (code) resolve([/ listening on (\S+)/.exec(said[0])[1], code]);
    });
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said.join(" ")}`)));
  });
  const stop = async () => {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.removeAllListeners("exit");
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await Promise.race([gone, ended]);
    rmSync(place, { recursive: true });
  };
  return { url, setup, nas: url.replace("127.0.0.1", NAS), stop, server };
}

export async function browser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", `--host-resolver-rules=MAP ${NAS} 127.0.0.1`],
  });
}

// A page that remembers what went wrong in it. `expected` are patterns of complaints that the test provokes.
export async function visit(chrome, options = {}) {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/Prague", acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const complaints = [];
  // A header that browsers keep for TLS, and answers that ask to sign in.
  const expected = [/401 \(Unauthorized\)/, /Cross-Origin-Opener-Policy header has been ignored/];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(`${error.message}\n${error.stack}`));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog of a script: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.calm = () => assert.deepEqual(complaints.filter((text) => !expected.some((pattern) => pattern.test(text))), []);
  page.expect = (pattern) => expected.push(pattern);
  page.complaints = complaints;
  return page;
}

// What axe finds, as sentences.
export async function axe(page) {
  // Scripts run at document level here are the test's own: the page's policy holds for the page.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => `${node.html} ${node.any.map((why) => why.message).join("; ")}`).join(" | ")}`);
}

export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.waitForTimeout(150);
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

// A device, as curl would be one.
export async function device(url, name, account = "ann") {
  const form = (values) => ({ method: "POST", body: new URLSearchParams(values) });
  await fetch(`${url}/account/register`, form({ username: account, password: PASSWORD }));
  const answer = await (await fetch(`${url}/account/login`, form({ username: account, password: PASSWORD, device_id: name }))).json();
  const headers = { "RBackup-Session-Pass": answer.session_id };
  const ask = async (method, path, body, more = {}) => {
    const response = await fetch(url + path, { method, body, headers: { ...headers, ...more } });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
    return response;
  };
  return {
    ask,
    put: async (path, content, mtime) => {
      const bytes = Buffer.from(content);
      const query = new URLSearchParams({ file_path: path, ...(mtime && { mtime }) });
      return (await ask("PUT", `/upload?${query}`, bytes, { "RBackup-File-Hash": sha256(bytes) })).json();
    },
  };
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function signIn(page, url, { account = "ann", browser: name = "Test browser" } = {}) {
  await page.goto(url);
  await page.getByLabel("Name").fill(account);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByLabel("This browser is called").fill(name);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#main").waitFor();
}

// Files dropped on the window, as a folder or one by one, without a hand.
export async function drop(page, files) {
  await page.evaluate((wanted) => {
    const transfer = new DataTransfer();
    for (const { name, text } of wanted) transfer.items.add(new File([text], name, { lastModified: 1700000000000 }));
    document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer, bubbles: true }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, files);
}

// Names and contents that would be run, were they ever taken for markup.
export const XSS = [
  "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "\"><svg onload=alert(1)>", "'-alert(1)-'", "javascript:alert(1)",
  "</title><script>alert(1)</script>", "{{7*7}}", "${alert(1)}", "<iframe srcdoc='<script>alert(1)</script>'>", "a\u202egpj.exe", "--><b>x</b><!--",
  "&lt;img src=x&gt;", "%3Cscript%3E", "\u0000x".slice(1) + "\u200b", "<style>*{display:none}</style>", "..", "con\nline", "-o evil",
];
