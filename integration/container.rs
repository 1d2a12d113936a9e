//! A real container, with what `docker run` gives and with less, read from outside.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::stage::{Image, PATIENCE, Start, Stream, poll, skip};

    const HEALTH: u16 = 8469;

    /// The demo's image; or the test says why it is skipped.
    macro_rules! image {
        () => {
            match Image::demo() {
                Ok(image) => image,
                Err(why) => skip!("{why}"),
            }
        };
    }

    /// `{{.State.Health.Status}}` of the container whose init has this pid.
    fn health_of(pid: i32) -> Option<String> {
        let docker = |words: &[&str]| {
            let output = Command::new("docker").args(words).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let wanted = pid.to_string();
        let all = docker(&["ps", "-q"])?;
        let id = all.lines().find(|id| {
            docker(&["inspect", "-f", "{{.State.Pid}}", id]).as_deref() == Some(wanted.as_str())
        })?;
        docker(&["inspect", "-f", "{{.State.Health.Status}}", id])
    }

    #[test]
    fn docker_finds_the_demo_healthy_and_stops_it() {
        let image = image!();
        let mut stage = Start::program("", ["serve", "8080", "hang"])
            .docker(&image, ["--health-interval", "500ms"])
            .start();
        stage.wait_for("serving on 8080", PATIENCE);
        stage.wait_for_status(HEALTH, "/readyz", 200, PATIENCE);
        let healthy = poll(PATIENCE, || health_of(stage.pid()).filter(|status| status == "healthy"));
        assert!(healthy.is_some(), "HEALTHCHECK says {:?}\n{}", health_of(stage.pid()), stage.output());
        assert_eq!(stage.get(8080, "/").expect("an answer").status, 200);
        assert!(stage.zombies().is_empty());
        stage.signal("TERM");
        assert_eq!(stage.exit(PATIENCE), 143);
    }

    /// Read-only root, an arbitrary user, Docker's default capabilities and filter: what needs no privilege works,
    /// and what is not enforced is said.
    #[test]
    fn with_a_read_only_root_and_an_arbitrary_user_all_that_can_work_does() {
        let image = image!();
        let words = ["socket", "AF_NETLINK", "socket", "AF_INET", "status", "notify", "READY=1", "hang"];
        let mut stage = Start::program("", words)
            .env("TINYSVC_TYPE", "notify")
            .env("TINYSVC_RESTRICT_ADDRESS_FAMILIES", "AF_INET AF_INET6 AF_UNIX")
            .env("TINYSVC_CAPABILITY_BOUNDING_SET", "")
            .env("TINYSVC_NICE", "-5")
            .env("TINYSVC_UMASK", "0027")
            .env("TINYSVC_LIMIT_NOFILE", "100")
            .docker(&image, ["--read-only", "--user", "65534"])
            .start();
        stage.wait_for_status(HEALTH, "/readyz", 200, PATIENCE);
        let seen = stage.stream(Stream::Out);
        let table = [
            ("a family that is not listed is refused", "socket AF_NETLINK: EAFNOSUPPORT"),
            ("a family that is listed is not", "socket AF_INET: ok"),
            ("the user is the container's", "Uid: 65534 65534 65534 65534"),
            ("no capability is left", "CapEff: 0000000000000000"),
            ("no program can gain any", "NoNewPrivs: 1"),
            ("the umask is set", "Umask: 0027"),
            ("the limit is set", "Limit: Max open files 100 100 files"),
        ];
        for (why, line) in table {
            assert!(seen.iter().any(|seen| seen == line), "{why}\n{}", stage.output());
        }
        // A higher priority takes CAP_SYS_NICE, which this user does not have.
        let said = stage.stream(Stream::Err);
        assert!(said.iter().any(|line| line.contains("Nice= is degraded")), "not a word\n{}", stage.output());
        stage.signal("TERM");
        assert_eq!(stage.exit(PATIENCE), 143);
    }

    #[test]
    fn a_crash_is_restarted_and_a_forbidden_status_is_passed_on() {
        let image = image!();
        let mut stage = Start::program("", ["count", "/counter", "exit", "crash,5,23,0"])
            .env("TINYSVC_RESTART", "on-failure")
            .env("TINYSVC_RESTART_SEC", "10ms")
            .env("TINYSVC_RESTART_PREVENT_EXIT_STATUS", "23")
            .docker(&image, [""; 0])
            .start();
        assert_eq!(stage.exit(PATIENCE), 23);
        assert_eq!(stage.stream(Stream::Out), ["run 1 exits crash", "run 2 exits 5", "run 3 exits 23"]);
    }
}
