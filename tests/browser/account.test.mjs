// The account's own affairs in a real browser: who is signed in, tokens that do what their line says, a new password. Each line
// that is there to be copied is run as it is.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { PASSWORD, browser, device, house, signIn, visit } from "./kit.mjs";

let chrome;
let server;
let laptop;
before(async () => {
  chrome = await browser();
});
after(() => chrome.close());
beforeEach(async () => {
  server = await house();
  laptop = await device(server.url, "laptop");
});
afterEach(async () => {
  for (const context of chrome.contexts()) await context.close();
  await server.stop();
});

async function accountOf(name) {
  const page = await visit(chrome);
  await signIn(page, server.url, { browser: name });
  await page.getByLabel("Account").click();
  await page.getByRole("link", { name: "Sessions, tokens, password" }).click();
  await page.getByRole("heading", { name: "Signed in" }).waitFor();
  return page;
}

test("a session that is ended in one browser is over in the other", async () => {
  const desk = await accountOf("Desk");
  const sofa = await visit(chrome);
  await signIn(sofa, server.url, { browser: "Sofa" });
  await sofa.getByRole("heading", { level: 1 }).waitFor();
  await desk.reload();
  await desk.getByRole("button", { name: "Sign out Sofa" }).click();
  await desk.getByText("Sofa").waitFor({ state: "detached" });
  assert.equal(await desk.getByRole("button", { name: "Sign out Desk" }).count(), 0, "not its own here");
  await sofa.getByText("Your session has ended.").waitFor({ timeout: 20_000 });
  assert.equal(await sofa.locator("#main").isVisible(), false, "what was open is not shown any more");
  await sofa.getByRole("dialog").getByLabel("Password").fill(PASSWORD);
  await sofa.getByRole("dialog").getByRole("button", { name: "Sign in" }).click();
  await sofa.locator("#main").waitFor();
  await laptop.ask("GET", "/list/files");
  desk.calm();
  sofa.calm();
});

test("signing out of one tab signs out the other at once", async () => {
  const one = await accountOf("Desk");
  const other = await one.context().newPage();
  await other.goto(server.url);
  await other.getByRole("heading", { level: 1 }).waitFor();
  await one.getByLabel("Account").click();
  await one.getByRole("button", { name: "Sign out", exact: true }).last().click();
  await one.getByRole("heading", { name: "Sign in" }).waitFor();
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  one.calm();
});

// Makes a token and returns the line that came with it.
async function token(page, name, purpose) {
  await page.getByRole("button", { name: "Make a token" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What it is called").fill(name);
  await dialog.getByText(purpose, { exact: true }).click();
  await dialog.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("heading", { name: "Your new token" }).waitFor();
  const line = await page.locator("dialog pre").innerText();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText(name, { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(/rbt[\w-]+/.exec(line)?.[0] ?? line), "it is shown once");
  return line;
}

test("a token does what its line says, and nothing once it is revoked", async () => {
  const page = await accountOf("Desk");
  const place = mkdtempSync(join(tmpdir(), "rbackup-token-"));
  try {
    writeFileSync(join(place, "FILE"), "sent by the line");
    const send = await token(page, "nightly", "Send files");
    execFileSync("bash", ["-c", send], { cwd: place, stdio: "pipe" });
    const [file] = await (await laptop.ask("GET", "/list/files")).json();
    assert.deepEqual([file.device_id, file.original_name], ["laptop", "/PATH/OF/FILE"]);
    const look = await token(page, "looker", "Look and restore");
    assert.equal(JSON.parse(execFileSync("bash", ["-c", look], { stdio: "pipe" })).length, 1);
    await page.getByRole("button", { name: "Revoke nightly" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke nightly" }).waitFor({ state: "detached" });
    assert.equal(spawnSync("bash", ["-c", send], { cwd: place }).status, 22, "curl is refused");
  } finally {
    rmSync(place, { recursive: true });
  }
  page.calm();
});

test("restic goes by its line, and its repository is listed with its address", async () => {
  const page = await accountOf("Desk");
  const line = (await token(page, "restic", "restic backups")).replace("/NAME/", "/photos/");
  const cache = mkdtempSync(join(tmpdir(), "rbackup-restic-"));
  const env = { PATH: process.env.PATH, HOME: cache, RESTIC_PASSWORD: "the repository's own" };
  try {
    execFileSync("bash", ["-ec", line.replace("restic snapshots", `restic init -q; restic backup -q ${import.meta.filename}; restic snapshots`)], { env, stdio: "pipe" });
  } finally {
    rmSync(cache, { recursive: true });
  }
  await page.reload();
  await page.getByText(`rest:${server.url}/restic/photos/`).waitFor();
  await page.getByText("1 snapshot").waitFor();
  page.calm();
});

test("a new password signs everybody else out and nobody in by the old one", async () => {
  const page = await accountOf("Desk");
  const form = page.locator("#password");
  const fill = async (old, fresh, again) => {
    await form.getByLabel("Present password").fill(old);
    await form.getByLabel("New password", { exact: true }).fill(fresh);
    await form.getByLabel("New password again").fill(again);
    await form.getByRole("button").click();
  };
  await fill(PASSWORD, "another battery", "an other battery");
  await page.getByText("The two passwords are not the same.").waitFor();
  await fill("not the password", "another battery", "another battery");
  await page.getByText("The name or the password is wrong.").waitFor();
  await fill(PASSWORD, "another battery", "another battery");
  await page.getByRole("heading", { name: "The password was changed" }).waitFor();
  await page.getByText("1 other session ended.").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("this browser").waitFor();
  await assert.rejects(laptop.ask("GET", "/list/files"), /401/);
  const sign = (password) => fetch(`${server.url}/account/login`, { method: "POST", body: new URLSearchParams({ username: "ann", password, device_id: "laptop" }) });
  assert.equal((await sign(PASSWORD)).status, 401);
  assert.equal((await sign("another battery")).status, 201);
  page.calm();
});
