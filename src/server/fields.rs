//! The values of a small request, wherever they stand: query, form or JSON.
//!
//! Promises: a body beyond [`limits::FORM_BODY_BYTES_MAX`] is refused before anything of it is read; a field of the body counts
//! before the same field of the query. Never: tells in an error what was sent.

use warp::http::{Method, header};

use super::Context;
use super::error::Error;
use super::query::{Query, QueryError};
use super::request::Request;
use crate::model::{Secret, limits};
use crate::wire::fields::{FieldJson, FieldsJson};

/// The values.
pub struct Fields {
    body: Body,
    query: Query,
}

enum Body {
    Form(Query),
    Json(FieldsJson),
}

impl Fields {
    /// Reads them.
    pub async fn of(context: &Context, request: Request) -> Result<Self, Error> {
        if request.content_length().is_some_and(|length| length > limits::FORM_BODY_BYTES_MAX as u64) {
            return Err(Error::TooLarge);
        }
        let query = request.query();
        let is_json = request.header(header::CONTENT_TYPE).is_some_and(is_json);
        let body = if request.method == Method::GET {
            Body::Form(Query::default())
        } else {
            let body = context.bridge.body_whole(request.body, limits::FORM_BODY_BYTES_MAX).await?;
            Body::parse(&body, is_json)?
        };
        Ok(Self { body, query: query? })
    }

    /// A field that must be there.
    pub fn required(&self, name: &'static str) -> Result<String, Error> {
        self.text(name)?.ok_or_else(|| QueryError::Missing(name).into())
    }

    /// The same for what must not be printed.
    pub fn required_secret(&self, name: &'static str) -> Result<Secret<String>, Error> {
        self.required(name).map(Secret::new)
    }

    /// A field as text.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        let in_body = match &self.body {
            Body::Form(form) => form.text(name)?,
            Body::Json(json) => match json.field(name) {
                Some(FieldJson::Text(text)) => Some(text.clone()),
                Some(_) => return Err(Error::BadJson),
                None => None,
            },
        };
        match in_body {
            Some(text) => Ok(Some(text)),
            None => Ok(self.query.text(name)?),
        }
    }

    /// A field as a whole number.
    pub fn number(&self, name: &'static str) -> Result<Option<u32>, Error> {
        let in_json = match &self.body {
            Body::Json(json) => json.field(name),
            Body::Form(_) => None,
        };
        let text = match in_json {
            Some(FieldJson::Number(digits)) => Some(digits.clone()),
            _ => self.text(name)?,
        };
        let Some(text) = text else { return Ok(None) };
        let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        number.map(Some).ok_or_else(|| QueryError::NotNumber(name).into())
    }

    /// A field as words: a list in JSON, else text with commas or spaces between them.
    pub fn words(&self, name: &'static str) -> Result<Vec<String>, Error> {
        if let Body::Json(json) = &self.body
            && let Some(FieldJson::List(words)) = json.field(name)
        {
            return Ok(words.clone());
        }
        let text = self.required(name)?;
        Ok(text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// Refuses a body with other fields than these: where a word that was mistyped would grant more than was meant.
    pub fn only(&self, known: &[&str]) -> Result<(), Error> {
        let is_known = match &self.body {
            Body::Form(form) => form.names().all(|name| known.contains(&name)),
            Body::Json(json) => json.names().all(|name| known.contains(&name)),
        };
        if is_known && self.query.names().all(|name| known.contains(&name)) { Ok(()) } else { Err(Error::UnknownField) }
    }
}

impl Body {
    fn parse(body: &[u8], is_json: bool) -> Result<Self, Error> {
        if is_json {
            FieldsJson::parse(body).map(Self::Json).ok_or(Error::BadJson)
        } else {
            Ok(Self::Form(Query::parse_form(body)?))
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
