// Every screen in light, dark and on a phone: axe finds nothing in it, and its picture is in target/screenshots to be looked at.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";

import { PASSWORD, axe, browser, device, house, shot, signIn, visit } from "./kit.mjs";

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};
const wrong = [];
let chrome;
let server;

before(async () => {
  chrome = await browser();
  server = await house();
});
after(async () => {
  await chrome.close();
  await server.stop();
});

async function look(page, name) {
  await shot(page, name);
  wrong.push(...(await axe(page)).map((one) => `${name}: ${one}`));
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (sideways > 0) wrong.push(`${name}: ${sideways} px too wide`);
}

// All of it at once, so that one screen does not hide another.
function flawless() {
  assert.deepEqual(wrong.splice(0), []);
}

// A picture of a hill, as PNG.
function picture(width, height) {
  const rows = [];
  for (let y = 0; y < height; y += 1) {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x += 1) {
      const hill = y > height * (0.55 + 0.18 * Math.sin(x / 40));
      row.set(hill ? [60 + y / 4, 120, 80] : [150 + y / 3, 190, 225], 1 + x * 3);
    }
    rows.push(row);
  }
  const crc = (bytes) => {
    let sum = -1;
    for (const byte of bytes) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return ~sum >>> 0;
  };
  const chunk = (kind, content) => {
    const body = Buffer.concat([Buffer.from(kind), content]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(content.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))]);
}

test("a first run", async () => {
  for (const [name, options] of Object.entries(LOOKS)) {
    const page = await visit(chrome, options);
    await page.goto(server.url);
    await page.getByText("Welcome").waitFor();
    await look(page, `first-run-${name}`);
    page.calm();
  }
  for (const [name, options] of Object.entries(LOOKS)) {
    const nas = await visit(chrome, options);
    await nas.goto(server.nas);
    await nas.getByLabel("Setup code").waitFor();
    await look(nas, `setup-code-${name}`);
  }
  const page = await visit(chrome, LOOKS.light);
  await page.goto(server.url);
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password again").fill(PASSWORD);
  await page.getByRole("button", { name: "Create the account" }).click();
  await page.getByText("Your recovery code").waitFor();
  await look(page, "recovery-light");
  await page.getByText("I have it on paper").click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("Nothing is kept here yet").waitFor();
  await look(page, "overview-empty-light");
  page.calm();
  flawless();
});

test("a house that is lived in", async () => {
  const laptop = await device(server.url, "laptop");
  const desktop = await device(server.url, "desktop in the study");
  const day = 86400000;
  const now = Date.now();
  const names = ["letter to Bob.txt", "taxes 2025.pdf", "shopping.md", "budget.ods", "passport scan.png", "garden plan.svg", "recipe.txt", "invoice 2.pdf", "invoice 10.pdf", "Zebra.txt"];
  for (const [nth, name] of names.entries()) await laptop.put(`/home/ann/Documents/${name}`, name.endsWith(".png") ? picture(360, 220) : `${name}\n\n${"What is written here matters to somebody.\n".repeat(nth * 7 + 1)}`, now - nth * 3.3 * day);
  for (const folder of ["Taxes", "Letters", "House"]) await laptop.put(`/home/ann/Documents/${folder}/first.txt`, folder);
  for (const folder of ["Pictures/2024", "Pictures/2025", "Music", "Desktop"]) await laptop.put(`/home/ann/${folder}/a.txt`, folder);
  const notes = (lines) => laptop.put("/home/ann/Documents/shopping.md", `# Shopping\n\n${lines.map((line) => `- ${line}`).join("\n")}\n\nFor the whole week, and the cake on Sunday.\nBob brings the wine.\nAnn brings the bread.\nNobody brings a dog.\nEverybody brings good weather.\nThe rest is there.\n`);
  await notes(["milk", "two loaves of bread", "apples", "twelve eggs", "butter"]);
  const letter = await notes(["milk", "three loaves of bread", "apples", "ten eggs", "butter", "flour"]);
  for (let nth = 0; nth < 5; nth += 1) await laptop.put("/home/ann/Documents/letter to Bob.txt", `Dear Bob,\n\nthank you for the weekend. ${"The hills were lovely and so was the cake. ".repeat(nth * 6 + 1)}\n\nAnn`, now - nth * day);
  const gone = await laptop.put("/home/ann/Documents/draft.txt", "never mind");
  await laptop.ask("DELETE", `/remove/file?file_id=${gone.id}`);
  await desktop.put("D:\\Photos\\2026\\beach.png", picture(640, 400));
  for (let nth = 0; nth < 20; nth += 1) await desktop.put(`D:\\Projects\\boat\\part ${nth}.stl`, Buffer.alloc(40000 * (nth + 1), nth));
  for (const [name, options] of Object.entries(LOOKS)) {
    const page = await visit(chrome, options);
    await page.goto(server.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await look(page, `sign-in-${name}`);
    await signIn(page, server.url, { browser: `Browser ${name}` });
    await page.locator("#main").getByText("desktop in the study").first().waitFor();
    await look(page, `overview-${name}`);
    const folder = "device=laptop&folder=%2Fhome%2Fann%2FDocuments%2F";
    await page.goto(`${server.url}/#/files?${folder}`);
    await page.getByText("letter to Bob.txt").first().waitFor();
    await page.waitForTimeout(300);
    await look(page, `files-${name}`);
    await page.goto(`${server.url}/#/files?${folder}&removed=yes`);
    await page.getByText("draft.txt").waitFor();
    await look(page, `files-removed-${name}`);
    await page.getByText("letter to Bob.txt").first().click();
    await page.getByText("Dear Bob").waitFor();
    await look(page, `versions-${name}`);
    await page.getByRole("button", { name: "curl", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    await look(page, `curl-${name}`);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Close versions" }).click();
    await page.getByText("passport scan.png").click();
    await page.locator("#preview img").waitFor();
    await look(page, `picture-${name}`);
    await page.getByRole("button", { name: "Close versions" }).click();
    for (const name of ["letter to Bob.txt", "invoice 2.pdf", "draft.txt"]) await page.getByRole("button", { name: `Select ${name}` }).click({ force: true });
    await page.getByRole("toolbar", { name: "Selected" }).getByText("3 files").waitFor();
    await look(page, `selected-${name}`);
    const [older, newer] = [letter.versions.at(-2), letter.versions.at(-1)];
    await page.goto(`${server.url}/#/compare?file=${letter.id}&a=${older.version}&b=${newer.version}`);
    await page.getByText(/added or changed/).first().waitFor();
    await look(page, `compare-${name}`);
    await page.goto(`${server.url}/#/account`);
    await page.getByRole("heading", { name: "Signed in" }).waitFor();
    await look(page, `account-${name}`);
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.getByRole("dialog").waitFor();
    await look(page, `token-${name}`);
    await page.getByLabel("What it is called").fill(`nightly ${name}`);
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("heading", { name: "Your new token" }).waitFor();
    await look(page, `token-made-${name}`);
    await page.getByRole("button", { name: "Close" }).click();
    await page.goto(`${server.url}/#/search?q=part`);
    await page.getByText("part 7.stl").waitFor();
    await look(page, `search-${name}`);
    await page.goto(`${server.url}/#/search?q=nothingiscalledthis`);
    await page.getByText("No file is called that").waitFor();
    await look(page, `search-nothing-${name}`);
    await page.goto(`${server.url}/#/files?${folder}`);
    await page.getByText("letter to Bob.txt").first().waitFor();
    await page.route("**/api/v1/upload*", (route) => (route.request().url().includes("bad") ? route.fulfill({ status: 507, contentType: "application/json", body: '{"code":"no_space","error":"There is no space left; nothing was changed.","request_id":"0"}' }) : route.continue()));
    page.expect(/507/);
    await page.getByRole("button", { name: "Bring in", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    await look(page, `bring-${name}`);
    await page.locator("input[name=files]").setInputFiles([{ name: "bad.txt", mimeType: "text/plain", buffer: Buffer.from("bad") }, { name: "good.txt", mimeType: "text/plain", buffer: Buffer.from("good") }]);
    await page.getByText("1 file failed").first().waitFor();
    await look(page, `tray-${name}`);
    page.calm();
    await page.context().close();
  }
  flawless();
});

test("planted: axe sees a picture without words and grey on grey", async () => {
  const page = await visit(chrome);
  await page.goto(server.url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.evaluate(() => {
    const image = document.createElement("img");
    image.src = "/favicon.ico";
    document.querySelector("main").append(image);
  });
  assert.ok((await axe(page)).some((one) => one.startsWith("image-alt")), "planted");
});
