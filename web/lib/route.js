// Every state has a URL. It stands behind "#", so that names of files reach no log of a server or a proxy. Pure, but for go().

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const route = { page: path || "overview" };
  for (const pair of query.split("&")) {
    const [name, value = ""] = pair.split("=");
    // A folder stays as the server encodes it; everything else is text.
    if (name === "folder") route.folder = value;
    else if (name) route[name] = text(value);
  }
  return route;
}

function text(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return "";
  }
}

export function link({ page, ...state }) {
  const pairs = Object.entries(state).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  const query = pairs.map(([name, value]) => `${name}=${name === "folder" ? value : encodeURIComponent(value)}`).join("&");
  return `#/${page === "overview" ? "" : page}${query ? `?${query}` : ""}`;
}

export function go(route, { replace = false } = {}) {
  const url = link(route);
  if (replace) {
    history.replaceState(null, "", url);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = url;
  }
}
