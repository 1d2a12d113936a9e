//! How does the kernel do it?
pub mod health;
pub mod sys;
