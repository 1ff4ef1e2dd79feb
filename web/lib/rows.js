// Which rows of a long list exist as elements. Pure.

const SPARE = 8;

export function span({ top, height, row, count }) {
  const first = Math.max(0, Math.floor(top / row) - SPARE);
  const last = Math.min(count, Math.ceil((top + height) / row) + SPARE);
  return { first: Math.min(first, count), last: Math.max(last, 0) };
}

// Where the list has to be scrolled to so that a row is seen whole; the same place when it is.
export function reveal({ at, top, height, row, above = 0 }) {
  if (at * row < top) return at * row;
  if ((at + 1) * row + above > top + height) return (at + 1) * row + above - height;
  return top;
}

export function move(key, at, count, page) {
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 }[key];
  return to === undefined || count === 0 ? null : Math.min(count - 1, Math.max(0, to));
}
