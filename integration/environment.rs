//! The execution environment of a service, seen from within: streams, folders, credentials, scheduling.
//!
//! The real binary runs a unit whose program is a shell, in a PID namespace that shares the file system with the test. What
//! is made outside of the test's own folder has a name that nobody else has.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use super::stage::{Folder, PATIENCE, Stage, Start, Stream, is_root, no_namespace, skip, unique};
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    macro_rules! namespace {
        () => {
            if let Some(why) = no_namespace() {
                skip!("{why}");
            }
        };
    }

    macro_rules! root {
        () => {
            namespace!();
            if !is_root() {
                skip!("needs root");
            }
        };
    }

    /// A unit with these lines, whose program is `sh -c SCRIPT`; `{}` in either is the folder.
    fn unit(folder: &Folder, lines: &str, script: &str) -> Start {
        let script = script.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
        let text = format!("[Service]\nExecStart=/bin/sh -c \"{script}\"\n{lines}\n");
        let path = folder.file("t.service", &text.replace("{}", &folder.0.to_string_lossy()));
        Start::tinysvc(["--health", "off", "--unit", &path.to_string_lossy()])
    }

    /// Runs it to its end: the status and what it wrote to standard output.
    fn run(folder: &Folder, lines: &str, script: &str) -> (i32, String) {
        let mut stage = unit(folder, lines, script).start();
        let status = stage.exit(PATIENCE);
        (status, stage.stream(Stream::Out).join("\n"))
    }

    fn content(folder: &Folder, name: &str) -> String {
        fs::read_to_string(folder.path(name)).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn streams_lead_where_the_unit_says() {
        namespace!();
        let table: [(&str, &str, &str, i32, &str, &str); 18] = [
            ("as tinysvc's, unless said", "", "echo out; echo err >&2", 0, "out", "old-content\n"),
            (
                "nothing to read",
                "StandardInput=null",
                "cat; readlink /proc/self/fd/0",
                0,
                "/dev/null",
                "old-content\n",
            ),
            ("a file to read", "StandardInput=file:{}/f", "cat", 0, "old-content", "old-content\n"),
            (
                "a file is written from its beginning and errors follow",
                "StandardOutput=file:{}/f",
                "echo NEW; echo err >&2",
                0,
                "",
                "NEW\nerr\nent\n",
            ),
            ("or at its end", "StandardOutput=append:{}/f", "echo NEW", 0, "", "old-content\nNEW\n"),
            ("or alone", "StandardOutput=truncate:{}/f", "echo NEW", 0, "", "NEW\n"),
            (
                "two to one file take turns",
                "StandardOutput=truncate:{}/f\nStandardError=truncate:{}/f",
                "echo one; echo two >&2; echo three",
                0,
                "",
                "one\ntwo\nthree\n",
            ),
            (
                "a file is read and written",
                "StandardInput=file:{}/f\nStandardOutput=file:{}/f",
                "read line; echo $line",
                0,
                "",
                "old-content\nold-content\n",
            ),
            (
                "errors alone",
                "StandardError=append:{}/f",
                "echo out; echo err >&2",
                0,
                "out",
                "old-content\nerr\n",
            ),
            (
                "nowhere",
                "StandardOutput=null\nStandardError=file:{}/f",
                "echo x; echo E >&2",
                0,
                "",
                "E\nd-content\n",
            ),
            (
                "the journal is the container's log",
                "StandardOutput=journal",
                "echo out",
                0,
                "out",
                "old-content\n",
            ),
            (
                "text and data to read",
                "StandardInputText=hello %%n\nStandardInputText=world\\x21\nStandardInputData=Zm9v",
                "cat",
                0,
                "hello %n\nworld!\nfoo",
                "old-content\n",
            ),
            ("no such folder for input", "StandardInput=file:/no/such", "echo x", 208, "", "old-content\n"),
            ("for output", "StandardOutput=file:/no/such/x", "echo x", 209, "", "old-content\n"),
            ("for errors", "StandardError=file:/no/such/x", "echo x", 222, "", "old-content\n"),
            ("a descriptor that nobody passed", "StandardOutput=fd:web", "echo x", 209, "", "old-content\n"),
            (
                "errors to where output goes",
                "StandardOutput=null\nStandardError=inherit",
                "echo x >&2",
                0,
                "",
                "old-content\n",
            ),
            (
                "a terminal that is none is opened all the same",
                "StandardInput=tty\nTTYPath={}/f",
                "readlink /proc/self/fd/0 /proc/self/fd/1 >{}/g; wc -l <{}/g >&2",
                0,
                "",
                "old-content\n",
            ),
        ];
        for (why, lines, script, status, out, file) in table {
            let folder = Folder::new();
            folder.file("f", "old-content\n");
            let (ended, said) = run(&folder, lines, script);
            assert_eq!((ended, said.as_str(), content(&folder, "f").as_str()), (status, out, file), "{why}");
        }
    }

    #[test]
    fn a_start_waits_for_nobody_at_the_other_end() {
        namespace!();
        let folder = Folder::new();
        nix::unistd::mkfifo(&folder.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Nobody reads, and then nobody writes: the service itself may wait, but it is there.
        let lines = "StandardOutput=file:{}/fifo\nStandardError=null";
        let (status, _) = run(&folder, lines, "echo into the pipe");
        assert_eq!(status, 0);
        let lines = "StandardInput=file:{}/fifo";
        let mut stage = unit(&folder, lines, "echo up; read line; echo got $line").start();
        stage.wait_for("up", PATIENCE);
        fs::write(folder.path("fifo"), "a line\n").unwrap();
        stage.wait_for("got a line", PATIENCE);
        assert_eq!(stage.exit(PATIENCE), 0);

        let socket = folder.path("socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (status, _) = run(&folder, "StandardOutput=file:{}/socket", "echo to the socket");
        assert_eq!(status, 0);
        let mut heard = String::new();
        std::io::Read::read_to_string(&mut listener.accept().unwrap().0, &mut heard).unwrap();
        assert_eq!(heard, "to the socket\n");
    }

    #[test]
    fn a_new_file_is_roots_with_the_units_mask() {
        root!();
        let folder = Folder::new();
        let lines = "User=65534\nUMask=0077\nStandardOutput=append:{}/new";
        assert_eq!(run(&folder, lines, "echo x").0, 0);
        let made = fs::metadata(folder.path("new")).unwrap();
        assert_eq!((made.mode() & 0o7777, made.uid(), content(&folder, "new")), (0o600, 0, "x\n".to_owned()));
    }

    #[test]
    fn passed_descriptors_are_found_by_name() {
        namespace!();
        let folder = Folder::new();
        folder.file("in", "from a descriptor\n");
        let lines = "StandardInput=fd:second";
        let path = folder.path("in");
        let start = unit(&folder, lines, "cat").before([
            "sh".to_owned(),
            "-c".to_owned(),
            format!(
                "exec 3</dev/null 4<{} && LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=first:second exec \"$@\"",
                path.display()
            ),
            "sh".to_owned(),
        ]);
        let mut stage = start.start();
        assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
        assert_eq!(stage.stream(Stream::Out), ["from a descriptor"]);
    }

    #[test]
    fn folders_are_there_told_owned_and_gone_at_the_end() {
        root!();
        let folder = Folder::new();
        let name = unique("dirs");
        let cache = format!("/var/cache/{name}");
        fs::create_dir_all(format!("{cache}/below")).unwrap();
        fs::write(format!("{cache}/below/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", format!("{cache}/link")).unwrap();
        let before = fs::metadata("/etc/passwd").unwrap();
        for path in [cache.clone(), format!("{cache}/below"), format!("{cache}/below/file")] {
            std::os::unix::fs::chown(path, Some(7), Some(7)).unwrap();
        }
        let lines = format!(
            "User=65534\nGroup=4\nRuntimeDirectory={name}/sub\nRuntimeDirectoryMode=0700\nStateDirectory={name} {name}/b\n\
             StateDirectoryMode=0750\nCacheDirectory={name}\nLogsDirectory={name}:{name}.link\n\
             ConfigurationDirectory={name}\nConfigurationDirectoryMode=0711"
        );
        let script = "echo $RUNTIME_DIRECTORY $STATE_DIRECTORY $CACHE_DIRECTORY $LOGS_DIRECTORY \
                      $CONFIGURATION_DIRECTORY; cd $RUNTIME_DIRECTORY && touch made && stat -c '%n %a %u:%g' . \
                      $CACHE_DIRECTORY $CACHE_DIRECTORY/below/file $LOGS_DIRECTORY $CONFIGURATION_DIRECTORY";
        let (status, said) = run(&folder, &lines, script);
        let gone = !Path::new(&format!("/run/{name}/sub")).exists();
        let link = fs::read_link(format!("/var/log/{name}.link"));
        let state = fs::metadata(format!("/var/lib/{name}/b")).map(|m| (m.mode() & 0o7777, m.uid(), m.gid()));
        let parent = fs::metadata(format!("/run/{name}")).map(|m| m.uid());
        for root in ["/run", "/var/lib", "/var/cache", "/var/log", "/etc"] {
            let _there = fs::remove_dir_all(format!("{root}/{name}"));
        }
        let _there = fs::remove_file(format!("/var/log/{name}.link"));

        assert_eq!(status, 0, "{said}");
        let expected = format!(
            "/run/{name}/sub /var/lib/{name}:/var/lib/{name}/b {cache} /var/log/{name} /etc/{name}\n. 700 65534:4\n\
             {cache} 755 65534:4\n{cache}/below/file 644 65534:4\n/var/log/{name} 755 65534:4\n/etc/{name} 711 0:0"
        );
        assert_eq!(said, expected);
        assert!(gone, "the runtime directory is removed");
        assert_eq!(parent.ok(), Some(0), "its parent is root's and stays");
        assert_eq!(link.unwrap().to_str(), Some(name.as_str()));
        assert_eq!(state.unwrap(), (0o750, 65_534, 4));
        assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), before.uid(), "a link is not followed");
    }

    /// Restarts once; each run says whether it found what the last one left.
    #[test]
    fn a_runtime_directory_outlives_a_restart_only_if_told_so() {
        root!();
        for (preserve, second, left) in
            [("no", "fresh", false), ("restart", "kept", false), ("yes", "kept", true)]
        {
            let folder = Folder::new();
            let name = unique("preserve");
            let lines = format!(
                "RuntimeDirectory={name}\nRuntimeDirectoryPreserve={preserve}\nRestart=on-failure\nRestartSec=0\n\
                 ExecStopPost=/bin/sh -c 'test -d $RUNTIME_DIRECTORY && echo still there'"
            );
            let script = "if test -e $RUNTIME_DIRECTORY/mark; then echo kept; else echo fresh; fi; \
                          touch $RUNTIME_DIRECTORY/mark; test -e {}/once && exit 0; touch {}/once; exit 1";
            let (status, said) = run(&folder, &lines, script);
            let path = format!("/run/{name}");
            let there = Path::new(&path).exists();
            let _there = fs::remove_dir_all(&path);
            let expected = format!("fresh\nstill there\n{second}\nstill there");
            assert_eq!((status, said.as_str(), there), (0, expected.as_str(), left), "{preserve}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_ends_in_its_own_status() {
        root!();
        let name = unique("blocked");
        for (directive, root, status) in [
            ("RuntimeDirectory", "/run", 233),
            ("StateDirectory", "/var/lib", 238),
            ("CacheDirectory", "/var/cache", 239),
            ("LogsDirectory", "/var/log", 240),
            ("ConfigurationDirectory", "/etc", 241),
        ] {
            let folder = Folder::new();
            let path = format!("{root}/{name}");
            fs::write(&path, "a file").unwrap();
            let (ended, _) = run(&folder, &format!("{directive}={name}/below"), "echo x");
            fs::remove_file(&path).unwrap();
            assert_eq!(ended, status, "{directive}");
        }
        // A link that another user put there is not followed.
        let folder = Folder::new();
        let path = format!("/run/{name}");
        std::os::unix::fs::symlink("/etc", &path).unwrap();
        std::os::unix::fs::lchown(&path, Some(7), Some(7)).unwrap();
        let (ended, _) = run(&folder, &format!("User=65534\nRuntimeDirectory={name}"), "echo x");
        let etc = fs::metadata("/etc").unwrap().uid();
        let _there = fs::remove_file(&path);
        assert_eq!((ended, etc), (233, 0));
    }

    #[test]
    fn credentials_are_for_the_service_alone_and_gone_at_the_end() {
        root!();
        let folder = Folder::new();
        folder.file("secret", "from a file");
        fs::set_permissions(folder.path("secret"), PermissionsExt::from_mode(0o600)).unwrap();
        fs::create_dir(folder.path("many")).unwrap();
        folder.file("many/one", "1");
        folder.file("many/two", "2");
        let name = unique("secret");
        let lines = "User=65534\nLoadCredential=a:{}/secret\nLoadCredential=b:{}/missing\nSetCredential=b:in the unit\\n\n\
                     SetCredential=a:not used\nLoadCredential=m:{}/many";
        let script =
            "cd $CREDENTIALS_DIRECTORY && pwd && cat a b m_one m_two && echo && stat -c '%n %a %u' . a b";
        let text = format!("[Service]\nExecStart=/bin/sh -c \"{}\"\n{lines}\n", script.replace('%', "%%"));
        let path = folder.file(&format!("{name}.service"), &text.replace("{}", &folder.0.to_string_lossy()));
        let mut stage = Start::tinysvc(["--health", "off", "--unit", &path.to_string_lossy()]).start();
        assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
        let said = stage.stream(Stream::Out);
        let place = said.first().cloned().unwrap_or_default();
        assert!(place.ends_with(&format!("/{name}.service")), "{place}");
        assert_eq!(said[1..], ["from a filein the unit", "12", ". 500 65534", "a 400 65534", "b 400 65534"]);
        assert!(!Path::new(&place).exists(), "{place} is still there");

        let (status, _) = run(&folder, "LoadCredential=x:{}/missing", "echo x");
        assert_eq!(status, 243);
    }

    #[test]
    fn a_dynamic_user_has_a_number_of_its_own_and_no_home() {
        root!();
        let folder = Folder::new();
        let name = unique("dynamic");
        let lines = format!("DynamicUser=yes\nUser={}\nStateDirectory={name}", &name[..name.len().min(31)]);
        let script = "id -u; id -g; echo ${HOME-unset} $USER; grep NoNewPrivs /proc/self/status; \
                      touch $STATE_DIRECTORY/x && echo $STATE_DIRECTORY";
        let (status, said) = run(&folder, &lines, script);
        let link = fs::read_link(format!("/var/lib/{name}"));
        let _there = fs::remove_file(format!("/var/lib/{name}"));
        let _there = fs::remove_dir_all(format!("/var/lib/private/{name}"));
        assert_eq!(status, 0, "{said}");
        let lines: Vec<&str> = said.lines().collect();
        let uid: u32 = lines[0].parse().unwrap();
        assert!((61_184..=65_519).contains(&uid), "{uid}");
        assert_eq!(lines[1], lines[0]);
        assert_eq!(lines[2], format!("unset {}", &name[..name.len().min(31)]));
        assert_eq!((lines[3], lines[4]), ("NoNewPrivs:\t1", format!("/var/lib/{name}").as_str()));
        assert_eq!(link.unwrap().to_str(), Some(format!("private/{name}").as_str()));
    }

    #[test]
    fn variables_come_from_files_that_are_read_each_time_and_are_taken_away() {
        namespace!();
        let folder = Folder::new();
        folder.file("1.env", "A=one\nB=\"two words\"\n");
        folder.file("2.env", "A=two\n");
        folder.file("late", "L=first\n");
        let lines = "EnvironmentFile={}/*.env\nEnvironmentFile=-{}/missing\nEnvironmentFile={}/late\n\
                     Environment=A=unit B=unit C=unit\nUnsetEnvironment=C\n\
                     ExecStartPre=/bin/sh -c 'echo L=second >{}/late; echo $$L'";
        let (status, said) = run(&folder, lines, "echo $A,$B,${C-unset},$L");
        assert_eq!((status, said.as_str()), (0, "first\ntwo,two words,unset,second"));
        let lines = "EnvironmentFile={}/late\nRestart=on-failure\nRestartSec=0";
        let script = "echo $L; test $L = third && exit 0; echo L=third >{}/late; exit 1";
        assert_eq!(run(&folder, lines, script), (0, "second\nthird".to_owned()), "at a restart too");

        // A missing one: nothing is started, not even what runs after the end.
        let (status, said) =
            run(&folder, "EnvironmentFile={}/missing\nExecStopPost=/bin/echo stopped", "echo x");
        assert_eq!((status, said.as_str()), (71, ""));
        let table = [
            ("programs are found", "ExecSearchPath={}/bin:/bin", "echo $PATH; mine", "{}/bin:/bin\nfound"),
            (
                "only USER is told",
                "SetLoginEnvironment=no\nUser=root",
                "echo $USER ${LOGNAME-unset}",
                "root unset",
            ),
        ];
        fs::create_dir(folder.path("bin")).unwrap();
        folder.file("bin/mine", "#!/bin/sh\necho found\n");
        fs::set_permissions(folder.path("bin/mine"), PermissionsExt::from_mode(0o755)).unwrap();
        for (why, lines, script, expected) in table {
            let expected = expected.replace("{}", &folder.0.to_string_lossy());
            assert_eq!(run(&folder, lines, script), (0, expected), "{why}");
        }
    }

    /// Lines of `/proc/self/status` and the like, under one directive each.
    #[test]
    fn scheduling_and_signals_are_as_the_unit_says() {
        namespace!();
        // The lower sixteen signals: a runtime of the tests may have others ignored.
        let ignored = "sed -n 's/^SigIgn.*\\(....\\)$/\\1/p' /proc/self/status";
        let policy = "chrt -p $$ | head -1 | sed 's/.*: //'";
        let table: [(&str, &str, &str, &str); 11] = [
            ("batch", "CPUSchedulingPolicy=batch", policy, "SCHED_BATCH"),
            ("idle", "CPUSchedulingPolicy=idle", policy, "SCHED_IDLE"),
            (
                "children begin anew",
                "CPUSchedulingResetOnFork=yes\nCPUSchedulingPolicy=batch",
                policy,
                "SCHED_BATCH|SCHED_RESET_ON_FORK",
            ),
            ("disks when idle", "IOSchedulingClass=idle", "ionice -p $$", "idle"),
            ("disks by priority", "IOSchedulingPriority=7", "ionice -p $$", "best-effort: prio 7"),
            ("timers", "TimerSlackNSec=100us", "cat /proc/self/timerslack_ns", "100000"),
            (
                "one processor",
                "CPUAffinity=0",
                "grep Cpus_allowed_list /proc/self/status",
                "Cpus_allowed_list:\t0",
            ),
            ("SIGPIPE ignored", "IgnoreSIGPIPE=yes", ignored, "1000"),
            ("SIGPIPE not", "IgnoreSIGPIPE=no", ignored, "0000"),
            (
                "what a core has",
                "CoredumpFilter=private-anonymous elf-headers",
                "cat /proc/self/coredump_filter",
                "00000011",
            ),
            ("another machine", "Personality=x86", "uname -m", "i686"),
        ];
        for (why, lines, script, expected) in table {
            if cfg!(not(target_arch = "x86_64")) && why == "another machine" {
                continue;
            }
            let folder = Folder::new();
            assert_eq!(run(&folder, lines, script), (0, expected.to_owned()), "{why}");
        }
    }

    #[test]
    fn no_processor_that_is_there_ends_in_a_status_of_its_own() {
        namespace!();
        let folder = Folder::new();
        assert_eq!(run(&folder, "CPUAffinity=8191", "echo x").0, 215);
    }

    #[test]
    fn a_terminal_becomes_the_services() {
        namespace!();
        let folder = Folder::new();
        let mut stage: Stage = unit(
            &folder,
            "StandardInput=tty\nStandardError=tty\nTTYPath=/dev/null",
            "test -c /dev/stdin && echo as input >&1 || exit 3",
        )
        .start();
        assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
        let demanding =
            unit(&folder, "StandardInput=tty-fail\nTTYPath=/dev/null", "echo x").start().exit(PATIENCE);
        assert_eq!(demanding, 208);
    }
}
