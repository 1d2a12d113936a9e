//! How does it become that? Carries a [`Plan`] out in a new process.
//!
//! The child shares memory with its parent until it executes its program (`CLONE_VM | CLONE_VFORK`), so the
//! parent is suspended meanwhile, and a failing step is told through that memory: no pipe is needed. The price is that
//! a step must never wait for anything.
//!
//! It decides nothing: whatever can be decided before the child exists is in the plan.
#![forbid(unsafe_code)]

mod apply;

use crate::engine::SpawnFailure;
use crate::host::sys::exec::Words;
use crate::host::sys::{signal, spawn};
use crate::plan::Plan;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::ffi::{CStr, CString};

/// Starts the program of a plan and returns its pid once it is executing.
///
/// The caller has all signals blocked, and no handler for any; otherwise see [`spawn_shielded`]. The caller
/// reaps the child in its own time.
///
/// What nobody can prevent: a process that may signal the child, so one of the same user, can stop it
/// (SIGSTOP) in the microseconds before its program runs, and the parent waits with it.
///
/// # Errors
/// `Resources` if there is no process; `Setup` if a step failed in it, which is then reaped already.
pub fn spawn(plan: &Plan) -> Result<i32, SpawnFailure> {
    start(plan).map_err(|failed| failed.failure)
}

/// A [`spawn`] that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The pid of the process that was, for words only: it is reaped.
    pub pid: Option<i32>,
    /// Why.
    pub failure: SpawnFailure,
}

/// [`spawn`] for a caller that must name the process even if it failed.
///
/// # Errors
/// As [`spawn`].
pub fn start(plan: &Plan) -> Result<i32, Failed> {
    let mut listen_pid = ListenPid::new(plan);
    let mut child = apply::Child::new(plan, listen_pid.as_mut());
    // A change of user marks the memory as not to be looked at from outside (PR_SET_DUMPABLE(2const)), and for now that
    // memory is ours too: `/proc/1/fd` would belong to root and be closed to a root without CAP_SYS_PTRACE.
    let dumpable = plan.identity.is_some() && prctl::get_dumpable() == Ok(true);

    let cloned = spawn::clone_vfork(&mut || child.run());

    let failure = child.failure();
    if dumpable {
        // The worst of a failure here is the restriction above.
        let _ = prctl::set_dumpable(true);
    }
    let pid = cloned
        .map_err(|errno| Failed { pid: None, failure: SpawnFailure::Resources { errno: errno as i32 } })?;
    let Some(failure) = failure else { return Ok(pid) };
    // It has ended already, so this does not wait. ECHILD: the kernel reaps for those who ignore SIGCHLD.
    while waitpid(Pid::from_raw(pid), None) == Err(Errno::EINTR) {}
    let failure = SpawnFailure::Setup { status: failure.status, errno: failure.errno as i32 };
    Err(Failed { pid: Some(pid), failure })
}

/// [`spawn`] for a caller whose signals are not blocked: blocks them meanwhile.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_shielded(plan: &Plan) -> Result<i32, SpawnFailure> {
    let before =
        signal::set_mask(u64::MAX).map_err(|errno| SpawnFailure::Resources { errno: errno as i32 })?;
    let spawned = spawn(plan);
    // A valid mask from a valid place: it cannot fail.
    let _ = signal::set_mask(before);
    spawned
}

/// The `LISTEN_PID=` of an environment that speaks of us, to be made to speak of the child: sd_listen_fds(3)
/// obeys it only in the process that it names. One that names another process stays.
struct ListenPid {
    /// Its place in the environment.
    at: usize,
    /// `LISTEN_PID=`, ten digits at most, and a null byte.
    text: [u8; 24],
}

impl ListenPid {
    const NAME: &[u8] = b"LISTEN_PID=";

    fn new(plan: &Plan) -> Option<ListenPid> {
        if plan.keep_listen_pid {
            return None;
        }
        let at = plan.env.iter().position(|word| word.to_bytes().starts_with(Self::NAME))?;
        let mut ours = ListenPid { at, text: [0; 24] };
        let word: &CStr = plan.env.get(at).map(CString::as_c_str)?;
        (ours.write(std::process::id()) == Some(word)).then_some(ours)
    }

    /// `LISTEN_PID=pid`, without allocating.
    fn write(&mut self, pid: u32) -> Option<&CStr> {
        let digits = pid.checked_ilog10().map_or(1, |log| log as usize + 1);
        self.text = [0; 24];
        self.text.get_mut(..Self::NAME.len())?.copy_from_slice(Self::NAME);
        let mut rest = pid;
        for digit in self.text.get_mut(Self::NAME.len()..)?.get_mut(..digits)?.iter_mut().rev() {
            // Less than 10.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        CStr::from_bytes_until_nul(&self.text).ok()
    }
}

/// The arguments of `/bin/sh` for a file that the kernel cannot execute: `sh FILE ARGS`, where the file is put in
/// later at place 1.
fn shell_words(plan: &Plan) -> Option<Words<'_>> {
    let rest = plan.argv.iter().skip(1).map(CString::as_c_str);
    plan.shell_fallback.then(|| Words::new([c"sh", c""].into_iter().chain(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_written_as_digits() {
        let mut listen_pid = ListenPid { at: 0, text: [0; 24] };
        for (pid, text) in [
            (0, c"LISTEN_PID=0"),
            (1, c"LISTEN_PID=1"),
            (9, c"LISTEN_PID=9"),
            (10, c"LISTEN_PID=10"),
            (4_194_304, c"LISTEN_PID=4194304"),
            (u32::MAX, c"LISTEN_PID=4294967295"),
        ] {
            assert_eq!(listen_pid.write(pid), Some(text));
        }
    }

    #[test]
    fn only_a_listen_pid_of_ours_is_rewritten() {
        let us = CString::new(format!("LISTEN_PID={}", std::process::id())).unwrap();
        let table = [
            ("ours", vec![c"A=1".to_owned(), us.clone()], Some(1)),
            ("another's", vec![c"LISTEN_PID=1".to_owned()], None),
            ("not quite the name", vec![c"XLISTEN_PID=1".to_owned()], None),
            ("none", vec![c"A=1".to_owned()], None),
        ];
        for (why, env, at) in table {
            let plan = Plan { env, ..Plan::default() };
            assert_eq!(ListenPid::new(&plan).map(|l| l.at), at, "{why}");
        }
    }
}
