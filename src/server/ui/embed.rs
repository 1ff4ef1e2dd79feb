//! What is embedded, prepared once: its digest, its type, and how it is sent compressed.
//!
//! Promise: the same files give the same paths, on every machine. Never: more than [`BYTES_MAX`] of them (a test counts). A debug
//! build reads the files when it starts, so a change of `web/` needs a restart and no build.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

/// The whole interface, uncompressed: on a slow line it is there in a second.
#[cfg(test)]
const BYTES_MAX: usize = 150 * 1024;
/// What stands in the page for the digest of everything.
const BUILD: &str = "{build}";
/// Less is not worth being packed and unpacked.
const PACKED_BYTES_MIN: usize = 256;

#[derive(RustEmbed)]
#[folder = "web/"]
struct Web;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Material;

/// One file.
pub struct Asset {
    /// Its bytes.
    pub plain: Bytes,
    /// The same with gzip, when that is shorter.
    pub packed: Option<Bytes>,
    /// Names its content.
    pub digest: String,
    /// What it is.
    pub media_type: &'static str,
}

/// All of them.
pub struct Assets {
    /// Names the content of all of them together.
    pub build: String,
    files: BTreeMap<String, Asset>,
}

impl Assets {
    /// Reads and compresses everything.
    pub fn load() -> Self {
        let files = raw();
        let mut whole = blake3::Hasher::new();
        for (name, bytes) in &files {
            whole.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            whole.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        let build = digits(&whole.finalize());
        let files = files.into_iter().map(|(name, bytes)| {
            let asset = Asset::new(&name, bytes, &build);
            (name, asset)
        });
        Self { files: files.collect(), build }
    }

    /// The file of this name.
    pub fn find(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }
}

impl Asset {
    fn new(name: &str, bytes: Vec<u8>, build: &str) -> Self {
        let media_type = media_type(name);
        let plain = match std::str::from_utf8(&bytes) {
            Ok(page) if media_type.starts_with("text/html") => page.replace(BUILD, build).into_bytes(),
            _ => bytes,
        };
        let packed = pack(&plain).filter(|packed| plain.len() >= PACKED_BYTES_MIN && packed.len() < plain.len());
        let digest = digits(&blake3::hash(&plain));
        Self { packed: packed.map(Bytes::from), plain: plain.into(), digest, media_type }
    }
}

fn raw() -> BTreeMap<String, Vec<u8>> {
    let web = Web::iter().filter_map(|name| Some((Web::get(&name)?, name)));
    let material = Material::iter().filter_map(|name| Some((Material::get(&name)?, name)));
    web.chain(material).map(|(file, name)| (name.into_owned(), file.data.into_owned())).collect()
}

fn digits(hash: &blake3::Hash) -> String {
    hash.to_hex()[..16].to_owned()
}

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).ok()?;
    packer.finish().ok()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would be run or shown without coming from a file of ours.
    fn inline(page: &str) -> Vec<&'static str> {
        let lower = page.to_lowercase();
        let planted =
            ["<script>", "<style", " style=", " onclick=", " onload=", " onerror=", "javascript:", "//cdn", "https://"];
        planted.into_iter().filter(|text| lower.contains(text)).collect()
    }

    #[test]
    fn the_interface_is_small() {
        let sizes: Vec<(String, usize)> = raw().into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
        let whole: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
        assert!(sizes.len() > 10, "the files were found: {sizes:?}");
        assert!(whole <= BYTES_MAX, "{whole} bytes, at most {BYTES_MAX}: {sizes:?}");
    }

    #[test]
    fn nothing_is_inline() {
        assert_eq!(inline("<p onclick=\"x()\"><script>"), ["<script>", " onclick="], "planted");
        for (name, bytes) in raw() {
            if name.ends_with(".html") || name.ends_with(".js") {
                assert_eq!(inline(&String::from_utf8_lossy(&bytes)), [""; 0], "{name}");
            }
        }
    }

    #[test]
    fn every_import_is_embedded_and_every_type_known() {
        let assets = Assets::load();
        for (name, bytes) in raw() {
            assert_ne!(media_type(&name), "application/octet-stream", "{name}");
            if !name.ends_with(".js") {
                continue;
            }
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            for line in String::from_utf8_lossy(&bytes).lines().filter(|line| line.starts_with("import ")) {
                let wanted = line.split('"').nth(1).expect("an import names its file in double quotes");
                let path = match (wanted.strip_prefix("../"), wanted.strip_prefix("./")) {
                    (Some(above), _) => above.to_owned(),
                    (None, Some(beside)) if folder.is_empty() => beside.to_owned(),
                    (None, Some(beside)) => format!("{folder}/{beside}"),
                    _ => wanted.to_owned(),
                };
                assert!(assets.find(&path).is_some(), "{name} imports {wanted}");
            }
        }
    }

    #[test]
    fn the_page_names_the_build() {
        let assets = Assets::load();
        let page = assets.find("index.html").expect("the page");
        let text = String::from_utf8_lossy(&page.plain).into_owned();
        assert!(text.contains(&format!("/ui/{}/app.js", assets.build)), "{text}");
        assert!(page.packed.as_ref().is_some_and(|packed| packed.len() < page.plain.len()));
    }
}
