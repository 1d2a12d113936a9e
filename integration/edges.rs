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
}
