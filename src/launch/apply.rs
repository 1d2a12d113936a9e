//! The steps of a plan, each as the calls that it is made of.
//!
//! This runs in the child, on its parent's memory. So it allocates nothing, waits for nothing, frees nothing, and
//! calls no function of the C library that looks at threads. What it needs is made ready in [`Child::new`], which
//! runs in the parent.
#![forbid(unsafe_code)]

use super::{ListenPid, shell_words};
use crate::host::sys::exec::{Words, execve, execveat};
use crate::host::sys::{credentials, descriptor, resource, seccomp, signal, terminal};
use crate::plan::{Filter, Plan, Session, Step};
use crate::unit::spec::{Status, status};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, getpgrp, getpid, setpgid, setsid, write};
use std::os::fd::AsRawFd;

/// A step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// systemd's exit status for the step.
    pub status: Status,
    /// Why.
    pub errno: Errno,
}

/// A child that is about to be.
pub struct Child<'a> {
    plan: &'a Plan,
    argv: Words<'a>,
    env: Words<'a>,
    shell: Option<Words<'a>>,
    listen_pid: Option<&'a mut ListenPid>,
    /// Of the plan; sources move out of the way of targets.
    descriptors: Vec<(i32, i32)>,
    image: Option<i32>,
    /// Written by the child, read by the parent.
    failure: Option<Failure>,
}

impl<'a> Child<'a> {
    /// Makes ready, in the parent.
    pub fn new(plan: &'a Plan, listen_pid: Option<&'a mut ListenPid>) -> Child<'a> {
        Child {
            plan,
            argv: Words::of(&plan.argv),
            env: Words::of(&plan.env),
            shell: shell_words(plan),
            listen_pid,
            descriptors: plan.descriptors.clone(),
            image: plan.image,
            failure: None,
        }
    }

    /// What failed, for the parent.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Becomes the program, in the child. It returns only if that failed: the exit status.
    pub fn run(&mut self) -> Status {
        for step in Step::ORDER {
            if let Err(failure) = self.step(step) {
                self.failure = Some(failure);
                return failure.status;
            }
        }
        status::EXEC
    }

    fn step(&mut self, step: Step) -> Result<(), Failure> {
        let plan = self.plan;
        let (status, done) = match step {
            Step::Descriptors => (status::FDS, self.descriptors()),
            Step::Session => (status::SETSID, enter_session(plan.session)),
            Step::Signals => (status::SIGNAL_MASK, self.dispositions()),
            Step::Nice => (status::NICE, plan.nice.map_or(Ok(()), resource::set_nice)),
            Step::OomScore => {
                (status::OOM_ADJUST, plan.oom_score_adjust.map_or(Ok(()), set_oom_score_adjust))
            }
            Step::Limits => (status::LIMITS, self.limits()),
            Step::Umask => (status::EXEC, self.umask()),
            Step::BoundingSet => (status::CAPABILITIES, self.bounding_set()),
            Step::Groups => (status::GROUP, self.groups()),
            Step::User => (status::USER, self.user()),
            Step::Capabilities => return self.capabilities(),
            Step::WorkingDirectory => (status::CHDIR, self.working_directory()),
            Step::NoNewPrivileges => (status::NO_NEW_PRIVILEGES, self.no_new_privileges()),
            Step::Landlock => (LANDLOCK, self.landlock()),
            Step::Mask => (status::SIGNAL_MASK, signal::set_mask(plan.signals.mask).map(drop)),
            Step::Filters => return self.filters(),
            Step::Exec => (status::EXEC, Err(self.exec())),
        };
        done.map_err(|errno| Failure { status, errno })
    }

    /// Moves each descriptor to the number that the program knows it by.
    fn descriptors(&mut self) -> Result<(), Errno> {
        let Some(highest) = self.descriptors.iter().map(|(_, target)| *target).max() else { return Ok(()) };
        // First out of the way: a number that is both a source and somebody else's target would be overwritten.
        let targets = &self.plan.descriptors;
        let is_target = |fd: i32| targets.iter().any(|(_, target)| *target == fd);
        for (source, target) in &mut self.descriptors {
            if *source != *target && is_target(*source) {
                *source = descriptor::duplicate_above(*source, highest)?;
            }
        }
        if let Some(image) = self.image.as_mut().filter(|image| is_target(**image)) {
            *image = descriptor::duplicate_above(*image, highest)?;
        }
        for (source, target) in &self.descriptors {
            if source == target {
                descriptor::pass_on(*source)?;
            } else {
                descriptor::duplicate_to(*source, *target)?;
            }
        }
        Ok(())
    }

    fn dispositions(&self) -> Result<(), Errno> {
        let signals = &self.plan.signals;
        each_bit(signals.default, |bit| signal::set_disposition(i32::from(bit) + 1, false).map(drop))?;
        each_bit(signals.ignore, |bit| signal::set_disposition(i32::from(bit) + 1, true).map(drop))
    }

    fn limits(&self) -> Result<(), Errno> {
        self.plan
            .limits
            .iter()
            .try_for_each(|&(number, soft, hard)| resource::set_limit(number, resource::Limit { soft, hard }))
    }

    fn umask(&self) -> Result<(), Errno> {
        if let Some(mask) = self.plan.umask {
            umask(Mode::from_bits_truncate(mask));
        }
        Ok(())
    }

    fn bounding_set(&self) -> Result<(), Errno> {
        self.plan
            .bounding_drop
            .iter()
            .try_for_each(|capability| credentials::drop_from_bounding_set(*capability))
    }

    fn groups(&self) -> Result<(), Errno> {
        let Some(identity) = &self.plan.identity else { return Ok(()) };
        if let Some(groups) = &identity.groups {
            credentials::set_groups(groups)?;
        }
        identity.gid.map_or(Ok(()), credentials::set_gid)
    }

    fn user(&self) -> Result<(), Errno> {
        let Some(uid) = self.plan.identity.as_ref().and_then(|identity| identity.uid) else { return Ok(()) };
        if self.plan.capabilities.is_some_and(|wanted| wanted.keep != 0 || wanted.secure_bits.is_some()) {
            // Otherwise the permitted set goes with uid 0. Execution clears the flag.
            prctl::set_keepcaps(true)?;
        }
        credentials::set_uid(uid)
    }

    /// The final sets. Securebits are under CAP_SETPCAP, so they come while it is still there.
    fn capabilities(&self) -> Result<(), Failure> {
        let failed = |status| move |errno| Failure { status, errno };
        let Some(wanted) = self.plan.capabilities else { return Ok(()) };
        let sets = |permitted, effective| credentials::Sets {
            effective,
            permitted,
            inheritable: wanted.inheritable,
        };
        let change = wanted.secure_bits.map_or(0, |_| 1 << SETPCAP);
        // The inheritable set may grow from the permitted one only, or with CAP_SETPCAP; so it is set while all is there.
        let first = wanted.keep | change;
        credentials::set_capabilities(sets(first, first)).map_err(failed(status::CAPABILITIES))?;
        each_bit(wanted.ambient, credentials::raise_ambient).map_err(failed(status::CAPABILITIES))?;
        if let Some(bits) = wanted.secure_bits {
            credentials::set_secure_bits(bits).map_err(failed(status::SECUREBITS))?;
        }
        if first != wanted.keep {
            credentials::set_capabilities(sets(wanted.keep, wanted.keep))
                .map_err(failed(status::CAPABILITIES))?;
        }
        Ok(())
    }

    fn working_directory(&self) -> Result<(), Errno> {
        match &self.plan.working_directory {
            Some((path, missing_ok)) => {
                chdir(path.as_c_str()).or_else(|errno| if *missing_ok { Ok(()) } else { Err(errno) })
            }
            None => Ok(()),
        }
    }

    fn no_new_privileges(&self) -> Result<(), Errno> {
        if self.plan.no_new_privileges { prctl::set_no_new_privs() } else { Ok(()) }
    }

    fn landlock(&self) -> Result<(), Errno> {
        if self.plan.landlock { seccomp::deny_file_system(self.image) } else { Ok(()) }
    }

    fn filters(&self) -> Result<(), Failure> {
        self.plan.filters.iter().try_for_each(|Filter { status, program }| {
            seccomp::install(program).map_err(|errno| Failure { status: *status, errno })
        })
    }

    /// As execvp(3): on through the folders unless the answer is final, and EACCES is told only if nothing better
    /// came after it.
    fn exec(&mut self) -> Errno {
        if let Some(listen_pid) = self.listen_pid.take() {
            let at = listen_pid.at;
            // A pid is positive.
            if let Some(word) = listen_pid.write(getpid().as_raw().unsigned_abs()) {
                self.env.set(at, word);
            }
        }
        if let Some(image) = self.image {
            return execveat(image, &self.argv, &self.env);
        }
        let mut answer = Errno::ENOENT;
        for program in &self.plan.programs {
            let mut errno = execve(program, &self.argv, &self.env);
            if errno == Errno::ENOEXEC
                && let Some(shell) = &mut self.shell
            {
                shell.set(1, program);
                errno = execve(c"/bin/sh", shell, &self.env);
            }
            match errno {
                Errno::EACCES => answer = errno,
                Errno::ENOENT | Errno::ENOTDIR if answer == Errno::EACCES => {}
                Errno::ENOENT | Errno::ENOTDIR => answer = errno,
                _ => return errno,
            }
        }
        answer
    }
}

/// systemd's `LANDLOCK_CONFIG`.
const LANDLOCK: Status = 246;
/// `CAP_SETPCAP` of linux/capability.h.
const SETPCAP: u8 = 8;

/// Calls `act` with the number of each bit that is set.
fn each_bit(mask: u64, act: impl Fn(u8) -> Result<(), Errno>) -> Result<(), Errno> {
    (0..64).filter(|bit| mask & (1 << bit) != 0).try_for_each(act)
}

fn enter_session(session: Session) -> Result<(), Errno> {
    // The parent need not do this too, as it does not run before the child has its program.
    let lead_group = || setpgid(Pid::from_raw(0), Pid::from_raw(0));
    match session {
        Session::Inherit => Ok(()),
        Session::Group => lead_group(),
        Session::Foreground => {
            // Without a controlling terminal, as in most containers, this one call is all.
            let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let terminal = open(c"/dev/tty", flags, Mode::empty());
            if let Err(Errno::ENXIO) = terminal {
                return lead_group();
            }
            let before = getpgrp();
            lead_group()?;
            match terminal {
                Ok(terminal) => drop(take_foreground(terminal.as_raw_fd(), before)),
                // There is no such file, as in an image without /dev.
                Err(_) => drop((0..3).find(|fd| take_foreground(*fd, before).is_ok())),
            }
            Ok(())
        }
        Session::New => setsid().map(drop),
        Session::NewWithTerminal => {
            setsid()?;
            // ENOTTY: standard input is no terminal. EPERM: it is another session's.
            let _ = terminal::take(0);
            Ok(())
        }
    }
}

/// Makes our process group the foreground one of the controlling terminal on `fd`, if the foreground was that of
/// `before`, our parent's group, or nobody's any more. In a shell's background job it is the shell's.
///
/// SIGTTOU is blocked. Without the foreground the program runs all the same, so the caller takes no error for a failure:
/// ENOTTY for what is no terminal or not ours, EIO for one that has hung up.
fn take_foreground(fd: i32, before: Pid) -> Result<(), Errno> {
    let foreground = terminal::foreground(fd)?;
    let gone = || kill(Pid::from_raw(-foreground), None) == Err(Errno::ESRCH);
    // 0 is a group outside of our PID namespace. If ours is there too, nobody can tell the two apart, and a shell that is not in
    // the foreground would wait for it for ever: so they are taken for one (unshare --pid --fork at a terminal).
    if foreground == before.as_raw() || foreground > 0 && gone() {
        terminal::set_foreground(fd, getpid().as_raw())?;
    }
    Ok(())
}

/// Writes `/proc/self/oom_score_adj`: proc_pid_oom_score_adj(5).
fn set_oom_score_adjust(adjust: i32) -> Result<(), Errno> {
    // -1000 to 1000.
    let mut text = [0u8; 8];
    let mut at = text.len();
    let mut rest = adjust.unsigned_abs();
    loop {
        at = at.saturating_sub(1);
        if let Some(digit) = text.get_mut(at) {
            // Less than 10.
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 || at < 2 {
            break;
        }
    }
    if adjust < 0 {
        at = at.saturating_sub(1);
        if let Some(sign) = text.get_mut(at) {
            *sign = b'-';
        }
    }
    let file = open(c"/proc/self/oom_score_adj", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, text.get(at..).unwrap_or_default()).map(drop)
}
