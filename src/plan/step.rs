//! The steps from a new process to its program, and the one order they stand in.
//!
//! The order is a matter of privilege: a step stands before the one that takes away the right to do it
//! (capabilities(7), credentials(7), seccomp(2)).
#![forbid(unsafe_code)]

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are explained where they are applied, in launch::apply")]
pub enum Step {
    Umask,
    Descriptors,
    Streams,
    Session,
    Signals,
    Nice,
    Scheduling,
    OomScore,
    Limits,
    BoundingSet,
    Groups,
    User,
    Capabilities,
    WorkingDirectory,
    NoNewPrivileges,
    Landlock,
    Mask,
    Filters,
    Exec,
}

impl Step {
    /// Every step, in the order in which a child takes them.
    pub const ORDER: [Step; 19] = [
        // Counts for the files that the next step makes.
        Step::Umask,
        Step::Descriptors,
        // As root, as systemd opens them. After the descriptors, which it may copy.
        Step::Streams,
        // While SIGTTOU is still blocked.
        Step::Session,
        Step::Signals,
        // What root may raise and the service's user may not.
        Step::Nice,
        Step::Scheduling,
        Step::OomScore,
        Step::Limits,
        // Needs CAP_SETPCAP, which the change of user takes away.
        Step::BoundingSet,
        // Needs CAP_SETGID, likewise.
        Step::Groups,
        Step::User,
        // After the change of user, which clears the effective and ambient sets.
        Step::Capabilities,
        // As the service's user, which may see less than root (and on NFS more).
        Step::WorkingDirectory,
        // Landlock and seccomp ask for it, or for CAP_SYS_ADMIN.
        Step::NoNewPrivileges,
        Step::Landlock,
        // As late as can be, but before a filter that may forbid it. Nothing is pending in a new process.
        Step::Mask,
        // A filter judges every later call, so nothing but the program may follow.
        Step::Filters,
        Step::Exec,
    ];
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn each_step_stands_before_what_would_forbid_it() {
        let table = [
            ("the terminal is taken while SIGTTOU is blocked", Step::Session, Step::Mask),
            ("files are made with the service's mask", Step::Umask, Step::Streams),
            ("a stream can be a descriptor that was passed", Step::Descriptors, Step::Streams),
            ("the terminal is standard input", Step::Streams, Step::Session),
            ("files are opened by root", Step::Streams, Step::User),
            ("policies are chosen by root", Step::Scheduling, Step::User),
            ("limits are raised by root", Step::Limits, Step::User),
            ("the bounding set is dropped while CAP_SETPCAP is there", Step::BoundingSet, Step::User),
            ("groups are set while CAP_SETGID is there", Step::Groups, Step::User),
            ("a change of user clears ambient capabilities", Step::User, Step::Capabilities),
            ("the folder is entered as the service's user", Step::User, Step::WorkingDirectory),
            ("Landlock asks for no_new_privs", Step::NoNewPrivileges, Step::Landlock),
            ("seccomp asks for no_new_privs", Step::NoNewPrivileges, Step::Filters),
            ("a filter may forbid landlock_restrict_self", Step::Landlock, Step::Filters),
            ("a filter may forbid rt_sigprocmask", Step::Mask, Step::Filters),
        ];
        let place = |step| Step::ORDER.iter().position(|s| *s == step);
        for (why, earlier, later) in table {
            assert!(place(earlier) < place(later), "{why}");
        }
        assert!(Step::ORDER.is_sorted(), "the enum is written in the order of ORDER");
        assert_eq!(&Step::ORDER[Step::ORDER.len() - 2..], &[Step::Filters, Step::Exec]);
    }
}
