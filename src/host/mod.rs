//! How does the kernel do it?
pub mod facility;
pub mod relay;
pub mod sys;
