//! What an attacker tries: each file here is one kind of them. Nothing here asks what a user asks.
//!
//! Where the rest is: rotated sessions in any order `rotation.rs`; ids of another account on the contract's routes `isolation.rs`;
//! rights of every credential on every route `rights.rs`; two lengths, cut and endless bodies, heads that are none `broken.rs`;
//! values of every field `bad_input.rs`; paths of restic's `restic/access.rs` (cases 80, 81) and `restic/repository.rs`; foreign pages on
//! the contract's routes `session.rs`, on restic's `restic/access.rs`; the cookie and its routes `ui.rs`; crowds `flood.rs`;
//! guessing `limits.rs`; the setup code and invitations `registration.rs`; keys that others can read `tls.rs`; other users at the
//! socket `tests/stdio/doors.rs`; names in archives `zip.rs`; bytes of the data directory `secrecy.rs`; the preamble `tests/fuzz`.

mod browsers;
mod crowds;
mod disk;
mod ids;
mod paths;
mod rebinding;
mod sessions;
mod sizes;
mod smuggling;
