//! What did the person write? Text in, typed spec out.
//!
//! This room reads unit files, `-p NAME=VALUE` and `TINYSVC_*` and turns them into a [`spec::Spec`].
//! It opens the files that it is pointed at and touches nothing else; it decides nothing about processes.
//! Everything it reads is hostile or wrong until parsed, and a parser returns what it understood *and*
//! what it did not.
//!
//! Words: a *directive* is one `Name=Value` of systemd.service(5), systemd.exec(5), systemd.kill(5) or
//! `[X-Tinysvc]`; a *layer* is one of the places that a directive can come from.
#![forbid(unsafe_code)]

pub mod calls;
pub mod complaint;
pub mod directive;
mod dropin;
pub mod environment_file;
pub mod layers;
pub mod library;
mod life;
pub mod machine;
pub mod name;
pub mod nearest;
mod own;
mod own_environment;
mod own_execution;
pub mod page;
mod rooted;
pub mod spec;
pub mod specifier;
pub mod syntax;
pub mod table;
mod unit_section;
pub mod value;
pub mod words;

pub use own::health;
