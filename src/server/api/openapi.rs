//! `GET /api/v1/openapi.json`: what stands below `/api/v1/`, for people and programs. A test holds it against the route table.

use bytes::Bytes;
use warp::http::{HeaderValue, StatusCode, header};

use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;

/// The description as it was written.
const DESCRIPTION: &str = include_str!("openapi.json");

/// Shows it.
pub async fn show(_: Request) -> Result<Reply, Error> {
    let reply = Reply::whole(StatusCode::OK, Bytes::from_static(DESCRIPTION.as_bytes()));
    Ok(reply
        .with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

/// Every operation in it, as `GET /api/v1/…`.
#[cfg(test)]
pub fn operations() -> Vec<String> {
    let description: serde_json::Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
    let paths = description["paths"].as_object().expect("it has paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("a path has methods");
        methods.keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of another site is refused before its request is looked at, and where the store is asked its disk may hang.
    fn lacking(description: &serde_json::Value) -> Vec<String> {
        let mut lacking = Vec::new();
        for (path, methods) in description["paths"].as_object().expect("it has paths") {
            let alone = ["/openapi.json", "/hello", "/status"].iter().any(|end| path.ends_with(end));
            for (method, operation) in methods.as_object().expect("a path has methods") {
                let wanted = if alone { &["403"][..] } else { &["403", "503"] };
                let missing = wanted.iter().filter(|status| operation["responses"].get(**status).is_none());
                lacking.extend(missing.map(|status| format!("{method} {path}: {status}")));
            }
        }
        lacking
    }

    #[test]
    fn what_every_request_may_meet_is_described_everywhere() {
        let mut description: serde_json::Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        assert_eq!(lacking(&description), [""; 0]);
        let responses = &mut description["paths"]["/api/v1/folder"]["get"]["responses"];
        responses.as_object_mut().expect("responses").remove("503");
        assert_eq!(lacking(&description), ["get /api/v1/folder: 503"], "planted");
    }
}
