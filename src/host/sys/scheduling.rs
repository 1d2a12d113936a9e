//! How the kernel schedules this process. Past the C library, whose wrappers musl leaves out.

use nix::errno::Errno;

/// `SCHED_RESET_ON_FORK` of linux/sched.h.
const RESET_ON_FORK: i32 = 0x4000_0000;
/// `IOPRIO_WHO_PROCESS` of linux/ioprio.h.
const WHO_PROCESS: i32 = 1;

/// Sets policy and priority of this process: sched_setscheduler(2).
///
/// # Errors
/// `EPERM` for a real-time policy without CAP_SYS_NICE, `EINVAL` for a priority that the policy has not.
pub fn set_policy(policy: i32, priority: i32, reset_on_fork: bool) -> Result<(), Errno> {
    let policy = if reset_on_fork { policy | RESET_ON_FORK } else { policy };
    // SAFETY: pid 0 is this process; `priority` is a live i32, which is all that `struct sched_param` holds, and is only
    // read.
    let ret = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    Errno::result(ret).map(drop)
}

/// Sets class and priority for disks of this process, in one number: ioprio_set(2).
///
/// # Errors
/// `EPERM` for the real-time class without CAP_SYS_NICE, `EINVAL` for a number that means nothing.
pub fn set_io_priority(value: i32) -> Result<(), Errno> {
    // SAFETY: integers only; 0 is this process.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) };
    Errno::result(ret).map(drop)
}

/// Binds this process to processors, a bit each: sched_setaffinity(2).
///
/// # Errors
/// `EINVAL` if this machine, or this container, has none of them.
pub fn set_affinity(mask: &[u64]) -> Result<(), Errno> {
    let len = size_of_val(mask);
    // SAFETY: pid 0 is this process; the kernel reads at most `len` bytes, all of which `mask` has.
    let ret = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, len, mask.as_ptr()) };
    Errno::result(ret).map(drop)
}

/// Sets how late timers of this process may be, in nanoseconds: PR_SET_TIMERSLACK(2const).
///
/// # Errors
/// None that the kernel documents.
pub fn set_timer_slack(nanoseconds: u64) -> Result<(), Errno> {
    // SAFETY: integers only.
    let ret = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) };
    Errno::result(ret).map(drop)
}

/// Sets the execution domain: personality(2).
///
/// # Errors
/// `EPERM` under the seccomp profile of a container runtime.
pub fn set_personality(personality: u32) -> Result<(), Errno> {
    // SAFETY: an integer only.
    let ret = unsafe { libc::syscall(libc::SYS_personality, personality) };
    Errno::result(ret).map(drop)
}
