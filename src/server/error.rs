//! Every way a request can fail, and what the outside is told: a status, a stable code, one sentence.
//!
//! Promises: the match over [`service::Error`] is exhaustive, so a new failure cannot slip out unnamed; what went wrong inside
//! is logged once, here, with the request id. Never: tells the outside a path of the server, a library's message or a secret,
//! or sends `WWW-Authenticate` but for restic's routes: it would make browsers ask for a password.

use std::borrow::Cow;
use std::error::Error as StdError;

use warp::http::{HeaderValue, StatusCode, header};

use super::multipart::MultipartError;
use super::query::QueryError;
use super::reply::Reply;
use crate::model::limits;
use crate::service::{self, Thing};
use crate::wire::error::ErrorJson;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service said no.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// The query or form cannot be used.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The multipart body cannot be used.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// Nothing lives at this path.
    #[error("no such route")]
    NoRoute,
    /// The path is known, the method is not.
    #[error("the method is not allowed")]
    MethodNotAllowed {
        /// The methods that are, as `Allow` wants them.
        allow: String,
    },
    /// A web page of somebody else's asks.
    #[error("a foreign web page asks")]
    ForeignOrigin,
    /// The server is called by a name that is not listed.
    #[error("the server is called by a name that is not its own")]
    ForeignName,
    /// A form or JSON body beyond [`limits::FORM_BODY_BYTES_MAX`].
    #[error("the body is too large")]
    TooLarge,
    /// A body that should be a JSON object of strings and is not.
    #[error("the body is not the JSON it should be")]
    BadJson,
    /// A field that is not known, where a mistyped one would grant more than was meant.
    #[error("an unknown field")]
    UnknownField,
    /// A multipart part that is neither `file` nor `file-hash`.
    #[error("an unknown multipart part")]
    UnknownPart,
    /// The part came twice.
    #[error("the multipart part {0} is repeated")]
    RepeatedPart(&'static str),
    /// The multipart body has no `file`.
    #[error("the multipart part file is missing")]
    MissingFile,
    /// A header that must come once came twice.
    #[error("a header is repeated")]
    RepeatedHeader,
    /// An upload that is a part of a file, or encoded: storing it as sent would store something else.
    #[error("an upload of a part")]
    PartialUpload,
    /// A body of that type is no file and no form of ours.
    #[error("an upload of an unsupported type")]
    UnsupportedBody,
    /// The multipart body has no `file-hash`.
    #[error("the multipart part file-hash is missing")]
    MissingHash,
    /// Not 64 hexadecimal digits.
    #[error("the hash is not a SHA-256")]
    InvalidHash,
    /// A browser has no way to show such content.
    #[error("no preview")]
    NoPreview,
    /// The range lies behind the end.
    #[error("the range is not satisfiable")]
    RangeNotSatisfiable {
        /// The version's size.
        size: u64,
    },
    /// Nobody presented a name and a password that belong together.
    #[error("no valid credentials")]
    NeedCredentials,
    /// Whoever asks may not do this, here.
    #[error("forbidden")]
    Forbidden,
    /// The body ended before its end.
    #[error("the body was cut")]
    Cut,
    /// The body stood still for too long.
    #[error("the body stood still")]
    BodyIdle,
    /// The body came too slowly to be waited for.
    #[error("the body came too slowly")]
    BodySlow,
    /// Whoever asks failed too often.
    #[error("too many failures")]
    TooMany {
        /// When it may try again.
        seconds: u64,
    },
    /// The thread that did the work panicked; its message is in the log.
    #[error("the work panicked")]
    Panicked,
}

impl From<crate::model::Invalid> for Error {
    fn from(invalid: crate::model::Invalid) -> Self {
        Self::Service(service::Error::Invalid(invalid))
    }
}

/// What the outside is told.
struct Told {
    status: StatusCode,
    code: &'static str,
    sentence: Cow<'static, str>,
}

fn told(status: StatusCode, code: &'static str, sentence: impl Into<Cow<'static, str>>) -> Told {
    Told { status, code, sentence: sentence.into() }
}

impl Error {
    /// The answer. Logs what went wrong inside, so it is called once per request.
    pub fn into_reply(self, request_id: &str) -> Reply {
        let Told { status, code, sentence } = self.told();
        if status.is_server_error() {
            self.log(status, code, request_id);
        }
        let mut reply = Reply::json(status, &ErrorJson { code, error: sentence.clone(), request_id });
        reply.reason = Some(sentence.into_owned());
        match self {
            Self::MethodNotAllowed { allow } => reply.with_text(header::ALLOW, &allow),
            Self::NeedCredentials => reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)),
            Self::TooMany { seconds } => reply.with_text(header::RETRY_AFTER, &seconds.to_string()),
            Self::RangeNotSatisfiable { size } => reply.with_text(header::CONTENT_RANGE, &format!("bytes */{size}")),
            Self::Service(service::Error::Busy | service::Error::Unavailable) => {
                reply.with(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => reply,
        }
    }

    /// Whether it was refused to somebody who has not proved to be anybody.
    pub fn is_for_strangers(&self) -> bool {
        matches!(
            self,
            Self::Service(service::Error::NoSession)
                | Self::NeedCredentials
                | Self::NoRoute
                | Self::MethodNotAllowed { .. }
                | Self::ForeignOrigin
                | Self::ForeignName
                | Self::RepeatedHeader
        )
    }

    /// Whether a claim to be somebody turned out to be wrong.
    pub fn is_wrong_claim(&self) -> bool {
        use service::Error as E;
        matches!(
            self,
            Self::NeedCredentials
                | Self::Service(
                    E::BadCredentials | E::BadRecoveryCode | E::AccountExists | E::NeedSetupCode | E::NotInvited
                )
        )
    }

    fn log(&self, status: StatusCode, code: &str, request_id: &str) {
        let cause = chain(self);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id, code, cause, "request failed");
        } else {
            tracing::warn!(request_id, code, cause, "request refused");
        }
    }

    fn told(&self) -> Told {
        use StatusCode as S;
        match self {
            Self::Service(error) => told_by_service(error),
            Self::Query(error) => told(S::BAD_REQUEST, query_code(error), error.to_string()),
            Self::Multipart(error) => told(S::BAD_REQUEST, error.code(), error.to_string()),
            Self::NoRoute => told(S::NOT_FOUND, "no_route", "There is nothing at this path."),
            Self::MethodNotAllowed { allow } => {
                let sentence = format!("This path does not take this method; it takes {allow}.");
                told(S::METHOD_NOT_ALLOWED, "method_not_allowed", sentence)
            }
            Self::ForeignOrigin => {
                told(S::FORBIDDEN, "foreign_origin", "Requests made by another web page are refused.")
            }
            Self::ForeignName => {
                let sentence = "A browser is signed in under this machine's own names only: localhost, an address, or one that is listed in the configuration.";
                told(S::FORBIDDEN, "foreign_name", sentence)
            }
            Self::UnknownField => told(S::BAD_REQUEST, "unknown_field", "A field that is not known was sent."),
            Self::TooLarge => {
                let sentence = format!("The body is longer than {} bytes.", limits::FORM_BODY_BYTES_MAX);
                told(S::PAYLOAD_TOO_LARGE, "too_large", sentence)
            }
            Self::BadJson => told(S::BAD_REQUEST, "invalid_json", "The body is not a JSON object of strings."),
            Self::UnknownPart => {
                told(S::BAD_REQUEST, "unknown_part", "The body has a part other than file and file-hash.")
            }
            Self::RepeatedPart(part) => {
                told(S::BAD_REQUEST, "repeated_part", format!("The part {part} is given more than once."))
            }
            Self::RepeatedHeader => {
                told(S::BAD_REQUEST, "repeated_header", "A header that must come once came more than once.")
            }
            Self::PartialUpload => {
                told(S::BAD_REQUEST, "partial_upload", "An upload must be the whole file: Content-Range is refused.")
            }
            Self::UnsupportedBody => {
                told(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_body", "Send the file as it is, or in a multipart form.")
            }
            Self::MissingFile => told(S::BAD_REQUEST, "missing_file", "The part file is missing."),
            Self::MissingHash => told(S::BAD_REQUEST, "missing_hash", "The part file-hash is missing."),
            Self::NoPreview => told(S::NOT_FOUND, "no_preview", "There is no preview for this kind of content."),
            Self::InvalidHash => told(S::BAD_REQUEST, "invalid_hash", "The hash is not 64 hexadecimal digits."),
            Self::RangeNotSatisfiable { size } => {
                let sentence = format!("The range lies outside of the {size} bytes that there are.");
                told(S::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", sentence)
            }
            Self::NeedCredentials => {
                told(S::UNAUTHORIZED, "bad_credentials", "A name and a password that belong together are needed.")
            }
            Self::Forbidden => told(S::FORBIDDEN, "forbidden", "This is not allowed here."),
            Self::Cut => told(S::BAD_REQUEST, "truncated", "The body ended too early; nothing was kept."),
            Self::BodyIdle => told(S::REQUEST_TIMEOUT, "body_timeout", "The body stood still for too long."),
            Self::BodySlow => told(S::REQUEST_TIMEOUT, "body_timeout", "The body came too slowly."),
            Self::TooMany { seconds } => {
                let sentence =
                    format!("Too many failures from here or for this account; try again in {seconds} seconds.");
                told(S::TOO_MANY_REQUESTS, "too_many", sentence)
            }
            Self::Panicked => told(S::INTERNAL_SERVER_ERROR, "internal", INTERNAL),
        }
    }
}

/// What restic's routes ask for.
const CHALLENGE: &str = "Basic realm=\"RBackup\", charset=\"UTF-8\"";
const SETUP: &str =
    "The first account administers the server: it takes the setup code that the server printed when it started.";
const INTERNAL: &str = "internal error";

fn over_quota(what: &str, bytes_max: u64, bytes_used: u64) -> String {
    format!("The account may keep {bytes_max} {what} bytes and has {bytes_used}; nothing was kept.")
}

fn told_by_service(error: &service::Error) -> Told {
    use StatusCode as S;
    use service::Error as E;
    match error {
        E::Invalid(invalid) => told(S::BAD_REQUEST, "invalid", format!("{invalid}.")),
        E::NotFound(thing) => told(S::NOT_FOUND, "not_found", format!("There is no such {}.", noun(*thing))),
        E::NotItsName { actual } => {
            let sentence =
                format!("The content has SHA-256 {actual}, which is not the object's name; nothing was kept.");
            told(S::BAD_REQUEST, "not_its_name", sentence)
        }
        E::ObjectExists => told(S::FORBIDDEN, "object_exists", "An object of this name exists with other content."),
        E::ObjectTooLarge { bytes_max } => {
            told(S::PAYLOAD_TOO_LARGE, "too_large", format!("The object is larger than {bytes_max} bytes."))
        }
        E::AppendOnly => {
            told(S::FORBIDDEN, "append_only", "The repository is append-only here: nothing but locks can be removed.")
        }
        E::NeedSetupCode => told(S::FORBIDDEN, "setup_code_needed", SETUP),
        E::RegistrationClosed => told(S::FORBIDDEN, "registration_closed", "Nobody can register here."),
        E::NotInvited => {
            told(S::FORBIDDEN, "invite_needed", "To register here takes an invitation that is still good.")
        }
        E::TooManyInvites => told(S::CONFLICT, "too_many_invites", "As many invitations wait as may."),
        E::Administrator => told(S::CONFLICT, "administrator", "Who administers the server cannot be removed."),
        E::AccountExists => told(S::CONFLICT, "account_exists", "An account of this name exists."),
        E::BadCredentials => told(S::UNAUTHORIZED, "bad_credentials", "The name or the password is wrong."),
        E::WrongDevice => told(S::UNAUTHORIZED, "wrong_device", "The session or token belongs to another device."),
        E::Forbidden => told(S::FORBIDDEN, "forbidden", "This session or token may not do that."),
        E::NeedDevice => {
            told(S::BAD_REQUEST, "device_needed", "The token is bound to no device; name one in RBackup-Device.")
        }
        E::TooManyTokens { tokens_max } => {
            told(S::CONFLICT, "too_many_tokens", format!("The account has {tokens_max} tokens already; revoke some."))
        }
        E::BadRecoveryCode => told(S::UNAUTHORIZED, "bad_recovery_code", "The name or the recovery code is wrong."),
        E::NoSession | E::Replayed { .. } => {
            told(S::UNAUTHORIZED, "no_session", "There is no live session; log in again.")
        }
        E::HashMismatch { declared, actual } => {
            let sentence = format!("The declared hash is {declared}, that of the content is {actual}.");
            told(S::PRECONDITION_FAILED, "hash_mismatch", sentence)
        }
        E::SizeMismatch { declared, actual } => {
            let sentence = format!("The declared size is {declared}, the content has {actual} bytes.");
            told(S::BAD_REQUEST, "size_mismatch", sentence)
        }
        E::TooManyFiles { most } => {
            told(S::BAD_REQUEST, "too_many_files", format!("At most {most} files fit into one archive."))
        }
        E::QuotaReached { what, bytes_max, bytes_used } => {
            told(S::INSUFFICIENT_STORAGE, "quota_reached", over_quota(what, *bytes_max, *bytes_used))
        }
        E::NoSpace => told(S::INSUFFICIENT_STORAGE, "no_space", "There is no space left; nothing was changed."),
        E::Busy => told(S::SERVICE_UNAVAILABLE, "busy", "The server is busy; try again in a moment."),
        E::Unavailable => told(S::SERVICE_UNAVAILABLE, "unavailable", "The storage refused; nothing was changed."),
        E::Damaged { .. } => {
            told(S::INTERNAL_SERVER_ERROR, "damaged", "The stored content of this version is damaged.")
        }
        E::DamagedObject { .. } => {
            told(S::INTERNAL_SERVER_ERROR, "damaged", "The stored content of this object is damaged.")
        }
        E::NotRepository { .. } | E::OtherRepo | E::NotFile | E::Unreadable(_) | E::Internal(_) => {
            told(S::INTERNAL_SERVER_ERROR, "internal", INTERNAL)
        }
    }
}

fn noun(thing: Thing) -> &'static str {
    match thing {
        Thing::File => "file",
        Thing::Version => "version",
        Thing::Device => "device",
        Thing::Repo => "repository",
        Thing::Account => "account",
        Thing::Session => "session",
        Thing::Token => "token",
        Thing::Invite => "invitation",
        Thing::Object => "object",
    }
}

/// The codes that the whole API shares; the query's own are finer.
fn query_code(error: &QueryError) -> &'static str {
    match error {
        QueryError::Missing(_) => "missing_parameter",
        QueryError::Malformed
        | QueryError::TooMany
        | QueryError::Repeated(_)
        | QueryError::NotText(_)
        | QueryError::NotNumber(_) => "invalid",
    }
}

/// An error and its causes on one line, for the log.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_stays_inside() {
        let told = Error::from(service::Error::Internal("/var/lib/rbackup is on fire".into())).told();
        assert_eq!((told.status.as_u16(), told.code, &*told.sentence), (500, "internal", "internal error"));
    }

    #[test]
    fn codes_of_the_contract() {
        let rows = [
            (Error::from(QueryError::Missing("username")), 400, "missing_parameter"),
            (QueryError::NotNumber("file_id").into(), 400, "invalid"),
            (service::Error::NoSpace.into(), 507, "no_space"),
            (service::Error::QuotaReached { what: "stored", bytes_max: 1, bytes_used: 1 }.into(), 507, "quota_reached"),
            (service::Error::Busy.into(), 503, "busy"),
            (Error::ForeignOrigin, 403, "foreign_origin"),
            (Error::ForeignName, 403, "foreign_name"),
            (service::Error::WrongDevice.into(), 401, "wrong_device"),
            (Error::BodyIdle, 408, "body_timeout"),
            (Error::TooLarge, 413, "too_large"),
        ];
        for (error, status, code) in rows {
            let told = error.told();
            assert_eq!((told.status.as_u16(), told.code), (status, code), "{error}");
        }
    }
}
