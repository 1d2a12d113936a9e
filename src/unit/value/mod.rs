//! One value's text into its type, and back.
//!
//! Each kind of value that systemd has is read by one function here and written by its neighbour so that it
//! reads back. Nothing here knows which directive the value is for. What a function cannot read is a
//! [`Problem`](super::complaint::Problem) that says what is wrong; what is allowed instead stands in the
//! directive's row.
#![forbid(unsafe_code)]

pub mod command;
pub mod names;
pub mod quantity;
