//! `PUT` and `POST /upload`: a file as a multipart form or as a raw body.
//!
//! Promises: caller, query, headers and space are checked before the body is asked for; nothing is kept unless everything
//! was right. Never: holds more of a file than a piece.

use bytes::Bytes;
use warp::http::{StatusCode, header};

use crate::model::{DeviceName, File, FilePath, Invalid, Sha256, Timestamp, limits};
use crate::server::Context;
use crate::server::bridge::Sink;
use crate::server::error::Error;
use crate::server::guard::FILE_HASH;
use crate::server::multipart::{self, Event, MultipartError, Splitter};
use crate::server::query::{Query, QueryError};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{self, Caller, Intake, UploadRequest};
use crate::wire::file::FileJson;

/// Takes a file in and answers with all its versions.
pub async fn file(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let form = Form::of(&request)?;
    let upload = upload_request(&request, &form)?;
    let intake = context.bridge.call_change(move || context.services.upload(&caller, upload)).await?;
    let file = match form {
        Form::Multipart(splitter) => context.bridge.body_in(request.body, Parts::new(splitter, intake)).await?,
        Form::Raw { declared } => context.bridge.body_in(request.body, Raw { intake, declared }).await?,
    };
    Ok(Reply::json(StatusCode::OK, &FileJson(&file)))
}

/// The same for the web interface: a browser has no files of its own, so it names the device that the file belongs to.
pub async fn for_device(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    if caller.browser().is_none() {
        return file(context, caller, request).await;
    }
    let device = DeviceName::parse(request.query()?.required_text("device_id")?)?;
    let services = context.services.clone();
    let caller = context.bridge.call(move || services.on_behalf_of(&caller, device)).await?;
    file(context, caller, request).await
}

/// How the file comes.
enum Form {
    Multipart(Box<Splitter>),
    Raw { declared: Option<Sha256> },
}

impl Form {
    fn of(request: &Request) -> Result<Self, Error> {
        let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
        if request.headers.contains_key(header::CONTENT_RANGE) {
            return Err(Error::PartialUpload);
        }
        let encoding = request.header(header::CONTENT_ENCODING).unwrap_or("identity");
        if encoding != "identity" {
            return Err(Error::UnsupportedBody);
        }
        match multipart::boundary_of(content_type) {
            Ok(Some(boundary)) => Ok(Self::Multipart(Box::new(Splitter::new(&boundary)?))),
            Ok(None) => Ok(Self::Multipart(Box::new(Splitter::sniffing()))),
            Err(MultipartError::NotMultipart) if content_type.to_ascii_lowercase().starts_with("multipart/") => {
                Err(Error::UnsupportedBody)
            }
            Err(MultipartError::NotMultipart) => Ok(Self::Raw { declared: declared_in_header(request)? }),
            Err(error) => Err(error.into()),
        }
    }
}

fn declared_in_header(request: &Request) -> Result<Option<Sha256>, Error> {
    let Some(value) = request.headers.get(FILE_HASH) else { return Ok(None) };
    parse_hash(value.as_bytes()).map(Some)
}

fn parse_hash(bytes: &[u8]) -> Result<Sha256, Error> {
    let text = std::str::from_utf8(bytes.trim_ascii()).ok();
    text.and_then(Sha256::parse).ok_or(Error::InvalidHash)
}

fn upload_request(request: &Request, form: &Form) -> Result<UploadRequest, Error> {
    let query = request.query()?;
    let path = match query.bytes("file_path")? {
        Some(path) => path,
        None => query.bytes("file_name")?.ok_or(QueryError::Missing("file_path"))?,
    };
    let size = size(query.number("size")?, request, form)?;
    let size_min = match form {
        Form::Multipart(_) => {
            request.content_length().unwrap_or(0).saturating_sub(limits::MULTIPART_OVERHEAD_BYTES_MAX)
        }
        Form::Raw { .. } => 0,
    };
    Ok(UploadRequest { path: FilePath::parse(path)?, size, size_min, mtime: mtime(&query)?, mode: mode(&query)? })
}

/// A raw body's length is the file's, so the two are compared before the body comes.
fn size(declared: Option<u64>, request: &Request, form: &Form) -> Result<Option<u64>, Error> {
    let Form::Raw { .. } = form else { return Ok(declared) };
    match (declared, request.content_length()) {
        (Some(declared), Some(actual)) if declared != actual => {
            Err(service::Error::SizeMismatch { declared, actual }.into())
        }
        (declared, length) => Ok(declared.or(length)),
    }
}

fn mtime(query: &Query) -> Result<Option<Timestamp>, Error> {
    let Some(millis) = query.number("mtime")? else { return Ok(None) };
    let moment = Timestamp::from_millis(millis);
    Ok(Some(moment.ok_or_else(|| Invalid::new("mtime", "lies outside of the years 0 to 9999"))?))
}

fn mode(query: &Query) -> Result<Option<u32>, Error> {
    let Some(text) = query.text("mode")? else { return Ok(None) };
    let octal = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = if octal { u32::from_str_radix(&text, 8).ok() } else { None };
    let mode = mode.filter(|mode| *mode <= 0o7777);
    Ok(Some(mode.ok_or_else(|| Invalid::new("mode", "is not an octal number from 0 to 7777"))?))
}

/// A raw body.
struct Raw {
    intake: Intake,
    declared: Option<Sha256>,
}

impl Sink for Raw {
    type Done = File;

    fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        Ok(self.intake.push(bytes)?)
    }

    fn finish(self) -> Result<File, Error> {
        Ok(self.intake.finish(self.declared)?)
    }
}

/// A multipart body: `file` and `file-hash`, each once, in either order.
struct Parts {
    splitter: Box<Splitter>,
    content: Content,
}

struct Content {
    intake: Intake,
    part: Part,
    file_seen: bool,
    /// The digits so far; none until the part began.
    hash: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Part {
    None,
    File,
    Hash,
}

impl Parts {
    fn new(splitter: Box<Splitter>, intake: Intake) -> Self {
        Self { splitter, content: Content { intake, part: Part::None, file_seen: false, hash: None } }
    }
}

impl Sink for Parts {
    type Done = File;

    fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        let content = &mut self.content;
        self.splitter.push(bytes, &mut |event| content.take(event))
    }

    fn finish(self) -> Result<File, Error> {
        self.splitter.finish()?;
        if !self.content.file_seen {
            return Err(Error::MissingFile);
        }
        let declared = parse_hash(&self.content.hash.ok_or(Error::MissingHash)?)?;
        Ok(self.content.intake.finish(Some(declared))?)
    }
}

impl Content {
    fn take(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::PartBegin { name, .. } => self.begin(name.as_deref()),
            Event::Data(bytes) => self.data(bytes),
            Event::PartEnd => self.end(),
        }
    }

    fn begin(&mut self, name: Option<&str>) -> Result<(), Error> {
        self.part = match name {
            Some("file") if self.file_seen => return Err(Error::RepeatedPart("file")),
            Some("file-hash") if self.hash.is_some() => return Err(Error::RepeatedPart("file-hash")),
            Some("file") => Part::File,
            Some("file-hash") => Part::Hash,
            _ => return Err(Error::UnknownPart),
        };
        match self.part {
            Part::File => self.file_seen = true,
            Part::Hash => self.hash = Some(Vec::new()),
            Part::None => {}
        }
        Ok(())
    }

    fn data(&mut self, bytes: Bytes) -> Result<(), Error> {
        match (self.part, &mut self.hash) {
            (Part::File, _) => Ok(self.intake.push(bytes)?),
            (Part::Hash, Some(digits)) if digits.len() + bytes.len() <= limits::HASH_PART_BYTES_MAX => {
                digits.extend_from_slice(&bytes);
                Ok(())
            }
            (Part::Hash, _) => Err(Error::InvalidHash),
            (Part::None, _) => Ok(()),
        }
    }

    /// A hash that is none is told at once, not after a file of hours.
    fn end(&mut self) -> Result<(), Error> {
        if let (Part::Hash, Some(digits)) = (self.part, &self.hash) {
            parse_hash(digits)?;
        }
        self.part = Part::None;
        Ok(())
    }
}
