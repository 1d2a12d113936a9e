//! One command under tinysvc, as PID 1 and as an ordinary process: what it starts with, which signals reach it, how
//! it ends, and what becomes of all that it leaves behind.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{BufRead, BufReader, ErrorKind, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::Command;
    use std::time::Duration;

    use super::stage::{self, Folder, PATIENCE, Stage, Start, Stream, now, poll, skip};

    /// Where the same must hold.
    const PLACES: [(&str, fn(Start) -> Start); 2] = [("as PID 1", |start| start), ("beside", Start::plain)];

    fn tinysvc(options: &[&str]) -> Start {
        Start::tinysvc(options)
    }

    /// Sends a signal to whom may have ended already.
    fn try_signal(pid: i32, signal: nix::sys::signal::Signal) {
        let _ended = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }

    /// Is it there, and not only as a zombie?
    fn lives(pid: i32) -> bool {
        let stat = stage::proc_file(pid, "stat");
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    /// One that the init has started itself.
    fn main_process(stage: &Stage) -> i32 {
        stage.wait_for_process(PATIENCE, |p| p.parent == stage.pid()).pid
    }

    #[test]
    fn a_child_starts_with_the_signals_that_its_init_was_started_with() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        const ODD: [&str; 4] = ["env", "--block-signal=USR1,RTMIN+2", "--ignore-signal=HUP,PIPE,CHLD", "--"];
        if !Command::new(ODD[0]).args(&ODD[1..]).arg("true").status().is_ok_and(|s| s.success()) {
            skip!("this env cannot block signals");
        }
        const LOOK: [&str; 3] = ["grep", "^Sig[BIC]", "/proc/self/status"];
        let seen = |start: Start| {
            let mut stage = start.start();
            assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
            stage.stream(Stream::Out)
        };
        for (place, at) in PLACES {
            for before in [&[][..], &ODD] {
                let bare = seen(at(Start::program("/bin/grep", &LOOK[1..])).before(before));
                let mut there = tinysvc(&["--"]).args(LOOK).env("TINYSVC_HEALTH", "off").before(before);
                assert_eq!(bare, seen(at(there)), "{place}");
                // A restart starts from the same state, and so does a command beside the main one.
                there = tinysvc(&["-p", "ExecStartPre=/bin/grep ^Sig[BIC] /proc/self/status", "--", "true"]);
                assert_eq!(bare, seen(at(there.env("TINYSVC_HEALTH", "off").before(before))), "{place}");
                assert!(before.is_empty() || bare[0].ends_with("0000000800000200"), "{bare:?}");
            }
        }
    }

    #[test]
    fn a_child_leads_a_group_of_its_own_and_no_session() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        for (place, at) in PLACES {
            let mut stage = at(tinysvc(&[]).app(["status"])).start();
            assert_eq!(stage.exit(PATIENCE), 0);
            let said = stage.stream(Stream::Out);
            let field = |name: &str| said.iter().find_map(|line| line.strip_prefix(name)).expect("a field");
            assert_eq!(field("Group:").trim(), field("Pid:").trim(), "{place}");
            assert_ne!(field("Session:").trim(), field("Pid:").trim(), "{place}");
            let mut alone = Start::program(stage::demo(), ["status"]).plain().start();
            assert_eq!(alone.exit(PATIENCE), 0);
            let descriptors =
                |said: &[String]| said.iter().find(|line| line.starts_with("Descriptors:")).cloned();
            assert_eq!(descriptors(&said), descriptors(&alone.stream(Stream::Out)), "{place}");
        }
    }

    /// Stops come last: once one was asked for, the others are still passed on.
    #[test]
    fn every_signal_arrives_at_the_child_or_at_its_group() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        // KILL, STOP and CHLD; and what says that the init itself is at fault.
        let never = [9, 19, 17, 4, 5, 6, 7, 8, 11, 31];
        let stops = [2, 3, 15, 37];
        let all: Vec<u32> = (1..=31).chain(34..=64).filter(|n| !never.contains(n)).collect();
        let traps: Vec<String> = all.iter().flat_map(|n| ["trap".into(), n.to_string()]).collect();
        let other: Vec<String> = ["spawn"].map(String::from).into_iter().chain(traps.clone()).collect();
        for (place, at) in PLACES {
            for (options, heard) in [(&[][..], 1), (&["-g"][..], 2)] {
                let start = tinysvc(options)
                    .app(&other)
                    .args(["print", "other is up", "hang", "end"])
                    .args(&traps)
                    .args(["print", "main is up", "hang"]);
                let mut stage = at(start).start();
                stage.wait_for("other is up", PATIENCE);
                stage.wait_for("main is up", PATIENCE);
                for n in all.iter().filter(|n| !stops.contains(n)) {
                    stage.signal(n);
                    stage.wait_for_nth(&format!("got {n} 1"), heard, PATIENCE);
                }
                // SIGTERM and SIGRTMIN+3 say "stop" and become KillSignal=; the others say what they are.
                for (n, line) in [(37, "got 15 1"), (15, "got 15 2"), (2, "got 2 1"), (3, "got 3 1")] {
                    stage.signal(n);
                    stage.wait_for_nth(line, heard, PATIENCE);
                }
                for n in all.iter().filter(|n| **n != 15 && **n != 37 && **n != 18) {
                    let line = format!("got {n} 1");
                    assert_eq!(stage.count(&line), heard, "{place} {options:?}: {line}");
                }
                assert_eq!(stage.count("got 37"), 0, "{place} {options:?}");
                stage::signal_pid(main_process(&stage), "KILL");
                assert_eq!(stage.exit(PATIENCE), 137, "{place} {options:?}");
            }
        }
    }

    #[test]
    fn a_stop_is_a_stop_by_whatever_signal() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let table = [
            ("SIGTERM", 15, 143),
            ("the runtimes' SIGRTMIN+3 becomes KillSignal=", 37, 143),
            ("SIGINT, as itself", 2, 130),
            ("SIGQUIT, as itself", 3, 131),
        ];
        for (place, at) in PLACES {
            for (why, signal, status) in table {
                // Nothing starts again once a stop was asked for.
                let start = tinysvc(&["-r", "always", "-p", "LimitCORE=0"]).app(["print", "up", "hang"]);
                let mut stage = at(start).start();
                stage.wait_for("up", PATIENCE);
                stage.signal(signal);
                assert_eq!(stage.exit(PATIENCE), status, "{why}, {place}\n{}", stage.output());
                assert_eq!(stage.count("up"), 1, "{why}, {place}");
            }
            let mut stage = at(tinysvc(&[]).app(["print", "up", "hang"])).start();
            stage.wait_for("up", PATIENCE);
            stage.signal("HUP");
            assert_eq!(stage.exit(PATIENCE), 129, "SIGHUP is none, and is the child's end, {place}");
        }
    }

    #[test]
    fn a_second_sigterm_is_passed_on_and_moves_no_deadline() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        for (place, at) in PLACES {
            let start = tinysvc(&["-p", "TimeoutStopSec=2"]).app(["trap", "TERM", "print", "up", "hang"]);
            let mut stage = at(start).start();
            stage.wait_for("up", PATIENCE);
            let begin = now();
            stage.signal("TERM");
            stage.wait_for("got TERM 1", PATIENCE);
            // Far more often than every two seconds, so that a deadline which they move never comes.
            let ended = poll(PATIENCE, || {
                try_signal(stage.pid(), nix::sys::signal::SIGTERM);
                (!stage.runs()).then_some(())
            });
            assert!(ended.is_some(), "the deadline never came, {place}");
            assert!(begin.elapsed() >= Duration::from_secs(2), "the deadline came early, {place}");
            assert_eq!(stage.exit(PATIENCE), 137, "{place}");
            assert!(stage.count("got TERM") > 1, "{place}");
        }
    }

    #[test]
    fn the_exit_status_tells_how_it_ended() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = Folder::new();
        let plain = folder.file("plain", "no program").display().to_string();
        let demo = stage::demo().display().to_string();
        let d = demo.as_str();
        let table: [(&str, &[&str], i32, &str); 21] = [
            ("success", &["--", d, "exit", "0"], 0, ""),
            ("a status", &["--", d, "exit", "7"], 7, ""),
            ("the largest", &["--", d, "exit", "255"], 255, ""),
            ("SIGTERM is 128+15", &["--", d, "kill", "TERM"], 143, ""),
            ("SIGKILL is 128+9", &["--", d, "kill", "KILL"], 137, "killed, status=9/KILL"),
            ("SIGABRT is 128+6", &["-p", "LimitCORE=0", "--", d, "crash"], 134, "killed, status=6/ABRT"),
            ("a real-time signal", &["--", "/bin/bash", "-c", "kill -s 35 $$"], 163, "RTMIN+1"),
            ("not found in PATH", &["--", "no-such-program"], 127, "no-such-program: cannot execute"),
            ("not found", &["--", "/no/such/program"], 127, "/no/such/program: cannot execute"),
            ("not executable", &["--", &plain], 126, "Permission denied"),
            ("a folder", &["--", "/etc"], 126, "Permission denied"),
            ("no such user", &["--user", "nobody-such", "--", d], 217, "nobody-such"),
            ("no such group", &["-p", "Group=nobody-such", "--", d], 216, "nobody-such"),
            ("no such folder", &["-p", "WorkingDirectory=/nowhere", "--", d], 200, "WorkingDirectory="),
            ("mapped to 0", &["-e", "143", "--", d, "kill", "TERM"], 0, ""),
            ("mapped to another", &["-p", "ExitStatusMap=7:3 SIGHUP:4", "--", d, "exit", "7"], 3, ""),
            ("mapped by a signal", &["-p", "ExitStatusMap=7:3 SIGHUP:4", "--", d, "kill", "HUP"], 4, ""),
            ("even where nothing ran", &["-e", "127:5", "--", "/no/such/program"], 5, ""),
            ("a wrong option", &["--no-such", "--", d], 64, "--no-such"),
            ("a wrong value", &["-p", "Restart=maybe", "--", d], 64, "maybe"),
            ("a missing unit file", &["--unit", "/no/such/file"], 78, "/no/such/file"),
        ];
        for (place, at) in PLACES {
            for (why, words, status, said) in table {
                // A folder that this user may not enter would make "not found" a "permission denied", as with execvp(3).
                let start = tinysvc(words).env("TINYSVC_HEALTH", "off").env("PATH", "/usr/bin:/bin");
                let mut stage = at(start).start();
                assert_eq!(stage.exit(PATIENCE), status, "{why}, {place}\n{}", stage.output());
                assert!(
                    stage.stream(Stream::Err).join(" ").contains(said),
                    "{why}, {place}\n{}",
                    stage.output()
                );
            }
        }
    }

    #[test]
    fn where_all_is_well_not_a_word_is_said() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        for (place, at) in PLACES {
            let orphans = ["orphans", "40", "spawn", "exit", "0", "end", "exit", "3"];
            let mut stage = at(tinysvc(&[]).app(orphans)).start();
            assert_eq!(stage.exit(PATIENCE), 3, "{place}");
            assert!(stage.stream(Stream::Err).is_empty(), "{place}\n{}", stage.output());
        }
    }

    #[test]
    fn what_outlives_the_main_process_is_asked_then_killed_and_waited_for() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        // In the group, in none that is known, in a session of its own, with and without a parent.
        let tree = [
            &["spawn", "hang", "end"][..],
            &["spawn", "ignore", "TERM", "print", "stubborn is up", "hang", "end"],
            &["spawn", "spawn", "trap", "TERM", "print", "grandchild is up", "hang", "end", "hang", "end"],
            &["orphan", "setsid", "trap", "TERM", "print", "daemon is up", "hang", "end"],
            &[
                "orphan",
                "setsid",
                "spawn",
                "ignore",
                "TERM",
                "print",
                "deaf is up",
                "hang",
                "end",
                "exit",
                "0",
            ],
            &["end", "await", "USR1", "exit", "5"],
        ];
        for (place, at) in PLACES {
            let start = tinysvc(&["-p", "LingerSec=1"]).app(tree.concat());
            let mut stage = at(start).start();
            for who in ["stubborn is up", "grandchild is up", "daemon is up", "deaf is up", "awaiting USR1"] {
                stage.wait_for(who, PATIENCE);
            }
            let all = stage.processes();
            assert!(all.iter().filter(|p| p.state != 'Z').count() >= 7, "{all:?}");
            let begin = now();
            stage.signal("USR1");
            assert_eq!(stage.exit(PATIENCE), 5, "{place}\n{}", stage.output());
            assert!(begin.elapsed() >= Duration::from_secs(1), "LingerSec= was not waited for, {place}");
            assert_eq!(stage.count("got TERM 1"), 2, "each is asked first, {place}\n{}", stage.output());
            let left: Vec<_> = all.iter().filter(|p| lives(p.pid)).collect();
            assert!(left.is_empty(), "{place}: {left:?} are left");
        }
    }

    #[test]
    fn the_end_waits_for_whoever_obeys() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let slow = ["orphan", "setsid", "await", "TERM", "sleep", "0.7", "print", "tidied up", "end"];
        for (place, at) in PLACES {
            let start = tinysvc(&["-p", "LingerSec=60"]).app(slow).args(["await", "USR1", "exit", "6"]);
            let mut stage = at(start).start();
            stage.wait_for("awaiting TERM", PATIENCE);
            stage.wait_for("awaiting USR1", PATIENCE);
            stage.signal("USR1");
            assert_eq!(stage.exit(PATIENCE), 6, "{place}");
            assert_eq!(stage.count("tidied up"), 1, "{place}\n{}", stage.output());
        }
    }

    /// Hundreds of processes that ignore SIGTERM, and among them some that for ever fork and end.
    #[test]
    fn a_fork_bomb_is_gone_within_the_deadline() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        // It ends with the folder too, whatever happens here.
        const BOMB: &str = r#"trap '' TERM
            i=0; while [ $i -lt 300 ]; do (while [ -e "$0/go" ]; do read x; done) <>"$0/wait" & i=$((i + 1)); done
            for i in 1 2 3 4; do /bin/sh "$0/hop" "$0"; done
            echo it grows; read x <>"$0/wait""#;
        for (place, at) in PLACES {
            let folder = Folder::new();
            folder.file("go", "");
            folder.file("hop", "[ -e \"$1/go\" ] && /bin/sh \"$0\" \"$1\" &\n");
            let made = Command::new("mkfifo").arg(folder.path("wait")).status();
            assert!(made.is_ok_and(|s| s.success()), "mkfifo");
            let start = tinysvc(&["-p", "LingerSec=500ms"])
                .env("TINYSVC_HEALTH", "off")
                .args(["--", "/bin/sh", "-c", BOMB])
                .arg(&folder.0);
            let mut stage = at(start).start();
            stage.wait_for("it grows", PATIENCE);
            let all = stage.processes();
            assert!(all.len() > 300, "{place}: {} processes", all.len());
            stage.signal("USR1");
            assert_eq!(stage.exit(PATIENCE), 138, "{place}");
            // Whoever hops would have left the file's name in its command line.
            let name = folder.0.display().to_string();
            let left: Vec<_> = stage::processes()
                .into_iter()
                .filter(|p| stage::proc_file(p.pid, "cmdline").contains(&name) && lives(p.pid))
                .collect();
            assert!(left.is_empty(), "{place}: {left:?} are left");
        }
    }

    #[test]
    fn sockets_that_were_handed_in_are_handed_on() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = Folder::new();
        let file = folder.file("three", "word\n").display().to_string();
        const OURS: &str = r#"exec 3<"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@""#;
        const OTHERS: &str = r#"exec 3<"$0"; export LISTEN_FDS=1 LISTEN_PID=99999; exec "$@""#;
        const LOOK: &str =
            r#"read x <&3; [ $LISTEN_PID = $$ ] && m=mine || m=$LISTEN_PID; echo $x $LISTEN_FDS $m"#;
        for (place, at) in PLACES {
            for (given, said) in [(OURS, "word 1 mine"), (OTHERS, "word 1 99999")] {
                let start = tinysvc(&["--", "/bin/bash", "-c", LOOK]).env("TINYSVC_HEALTH", "off").before([
                    "/bin/bash",
                    "-c",
                    given,
                    &file,
                ]);
                let mut stage = at(start).start();
                assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
                assert_eq!(stage.stream(Stream::Out), [said], "{place}");
            }
        }
    }

    /// Two files on a read-only root: no /proc, no /dev, no /run, no /etc, and where it can be had a user whom nobody knows.
    #[test]
    fn on_a_bare_read_only_root_it_works_and_says_what_it_cannot_do() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("ip") {
            skip!("there is no ip (iproute2)");
        }
        let folder = Folder::new();
        const ROOT: &str = r#"set -e; root=$1 tinysvc=$2 demo=$3; shift 3
            mount -t tmpfs none "$root"; cp "$tinysvc" "$root/tinysvc"; cp "$demo" "$root/demo"
            chmod 755 "$root"; mount -o remount,bind,ro "$root"; exec "$@""#;
        let root = folder.0.display().to_string();
        let (binary, demo) = (stage::tinysvc().display().to_string(), stage::demo().display().to_string());
        let mut before = vec!["/bin/sh", "-c", ROOT, "sh", &root, &binary, &demo, "chroot"];
        if stage::is_root() {
            before.push("--userspec=+4711:+4711");
        }
        before.push(&root);
        let words = [
            &["-p", "Type=notify", "-p", "LingerSec=500ms", "--", "/demo", "touch", "/x"][..],
            &["orphan", "ignore", "TERM", "print", "deaf is up", "hang", "end"],
            &["trap", "USR1", "notify", "READY=1\nSTATUS=bare", "await", "USR2", "exit", "9"],
        ];
        let mut stage = Start::program("/tinysvc", words.concat()).own_network().before(before).start();
        stage.wait_for("touch /x: EROFS", PATIENCE);
        stage.wait_for("deaf is up", PATIENCE);
        stage.wait_for_status(8469, "/readyz", 200, PATIENCE);
        stage.signal("USR1");
        stage.wait_for("got USR1 1", PATIENCE);
        assert!(stage.zombies().is_empty());
        stage.signal("USR2");
        assert_eq!(stage.exit(PATIENCE), 9, "{}", stage.output());
        let said = stage.stream(Stream::Err).join("\n");
        assert!(said.contains("/proc"), "that nobody can be told apart is said\n{}", stage.output());
    }

    /// Not there, not filled, or that of another namespace, where our numbers are other processes.
    #[test]
    fn without_its_own_proc_the_first_process_still_clears_up() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let empty = ["/bin/sh", "-c", r#"mount -t tmpfs none /proc && exec "$@""#, "sh"];
        let mut outer = vec!["--pid", "--fork", "--kill-child"];
        if !stage::is_root() {
            outer.extend(["--user", "--map-root-user"]);
        }
        let starts = [
            ("an empty /proc", tinysvc(&[]).before(empty)),
            ("another's /proc", Start::program("/usr/bin/unshare", outer).arg(stage::tinysvc()).plain()),
        ];
        for (why, start) in starts {
            let words = [
                &["orphan", "setsid", "trap", "TERM", "print", "daemon is up", "hang", "end"][..],
                &["spawn", "hang", "end", "trap", "USR1", "await", "USR2", "exit", "5"],
            ];
            let mut stage = start.args(["-p", "LingerSec=500ms"]).app(words.concat()).start();
            stage.wait_for("daemon is up", PATIENCE);
            stage.wait_for("awaiting USR2", PATIENCE);
            // It is the stage's init, or the child of the unshare(1) that is.
            let all = stage.processes();
            let outer = |p: &stage::Process| p.parent == stage.pid() && p.name.starts_with("tinysvc");
            let init = all.iter().find(|p| outer(p)).map_or(stage.pid(), |p| p.pid);
            stage::signal_pid(init, "USR1");
            stage.wait_for("got USR1 1", PATIENCE);
            stage::signal_pid(init, "USR2");
            assert_eq!(stage.exit(PATIENCE), 5, "{why}\n{}", stage.output());
            assert_eq!(stage.count("got TERM 1"), 1, "{why}: it was asked first\n{}", stage.output());
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nothing_up_and_what_is_lost_is_counted() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        for (place, at) in PLACES {
            let folder = Folder::new();
            let path = folder.path("log").display().to_string();
            nix::unistd::mkfifo(path.as_str(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe with a name");
            // Both ends, so that nobody waits for the other; full from the start.
            let mut pipe = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(nix::libc::O_NONBLOCK)
                .open(&path)
                .expect("the pipe");
            let mut filled = 0;
            loop {
                match pipe.write(&[b'\n'; 4096]) {
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => panic!("{e}"),
                }
            }
            let start = tinysvc(&["-vv"])
                .app(["trap", "USR1", "print", "up", "await", "USR2", "exit", "4"])
                .before(["/bin/bash", "-c", r#"exec 2<>"$0"; exec "$@""#, &path]);
            let mut stage = at(start).start();
            stage.wait_for("up", PATIENCE);
            stage.signal("USR1");
            stage.wait_for("got USR1 1", PATIENCE);
            stage.wait_for("awaiting USR2", PATIENCE);
            let mut reader = BufReader::new(File::open(&path).expect("the pipe"));
            let mut line = Vec::new();
            for _ in 0..filled {
                line.clear();
                reader.read_until(b'\n', &mut line).expect("what was filled in");
                assert_eq!(line, b"\n");
            }
            stage.signal("USR2");
            assert_eq!(stage.exit(PATIENCE), 4, "{place}");
            drop(pipe);
            line.clear();
            reader.read_until(b'\n', &mut line).expect("a line");
            let line = String::from_utf8_lossy(&line).into_owned();
            let lost = line
                .strip_prefix("tinysvc: ")
                .and_then(|l| l.strip_suffix(" log lines were dropped: nobody read them\n"));
            assert!(lost.and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n > 0), "{place}: {line}");
        }
    }

    /// What tinysvc opens for itself then has their numbers, and must still not come to the child.
    #[test]
    fn closed_standard_streams_are_not_missed() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("ip") {
            skip!("there is no ip (iproute2)");
        }
        const LOOK: &str = r#"cd /proc/self/fd; for f in *; do [ -e $f ] && l="$l $f"; done; echo $l >"$0.new"
            mv "$0.new" "$0"; trap 'exit 8' USR1; while :; do sleep 0.1; done"#;
        const CLOSE: &str = r#"exec <&- >&- 2>&-; exec "$@""#;
        let folder = Folder::new();
        let seen = |name: &str, start: Start| {
            let file = folder.path(name);
            let stage = start.arg(&file).before(["/bin/bash", "-c", CLOSE, "bash"]).own_network().start();
            let text = poll(PATIENCE, || std::fs::read_to_string(&file).ok());
            (stage, text.expect("what the child has open"))
        };
        let (_bare, alone) = seen("bare", Start::program("/bin/bash", ["-c", LOOK]));
        let words = ["-vv", "-p", "NotifyAccess=all", "--", "/bin/bash", "-c", LOOK];
        let (mut stage, below) = seen("below", tinysvc(&words));
        assert_eq!(alone, below);
        for _ in 0..3 {
            assert_eq!(stage.wait_for_status(8469, "/livez", 200, PATIENCE).body, "ok");
            // Log lines go nowhere, and nobody takes them for something else.
            stage.signal("WINCH");
        }
        stage.signal("USR1");
        assert_eq!(stage.exit(PATIENCE), 8);
    }

    #[test]
    fn a_broken_invariant_ends_everything_in_order() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let words = [
            &["orphan", "setsid", "trap", "TERM", "print", "daemon is up", "hang", "end"][..],
            &["trap", "USR2", "print", "main is up", "hang"],
        ];
        for (place, at) in PLACES {
            // A debug build takes this signal for the proof that something is wrong.
            let start = tinysvc(&[]).app(words.concat()).env("_TINYSVC_PANIC_AT_SIGNAL", "USR2");
            let mut stage = at(start).start();
            stage.wait_for("main is up", PATIENCE);
            stage.wait_for("daemon is up", PATIENCE);
            let all = stage.processes();
            stage.signal("USR2");
            let told = poll(PATIENCE, || {
                let panicked = stage.count("broken invariant") > 0;
                (panicked || stage.count("got USR2") > 0).then_some(panicked)
            });
            if told == Some(false) {
                skip!("the binary under test is no debug build");
            }
            assert_eq!(stage.exit(PATIENCE), 70, "{place}\n{}", stage.output());
            assert_eq!(stage.count("got TERM 1"), 1, "it was asked before it was killed, {place}");
            let left: Vec<_> = all.iter().filter(|p| lives(p.pid)).collect();
            assert!(left.is_empty(), "{place}: {left:?} are left");
        }
    }
}
