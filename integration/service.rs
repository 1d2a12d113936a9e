//! systemd's service semantics with real processes: who is restarted, what has a deadline, what the other commands are
//! told, and what is said about it. The decisions are tested as tables in the engine; here it is shown that they
//! come about.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::stage::{self, Folder, PATIENCE, Stage, Start, Stream, now, skip};

    /// Properties as arguments.
    fn with(properties: &[&str]) -> Start {
        Start::tinysvc(properties.iter().flat_map(|p| ["-p", p]))
    }

    /// Where among all lines so far the first stands that contains `text`.
    fn place(stage: &Stage, text: &str) -> usize {
        let at = stage.lines().iter().position(|(_, line)| line.contains(text));
        at.unwrap_or_else(|| panic!("no line '{text}'\n{}", stage.output()))
    }

    fn ends(mut stage: Stage, status: i32, why: &str) -> Stage {
        assert_eq!(stage.exit(PATIENCE), status, "{why}\n{}", stage.output());
        stage
    }

    /// The words of `notify` at a pace, so often.
    fn fed(every: &'static str, times: usize) -> Vec<&'static str> {
        ["notify", "WATCHDOG=1", "sleep", every].repeat(times)
    }

    // ---- restarts ----

    #[test]
    fn an_exit_code_decides_whether_it_starts_again() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let table: [(&str, &[&str], &str, usize, i32); 13] = [
            ("no", &[], "9,0", 1, 9),
            ("on-failure: until it succeeds", &["Restart=on-failure"], "3,crash,0", 3, 0),
            ("on-failure: a success is the end", &["Restart=on-failure"], "0", 1, 0),
            ("a forbidden status", &["Restart=always", "RestartPreventExitStatus=23"], "5,23,0", 2, 23),
            ("one by name", &["Restart=always", "RestartPreventExitStatus=DATAERR"], "5,65,0", 2, 65),
            (
                "a forbidden signal",
                &["Restart=always", "RestartPreventExitStatus=SIGABRT"],
                "1,crash,0",
                2,
                134,
            ),
            ("a forced status", &["RestartForceExitStatus=75"], "75,75,3", 3, 3),
            (
                "prevent beats force",
                &["RestartForceExitStatus=75", "RestartPreventExitStatus=75"],
                "75",
                1,
                75,
            ),
            ("a further success", &["Restart=on-failure", "SuccessExitStatus=42"], "1,42,0", 2, 42),
            ("on-success", &["Restart=on-success"], "0,0,4,0", 3, 4),
            ("on-abnormal: no status", &["Restart=on-abnormal"], "crash,5,0", 2, 5),
            ("on-abort: a signal only", &["Restart=on-abort"], "crash,crash,1,0", 3, 1),
            ("on-watchdog: neither", &["Restart=on-watchdog"], "crash,0", 1, 134),
        ];
        for (why, properties, statuses, runs, status) in table {
            let folder = Folder::new();
            let counter = folder.path("counter").display().to_string();
            let mut all = vec!["RestartSec=0", "LimitCORE=0", "StartLimitIntervalSec=0"];
            all.extend(properties);
            let stage = with(&all).app(["count", &counter, "exit", statuses]).start();
            let stage = ends(stage, status, why);
            assert_eq!(stage.count("run "), runs, "{why}\n{}", stage.output());
        }
    }

    #[test]
    fn a_restart_waits_and_a_start_limit_ends_it() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = Folder::new();
        let counter = folder.path("counter").display().to_string();
        let begin = now();
        let stage = with(&["Restart=always", "RestartSec=700ms", "StartLimitBurst=3"])
            .app(["count", &counter, "exit", "6"])
            .start();
        let stage = ends(stage, 6, "its own status is kept");
        assert_eq!(stage.count("run "), 3);
        assert!(begin.elapsed() >= Duration::from_millis(2100), "three restarts were scheduled");
        let said = stage.stream(Stream::Err);
        let last = said.last().expect("a word");
        assert!(last.contains("demo.service: not started: 3 starts within 10s were allowed"), "{last}");
        assert_eq!(stage.count("restart 1 in 700ms: Restart=always"), 1, "{}", stage.output());
    }

    #[test]
    fn a_stop_while_it_waits_for_a_restart_is_the_end() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let stage = with(&["Restart=always", "RestartSec=1h"]).app(["exit", "6"]).start();
        stage.wait_for("restart 1 in 1h", PATIENCE);
        stage.signal("TERM");
        ends(stage, 6, "with the last status");
    }

    // ---- deadlines ----

    #[test]
    fn what_takes_too_long_is_ended() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let notify = "Type=notify";
        let table: [(&str, &[&str], &[&str], i32, &str); 9] = [
            ("RuntimeMaxSec=", &["RuntimeMaxSec=300ms"], &["hang"], 143, "RuntimeMaxSec is over, stopping"),
            (
                "and SIGKILL after TimeoutStopSec=",
                &["RuntimeMaxSec=200ms", "TimeoutStopSec=200ms"],
                &["ignore", "TERM", "hang"],
                137,
                "stop-sigterm timed out after 2",
            ),
            ("never ready", &[notify, "TimeoutStartSec=300ms"], &["hang"], 143, "start timed out after 3"),
            (
                "ready too late",
                &[notify, "TimeoutStartSec=300ms"],
                &["await", "TERM", "notify", "READY=1", "exit", "0"],
                1,
                "start timed out after 3",
            ),
            ("gone before ready", &[notify], &["exit", "0"], 1, "main process ended before READY=1"),
            ("failed before ready", &[notify], &["exit", "5"], 5, ""),
            (
                "ready in time",
                &[notify, "TimeoutStartSec=60"],
                &["sleep", "0.2", "notify", "READY=1", "exit", "0"],
                0,
                "",
            ),
            (
                "a time-out that is put off",
                &[notify, "TimeoutStartSec=3"],
                &["notify", "EXTEND_TIMEOUT_USEC=60000000", "sleep", "3.5", "notify", "READY=1", "exit", "0"],
                0,
                "",
            ),
            (
                "ExecStartPre=",
                &["ExecStartPre=/bin/sleep 1000", "TimeoutStartSec=300ms"],
                &["print", "never"],
                143,
                "start-pre timed out after 3",
            ),
        ];
        for (why, properties, actions, status, said) in table {
            let stage = ends(with(properties).app(actions).start(), status, why);
            let errors = stage.stream(Stream::Err).join("\n");
            assert!(errors.contains(said), "{why}\n{}", stage.output());
            assert!(!said.is_empty() || errors.is_empty(), "{why}\n{}", stage.output());
            assert_eq!(stage.count("never"), 0, "{why}");
        }
    }

    /// Whoever says so and ends at once was ready: its word is read before its end is told.
    #[test]
    fn the_last_word_of_a_process_counts() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        for round in 0..20 {
            let stage = with(&["Type=notify"]).app(["notify", "READY=1", "exit", "0"]).start();
            ends(stage, 0, &format!("round {round}"));
        }
    }

    #[test]
    fn a_watchdog_is_fed_or_bites() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let told = ["env", "WATCHDOG_USEC", "print", "up"];
        let words: Vec<&str> =
            ["notify", "READY=1"].into_iter().chain(fed("0.5", 9)).chain(["exit", "0"]).collect();
        let stage = with(&["Type=notify", "WatchdogSec=3"]).app(told).args(words).start();
        let stage = ends(stage, 0, "fed for longer than it waits");
        assert_eq!(stage.count("WATCHDOG_USEC=3000000"), 1, "{}", stage.output());

        let table: [(&str, &[&str], &[&str], i32, &str); 5] = [
            (
                "not fed",
                &["WatchdogSec=300ms"],
                &["hang"],
                134,
                "watchdog: no WATCHDOG=1 within 300ms; sending SIGABRT",
            ),
            (
                "asked for",
                &["WatchdogSec=1h"],
                &["notify", "WATCHDOG=trigger", "hang"],
                134,
                "WATCHDOG=trigger",
            ),
            (
                "another signal",
                &["WatchdogSec=200ms", "WatchdogSignal=SIGUSR1"],
                &["hang"],
                138,
                "sending SIGUSR1",
            ),
            (
                "it does not obey",
                &["WatchdogSec=200ms", "TimeoutAbortSec=200ms"],
                &["ignore", "ABRT", "hang"],
                137,
                "stop-watchdog timed out after 2",
            ),
            (
                "an interval of its own",
                &["WatchdogSec=1h"],
                &["notify", "WATCHDOG_USEC=200000", "hang"],
                134,
                "no WATCHDOG=1 within 200ms",
            ),
        ];
        for (why, properties, actions, status, said) in table {
            let mut all = vec!["LimitCORE=0"];
            all.extend(properties);
            let stage = ends(with(&all).app(actions).start(), status, why);
            assert!(stage.stream(Stream::Err).join("\n").contains(said), "{why}\n{}", stage.output());
        }
    }

    #[test]
    fn a_watchdog_is_a_reason_to_restart() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = Folder::new();
        let file = folder.path("once").display().to_string();
        let properties = ["Restart=on-watchdog", "RestartSec=0", "WatchdogSec=300ms", "LimitCORE=0"];
        let stage = with(&properties).app(["once", &file, "hang", "end", "exit", "4"]).start();
        let stage = ends(stage, 4, "the second run");
        assert_eq!(stage.count("ended with result watchdog; restart 1"), 1, "{}", stage.output());
    }

    // ---- who is heard ----

    #[test]
    fn notify_access_says_who_is_heard() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let child = ["spawn", "notify", "READY=1", "exit", "0", "end"];
        let main = ["await", "USR1", "notify", "READY=1", "hang"];
        for access in [&["Type=notify"][..], &["Type=notify", "NotifyAccess=main"]] {
            let start = with(access).args(["--log-level", "debug"]);
            let stage = start.app(child).args(main).start();
            stage.wait_for("readiness message ignored", PATIENCE);
            stage.wait_for("awaiting USR1", PATIENCE);
            assert_eq!(stage.count("demo.service: started"), 0, "{access:?}");
            stage.signal("USR1");
            stage.wait_for("demo.service: started", PATIENCE);
        }
        let stage = with(&["Type=notify", "NotifyAccess=all"]).arg("-v").app(child).args(main).start();
        stage.wait_for("demo.service: started", PATIENCE);

        // `exec` hears the other commands, and not the rest.
        let pre = format!("ExecStartPost={} notify STATUS=post notify READY=1", stage::demo().display());
        let start = with(&["Type=simple", "NotifyAccess=exec", &pre]).args(["--log-level", "debug"]);
        let stage = start.app(child).args(["hang"]).start();
        stage.wait_for("readiness message ignored", PATIENCE);
        stage.wait_for("demo.service: started", PATIENCE);
    }

    #[test]
    fn what_it_says_of_itself_is_shown() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("ip") {
            skip!("there is no ip (iproute2)");
        }
        let words = ["notify", "STATUS=warming \"up\"", "await", "USR1", "notify", "READY=1", "hang"];
        let stage = with(&["Type=notify"]).arg("--").arg(stage::demo()).args(words).own_network().start();
        stage.wait_for("awaiting USR1", PATIENCE);
        let body = stage.wait_for_status(8469, "/livez?format=json", 200, PATIENCE).body;
        let json = Json::parse(&body).unwrap_or_else(|| panic!("no JSON: {body}"));
        let component = json.get("components").and_then(|c| c.at(0)).expect("a component");
        let text = |key: &str| component.get(key).map(Json::text);
        assert_eq!(text("name"), Some("demo.service"));
        assert_eq!(text("state"), Some("start"));
        assert_eq!(text("status"), Some("warming \"up\""));
        assert_eq!(stage.get(8469, "/readyz").expect("an answer").status, 500);
        assert_eq!(stage.get(8469, "/startupz").expect("an answer").status, 500);
        stage.signal("USR1");
        stage.wait_for_status(8469, "/readyz", 200, PATIENCE);
        stage.wait_for_status(8469, "/startupz", 200, PATIENCE);
    }

    // ---- the other commands ----

    /// A unit file with every list, each line of which tells what it was given.
    fn unit(folder: &Folder, main: &str) -> String {
        let demo = stage::demo().display().to_string();
        let tell = |name: &str| {
            format!(
                "/bin/sh -c 'echo {name} main=$${{MAINPID:+set}} result=$$SERVICE_RESULT code=$$EXIT_CODE \
                 status=$$EXIT_STATUS'"
            )
        };
        let text = format!(
            "[Unit]\nDescription=for a host\n[Service]\nExecStartPre={}\nExecStartPre=-/bin/false\n\
             ExecStart={demo} {main}\nExecStartPost={}\nExecReload=/bin/sh -c 'kill -USR2 $MAINPID'\n\
             ExecStop={}\nExecStopPost={}\n[X-Tinysvc]\nHealth=off\nExitStatusMap=21:22\n[Install]\n",
            tell("pre"),
            tell("post"),
            tell("stop"),
            tell("stop-post"),
        );
        folder.file("web.service", &text).display().to_string()
    }

    #[test]
    fn the_other_commands_come_in_order_and_know_how_it_ended() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        const PRE: &str = "pre main= result= code= status=";
        const POST: &str = "post main=set result= code= status=";
        const STOP: &str = "stop main=set result=success code= status=";
        let table: [(&str, &str, &str, i32, &[&str]); 4] = [
            (
                "stopped",
                "await USR1 hang",
                "TERM",
                143,
                &[PRE, "awaiting USR1", POST, STOP, "stop-post main= result=success code=killed status=TERM"],
            ),
            (
                "ended by itself, well",
                "await USR1 exit 0",
                "USR1",
                0,
                &[
                    PRE,
                    "awaiting USR1",
                    POST,
                    "stop main= result=success code=exited status=0",
                    "stop-post main= result=success code=exited status=0",
                ],
            ),
            (
                "ended by itself, badly: there is nothing to stop",
                "await USR1 exit 21",
                "USR1",
                22,
                &[PRE, "awaiting USR1", POST, "stop-post main= result=exit-code code=exited status=21"],
            ),
            (
                "killed",
                "await USR1 kill KILL",
                "USR1",
                137,
                &[PRE, "awaiting USR1", POST, "stop-post main= result=signal code=killed status=KILL"],
            ),
        ];
        for (why, main, signal, status, lines) in table {
            let folder = Folder::new();
            let mut stage = Start::tinysvc(["--unit", &unit(&folder, main)]).start();
            stage.wait_for("awaiting USR1", PATIENCE);
            stage.wait_for("post main", PATIENCE);
            stage.signal(signal);
            assert_eq!(stage.exit(PATIENCE), status, "{why}\n{}", stage.output());
            let mut seen = stage.stream(Stream::Out);
            // The main process and ExecStartPost= start at the same time.
            if seen.get(1).is_some_and(|line| line == POST) {
                seen.swap(1, 2);
            }
            assert_eq!(seen, lines, "{why}");
        }
    }

    #[test]
    fn sighup_reloads_where_there_is_a_reload() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let folder = Folder::new();
        let file = unit(&folder, "trap HUP trap USR2 print up await USR1 exit 0");
        let stage = Start::tinysvc(["--unit", &file]).start();
        stage.wait_for("post main", PATIENCE);
        stage.wait_for("awaiting USR1", PATIENCE);
        for n in 1..=3 {
            stage.signal("HUP");
            stage.wait_for(&format!("got USR2 {n}"), PATIENCE);
        }
        stage.signal("USR1");
        let stage = ends(stage, 0, "it goes on as before");
        assert_eq!(stage.count("got HUP"), 0, "{}", stage.output());

        let stage = with(&[]).app(["trap", "HUP", "print", "up", "hang"]).start();
        stage.wait_for("up", PATIENCE);
        stage.signal("HUP");
        stage.wait_for("got HUP 1", PATIENCE);
    }

    #[test]
    fn a_command_that_fails_fails_the_start() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let table = [
            ("before", "ExecStartPre=/bin/sh -c 'exit 13'", 13, 0),
            ("after", "ExecStartPost=/bin/sh -c 'exit 14'", 143, 1),
            ("forgiven", "ExecStartPre=-/bin/sh -c 'exit 13'", 3, 1),
            ("not there", "ExecStartPre=/no/such/command", 127, 0),
        ];
        for (why, property, status, runs) in table {
            let main = ["print", "main runs", "await", "USR1", "exit", "3"];
            let stage = with(&[property]).app(main).start();
            if runs > 0 && status == 3 {
                stage.wait_for("awaiting USR1", PATIENCE);
                stage.signal("USR1");
            }
            let stage = ends(stage, status, why);
            // Whoever is stopped at once may not have come to its first word.
            assert!(stage.count("main runs") <= runs, "{why}\n{}", stage.output());
        }
    }

    // ---- stopping ----

    /// A run that leaves a child behind and fails, and then one that stays: has the child of the first been asked to go?
    #[test]
    fn kill_mode_decides_who_is_left_beside_the_next_run() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let table = [("control-group", true), ("mixed", true), ("process", false), ("none", false)];
        for (mode, cleared) in table {
            let folder = Folder::new();
            let file = folder.path("once").display().to_string();
            let mode = format!("KillMode={mode}");
            let limits = ["Restart=on-failure", "RestartSec=0", "LingerSec=300ms", "TimeoutStopSec=300ms"];
            let mut all = vec![mode.as_str()];
            all.extend(limits);
            let words = [
                &["once", &file, "spawn", "setsid", "trap", "TERM", "print", "child is up", "hang", "end"][..],
                &["await", "USR1", "exit", "1", "end"],
                &["print", "second run", "hang"],
            ];
            let mut stage = with(&all).app(words.concat()).start();
            stage.wait_for("child is up", PATIENCE);
            stage.wait_for("awaiting USR1", PATIENCE);
            stage.signal("USR1");
            stage.wait_for("second run", PATIENCE);
            let before = stage.lines().iter().any(|(_, line)| line == "got TERM 1");
            assert_eq!(before, cleared, "{mode}: asked to go\n{}", stage.output());
            let beside = stage.processes().into_iter().filter(|p| p.state != 'Z').count();
            assert_eq!(beside, if cleared { 1 } else { 2 }, "{mode}: {:?}", stage.processes());
            // In the end everything goes, whatever was spared.
            stage.signal("TERM");
            stage.exit(PATIENCE);
            assert_eq!(stage.count("got TERM 1"), 1, "{mode}\n{}", stage.output());
        }
    }

    /// Everybody at once, or first the main process; or nobody before ExecStopPost= was there.
    #[test]
    fn kill_mode_decides_who_is_asked_to_stop() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let post = "ExecStopPost=/bin/echo post";
        let words = [
            &["spawn", "trap", "SIGTERM", "print", "child is up", "hang", "end"][..],
            &["trap", "TERM", "print", "main is up", "await", "USR1", "exit", "0"],
        ];
        let up = |mode: &str| {
            let stage =
                with(&[mode, post, "LingerSec=300ms", "TimeoutStopSec=60"]).app(words.concat()).start();
            stage.wait_for("child is up", PATIENCE);
            stage.wait_for("main is up", PATIENCE);
            stage.signal("TERM");
            stage
        };
        let stage = up("KillMode=control-group");
        stage.wait_for("got TERM 1", PATIENCE);
        stage.wait_for("got SIGTERM 1", PATIENCE);
        stage.signal("USR1");
        ends(stage, 0, "both are asked while both live");

        for mode in ["KillMode=mixed", "KillMode=process"] {
            let stage = up(mode);
            stage.wait_for("got TERM 1", PATIENCE);
            stage.wait_for("awaiting USR1", PATIENCE);
            assert_eq!(stage.count("got SIGTERM"), 0, "{mode}");
            stage.signal("USR1");
            let stage = ends(stage, 0, mode);
            assert!(place(&stage, "post") > place(&stage, "got TERM 1"), "{mode}\n{}", stage.output());
            assert_eq!(stage.count("got SIGTERM 1"), 1, "what is left is asked in the end, {mode}");
        }

        // Nobody ends the main process, so what waits for it has to have an end.
        let start = with(&["KillMode=none", post, "LingerSec=300ms", "TimeoutStopSec=300ms"]);
        let mut stage = start.app(words.concat()).start();
        stage.wait_for("child is up", PATIENCE);
        stage.wait_for("main is up", PATIENCE);
        stage.signal("TERM");
        stage.exit(PATIENCE);
        assert!(place(&stage, "post") < place(&stage, "got TERM 1"), "{}", stage.output());
    }

    #[test]
    fn a_stop_has_its_own_signals() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let table: [(&str, &[&str], &[&str], &str); 4] = [
            (
                "KillSignal=",
                &["KillSignal=SIGQUIT"],
                &["trap", "QUIT", "await", "USR1", "exit", "2"],
                "got QUIT 1",
            ),
            ("SendSIGHUP=", &["SendSIGHUP=yes"], &["trap", "TERM", "trap", "HUP"], "got HUP 1"),
            (
                "FinalKillSignal=",
                &["TimeoutStopSec=300ms", "FinalKillSignal=SIGUSR2"],
                &["trap", "TERM", "trap", "USR2"],
                "got USR2 1",
            ),
            (
                "SendSIGKILL=no",
                &["TimeoutStopSec=300ms", "SendSIGKILL=no"],
                &["trap", "TERM"],
                "SendSIGKILL=no, going on without killing",
            ),
        ];
        for (why, properties, actions, line) in table {
            let start = with(properties).app(actions).args(["print", "up", "hang"]);
            let mut stage = start.start();
            let first = if actions.contains(&"await") { "awaiting USR1" } else { "up" };
            stage.wait_for(first, PATIENCE);
            stage.signal("TERM");
            stage.wait_for(line, PATIENCE);
            if actions.contains(&"await") {
                stage.signal("USR1");
                assert_eq!(stage.exit(PATIENCE), 2, "{why}");
            }
        }
    }

    #[test]
    fn before_a_stop_it_drains() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("ip") {
            skip!("there is no ip (iproute2)");
        }
        let words = ["--drain", "4", "--"];
        let start = Start::tinysvc(words).arg(stage::demo()).args(["trap", "TERM", "print", "up", "hang"]);
        let mut stage = start.own_network().start();
        stage.wait_for("up", PATIENCE);
        stage.wait_for_status(8469, "/readyz", 200, PATIENCE);
        let begin = now();
        stage.signal("TERM");
        stage.wait_for_status(8469, "/readyz", 500, PATIENCE);
        assert_eq!(stage.get(8469, "/livez").expect("an answer").status, 200);
        // Unless this machine was asleep for so long, the service has heard nothing yet.
        let early = stage.count("got TERM") == 0;
        assert!(early || begin.elapsed() >= Duration::from_secs(4), "{}", stage.output());
        // Asking again hastens nothing.
        stage.signal("TERM");
        stage.wait_for("got TERM 1", PATIENCE);
        assert!(begin.elapsed() >= Duration::from_secs(4));
        let main = stage.wait_for_process(PATIENCE, |p| p.parent == stage.pid() && p.name == "demo");
        stage::signal_pid(main.pid, "KILL");
        assert_eq!(stage.exit(PATIENCE), 137);
    }

    // ---- what is said ----

    #[test]
    fn each_decision_is_a_line_of_text_or_of_json() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let properties =
            ["Restart=on-failure", "RestartSec=10ms", "LimitCORE=0", "RestartPreventExitStatus=23"];
        let logged = |format: &str| {
            let folder = Folder::new();
            let counter = folder.path("counter").display().to_string();
            let start = with(&properties).args(["-vv", "--log-format", format]);
            let stage = start.app(["count", &counter, "exit", "crash,5,23"]).start();
            let stage = ends(stage, 23, format);
            assert_eq!(stage.count("run "), 3);
            stage.stream(Stream::Err)
        };
        let text = logged("text");
        let json = logged("json");
        let expected = [
            "demo.service: started",
            "demo.service: main process ended, code=killed, status=6/ABRT",
            "demo.service: ended with result signal; restart 1 in 10ms: Restart=on-failure",
            "demo.service: main process ended, code=exited, status=5/NOTINSTALLED",
            "demo.service: ended with result exit-code; restart 2 in 10ms: Restart=on-failure",
            "demo.service: main process ended, code=exited, status=23",
            "demo.service: ended with result exit-code; not restarted: RestartPreventExitStatus",
        ];
        let mut rest = text.iter();
        for line in expected {
            assert!(rest.any(|l| *l == format!("tinysvc: {line}")), "no '{line}' in its place: {text:#?}");
        }
        let mut messages = Vec::new();
        for line in &json {
            let fields = Json::parse(line).unwrap_or_else(|| panic!("no JSON: {line}"));
            let field = |key: &str| fields.get(key).map_or("", Json::text).to_owned();
            assert!(["debug", "info", "warn", "error"].contains(&field("level").as_str()), "{line}");
            let unit = field("unit");
            let unit = if unit.is_empty() { unit } else { unit + ": " };
            messages.push(format!("tinysvc: {unit}{}", field("message")));
            if field("message").starts_with("main process ended, code=killed") {
                assert_eq!((field("exit_code").as_str(), field("exit_status").as_str()), ("killed", "ABRT"));
            }
            if field("message").contains("restart 1 in") {
                assert_eq!((field("state").as_str(), field("result").as_str()), ("auto-restart", "signal"));
            }
        }
        assert_eq!(messages, text, "both say the same");
    }

    /// JSON, as far as it is written here: no numbers but plain ones.
    #[derive(Debug, PartialEq)]
    enum Json {
        Text(String),
        /// A number, true, false or null, as it stands.
        Word(String),
        List(Vec<Json>),
        Object(BTreeMap<String, Json>),
    }

    impl Json {
        fn parse(text: &str) -> Option<Json> {
            let mut rest = text.trim_end_matches('\n').chars().peekable();
            let value = Json::value(&mut rest)?;
            rest.next().is_none().then_some(value)
        }

        fn value(rest: &mut std::iter::Peekable<std::str::Chars>) -> Option<Json> {
            match rest.peek()? {
                '"' => Json::string(rest).map(Json::Text),
                '[' => {
                    rest.next();
                    let mut list = Vec::new();
                    while rest.next_if_eq(&']').is_none() {
                        list.push(Json::value(rest)?);
                        rest.next_if_eq(&',').or_else(|| rest.peek().copied().filter(|c| *c == ']'))?;
                    }
                    Some(Json::List(list))
                }
                '{' => {
                    rest.next();
                    let mut object = BTreeMap::new();
                    while rest.next_if_eq(&'}').is_none() {
                        let key = Json::string(rest)?;
                        rest.next_if_eq(&':')?;
                        // Each key once.
                        if object.insert(key, Json::value(rest)?).is_some() {
                            return None;
                        }
                        rest.next_if_eq(&',').or_else(|| rest.peek().copied().filter(|c| *c == '}'))?;
                    }
                    Some(Json::Object(object))
                }
                _ => {
                    let mut word = String::new();
                    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)) {
                        word.push(c);
                    }
                    let number = word.parse::<f64>().is_ok() && word.starts_with(|c: char| c != '+');
                    (number || ["true", "false", "null"].contains(&word.as_str())).then_some(Json::Word(word))
                }
            }
        }

        fn string(rest: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
            rest.next_if_eq(&'"')?;
            let mut text = String::new();
            loop {
                match rest.next()? {
                    '"' => return Some(text),
                    '\\' => match rest.next()? {
                        'n' => text.push('\n'),
                        'u' => {
                            let hex: String = rest.by_ref().take(4).collect();
                            text.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
                        }
                        c @ ('"' | '\\') => text.push(c),
                        _ => return None,
                    },
                    c if c.is_control() => return None,
                    c => text.push(c),
                }
            }
        }

        fn get(&self, key: &str) -> Option<&Json> {
            match self {
                Json::Object(object) => object.get(key),
                _ => None,
            }
        }

        fn at(&self, n: usize) -> Option<&Json> {
            match self {
                Json::List(list) => list.get(n),
                _ => None,
            }
        }

        fn text(&self) -> &str {
            match self {
                Json::Text(text) | Json::Word(text) => text,
                _ => "",
            }
        }
    }

    #[test]
    fn the_json_checker_checks() {
        for good in ["{}", r#"{"a":"b\"\\\n\u0007","c":[1,-2.5,true,{}],"d":null}"#] {
            assert!(Json::parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "{", r#"{"a"}"#, r#"{"a":1"b":2}"#, r#"{"a":1}x"#, r#"{"a":1,"a":1}"#, "\"\u{7}\"", "nope"]
        {
            assert!(Json::parse(bad).is_none(), "{bad}");
        }
    }
}
