//! Who may use which repositories where nobody has an account of this server: a pump's preamble, or the words of a command line.
//!
//! Promises: what a URL names is put below the realm's own path after it was parsed, so that nobody leaves it; without
//! credentials nobody is anybody, so that private repositories are nobody's; a right that was taken away at the door is away for
//! every request. Never: asks for a password when none was set up.

use std::sync::Arc;

use warp::http::HeaderMap;

use super::basic;
use crate::model::repo::REPO_DEPTH_MAX;
use crate::model::{Invalid, RepoPath, Rights, Secret, Username};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::request::Request;
use crate::server::restic::{Admission, Gate};
use crate::service::restic::{Owner, Proof, RepoAccess};
use crate::service::{self, Services, Users};

/// The realm that belongs to no account.
pub const LOCAL: &str = Username::LOCAL;
/// rest-server knows a user's directory and one below.
const REST_SERVER_DEPTH: usize = 2;

/// What is asked for: REMOTE in two halves, and the rights.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What stands before REMOTE's first colon.
    pub account: Option<String>,
    /// The path behind it.
    pub repo: String,
    /// Whether nothing may be removed except locks.
    pub append_only: bool,
    /// Whether a user sees only what lies below its own name.
    pub private_repos: bool,
}

/// As whom a server behaves where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// rclone: 403 for what is not one's own.
    Rclone,
    /// rest-server: 401, two segments at most, and no private repositories without users.
    RestServer,
}

/// Repositories of one owner below one path.
pub struct Realm {
    owner: Owner,
    base: RepoPath,
    rights: Rights,
    private: bool,
    users: Option<Users>,
    manners: Manners,
    proof: Proof,
    url_base: String,
}

/// A realm, as it was found.
pub struct Found {
    /// It.
    pub realm: Realm,
    /// The name of its account in lower case, [`LOCAL`] without one.
    pub account: String,
    /// What whoever typed REMOTE should know.
    pub note: Option<String>,
}

/// Why there is no realm.
#[derive(Debug, thiserror::Error)]
pub enum NoRealm {
    /// REMOTE cannot be a path.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The catalog could not be asked.
    #[error(transparent)]
    Failed(#[from] service::Error),
}

impl Realm {
    /// The realm of a wish. A name that is no account's is the beginning of a path in the local realm. Asks the catalog.
    pub fn find(services: &Services, wish: Wish) -> Result<Found, NoRealm> {
        let name = wish.account.as_deref().and_then(|name| Username::parse(name.to_owned()).ok());
        let (account, owner) = match name.filter(|name| name.folded() != LOCAL) {
            Some(name) => (name.folded(), services.owner_named(&name)?),
            None => (LOCAL.to_owned(), None),
        };
        let is_local = wish.account.as_deref().is_none_or(|name| name.to_lowercase() == LOCAL);
        let (account, owner, path, note) = match (owner, &wish.account) {
            (Some(owner), _) => (account, owner, wish.repo, None),
            (None, Some(name)) if !is_local => {
                let path = format!("{name}:{}", wish.repo);
                let note = format!("there is no account {name:?}: {path:?} is a path in the local realm");
                (LOCAL.to_owned(), services.local_owner(), path, Some(note))
            }
            _ => (LOCAL.to_owned(), services.local_owner(), wish.repo, None),
        };
        let realm = Self {
            owner,
            base: RepoPath::parse(&path)?,
            rights: if wish.append_only { Rights::APPEND_ONLY } else { Rights::FULL },
            private: wish.private_repos,
            users: None,
            manners: Manners::Rclone,
            proof: Proof::Name,
            url_base: "/".to_owned(),
        };
        Ok(Found { realm, account, note })
    }

    /// The same for whoever is among `users`.
    pub fn for_users(self, users: Option<Users>) -> Self {
        Self { users, ..self }
    }

    /// The same below this path of the URL, which begins and ends with a slash.
    pub fn below(self, url_base: &str) -> Self {
        Self { url_base: url_base.to_owned(), ..self }
    }

    /// The same with another server's manners.
    pub fn with_manners(self, manners: Manners) -> Self {
        Self { manners, ..self }
    }

    /// The same without the proof that an upload is what its name says.
    pub fn trusting_uploads(self) -> Self {
        Self { proof: Proof::Nothing, ..self }
    }

    /// Below which path of the URL it lies.
    pub fn url_base(&self) -> &str {
        &self.url_base
    }

    /// The user who asks; none where nobody has to say who it is.
    async fn user(self: &Arc<Self>, context: &Context, headers: &HeaderMap) -> Result<Option<String>, Error> {
        if self.users.is_none() {
            return Ok(None);
        }
        let (name, password) = basic::presented(headers).ok_or(Error::NeedCredentials)?;
        if self.knows(context, &name, &password).await? { Ok(Some(name)) } else { Err(Error::NeedCredentials) }
    }

    async fn knows(self: &Arc<Self>, context: &Context, name: &str, password: &Secret<String>) -> Result<bool, Error> {
        let asked = |slow: bool| {
            let (realm, name, password) = (Arc::clone(self), name.to_owned(), password.clone());
            move || {
                let users = realm.users.as_ref();
                let known = |users: &Users| match slow {
                    true => users.verify(&name, &password),
                    false => users.remembers(&name, &password),
                };
                Ok::<_, Error>(users.is_some_and(known))
            }
        };
        if context.bridge.call(asked(false)).await? {
            return Ok(true);
        }
        let verify = asked(true);
        let proof = move || if verify()? { Ok(()) } else { Err(Error::NeedCredentials) };
        super::proving(context, Some(name.to_owned()), proof).await.map(|()| true)
    }

    /// Whether `path`, as the URL has it, is the user's own.
    fn is_own(&self, user: Option<&str>, path: &RepoPath) -> bool {
        let counts = self.private && !(self.manners == Manners::RestServer && self.users.is_none());
        !counts || (user.is_some() && path.first_segment() == user)
    }

    fn access(&self, user: Option<&str>, path: &RepoPath) -> Result<RepoAccess, Error> {
        if !self.is_own(user, path) {
            return Err(match self.manners {
                Manners::Rclone => Error::Forbidden,
                Manners::RestServer => Error::NeedCredentials,
            });
        }
        let repo = self.base.join(path).map_err(|_| Error::NoRoute)?;
        Ok(RepoAccess::new(&self.owner, repo, self.rights))
    }
}

impl Gate for Arc<Realm> {
    fn admit<'a>(&'a self, context: &'a Context, request: &'a Request, repo: RepoPath) -> Admission<'a> {
        Box::pin(async move {
            let user = self.user(context, &request.headers).await?;
            self.access(user.as_deref(), &repo)
        })
    }

    fn depth_max(&self) -> usize {
        match self.manners {
            Manners::Rclone => REPO_DEPTH_MAX,
            Manners::RestServer => REST_SERVER_DEPTH,
        }
    }

    fn proof(&self) -> Proof {
        self.proof
    }
}
