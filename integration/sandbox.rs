//! What a plan does to a real child: a step that fails says which, and what a directive forbids is tried.
//!
//! Each attack succeeds without the directive, so that its failure with it is the directive's doing.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tinysvc::engine::SpawnFailure;
use tinysvc::host::facility::facility;
use tinysvc::host::sys::credentials;
use tinysvc::launch::spawn_shielded;
use tinysvc::plan::{
    Compiled, Enforcement, Plan, PlanError, Session, SignalState, Surroundings, compile, role_plan,
};
use tinysvc::unit::spec::{
    AddressFamilies, Architectures, CallFilter, Command, ExecSpec, Limit, Privilege, SandboxMode, Spec,
    WorkingDirectory,
};

fn words(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).unwrap()).collect()
}

/// The program of `integration/attack`, where every user can execute it.
fn attack() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let here = std::env::current_exe().unwrap();
        let path = here.parent().and_then(Path::parent).unwrap().join("examples/attack");
        assert!(path.exists(), "{} is missing: cargo build --example attack", path.display());
        // One file for all runs, replaced as a whole, since nobody is the last to need it.
        let copy = std::env::temp_dir().join(format!("tinysvc-attack-{}", nix::unistd::getuid()));
        let new = copy.with_extension(std::process::id().to_string());
        std::fs::copy(&path, &new).unwrap();
        std::fs::rename(&new, &copy).unwrap();
        copy
    })
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
    type Ends = Result<i32, SpawnFailure>;
    let table: [(&str, &[&str], bool, Ends); 9] = [
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
    let signals = SignalState { mask: bit(12) | bit(36), default, ignore };
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
        "status:SigBlk=0000000800000800",
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

/// Compiles a service that makes these attempts.
fn compiled(edit: impl FnOnce(&mut ExecSpec), attempts: &[&str]) -> Result<Compiled, PlanError> {
    let mut spec = Spec::new("t.service");
    edit(&mut spec.exec);
    let mut argv: Vec<OsString> = vec!["attack".into()];
    argv.extend(attempts.iter().map(OsString::from));
    let command = Command {
        program: attack().into(),
        argv,
        ignore_failure: false,
        expand: false,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    };
    let env = [("HOME".into(), "/container".into()), ("PATH".into(), "/bin:/usr/bin".into())];
    let surroundings = Surroundings { container: &env, ..Surroundings::default() };
    compile(&spec, &command, &surroundings, &facility())
}

/// What the attempts yield under these directives, in order; the signal's name last if one killed it.
fn under(edit: impl FnOnce(&mut ExecSpec), attempts: &[&str]) -> Vec<String> {
    let (end, output) = run(compiled(edit, attempts).unwrap().plan);
    let mut results: Vec<String> = output
        .lines()
        .map(|line| line.split_once('=').map_or(line, |(_, result)| result).to_owned())
        .collect();
    match end.unwrap() {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Signaled(_, signal, _) => results.push(signal.to_string()),
        other => results.push(format!("{other:?}")),
    }
    results
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Whether a child can become any user: root outside of a user namespace, or in one that has many.
fn can_become_anybody() -> bool {
    let facility = facility();
    let all = facility.has_uid(65_534) && facility.has_gid(65_534) && !facility.forbids_groups();
    if !all {
        eprintln!("skipped: this user namespace has one user only");
    }
    all && is_root() && has(7)
}

/// Whether no_new_privs is still off, so that a test can see it go on.
fn may_gain_privileges() -> bool {
    let off = nix::sys::prctl::get_no_new_privs() == Ok(false);
    if !off {
        eprintln!("skipped: no_new_privs is on already");
    }
    off
}

/// Whether this process has a capability, by number.
fn has(capability: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let mask = u64::from_str_radix(line.trim(), 16).unwrap();
    let has = mask & (1 << capability) != 0;
    if !has {
        eprintln!("skipped: needs capability {capability}");
    }
    has
}

fn families(deny: bool, families: &[i32]) -> Option<AddressFamilies> {
    Some(AddressFamilies { deny, families: families.iter().copied().collect() })
}

fn calls(deny: bool, calls: &[(&str, Option<i32>)]) -> Option<CallFilter> {
    Some(CallFilter { deny, calls: calls.iter().map(|(name, errno)| ((*name).to_owned(), *errno)).collect() })
}

const SETPCAP: u32 = 8;
const SYS_ADMIN: u32 = 21;

#[test]
fn restrict_address_families_has_no_side_door() {
    // An allow list of AF_UNIX and AF_INET, and a deny list with AF_NETLINK.
    let allow = |exec: &mut ExecSpec| {
        exec.restrict_address_families = families(false, &[libc::AF_UNIX, libc::AF_INET])
    };
    let deny = |exec: &mut ExecSpec| exec.restrict_address_families = families(true, &[libc::AF_NETLINK]);
    let none = |exec: &mut ExecSpec| exec.restrict_address_families = families(false, &[]);
    let x86 = cfg!(target_arch = "x86_64");
    let no = "EAFNOSUPPORT";
    let table = [
        // why, attempt, without, allow list, deny list, none
        ("a listed family stays", "socket:1:1:0", "ok", "ok", "ok", no),
        ("another one", "socket:2:1:0", "ok", "ok", "ok", no),
        ("an unlisted one goes", "socket:16:3:0", "ok", no, no, no),
        ("garbage in the high half is no disguise", "socket:0xdeadbeef00000010:3:0", "ok", no, no, no),
        ("nor does it hurt", "socket:0xdeadbeef00000001:1:0", "ok", "ok", "ok", no),
        ("a pair is not judged", "socketpair:1:1", "ok", "ok", "ok", "ok"),
        (
            "io_uring, which makes sockets: EFAULT is its answer to no parameters",
            "call:425:1:0",
            "EFAULT",
            "ENOSYS",
            "ENOSYS",
            "ENOSYS",
        ),
        ("its other calls", "call:426:987:0", "EBADF", "ENOSYS", "ENOSYS", "ENOSYS"),
        ("its last call", "call:427:987:9", "EBADF", "ENOSYS", "ENOSYS", "ENOSYS"),
    ];
    for (why, attempt, without, allowed, denied, nothing) in table {
        let free = under(|_| {}, &[attempt]);
        if free != [without] {
            eprintln!("skipped: {why}: without the directive it is {free:?} here");
            continue;
        }
        assert_eq!(under(allow, &[attempt]), [allowed], "{why}, allow list");
        assert_eq!(under(deny, &[attempt]), [denied], "{why}, deny list");
        assert_eq!(under(none, &[attempt]), [nothing], "{why}, none");
    }
    if !x86 {
        return eprintln!("skipped: the i386 and x32 tables are of x86-64");
    }
    let table = [
        // why, attempt, without, under a deny list with AF_NETLINK
        ("i386 socket", "i386:359:16:3:0", "ok", no),
        ("i386 socket of a family that stays", "i386:359:2:1:0", "ok", "ok"),
        ("i386 socketcall", "i386-socketcall:16", "ok", "ENOSYS"),
        ("other i386 calls", "i386:20", "ok", "ok"),
        ("i386 io_uring", "i386:425:1:0", "EFAULT", "ENOSYS"),
        // A kernel without x32 refuses by itself.
        ("x32 socket", "call:0x40000029:16:3:0", "ok", "ENOSYS"),
    ];
    for (why, attempt, without, denied) in table {
        let free = under(|_| {}, &[attempt]);
        if free != [without] {
            eprintln!("skipped: {why}: without the directive it is {free:?} here");
        }
        assert_eq!(under(deny, &[attempt]), [denied], "{why}");
    }
}

#[test]
fn packet_sockets_need_no_capability_dropped_to_be_refused() {
    let attempt = ["socket:17:3:0"];
    let free = under(|_| {}, &attempt);
    let restrict = |exec: &mut ExecSpec| exec.restrict_address_families = families(true, &[libc::AF_PACKET]);
    if free == ["ok"] {
        assert_eq!(
            under(|exec| exec.capability_bounding_set = Some(!(1 << 13)), &attempt),
            ["EPERM"],
            "CAP_NET_RAW"
        );
    } else {
        eprintln!("the attack fails here anyway: {free:?}");
    }
    assert_eq!(under(restrict, &attempt), ["EAFNOSUPPORT"]);
}

#[test]
fn system_call_filter_judges_as_systemd_does() {
    let try_all = ["call:39", "call:99:0", "call:63:0", "call:5000"];
    if !cfg!(target_arch = "x86_64") {
        return eprintln!("skipped: written with x86-64 numbers");
    }
    // getpid, sysinfo and uname without a buffer, and a number that is no call.
    assert_eq!(under(|_| {}, &try_all), ["ok", "EFAULT", "EFAULT", "ENOSYS"]);

    let errno = |exec: &mut ExecSpec| {
        exec.system_call_filter = calls(true, &[("sysinfo", None), ("uname", Some(libc::ENODATA))]);
        exec.system_call_errno = Some(libc::EUCLEAN);
    };
    assert_eq!(under(errno, &try_all), ["ok", "EUCLEAN", "ENODATA", "ENOSYS"]);
    let kill = |exec: &mut ExecSpec| exec.system_call_filter = calls(true, &[("sysinfo", None)]);
    assert_eq!(under(kill, &try_all), ["ok", "SIGSYS"], "without a number it dies");
    let foreign = |exec: &mut ExecSpec| exec.system_call_filter = calls(true, &[("swapon", None)]);
    assert_eq!(under(foreign, &["call:39", "i386:20"]), ["ok", "SIGSYS"], "foreign tables cannot be judged");

    // Whatever a dynamic program needs to start and to print.
    let needed = [
        "access",
        "close",
        "fstat",
        "lseek",
        "newfstatat",
        "open",
        "openat",
        "pread64",
        "read",
        "readlink",
        "write",
        "writev",
        "poll",
        "ppoll",
        "rt_sigaction",
        "rt_sigprocmask",
        "sigaltstack",
        "fcntl",
        "ioctl",
        "statx",
        "madvise",
        "mremap",
        "set_tid_address",
        "prctl",
    ];
    let list: Vec<(&str, Option<i32>)> = needed.iter().map(|name| (*name, None)).collect();
    let allow = |exec: &mut ExecSpec| {
        exec.system_call_filter = calls(false, &list);
        exec.system_call_errno = Some(libc::EUCLEAN);
    };
    assert_eq!(under(allow, &try_all), ["ok", "EUCLEAN", "EUCLEAN", "ENOSYS"]);
    assert_eq!(under(allow, &["socket:1:1:0"]), ["EUCLEAN"]);
    let allow_or_die = |exec: &mut ExecSpec| exec.system_call_filter = calls(false, &list);
    assert_eq!(under(allow_or_die, &try_all), ["ok", "SIGSYS"]);
}

#[test]
fn system_call_architectures_leaves_our_own() {
    if !cfg!(target_arch = "x86_64") {
        return eprintln!("skipped: the i386 table is of x86-64");
    }
    assert_eq!(under(|_| {}, &["i386:20"]), ["ok"]);
    let native = |exec: &mut ExecSpec| {
        exec.system_call_architectures = Some(Architectures::Native);
        exec.system_call_errno = Some(libc::EUCLEAN);
    };
    assert_eq!(under(native, &["call:39", "i386:20"]), ["ok", "SIGSYS"]);
    assert_eq!(under(native, &["call:39", "call:0x40000027"]), ["ok", "SIGSYS"], "x32");
}

#[test]
fn an_identity_is_taken_on_whole() {
    if !can_become_anybody() {
        return;
    }
    let ids = [
        "status:Uid",
        "status:Gid",
        "status:Groups",
        "status:CapEff",
        "status:CapPrm",
        "status:CapInh",
        "env:HOME",
        "env:USER",
        "env:SHELL",
    ];
    let zero = "0000000000000000";
    let games = |exec: &mut ExecSpec| exec.user = Some("games".into());
    assert_eq!(
        under(games, &ids),
        ["5 5 5 5", "60 60 60 60", "60", zero, zero, zero, "/usr/games", "games", "unset"]
    );
    let both = |exec: &mut ExecSpec| {
        games(exec);
        exec.group = Some("mail".into());
        exec.supplementary_groups = vec!["news".into(), "4242".into()];
        exec.environment = vec![("HOME".into(), "/container".into())];
    };
    assert_eq!(under(both, &ids)[..3], ["5 5 5 5", "8 8 8 8", "8 9 4242"]);
    assert_eq!(under(both, &["env:HOME", "env:LOGNAME"]), ["/container", "games"], "Environment= wins");
    let number = |exec: &mut ExecSpec| exec.user = Some("54321".into());
    assert_eq!(under(number, &ids)[..7], ["54321 54321 54321 54321", "0 0 0 0", "0", zero, zero, zero, "/"]);
    let group = |exec: &mut ExecSpec| exec.group = Some("mail".into());
    assert_eq!(under(group, &ids)[..2], ["0 0 0 0", "8 8 8 8"]);
    let supplementary = |exec: &mut ExecSpec| exec.supplementary_groups = vec!["mail".into()];
    assert_eq!(under(supplementary, &ids)[..3], ["0 0 0 0", "0 0 0 0", "8"]);
    let home = |exec: &mut ExecSpec| {
        games(exec);
        exec.working_directory = Some(WorkingDirectory { path: None, missing_ok: false });
    };
    assert_eq!(under(home, &["link:/proc/self/cwd"]), ["/usr/games"]);

    let status = |edit: fn(&mut ExecSpec)| {
        compiled(edit, &[]).map(drop).map_err(|error| (error.status, error.message))
    };
    assert_eq!(
        status(|exec| exec.user = Some("nosuch".into())),
        Err((217, "User=nosuch: there is no such user in /etc/passwd".into()))
    );
    assert_eq!(
        status(|exec| exec.group = Some("nosuch".into())),
        Err((216, "Group=nosuch: there is no such group in /etc/group".into()))
    );
}

#[test]
fn capabilities_are_what_the_recorded_systemd_has() {
    if !can_become_anybody() || !has(SETPCAP) || !may_gain_privileges() {
        return;
    }
    let sets = [
        "status:CapInh",
        "status:CapPrm",
        "status:CapEff",
        "status:CapBnd",
        "status:CapAmb",
        "status:NoNewPrivs",
    ];
    let now = under(|_| {}, &sets);
    let all = now[3].as_str();
    let mask = |bits: &[u32]| format!("{:016x}", bits.iter().fold(0u64, |mask, bit| mask | 1 << bit));
    let (zero, chown, kill, bind) = (mask(&[]), mask(&[0]), mask(&[5]), mask(&[10]));
    let both = mask(&[0, 5]);
    let games = |exec: &mut ExecSpec| exec.user = Some("games".into());
    type Edit = Box<dyn Fn(&mut ExecSpec)>;
    let edit = |user: bool, bounding: Option<u64>, ambient: u64, nnp: bool| -> Edit {
        Box::new(move |exec: &mut ExecSpec| {
            if user {
                games(exec);
            }
            exec.capability_bounding_set = bounding;
            exec.ambient_capabilities = ambient;
            exec.no_new_privileges = nnp.then_some(true);
        })
    };
    let table: [(&str, Edit, [&str; 6]); 9] = [
        ("ambient for a user", edit(true, None, 1 << 10, false), [&bind, &bind, &bind, all, &bind, "0"]),
        ("two", edit(true, None, 1 << 5 | 1, false), [&both, &both, &both, all, &both, "0"]),
        (
            "within a bounding set",
            edit(true, Some(1 << 5 | 1), 1 << 5, false),
            [&kill, &kill, &kill, &both, &kill, "0"],
        ),
        ("outside of it: cut", edit(true, Some(1), 1 << 5, false), [&zero, &zero, &zero, &chown, &zero, "0"]),
        ("for root", edit(false, None, 1 << 5, false), [&kill, all, all, all, &kill, "0"]),
        (
            "for root within a bounding set",
            edit(false, Some(1), 1, false),
            [&chown, &chown, &chown, &chown, &chown, "0"],
        ),
        ("with no_new_privs", edit(true, None, 1 << 5, true), [&kill, &kill, &kill, all, &kill, "1"]),
        (
            "a bounding set for a user",
            edit(true, Some(1 << 5 | 1), 0, false),
            [&zero, &zero, &zero, &both, &zero, "0"],
        ),
        (
            "a bounding set for root",
            edit(false, Some(1), 0, false),
            [&zero, &chown, &chown, &chown, &zero, "0"],
        ),
    ];
    for (why, edit, expected) in table {
        assert_eq!(under(edit, &sets), expected, "{why}");
    }
    // CAP_SYS_MODULE may be lacking here.
    let lacking = |exec: &mut ExecSpec| exec.capability_bounding_set = Some(1 << 16 | 1);
    assert!([chown.clone(), mask(&[0, 16])].contains(&under(lacking, &sets)[3]));

    let secure = |user: bool, bits: u32, ambient: u64| {
        move |exec: &mut ExecSpec| {
            exec.user = user.then(|| "games".into());
            exec.secure_bits = bits;
            exec.ambient_capabilities = ambient;
        }
    };
    // PR_GET_SECUREBITS answers a number, so it is no error.
    assert_eq!(under(secure(false, 0b11, 0), &sets)[1..3], [zero.clone(), zero], "noroot noroot-locked");
    assert_eq!(
        under(secure(true, 0b100, 1 << 5), &["securebits", "status:CapEff"]),
        ["4", &kill],
        "no-setuid-fixup"
    );
}

#[test]
fn a_filter_implies_no_new_privs_only_without_cap_sys_admin() {
    if !can_become_anybody() || !has(SYS_ADMIN) || !has(SETPCAP) || !may_gain_privileges() {
        return;
    }
    let filter = |exec: &mut ExecSpec| exec.restrict_address_families = families(false, &[libc::AF_UNIX]);
    let state = ["status:NoNewPrivs", "status:Seccomp", "status:CapPrm", "status:CapEff"];
    let zero = "0000000000000000";
    assert_eq!(under(filter, &state)[..2], ["0", "2"], "root");
    let user = |exec: &mut ExecSpec| {
        filter(exec);
        exec.user = Some("games".into());
    };
    assert_eq!(
        under(user, &state),
        ["0", "2", zero, zero],
        "a user: CAP_SYS_ADMIN is gone when its program runs"
    );
    let strictest = |exec: &mut ExecSpec| {
        user(exec);
        exec.capability_bounding_set = Some(0);
        exec.system_call_filter = calls(true, &[("capset", None), ("prctl", None)]);
        exec.system_call_architectures = Some(Architectures::Native);
    };
    // The standard library of the attacker needs no prctl to print.
    assert_eq!(under(strictest, &state), ["0", "2", zero, zero], "nothing has to be called after the filter");
}

/// Runs `act` in a thread that has these capabilities only, and then this user id. Credentials are a thread's own.
fn with_less<T: Send>(capabilities: u64, uid: Option<u32>, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let less = || {
            if let Some(uid) = uid {
                credentials::set_groups(&[]).unwrap();
                credentials::set_gid(uid).unwrap();
                credentials::set_uid(uid).unwrap();
            } else {
                let mut sets = credentials::capabilities().unwrap();
                sets.effective &= capabilities;
                sets.permitted &= capabilities;
                sets.inheritable = 0;
                credentials::set_capabilities(sets).unwrap();
            }
            act()
        };
        scope.spawn(less).join().unwrap()
    })
}

/// What Docker gives root unless told otherwise.
const DOCKER: u64 = 0xa804_25fb;

#[test]
fn in_a_default_container_a_user_and_a_filter_go_together() {
    if !can_become_anybody() {
        return;
    }
    let both = |exec: &mut ExecSpec| {
        exec.user = Some("games".into());
        exec.restrict_address_families = families(false, &[libc::AF_UNIX]);
    };
    let state = ["status:Uid", "status:NoNewPrivs", "status:Seccomp", "socket:2:1:0", "socket:1:1:0"];
    let results = with_less(DOCKER, None, || under(both, &state));
    assert_eq!(results, ["5 5 5 5", "1", "2", "EAFNOSUPPORT", "ok"], "systemd fails here with 217");
}

#[test]
fn an_ordinary_user_gets_what_can_be_had_and_hears_of_the_rest() {
    if !can_become_anybody() {
        return;
    }
    with_less(0, Some(65_534), || {
        let wish = |exec: &mut ExecSpec| {
            exec.user = Some("65534".into());
            exec.restrict_address_families = families(false, &[libc::AF_UNIX]);
            exec.capability_bounding_set = Some(0);
            exec.umask = Some(0o77);
        };
        let compiled =
            compiled(wish, &["status:Uid", "status:NoNewPrivs", "status:Umask", "socket:2:1:0"]).unwrap();
        let held: Vec<String> = compiled
            .holdings
            .iter()
            .map(|holding| format!("{}: {}", holding.directive, holding.by))
            .collect();
        assert_eq!(
            held,
            [
                "UMask: kernel",
                "User: credentials",
                "RestrictAddressFamilies: seccomp",
                // Its own no_new_privs, which the filter brought, keeps it from gaining any.
                "CapabilityBoundingSet: kernel",
            ]
        );
        let (_, output) = run(compiled.plan);
        for line in [
            "status:Uid=65534 65534 65534 65534",
            "status:NoNewPrivs=1",
            "status:Umask=0077",
            "socket:2:1:0=EAFNOSUPPORT",
        ] {
            assert!(output.contains(line), "{line} is not in {output}");
        }
        let other = self::compiled(|exec| exec.user = Some("games".into()), &[]).unwrap_err();
        assert_eq!(other.status, 217, "{other}");
    });
}

#[test]
fn a_change_of_user_in_the_child_leaves_our_own_proc_entries_as_they_were() {
    if can_become_anybody() {
        assert_eq!(under(|_| {}, &["dumpable"]), ["true true"]);
    }
}

#[test]
fn the_foreground_is_taken_from_our_own_group_and_from_nobody_else() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let table = [
        ("from the session's leader, which has it", "spawn:foreground:foreground", "true"),
        ("a group of its own is in the background", "spawn:group:foreground", "false"),
        ("from there it is somebody else's", "spawn:group:spawn:foreground:foreground", "false"),
    ];
    for (why, attempt_, foreground) in table {
        let mut plan = Plan { session: Session::NewWithTerminal, ..attempt(&["foreground", attempt_]) };
        plan.descriptors = vec![(pty.slave.as_raw_fd(), 0)];
        let (end, output) = run(plan);
        assert!(exited(0)(&end.unwrap()), "{output}");
        let results: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("foreground=")).collect();
        assert_eq!(results, ["true", foreground], "{why}: {output}");
    }
    // The second child of a leader: the foreground is still that of the first, which is gone.
    let twice = "spawn:foreground:foreground";
    let mut plan = Plan { session: Session::NewWithTerminal, ..attempt(&[twice, twice]) };
    plan.descriptors = vec![(pty.slave.as_raw_fd(), 0)];
    let (_, output) = run(plan);
    let taken = output.lines().filter(|line| *line == "foreground=true").count();
    assert_eq!(taken, 2, "a restart takes it again: {output}");
}

#[test]
fn limits_and_priorities_take_the_nearest_value() {
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE).unwrap();
    let wish = |exec: &mut ExecSpec| {
        exec.limits.insert(Limit::Core, (0, hard));
        exec.limits.insert(Limit::Nofile, (u64::MAX, u64::MAX));
        exec.nice = Some(19);
    };
    let compiled = compiled(wish, &["nice", "cat:/proc/self/limits"]).unwrap();
    let by =
        |directive: &str| compiled.holdings.iter().find(|h| h.directive == directive).map(|h| h.by.clone());
    assert_eq!(by("Nice"), Some(Enforcement::Kernel));
    assert_eq!(by("LimitCORE"), Some(Enforcement::Rlimit));
    assert!(matches!(by("LimitNOFILE"), Some(Enforcement::Degraded(_))), "no kernel takes infinity");
    let (end, output) = run(compiled.plan);
    assert!(exited(0)(&end.unwrap()), "{output}");
    assert!(output.starts_with("nice=19\n"), "{output}");
}

#[test]
fn strict_refuses_what_does_not_hold() {
    let mut spec = Spec::new("t.service");
    spec.ours.sandbox = SandboxMode::Strict;
    spec.exec.limits.insert(Limit::Nofile, (u64::MAX, u64::MAX));
    let command = Command {
        program: "/bin/true".into(),
        argv: vec!["true".into()],
        ignore_failure: false,
        expand: true,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    };
    let error = compile(&spec, &command, &Surroundings::default(), &facility()).unwrap_err();
    assert_eq!(error.status, 205);
    assert!(error.message.starts_with("LimitNOFILE= does not hold here and Sandbox=strict: "), "{error}");
}

/// Whether the attacker needs a loader: the role's file system is empty.
fn is_static(program: &Path) -> bool {
    let bytes = std::fs::read(program).unwrap();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    !has(b"/ld-linux") && !has(b"/ld-musl")
}

#[test]
fn a_role_has_no_file_no_socket_and_no_process() {
    if !is_static(attack()) {
        return eprintln!(
            "skipped: needs a static program: cargo test --target x86_64-unknown-linux-musl --test sandbox"
        );
    }
    let image = File::open(attack()).unwrap();
    let attempts = [
        "open:/etc/passwd",
        "open:/proc/self/status",
        "socket:1:1:0",
        "call:57",
        "call:62:1:0",
        "call:165",
        "fd:5",
    ];
    let plan =
        role_plan(image.as_raw_fd(), attempt(&attempts).argv, vec![(image.as_raw_fd(), 5)], &facility());
    let (end, output) = run(plan);
    let results: Vec<&str> = output.lines().map(|line| line.rsplit('=').next().unwrap()).collect();
    assert!(exited(0)(&end.unwrap()), "{output}");
    assert_eq!(results, ["EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EBADF"], "{output}");

    // Each half alone: without the filter, Landlock stands.
    let mut plan = role_plan(
        image.as_raw_fd(),
        attempt(&["open:/etc/passwd", "socket:1:1:0"]).argv,
        vec![],
        &facility(),
    );
    plan.filters.clear();
    if plan.landlock {
        assert_eq!(run(plan).1, "open:/etc/passwd=EACCES\nsocket:1:1:0=ok\n");
    } else {
        eprintln!("skipped: there is no Landlock here");
    }
}

#[test]
fn a_role_can_serve() {
    use std::io::Write;
    if !is_static(attack()) {
        return eprintln!(
            "skipped: needs a static program: cargo test --target x86_64-unknown-linux-musl --test sandbox"
        );
    }
    let image = File::open(attack()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let argv = attempt(&["serve:5"]).argv;
    let (end, output) = run(role_plan(image.as_raw_fd(), argv, vec![(listener.as_raw_fd(), 5)], &facility()));
    drop(listener);
    assert!(exited(0)(&end.unwrap()), "{output}");
    assert_eq!(output, "serve:5=ok\n");
    assert!(client.join().unwrap().unwrap().ends_with("\r\n\r\nserved"));
}
