//! The web interface: `web/` and `assets/`, as they lie in the repository, from inside the binary.
//!
//! Promises: everything below [`BASE`] carries the digest of all of it in its path and never changes under it; a page says by
//! [`POLICY`] that nothing inline and nothing from elsewhere is ever run. Never: reads a path of the machine in a release build.

mod embed;

use std::sync::LazyLock;

use warp::http::{HeaderValue, StatusCode, header};

use self::embed::{Asset, Assets};
use super::error::Error;
use super::range;
use super::reply::Reply;
use super::request::Request;

/// Where the parts of the interface are.
pub const BASE: &str = "/ui/";

/// What the page may do; only one module of it may hand text to the browser's parser (`trusted-types`). Pictures and downloads of files are made by scripts out of bytes that they fetched (`blob:`), so no file's
/// content is ever answered under a type that a browser would interpret; only PDF, audio and video are shown by the browser itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; frame-src 'self'; connect-src 'self'; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types rbackup";
/// The page itself.
const PAGE: &str = "index.html";
/// What browsers ask for without being told.
const ICON: &str = "icon.svg";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const CHECKED_EACH_TIME: &str = "no-cache";

static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::load);

/// Compresses everything now, rather than when the first page is asked for.
pub fn prepare() {
    LazyLock::force(&ASSETS);
}

/// `GET /`
pub async fn page(request: Request) -> Result<Reply, Error> {
    let asset = ASSETS.find(PAGE).ok_or(Error::NoRoute)?;
    Ok(answer(&request, asset, CHECKED_EACH_TIME))
}

/// `GET /favicon.ico`
pub async fn icon(request: Request) -> Result<Reply, Error> {
    let asset = ASSETS.find(ICON).ok_or(Error::NoRoute)?;
    Ok(answer(&request, asset, CHECKED_EACH_TIME))
}

/// `GET /ui/<digest of everything>/…`
pub async fn asset(request: Request) -> Result<Reply, Error> {
    if request.method != warp::http::Method::GET {
        return Err(Error::MethodNotAllowed { allow: "GET".to_owned() });
    }
    let name = request.path.strip_prefix(BASE).and_then(|rest| rest.strip_prefix(&ASSETS.build)?.strip_prefix('/'));
    let asset = name.filter(|name| *name != PAGE).and_then(|name| ASSETS.find(name)).ok_or(Error::NoRoute)?;
    Ok(answer(&request, asset, IMMUTABLE))
}

fn answer(request: &Request, asset: &Asset, caching: &'static str) -> Reply {
    let accepts = |value: &str| value.split(',').any(|coding| coding.split(';').next().unwrap_or("").trim() == "gzip");
    let packed = asset.packed.as_ref().filter(|_| request.header(header::ACCEPT_ENCODING).is_some_and(accepts));
    // Two representations are two tags (RFC 9110, 8.8.3.3).
    let etag = format!("\"{}{}\"", asset.digest, if packed.is_some() { "-gzip" } else { "" });
    let reply = if range::if_none_match(request.header(header::IF_NONE_MATCH), &etag) {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply::whole(StatusCode::OK, packed.unwrap_or(&asset.plain).clone())
            .with(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type))
    };
    let reply = match packed {
        Some(_) => reply.with(header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        None => reply,
    };
    reply
        .with_text(header::ETAG, &etag)
        .with(header::VARY, HeaderValue::from_static("accept-encoding"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static(caching))
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}
