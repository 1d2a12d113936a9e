//! The words that PID 1 and its own roles and clients exchange.
//!
//! Plain data with a text form, and what follows from that data alone. It knows no process, no socket
//! and no clock, so that both sides may import it. A reader trusts nothing: what it cannot read is an
//! error, never a guess.
#![forbid(unsafe_code)]

pub mod control;
mod snapshot;
mod text;
mod verdict;

pub use snapshot::{ASK_LEN_MAX, Ask, Component, Phase, SNAPSHOT_LEN_MAX, Snapshot};
pub use text::Error;
pub use verdict::{Check, NO_ANSWER, Probe, checks, find, printable};
