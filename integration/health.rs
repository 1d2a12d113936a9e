//! The health role over real sockets, with a pretend PID 1 at the other end of its channel.
//!
//! The role runs as a thread, or as a child process where it is to be killed. Each test has a listener of
//! its own on a port that the kernel picks.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "deadlines of the tests themselves")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test may fail so")]

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tinysvc::engine::State;
use tinysvc::host::health::{Answer, answer, channel, listen};
use tinysvc::roles::health::{CONNECTIONS_MAX, main, main_on_stdio};
use tinysvc::wire::{Component, Phase, Snapshot};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(10);

const STATES: [State; 16] = [
    State::Dead,
    State::StartPre,
    State::Start,
    State::StartPost,
    State::Running,
    State::Reload,
    State::ReloadNotify,
    State::Stop,
    State::StopWatchdog,
    State::StopSigterm,
    State::StopSigkill,
    State::StopPost,
    State::FinalSigterm,
    State::FinalSigkill,
    State::Failed,
    State::AutoRestart,
];

fn snapshot() -> Snapshot {
    let component = |name: &str| Component {
        name: name.into(),
        state: "running".into(),
        result: "success".into(),
        active: true,
        ready: true,
        wanted: true,
        essential: true,
        started_once: true,
        ..Component::default()
    };
    Snapshot {
        nonce: 0,
        version: "0.1.0".into(),
        phase: Phase::Running,
        startup_done: true,
        now: 5_000_000,
        started: 1_000_000,
        orphans_reaped: Some(1),
        components: vec![component("web.service"), component("db@1.service")],
    }
}

/// What the pretend PID 1 knows and does.
struct Pid1 {
    state: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    snapshot: Snapshot,
    /// It does not look at its channel.
    hangs: bool,
    answers: usize,
}

impl Pid1 {
    fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn answers(&self) -> usize {
        self.state.lock().unwrap().answers
    }

    /// PID 1's loop, until the role has gone.
    fn turn(&self, fd: &OwnedFd) {
        loop {
            poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            let mut state = self.changed.wait_while(self.state.lock().unwrap(), |s| s.hangs).unwrap();
            let fresh = |nonce| Snapshot { nonce, ..state.snapshot.clone() };
            match answer(fd.as_fd(), fresh).unwrap() {
                Answer::Sent => state.answers += 1,
                Answer::Nothing => {}
                Answer::Dropped => panic!("the role does not read"),
                Answer::Closed => return,
            }
        }
    }
}

/// A role in a thread, and its PID 1 in another.
struct World {
    address: SocketAddr,
    pid1: Arc<Pid1>,
    listener: TcpListener,
}

impl World {
    /// Both threads end with the test process.
    fn new() -> World {
        let world = World::without_role();
        let (ours, theirs) = channel().unwrap();
        let (listener, pid1) = (world.listener.try_clone().unwrap(), Arc::clone(&world.pid1));
        std::thread::spawn(move || main(listener.into(), theirs));
        std::thread::spawn(move || pid1.turn(&ours));
        world
    }

    fn without_role() -> World {
        let listener = TcpListener::from(listen((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap());
        let address = (Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()).into();
        let state = Mutex::new(Inner { snapshot: snapshot(), hangs: false, answers: 0 });
        World { address, pid1: Arc::new(Pid1 { state, changed: Condvar::new() }), listener }
    }

    /// A role in a process of its own, started as PID 1 starts it: on descriptors 0 and 1.
    fn child(&self, nofile: u64) -> (Child, JoinHandle<()>) {
        let (ours, theirs) = channel().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_role_itself", "--nocapture"])
            .env("TINYSVC_TEST_ROLE", nofile.to_string())
            .stdin(OwnedFd::from(self.listener.try_clone().unwrap()))
            .stdout(theirs)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid1 = Arc::clone(&self.pid1);
        (child, std::thread::spawn(move || pid1.turn(&ours)))
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Sends these bytes and returns all that comes back until the end.
    fn exchange(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        client.write_all(request).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Status and body of a GET.
    fn get(&self, target: &str) -> (u16, String) {
        let answer = self.exchange(format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Clients that have begun a request.
    fn half_open(&self, count: usize) -> Vec<TcpStream> {
        let client = |_| {
            let mut client = self.connect();
            client.write_all(b"GET /livez HT").unwrap();
            client
        };
        (0..count).map(client).collect()
    }

    fn median_probe(&self) -> Duration {
        let mut times: Vec<Duration> = (0..31)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(self.get("/livez"), (200, "ok".into()));
                start.elapsed()
            })
            .collect();
        times.sort();
        times[15]
    }
}

/// Not a test of its own: the child process of the others. What the test harness prints goes to the
/// pretend PID 1, as rubbish that it has to ignore.
#[test]
fn the_role_itself() {
    let Ok(nofile) = std::env::var("TINYSVC_TEST_ROLE") else { return };
    let nofile = nofile.parse().unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, nofile, nofile).unwrap();
    assert_eq!(main_on_stdio(), 0);
}

#[test]
fn a_probe_is_answered_in_the_api_servers_format() {
    let world = World::new();
    let answer =
        world.exchange(b"GET /readyz?verbose&exclude=web HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("Date: ")).collect();
    let expected = [
        "HTTP/1.1 200 OK",
        "Server: tinysvc",
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        &format!("Content-Length: {}", body.len()),
        "Connection: close",
    ];
    assert_eq!(lines, expected);
    let checks =
        "[+]ping ok\n[+]stopping ok\n[+]web.service excluded: ok\n[+]db@1.service ok\nreadyz check passed\n";
    assert_eq!(body, checks);
    let table = [
        ("alive", "/livez", 200, "ok"),
        ("ready", "/readyz", 200, "ok"),
        ("started", "/startupz", 200, "ok"),
        ("healthy", "/healthz", 200, "ok"),
        ("a component, with percent signs", "/readyz/db%401", 200, "ok"),
        ("one check as JSON", "/livez/ping?format=json", 200, "{\"name\":\"ping\",\"ok\":true}\n"),
    ];
    for (why, target, status, body) in table {
        assert_eq!(world.get(target), (status, body.into()), "{why}");
    }
    let metrics = world.get("/metrics").1;
    assert!(metrics.contains("tinysvc_orphans_reaped_total 1\n"));
    // Every state of the engine has its sample.
    for state in STATES {
        let value = u8::from(state == State::Running);
        let sample = format!("tinysvc_unit_state{{unit=\"web.service\",state=\"{state}\"}} {value}\n");
        assert!(metrics.contains(&sample), "{sample}");
    }
    assert_eq!(metrics.matches("tinysvc_unit_state{unit=\"web.service\"").count(), STATES.len());
    assert_eq!(world.get("/nothing").0, 404);
}

#[test]
fn an_answer_is_never_older_than_its_question() {
    let world = World::new();
    for round in 0..100 {
        let (phase, status) = if round % 2 == 0 { (Phase::Draining, 500) } else { (Phase::Running, 200) };
        world.pid1.set(|s| s.snapshot.phase = phase);
        assert_eq!(world.get("/readyz").0, status, "round {round}");
    }
}

#[test]
fn methods_and_what_follows_them() {
    let world = World::new();
    let body = vec![b'x'; 200_000];
    let mut post = b"POST /livez HTTP/1.1\r\nContent-Length: 200000\r\n\r\n".to_vec();
    post.extend(&body);
    let table: [(&str, &[u8], &str, &str); 7] = [
        (
            "HEAD has no body",
            b"HEAD /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\r\n\r\n",
        ),
        (
            "and the length of one",
            b"HEAD /livez HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "Connection: close\r\n\r\n",
        ),
        (
            "1.0 gets one answer",
            b"GET /livez HTTP/1.0\r\n\r\nGET /livez HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\r\n\r\nok",
        ),
        ("by hand", b"GET /livez HTTP/1.0\n\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nok"),
        (
            "POST is refused, and its body does not hide the answer",
            &post,
            "HTTP/1.1 405 Method Not Allowed\r\n",
            "405 method not allowed\n",
        ),
        (
            "a body to GET is passed over",
            b"GET /livez HTTP/1.1\r\nContent-Length: 2\r\n\r\nGE",
            "HTTP/1.1 200 OK\r\n",
            "\r\n\r\nok",
        ),
        (
            "the length of it does not matter",
            b"GET /livez HTTP/1.1\r\nContent-Length: 999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\r\n\r\nok",
        ),
    ];
    for (why, request, start, end) in table {
        let mut client = world.connect();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(start) && answer.ends_with(end), "{why}: {answer}");
    }
    let refused = world.exchange(b"DELETE /readyz HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
}

#[test]
fn one_connection_may_ask_again_and_ahead() {
    let world = World::new();
    let mut client = world.connect();
    let mut buffer = [0; 4096];
    for round in 0..3 {
        client.write_all(b"GET /livez HTTP/1.1\r\n\r\n").unwrap();
        let n = client.read(&mut buffer).unwrap();
        assert!(buffer[..n].ends_with(b"\r\n\r\nok"), "round {round}");
    }
    let ahead = "GET /livez HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\nHEAD /livez HTTP/1.1\r\n\r\n".repeat(100);
    client.write_all(ahead.as_bytes()).unwrap();
    client.write_all(b"GET /livez/web HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, [["200", "404", "200"].repeat(100), vec!["200"]].concat());
}

#[test]
fn answers_beyond_the_socket_buffer_arrive_whole() {
    const COUNT: usize = 150;
    let world = World::new();
    world.pid1.set(|s| {
        let component = s.snapshot.components[0].clone();
        let named = |n| Component { name: format!("{n}.service"), ..component.clone() };
        s.snapshot.components = (0..250).map(named).collect();
    });
    let mut client = world.connect();
    setsockopt(&client, sockopt::RcvBuf, &65_536).unwrap();
    client.write_all("GET /readyz?format=json HTTP/1.1\r\n\r\n".repeat(COUNT).as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    // More than the kernel takes at once: the largest of net.ipv4.tcp_wmem.
    assert!(answers.len() > 4 << 20, "{}", answers.len());
    let bodies: Vec<&str> = answers.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    assert_eq!(bodies.len(), COUNT);
    for body in bodies {
        let (head, body) = body.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.ends_with("}]}\n"));
    }
}

#[test]
fn rubbish_is_refused_and_harms_nobody() {
    let world = World::new();
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(10_000));
    let table: [(&str, &[u8], &str); 6] = [
        ("10,000 bytes of header", long.as_bytes(), "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", "HTTP/1.1 400 Bad Request\r\n"),
        ("no HTTP", b"hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        ("zeros", &[0; 9000], "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ("an end without a head", b"GET /livez", ""),
    ];
    for (why, request, start) in table {
        let mut client = world.connect();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let matches = if start.is_empty() { answer.is_empty() } else { answer.starts_with(start) };
        assert!(matches, "{why}: {answer}");
    }
    // A reset on the heels of a request.
    for _ in 0..300 {
        let mut client = world.connect();
        client.write_all(b"GET /livez HTTP/1.1\r\n\r\n").unwrap();
        setsockopt(&client, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    }
    assert_eq!(world.get("/livez"), (200, "ok".into()));
}

#[test]
fn half_open_connections_delay_nobody() {
    let world = World::new();
    let alone = world.median_probe();
    let begun = Instant::now();
    let silent: Vec<TcpStream> = (0..100).map(|_| world.connect()).collect();
    let half = world.half_open(200);
    let beside = world.median_probe();
    // The role lets them wait for two seconds.
    if begun.elapsed() < Duration::from_millis(1500) {
        for client in half.iter().chain(&silent) {
            client.set_nonblocking(true).unwrap();
            let kind = client.peek(&mut [0]).map_err(|e| e.kind());
            assert_eq!(kind, Err(ErrorKind::WouldBlock), "it is still open");
        }
    }
    assert!(beside < alone + Duration::from_millis(100), "{beside:?} beside them, {alone:?} alone");
}

#[test]
fn more_clients_than_places_make_way_for_the_next_probe() {
    let world = World::new();
    let mut first = world.half_open(1).remove(0);
    let _others = world.half_open(CONNECTIONS_MAX * 2);
    assert_eq!(world.get("/livez"), (200, "ok".into()));
    // Without a word: it was the role that ended it, long before its two seconds.
    let end = first.read(&mut [0]).map_err(|e| e.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
}

#[test]
fn a_slow_client_is_told_and_dropped() {
    let world = World::new();
    let begun = Instant::now();
    let answer = world.exchange(b"GET /livez HTTP/1.1\r\nA: b");
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_hundred_clients_are_few_round_trips() {
    let world = World::new();
    world.pid1.set(|s| s.hangs = true);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    }
    world.pid1.set(|s| s.hangs = false);
    for client in &mut clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("ok"), "{answer}");
    }
    // One for who came first, one for who came meanwhile, and some for who was late.
    let answers = world.pid1.answers();
    assert!((1..=20).contains(&answers), "{answers}");
}

#[test]
fn a_silent_pid_1_is_not_alive() {
    let world = World::new();
    world.pid1.set(|s| s.hangs = true);
    let begun = Instant::now();
    let table = [
        ("/livez", "[-]ping failed: reason withheld\nlivez check failed\n"),
        ("/readyz/web", "internal server error: PID 1 did not answer\n"),
    ];
    for (target, body) in table {
        assert_eq!(world.get(target), (500, body.into()));
    }
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(1800) && elapsed < Duration::from_secs(5), "{elapsed:?}");
    // It comes back, and its late answers are nobody's.
    world.pid1.set(|s| s.hangs = false);
    assert_eq!(world.get("/livez"), (200, "ok".into()));
}

#[test]
fn more_clients_than_places_are_all_answered_when_pid_1_is_silent() {
    let world = World::new();
    world.pid1.set(|s| s.hangs = true);
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS_MAX + 50).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    }
    for client in &mut clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("livez check failed\n"), "{answer}");
    }
}

#[test]
fn a_role_that_is_killed_is_healed_by_the_next() {
    let world = World::without_role();
    for round in 0..3 {
        let (mut child, pid1) = world.child(1024);
        assert_eq!(world.get("/livez"), (200, "ok".into()), "round {round}");
        child.kill().unwrap();
        child.wait().unwrap();
        pid1.join().unwrap();
        // A request that comes meanwhile waits in the listener, which PID 1 still holds.
        let mut early = world.connect();
        early.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
        let (mut child, pid1) = world.child(1024);
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("ok"), "round {round}: {answer}");
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success(), "SIGTERM ends it well");
        pid1.join().unwrap();
    }
}

#[test]
fn a_role_with_few_descriptors_serves_on() {
    // With 24 it knows its limit; with 10 accept(2) runs into it.
    for nofile in [24, 10] {
        let world = World::without_role();
        let (mut child, pid1) = world.child(nofile);
        let _half = world.half_open(100);
        for round in 0..20 {
            assert_eq!(world.get("/livez"), (200, "ok".into()), "{nofile} descriptors, round {round}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        pid1.join().unwrap();
    }
}

#[test]
fn the_role_ends_with_pid_1() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (ours, theirs) = channel().unwrap();
    let role = std::thread::spawn(move || main(listener, theirs));
    drop(ours);
    assert_eq!(role.join().unwrap(), 0);
}

#[test]
fn the_client_reports_by_its_status() {
    let world = World::new();
    let probe = |args: &[&str]| {
        let port = world.address.port().to_string();
        let args = args.iter().copied().chain(["--port", &port]).map(Into::into);
        tinysvc::cli::health::main(args.collect())
    };
    let table: [(&str, &[&str], Phase, u8); 7] = [
        ("ready", &[], Phase::Running, 0),
        ("live", &["live"], Phase::Running, 0),
        ("started", &["startup"], Phase::Running, 0),
        ("a component", &["ready", "db@1"], Phase::Running, 0),
        ("an unknown one", &["ready", "nobody"], Phase::Running, 1),
        ("stopping", &[], Phase::Stopping, 1),
        ("a wrong argument is no health", &["--no"], Phase::Running, 1),
    ];
    for (why, args, phase, status) in table {
        world.pid1.set(|s| s.snapshot.phase = phase);
        assert_eq!(probe(args), status, "{why}");
    }
}
