//! `/account/register` and `/account/login`, by query, form or JSON.
//!
//! Promises: a body beyond [`limits::FORM_BODY_BYTES_MAX`] is refused before anything of it is read; a field of the body counts
//! before the same field of the query. Never: keeps a password longer than the call, or tells in an error what was sent.

use warp::http::{Method, StatusCode, header};

use crate::model::{DeviceName, Password, Secret, Username, limits};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::query::{Query, QueryError};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::wire::account::{RegisteredJson, SignInJson, SignedInJson};

/// Makes an account.
pub async fn register(context: Context, request: Request) -> Result<Reply, Error> {
    let fields = Fields::of(&context, request).await?;
    let name = Username::parse(fields.text("username")?)?;
    let password = Password::parse(fields.text("password")?)?;
    let registered = context.bridge.call_password(move || context.services.register(name, password)).await?;
    let account_id = registered.account.to_string();
    let json = RegisteredJson { account_id, recovery_code: registered.recovery_code.reveal() };
    Ok(Reply::json(StatusCode::CREATED, &json))
}

/// Opens a session of a device.
pub async fn login(context: Context, request: Request) -> Result<Reply, Error> {
    let fields = Fields::of(&context, request).await?;
    let device = DeviceName::parse(fields.text("device_id")?)?;
    let name = Username::parse(fields.text("username")?)?;
    let password = Secret::new(fields.text("password")?);
    let signed_in = context.bridge.call_password(move || context.services.login(&name, &password, device)).await?;
    let status = if signed_in.renewed { StatusCode::OK } else { StatusCode::CREATED };
    Ok(Reply::json(status, &SignedInJson { session_id: signed_in.session_id.reveal() }))
}

/// The values of a request, wherever they stand.
struct Fields {
    body: BodyFields,
    query: Query,
}

enum BodyFields {
    Form(Query),
    Json(SignInJson),
}

impl Fields {
    async fn of(context: &Context, request: Request) -> Result<Self, Error> {
        if request.content_length().is_some_and(|length| length > limits::FORM_BODY_BYTES_MAX as u64) {
            return Err(Error::TooLarge);
        }
        let query = request.query();
        let is_json = request.header(header::CONTENT_TYPE).is_some_and(is_json);
        let body = if request.method == Method::GET {
            BodyFields::Form(Query::default())
        } else {
            let body = context.bridge.body_whole(request.body, limits::FORM_BODY_BYTES_MAX).await?;
            BodyFields::parse(&body, is_json)?
        };
        Ok(Self { body, query: query? })
    }

    fn text(&self, name: &'static str) -> Result<String, QueryError> {
        match self.body.text(name)? {
            Some(text) => Ok(text),
            None => self.query.required_text(name),
        }
    }
}

impl BodyFields {
    fn parse(body: &[u8], is_json: bool) -> Result<Self, Error> {
        if is_json {
            SignInJson::parse(body).map(Self::Json).ok_or(Error::BadJson)
        } else {
            Ok(Self::Form(Query::parse_form(body)?))
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, QueryError> {
        match self {
            Self::Form(form) => form.text(name),
            Self::Json(json) => Ok(match name {
                "username" => json.username.clone(),
                "password" => json.password.clone(),
                _ => json.device_id.clone(),
            }),
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
