// Sizes and moments as people read them. Pure: the present moment and the language come in.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [4.35, "week"], [12, "month"], [Infinity, "year"]];

export function bytes(count, language) {
  let unit = 0;
  let value = count;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value)} ${UNITS[unit]}`;
}

export function change(from, to, language) {
  if (from === to) return "same size";
  return `${to > from ? "+" : "−"}${bytes(Math.abs(to - from), language)}`;
}

export function count(number, one, many = `${one}s`, language) {
  return `${new Intl.NumberFormat(language).format(number)} ${number === 1 ? one : many}`;
}

export function ago(moment, now, language) {
  let value = Math.max(0, now - moment) / 1000;
  if (value < 45) return "just now";
  for (const [size, unit] of STEPS) {
    if (value < size) return new Intl.RelativeTimeFormat(language, { numeric: "always" }).format(-Math.floor(value), unit);
    value /= size;
  }
  return "";
}

export function date(moment, language) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(moment);
}

export function exact(moment, language) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(moment);
}

export function day(moment, language) {
  return new Intl.DateTimeFormat(language, { dateStyle: "full" }).format(moment);
}

export function time(moment, language) {
  return new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(moment);
}

// What <input type="datetime-local"> takes and gives, in the browser's own zone.
export function toLocal(moment) {
  const shifted = new Date(moment - new Date(moment).getTimezoneOffset() * 60000);
  return shifted.toISOString().slice(0, 19);
}

export function fromLocal(text) {
  const moment = new Date(text).getTime();
  return Number.isFinite(moment) ? moment : null;
}

export function left(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}
