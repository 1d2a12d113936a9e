//! Several units of a manager, and who asks what of them.
