//! Sessions, tokens and passwords of somebody else than Ann and Bert, against a plain list of what opens and what does not. After
//! every restart, crash, rebuild and move each of them must still do what it did.

use proptest::prelude::*;
use rbackup::model::{DeviceName, Password, Rights, Scope, Username};
use rbackup::service::{Admission, Caller, Error, Proof, Services, TokenWish, Visit, WhichSessions, WhichTokens};

/// What happens next.
#[derive(Debug, Clone)]
pub enum AccessStep {
    /// Signs in, which ends the session there was.
    Login,
    /// Rotates with the newest generation.
    Rotate,
    /// Rotates with the one before.
    RotateBefore,
    /// Uses a generation that was replaced twice.
    Replay,
    /// Signs out.
    SignOut,
    /// Makes a token.
    Token { scopes: u8 },
    /// Revokes one of the tokens.
    Revoke { nth: usize },
    /// Changes the password.
    Password { revoke_tokens: bool },
    /// Disables the account or enables it again.
    Toggle,
}

/// What must be.
#[derive(Default)]
pub struct Access {
    /// Which password it is; nothing before anything happened.
    password: Option<u8>,
    disabled: bool,
    /// The generations of the living session, the newest last.
    generations: Vec<String>,
    /// Whether the newest was used.
    used: bool,
    /// Tokens with their rights.
    tokens: Vec<(u64, String, Rights)>,
    /// What opens nothing any more, and ends nothing either.
    dead: Vec<String>,
}

/// One of them.
pub fn access_step() -> impl Strategy<Value = AccessStep> {
    prop_oneof![
        3 => Just(AccessStep::Login),
        5 => Just(AccessStep::Rotate),
        2 => Just(AccessStep::RotateBefore),
        1 => Just(AccessStep::Replay),
        1 => Just(AccessStep::SignOut),
        3 => (1u8..32).prop_map(|scopes| AccessStep::Token { scopes }),
        1 => any::<usize>().prop_map(|nth| AccessStep::Revoke { nth }),
        1 => any::<bool>().prop_map(|revoke_tokens| AccessStep::Password { revoke_tokens }),
        1 => Just(AccessStep::Toggle),
    ]
}

fn name() -> Username {
    Username::parse("cara".to_owned()).expect("fine")
}

fn password(number: u8) -> Password {
    Password::parse(format!("the password number {number}")).expect("fine")
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::NoSession | Error::BadCredentials)), "{result:?}");
}

impl Access {
    /// Does one step to the store and to the list.
    pub fn step(&mut self, services: &Services, step: &AccessStep) {
        let number = *self.password.get_or_insert_with(|| {
            services.register(name(), password(0), &Admission::local()).expect("registered");
            0
        });
        match *step {
            AccessStep::Login => self.login(services, number),
            AccessStep::Rotate => self.rotate(services),
            AccessStep::RotateBefore => self.rotate_before(services),
            AccessStep::Replay => self.replay(services),
            AccessStep::SignOut => {
                if let Some(caller) = self.caller(services) {
                    services.end_sessions(&caller, &WhichSessions::Current).expect("signed out");
                    self.session_ended();
                    is_refused(services.end_sessions(&caller, &WhichSessions::All));
                }
            }
            AccessStep::Token { scopes } => self.token(services, Rights::from_byte(scopes)),
            AccessStep::Revoke { nth } => {
                let Some(caller) = self.caller(services).filter(|_| !self.tokens.is_empty()) else { return };
                let (id, text, _) = self.tokens.remove(nth % self.tokens.len());
                assert_eq!(services.revoke_tokens(&caller, WhichTokens::One(id)).expect("revoked"), 1);
                self.dead.push(text);
            }
            AccessStep::Password { revoke_tokens } => self.change_password(services, number, revoke_tokens),
            AccessStep::Toggle => {
                services.set_enabled(&name(), self.disabled).expect("set");
                self.disabled = !self.disabled;
                if self.disabled {
                    self.session_ended();
                }
            }
        }
    }

    fn login(&mut self, services: &Services, number: u8) {
        let device = DeviceName::parse("laptop".to_owned()).expect("fine");
        let login = services.login(&name(), password(number).secret(), device, &Visit::default());
        if self.disabled {
            return is_refused(login);
        }
        let login = login.expect("signed in");
        assert_eq!(login.renewed, !self.generations.is_empty());
        self.session_ended();
        self.generations.push(login.session_id.reveal().clone());
        self.used = true;
    }

    fn caller(&mut self, services: &Services) -> Option<Caller> {
        let caller = services.session(self.generations.last()?).expect("the newest generation is live");
        self.used = true;
        Some(caller)
    }

    fn rotate(&mut self, services: &Services) {
        let Some(newest) = self.generations.last() else { return };
        let next = services.rotate(newest, &Visit::default()).expect("rotated").reveal().clone();
        assert!(!self.generations.contains(&next));
        self.generations.push(next);
        self.used = false;
    }

    fn rotate_before(&mut self, services: &Services) {
        let [.., before, newest] = &self.generations[..] else { return };
        let rotated = services.rotate(before, &Visit::default());
        if self.used {
            is_refused(rotated);
            self.session_ended();
        } else {
            assert_eq!(rotated.expect("the same again").reveal(), newest);
        }
    }

    fn replay(&mut self, services: &Services) {
        let [.., older, _, _] = &self.generations[..] else { return };
        is_refused(services.session(older));
        self.session_ended();
    }

    fn session_ended(&mut self) {
        self.dead.append(&mut self.generations);
    }

    fn token(&mut self, services: &Services, rights: Rights) {
        let Some(caller) = self.caller(services) else { return };
        let wish = TokenWish { label: "t".to_owned(), rights, device: None, prefix: None, expires: None };
        let made = services.make_token(&caller, wish).expect("made");
        self.tokens.push((made.id, made.secret.reveal().clone(), rights));
    }

    fn change_password(&mut self, services: &Services, number: u8, revoke_tokens: bool) {
        let proof = Proof::Password(password(number).secret().clone());
        let changed =
            services.change_password(&name(), &proof, &password(number + 1), revoke_tokens, &Visit::default());
        if self.disabled {
            return is_refused(changed);
        }
        let ended = changed.expect("changed");
        assert_eq!(ended.sessions, usize::from(!self.generations.is_empty()));
        self.password = Some(number + 1);
        self.session_ended();
        if revoke_tokens {
            assert_eq!(ended.tokens, self.tokens.len());
            self.dead.extend(self.tokens.drain(..).map(|(_, text, _)| text));
        }
    }

    /// Everything opens that must, with its rights, and nothing else.
    pub fn compare(&mut self, services: &Services) {
        for dead in &self.dead {
            is_refused(services.session(dead));
        }
        for (id, text, rights) in &self.tokens {
            let caller = services.session(text);
            match self.disabled {
                true => is_refused(caller),
                false => assert_eq!(caller.expect("a token").rights(), *rights, "token {id}"),
            }
        }
        let Some(caller) = self.caller(services) else { return };
        let listed = services.tokens(&caller).expect("listed");
        let listed: Vec<(u64, Rights)> = listed.into_iter().map(|token| (token.id, token.rights)).collect();
        let expected: Vec<(u64, Rights)> = self.tokens.iter().map(|(id, _, rights)| (*id, *rights)).collect();
        assert_eq!(listed, expected);
        let sessions = services.sessions(&caller).expect("listed");
        assert_eq!(sessions.len(), 1);
        assert!(sessions[0].is_current && sessions[0].generation as usize + 1 == self.generations.len());
        assert!(caller.rights().has(Scope::Admin));
    }

    /// For the check of the check: as if something else opened.
    pub fn mistake(&mut self, kind: u8) {
        match kind {
            0 => self.dead.push(self.tokens[0].1.clone()),
            1 => self.tokens[0].2 = Rights::FULL,
            2 => drop(self.tokens.pop()),
            _ => self.disabled = true,
        }
    }
}
