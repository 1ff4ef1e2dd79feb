// The pure modules of the interface, without a browser: `node --test tests/browser/unit`.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { download, quote, restic } from "../../../web/lib/curl.js";
import { compare, inside, runs, split } from "../../../web/lib/diff.js";
import { ago, bytes, change, left } from "../../../web/lib/format.js";
import { escape, html } from "../../../web/lib/html.js";
import { kindOf } from "../../../web/lib/kind.js";
import { below, crumbs, decode, encode, folderOf, lastName, parent, show } from "../../../web/lib/path.js";
import { link, parse } from "../../../web/lib/route.js";
import { move, reveal, span } from "../../../web/lib/rows.js";
import { Sha256 } from "../../../web/lib/sha256.js";
import { Uploads } from "../../../web/lib/uploads.js";

const WEB = fileURLToPath(new URL("../../../web", import.meta.url));

test("SHA-256 is SHA-256, however it is cut", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 70000]) {
    const content = randomBytes(length);
    const want = createHash("sha256").update(content).digest("hex");
    assert.equal(new Sha256().update(content).digest(), want, `${length} bytes at once`);
    const sum = new Sha256();
    for (let at = 0; at < length; ) {
      const step = 1 + Math.floor(Math.random() * 200);
      sum.update(content.subarray(at, at + step));
      at += step;
    }
    assert.equal(sum.digest(), want, `${length} bytes in pieces`);
  }
});

test("whatever goes into a template is text", () => {
  assert.equal(html`<p title="${'"><script>'}">${"<b>&'"}</p>`.text, '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;&#39;</p>');
  assert.equal(html`${[html`<i></i>`, "<i>"]}${null}${undefined}${false}${0}`.text, "<i></i>&lt;i&gt;0");
  assert.equal(escape({ toString: () => "<x>" }), "&lt;x&gt;", "an object that claims to be markup is none");
  assert.equal(html`${{ text: "<x>" }}`.text, "[object Object]");
});

// An attribute without quotes ends at the first blank of a name, whatever is escaped.
function unquoted(source) {
  return [...source.matchAll(/[\w-]=\$\{/g)].map((match) => source.slice(match.index - 10, match.index + 12)).filter((text) => !/[?&]\w*=\$/.test(text));
}

test("attributes in templates stand in quotes, and one module alone makes markup", () => {
  assert.equal(unquoted("html`<a href=${url}>`").length, 1, "planted");
  const files = readdirSync(WEB, { recursive: true }).filter((name) => name.endsWith(".js"));
  assert.ok(files.length > 15, files.join());
  for (const name of files) {
    const source = readFileSync(join(WEB, name), "utf8");
    const templates = [...source.matchAll(/html`[^`]*`/g)].map((match) => match[0]).join("\n");
    assert.deepEqual(unquoted(templates), [], name);
    if (name !== "lib/html.js") assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\b|new Function/, name);
    if (name !== "lib/api.js") assert.doesNotMatch(source, /\bfetch\(/, `${name} fetches by itself`);
  }
});

test("sizes and moments as people read them", () => {
  for (const [count, text] of [[0, "0 B"], [1023, "1,023 B"], [1024, "1 KiB"], [1536, "1.5 KiB"], [1048575, "1 MiB"], [150 * 2 ** 20, "150 MiB"], [2 ** 40, "1 TiB"]]) {
    assert.equal(bytes(count, "en"), text);
  }
  assert.equal(change(1024, 2048, "en"), "+1 KiB");
  assert.equal(change(2048, 1024, "en"), "−1 KiB");
  assert.equal(change(5, 5, "en"), "same size");
  const now = Date.UTC(2026, 0, 1);
  for (const [seconds, text] of [[0, "just now"], [-5, "just now"], [90, "1 minute ago"], [7200, "2 hours ago"], [86400 * 8, "1 week ago"], [86400 * 400, "1 year ago"]]) {
    assert.equal(ago(now - seconds * 1000, now, "en"), text);
  }
  assert.equal(left(NaN), "");
  assert.equal(left(90), "2 min left");
});

test("paths keep their bytes and show what they hide", () => {
  const path = encode("C:\\Users/änn\\a b.txt");
  assert.equal(decode(path), "C:\\Users/änn\\a b.txt");
  assert.equal(lastName(path), "a b.txt");
  assert.deepEqual(crumbs(folderOf(path)).map((crumb) => crumb.name), ["C:", "Users", "änn"]);
  assert.equal(parent(folderOf(path)), encode("C:\\Users/"));
  assert.equal(lastName(encode("/home/ann/")), "ann");
  assert.equal(lastName("%2F"), "");
  assert.equal(show(""), "/");
  assert.equal(decode("%FF%FE"), "\ufffd\ufffd");
  assert.equal(show("a\u202egpj.exe"), "a⟨U+202E⟩gpj.exe");
  assert.equal(show("con\nline\u0007"), "con⟨U+000A⟩line⟨U+0007⟩");
  assert.equal(decode(below(encode("/a/"), "b/../c/./d.txt")), "/a/b/c/d.txt");
  assert.equal(decode(below(encode("C:\\a\\"), "b/c.txt")), "C:\\a\\b\\c.txt");
});

test("a state and its URL are the same", () => {
  const route = { page: "files", device: "a b&c=d#e", folder: encode("/x y/%2F/"), file: "7" };
  assert.deepEqual(parse(link(route)), route);
  assert.deepEqual(parse("#/"), { page: "overview" });
  assert.deepEqual(parse(""), { page: "overview" });
  assert.equal(parse("#/search?q=%E0%A4%A").q, "", "what cannot be read is nothing");
  assert.equal(link({ page: "overview" }), "#/");
});

test("a command is one command, whatever a name is", () => {
  for (const name of ["plain.txt", "it's", "$(touch /tmp/x)", "`id`", "a\nb", "\u001b[31m", "-rf", "a b", "\\", "ä\u0007'\\"]) {
    assert.equal(execFileSync("bash", ["-c", `printf %s ${quote(name)}`], { encoding: "utf8" }), name);
    assert.doesNotMatch(quote(name), /[\u0000-\u001f]/);
  }
  assert.match(restic("http://nas:3369", "$(id) ann", "a b/c", "rbt_x"), /^export RESTIC_REPOSITORY='?rest:http:\/\/%24\(id\)%20ann:rbt_x@nas:3369\/restic\/a%20b\/c\/'?\n/);
  assert.match(download("http://nas:3369", 7, "../../etc/passwd"), /-o '?\.\/\.\._\.\._etc_passwd'?/);
});

test("rows that are seen exist, and no others", () => {
  assert.deepEqual(span({ top: 0, height: 400, row: 40, count: 100000 }), { first: 0, last: 18 });
  assert.deepEqual(span({ top: 40 * 99990, height: 400, row: 40, count: 100000 }), { first: 99982, last: 100000 });
  assert.deepEqual(span({ top: 0, height: 400, row: 40, count: 0 }), { first: 0, last: 0 });
  assert.equal(reveal({ at: 5, top: 0, height: 400, row: 40 }), 0);
  assert.equal(reveal({ at: 20, top: 0, height: 400, row: 40 }), 440);
  assert.equal(reveal({ at: 2, top: 400, height: 400, row: 40 }), 80);
  assert.equal(move("End", 0, 10, 5), 9);
  assert.equal(move("PageUp", 2, 10, 5), 0);
  assert.equal(move("x", 2, 10, 5), null);
  assert.equal(move("ArrowDown", 0, 0, 5), null);
});

test("a file is what its bytes are, not what it is called", () => {
  const text = (value) => new TextEncoder().encode(value);
  assert.equal(kindOf(text("<script>alert(1)</script>")).show, "text");
  assert.equal(kindOf(text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")).show, "text");
  assert.equal(kindOf(text("%PDF-1.7 ä")).show, "pdf");
  assert.equal(kindOf(text("RIFF0000WAVEfmt ")).show, "audio");
  assert.equal(kindOf(new Uint8Array([0xff, 0xfb, 0x90, 0])).show, "audio");
  assert.equal(kindOf(text("\0\0\0 ftypisom")).show, "video");
  assert.equal(kindOf(text("\0\0\0 ftypavif")).show, "image");
  assert.equal(kindOf(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0])).type, "image/png");
  assert.equal(kindOf(new Uint8Array([0, 1, 2, 3])).show, "nothing");
  assert.equal(kindOf(text("BMI is not a picture")).show, "text");
  const cut = text("naïve ä");
  assert.equal(kindOf(cut.subarray(0, cut.length - 1)).show, "text");
});

test("the queue does each file once, says why one failed, and goes on after a new sign-in", async () => {
  const sent = [];
  let refuse = 1;
  let expired = 1;
  const queue = new Uploads({
    hash: async (file, onAt) => {
      onAt(file.size);
      if (file.size === 13) throw new Error("The file could not be read.");
      return `hash of ${file.size}`;
    },
    send: async ({ file, hash, onSent }) => {
      if (file.size === 2 && expired-- > 0) throw Object.assign(new Error("ended"), { status: 401 });
      if (file.size === 3 && refuse-- > 0) throw Object.assign(new Error("The disk is full."), { status: 507 });
      onSent(file.size);
      sent.push([file.size, hash]);
    },
    again: async () => {},
  });
  const settled = () => new Promise((resolve) => {
    const look = () => queue.busy || setTimeout(() => queue.busy || resolve());
    queue.addEventListener("change", look);
    look();
  });
  queue.add([1, 2, 3, 13].map((size) => ({ file: { size }, path: String(size) })), "laptop");
  await settled();
  assert.deepEqual(queue.items.map((item) => item.state), ["done", "done", "failed", "failed"]);
  assert.equal(queue.items[2].why, "The disk is full.");
  assert.equal(queue.items[3].why, "The file could not be read.");
  queue.retry(2);
  await settled();
  assert.equal(queue.items[2].state, "done");
  assert.deepEqual(sent.map(([size]) => size).sort(), [1, 2, 3]);
  assert.equal(queue.totals().done, 3);
});

// Both sides out of the rows again, and how many lines changed.
function sides(rows, old, now) {
  for (const [one, other, same] of rows) if (same) assert.equal(old[one], now[other]);
  assert.deepEqual(rows.map(([one]) => one).filter((nth) => nth !== null), old.map((_, nth) => nth), "each old line once");
  assert.deepEqual(rows.map(([, other]) => other).filter((nth) => nth !== null), now.map((_, nth) => nth), "each new line once");
  return rows.reduce((sum, [one, other, same]) => sum + (same ? 0 : (one !== null) + (other !== null)), 0);
}

// The least number of changes, by the table that everybody knows.
function least(old, now) {
  let row = now.map((_, nth) => nth + 1);
  row.unshift(0);
  for (const [nth, line] of old.entries()) {
    const next = [nth + 1];
    for (const [at, other] of now.entries()) next.push(line === other ? row[at] : 1 + Math.min(row[at + 1], next[at]));
    row = next;
  }
  return row.at(-1);
}

test("two texts are compared by the fewest changes, and nothing of either is lost", () => {
  assert.deepEqual(split("a\nb\n"), ["a", "b"]);
  assert.deepEqual(split(""), []);
  assert.deepEqual(compare(["a", "b", "c"], ["a", "x", "c"]), [[0, 0, true], [1, 1, false], [2, 2, true]]);
  assert.deepEqual(compare([], ["a"]), [[null, 0, false]]);
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 400; round += 1) {
    const text = () => Array.from({ length: random(14) }, () => "abc"[random(3)]);
    const [old, now] = [text(), text()];
    assert.equal(sides(compare(old, now), old, now), least(old, now), `${old} ${now}`);
    sides(compare(old, now, 2), old, now);
  }
  assert.equal(least(["a"], ["b"]), 2);
  assert.throws(() => sides([[0, 0, true]], ["a"], ["b"]), "planted: a line that is not the same");
  const far = runs(compare([..."abcdefghijk"], [..."abcdefghijX"]), 2);
  assert.deepEqual(far.map((run) => [run.far, run.rows.length]), [[true, 8], [false, 3]]);
  assert.deepEqual(inside("the cat sat", "the hat sat"), [4, 6]);
  assert.deepEqual(inside("aa", "aaa"), [2, 0]);
});
