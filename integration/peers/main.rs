//! The three small inits beside their originals, case by case.
//!
//! A row is a command line. Both the installed original and this binary, called by the same name, carry it
//! out; what they print on each stream and how they end must be the same. Pids are replaced by `N`. The wording of
//! help and licence texts is ours, so there only the stream and the status count.
//!
//! Children are small shell scripts that tell what they see. Nothing waits for a time to pass: a script waits
//! until its init sleeps again with no signal pending, and then whatever was to be passed on has been.
//!
//! Where an original is not installed, or a namespace cannot be had, the test says that it is skipped.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it is surprised"
)]

mod run;

use run::{Case, Peer, Place, Table, Words, await_quiet, await_status, field, mask, only_child, ours, send};
use std::process::Child;

const TINI: Peer = Peer { name: "tini", original: "/usr/bin/tini" };
const DUMB_INIT: Peer = Peer { name: "dumb-init", original: "/usr/bin/dumb-init" };
const CATATONIT: Peer = Peer { name: "catatonit", original: "/usr/bin/catatonit" };

#[test]
fn tini_reads_its_command_line() {
    let mut rows = Table::default();
    use Words::{Ours, Same};
    let table: &[(&str, &[&str], &[&str], Words)] = &[
        // why                                 environment              arguments
        ("the version", &[], &["--version"], Same),
        ("is told to a sole argument only", &[], &["--version", "x"], Ours),
        ("nor behind another", &[], &["-s", "--version"], Ours),
        ("help", &[], &["-h"], Ours),
        ("help behind an option", &[], &["-s", "-h"], Ours),
        ("the licence", &[], &["-l"], Ours),
        ("no program", &[], &[], Ours),
        ("no program after all", &[], &["-s", "--"], Ours),
        ("an unknown letter", &[], &["-x"], Ours),
        ("an unknown letter behind a known one", &[], &["-sx"], Ours),
        ("an unknown name", &[], &["--foo"], Ours),
        ("respawning came later", &[], &["-R", "A", "true"], Ours),
        ("a letter without its value", &[], &["-e"], Ours),
        ("a status that is too high", &[], &["-e", "256", "true"], Same),
        ("a status that is too low", &[], &["-e", "-1", "true"], Same),
        ("a status that is no number", &[], &["-e", "1x", "true"], Same),
        ("a parent-death signal without SIG", &[], &["-p", "KILL", "true"], Same),
        ("a parent-death signal by number", &[], &["-p", "9", "true"], Same),
        ("a parent-death signal that it does not know", &[], &["-p", "SIGIO", "true"], Same),
        ("a parent-death signal", &[], &["-s", "-p", "SIGTERM", "true"], Same),
        ("nobody reaps", &[], &["true"], Same),
        ("nobody reaps, and it is not to be said", &["TINI_VERBOSITY=0"], &["true"], Same),
        ("a variable makes it a reaper", &["TINI_SUBREAPER="], &["true"], Same),
        ("verbosity 2", &[], &["-sv", "--", "true"], Same),
        ("verbosity 3", &[], &["-svv", "--", "true"], Same),
        ("verbosity 4", &[], &["-svvv", "--", "true"], Same),
        ("verbosity by variable wins", &["TINI_VERBOSITY=0"], &["-vvv", "true"], Same),
        ("verbosity that is no number", &["TINI_VERBOSITY=much"], &["-vvv", "true"], Same),
        ("verbosity below nothing is all", &["TINI_VERBOSITY=-1"], &["-s", "true"], Same),
        ("status 0", &[], &["-s", "true"], Same),
        ("status 1", &[], &["-s", "false"], Same),
        ("status 42", &[], &["-s", "--", "sh", "-c", "exit 42"], Same),
        ("status 42 is good", &[], &["-s", "-e", "42", "--", "sh", "-c", "exit 42"], Same),
        ("status 42 and 43 are good", &[], &["-s", "-e", "42", "-e43", "--", "sh", "-c", "exit 43"], Same),
        ("another is not", &[], &["-s", "-e", "42", "--", "sh", "-c", "exit 41"], Same),
        ("143 is good", &[], &["-s", "-e", "143", "--", "sh", "-c", "kill -TERM $$"], Same),
        ("an empty status is 0", &[], &["-s", "-e", "", "--", "sh", "-c", "exit 1"], Same),
        ("killed by TERM", &[], &["-svv", "--", "sh", "-c", "kill -TERM $$"], Same),
        ("killed by a real-time signal", &[], &["-svv", "--", "sh", "-c", "kill -40 $$"], Same),
        ("killed with a core", &[], &["-svv", "--", "sh", "-c", "ulimit -c 0; kill -SEGV $$"], Same),
        ("not found", &[], &["-s", "/no/such/program"], Same),
        ("not found in PATH", &[], &["-s", "no-such-program"], Same),
        ("not found, told", &[], &["-v", "/no/such/program"], Same),
        ("not found is good", &[], &["-s", "-e", "127", "/no/such/program"], Same),
        ("not executable", &[], &["-s", "/etc/passwd"], Same),
        ("a directory", &[], &["-s", "/etc"], Same),
        ("a file where a directory should be", &[], &["-s", "/etc/passwd/x"], Same),
        ("no name", &[], &["-s", ""], Same),
        ("a late option is its own", &[], &["echo", "-s", "a"], Same),
        ("a late unknown option", &[], &["sh", "-c", "exit 3"], Ours),
        ("behind two dashes nothing is its own", &[], &["-s", "--", "echo", "-s", "--", "a"], Same),
        ("dashes in the middle vanish", &[], &["-s", "echo", "--", "-s", "a"], Same),
        ("nor under POSIXLY_CORRECT", &["POSIXLY_CORRECT=1"], &["-s", "echo", "-s", "a"], Same),
        ("an orphan is reaped and warned of", &[], &["-sw", "--", "sh", "-c", ORPHAN], Same),
        ("an orphan is reaped, silently", &[], &["-s", "--", "sh", "-c", ORPHAN], Same),
        ("an orphan is reaped, at length", &[], &["-swvv", "--", "sh", "-c", ORPHAN], Same),
        (
            "a signal, at length",
            &[],
            &["-svv", "--", "sh", "-c", "trap 'exit 7' USR1; kill -USR1 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "a real-time signal, at length",
            &[],
            &["-svv", "--", "sh", "-c", "trap 'exit 7' 37; kill -37 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "a terminal's stop is nothing",
            &[],
            &["-svv", "--", "sh", "-c", "kill -TTOU $PPID; kill -TTIN $PPID; quiet; exit 7"],
            Same,
        ),
        (
            "its own stop signal is passed on",
            &[],
            &["-svv", "--", "sh", "-c", "trap 'exit 7' TSTP; kill -TSTP $PPID; while :; do :; done"],
            Same,
        ),
    ];
    for (why, environment, args, words) in table {
        rows.compare(&TINI, why, &Case { environment, args, words: *words, ..Case::default() });
    }
}

/// Leaves an orphan, which ends with 3 once the init has it, and ends when the orphan is gone for good.
const ORPHAN: &str = "export INIT=$PPID; (sh -c 'until read -r _ _ _ p _ </proc/$$/stat; [ $p = $INIT ]; do :; done; \
    echo $$; exit 3' & :) | { read -r pid; while [ -e /proc/$pid ]; do :; done; }; quiet; exit 5";

#[test]
fn dumb_init_reads_its_command_line() {
    let mut rows = Table::default();
    use Words::{Ours, Same};
    let table: &[(&str, &[&str], &[&str], Words)] = &[
        ("the version", &[], &["-V"], Same),
        ("the version by name", &[], &["--version"], Same),
        ("the version by a beginning", &[], &["--vers"], Same),
        ("help", &[], &["-h"], Ours),
        ("help by name", &[], &["--help"], Ours),
        ("no program", &[], &[], Same),
        ("no program after all", &[], &["-v", "--"], Same),
        ("an unknown letter", &[], &["-x"], Same),
        ("an unknown name", &[], &["--foo"], Same),
        ("a name that could be two", &[], &["--ver"], Same),
        ("a value that is not wanted", &[], &["--verbose=1", "true"], Same),
        ("a value that is", &[], &["--rewrite"], Same),
        ("a letter without its value", &[], &["-r"], Same),
        ("a rewriting of no signal", &[], &["-r", "32:1", "true"], Same),
        ("a rewriting to no signal", &[], &["-r", "1:32", "true"], Same),
        ("a rewriting by name", &[], &["-r", "TERM:INT", "true"], Same),
        ("half a rewriting", &[], &["-r", "15", "true"], Same),
        ("a rewriting with junk behind", &[], &["-r", "15:2x", "true"], Same),
        ("status 0", &[], &["true"], Same),
        ("status 42", &[], &["sh", "-c", "exit 42"], Same),
        ("status 42, told", &[], &["-v", "sh", "-c", "exit 42"], Same),
        ("status 42, told by variable", &["DUMB_INIT_DEBUG=1"], &["sh", "-c", "exit 42"], Same),
        ("another value is nothing", &["DUMB_INIT_DEBUG=yes"], &["sh", "-c", "exit 42"], Same),
        ("no session, told", &[], &["-vc", "sh", "-c", "exit 42"], Same),
        ("no session by variable, told", &["DUMB_INIT_SETSID=0"], &["-v", "sh", "-c", "exit 42"], Same),
        ("another value is nothing here too", &["DUMB_INIT_SETSID="], &["-v", "true"], Same),
        ("both variables", &["DUMB_INIT_SETSID=0", "DUMB_INIT_DEBUG=1"], &["true"], Same),
        ("killed by TERM, told", &[], &["-v", "sh", "-c", "kill -TERM $$"], Same),
        ("killed by a real-time signal, told", &[], &["-v", "sh", "-c", "kill -40 $$"], Same),
        ("not found", &[], &["/no/such/program"], Same),
        ("not found, told", &[], &["-v", "/no/such/program"], Same),
        ("not found in PATH", &[], &["no-such-program"], Same),
        ("not executable", &[], &["/etc/passwd"], Same),
        ("not executable, told, without a session", &[], &["-cv", "/etc/passwd"], Same),
        ("no name", &[], &[""], Same),
        ("it never looks behind the program", &[], &["echo", "-v", "--", "a"], Same),
        ("two dashes before it vanish", &[], &["--", "echo", "-v"], Same),
        (
            "a signal, told",
            &[],
            &["-v", "sh", "-c", "trap 'exit 7' USR1; kill -USR1 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "rewritten",
            &[],
            &["-v", "-r", "10:12", "sh", "-c", "trap 'exit 7' USR2; kill -USR1 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "rewritten to itself",
            &[],
            &["-v", "-r", "10:10", "sh", "-c", "trap 'exit 7' USR1; kill -USR1 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "rewritten to nothing",
            &[],
            &["-v", "-r", "10:0", "sh", "-c", "kill -USR1 $PPID; quiet; exit 7"],
            Same,
        ),
        (
            "the last rewriting counts",
            &[],
            &[
                "-v",
                "--rewrite=10:0",
                "-r",
                "10:12",
                "sh",
                "-c",
                "trap 'exit 7' USR2; kill -USR1 $PPID; while :; do :; done",
            ],
            Same,
        ),
        ("its farewell is rewritten", &[], &["-v", "-r", "15:2", "true"], Same),
        ("its farewell is dropped", &[], &["-v", "-r", "15:0", "true"], Same),
        ("SIGCHLD is not rewritten", &[], &["-v", "-r", "17:10", "true"], Same),
        (
            "a real-time signal, told",
            &[],
            &["-v", "sh", "-c", "trap 'exit 7' 37; kill -37 $PPID; while :; do :; done"],
            Same,
        ),
        (
            "the farewell reaches the group",
            &[],
            &[
                "sh",
                "-c",
                "(trap 'echo told; exit' TERM; while :; do :; done) & until grep -q '^SigCgt.*[4-7c-f]...$' /proc/$!/status; do :; done; exit 3",
            ],
            Same,
        ),
    ];
    for (why, environment, args, words) in table {
        rows.compare(&DUMB_INIT, why, &Case { environment, args, words: *words, ..Case::default() });
    }
}

#[test]
fn dumb_init_tells_its_story_in_order() {
    let script = "kill -USR1 $PPID; quiet; exit 3";
    let outcome = ours(&DUMB_INIT, &Case { args: &["-v", "sh", "-c", script], ..Case::default() });
    let lines: Vec<_> = outcome.err.lines().filter_map(|line| line.strip_prefix("[dumb-init] ")).collect();
    let story = [
        "Unable to detach from controlling tty (errno=25 Inappropriate ioctl for device).",
        "Child spawned with PID N.",
        "Unable to attach to controlling tty (errno=25 Inappropriate ioctl for device).",
        "setsid complete.",
        "Received signal 10.",
        "Forwarded signal 10 to children.",
        "Received signal 17.",
        "A child with PID N was terminated by signal 10.",
        "Forwarded signal 15 to children.",
        "Child exited with status 138. Goodbye.",
    ];
    assert_eq!((lines, outcome.out.as_str(), outcome.end.as_str()), (story.to_vec(), "", "exit 138"));
}

#[test]
fn catatonit_reads_its_command_line() {
    let mut rows = Table::default();
    use Words::{Ours, Same};
    let table: &[(&str, &[&str], &[&str], Words)] = &[
        ("the version", &[], &["-V"], Same),
        ("the version by name", &[], &["--version"], Same),
        ("the version by a beginning", &[], &["--v"], Same),
        ("help", &[], &["-h"], Ours),
        ("the licence", &[], &["-L"], Ours),
        ("no program", &[], &[], Ours),
        ("no program after all", &[], &["-g", "--"], Ours),
        ("an unknown letter", &[], &["-x"], Ours),
        ("an unknown name", &[], &["--rewrite", "1:2"], Ours),
        ("a value that is not wanted", &[], &["--version=1"], Ours),
        ("a reserved variable", &["CATATONIT_LOG="], &["true"], Same),
        ("comes before help", &["CATATONIT_LOG=1"], &["-h"], Same),
        ("status 0", &[], &["true"], Same),
        ("status 42", &[], &["--", "sh", "-c", "exit 42"], Same),
        ("status 42, told", &["CATATONIT_DEBUG="], &["--", "sh", "-c", "exit 42"], Same),
        ("killed by TERM", &[], &["--", "sh", "-c", "kill -TERM $$"], Same),
        (
            "killed by a real-time signal, told",
            &["CATATONIT_DEBUG=1"],
            &["--", "sh", "-c", "kill -40 $$"],
            Same,
        ),
        ("not found", &[], &["/no/such/program"], Same),
        ("not found, told", &["CATATONIT_DEBUG="], &["/no/such/program"], Same),
        ("not executable", &[], &["/etc/passwd"], Same),
        ("no name", &[], &[""], Same),
        ("a late option is its own", &[], &["echo", "-g", "a"], Same),
        ("behind two dashes nothing is", &[], &["--", "echo", "-g", "--", "a"], Same),
        ("nor under POSIXLY_CORRECT", &["POSIXLY_CORRECT=1"], &["echo", "-g", "a"], Same),
        ("an orphan is reaped, told", &["CATATONIT_DEBUG="], &["--", "sh", "-c", ORPHAN], Same),
        (
            "a terminal's stop is nothing",
            &["CATATONIT_DEBUG="],
            &[
                "--",
                "sh",
                "-c",
                "kill -TSTP $PPID; quiet; kill -TTOU $PPID; quiet; kill -TTIN $PPID; quiet; exit 7",
            ],
            Same,
        ),
    ];
    for (why, environment, args, words) in table {
        rows.compare(&CATATONIT, why, &Case { environment, args, words: *words, ..Case::default() });
    }
}

#[test]
fn catatonit_pauses() {
    let mut rows = Table::default();
    let table: &[(&str, &[&str], &[i32])] = &[
        ("until TERM", &["-P"], &[15]),
        ("until INT", &["-P"], &[2]),
        ("whatever else comes", &["-P"], &[1, 3, 10, 13, 17, 18, 20, 28, 40, 64, 15]),
        ("and runs no program", &["-P", "echo", "a"], &[15]),
    ];
    for (why, args, signals) in table {
        let job = |init: &Child| {
            for signal in *signals {
                await_quiet(init);
                send(init.id(), *signal);
            }
        };
        let case = Case { environment: &["CATATONIT_DEBUG="], args, ..Case::default() };
        rows.compare_with(&CATATONIT, why, &case, &job);
    }
}

/// What a child is born with: its place, its signals, its directory, its descriptors, and those of its init.
const STATE: &str = "\
    read -r _ _ _ _ group session _ </proc/self/stat; \
    [ $group = $$ ] && echo leads its group; [ $session = $$ ] && echo leads its session; \
    grep -e ^SigBlk -e ^SigIgn /proc/self/status; \
    readlink /proc/$$/cwd; [ -e /proc/$$/fd/7 ] && echo has descriptor 7; \
    [ $LISTEN_PID = $$ ] && echo LISTEN_PID is its own; [ $LISTEN_PID = $PPID ] && echo LISTEN_PID is of its init; \
    quiet; echo init: $(readlink /proc/$PPID/cwd); [ -e /proc/$PPID/fd/7 ] && echo init has descriptor 7; exit 3";

#[test]
fn a_child_is_born_alike() {
    let mut rows = Table::default();
    let plain = "cd /usr; exec 7</dev/null; LISTEN_PID=$$ exec \"$@\"";
    // Blocked and ignored signals of every kind: one that a shell handles, the terminal's, and the init's own.
    let odd = "cd /usr; exec 7</dev/null; LISTEN_PID=$$ exec env --block-signal=USR1,TSTP,RTMIN+6 \
        --ignore-signal=HUP,TTIN,PIPE,RTMIN+7 \"$@\"";
    let table: &[(&str, &Peer, &[&str], &[&str])] = &[
        ("tini", &TINI, &[], &["-s"]),
        ("tini's group", &TINI, &[], &["-sg"]),
        ("dumb-init", &DUMB_INIT, &[], &[]),
        ("dumb-init without a session", &DUMB_INIT, &[], &["-c"]),
        ("dumb-init without a session, by variable", &DUMB_INIT, &["DUMB_INIT_SETSID=0"], &[]),
        ("catatonit", &CATATONIT, &[], &[]),
    ];
    for (why, peer, environment, options) in table {
        let args = [*options, &["--", "sh", "-c", STATE]].concat();
        for before in [plain, odd] {
            rows.compare(peer, why, &Case { environment, before, args: &args, ..Case::default() });
        }
    }
}

#[test]
fn every_signal_goes_the_same_way() {
    let mut rows = Table::default();
    let table: &[(&Peer, &[&str])] =
        &[(&TINI, &["-s"]), (&TINI, &["-sg"]), (&DUMB_INIT, &[]), (&DUMB_INIT, &["-c"]), (&CATATONIT, &[])];
    for (peer, options) in table {
        // KILL and STOP cannot be passed on, and glibc keeps 32 and 33 to itself.
        for signal in (1..=64).filter(|signal| ![9, 19, 32, 33].contains(signal)) {
            // dumb-init stops itself then; see below.
            if peer.name == "dumb-init" && [20, 21, 22].contains(&signal) {
                continue;
            }
            // 77: it came. 78: it did not. Or the init died of it.
            let script = format!("trap 'exit 77' {signal}; kill -{signal} $PPID; quiet; exit 78");
            let args = [*options, &["--", "sh", "-c", &script]].concat();
            let before = "ulimit -c 0; exec \"$@\"";
            rows.compare(peer, &format!("signal {signal}"), &Case { before, args: &args, ..Case::default() });
        }
    }
}

#[test]
fn a_signal_goes_to_the_child_or_to_its_group() {
    let mut rows = Table::default();
    // The member is ready once it catches TERM, which its parent does not, and then USR1. It says 9 if the signal
    // came to it and 8 if only the end came.
    let script = "trap 'echo main' USR1; \
        (trap 'exit 8' TERM; trap 'exit 9' USR1; while :; do :; done) & member=$!; \
        until grep -q '^SigCgt.*[4-7c-f][2367abef]..$' /proc/$member/status; do :; done; \
        kill -USR1 $PPID; quiet; kill -TERM $member 2>/dev/null; wait $member; echo member $?; exit 5";
    let table: &[(&str, &Peer, &[&str], &[&str])] = &[
        ("the child", &TINI, &[], &["-s"]),
        ("its group", &TINI, &[], &["-sg"]),
        ("its group, by variable", &TINI, &["TINI_KILL_PROCESS_GROUP="], &["-s"]),
        ("its group", &DUMB_INIT, &[], &[]),
        ("the child", &DUMB_INIT, &[], &["-c"]),
        ("the child, by variable", &DUMB_INIT, &["DUMB_INIT_SETSID=0"], &[]),
        ("the child", &CATATONIT, &[], &[]),
        ("its group", &CATATONIT, &[], &["-g"]),
    ];
    for (why, peer, environment, options) in table {
        let args = [*options, &["--", "sh", "-c", script]].concat();
        rows.compare(peer, why, &Case { environment, args: &args, ..Case::default() });
    }
}

#[test]
fn dumb_init_stops_itself_and_goes_on() {
    let mut rows = Table::default();
    let table: &[(&str, &[&str], i32, &str)] = &[
        ("the session is stopped for good", &["-v"], 20, "T"),
        ("for reading", &["-v"], 21, "T"),
        ("for writing", &["-v"], 22, "T"),
        ("unless that is rewritten", &["-v", "-r", "20:10"], 20, "RS"),
        ("a single child gets what came", &["-vc"], 20, "RS"),
    ];
    if !DUMB_INIT.installed() {
        return;
    }
    for (why, options, signal, child) in table {
        let args = [*options, &["sh", "-c", "trap : TSTP TTIN TTOU USR1; while :; do :; done"]].concat();
        let case = Case { args: &args, words: Words::SameLines, ..Case::default() };
        let job = |init: &Child| {
            await_quiet(init);
            let program = only_child(init.id());
            // USR1 is the last to be caught. Before its program begins the original's child catches everything.
            let ready = |status: &str| mask(status, "SigCgt:") & (1 << 9 | 1) == 1 << 9;
            await_status(program, "ready", ready);
            send(init.id(), *signal);
            await_status(init.id(), "stopped", |status| field(status, "State:").starts_with('T'));
            await_status(program, child, |status| field(status, "State:").starts_with(|c| child.contains(c)));
            send(init.id(), 18);
            await_quiet(init);
            await_status(program, "running", |status| !field(status, "State:").starts_with('T'));
            send(init.id(), 15);
        };
        rows.compare_with(&DUMB_INIT, why, &case, &job);
    }
}

#[test]
fn the_first_process_reaps_and_never_complains() {
    let mut rows = Table::default();
    use Words::Same;
    let table: &[(&str, &Peer, &[&str], &[&str])] = &[
        ("tini needs no -s", &TINI, &["-w"], &["--", "sh", "-c", ORPHAN]),
        ("tini with -s", &TINI, &["-svvv"], &["--", "sh", "-c", "exit 4"]),
        ("dumb-init", &DUMB_INIT, &["-v"], &["sh", "-c", ORPHAN]),
        ("dumb-init without a session", &DUMB_INIT, &["-vc"], &["sh", "-c", ORPHAN]),
        (
            "dumb-init is not stopped",
            &DUMB_INIT,
            &["-vc"],
            &["sh", "-c", "trap : TSTP; kill -TSTP $PPID; quiet; exit 6"],
        ),
        ("catatonit", &CATATONIT, &[], &["--", "sh", "-c", ORPHAN]),
        ("tini's child ends by a signal", &TINI, &[], &["--", "sh", "-c", "kill -KILL $$"]),
        (
            "signals reach tini's child",
            &TINI,
            &[],
            &["--", "sh", "-c", "trap 'exit 7' USR1; kill -USR1 1; while :; do :; done"],
        ),
        ("not found", &TINI, &[], &["/no/such/program"]),
        ("not found", &DUMB_INIT, &[], &["/no/such/program"]),
        ("not found", &CATATONIT, &[], &["/no/such/program"]),
    ];
    for (why, peer, options, command) in table {
        let args = [*options, *command].concat();
        let case = Case { args: &args, words: Same, place: Place::First, ..Case::default() };
        rows.compare(peer, why, &case);
    }
}

#[test]
fn a_thousand_orphans_leave_no_zombie() {
    let mut rows = Table::default();
    // They end while their parent does, all at once; then it is looked for them everywhere.
    let script = "sh -c 'i=0; while [ $i -lt 1000 ]; do (exit 3) & i=$((i+1)); done'; \
        while :; do z=; for f in /proc/[0-9]*/stat; do \
        { read -r l <$f; } 2>/dev/null && case $l in *') Z '*) z=1;; esac; done; [ $z ] || break; done; exit 5";
    for (peer, options) in [(&TINI, &["-s"][..]), (&DUMB_INIT, &[]), (&CATATONIT, &[])] {
        let args = [options, &["--", "sh", "-c", script]].concat();
        rows.compare(
            peer,
            "a thousand orphans",
            &Case { args: &args, place: Place::First, ..Case::default() },
        );
    }
}

#[test]
fn a_terminal_is_the_childs() {
    let mut rows = Table::default();
    const FRONT: &str = "read -r _ _ _ _ group session tty front _ </proc/self/stat; \
        [ $group = $front ] && echo in front; [ $session = $$ ] && echo leads its session; \
        [ $tty = 0 ] && echo no terminal; exit 3";
    const INTERRUPT: &str = "trap 'exit 42' INT; echo ready; while :; do :; done";
    const SHELL: &[&str] = &["env", "PS1=", "ENV=", "sh", "-im"];
    const STOP: &[(&str, &str)] = &[
        ("", "sh -c 'echo run''ning; while :; do :; done'\n"),
        ("running", "\x1a"),
        ("Stopped", "kill -9 %1; wait %1; exit 7\nexit 7\n"),
    ];
    type Row<'a> = (&'a str, &'a Peer, &'a [&'a str], &'a [&'a str], &'static [(&'static str, &'static str)]);
    let table: &[Row<'_>] = &[
        ("tini's child is in front", &TINI, &["-s", "--"], &["sh", "-c", FRONT], &[]),
        ("dumb-init's child has it", &DUMB_INIT, &[], &["sh", "-c", FRONT], &[]),
        ("dumb-init's single child too", &DUMB_INIT, &["-c"], &["sh", "-c", FRONT], &[]),
        ("catatonit's child is in front", &CATATONIT, &["--"], &["sh", "-c", FRONT], &[]),
        ("Ctrl-C below tini", &TINI, &["-s", "--"], &["sh", "-c", INTERRUPT], &[("ready", "\x03")]),
        ("Ctrl-C below dumb-init", &DUMB_INIT, &[], &["sh", "-c", INTERRUPT], &[("ready", "\x03")]),
        ("Ctrl-C below dumb-init -c", &DUMB_INIT, &["-c"], &["sh", "-c", INTERRUPT], &[("ready", "\x03")]),
        ("Ctrl-C below catatonit", &CATATONIT, &["--"], &["sh", "-c", INTERRUPT], &[("ready", "\x03")]),
        ("Ctrl-Z in a shell below tini", &TINI, &["-s", "--"], SHELL, STOP),
        ("Ctrl-Z in a shell below dumb-init", &DUMB_INIT, &[], SHELL, STOP),
        ("tini's lines", &TINI, &["-svvv"], &["true"], &[]),
        ("catatonit's lines", &CATATONIT, &["--"], &["true"], &[]),
        ("dumb-init's lines at the hand-over", &DUMB_INIT, &["-v"], &["sh", "-c", "quiet; exit 3"], &[]),
    ];
    for (why, peer, options, command, answers) in table {
        let args = [*options, *command].concat();
        let place = Place::Terminal(answers);
        let environment: &[&str] = &["CATATONIT_DEBUG="];
        // A shell prompts when it likes and a terminal echoes, so that only the last cue counts.
        let words =
            if answers.is_empty() { Words::SameLines } else { Words::Having(answers[answers.len() - 1].0) };
        let case = Case { environment, args: &args, words, place, ..Case::default() };
        rows.compare(peer, why, &case);
    }

    let table: &[(&str, &Peer, &str, &[&str])] = &[
        ("tini with another input", &TINI, "exec \"$@\" </dev/null", &["-svvv", "true"]),
        ("catatonit with another input", &CATATONIT, "exec \"$@\" </dev/null", &["true"]),
        ("dumb-init with another input", &DUMB_INIT, "exec \"$@\" </dev/null", &["-v", "true"]),
        ("dumb-init below a shell", &DUMB_INIT, "\"$@\"; exit $?", &["-v", "sh", "-c", FRONT]),
        ("tini below a shell", &TINI, "\"$@\"; exit $?", &["-s", "--", "sh", "-c", FRONT]),
    ];
    for (why, peer, before, args) in table {
        let place = Place::Terminal(&[]);
        let environment: &[&str] = &["CATATONIT_DEBUG="];
        let case = Case { environment, before, args, words: Words::SameLines, place };
        rows.compare(peer, why, &case);
    }
}

#[test]
fn odd_surroundings() {
    let mut rows = Table::default();
    let table: &[(&str, &Peer, &str, &[&str])] = &[
        ("no standard input", &TINI, "exec \"$@\" <&-", &["-s", "true"]),
        ("no standard input", &DUMB_INIT, "exec \"$@\" <&-", &["-v", "true"]),
        ("no standard input", &CATATONIT, "exec \"$@\" <&-", &["true"]),
        ("no PATH", &TINI, "unset PATH; exec \"$@\"", &["-s", "true"]),
        ("an empty PATH is this directory", &TINI, "cd /bin; PATH= exec \"$@\"", &["-s", "true"]),
        ("a script without its first line", &TINI, SCRIPT, &["-s", "./script", "a", "b"]),
        ("a script without its first line", &DUMB_INIT, SCRIPT, &["./script", "a", "b"]),
        ("a script without its first line", &CATATONIT, SCRIPT, &["./script", "a", "b"]),
    ];
    for (why, peer, before, args) in table {
        rows.compare(peer, why, &Case { before, args, ..Case::default() });
    }
}

#[test]
fn a_child_that_must_not_be_signalled() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("skipped: only root can start a child that it may not signal");
        return;
    }
    let mut rows = Table::default();
    // Root without CAP_KILL, and a child of somebody else.
    let before = "exec setpriv --bounding-set=-kill --inh-caps=-kill \"$@\"";
    // It changes once its init is up: catatonit tries kill(2) on a new child and ends if it may not.
    let script = "quiet; exec setpriv --reuid=65534 --clear-groups --inh-caps=-all sleep 100";
    let child = ["sh", "-c", script];
    let table: &[(&str, &Peer, &[&str])] = &[
        ("tini gives up", &TINI, &["-svv", "--"]),
        ("dumb-init goes on", &DUMB_INIT, &["-v"]),
        ("catatonit goes on", &CATATONIT, &["--"]),
    ];
    for (why, peer, options) in table {
        let args = [*options, &child].concat();
        let job = |init: &Child| {
            await_quiet(init);
            let program = only_child(init.id());
            await_status(program, "somebody else's", |status| field(status, "Uid:").starts_with("65534"));
            send(init.id(), 10);
            await_quiet(init);
            send(program, 9);
        };
        let case = Case { environment: &["CATATONIT_DEBUG="], before, args: &args, ..Case::default() };
        rows.compare_with(peer, why, &case, &job);
    }
}

/// A file of commands that the kernel cannot execute.
const SCRIPT: &str = "d=$(mktemp -d); cd $d; echo 'echo $# $1 $2; cd /; rm -r $OLDPWD; exit 3' >script; \
    chmod +x script; exec \"$@\"";

#[test]
fn an_ignored_sigchld_is_no_end() {
    // The originals of tini and catatonit wait for ever then: the kernel tells them nothing. Ours does not copy that.
    for (peer, options) in [(&TINI, &["-s"][..]), (&DUMB_INIT, &[]), (&CATATONIT, &[])] {
        let args = [options, &["--", "grep", "^SigIgn", "/proc/self/status"]].concat();
        let before = "exec env --ignore-signal=CHLD \"$@\"";
        let outcome = ours(peer, &Case { before, args: &args, ..Case::default() });
        let ignored = mask(&outcome.out, "SigIgn:") & 1 << 16 != 0;
        assert_eq!((ignored, outcome.end.as_str()), (peer.name != "dumb-init", "exit 0"), "{}", peer.name);
    }
}
