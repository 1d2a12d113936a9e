//! The stage itself: what the other tests build upon is true, shown with programs that are known.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use super::stage::{self, Image, PATIENCE, Start, Stream, skip};

    #[test]
    fn a_program_is_pid_1_and_its_status_comes_out() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let mut stage = Start::program("/bin/sh", ["-c", "echo pid $$; echo oops >&2; exit 7"]).start();
        assert_eq!(stage.exit(PATIENCE), 7);
        assert_eq!(stage.stream(Stream::Out), ["pid 1"]);
        assert_eq!(stage.stream(Stream::Err), ["oops"]);
    }

    #[test]
    fn signals_arrive_from_outside_and_proc_is_read_from_outside() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let words = ["trap", "USR1", "trap", "RTMIN+5", "spawn", "exit", "0", "end", "print", "up", "hang"];
        let mut stage = Start::program(stage::demo(), words).start();
        stage.wait_for("up", PATIENCE);
        stage.signal("USR1");
        stage.wait_for("got USR1 1", PATIENCE);
        stage.signal(39);
        stage.wait_for("got RTMIN+5 1", PATIENCE);
        // The demo reaps nothing, so its dead child stays for everybody to see.
        stage.wait_for_process(PATIENCE, |p| p.state == 'Z');
        assert_eq!(stage.zombies().len(), 1);
        stage.signal("KILL");
        assert_ne!(stage.exit(PATIENCE), 0);
    }

    #[test]
    fn a_network_of_its_own_is_reached() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        if !stage::has("ip") {
            skip!("there is no ip (iproute2)");
        }
        let stage =
            Start::program(stage::demo(), ["serve", "8080", "env", "PWD", "hang"]).own_network().start();
        stage.wait_for("serving on 8080", PATIENCE);
        stage.wait_for("PWD unset", PATIENCE);
        let response = stage.get(8080, "/x").expect("an answer");
        assert_eq!((response.status, response.body.as_str()), (200, "hello from the demo\n"));
        assert!(stage.get(8081, "/").is_none());
    }

    #[test]
    fn a_terminal_is_typed_at() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let mut stage =
            Start::program("/bin/sh", ["-c", "read x; echo got $x; sleep 1000"]).terminal().start();
        stage.send("word\n");
        stage.wait_for("got word", PATIENCE);
    }

    #[test]
    fn a_container_runs_and_leaves() {
        let image = match Image::build("docker/Dockerfile.demo", &["tinysvc", "demo"]) {
            Ok(image) => image,
            Err(why) => skip!("{why}"),
        };
        let words = ["serve", "8080", "hang"];
        let options = ["--entrypoint", "/app", "--read-only", "--user", "65534"];
        let mut stage = Start::program("", words).docker(&image, options).start();
        stage.wait_for("serving on 8080", PATIENCE);
        assert_eq!(stage.get(8080, "/").expect("an answer").status, 200);
        assert!(stage.processes().is_empty());
        stage.signal("KILL");
        assert_eq!(stage.exit(PATIENCE), 137);
    }
}
