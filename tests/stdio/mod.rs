//! The parts, in reading order: where it happens, restic, what a right to append is; then the tests.

mod frames;
mod listening;
mod relay;
mod restic;
mod rights;
mod site;

mod append_only;
mod doors;
mod holders;
mod http2;
mod personalities;
mod sign_in;
mod ssh;
mod transports;
