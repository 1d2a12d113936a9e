//! The only place of the runner that reads the clock or lets time pass.

use std::time::{Duration, Instant};

/// A moment to be waited for, or not to be waited beyond.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "the runner's own clock")]
    pub fn after(seconds: f64) -> Deadline {
        Deadline(Instant::now() + Duration::from_secs_f64(seconds.max(0.0)))
    }

    /// Rounded up to the next millisecond, so that who waits as long finds it passed.
    #[allow(clippy::disallowed_methods, reason = "the runner's own clock")]
    pub fn remaining(&self) -> Duration {
        match self.0.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Duration::ZERO,
            left => left + Duration::from_millis(1),
        }
    }

    pub fn passed(&self) -> bool {
        self.remaining().is_zero()
    }
}

/// Since when something goes on.
pub struct Since(Instant);

impl Since {
    #[allow(clippy::disallowed_methods, reason = "the runner's own clock")]
    pub fn now() -> Since {
        Since(Instant::now())
    }

    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Lets time pass: a case's step says so, or something outside has no event that could be waited for.
#[allow(clippy::disallowed_methods, reason = "`wait` is a step of the cases")]
pub fn pause(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds.max(0.0)));
}
