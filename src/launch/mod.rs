//! How does it become that? Carries a [`Plan`] out in a new process.
//!
//! The child shares memory with its parent until it executes its program (`CLONE_VM | CLONE_VFORK`), so the
//! parent is suspended meanwhile, and a failing step is told through that memory: no pipe is needed. The price is that
//! a step must never wait for anything.
//!
//! It decides nothing: whatever can be decided before the child exists is in the plan.
#![forbid(unsafe_code)]

mod apply;
mod credentials;
pub mod folders;
mod stream;

use crate::engine::SpawnFailure;
use crate::host::sys::exec::Words;
use crate::host::sys::{signal, spawn};
use crate::plan::Plan;
use crate::unit::spec::status;
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
    prepare(plan).map_err(|failure| Failed { pid: None, failure })?;
    let mut pid_words = pid_words(plan);
    let mut child = apply::Child::new(plan, &mut pid_words);
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

/// What is made in the parent: it allocates, and takes as long as the file system does.
fn prepare(plan: &Plan) -> Result<(), SpawnFailure> {
    folders::make(&plan.folders)
        .map_err(|(status, errno)| SpawnFailure::Setup { status, errno: errno as i32 })?;
    let made = plan.credentials.as_ref().map_or(Ok(()), credentials::make);
    made.map_err(|errno| SpawnFailure::Setup { status: status::CREDENTIALS, errno: errno as i32 })
}

/// The variables that hold the child's own pid: those of the plan, and a `LISTEN_PID=` that speaks of us, since
/// sd_listen_fds(3) obeys it only in the process that it names. One that names another process stays.
fn pid_words(plan: &Plan) -> Vec<PidWord> {
    let mut words: Vec<PidWord> = plan.own_pid.iter().filter_map(|at| PidWord::new(plan, *at)).collect();
    let listen = |word: &CString| word.to_bytes().starts_with(b"LISTEN_PID=");
    if !plan.keep_listen_pid
        && let Some(at) = plan.env.iter().position(listen)
        && let Some(mut ours) = PidWord::new(plan, at)
        && ours.write(std::process::id()) == plan.env.get(at).map(CString::as_c_str)
    {
        words.push(ours);
    }
    words
}

/// A variable whose value is the pid of the process that has it.
struct PidWord {
    /// Its place in the environment.
    at: usize,
    /// How long its name is, with the `=`.
    name_len: usize,
    /// The name and the `=`, ten digits at most, and a null byte.
    text: [u8; 40],
}

impl PidWord {
    /// `None` if there is no such word, or its name is longer than any that we know.
    fn new(plan: &Plan, at: usize) -> Option<PidWord> {
        let word = plan.env.get(at)?.to_bytes();
        let name_len = word.iter().position(|b| *b == b'=')? + 1;
        let mut text = [0; 40];
        text.get_mut(..name_len.min(28))?.copy_from_slice(word.get(..name_len)?.get(..name_len.min(28))?);
        (name_len <= 28).then_some(PidWord { at, name_len, text })
    }

    /// `NAME=pid`, without allocating.
    fn write(&mut self, pid: u32) -> Option<&CStr> {
        let digits = pid.checked_ilog10().map_or(1, |log| log as usize + 1);
        let mut rest = pid;
        self.text.get_mut(self.name_len..)?.fill(0);
        for digit in self.text.get_mut(self.name_len..)?.get_mut(..digits)?.iter_mut().rev() {
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
        let plan = Plan { env: vec![c"LISTEN_PID=7".to_owned()], ..Plan::default() };
        let mut word = PidWord::new(&plan, 0).unwrap();
        for (pid, text) in [
            (0, c"LISTEN_PID=0"),
            (u32::MAX, c"LISTEN_PID=4294967295"),
            (1, c"LISTEN_PID=1"),
            (9, c"LISTEN_PID=9"),
            (10, c"LISTEN_PID=10"),
            (4_194_304, c"LISTEN_PID=4194304"),
        ] {
            assert_eq!(word.write(pid), Some(text));
        }
    }

    #[test]
    fn only_a_listen_pid_of_ours_is_rewritten_and_what_the_plan_names() {
        let us = CString::new(format!("LISTEN_PID={}", std::process::id())).unwrap();
        let long = CString::new(format!("{}=", "X".repeat(28))).unwrap();
        let own = c"SYSTEMD_EXEC_PID=".to_owned();
        let table = [
            ("ours", vec![c"A=1".to_owned(), us.clone()], vec![], vec![1]),
            ("another's", vec![c"LISTEN_PID=1".to_owned()], vec![], vec![]),
            ("not quite the name", vec![c"XLISTEN_PID=1".to_owned()], vec![], vec![]),
            ("none", vec![c"A=1".to_owned()], vec![], vec![]),
            ("both", vec![own.clone(), us.clone()], vec![0], vec![0, 1]),
            ("no such place", vec![own], vec![1], vec![]),
            ("a name that is too long", vec![long], vec![0], vec![]),
        ];
        for (why, env, own_pid, at) in table {
            let plan = Plan { env, own_pid, ..Plan::default() };
            assert_eq!(pid_words(&plan).iter().map(|word| word.at).collect::<Vec<_>>(), at, "{why}");
        }
    }
}
