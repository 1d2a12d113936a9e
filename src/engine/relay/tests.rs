//! What the small inits do, as tables.
#![forbid(unsafe_code)]
