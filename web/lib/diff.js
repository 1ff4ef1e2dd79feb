// What has changed between two texts, line by line (Myers 1986), for two columns side by side. Pure.

// Two texts that have less in common than this many changed lines are shown as one block against the other: looking for the
// shortest way would take memory by its square.
const CHANGES_MAX = 2000;

export function split(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

// Rows with a line of each side: [nth of old or null, nth of new or null, whether both are the same].
export function compare(old, now, most = CHANGES_MAX) {
  let first = 0;
  while (first < old.length && first < now.length && old[first] === now[first]) first += 1;
  let last = 0;
  while (last < old.length - first && last < now.length - first && old[old.length - 1 - last] === now[now.length - 1 - last]) last += 1;
  const rows = [];
  for (let nth = 0; nth < first; nth += 1) rows.push([nth, nth, true]);
  const [ends, ende] = [old.length - last, now.length - last];
  const kept = common(old.slice(first, ends), now.slice(first, ende), most);
  let [at, to] = [first, first];
  for (const [one, other] of [...kept, [ends - first, ende - first]]) {
    const [until, up] = [one + first, other + first];
    for (let nth = 0; at + nth < until || to + nth < up; nth += 1) rows.push([at + nth < until ? at + nth : null, to + nth < up ? to + nth : null, false]);
    if (until < ends) rows.push([until, up, true]);
    [at, to] = [until + 1, up + 1];
  }
  for (let nth = 0; nth < last; nth += 1) rows.push([ends + nth, ende + nth, true]);
  return rows;
}

// Pairs of lines that both have, in order; none when that takes more than `most` changes.
function common(old, now, most) {
  const bound = Math.min(old.length + now.length, most);
  const way = new Int32Array(2 * bound + 3);
  const middle = bound + 1;
  const before = [];
  for (let changes = 0; changes <= bound; changes += 1) {
    before.push(way.slice(middle - changes - 1, middle + changes + 2));
    for (let line = -changes; line <= changes; line += 2) {
      const isNew = line === -changes || (line !== changes && way[middle + line - 1] < way[middle + line + 1]);
      let x = isNew ? way[middle + line + 1] : way[middle + line - 1] + 1;
      while (x < old.length && x - line < now.length && old[x] === now[x - line]) x += 1;
      way[middle + line] = x;
      if (x >= old.length && x - line >= now.length) return pairs(before, changes, old.length, now.length);
    }
  }
  return [];
}

// Back along the way that was found.
function pairs(before, changes, x, y) {
  const found = [];
  for (let step = changes; step >= 0; step -= 1) {
    const way = (line) => before[step][line + step + 1];
    const line = x - y;
    const isNew = line === -step || (line !== step && way(line - 1) < way(line + 1));
    const from = step === 0 ? 0 : isNew ? way(line + 1) : way(line - 1);
    const fromY = step === 0 ? 0 : from - (isNew ? line + 1 : line - 1);
    const begins = step === 0 ? 0 : isNew ? from : from + 1;
    while (x > begins && x > 0 && y > 0) found.push([(x -= 1), (y -= 1)]);
    [x, y] = [from, fromY];
  }
  return found.reverse();
}

// Rows in runs: those near a change, and those far from one, which need not be shown.
export function runs(rows, near = 3) {
  const far = rows.map(() => true);
  rows.forEach(([, , same], nth) => {
    if (!same) for (let at = Math.max(0, nth - near); at <= Math.min(rows.length - 1, nth + near); at += 1) far[at] = false;
  });
  const found = [];
  rows.forEach((row, nth) => {
    if (nth === 0 || far[nth] !== far[nth - 1]) found.push({ far: far[nth], rows: [] });
    found.at(-1).rows.push(row);
  });
  return found;
}

// Where two lines that stand beside each other differ: how much of their beginning and of their end is the same.
export function inside(old, now) {
  let first = 0;
  while (first < old.length && old[first] === now[first]) first += 1;
  let last = 0;
  while (last < Math.min(old.length, now.length) - first && old.at(-1 - last) === now.at(-1 - last)) last += 1;
  return [first, last];
}
