//! A terminal: whoever sits at it finds the shell under tinysvc as it is without, and tinysvc itself an ordinary job.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use super::stage::{self, PATIENCE, Process, Stage, Start, poll, skip};

    /// A field of proc_pid_stat(5), counted from 1; not the second.
    fn field(pid: i32, n: usize) -> i32 {
        let stat = stage::proc_file(pid, "stat");
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(n - 3).and_then(|word| word.parse().ok()).unwrap_or(-1)
    }

    /// Does it belong to the group in the foreground of its terminal?
    fn in_foreground(pid: i32) -> bool {
        let group = field(pid, 5);
        group > 0 && group == field(pid, 8)
    }

    fn state(pid: i32) -> char {
        let stat = stage::proc_file(pid, "stat");
        stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next()).unwrap_or('-')
    }

    /// Waits for the process that runs `sleep` for so many seconds, in the foreground.
    fn sleeper(stage: &Stage, seconds: &str) -> Process {
        let found = poll(PATIENCE, || {
            let runs = |p: &Process| {
                stage::proc_file(p.pid, "cmdline") == format!("sleep\0{seconds}\0") && in_foreground(p.pid)
            };
            stage.processes().into_iter().find(runs)
        });
        found.unwrap_or_else(|| {
            panic!("no sleep in the foreground: {:?}\n{}", stage.processes(), stage.output())
        })
    }

    fn wait_for_state(stage: &Stage, pid: i32, wanted: impl Fn(char) -> bool, what: &str) {
        let reached = poll(PATIENCE, || wanted(state(pid)).then_some(()));
        assert!(reached.is_some(), "not {what}, but {}\n{}", state(pid), stage.output());
    }

    /// Words that are not in what was typed, so that their echo is not taken for them.
    fn shell_answers(stage: &mut Stage, n: u32) {
        stage.send(&format!("echo answer$(({n} + 1000))\n"));
        stage.wait_for(&format!("answer{}", n + 1000), PATIENCE);
    }

    /// Ctrl-C and Ctrl-Z in a shell that sits at the terminal.
    fn jobs_are_controlled(stage: &mut Stage) {
        shell_answers(stage, 1);

        stage.send("sleep 1001\n");
        let job = sleeper(stage, "1001");
        assert_ne!(field(job.pid, 5), field(job.parent, 5), "a job has a group of its own");
        stage.send("\x03");
        wait_for_state(stage, job.pid, |s| s == '-', "ended by Ctrl-C");
        shell_answers(stage, 2);

        stage.send("sleep 1002\n");
        let job = sleeper(stage, "1002");
        stage.send("\x1a");
        wait_for_state(stage, job.pid, |s| s == 'T', "stopped by Ctrl-Z");
        shell_answers(stage, 3);
        assert!(in_foreground(job.parent), "the shell has the terminal back");
        stage.send("fg\n");
        wait_for_state(stage, job.pid, |s| s == 'S', "continued by fg");
        assert_eq!(sleeper(stage, "1002").pid, job.pid);
        stage.send("\x03");
        wait_for_state(stage, job.pid, |s| s == '-', "ended by Ctrl-C");
        shell_answers(stage, 4);

        assert_eq!(stage.count("job control"), 0, "a shell complains\n{}", stage.output());
        stage.send("exit 6\n");
        assert_eq!(stage.exit(PATIENCE), 6);
    }

    #[test]
    fn a_shell_under_it_has_job_control() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let shells = [&["/bin/sh", "-i"][..], &["/bin/bash", "--norc", "-i"]];
        let places: [fn(Start) -> Start; 2] = [|start| start, Start::plain];
        for shell in shells {
            for at in places {
                let start = Start::tinysvc(["--"]).args(shell).env("TINYSVC_HEALTH", "off");
                let mut stage = at(start).terminal().start();
                shell_answers(&mut stage, 0);
                let shell = stage.wait_for_process(PATIENCE, |p| p.parent == stage.pid()).pid;
                assert!(in_foreground(shell), "the child's group is in the foreground");
                assert_ne!(field(shell, 5), field(stage.pid(), 5), "and is not the init's");
                jobs_are_controlled(&mut stage);
            }
        }
    }

    /// PID 1 of a namespace that nobody made a session for: the terminal's groups have no numbers there.
    #[test]
    fn a_terminal_from_outside_the_namespace_is_used_as_well() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let mut words = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
        if !stage::is_root() {
            words.extend(["--user", "--map-root-user"]);
        }
        let start =
            Start::program("/usr/bin/unshare", words).arg(stage::tinysvc()).env("TINYSVC_HEALTH", "off");
        let mut stage = start.args(["--", "/bin/bash", "--norc", "-i"]).plain().terminal().start();
        jobs_are_controlled(&mut stage);
    }

    #[test]
    fn ctrl_c_at_it_is_the_programs() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let places: [fn(Start) -> Start; 2] = [|start| start, Start::plain];
        for at in places {
            let start =
                Start::tinysvc([""; 0]).app(["trap", "INT", "print", "up", "await", "USR1", "exit", "3"]);
            let mut stage = at(start).terminal().start();
            stage.wait_for("up", PATIENCE);
            stage.wait_for("awaiting USR1", PATIENCE);
            // Once, from the terminal: not a second time by way of the init, which would take it for a stop.
            stage.send("\x03");
            stage.wait_for("got INT 1", PATIENCE);
            stage.signal("USR1");
            assert_eq!(stage.exit(PATIENCE), 3);
            assert_eq!(stage.count("got INT"), 1, "{}", stage.output());
        }
    }

    #[test]
    fn it_is_itself_a_job_of_the_shell_that_started_it() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let mut stage = Start::program("/bin/bash", ["--norc", "-i"]).plain().terminal().start();
        shell_answers(&mut stage, 0);
        stage.send(&format!("{} -- sleep 1003\n", stage::tinysvc().display()));
        let program = sleeper(&stage, "1003");
        let ours = program.parent;
        stage.send("\x1a");
        wait_for_state(&stage, program.pid, |s| s == 'T', "stopped by Ctrl-Z");
        wait_for_state(&stage, ours, |s| s == 'T', "stopped along");
        shell_answers(&mut stage, 1);
        // In the background both go on, and the shell keeps the terminal.
        stage.send("bg\n");
        wait_for_state(&stage, program.pid, |s| s == 'S', "continued by bg");
        wait_for_state(&stage, ours, |s| s == 'S', "continued by bg");
        shell_answers(&mut stage, 2);
        assert!(!in_foreground(program.pid) && !in_foreground(ours));
        stage.send("kill %1; wait %1; echo ended=$?\n");
        stage.wait_for("ended=143", PATIENCE);

        stage.send(&format!("{} -- sleep 1004\n", stage::tinysvc().display()));
        let program = sleeper(&stage, "1004");
        stage.send("\x1a");
        wait_for_state(&stage, program.parent, |s| s == 'T', "stopped along");
        shell_answers(&mut stage, 3);
        stage.send("fg\n");
        wait_for_state(&stage, program.pid, |s| s == 'S', "continued by fg");
        wait_for_state(&stage, program.parent, |s| s == 'S', "continued by fg");
        assert_eq!(sleeper(&stage, "1004").pid, program.pid, "and is in the foreground");
        stage.send("\x03");
        wait_for_state(&stage, program.parent, |s| s == '-', "ended by Ctrl-C");
        stage.send("echo status=$?\n");
        stage.wait_for("status=130", PATIENCE);
        assert_eq!(stage.count("tinysvc: "), 0, "nothing is said\n{}", stage.output());
    }

    #[test]
    fn started_in_the_background_it_takes_no_terminal() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let mut stage = Start::program("/bin/bash", ["--norc", "-i"]).plain().terminal().start();
        stage.send(&format!("{} -- sleep 1005 &\n", stage::tinysvc().display()));
        let program = poll(PATIENCE, || {
            let all = stage.processes();
            all.into_iter().find(|p| stage::proc_file(p.pid, "cmdline") == "sleep\x001005\0")
        });
        let program = program.expect("a program in the background");
        shell_answers(&mut stage, 1);
        assert!(!in_foreground(program.pid) && in_foreground(stage.pid()));
        stage.send("kill %1; wait %1; echo ended=$?\n");
        stage.wait_for("ended=143", PATIENCE);
    }
}
