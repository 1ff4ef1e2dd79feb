//! `rbackup serve restic` with listeners of its own: one realm's repositories, without accounts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::secured::reload_at_hangup;
use super::serving::{door_if_possible, keep, runtime};
use super::{Error, open_to_serve};
use crate::config::Config;
use crate::model::Secret;
use crate::server::{Listener, Manners, Realm, Tls, Wish};
use crate::service::{Services, Users};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`; without a host everywhere, and with port 0 anywhere.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// Who may come.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// Everybody.
    Open,
    /// One user.
    One {
        /// Its name.
        name: String,
        /// Its password.
        password: Secret<String>,
    },
    /// The users of an htpasswd file.
    File(PathBuf),
}

/// What is served, to whom, and where.
#[derive(Debug, Clone)]
pub struct Restic {
    /// At least one.
    pub addresses: Vec<Address>,
    /// What stands before REMOTE's first colon.
    pub account: Option<String>,
    /// The path behind it.
    pub repo: String,
    /// Whether nothing may be removed except locks.
    pub append_only: bool,
    /// Whether a user sees only what lies below its own name.
    pub private_repos: bool,
    /// Who may come.
    pub sign_in: SignIn,
    /// What the URL begins with; it begins and ends with a slash.
    pub url_base: String,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether to behave like rest-server rather than like rclone.
    pub rest_server: bool,
    /// Whether an upload must be what its name says.
    pub verify: bool,
}

/// A listener with how its address is said.
struct Named {
    listener: Listener,
    shown: String,
    is_far: bool,
}

/// Serves until SIGTERM or SIGINT; what people should read goes to `say`, line by line.
pub fn serve_restic(config: &Config, plan: Restic, say: &dyn Fn(&str)) -> Result<(), Error> {
    let runtime = runtime()?;
    let tls = plan.tls.as_ref().map(|(certificate, key)| Tls::load(certificate, key)).transpose()?;
    let reloaded = tls.clone();
    let users = users(&plan.sign_in)?;
    let listeners = runtime.block_on(listen(&plan, tls))?;
    let services = open_to_serve(config)?;
    keep(runtime, services, config, None, |services| {
        let realm = Arc::new(realm(services, &plan, users, say)?);
        if plan.rest_server {
            outlive_hangups().map_err(Error::Start)?;
        }
        if let Some(tls) = reloaded {
            reload_at_hangup(tls).map_err(Error::Start)?;
        }
        let door = door_if_possible(config);
        for named in &listeners {
            say(&named.shown);
            warn_if_open(&plan, named);
        }
        Ok(listeners.into_iter().map(|named| named.listener.serving(Arc::clone(&realm))).chain(door).collect())
    })
}

/// rest-server reads its users again at SIGHUP, and scripts send it one; ours are read when the file changes.
fn outlive_hangups() -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move { while hangups.recv().await.is_some() {} });
    Ok(())
}

fn realm(services: &Services, plan: &Restic, users: Option<Users>, say: &dyn Fn(&str)) -> Result<Realm, Error> {
    let Restic { account, repo, append_only, private_repos, .. } = plan.clone();
    let found = Realm::find(services, Wish { account, repo, append_only, private_repos })?;
    if let Some(note) = found.note {
        say(&note);
    }
    let manners = if plan.rest_server { Manners::RestServer } else { Manners::Rclone };
    let realm = found.realm.for_users(users).below(&plan.url_base).with_manners(manners);
    Ok(if plan.verify { realm } else { realm.trusting_uploads() })
}

fn users(sign_in: &SignIn) -> Result<Option<Users>, Error> {
    match sign_in {
        SignIn::Open => Ok(None),
        SignIn::One { name, password } => Users::single(name, password).map(Some).map_err(Error::Start),
        SignIn::File(path) => {
            let users = Users::of_file(path);
            users.map(Some).map_err(|source| Error::File { path: path.clone(), source })
        }
    }
}

async fn listen(plan: &Restic, tls: Option<Tls>) -> Result<Vec<Named>, Error> {
    let mut listeners = Vec::with_capacity(plan.addresses.len());
    for address in &plan.addresses {
        let named = match address {
            Address::Tcp(address) => {
                let refused = |source| Error::Listen { address: address.clone(), source };
                let listener = bind(address).await.map_err(refused)?;
                named_tcp(plan, listener, tls.clone()).map_err(refused)?
            }
            Address::Unix(path) => {
                let refused = |source| Error::Listen { address: path.display().to_string(), source };
                let (listener, path) = (Listener::unix(path).map_err(refused)?, path.display());
                let shown = match plan.rest_server {
                    true => format!("start server on {path}"),
                    false => format!("Serving restic REST API on unix://{path}"),
                };
                Named { listener, shown, is_far: false }
            }
        };
        listeners.push(named);
    }
    Ok(listeners)
}

fn named_tcp(plan: &Restic, listener: TcpListener, tls: Option<Tls>) -> io::Result<Named> {
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let shown = match plan.rest_server {
        true => format!("start server on {address}"),
        false => format!("Serving restic REST API on {scheme}://{address}{}", plan.url_base),
    };
    let listener = Listener::tcp(listener);
    let listener = match tls {
        Some(tls) => listener.with_tls(tls),
        None => listener,
    };
    Ok(Named { listener, shown, is_far: !address.ip().is_loopback() })
}

/// Go's addresses: no host is every address of the machine. `localhost` is known without asking anybody.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let (host, port) = address.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
    let port: u16 = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    match host {
        "" => match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await,
        },
        "localhost" => TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await,
        _ => TcpListener::bind(address).await,
    }
}

fn warn_if_open(plan: &Restic, named: &Named) {
    if !named.is_far {
        return;
    }
    if matches!(plan.sign_in, SignIn::Open) {
        tracing::warn!("reachable from the network WITHOUT CREDENTIALS: whoever reaches it may read, add and remove");
    }
    if plan.tls.is_none() {
        tracing::warn!("reachable from the network WITHOUT TLS: passwords travel in the clear");
    }
}
