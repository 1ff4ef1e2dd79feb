//! The parsers of what comes from outside, as tables and as properties: any split of a body gives the same parts.

#![allow(clippy::unwrap_used)]

mod multipart;
mod multipart_any;
mod query;
mod range;
