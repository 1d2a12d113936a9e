//! What an init meets once a year: no descriptors, no `/proc`, children that somebody else left, more dead than one turn
//! takes. One scenario a test, the real binary, read from outside.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use super::stage::{self, PATIENCE, Stage, Start, poll, skip};

    /// A shell that ends as the init that it executes: what stands in `before` is its own doing.
    fn through_shell(before: &str, words: &[&str]) -> Start {
        let program = stage::tinysvc();
        let script = format!("{before}\nexec \"$@\"");
        let args = ["-c", &script, "sh", &program.to_string_lossy()].map(String::from);
        Start::program("/bin/sh", args.into_iter().chain(words.iter().map(|word| (*word).to_owned())))
    }

    fn no_zombies(stage: &Stage, why: &str) {
        let gone = poll(PATIENCE, || stage.zombies().is_empty().then_some(()));
        assert!(gone.is_some(), "{why}: {} zombies\n{}", stage.zombies().len(), stage.output());
    }

    /// SIGCHLD is one signal for however many have ended, so what one turn leaves must be remembered.
    #[test]
    fn more_dead_than_one_turn_takes_leave_no_zombie() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("setarch") {
            skip!("there is no setarch");
        }
        let program =
            "echo ready; read go; for i in $(seq 4500); do (true &); done; echo made; exec sleep 1000";
        // As on a kernel that cannot reap by itself: 2.6.
        let mut stage = Start::tinysvc(["-p", "Health=off", "--", "sh", "-c", program])
            .before(["setarch", "--uname-2.6"])
            .stdin()
            .start();
        stage.wait_for("ready", PATIENCE);
        stage.signal("STOP");
        stage.send("go\n");
        stage.wait_for("made", 4 * PATIENCE);
        assert!(poll(PATIENCE, || (stage.zombies().len() >= 4500).then_some(())).is_some());
        stage.signal("CONT");
        no_zombies(&stage, "4500 at once");
    }

    /// Between two runs nobody is there whose end a pidfd could tell, and orphans come all the same.
    #[test]
    fn orphans_between_two_runs_leave_no_zombie() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let program = "for i in $(seq 40); do (sleep 0.3 &); done; exit 1";
        let options =
            ["-v", "-p", "Health=off", "-p", "KillMode=process", "-p", "RestartSec=1000", "-r", "always"];
        let stage = Start::tinysvc(options.into_iter().chain(["--", "sh", "-c", program])).start();
        stage.wait_for("restart 1 in", PATIENCE);
        let ended = poll(PATIENCE, || stage.processes().iter().all(|p| p.state == 'Z').then_some(()));
        assert!(ended.is_some(), "{:?}", stage.processes());
        no_zombies(&stage, "40 orphans");
    }

    /// `foo & exec tinysvc …` in a script: what ended before tinysvc was there raises no SIGCHLD for it.
    #[test]
    fn a_child_that_ended_before_us_is_reaped() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = stage::Folder::new();
        let fifo = folder.path("fifo");
        // While it reads, the shell reaps nobody.
        let before = format!("mkfifo {0}; true & (sleep 0.3; echo go > {0}) & read go < {0}", fifo.display());
        let program = ["-p", "Health=off", "--", "sh", "-c", "echo up; exec sleep 1000"];
        let stage = through_shell(&before, &program).start();
        stage.wait_for("up", PATIENCE);
        no_zombies(&stage, "a child of the script's");
    }

    /// Where the limit cuts them short, the kernel makes as many as there is room for.
    #[test]
    fn descriptors_in_a_message_do_not_stay_with_us() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("python3") {
            skip!("there is no python3 to send descriptors");
        }
        let sender = "import array, os, socket, sys
to = '\\0' + os.environ['NOTIFY_SOCKET'][1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
fds = array.array('i', [0] * 253)
for n in range(3):
    try:
        s.sendmsg([b'STATUS=x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], 0, to)
    except OSError as e: # ETOOMANYREFS: so many on their way are not everybody's right.
        print(e)
s.sendto(b'READY=1', to)
sys.stdin.read()";
        let words = ["-v", "-p", "Type=notify", "-p", "Health=off", "--", "python3", "-c", sender];
        let stage = through_shell("ulimit -S -n 100", &words).stdin().start();
        stage.wait_for("started", PATIENCE);
        let open = std::fs::read_dir(format!("/proc/{}/fd", stage.pid())).map(Iterator::count).unwrap_or(0);
        assert!((3..20).contains(&open), "{open} descriptors are open\n{}", stage.output());
    }

    /// `unshare --pid --fork` alone leaves the /proc of the namespace outside, where our number is another process's.
    #[test]
    fn the_proc_of_another_namespace_names_nobody_here() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let user: &[&str] = if stage::is_root() { &[] } else { &["--user", "--map-root-user"] };
        let program = stage::tinysvc();
        let tinysvc = program.to_string_lossy();
        let words =
            ["--pid", "--fork", "--kill-child", &tinysvc, "-p", "Health=off", "-p", "LingerSec=200ms"];
        let script = ["--", "sh", "-c", "sleep 1000 & exit 3"];
        let words = user.iter().copied().chain(words).chain(script);
        let mut stage = Start::program("/usr/bin/unshare", words).plain().start();
        assert_eq!(stage.exit(PATIENCE), 3, "{}", stage.output());
    }

    /// A plan serves an activation and its restarts, whatever commands run before them.
    #[test]
    fn a_degraded_directive_is_told_once() {
        let folder = stage::Folder::new();
        let unit = "[Service]\nExecStartPre=/bin/true\nExecStart=/bin/false\nRestart=always\nRestartSec=10ms\n\
            StartLimitBurst=3\nOOMScoreAdjust=-1000\n";
        let unit = folder.file("a.service", unit);
        let start = Start::tinysvc([std::ffi::OsStr::new("--unit"), unit.as_os_str()]).plain();
        let start = if stage::is_root() { start.user(65_534) } else { start };
        let mut stage = start.start();
        assert_eq!(stage.exit(PATIENCE), 1, "{}", stage.output());
        assert_eq!(stage.count("OOMScoreAdjust= is degraded"), 1, "{}", stage.output());
    }

    /// The number of a closed standard descriptor is the first that the kernel gives to whatever is opened.
    #[test]
    fn closed_standard_descriptors_do_not_become_ours_or_the_programs() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = stage::Folder::new();
        let seen = folder.path("seen");
        let program =
            format!("ls -l /proc/self/fd >{0}.new; mv {0}.new {0}; exec sleep 1000", seen.display());
        let words = ["-v", "-p", "Type=notify", "--", "sh", "-c", &program];
        let stage = through_shell("exec <&- >&- 2>&-", &words).own_network().start();
        let seen = poll(PATIENCE, || std::fs::read_to_string(&seen).ok()).unwrap_or_default();
        let ours = ["socket:", "anon_inode:", "tinysvc-"].map(|what| format!("-> {what}"));
        assert!(!seen.is_empty() && !ours.iter().any(|what| seen.contains(what)), "{seen}");
        // A probe that fails is what the role has a line to log about.
        stage.wait_for_status(8469, "/readyz", 500, PATIENCE);
        let is_role = |pid: i32| stage::proc_file(pid, "cmdline").starts_with("tinysvc-health");
        let role = stage.wait_for_process(PATIENCE, |process| is_role(process.pid)).pid;
        for (pid, fd) in [(stage.pid(), 0), (stage.pid(), 1), (stage.pid(), 2), (role, 2)] {
            let what = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
            assert_eq!(what.to_string_lossy(), "anon_inode:[eventpoll]", "descriptor {fd} of {pid}");
        }
    }

    /// The limit is PID 1's own; the program raises it for itself.
    #[test]
    fn without_descriptors_for_probes_the_program_runs_and_the_reason_is_told_once() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let demo = stage::demo();
        let program = "ulimit -S -n 100; trap 'for i in 1 2 3 4; do \"$0\" exit 0 & done; wait; exit 4' TERM; \
            echo up; while :; do sleep 0.05; done";
        for limit in [4, 5, 6] {
            let words = ["--", "sh", "-c", program, &demo.to_string_lossy()].map(String::from);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut stage = through_shell(&format!("ulimit -S -n {limit}"), &words).own_network().start();
            stage.wait_for("up", PATIENCE);
            stage.signal("TERM");
            assert_eq!(stage.exit(PATIENCE), 4, "{limit} descriptors\n{}", stage.output());
            let told = stage.count("probes are not answered") + stage.count("cannot answer probes");
            assert_eq!(told, 1, "{limit} descriptors\n{}", stage.output());
        }
    }

    /// Another user's process may not be killed by us; when we end, the kernel does it.
    #[test]
    fn a_process_that_we_may_not_kill_does_not_keep_the_container() {
        if !stage::is_root() || !stage::has("setpriv") {
            skip!("another user's process is root's to make");
        }
        let identity = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        let options = ["-p", "Health=off", "-p", "KillMode=process", "-p", "LingerSec=0"];
        let words: Vec<&str> = options.into_iter().chain(["--", "sh", "-c", "exit 3"]).collect();
        let mut stage = through_shell(&format!("sleep 1000 & exec {identity} \"$@\""), &words).start();
        assert_eq!(stage.exit(PATIENCE), 3, "{}", stage.output());
        assert_eq!(stage.count("processes are still there after SIGKILL"), 1, "{}", stage.output());
        stage.wait_for("giving up on processes that SIGKILL does not end", PATIENCE);
    }

    /// The role's own end is told although the service's rest is still waited for.
    #[test]
    fn a_killed_role_is_healed_while_the_rest_of_the_service_lingers() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let program = "(trap '' TERM; echo up; while :; do sleep 0.1; done) & read go; exit 3";
        let mut stage = Start::tinysvc(["-v", "-p", "LingerSec=1000", "--", "sh", "-c", program])
            .own_network()
            .stdin()
            .start();
        stage.wait_for("up", PATIENCE);
        stage.wait_for_status(8469, "/livez", 200, PATIENCE);
        stage.send("go\n");
        stage.wait_for("main process ended", PATIENCE);
        let is_role = |pid: i32| stage::proc_file(pid, "cmdline").starts_with("tinysvc-health");
        let role = stage.wait_for_process(PATIENCE, |process| is_role(process.pid)).pid;
        stage::signal_pid(role, "KILL");
        stage.wait_for("tinysvc-health.service: main process ended", PATIENCE);
        let before = stage::now();
        let answer = stage.get(8469, "/livez").map(|response| response.status);
        // A kubelet waits for a second; the time-outs of a role that is in the way of its own end are eight.
        let took = before.elapsed().as_secs();
        assert!(answer == Some(200) && took < 4, "{answer:?} after {took} s\n{}", stage.output());
    }

    /// Whoever started us may have gone, and a watchdog would tell of it twice a period.
    #[test]
    fn a_socket_above_that_nobody_reads_is_told_once() {
        let demo = stage::demo();
        let mut stage = Start::tinysvc(["--", &*demo.to_string_lossy(), "sleep", "0.5", "exit", "3"])
            .env("NOTIFY_SOCKET", "/nonexistent/socket")
            .env("WATCHDOG_USEC", "20000")
            .plain()
            .start();
        assert_eq!(stage.exit(PATIENCE), 3, "{}", stage.output());
        assert_eq!(stage.count("NOTIFY_SOCKET: cannot send"), 1, "{}", stage.output());
    }

    /// A hardened image has its programs for executing only: mode 0711.
    #[test]
    fn a_binary_that_may_not_be_read_answers_probes() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::is_root() {
            skip!("whose file it is may read it: another user is root's to become");
        }
        let folder = stage::Folder::new();
        let copy = folder.path("tinysvc");
        std::fs::copy(stage::tinysvc(), &copy).expect("a copy");
        let execute = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(&copy, execute).expect("permissions");
        let stage = Start::program(copy, ["--", "sleep", "1000"]).own_network().user(65_534).start();
        stage.wait_for_status(8469, "/readyz", 200, PATIENCE);
    }
}
