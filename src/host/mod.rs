//! How does the kernel do it?
pub mod sys;
