// Sends one file and tells how far it is. XMLHttpRequest, because fetch does not say what was sent; the body is the file itself,
// which the browser reads from the disk as it goes.

import { ApiError, address, failure } from "./api.js";

export function send({ file, device, path, hash, onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address("upload", { device_id: device, file_path: { encoded: path }, mtime: file.lastModified, size: file.size }));
    request.setRequestHeader("RBackup-UI", "1");
    request.setRequestHeader("RBackup-File-Hash", hash);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => onSent(event.loaded));
    request.upload.addEventListener("load", () => onSent(file.size));
    request.addEventListener("load", async () => {
      if (request.status === 200) resolve(JSON.parse(request.responseText));
      else reject(await failure(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new ApiError(0, "unreachable", "The connection was lost.")));
    request.addEventListener("abort", () => reject(new ApiError(0, "stopped", "Stopped.")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
