//! What a plan does to a real child: a step that fails says which, and what a directive forbids is tried.
//!
//! Each attack succeeds without the directive, so that its failure with it is the directive's doing.
#![allow(missing_docs, reason = "a test")]

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tinysvc::engine::SpawnFailure;
use tinysvc::launch::spawn_shielded;
use tinysvc::plan::{Plan, Session, SignalState};

fn words(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).unwrap()).collect()
}

/// The program of `integration/attack`.
fn attack() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(Path::parent).unwrap().join("examples/attack");
    assert!(path.exists(), "{} is missing: cargo build --example attack", path.display());
    path
}

/// A plan for the attacks.
fn attempt(attempts: &[&str]) -> Plan {
    let program = CString::new(attack().as_os_str().as_bytes()).unwrap();
    let mut argv = words(&["attack"]);
    argv.extend(words(attempts));
    Plan { programs: vec![program], argv, ..Plan::default() }
}

/// Runs a plan and returns how it ended and what it wrote to standard output and error.
fn run(mut plan: Plan) -> (Result<WaitStatus, SpawnFailure>, String) {
    let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    plan.descriptors.extend([(write.as_raw_fd(), 1), (write.as_raw_fd(), 2)]);
    let spawned = spawn_shielded(&plan);
    drop(write);
    let mut output = String::new();
    File::from(read).read_to_string(&mut output).unwrap();
    (spawned.map(|pid| waitpid(Pid::from_raw(pid), None).unwrap()), output)
}

fn exited(status: i32) -> Box<dyn Fn(&WaitStatus) -> bool> {
    Box::new(move |end| matches!(end, WaitStatus::Exited(_, s) if *s == status))
}

#[test]
fn a_program_is_found_as_execvp_finds_it() {
    let folder = std::env::temp_dir().join(format!("tinysvc-sandbox-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("dir")).unwrap();
    let file = |name: &str, mode: u32, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let plain = file("plain", 0o644, "exit 3");
    let script = file("script", 0o755, "test \"$0\" = \"$EXPECT\" && exit $1");
    let bad = file("bad", 0o755, "\x7fELF rubbish");
    let missing = format!("{}/missing", folder.display());
    let below_a_file = format!("{plain}/x");
    let setup = |errno| Err(SpawnFailure::Setup { status: 203, errno });
    let table: [(&str, &[&str], bool, Result<i32, SpawnFailure>); 9] = [
        ("the first that is there", &[&missing, "/bin/true"], false, Ok(0)),
        ("a file that may not be executed is passed over", &[&plain, "/bin/true"], false, Ok(0)),
        ("and told if nothing follows", &[&plain, &missing], false, setup(libc::EACCES)),
        ("a file is no folder", &[&below_a_file, "/bin/true"], false, Ok(0)),
        ("nothing is there", &[&missing], false, setup(libc::ENOENT)),
        ("nothing to try", &[], false, setup(libc::ENOENT)),
        ("no header: the shell runs it", &[&script], true, Ok(42)),
        ("no header and no shell", &[&script], false, setup(libc::ENOEXEC)),
        ("a broken program is final", &[&bad, "/bin/true"], false, setup(libc::ENOEXEC)),
    ];
    for (why, programs, shell_fallback, end) in table {
        let env = vec![CString::new(format!("EXPECT={script}")).unwrap()];
        let plan = Plan {
            programs: words(programs),
            argv: words(&["x", "42"]),
            env,
            shell_fallback,
            ..Plan::default()
        };
        match (run(plan).0, end) {
            (Ok(was), Ok(status)) => assert!(exited(status)(&was), "{why}: {was:?}"),
            (was, end) => assert_eq!(was.map(drop), end.map(drop), "{why}"),
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_step_that_fails_ends_in_its_own_status_and_leaves_no_process() {
    let table = [
        (
            "a descriptor that is not open",
            Plan { descriptors: vec![(987, 3)], ..attempt(&[]) },
            202,
            libc::EBADF,
        ),
        (
            "a folder that is not there",
            Plan { working_directory: Some((c"/no/such".to_owned(), false)), ..attempt(&[]) },
            200,
            libc::ENOENT,
        ),
        (
            "a soft limit above the hard one",
            Plan { limits: vec![(7, 9, 8)], ..attempt(&[]) },
            205,
            libc::EINVAL,
        ),
        (
            "SIGKILL cannot be ignored",
            Plan { signals: SignalState { ignore: 1 << 8, ..SignalState::default() }, ..attempt(&[]) },
            207,
            libc::EINVAL,
        ),
    ];
    for (why, plan, status, errno) in table {
        assert_eq!(run(plan).0.map(drop), Err(SpawnFailure::Setup { status, errno }), "{why}");
    }
    let forgiven = Plan { working_directory: Some((c"/no/such".to_owned(), true)), ..attempt(&["pid"]) };
    assert!(exited(0)(&run(forgiven).0.unwrap()), "a missing folder may be forgiven");
}

#[test]
fn a_child_starts_with_the_state_that_the_plan_says() {
    let bit = |signal: i32| 1u64 << (signal - 1);
    let ignore = bit(1) | bit(35);
    let default = !(ignore | bit(9) | bit(19));
    let signals = SignalState { mask: bit(12) | bit(34), default, ignore };
    let plan = Plan {
        signals,
        umask: Some(0o027),
        nice: Some(5),
        oom_score_adjust: Some(321),
        limits: vec![(7, 50, 60), (4, 0, u64::MAX)],
        working_directory: Some((c"/usr/bin".to_owned(), false)),
        env: words(&["A=1"]),
        ..attempt(&[
            "status:SigBlk",
            "status:SigIgn",
            "status:Umask",
            "nice",
            "cat:/proc/self/oom_score_adj",
            "link:/proc/self/cwd",
            "cat:/proc/self/limits",
            "env:A",
            "env:HOME",
        ])
    };
    let (end, output) = run(plan);
    assert!(exited(0)(&end.unwrap()), "{output}");
    let squeezed: Vec<String> =
        output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "status:SigBlk=0000000200000800",
        // The standard library of the attacker ignores SIGPIPE.
        "status:SigIgn=0000000400001001",
        "status:Umask=0027",
        "nice=5",
        "cat:/proc/self/oom_score_adj=321",
        "link:/proc/self/cwd=/usr/bin",
        "Max open files 50 60 files",
        "env:A=1",
        "env:HOME=unset",
    ] {
        assert!(squeezed.iter().any(|l| l == line), "{line} is not in {output}");
    }
}

#[test]
fn a_session_is_what_the_plan_says() {
    let us = nix::unistd::getpgrp().to_string();
    let our_session = nix::unistd::getsid(None).unwrap().to_string();
    for (session, own_group, own_session) in [
        (Session::Inherit, false, false),
        (Session::Group, true, false),
        (Session::Foreground, true, false),
        (Session::New, true, true),
        (Session::NewWithTerminal, true, true),
    ] {
        let (_, output) = run(Plan { session, ..attempt(&["pid", "group", "session"]) });
        let value = |name: &str| output.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("").to_owned();
        let pid = value("pid=");
        assert_eq!(value("group="), if own_group { pid.clone() } else { us.clone() }, "{session:?}");
        assert_eq!(value("session="), if own_session { pid } else { our_session.clone() }, "{session:?}");
    }
}

#[test]
fn listen_pid_speaks_of_the_child_if_it_spoke_of_us_and_does_so_again_at_a_restart() {
    let us = format!("LISTEN_PID={}", std::process::id());
    let plan = Plan { env: words(&["A=1", &us]), ..attempt(&["pid", "env:LISTEN_PID"]) };
    for _ in 0..2 {
        let (_, output) = run(plan.clone());
        let (pid, listen) = output.split_once('\n').unwrap();
        assert_eq!(pid.replace("pid=", "env:LISTEN_PID="), listen.trim_end());
    }
    let (_, output) = run(Plan { env: words(&["LISTEN_PID=77"]), ..attempt(&["env:LISTEN_PID"]) });
    assert_eq!(output, "env:LISTEN_PID=77\n");
}

#[test]
fn descriptors_arrive_at_their_numbers_even_when_these_overlap() {
    let open = |name: &str| File::open(name).unwrap();
    let (null, zero, tty) = (open("/dev/null"), open("/dev/zero"), open("/dev/full"));
    let (a, b, c) = (null.as_raw_fd(), zero.as_raw_fd(), tty.as_raw_fd());
    // A ring: each to the number of the next.
    let descriptors = vec![(a, b), (b, c), (c, a)];
    let link = |fd: i32| format!("link:/proc/self/fd/{fd}");
    let (_, output) = run(Plan { descriptors, ..attempt(&[&link(a), &link(b), &link(c)]) });
    let targets: Vec<&str> = output.lines().map(|l| l.rsplit('=').next().unwrap()).collect();
    assert_eq!(targets, ["/dev/full", "/dev/null", "/dev/zero"]);

    let image = open(attack().to_str().unwrap());
    let number = image.as_raw_fd();
    let plan = Plan {
        image: Some(number),
        descriptors: vec![(a, number), (b, b)],
        ..attempt(&[&link(number), &link(b), &link(c)])
    };
    let (_, output) = run(plan);
    let targets: Vec<&str> = output.lines().map(|l| l.rsplit('=').next().unwrap()).collect();
    assert_eq!(
        targets,
        ["/dev/null", "/dev/zero", "ENOENT"],
        "the image moves away, the same number stays, the rest is closed"
    );
}
