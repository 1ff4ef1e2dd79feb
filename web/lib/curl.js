// What a click does, as a command for a terminal. Pure. The session is never in it: $session is what a sign-in of a device gave.

// A word for sh, bash and zsh: nothing in it is ever interpreted, and no control character reaches the terminal.
export function quote(text) {
  if (/^[A-Za-z0-9_.,:/@%+=-]+$/.test(text)) return text;
  if (!/[\u0000-\u001f\u007f-\u009f]/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const bytes = Array.from(new TextEncoder().encode(text), (byte) =>
    byte < 32 || byte > 126 || byte === 39 || byte === 92 ? `\\x${byte.toString(16).padStart(2, "0")}` : String.fromCharCode(byte));
  return `$'${bytes.join("")}'`;
}

const PASS = '-H "RBackup-Session-Pass: $session"';

export function download(origin, version, name) {
  const plain = name.replace(/[/\\\0]/g, "_") || "file";
  return `curl -f ${PASS} -o ${quote(`./${plain}`)} ${quote(`${origin}/download?file_version_id=${version}`)}`;
}

export function archive(origin, address) {
  return `curl -f ${PASS} -OJ ${quote(origin + address)}`;
}

export function restore(origin, version) {
  return `curl -f ${PASS} -X POST ${quote(`${origin}/api/v1/restore?file_version_id=${version}`)}`;
}

export function removeVersion(origin, version) {
  return `curl -f ${PASS} -X DELETE ${quote(`${origin}/remove/fileVersion?file_version_id=${version}`)}`;
}

export function removeFile(origin, file) {
  return `curl -f ${PASS} -X DELETE ${quote(`${origin}/remove/file?file_id=${file}`)}`;
}

export function read(origin, address) {
  return `curl -f ${PASS} ${quote(origin + address)}`;
}

export function upload(origin, folder) {
  return `curl -f ${PASS} -T FILE ${quote(`${origin}/upload?file_path=${folder}FILE`)}`;
}

export function signIn(origin, account, device) {
  return `session=$(curl -s ${quote(`${origin}/account/login`)} --data-urlencode ${quote(`username=${account}`)} \\\n` +
    `  --data-urlencode ${quote(`device_id=${device}`)} --data-urlencode password="$password" | jq -r .session_id)`;
}

export function resticAddress(origin, repo) {
  const path = repo.split("/").map(encodeURIComponent).join("/");
  return `rest:${origin}/restic/${path}${path ? "/" : ""}`;
}

// Name and token stand in the address, which every restic understands; 0.16.1 was the first to read them from the environment.
export function restic(origin, account, repo, token) {
  const named = resticAddress(origin, repo).replace("://", () => `://${encodeURIComponent(account)}:${token}@`);
  return `export RESTIC_REPOSITORY=${quote(named)}\nrestic snapshots`;
}

// A token in use, for what it was made for.
export function withToken(origin, token, device, purpose) {
  const pass = `curl -f -H ${quote(`RBackup-Session-Pass: ${token}`)}`;
  if (purpose === "read") return `${pass} ${quote(`${origin}/list/files`)}`;
  return `${pass}${device ? "" : " -H 'RBackup-Device: DEVICE'"} -T FILE ${quote(`${origin}/upload?file_path=/PATH/OF/FILE`)}`;
}
