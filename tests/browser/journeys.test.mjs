// What people do, from the first start on, in a real browser: on loopback, and on a name without TLS as a NAS is reached.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, ftruncateSync, closeSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { PASSWORD, browser, device, drop, house, signIn, visit } from "./kit.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome.close());

async function inHouse(work) {
  const server = await house();
  try {
    await work(server);
  } finally {
    for (const context of chrome.contexts()) await context.close();
    await server.stop();
  }
}

for (const where of ["url", "nas"]) {
  test(`from the first start to an old version, at ${where === "nas" ? "a name without TLS" : "loopback"}`, () => inHouse(async (server) => {
    const page = await visit(chrome);
    await page.goto(server[where]);
    await page.getByRole("heading", { name: "Welcome" }).waitFor();
    assert.equal(await page.getByLabel("Setup code").count(), where === "nas" ? 1 : 0, "the code is for those who come from elsewhere");
    if (where === "nas") {
      await page.getByLabel("Setup code").fill("0000-0000-0000-0000-0000-0000-0000-0000");
      page.expect(/403 \(Forbidden\)/);
    }
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("Password again").fill("something else");
    await page.getByRole("button", { name: "Create the account" }).click();
    await page.getByText("The two passwords are not the same.").waitFor();
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.getByRole("button", { name: "Create the account" }).click();
    if (where === "nas") {
      await page.getByText("takes the setup code that the server printed").waitFor();
      await page.getByLabel("Setup code").fill(server.setup);
      await page.getByRole("button", { name: "Create the account" }).click();
    }
    const code = await page.locator(".code").innerText();
    assert.match(code, /^[0-9A-Z-]{30,}$/);
    assert.ok(await page.getByRole("button", { name: "Continue" }).isDisabled(), "nobody goes on without the code");
    await page.getByText("I have it on paper").click();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("Nothing is kept here yet").waitFor();
    assert.ok(!(await page.content()).includes(code), "the code is shown once");
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ["rbackup", true, "Strict"]);

    await drop(page, [{ name: "letter.txt", text: "Dear Bob" }, { name: "list.txt", text: "milk" }]);
    await page.getByRole("combobox", { name: "Device" }).fill("kitchen");
    await page.getByRole("dialog").getByRole("button", { name: "Bring in", exact: true }).click();
    await page.getByText("2 files stored").first().waitFor();
    await page.getByRole("heading", { name: /has sent something this week/ }).waitFor();
    await page.getByRole("link", { name: /kitchen/ }).first().click();
    await page.getByRole("row", { name: /letter.txt/ }).click();
    await page.getByText("Dear Bob").waitFor();
    await page.waitForTimeout(1100);

    await drop(page, [{ name: "letter.txt", text: "Dear Bob, once more" }]);
    await page.getByText("1 file stored").or(page.getByText("3 files stored")).first().waitFor();
    await page.getByRole("button", { name: "Close versions" }).click();
    await page.getByRole("row", { name: /letter.txt/ }).getByRole("gridcell", { name: "2", exact: true }).waitFor();
    await page.getByRole("row", { name: /letter.txt/ }).click();
    await page.getByText("Dear Bob, once more").waitFor();
    const versions = page.locator(".version");
    assert.equal(await versions.count(), 2);
    await versions.nth(1).click();
    await page.locator("#preview", { hasText: /^Dear Bob$/ }).waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
    assert.equal(readFileSync(await download.path(), "utf8"), "Dear Bob");
    assert.equal(download.suggestedFilename(), "letter.txt");

    await page.getByRole("link", { name: "Folder as of then" }).click();
    await page.getByText(/^As of \d/).waitFor();
    await page.getByRole("row", { name: /letter.txt/ }).getByRole("gridcell", { name: "1", exact: true }).waitFor();
    await page.getByRole("button", { name: "Back to now" }).click();

    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.getByText("Held until").or(page.locator(".version", { hasText: "removed" })).first().waitFor();
    await page.getByRole("row", { name: /letter.txt/ }).getByRole("gridcell", { name: "1", exact: true }).waitFor();

    await page.getByLabel("Account").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    await page.getByLabel("Password").fill("a wrong password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The name or the password is wrong.").waitFor();
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#main").waitFor();
    page.calm();
  }));
}

test("who may register is asked for what is needed, and nobody for more", async () => {
  for (const [registration, asks] of [["open", "Create an account"], ["invite", "I have an invitation"], ["closed", null]]) {
    const server = await house({ config: `[accounts]\nregistration = "${registration}"\n` });
    try {
      const ann = await device(server.url, "laptop");
      const page = await visit(chrome);
      page.expect(/403 \(Forbidden\)/);
      await page.goto(server.url);
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      assert.equal(await page.getByLabel(/code|Invitation/i).count(), 0, "signing in takes no code");
      if (asks === null) {
        assert.equal(await page.getByRole("button").count(), 1, "nothing but signing in");
        continue;
      }
      await page.getByRole("button", { name: asks }).click();
      await page.getByRole("heading", { name: "Create an account" }).waitFor();
      assert.equal(await page.getByLabel("Invitation").count(), registration === "invite" ? 1 : 0);
      await page.getByLabel("Name").fill("bob");
      await page.getByLabel("Password", { exact: true }).fill(`${PASSWORD} of bob`);
      await page.getByLabel("Password again").fill(`${PASSWORD} of bob`);
      if (registration === "invite") {
        await page.getByLabel("Invitation").fill("0000-0000-0000-0000-0000-0000-0000-0000");
        await page.getByRole("button", { name: "Create the account" }).click();
        await page.getByText("an invitation that is still good").waitFor();
        const { invite } = await (await ann.ask("POST", "/api/v1/invites")).json();
        await page.getByLabel("Invitation").fill(invite);
      }
      await page.getByRole("button", { name: "Create the account" }).click();
      await page.getByText("I have it on paper").click();
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByText("Nothing is kept here yet").waitFor();
      page.calm();
    } finally {
      for (const context of chrome.contexts()) await context.close();
      await server.stop();
    }
  }
});

test("the sign-in before is shown", () => inHouse(async (server) => {
  await device(server.url, "laptop");
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.getByLabel("Account").click();
  await page.getByText(/Last sign-in before this: .*laptop from 127.0.0.1/).waitFor();
  await page.reload();
  await page.getByLabel("Account").click();
  await page.getByText(/Last sign-in before this: .*laptop/).waitFor();
  page.calm();
}));

test("a session that ended asks, and what was asked for goes on", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  await laptop.put("/docs/a.txt", "first");
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.getByRole("link", { name: /laptop/ }).first().click();
  await page.getByRole("row", { name: /docs/ }).waitFor();
  await page.context().clearCookies();
  await page.getByRole("row", { name: /docs/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Your session has ended.").waitFor();
  await page.keyboard.press("Escape");
  assert.ok(await dialog.isVisible(), "it has to be answered");
  await dialog.getByLabel("Password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("row", { name: /a.txt/ }).waitFor();

  await page.context().clearCookies();
  await drop(page, [{ name: "b.txt", text: "second" }]);
  await dialog.getByLabel("Password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("1 file stored").first().waitFor();
  await page.getByRole("row", { name: /b.txt/ }).waitFor();
  page.calm();
}));

test("a lost connection says so, and trying again works", () => inHouse(async (server) => {
  await device(server.url, "laptop");
  const page = await visit(chrome);
  page.expect(/Failed to load resource|net::ERR/);
  await signIn(page, server.url);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2F`);
  await page.route("**/api/v1/upload*", (route) => route.abort());
  await drop(page, [{ name: "c.txt", text: "third" }]);
  await page.getByText("The connection was lost.").waitFor();
  await page.getByText("1 file failed").first().waitFor();
  await page.unroute("**/api/v1/upload*");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("1 file stored").first().waitFor();
  await page.route("**/api/v1/overview", (route) => route.fulfill({ status: 507, contentType: "application/json", body: '{"code":"no_space","error":"There is no space left; nothing was changed.","request_id":"0"}' }));
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByText("There is no space left").waitFor();
  await page.unroute("**/api/v1/overview");
  await page.getByRole("button", { name: "Try again" }).last().click();
  await page.getByRole("heading", { level: 1 }).waitFor();
  page.calm();
}));

test("everything can be reached with the keyboard alone", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  for (const name of ["one", "two", "three"]) await laptop.put(`/docs/${name}.txt`, `this is ${name}`);
  await laptop.put("/zoo/zebra.txt", "stripes");
  const page = await visit(chrome);
  await page.goto(server.url);
  await page.getByLabel("Name").waitFor();
  await page.keyboard.type("ann");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /has sent something/ }).waitFor();
  await page.keyboard.press("g");
  const list = page.locator("rb-list");
  await page.getByRole("row", { name: /docs/ }).waitFor();
  await list.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("row", { name: /three.txt/ }).waitFor();
  await list.focus();
  await page.keyboard.press("End");
  await page.keyboard.press("v");
  await page.getByText("this is two").waitFor();
  await page.keyboard.press("Escape");
  assert.ok(await list.evaluate((element) => element === document.activeElement), "focus comes back to the list");
  await page.keyboard.press("Backspace");
  await page.getByRole("row", { name: /zoo/ }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("One folder up").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("zeb/g");
  assert.equal(await page.getByRole("searchbox").inputValue(), "zeb/g", "keys are letters inside of a field");
  for (let time = 0; time < 2; time += 1) await page.keyboard.press("Backspace");
  await page.keyboard.press("Enter");
  await page.getByRole("row", { name: /zebra.txt/ }).waitFor();
  await page.locator("rb-list").focus();
  await page.keyboard.press("Enter");
  await page.getByText("stripes").waitFor();
  page.calm();
}));

test("an old version is made the newest, and what was removed comes back", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  for (const text of ["the first", "the second", "the third"]) await laptop.put("/docs/a.txt", text);
  const gone = await laptop.put("/docs/gone.txt", "not gone for good");
  const too = await laptop.put("/docs/too.txt", "nor this");
  for (const file of [gone, too]) await laptop.ask("DELETE", `/remove/file?file_id=${file.id}`);
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fdocs%2F`);
  await page.getByRole("row", { name: /a.txt/ }).click();
  await page.locator("#preview", { hasText: /^the third$/ }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Make it the newest" }).count(), 0, "it is the newest");
  await page.locator(".version").nth(2).click();
  await page.locator("#preview", { hasText: /^the first$/ }).waitFor();
  await page.getByRole("button", { name: "Make it the newest" }).click();
  await page.getByText("4 versions").waitFor();
  await page.locator(".shown > .version", { hasText: "9 B" }).waitFor();
  assert.equal(await page.locator(".version").first().getAttribute("aria-expanded"), "true", "the new one is shown");
  await page.locator("#preview", { hasText: /^the first$/ }).waitFor();
  await page.getByRole("button", { name: "Close versions" }).click();

  assert.equal(await page.getByRole("row", { name: /gone.txt/ }).count(), 0);
  await page.getByRole("button", { name: "As of…" }).click();
  await page.getByText("Show removed files").click();
  await page.getByRole("row", { name: /gone.txt/ }).click();
  await page.getByRole("button", { name: "Bring back" }).click();
  await page.locator("#preview", { hasText: "not gone for good" }).waitFor();
  await page.getByRole("button", { name: "Close versions" }).click();
  await page.getByRole("row", { name: /too.txt/ }).getByText("removed").waitFor();
  await page.locator("rb-list").focus();
  await page.keyboard.press("a");
  await page.getByRole("toolbar", { name: "Selected" }).getByText("3 files").waitFor();
  await page.getByRole("toolbar").getByRole("button", { name: "Bring back" }).click();
  await page.locator(".line.gone").waitFor({ state: "detached" });
  assert.equal((await (await laptop.ask("GET", "/list/files")).json()).length, 3);
  page.calm();
}));

test("a folder and a selection are taken along as zip", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  await laptop.put("/docs/a.txt", "alpha");
  await laptop.put("/docs/deep/b.txt", "beta");
  await laptop.put("/docs/c.txt", "gamma");
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fdocs%2F`);
  await page.getByRole("row", { name: /c.txt/ }).waitFor();
  const taken = async (click) => {
    const [download] = await Promise.all([page.waitForEvent("download"), click()]);
    const path = await download.path();
    return [download.suggestedFilename(), execFileSync("unzip", ["-Z1", path], { encoding: "utf8" }).trim().split("\n")];
  };
  assert.deepEqual(await taken(() => page.getByRole("button", { name: "Download this folder as zip" }).click()), ["docs.zip", ["docs/a.txt", "docs/c.txt", "docs/deep/b.txt"]]);
  const list = page.locator("rb-list");
  await list.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowDown");
  const bar = page.getByRole("toolbar", { name: "Selected" });
  await bar.getByText("1 file and 1 folder").waitFor();
  assert.equal(await page.getByRole("row", { selected: true }).count(), 2);
  assert.deepEqual(await taken(() => bar.getByRole("link", { name: "Download as zip" }).click()), ["docs.zip", ["deep/b.txt", "a.txt"]]);
  await bar.getByRole("button", { name: "Clear" }).click();
  await bar.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Select c.txt" }).click();
  await bar.getByText("1 file", { exact: true }).waitFor();
  assert.deepEqual((await taken(() => page.locator("rb-list").press("d")))[1], ["c.txt"]);
  page.calm();
}));

test("two versions of a text stand side by side", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  const text = (middle) => [...Array.from({ length: 40 }, (_, nth) => `line ${nth}`), middle, ...Array.from({ length: 40 }, (_, nth) => `end ${nth}`)].join("\n");
  await laptop.put("/docs/a.txt", text("the cat sat\nand slept"));
  await laptop.put("/docs/a.txt", text("the <b>hat</b> sat"));
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fdocs%2F`);
  await page.getByRole("row", { name: /a.txt/ }).click();
  await page.getByRole("link", { name: "Compare" }).click();
  await page.getByText("1 line added or changed, 2 removed or changed.").waitFor();
  assert.deepEqual(await page.locator(".diff .old").allInnerTexts(), ["−the cat sat", "−and slept"]);
  assert.deepEqual(await page.locator(".diff .new").allInnerTexts(), ["+the <b>hat</b> sat"]);
  assert.equal(await page.getByText("line 3", { exact: true }).count(), 0, "what both have is folded");
  await page.getByRole("button", { name: "37 lines that both have" }).first().click();
  await page.getByText("line 3", { exact: true }).first().waitFor();
  await page.getByLabel("Before").selectOption({ index: 0 });
  await page.getByText("Both are the same").waitFor();
  await page.goBack();
  await page.getByRole("row", { name: /a.txt/ }).waitFor();
  page.calm();
}));

// A second of a tone, as a WAV file that is longer than what a page reads of it at once.
function tone() {
  const samples = Buffer.alloc(88200);
  for (let at = 0; at < 44100; at += 1) samples.writeInt16LE(Math.round(9000 * Math.sin((at * 440 * 2 * Math.PI) / 44100)), at * 2);
  const head = Buffer.alloc(44);
  head.write("RIFF\0\0\0\0WAVEfmt ", "latin1");
  head.writeUInt32LE(36 + samples.length, 4);
  head.set([16, 0, 0, 0, 1, 0, 1, 0, 0x44, 0xac, 0, 0, 0x88, 0x58, 1, 0, 2, 0, 16, 0], 16);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

const PDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF";

test("sound and documents are shown by the browser, from a route that runs nothing", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  await laptop.put("/docs/tone.txt", tone());
  await laptop.put("/docs/paper.txt", PDF);
  const page = await visit(chrome);
  await signIn(page, server.url);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fdocs%2F`);
  await page.getByRole("row", { name: /tone.txt/ }).click();
  const sound = page.locator("#preview audio");
  await sound.waitFor();
  await page.waitForFunction(() => document.querySelector("#preview audio").duration > 0.99);
  const answered = page.waitForResponse((response) => response.url().includes("/api/v1/preview"));
  await page.getByRole("row", { name: /paper.txt/ }).click();
  await page.locator("#preview iframe").waitFor();
  assert.equal((await answered).headers()["content-type"], "application/pdf");
  page.calm();
}));

test("a hundred thousand files in a folder stay smooth", () => inHouse(async (server) => {
  const laptop = await device(server.url, "laptop");
  await laptop.put("/many/0", "x");
  const page = await visit(chrome);
  await signIn(page, server.url);
  const total = 100_000;
  // The server's pages, made here: what is shown is how the list bears them.
  await page.route("**/api/v1/folder*", (route) => {
    const query = new URL(route.request().url()).searchParams;
    const from = Number(query.get("cursor") ?? 0);
    const until = Math.min(total, from + Number(query.get("limit")));
    const files = Array.from({ length: until - from }, (_, nth) => {
      const name = `file ${String(from + nth).padStart(6, "0")}.txt`;
      return { id: from + nth, path: `/many/${name}`, path_encoded: `%2Fmany%2F${encodeURIComponent(name).replaceAll(".", "%2E")}`, version: 1, size: from + nth, changed_ms: 1.7e12, arrived_ms: 1.7e12, versions: 1 };
    });
    route.fulfill({ json: { folders: [], files, ...(until < total && { next: String(until) }) } });
  });
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2Fmany%2F`);
  await page.getByRole("row", { name: /file 000000/ }).waitFor();
  const list = page.locator("rb-list");
  await list.focus();
  const begun = Date.now();
  while (!(await page.getByText("100,000 entries", { exact: true }).isVisible())) {
    await page.keyboard.press("End");
    assert.ok(Date.now() - begun < 90_000, "all pages came");
  }
  await page.keyboard.press("End");
  await page.getByRole("row", { name: /file 099999/ }).waitFor();
  assert.ok((await page.locator(".line").count()) < 80, "only what is seen exists");
  const frames = await page.evaluate(async () => {
    const element = document.querySelector("rb-list");
    const times = [];
    let last = performance.now();
    for (let step = 0; step < 60; step += 1) {
      element.scrollTop = (step / 60) * element.scrollHeight;
      await new Promise(requestAnimationFrame);
      times.push(performance.now() - last);
      last = performance.now();
    }
    return times.sort((one, other) => one - other);
  });
  console.log(`scrolling 100 000 files: median frame ${frames[30].toFixed(1)} ms, 95th of 100 ${frames[57].toFixed(1)} ms`);
  // Each step jumps to rows that do not exist yet, which is the worst that a hand can do.
  assert.ok(frames[30] < 100, `frames: ${frames}`);
  page.calm();
}));

function residentMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

// The browser's processes of pages, which hold what scripts hold.
function renderersMiB() {
  let most = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer")) most = Math.max(most, residentMiB(pid));
    } catch {
      // It ended meanwhile.
    }
  }
  return most;
}

test("a file of 1 GiB needs no memory", () => inHouse(async (server) => {
  await device(server.url, "laptop");
  const page = await visit(chrome);
  await signIn(page, server.url);
  const place = mkdtempSync(join(tmpdir(), "rbackup-large-"));
  const path = join(place, "large.bin");
  const file = openSync(path, "w");
  ftruncateSync(file, 1 << 30);
  closeSync(file);
  await page.goto(`${server.url}/#/files?device=laptop&folder=%2F`);
  await page.getByRole("button", { name: "Bring in", exact: true }).click();
  const before = [renderersMiB(), residentMiB(server.server.pid)];
  await page.locator("input[name=files]").setInputFiles(path);
  let [page_, server_] = before;
  const begun = Date.now();
  const stored = page.getByText("1 file stored").first();
  while (!(await stored.isVisible())) {
    page_ = Math.max(page_, renderersMiB());
    server_ = Math.max(server_, residentMiB(server.server.pid));
    assert.ok(Date.now() - begun < 180_000, "it is stored in three minutes");
    await page.waitForTimeout(100);
  }
  rmSync(place, { recursive: true });
  console.log(`1 GiB from a browser: ${((Date.now() - begun) / 1000).toFixed(1)} s; page ${before[0].toFixed(0)} → ${page_.toFixed(0)} MiB, server ${before[1].toFixed(0)} → ${server_.toFixed(0)} MiB`);
  assert.ok(page_ - before[0] < 96 && server_ < 192, "memory does not follow the file");
  await page.getByRole("row", { name: /large.bin/ }).getByText("1 GiB").waitFor();
  page.calm();
}));
