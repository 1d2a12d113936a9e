//! The probes of a real tinysvc, with its health role as a process: what happens when either of the two is ill, when
//! clients are, and when there is no place to listen. And the other way to tell of one's health: upwards.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv6Addr, TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    use super::stage::{self, PATIENCE, Stage, Start, Stream, now, poll, skip, unique};

    const HEALTH: u16 = 8469;

    /// tinysvc with the demo application, and with probes unless the options say otherwise.
    fn tinysvc(options: &[&str], actions: &[&str]) -> Start {
        Start::tinysvc(options).arg("--").arg(stage::demo()).args(actions)
    }

    /// The health role, if it runs.
    fn role(stage: &Stage) -> Option<i32> {
        let is_role = |pid: i32| stage::proc_file(pid, "cmdline").starts_with("tinysvc-health\0");
        stage.processes().into_iter().map(|p| p.pid).find(|pid| is_role(*pid))
    }

    /// The inodes of the sockets that a process listens with, among those of its network.
    fn listens(pid: i32) -> bool {
        let listening: BTreeSet<String> = ["net/tcp", "net/tcp6"]
            .iter()
            .flat_map(|file| {
                let text = stage::proc_file(pid, file);
                let rows = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect());
                let rows: Vec<Vec<String>> = rows.collect();
                // The fourth field is the state, 0A is LISTEN; the tenth the inode: proc_pid_net(5).
                rows.into_iter()
                    .filter(|row| row.get(3).is_some_and(|s| s == "0A"))
                    .filter_map(|row| row.get(9).cloned())
            })
            .collect();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the descriptors");
        open.filter_map(Result::ok).any(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let inode = target.to_string_lossy().replace("socket:[", "").replace(']', "");
            listening.contains(&inode)
        })
    }

    /// A port of this host that was free a moment ago.
    fn free_port() -> u16 {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a port");
        listener.local_addr().expect("an address").port()
    }

    /// One probe on a connection of its own, from outside the namespace.
    fn ask(port: u16, path: &str) -> std::io::Result<String> {
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        client.set_read_timeout(Some(Duration::from_secs(PATIENCE)))?;
        write!(client, "GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn median(mut times: Vec<Duration>) -> Duration {
        times.sort();
        times[times.len() / 2]
    }

    macro_rules! network {
        () => {
            if let Some(why) = stage::no_namespace() {
                skip!("{why}");
            }
            if !stage::has("ip") {
                skip!("there is no ip (iproute2)");
            }
        };
    }

    #[test]
    fn the_role_starts_with_the_first_probe_and_heals_with_the_next() {
        network!();
        let stage = tinysvc(&[], &["print", "up", "hang"]).own_network().start();
        stage.wait_for("up", PATIENCE);
        assert_eq!(role(&stage), None, "nobody has asked yet");
        let mut seen = BTreeSet::new();
        for round in 0..4 {
            let answer = stage.get(HEALTH, "/livez").expect("an answer");
            assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "round {round}");
            let pid = role(&stage).expect("a role");
            assert!(seen.insert(pid), "it is another one each time");
            stage::signal_pid(pid, "KILL");
            // Also while PID 1 does not know yet.
            if round % 2 == 0 {
                let gone = poll(PATIENCE, || (role(&stage) != Some(pid)).then_some(()));
                assert!(gone.is_some(), "it is still there");
            }
        }
        assert_eq!(stage.get(HEALTH, "/readyz").expect("an answer").status, 200);
        assert!(stage.zombies().is_empty());
        let said = stage.stream(Stream::Err);
        assert!(said.iter().all(|line| line.contains("tinysvc-health")), "{said:?}");
    }

    #[test]
    fn the_role_has_no_privilege() {
        network!();
        let stage = tinysvc(&[], &["print", "up", "hang"]).own_network().start();
        stage.wait_for_status(HEALTH, "/livez", 200, PATIENCE);
        let pid = role(&stage).expect("a role");
        let field = |name: &str| stage::status_of(pid, name);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
    }

    #[test]
    fn a_pid_1_that_hangs_is_not_alive() {
        network!();
        let stage = tinysvc(&[], &["print", "up", "hang"]).own_network().start();
        stage.wait_for_status(HEALTH, "/livez", 200, PATIENCE);
        let client = |word: &str| stage.run([stage::tinysvc().as_os_str(), "health".as_ref(), word.as_ref()]);
        assert!(client("live").status.success());
        // From outside its namespace even PID 1 can be stopped.
        stage.signal("STOP");
        let stopped = poll(PATIENCE, || stage.proc("stat").contains(") T ").then_some(()));
        assert!(stopped.is_some(), "it runs on");
        let answer = stage.get(HEALTH, "/livez").expect("the role answers by itself");
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("[-]ping failed"), "{}", answer.body);
        let answer = stage.get(HEALTH, "/livez?format=json").expect("the role answers by itself");
        assert!(answer.body.contains("did not answer"), "{}", answer.body);
        let asked = client("live");
        assert_eq!(asked.status.code(), Some(1), "{asked:?}");
        stage.signal("CONT");
        stage.wait_for_status(HEALTH, "/livez", 200, PATIENCE);
        assert!(client("live").status.success());
    }

    /// The bound is for a machine that does nothing else; beside other work what counts is the difference that the half-open
    /// connections make.
    #[test]
    fn half_open_connections_do_not_delay_a_probe() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        const PROBES: usize = 41;
        // Somebody else may take the port first.
        let (stage, port) = (0..10)
            .find_map(|_| {
                let port = free_port();
                let address = format!("127.0.0.1:{port}");
                let mut stage = tinysvc(&["--health", &address], &["print", "up", "hang"]).start();
                poll(PATIENCE, || (stage.count("up") > 0 || !stage.runs()).then_some(()));
                stage.runs().then_some((stage, port))
            })
            .expect("a port");
        let probes = || {
            let probe = |_| {
                let begin = now();
                let answer = ask(port, "/livez").expect("an answer");
                assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
                begin.elapsed()
            };
            median((0..PROBES).map(probe).collect())
        };
        let alone = probes();
        let half = |_| {
            let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            client.write_all(b"GET /livez HT").expect("half a request");
            client.set_nonblocking(true).expect("a socket");
            client
        };
        let begin = now();
        let clients: Vec<TcpStream> = (0..200).map(half).collect();
        let beside = probes();
        // The role bears with them for two seconds.
        if begin.elapsed() < Duration::from_millis(1500) {
            for client in &clients {
                let kind = client.peek(&mut [0]).map_err(|e| e.kind());
                assert_eq!(kind, Err(ErrorKind::WouldBlock), "it is still open");
            }
        }
        let bound = Duration::from_millis(100).max(alone * 5);
        assert!(beside <= bound, "{beside:?} beside 200 half-open ones, {alone:?} alone\n{}", stage.output());
    }

    #[test]
    fn a_port_in_use_is_a_warning_or_an_error() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        // If this fails somebody else has it, which is as good.
        let taken = TcpListener::bind((Ipv6Addr::UNSPECIFIED, HEALTH));
        let mut stage = tinysvc(&[], &["print", "up", "await", "USR1", "exit", "3"]).start();
        stage.wait_for("cannot answer probes at [::]:8469: Address ", PATIENCE);
        stage.wait_for("Health=off silences this", PATIENCE);
        stage.wait_for("awaiting USR1", PATIENCE);
        stage.signal("USR1");
        assert_eq!(stage.exit(PATIENCE), 3, "it was not asked for, so it runs on");

        for options in [&["--health", "8469"][..], &["--health", "on"], &["-p", "Health=[::]:8469"]] {
            let mut stage = tinysvc(options, &["print", "never"]).start();
            assert_eq!(stage.exit(PATIENCE), 71, "{options:?}");
            let said = "tinysvc: error: cannot answer probes at [::]:8469: Address ";
            let lines = stage.stream(Stream::Err);
            assert!(lines.len() == 1 && lines[0].starts_with(said), "{options:?}: {lines:?}");
            assert_eq!(stage.count("never"), 0);
        }
        drop(taken);
    }

    #[test]
    fn off_is_off_and_beside_it_is_off_unless_asked_for() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let stage = tinysvc(&["--health", "off"], &["print", "up", "hang"]).start();
        stage.wait_for("up", PATIENCE);
        assert!(!listens(stage.pid()) && stage.stream(Stream::Err).is_empty());
        let stage = tinysvc(&[], &["print", "up", "hang"]).plain().start();
        stage.wait_for("up", PATIENCE);
        assert!(!listens(stage.pid()) && stage.stream(Stream::Err).is_empty());
        let port = free_port();
        let stage =
            tinysvc(&["--health", &format!("127.0.0.1:{port}")], &["print", "up", "hang"]).plain().start();
        stage.wait_for("up", PATIENCE);
        assert!(listens(stage.pid()), "{}", stage.output());
        assert!(ask(port, "/readyz").expect("an answer").ends_with("ok"));
    }

    // ---- upwards ----

    /// Whoever started it and wants to hear.
    struct Above {
        socket: UnixDatagram,
        address: String,
    }

    impl Above {
        fn new() -> Above {
            let name = unique("above");
            let address = SocketAddr::from_abstract_name(&name).expect("a name");
            let socket = UnixDatagram::bind_addr(&address).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(PATIENCE))).expect("a socket");
            Above { socket, address: format!("@{name}") }
        }

        fn hear(&self) -> String {
            let mut buffer = [0; 4096];
            let n = self.socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        }

        /// What came and was not heard yet.
        fn rest(&self) -> Vec<String> {
            self.socket.set_nonblocking(true).expect("a socket");
            let mut buffer = [0; 4096];
            std::iter::from_fn(|| {
                self.socket.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
            })
            .collect()
        }
    }

    #[test]
    fn whoever_is_above_hears_how_it_stands() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let places: [fn(Start) -> Start; 2] = [|start| start, Start::plain];
        for at in places {
            let above = Above::new();
            let words = [
                &["env", "WATCHDOG_USEC", "env", "WATCHDOG_PID", "notify", "STATUS=warming up"][..],
                &[
                    "await",
                    "USR1",
                    "notify",
                    "READY=1\\nSTATUS=serving",
                    "trap",
                    "TERM",
                    "print",
                    "up",
                    "await",
                    "USR2",
                ],
                &["exit", "0"],
            ];
            let start = tinysvc(&["-p", "Type=notify"], &words.concat()).env("NOTIFY_SOCKET", &above.address);
            let mut stage = at(start).start();
            stage.wait_for("WATCHDOG_USEC unset", PATIENCE);
            stage.wait_for("WATCHDOG_PID unset", PATIENCE);
            assert_eq!(above.hear(), "STATUS=warming up");
            stage.wait_for("awaiting USR1", PATIENCE);
            assert!(!listens(stage.pid()), "there is somebody above to tell\n{}", stage.output());
            stage.signal("USR1");
            let mut both = [above.hear(), above.hear()];
            both.sort();
            assert_eq!(both, ["READY=1", "STATUS=serving"]);
            stage.wait_for("awaiting USR2", PATIENCE);
            stage.signal("TERM");
            assert_eq!(above.hear(), "STOPPING=1");
            stage.wait_for("got TERM 1", PATIENCE);
            stage.signal("USR2");
            assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
            assert!(above.rest().is_empty(), "each is told once");
        }
    }

    #[test]
    fn the_child_does_not_see_the_socket_above() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        let above = Above::new();
        let start = |options: &[&str]| {
            let stage = tinysvc(options, &["env", "NOTIFY_SOCKET"]).env("NOTIFY_SOCKET", &above.address);
            let mut stage = stage.start();
            assert_eq!(stage.exit(PATIENCE), 0, "{}", stage.output());
            stage.stream(Stream::Out)
        };
        assert_eq!(start(&[]), ["NOTIFY_SOCKET unset"]);
        let own = start(&["-p", "NotifyAccess=all"]);
        assert!(own[0].starts_with("NOTIFY_SOCKET=@") && !own[0].contains(&above.address), "{own:?}");
        let heard: BTreeSet<String> = above.rest().into_iter().collect();
        assert_eq!(heard, ["READY=1", "STOPPING=1"].map(String::from).into());
    }

    #[test]
    fn the_watchdog_above_is_fed_while_the_loop_turns() {
        if let Some(why) = stage::no_namespace() {
            skip!("{why}");
        }
        const OURS: &str = r#"export WATCHDOG_PID=$$; exec "$@""#;
        const OTHERS: &str = r#"export WATCHDOG_PID=999999; exec "$@""#;
        let start = |at: fn(Start) -> Start, above: &Above, given: &str, actions: &[&str]| {
            let start = tinysvc(&[], actions)
                .env("NOTIFY_SOCKET", &above.address)
                .env("WATCHDOG_USEC", "200000")
                .before(["/bin/bash", "-c", given, "bash"]);
            at(start).start()
        };
        let places: [fn(Start) -> Start; 2] = [|start| start, Start::plain];
        for at in places {
            let above = Above::new();
            let stage = start(at, &above, OURS, &["hang"]);
            let mut fed = 0;
            while fed < 5 {
                fed += usize::from(above.hear() == "WATCHDOG=1");
            }
            // A loop that does not turn feeds nobody.
            stage.signal("STOP");
            let stopped = poll(PATIENCE, || stage.proc("stat").contains(") T ").then_some(()));
            assert!(stopped.is_some());
            above.rest();
            let silence = now();
            let news = poll(1, || (!above.rest().is_empty()).then_some(()));
            assert!(news.is_none(), "after {:?}", silence.elapsed());
            stage.signal("CONT");
            let news = poll(PATIENCE, || above.rest().contains(&"WATCHDOG=1".into()).then_some(()));
            assert!(news.is_some());

            let above = Above::new();
            let mut stage = start(at, &above, OTHERS, &["sleep", "0.5"]);
            assert_eq!(stage.exit(PATIENCE), 0);
            assert_eq!(above.rest(), ["READY=1", "STOPPING=1"], "it was meant for another process");
        }
    }
}
