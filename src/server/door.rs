//! The socket in the data directory: who comes is known by the kernel, what it wants by its first message.
//!
//! Promises: root and the server's own user may do everything, and only they may send errands; a user that `[restic] socket_users` lists may use restic on the
//! accounts listed there; anybody else is refused, and the refusal logged. What the preamble grants binds the whole
//! connection, and not one byte of the client is read before. Never: believes a preamble about who speaks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Context;
use super::error::Error;
use super::guard::errand::run as run_errand;
use super::guard::realm::{NoRealm, Realm, Wish};
use crate::model::limits;
use crate::wire::errand::{Errand, Said};
use crate::wire::preamble::{self, HEAD_BYTES, Opening, Preamble, Unusable, Verdict};

/// Exit codes a pump may be told: what was typed is wrong, the peer may not, something failed.
const USAGE: u8 = 2;
const NOT_ALLOWED: u8 = 12;
const FAILED: u8 = 1;

/// Who may come through a data directory's socket.
#[derive(Debug, Clone)]
pub struct Door {
    /// The server's own user.
    pub owner: u32,
    /// The group that the socket belongs to.
    pub group: Option<u32>,
    /// What other users may use.
    pub users: BTreeMap<u32, Vec<String>>,
}

/// Why somebody was not let in, with the exit code for its pump.
struct Refusal(u8, String);

impl Door {
    /// Reads the first message, decides, and says so. None when it was refused or went, or when its errand is done.
    pub(super) async fn admit(&self, context: &Context, stream: &mut UnixStream, uid: u32) -> Option<Arc<Realm>> {
        let admitted = match timeout(limits::HEADERS_READ, receive(stream)).await {
            Ok(Ok(Ok(Opening::Pump(preamble)))) => self.decide(context, uid, preamble).await,
            Ok(Ok(Ok(Opening::Errand(errand)))) => {
                self.serve(context, stream, uid, errand).await;
                return None;
            }
            Ok(Ok(Err(unusable))) => Err(Refusal(FAILED, unusable.to_string())),
            Ok(Err(_)) | Err(_) => return None,
        };
        let (verdict, realm) = match admitted {
            Ok((realm, note)) => (Verdict::Accepted { note }, Some(realm)),
            Err(Refusal(exit, sentence)) => {
                tracing::warn!(uid, sentence, "refused at the socket");
                self.audit(context, uid);
                (Verdict::Refused { exit, sentence }, None)
            }
        };
        let said = timeout(limits::SOCKET_WRITE_IDLE, stream.write_all(&preamble::frame(&verdict))).await;
        realm.filter(|_| matches!(said, Ok(Ok(()))))
    }

    /// Does an errand. One whose command has gone is done all the same: it was asked for.
    async fn serve(&self, context: &Context, stream: &mut UnixStream, uid: u32, errand: Errand) {
        tracing::info!(uid, ?errand, "errand");
        let (say, mut said) = mpsc::channel(limits::SAYINGS_WAITING_MAX);
        let refused = match (self.allowed(uid), &errand) {
            (Ok(None), Errand::Leave {}) if context.leave.send(true).is_ok() => Some(Said::Done),
            (Ok(None), _) => None,
            (Ok(Some(_)), _) => Some(refusal(NOT_ALLOWED, format!("user {uid} may use restic here, and nothing else"))),
            (Err(Refusal(exit, sentence)), _) => Some(refusal(exit, sentence)),
        };
        self.audit(context, uid);
        match refused {
            // What comes ends with the last sender.
            Some(last) => drop((say.try_send(last), say)),
            None => {
                let (services, bridge) = (context.services.clone(), context.bridge.clone());
                tokio::spawn(async move {
                    let busy = say.clone();
                    let mut say = move |saying| drop(say.blocking_send(saying));
                    let work = move || {
                        run_errand(&services, errand, &mut say);
                        Ok::<_, Error>(())
                    };
                    if bridge.call_change(work).await.is_err() {
                        let _ =
                            busy.send(refusal(FAILED, "the server is busy, or its storage failed".to_owned())).await;
                    }
                });
            }
        }
        while let Some(saying) = said.recv().await {
            let sent = timeout(limits::SOCKET_WRITE_IDLE, stream.write_all(&preamble::frame(&saying))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Who may do everything and is refused has mistyped; the others are noted.
    fn audit(&self, context: &Context, uid: u32) {
        if !matches!(self.allowed(uid), Ok(None)) {
            let services = context.services.clone();
            tokio::task::spawn_blocking(move || services.audit_refused_at_socket(uid));
        }
    }

    async fn decide(
        &self,
        context: &Context,
        uid: u32,
        said: Preamble,
    ) -> Result<(Arc<Realm>, Option<String>), Refusal> {
        let allowed = self.allowed(uid)?;
        let Preamble { account, repo, append_only, private_repos } = said;
        let services = context.services.clone();
        let wish = Wish { account, repo, append_only, private_repos };
        let found = context.bridge.call(move || Ok::<_, Error>(Realm::find(&services, wish))).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(NoRealm::Invalid(invalid))) => return Err(Refusal(USAGE, invalid.to_string())),
            Ok(Err(NoRealm::Failed(error))) => return Err(Refusal(FAILED, error.to_string())),
            Err(_) => return Err(Refusal(FAILED, "the server is busy".to_owned())),
        };
        let is_listed = |names: &[String]| names.iter().any(|name| name.to_lowercase() == found.account);
        if !allowed.is_none_or(is_listed) {
            let account = &found.account;
            let sentence = format!("user {uid} may not use the repositories of {account:?}: see [restic] socket_users");
            return Err(Refusal(NOT_ALLOWED, sentence));
        }
        Ok((Arc::new(found.realm), found.note))
    }

    /// The accounts that a user may use; none stands for all of them.
    fn allowed(&self, uid: u32) -> Result<Option<&[String]>, Refusal> {
        if uid == 0 || uid == self.owner {
            return Ok(None);
        }
        let listed = self.users.get(&uid).map(Vec::as_slice);
        let sentence = || format!("user {uid} may not use this socket: see [restic] socket_users");
        listed.map(Some).ok_or_else(|| Refusal(NOT_ALLOWED, sentence()))
    }
}

fn refusal(exit: u8, sentence: String) -> Said {
    Said::Refused { exit, sentence }
}

/// A first message, or why what came is none.
async fn receive(stream: &mut UnixStream) -> io::Result<Result<Opening, Unusable>> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let bytes = match preamble::body_bytes(&head) {
        Ok(bytes) => bytes,
        Err(unusable) => return Ok(Err(unusable)),
    };
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).await?;
    Ok(preamble::opening(&body))
}
