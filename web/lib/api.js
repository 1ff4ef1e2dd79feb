// The one way to the server. Every failure becomes an ApiError with a sentence; a session that ended asks to sign in, and what
// was asked for goes on. Only this module calls fetch.

const BASE = "/api/v1/";
const UNREACHABLE = "The server cannot be reached. It may be restarting, or the network is gone.";

export class ApiError extends Error {
  constructor(status, code, sentence) {
    super(sentence);
    this.status = status;
    this.code = code;
  }
}

let askAgain = null;
let asking = null;

// What is done when a session has ended: resolves when somebody signed in again.
export function onExpired(ask) {
  askAgain = ask;
}

export function signInAgain() {
  asking ??= askAgain().finally(() => {
    asking = null;
  });
  return asking;
}

export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = pairs.map(([name, value]) => `${name}=${value?.encoded ?? encodeURIComponent(value)}`).join("&");
  return `${path.startsWith("/") ? path : BASE + path}${text ? `?${text}` : ""}`;
}

export async function failure(status, body) {
  let told = {};
  try {
    told = JSON.parse(body);
  } catch {
    // An answer of a proxy, or none: the status has to do.
  }
  return new ApiError(status, told.code ?? "unknown", told.error ?? `The server answered ${status}.`);
}

export async function call(method, path, { query, json, headers, signal, quiet } = {}) {
  const ask = () => fetch(address(path, query), {
    method,
    signal,
    credentials: "same-origin",
    headers: { "RBackup-UI": "1", ...(json && { "Content-Type": "application/json" }), ...headers },
    body: json && JSON.stringify(json),
  }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError(0, "unreachable", UNREACHABLE);
  });
  let response = await ask();
  if (response.status === 401 && !quiet && askAgain) {
    await signInAgain();
    response = await ask();
  }
  if (!response.ok) throw await failure(response.status, await response.text());
  return response;
}

export async function read(path, query, options) {
  return (await call("GET", path, { query, ...options })).json();
}
