//! Which role, which personality? The one binary answers to several names; this picks who is meant.
#![no_main]
#![deny(unsafe_code)]

#[path = "host/sys/entry.rs"]
mod entry;
