// The queue of files on their way. Each is waiting, hashing, sending, verifying, then done or failed, with a reason and a way to
// try again. What does the work comes in, so that a test can stand in for it.

const SENDING_MAX = 2;

export class Uploads extends EventTarget {
  constructor({ hash, send, again, now = () => Date.now() }) {
    super();
    Object.assign(this, { hash, send, again, now });
    this.items = [];
    this.hashing = 0;
    this.sending = 0;
    this.began = 0;
  }

  add(files, device) {
    if (!this.busy) this.began = this.now();
    for (const { file, path } of files) {
      this.items.push({ id: this.items.length, file, path, device, state: "waiting", at: 0, sent: 0, why: "", hashOf: null });
    }
    this.changed();
    this.next();
  }

  retry(id) {
    const item = this.items[id];
    if (item?.state !== "failed") return;
    Object.assign(item, { state: item.hashOf ? "ready" : "waiting", at: 0, sent: 0, why: "" });
    this.changed();
    this.next();
  }

  clear() {
    this.items = this.busy ? this.items : [];
    this.changed();
  }

  get busy() {
    return this.items.some((item) => !["done", "failed"].includes(item.state));
  }

  totals() {
    const totals = { files: this.items.length, done: 0, failed: 0, bytes: 0, sent: 0, seconds: NaN };
    for (const item of this.items) {
      totals.bytes += item.file.size;
      totals.sent += item.state === "done" ? item.file.size : item.sent;
      if (item.state === "done") totals.done += 1;
      if (item.state === "failed") totals.failed += 1;
    }
    const spent = (this.now() - this.began) / 1000;
    if (this.busy && totals.sent > 0 && spent > 2) totals.seconds = ((totals.bytes - totals.sent) / totals.sent) * spent;
    return totals;
  }

  next() {
    const waiting = this.items.find((item) => item.state === "waiting");
    if (waiting && this.hashing === 0) this.work(waiting, "hashing", () => this.hashOne(waiting));
    while (this.sending < SENDING_MAX) {
      const ready = this.items.find((item) => item.state === "ready");
      if (!ready) break;
      this.work(ready, "sending", () => this.sendOne(ready));
    }
  }

  async work(item, state, run) {
    item.state = state;
    this[state] += 1;
    this.changed();
    try {
      await run();
    } catch (error) {
      Object.assign(item, { state: "failed", why: error.message });
      if (error.code === "hash_mismatch") item.hashOf = null;
    }
    this[state] -= 1;
    this.changed();
    this.next();
  }

  async hashOne(item) {
    item.hashOf = await this.hash(item.file, (at) => {
      item.at = at;
      this.changed();
    });
    item.state = "ready";
  }

  async sendOne(item) {
    const onSent = (sent) => {
      item.sent = sent;
      if (sent >= item.file.size) item.state = "verifying";
      this.changed();
    };
    const send = () => this.send({ file: item.file, device: item.device, path: item.path, hash: item.hashOf, onSent });
    await send().catch(async (error) => {
      if (error.status !== 401) throw error;
      await this.again();
      return send();
    });
    item.state = "done";
    this.dispatchEvent(new CustomEvent("stored", { detail: item }));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
