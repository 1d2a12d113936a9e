//! How does the kernel do it?
pub mod relay;
pub mod sys;
