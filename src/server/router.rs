//! The route table and the one warp filter in front of it.
//!
//! Promises: exactly the routes of the contract; an unknown path is 404, a known one with another method 405 with `Allow`; the
//! order is always path, method, guard, body, handler. Never: rejects (warp would choose among rejections), or decodes a path.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use hyper::ext::ReasonPhrase;
use warp::Filter;
use warp::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use warp::path::FullPath;
use warp::reply::Response;

use super::error::Error;
use super::guard::basic::AccountGate;
use super::guard::source::Source;
use super::journal::{Counted, Entry};
use super::reply::{Content, Reply};
use super::request::{Body, Connection, Request};
use super::vigil::Vigil;
use super::{Context, Front, api, guard, restic, ui};
use crate::service::Caller;

/// What a handler makes of a request.
pub type Answer = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

/// A handler with its guard: one that needs a caller cannot be called without.
enum Handler {
    /// For everybody.
    Open(fn(Context, Request) -> Answer),
    /// For a session or a token.
    Guarded(fn(Context, Caller, Request) -> Answer),
    /// The same, or name and password.
    Account(fn(Context, Caller, Request) -> Answer),
}

struct Route {
    methods: &'static [Method],
    path: &'static str,
    handler: Handler,
}

const GET: &[Method] = &[Method::GET];
const GET_OR_POST: &[Method] = &[Method::GET, Method::POST];
const PUT_OR_POST: &[Method] = &[Method::PUT, Method::POST];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];

/// The contract, row by row, and our own additions below `/api/v1/`.
static ROUTES: &[Route] = &[
    open(GET, "/status", |_, _| Box::pin(api::status::show())),
    open(GET, "/api/v1/status", |_, request| Box::pin(api::status::server(request))),
    open(GET_OR_POST, "/account/register", |context, request| Box::pin(api::account::register(context, request))),
    open(GET_OR_POST, "/account/login", |context, request| Box::pin(api::account::login(context, request))),
    guarded(GET, "/list/files", |context, caller, request| Box::pin(api::files::files(context, caller, request))),
    guarded(GET, "/list/devices", |context, caller, _| Box::pin(api::files::devices(context, caller))),
    guarded(GET, "/download", |context, caller, request| Box::pin(api::download::version(context, caller, request))),
    guarded(PUT_OR_POST, "/upload", |context, caller, request| Box::pin(api::upload::file(context, caller, request))),
    guarded(GET, "/api/v1/repos", |context, caller, _| Box::pin(api::repo::list(context, caller))),
    open(POST, "/account/session/rotate", |context, request| Box::pin(api::session::rotate(context, request))),
    open(POST, "/api/v1/account/password", |context, request| Box::pin(api::account::password(context, request))),
    open(POST, "/api/v1/account/recover", |context, request| Box::pin(api::account::recover(context, request))),
    account(GET, "/api/v1/account", |context, caller, _| Box::pin(api::account::show(context, caller))),
    account(GET, "/api/v1/sessions", |context, caller, _| Box::pin(api::session::list(context, caller))),
    account(DELETE, "/api/v1/sessions", |context, caller, request| {
        Box::pin(api::session::end(context, caller, request))
    }),
    account(POST, "/api/v1/invites", |context, caller, request| Box::pin(api::invite::make(context, caller, request))),
    account(GET, "/api/v1/invites", |context, caller, _| Box::pin(api::invite::list(context, caller))),
    account(DELETE, "/api/v1/invites", |context, caller, request| {
        Box::pin(api::invite::revoke(context, caller, request))
    }),
    account(GET, "/api/v1/audit", |context, caller, request| Box::pin(api::audit::show(context, caller, request))),
    account(GET, "/api/v1/tokens", |context, caller, _| Box::pin(api::token::list(context, caller))),
    account(POST, "/api/v1/tokens", |context, caller, request| Box::pin(api::token::make(context, caller, request))),
    account(DELETE, "/api/v1/tokens", |context, caller, request| {
        Box::pin(api::token::revoke(context, caller, request))
    }),
    guarded(DELETE, "/remove/file", |context, caller, request| Box::pin(api::remove::file(context, caller, request))),
    guarded(DELETE, "/remove/fileVersion", |context, caller, request| {
        Box::pin(api::remove::version(context, caller, request))
    }),
    open(GET, "/", |_, request| Box::pin(ui::page(request))),
    open(GET, "/favicon.ico", |_, request| Box::pin(ui::icon(request))),
    open(GET, "/api/v1/openapi.json", |_, request| Box::pin(api::openapi::show(request))),
    open(GET, "/api/v1/hello", |context, request| Box::pin(api::browser::hello(context, request))),
    open(POST, "/api/v1/session", |context, request| Box::pin(api::browser::sign_in(context, request))),
    guarded(GET, "/api/v1/session", |context, caller, _| Box::pin(api::browser::show(context, caller))),
    guarded(DELETE, "/api/v1/session", |context, caller, request| {
        Box::pin(api::browser::sign_out(context, caller, request))
    }),
    guarded(GET, "/api/v1/devices", |context, caller, _| Box::pin(api::files::known_devices(context, caller))),
    guarded(POST, "/api/v1/devices", |context, caller, request| {
        Box::pin(api::browser::add_device(context, caller, request))
    }),
    guarded(GET, "/api/v1/overview", |context, caller, _| Box::pin(api::browse::overview(context, caller))),
    guarded(GET, "/api/v1/folder", |context, caller, request| Box::pin(api::browse::folder(context, caller, request))),
    guarded(GET, "/api/v1/versions", |context, caller, request| {
        Box::pin(api::browse::versions(context, caller, request))
    }),
    guarded(GET, "/api/v1/search", |context, caller, request| Box::pin(api::browse::search(context, caller, request))),
    guarded(GET, "/api/v1/download", |context, caller, request| {
        Box::pin(api::download::version(context, caller, request))
    }),
    guarded(GET, "/api/v1/preview", |context, caller, request| {
        Box::pin(api::preview::version(context, caller, request))
    }),
    guarded(GET, "/api/v1/zip", |context, caller, request| Box::pin(api::archive::zip(context, caller, request))),
    guarded(PUT_OR_POST, "/api/v1/upload", |context, caller, request| {
        Box::pin(api::upload::for_device(context, caller, request))
    }),
    guarded(POST, "/api/v1/restore", |context, caller, request| {
        Box::pin(api::restore::version(context, caller, request))
    }),
    guarded(DELETE, "/api/v1/file", |context, caller, request| Box::pin(api::remove::file(context, caller, request))),
    guarded(DELETE, "/api/v1/version", |context, caller, request| {
        Box::pin(api::remove::version(context, caller, request))
    }),
];

const fn open(methods: &'static [Method], path: &'static str, handler: fn(Context, Request) -> Answer) -> Route {
    Route { methods, path, handler: Handler::Open(handler) }
}

const fn guarded(
    methods: &'static [Method],
    path: &'static str,
    handler: fn(Context, Caller, Request) -> Answer,
) -> Route {
    Route { methods, path, handler: Handler::Guarded(handler) }
}

const fn account(
    methods: &'static [Method],
    path: &'static str,
    handler: fn(Context, Caller, Request) -> Answer,
) -> Route {
    Route { methods, path, handler: Handler::Account(handler) }
}

/// Every route as method and path, for tests that must miss none.
pub fn route_table() -> Vec<(String, String)> {
    let own = ROUTES.iter().flat_map(|route| route.methods.iter().map(|method| (method.as_str(), route.path)));
    let restic = restic::ROUTES.iter().copied();
    own.chain(restic).map(|(method, path)| (method.to_owned(), path.to_owned())).collect()
}

impl Route {
    fn find(path: &str, method: &Method) -> Result<&'static Self, Error> {
        let routes = || ROUTES.iter().filter(|route| route.path == path);
        if let Some(route) = routes().find(|route| route.methods.contains(method)) {
            return Ok(route);
        }
        let allowed: Vec<&str> = routes().flat_map(|route| route.methods).map(Method::as_str).collect();
        if allowed.is_empty() {
            return Err(Error::NoRoute);
        }
        Err(Error::MethodNotAllowed { allow: allowed.join(", ") })
    }
}

/// The filter: it takes everything in and leaves the choice to the table.
pub fn routes(context: Context) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    warp::any()
        .map(move || context.clone())
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Connection>())
        .and(warp::body::stream())
        .then(enter)
}

async fn enter<S, B>(
    context: Context,
    method: Method,
    path: FullPath,
    raw_query: String,
    headers: HeaderMap,
    connection: Connection,
    stream: S,
) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
    B: Buf,
{
    let source = Source::of(connection.peer, &headers, &context.bounds.trusted_proxies);
    let forwarded = match (source, Source::direct(connection.peer)) {
        (Source::Ip(address), direct) if source != direct => Some(address),
        _ => None,
    };
    let (context, connection) = (context.asked_from(source), connection.passed_on_for(forwarded));
    let body = Body::new(stream, &headers, connection.clone());
    let path = path.as_str().to_owned();
    let request = Request { id: request_id(), method, path, raw_query, headers, connection, body };
    answer(context, request).await
}

async fn answer(context: Context, request: Request) -> Response {
    let mut entry = Entry::begin(&request);
    let (id, connection, is_head) = (request.id.clone(), request.connection.clone(), request.method == Method::HEAD);
    let for_restic = is_for_restic(&context.front, &request.path);
    let is_chunked = request.headers.contains_key(header::TRANSFER_ENCODING);
    let (throttle, source) = (Arc::clone(&context.throttle), context.source);
    let mut reply = match walk(context, request).await {
        Ok(reply) => reply,
        Err(error) if error.is_for_strangers() => throttle.refused(source).err().unwrap_or(error).into_reply(&id),
        Err(error) => error.into_reply(&id),
    };
    // Servers in between do not agree on what is chunked: nothing behind such a body is ever taken for a request.
    if connection.has_unread_body() || is_chunked {
        reply = reply.with(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if !for_restic {
        reply.reason = None;
    }
    if is_head {
        reply = reply.bodiless();
    }
    entry.answered(reply.status);
    respond(reply.guarded().with_text(REQUEST_ID, &id), entry)
}

const REQUEST_ID: HeaderName = HeaderName::from_static("rbackup-request-id");

/// Where restic's repositories begin on the main listener.
pub const RESTIC_BASE: &str = "/restic/";

async fn walk(context: Context, request: Request) -> Result<Reply, Error> {
    guard::refuse_foreign(&request.headers)?;
    let (front, path) = (Arc::clone(&context.front), request.path.clone());
    match &*front {
        Front::Main => match path.strip_prefix(RESTIC_BASE) {
            Some(rest) => restic::answer(context, &AccountGate, rest, request).await,
            None => by_table(context, request).await,
        },
        Front::Restic { base, gate } => match path.strip_prefix(base.as_str()) {
            Some(rest) => restic::answer(context, &**gate, rest, request).await,
            None => Err(Error::NoRoute),
        },
    }
}

/// Whether restic asks: it shows the status line's phrase to people, and nothing else of a refusal.
fn is_for_restic(front: &Front, path: &str) -> bool {
    matches!(front, Front::Restic { .. }) || path.starts_with(RESTIC_BASE)
}

async fn by_table(context: Context, request: Request) -> Result<Reply, Error> {
    if request.path.starts_with(ui::BASE) {
        return ui::asset(request).await;
    }
    let route = Route::find(&request.path, &request.method)?;
    match route.handler {
        Handler::Open(handler) => handler(context, request).await,
        Handler::Guarded(handler) => {
            let caller = guard::caller(&context, &request).await?;
            watched(handler, context, caller, request).await
        }
        Handler::Account(handler) => {
            let caller = guard::caller_or_password(&context, &request).await?;
            watched(handler, context, caller, request).await
        }
    }
}

/// An answer that ends early when what its caller presented ends.
async fn watched(
    handler: fn(Context, Caller, Request) -> Answer,
    context: Context,
    caller: Caller,
    request: Request,
) -> Result<Reply, Error> {
    let (watching, standing, connection) = (context.clone(), caller.standing(), request.connection.clone());
    let renewal = guard::renewal(&context, &request, &caller).await;
    let mut reply = handler(context, caller, request).await?;
    if let Some(cookie) = renewal.filter(|_| !reply.headers.contains_key(header::SET_COOKIE)) {
        reply = reply.with(header::SET_COOKIE, cookie);
    }
    Ok(reply.watched(|| Vigil::begin(&watching, standing, connection)))
}

fn respond(reply: Reply, mut entry: Entry) -> Response {
    let (status, headers, reason) = (reply.status, reply.headers, reply.reason);
    let mut response = match reply.content {
        Content::Whole(bytes) => {
            entry.sent(bytes.len());
            Response::new(bytes.into())
        }
        Content::Flow(flow) => warp::Reply::into_response(warp::reply::stream(Counted::new(flow, entry, reply.vigil))),
    };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(Ok(reason)) = reason.map(|reason| ReasonPhrase::try_from(reason.into_bytes())) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// 16 hexadecimal digits. Without randomness it is all zeros: it names a line in the log and protects nothing.
fn request_id() -> String {
    let bytes = crate::model::random::random().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_404_from_405() {
        assert!(matches!(Route::find("/nothing", &Method::GET), Err(Error::NoRoute)));
        assert!(matches!(Route::find("/status/", &Method::GET), Err(Error::NoRoute)));
        assert!(Route::find("/upload", &Method::PUT).is_ok());
        let Err(Error::MethodNotAllowed { allow }) = Route::find("/upload", &Method::HEAD) else {
            unreachable!("HEAD is not allowed");
        };
        assert_eq!(allow, "PUT, POST");
    }

    #[test]
    fn the_description_and_the_table_say_the_same() {
        let mut described = api::openapi::operations();
        let own = route_table().into_iter().filter(|(_, path)| path.starts_with("/api/v1/"));
        let mut served: Vec<String> = own.map(|(method, path)| format!("{method} {path}")).collect();
        described.sort();
        served.sort();
        assert_eq!(described, served);
        served.push("GET /api/v1/planted".to_owned());
        assert_ne!(described, served, "a planted route");
    }
}
