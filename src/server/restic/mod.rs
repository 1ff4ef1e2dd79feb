//! restic's REST protocol, version 1 and 2, below any base path and behind any gate.
//!
//! Promises: one parse of the path decides who may ask and what is meant; only 200 and 206 say that something was done; 404 says
//! that a thing is not there and nothing else; a 200 to `POST` and `DELETE` is sent when the change is durable. Never: redirects,
//! looks at `Host`, or names itself in a `Server` header (restic changes its mind about 404 when it sees rclone's).

mod list;
mod object;

use std::pin::Pin;

use warp::http::{Method, StatusCode};

use crate::model::repo::REPO_DEPTH_MAX;
use crate::model::{Locator, ObjectKind, ObjectName, RepoPath, Resource};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::server::vigil::Vigil;
use crate::service::restic::{Proof, RepoAccess};

/// What becomes of somebody who asks for a repository.
pub type Admission<'a> = Pin<Box<dyn Future<Output = Result<RepoAccess, Error>> + Send + 'a>>;

/// Decides who may do what. Every gate lives in `server/guard`.
pub trait Gate: Send + Sync {
    /// The access of whoever sent this request to the repository that the path names.
    fn admit<'a>(&'a self, context: &'a Context, request: &'a Request, repo: RepoPath) -> Admission<'a>;

    /// How many segments a repository's path may have here.
    fn depth_max(&self) -> usize {
        REPO_DEPTH_MAX
    }

    /// What is asked of objects that come in here.
    fn proof(&self) -> Proof {
        Proof::Name
    }
}

/// Every way to ask, for tests that must miss none.
pub const ROUTES: &[(&str, &str)] = &[
    ("POST", "/restic/{repo}/?create=true"),
    ("DELETE", "/restic/{repo}/"),
    ("GET", "/restic/{repo}/{kind}/"),
    ("HEAD", "/restic/{repo}/{kind}/{name}"),
    ("GET", "/restic/{repo}/{kind}/{name}"),
    ("POST", "/restic/{repo}/{kind}/{name}"),
    ("DELETE", "/restic/{repo}/{kind}/{name}"),
];

/// What a method means for a resource.
enum Action {
    CreateRepo,
    RemoveRepo,
    List(ObjectKind),
    Stat(ObjectName),
    Read(ObjectName),
    Receive(ObjectName),
    Remove(ObjectName),
}

/// Answers a request. `rest` is what follows the base of the URL, still percent-encoded and without its first slash.
pub async fn answer(context: Context, gate: &dyn Gate, rest: &str, request: Request) -> Result<Reply, Error> {
    let Locator { repo, resource } = Locator::parse(rest, gate.depth_max()).ok_or(Error::NoRoute)?;
    let action = Action::of(resource, &request.method)?;
    let access = gate.admit(&context, &request, repo).await?;
    let (watching, standing, connection) = (context.clone(), access.standing().clone(), request.connection.clone());
    let reply = done(context, access, action, gate.proof(), request).await?;
    Ok(reply.watched(|| Vigil::begin(&watching, standing, connection)))
}

async fn done(
    context: Context,
    access: RepoAccess,
    action: Action,
    proof: Proof,
    request: Request,
) -> Result<Reply, Error> {
    match action {
        Action::CreateRepo => create(context, access, request).await,
        // A whole repository goes by `rbackup repo remove` alone: no client of restic's ever asks for it.
        Action::RemoveRepo => Err(Error::Forbidden),
        Action::List(kind) => list::objects(context, access, kind, request).await,
        Action::Stat(name) => object::stat(context, access, name).await,
        Action::Read(name) => object::read(context, access, name, request).await,
        Action::Receive(name) => object::receive(context, access, name, proof, request).await,
        Action::Remove(name) => object::remove(context, access, name).await,
    }
}

impl Action {
    fn of(resource: Resource, method: &Method) -> Result<Self, Error> {
        let refused = |allow: &str| Err(Error::MethodNotAllowed { allow: allow.to_owned() });
        match (resource, method) {
            (Resource::Repo, &Method::POST) => Ok(Self::CreateRepo),
            (Resource::Repo, &Method::DELETE) => Ok(Self::RemoveRepo),
            (Resource::Repo, _) => refused("POST"),
            (Resource::List(kind), &Method::GET) => Ok(Self::List(kind)),
            (Resource::List(_), _) => refused("GET"),
            (Resource::Object(name), &Method::HEAD) => Ok(Self::Stat(name)),
            (Resource::Object(name), &Method::GET) => Ok(Self::Read(name)),
            (Resource::Object(name), &Method::POST) => Ok(Self::Receive(name)),
            (Resource::Object(name), &Method::DELETE) => Ok(Self::Remove(name)),
            (Resource::Object(_), _) => refused("HEAD, GET, POST, DELETE"),
        }
    }
}

async fn create(context: Context, access: RepoAccess, request: Request) -> Result<Reply, Error> {
    if request.query()?.text("create")?.as_deref() != Some("true") {
        return Err(crate::server::query::QueryError::Missing("create=true").into());
    }
    context.bridge.call_change(move || context.services.create_repo(&access)).await?;
    Ok(Reply::empty(StatusCode::OK))
}
