//! The words that PID 1 and its own roles and clients exchange.
//!
//! Plain data with a text form. It knows no process, no socket and no decision, so that both sides may
//! import it. A reader trusts nothing: what it cannot read is an error, never a guess.
#![forbid(unsafe_code)]
