//! How the kernel schedules a service: sched(7), ioprio_set(2), personality(2).
#![forbid(unsafe_code)]

/// What systemd.exec(5) says under "Scheduling", but for `Nice=`. `None` and empty: as we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// `CPUSchedulingPolicy=`: `SCHED_*` of sched(7).
    pub policy: Option<i32>,
    /// `CPUSchedulingPriority=`, 0 to 99.
    pub priority: Option<i32>,
    /// `CPUSchedulingResetOnFork=`.
    pub reset_on_fork: Option<bool>,
    /// `CPUAffinity=`: a bit for each processor, the lowest first; empty: as we are.
    pub affinity: Vec<u64>,
    /// `IOSchedulingClass=`: 0 to 3 as in ioprio_set(2).
    pub io_class: Option<i32>,
    /// `IOSchedulingPriority=`, 0 to 7.
    pub io_priority: Option<i32>,
    /// `TimerSlackNSec=`, in nanoseconds.
    pub timer_slack: Option<u64>,
    /// `Personality=`: `PER_*` of personality(2).
    pub personality: Option<u32>,
}

impl Schedule {
    /// `SCHED_OTHER` and its likes of linux/sched.h, by systemd's names.
    pub const POLICIES: [(&'static str, i32); 5] =
        [("other", 0), ("fifo", 1), ("rr", 2), ("batch", 3), ("idle", 5)];
    /// `IOPRIO_CLASS_*` of linux/ioprio.h, by systemd's names.
    pub const IO_CLASSES: [(&'static str, i32); 4] =
        [("none", 0), ("realtime", 1), ("best-effort", 2), ("idle", 3)];
}
