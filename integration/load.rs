//! Many at once: orphans and signals in numbers that no service has, and none is lost.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::stage::{self, Start, poll, skip};

    /// How long the machine may need to make that many processes.
    const SECS: u64 = 120;

    #[test]
    fn twenty_thousand_orphans_that_end_at_once_leave_nothing() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let words = ["orphans", "20000", "trap", "TERM", "print", "over", "hang"];
        let stage = Start::tinysvc(["--"]).env("TINYSVC_HEALTH", "off").arg(stage::demo());
        let mut stage = words.into_iter().fold(stage, Start::arg).start();
        stage.wait_for("20000 orphans end", SECS);
        stage.wait_for("over", SECS);
        let left = || {
            let all = stage.processes();
            (all.len() == 1).then_some(all)
        };
        let Some(left) = poll(SECS, left) else {
            panic!(
                "{} processes are left, {} of them zombies",
                stage.processes().len(),
                stage.zombies().len()
            );
        };
        assert_ne!(left[0].state, 'Z', "the program is the one that is left");
        // And it still does its work: a signal goes down, the end comes up.
        stage.signal("TERM");
        stage.wait_for("got TERM 1", SECS);
        stage::signal_pid(left[0].pid, "KILL");
        assert_eq!(stage.exit(SECS), 137);
    }

    #[test]
    fn the_end_of_the_program_is_not_lost_among_the_orphans() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let words = ["orphans", "2000", "exit", "7"];
        let stage = Start::tinysvc(["--"]).env("TINYSVC_HEALTH", "off").arg(stage::demo());
        let mut stage = words.into_iter().fold(stage, Start::arg).start();
        assert_eq!(stage.exit(SECS), 7);
    }

    /// Real-time signals, since the kernel queues each of them; equal ordinary signals it may merge.
    #[test]
    fn a_hundred_thousand_signals_at_full_speed_all_arrive() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let stage = Start::tinysvc(["--"]).env("TINYSVC_HEALTH", "off").arg(stage::demo());
        let stage = ["trap", "RTMIN+6", "print", "up", "hang"].into_iter().fold(stage, Start::arg).start();
        stage.wait_for("up", SECS);
        let all = r#"for ((i = 0; i < 100000; i++)); do kill -s 40 "$1" || exit; done"#;
        let sent = Command::new("bash").args(["-c", all, "bash", &stage.pid().to_string()]).status();
        assert!(sent.expect("bash").success(), "it did not take them all\n{}", stage.output());
        stage.wait_for("got RTMIN+6 100000", SECS);
    }
}
