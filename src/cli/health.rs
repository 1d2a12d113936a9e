//! `tinysvc health`: asks the running tinysvc how it is, for HEALTHCHECK and exec probes.
//!
//! The exit status is 0 for healthy and 1 for anything else, a wrong argument too: Docker defines no other
//! number for a health check, and one that cannot be asked must not look healthy. Silence is health; a
//! failure prints the checks that fail with their reasons.
//!
//! `ready` is what is asked unless a word says otherwise, since that is what `depends_on: service_healthy`
//! and an operator mean. The probe runs every few seconds for ever, so it does little: one connection, one
//! write, a bounded read, and more only when something is wrong.
#![forbid(unsafe_code)]

use crate::unit::health;
use crate::unit::spec::Health;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// T-I-N-Y on a telephone.
const PORT: u16 = 8469;
/// The longest answer that is read, in bytes; a kubelet reads as much of its own probes'.
const ANSWER_LEN_MAX: usize = 10 * 1024;
/// Longer than the role may take (900 ms), shorter than any prober's patience.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The longest `--timeout`: a day.
const TIMEOUT_MAX: Duration = Duration::from_secs(86_400);
/// Failing checks whose reasons are asked for.
const REASONS_MAX: usize = 8;

const USAGE: &str = "usage: tinysvc health [live|ready|startup] [--address ADDR:PORT] [--port PORT] \
    [--timeout SECONDS] [NAME]\n";

/// Runs it with the arguments that follow the word `health`, and returns the exit status: 0 or 1.
pub fn main(args: Vec<OsString>) -> u8 {
    let options = match Options::read(args, std::env::var("TINYSVC_HEALTH").ok()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let _ = std::io::stdout().write_all(USAGE.as_bytes());
            return 0;
        }
        Err(message) => {
            complain(&format!("{message}\n{USAGE}"));
            return 1;
        }
    };
    match probe(&options) {
        Ok(None) => 0,
        Ok(Some(report)) => {
            let _ = std::io::stdout().write_all(report.as_bytes());
            1
        }
        Err(error) => {
            complain(&format!("{error}\n"));
            1
        }
    }
}

/// In one piece: standard error has no buffer, and others may write there.
fn complain(message: &str) {
    let _ = std::io::stderr().write_all(format!("tinysvc health: {message}").as_bytes());
}

/// What is to be asked.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// `/readyz` and its like.
    path: &'static str,
    /// One component.
    name: Option<String>,
    /// Where; the second where the first refuses.
    addresses: [Option<SocketAddr>; 2],
    timeout: Duration,
}

impl Options {
    /// `None` when help is asked for. `env` is the value of `TINYSVC_HEALTH`.
    fn read(args: Vec<OsString>, env: Option<String>) -> Result<Option<Options>, String> {
        let mut options = Options { path: "", name: None, addresses: [None; 2], timeout: TIMEOUT };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let arg = arg.into_string().map_err(|arg| format!("not UTF-8: {}", arg.display()))?;
            let (flag, inline) = match arg.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            let mut value = || {
                let next = || args.next().and_then(|value| value.into_string().ok());
                inline.clone().or_else(next).ok_or_else(|| format!("{flag} needs a value"))
            };
            match flag {
                "-h" | "--help" => return Ok(None),
                "--address" => options.addresses = [Some(address(&value()?)?), None],
                "--port" => options.addresses = loopback(port(&value()?)?),
                "--timeout" => options.timeout = timeout(&value()?)?,
                "live" if options.path.is_empty() => options.path = "/livez",
                "ready" if options.path.is_empty() => options.path = "/readyz",
                "startup" if options.path.is_empty() => options.path = "/startupz",
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ if options.name.is_none() && !arg.is_empty() => options.name = Some(arg),
                _ => return Err(format!("one argument too many: {arg}")),
            }
        }
        if options.path.is_empty() {
            options.path = "/readyz";
        }
        if options.addresses == [None; 2] {
            // What PID 1 takes it for, it is.
            options.addresses = match env.as_deref().filter(|text| !text.is_empty()).map(health) {
                None => loopback(PORT),
                Some(Some(Health::Off)) => return Err("TINYSVC_HEALTH=off: nobody answers".into()),
                Some(Some(Health::On(at))) if at == Health::DEFAULT => loopback(PORT),
                Some(Some(Health::On(at))) => [Some(reachable(at)), None],
                Some(_) => return Err("TINYSVC_HEALTH: not an address to listen on".into()),
            };
        }
        Ok(Some(options))
    }
}

/// `ADDR:PORT` or `:PORT`. The address that a server binds to mean "all" is the loopback for a client.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(text) = text.strip_prefix(':') {
        return Ok((Ipv4Addr::LOCALHOST, port(text)?).into());
    }
    text.parse().map(reachable).map_err(|_| format!("not an address and a port: {text}"))
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        // A listener at [::] takes IPv4 too, and IPv6 may be off.
        IpAddr::V6(ip) if ip.is_unspecified() => address = (Ipv4Addr::LOCALHOST, address.port()).into(),
        _ => {}
    }
    address
}

fn loopback(port: u16) -> [Option<SocketAddr>; 2] {
    [Some((Ipv4Addr::LOCALHOST, port).into()), Some((Ipv6Addr::LOCALHOST, port).into())]
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("not a port, 1 to 65535: {text}"))
}

/// Seconds, with at most three decimals.
fn timeout(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let time = match (whole.parse::<u32>(), format!("{part:0<3}").parse::<u64>()) {
        (Ok(seconds), Ok(ms)) if part.len() <= 3 && digits(whole) && digits(part) => {
            Some(Duration::from_secs(seconds.into()) + Duration::from_millis(ms))
        }
        _ => None,
    };
    let time = time.filter(|time| !time.is_zero() && *time <= TIMEOUT_MAX);
    time.ok_or_else(|| format!("not a number of seconds, above 0 to 86400: {text}"))
}

/// Why there is no verdict.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Nobody could be reached.
    Connect(SocketAddr, Errno),
    /// The exchange broke off.
    Exchange(SocketAddr, Errno),
    /// Time is up.
    TimedOut(SocketAddr),
    /// What answers is not tinysvc.
    NotHttp(SocketAddr),
    /// Nothing goes by this name.
    NoSuchName(String),
    /// Anything but a verdict.
    Status(u16),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect(to, errno) => write!(f, "cannot connect to {to}: {}", errno.desc()),
            Failure::Exchange(with, errno) => write!(f, "no answer from {with}: {}", errno.desc()),
            Failure::TimedOut(at) => write!(f, "no answer from {at} in time"),
            Failure::NotHttp(at) => write!(f, "what {at} answers is not HTTP"),
            Failure::NoSuchName(name) => write!(f, "no component is called {name}"),
            Failure::Status(status) => write!(f, "the answer has the unexpected status {status}"),
        }
    }
}

/// `None` is health, otherwise what is to be printed.
fn probe(options: &Options) -> Result<Option<String>, Failure> {
    let until = now() + options.timeout;
    let first = ask(options, options.name.as_deref(), until)?;
    match (first.status, &options.name) {
        (200..=299, _) => return Ok(None),
        (404, Some(name)) => return Err(Failure::NoSuchName(name.clone())),
        (500, Some(name)) => return Ok(Some(format!("{name}: {}", reason(&first)))),
        (500, None) => {}
        (status, _) => return Err(Failure::Status(status)),
    }
    let mut report = String::new();
    let failed = first.body.lines().filter_map(|line| line.strip_prefix("[-]")?.split(" failed: ").next());
    for (count, name) in failed.enumerate() {
        let asked = if count < REASONS_MAX { ask(options, Some(name), until).ok() } else { None };
        let reason = asked.as_ref().map_or("failed\n", reason);
        report.extend([name, ": ", reason]);
    }
    Ok(Some(if report.is_empty() { first.body } else { report }))
}

/// What stands behind the API server's phrase, with its newline.
fn reason(answer: &Answer) -> &str {
    let body = answer.body.as_str();
    match body.strip_prefix("internal server error: ") {
        Some(reason) if reason.ends_with('\n') => reason,
        // It has recovered since, or it is something else altogether.
        _ => "failed\n",
    }
}

struct Answer {
    status: u16,
    body: String,
}

/// One request on a connection of its own.
fn ask(options: &Options, name: Option<&str>, until: Instant) -> Result<Answer, Failure> {
    let mut request = String::with_capacity(128);
    request.extend(["GET ", options.path]);
    if let Some(name) = name {
        request.push('/');
        encode(&mut request, name);
    }
    request.push_str(" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut refused = None;
    for address in options.addresses.into_iter().flatten() {
        match exchange(address, request.as_bytes(), until) {
            // The other family, before it is said that nobody is there; the first address is the one to name.
            Err(failure @ Failure::Connect(..)) => refused = refused.or(Some(failure)),
            result => return result,
        }
    }
    Err(refused.unwrap_or(Failure::Status(0)))
}

fn exchange(address: SocketAddr, request: &[u8], until: Instant) -> Result<Answer, Failure> {
    let not_connected = |errno| match errno {
        // What connect(2) says when SO_SNDTIMEO has passed.
        Errno::EINPROGRESS => Failure::TimedOut(address),
        errno => Failure::Connect(address, errno),
    };
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(not_connected)?;
    let left = time_left(until).ok_or(Failure::TimedOut(address))?;
    setsockopt(&socket, sockopt::SendTimeout, &left).map_err(not_connected)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &left).map_err(not_connected)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).map_err(not_connected)?;
    let broken = |errno| match errno {
        Errno::EAGAIN => Failure::TimedOut(address),
        errno => Failure::Exchange(address, errno),
    };
    // A request this short goes out in one piece on a new connection.
    send(socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL).map_err(broken)?;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while answer.len() < ANSWER_LEN_MAX {
        let n = recv(socket.as_raw_fd(), &mut piece, MsgFlags::empty()).map_err(broken)?;
        answer.extend_from_slice(piece.get(..n).unwrap_or_default());
        if n == 0 || is_complete(&answer) {
            break;
        }
        // Each receive has the whole time-out, so a trickle would be listened to for long.
        time_left(until).ok_or(Failure::TimedOut(address))?;
    }
    read(&answer).ok_or(Failure::NotHttp(address))
}

/// Splits an answer into its head, with the final line end, and its body.
fn split(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?.checked_add(4)?;
    answer.split_at_checked(at)
}

/// Whether the body is as long as the head says. A server that does not say ends the connection.
fn is_complete(answer: &[u8]) -> bool {
    let Some((head, body)) = split(answer) else { return false };
    let length = head.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(b"content-length:".len())?;
        let length = || std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok();
        if name.eq_ignore_ascii_case(b"content-length:") { length() } else { None }
    });
    length.is_some_and(|length| body.len() >= length)
}

fn read(answer: &[u8]) -> Option<Answer> {
    let (head, body) = split(answer)?;
    let status = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    Some(Answer { status, body: String::from_utf8_lossy(body).into_owned() })
}

/// Percent signs for all but the unreserved characters of RFC 3986, section 2.3.
fn encode(to: &mut String, name: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or('0');
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            _ => to.extend(['%', digit(byte >> 4), digit(byte)]),
        }
    }
}

/// `None` when it is over.
fn time_left(until: Instant) -> Option<TimeVal> {
    let left = until.checked_duration_since(now())?;
    // Zero would mean for ever: socket(7), SO_RCVTIMEO.
    let micros = left.subsec_micros().max(1);
    Some(TimeVal::new(left.as_secs().try_into().ok()?, micros.into()))
}

#[allow(clippy::disallowed_methods, reason = "a client of its own, which has no engine")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_args(args: &[&str], env: Option<&str>) -> Result<Option<Options>, String> {
        Options::read(args.iter().map(OsString::from).collect(), env.map(str::to_owned))
    }

    #[test]
    fn arguments() {
        let default = || Options { path: "/readyz", name: None, addresses: loopback(8469), timeout: TIMEOUT };
        let at = |text: &str| [Some(text.parse().unwrap()), None];
        let web = || Some("web".to_owned());
        let table: [(&str, &[&str], Option<&str>, Options); 16] = [
            ("nothing", &[], None, default()),
            ("live", &["live"], None, Options { path: "/livez", ..default() }),
            ("startup", &["startup"], None, Options { path: "/startupz", ..default() }),
            ("a name", &["web"], None, Options { name: web(), ..default() }),
            (
                "a word, then a name",
                &["live", "web"],
                None,
                Options { path: "/livez", name: web(), ..default() },
            ),
            (
                "a component called live",
                &["ready", "live"],
                None,
                Options { name: Some("live".into()), ..default() },
            ),
            ("a port", &["--port", "80"], None, Options { addresses: loopback(80), ..default() }),
            ("an address", &["--address=[::1]:80"], None, Options { addresses: at("[::1]:80"), ..default() }),
            (
                "a port alone as address",
                &["--address", ":80"],
                None,
                Options { addresses: at("127.0.0.1:80"), ..default() },
            ),
            (
                "from the environment",
                &[],
                Some("10.0.0.1:80"),
                Options { addresses: at("10.0.0.1:80"), ..default() },
            ),
            (
                "all addresses are the loopback",
                &[],
                Some("[::]:80"),
                Options { addresses: at("127.0.0.1:80"), ..default() },
            ),
            ("switched on", &[], Some("on"), default()),
            ("a bare port", &[], Some("9000"), Options { addresses: at("127.0.0.1:9000"), ..default() }),
            ("the flag wins", &["--port=80"], Some("off"), Options { addresses: loopback(80), ..default() }),
            ("a day", &["--timeout=86400s"], None, Options { timeout: TIMEOUT_MAX, ..default() }),
            (
                "patience",
                &["--timeout", "0.5"],
                None,
                Options { timeout: Duration::from_millis(500), ..default() },
            ),
        ];
        for (why, args, env, options) in table {
            assert_eq!(read_args(args, env), Ok(Some(options)), "{why}");
        }
        assert_eq!(read_args(&["--help"], None), Ok(None));
    }

    #[test]
    fn mistakes() {
        let table: [(&[&str], Option<&str>, &str); 13] = [
            (&["a", "b"], None, "one argument too many: b"),
            (&[""], None, "one argument too many: "),
            (&["-x"], None, "unknown option -x"),
            (&["--port"], None, "--port needs a value"),
            (&["--port", "0"], None, "not a port, 1 to 65535: 0"),
            (&["--port", "65536"], None, "not a port, 1 to 65535: 65536"),
            (&["--address", "localhost"], None, "not an address and a port: localhost"),
            (&["--timeout", "0"], None, "not a number of seconds, above 0 to 86400: 0"),
            (&["--timeout", "+1"], None, "not a number of seconds, above 0 to 86400: +1"),
            (&["--timeout", "86400.001"], None, "not a number of seconds, above 0 to 86400: 86400.001"),
            (&["--timeout", "1.0001"], None, "not a number of seconds, above 0 to 86400: 1.0001"),
            (&[], Some("off"), "TINYSVC_HEALTH=off: nobody answers"),
            (&[], Some("x"), "TINYSVC_HEALTH: not an address to listen on"),
        ];
        for (args, env, message) in table {
            assert_eq!(read_args(args, env), Err(message.into()), "{args:?}");
        }
    }

    #[test]
    fn an_answer_is_complete_when_its_length_says_so() {
        type Row = (&'static str, &'static [u8], bool, Option<(u16, &'static str)>);
        let table: [Row; 7] = [
            ("whole", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, Some((200, "ok"))),
            ("cut", b"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nok", false, Some((200, "ok"))),
            ("no length", b"HTTP/1.0 500 No\r\n\r\nok", false, Some((500, "ok"))),
            ("half a head", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false, None),
            ("another protocol", b"SSH-2.0-x\r\n\r\n", false, None),
            ("no number", b"HTTP/1.1 abc\r\n\r\n", false, None),
            ("nothing", b"", false, None),
        ];
        for (why, bytes, complete, answer) in table {
            assert_eq!(is_complete(bytes), complete, "{why}");
            let read = read(bytes);
            assert_eq!(read.as_ref().map(|a| (a.status, a.body.as_str())), answer, "{why}");
        }
    }

    /// A server that gives these answers, a connection each, and then the requests that it got.
    fn server(answers: &'static [&'static str]) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
        use std::io::Read;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let one = |answer: &&str| {
                let (mut client, _) = listener.accept().unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                client.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request).unwrap().lines().next().unwrap().to_owned()
            };
            answers.iter().map(one).collect()
        };
        (address, std::thread::spawn(serve))
    }

    #[test]
    fn a_failure_is_told_with_its_reasons() {
        type Row = (
            &'static str,
            Option<&'static str>,
            &'static [&'static str],
            Result<Option<&'static str>, Failure>,
        );
        let table: [Row; 6] = [
            ("health", None, &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], Ok(None)),
            (
                "two checks fail",
                None,
                &[
                    "HTTP/1.1 500 No\r\n\r\n[+]ping ok\n[-]a failed: reason withheld\n[-]b failed: reason withheld\n",
                    "HTTP/1.1 500 No\r\n\r\ninternal server error: auto-restart\n",
                    "HTTP/1.1 200 OK\r\n\r\nok",
                ],
                Ok(Some("a: auto-restart\nb: failed\n")),
            ),
            (
                "the one asked for",
                Some("w b"),
                &["HTTP/1.1 500 No\r\n\r\ninternal server error: dead\n"],
                Ok(Some("w b: dead\n")),
            ),
            (
                "an unknown name",
                Some("x"),
                &["HTTP/1.1 404 No\r\n\r\n"],
                Err(Failure::NoSuchName("x".into())),
            ),
            ("something else listens", None, &["HTTP/1.1 302 Found\r\n\r\n"], Err(Failure::Status(302))),
            ("it fails, and that is all", None, &["HTTP/1.1 500 No\r\n\r\nno\n"], Ok(Some("no\n"))),
        ];
        for (why, name, answers, report) in table {
            let (address, served) = server(answers);
            let name = name.map(str::to_owned);
            let options =
                Options { path: "/readyz", name, addresses: [Some(address), None], timeout: TIMEOUT };
            let probed = probe(&options);
            assert_eq!(
                probed.as_ref().map(Option::as_deref).map_err(|e| e.to_string()),
                report.map_err(|e| e.to_string()),
                "{why}"
            );
            let requests = served.join().unwrap();
            let first = if options.name.is_none() { "GET /readyz HTTP/1.1" } else { "GET /readyz/" };
            assert!(requests[0].starts_with(first), "{why}: {}", requests[0]);
        }
    }

    #[test]
    fn silence_and_rubbish_are_failures() {
        let (address, served) = server(&["SSH-2.0-OpenSSH\r\n"]);
        let options = |address, ms| Options {
            path: "/livez",
            name: None,
            addresses: [Some(address), None],
            timeout: Duration::from_millis(ms),
        };
        assert_eq!(probe(&options(address, 3000)), Err(Failure::NotHttp(address)));
        served.join().unwrap();
        assert_eq!(probe(&options(address, 3000)), Err(Failure::Connect(address, Errno::ECONNREFUSED)));
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = mute.local_addr().unwrap();
        assert_eq!(probe(&options(address, 20)), Err(Failure::TimedOut(address)));
    }

    #[test]
    fn names_go_into_a_path() {
        let mut path = String::new();
        encode(&mut path, "a-b_c~1.service@/ %\u{e4}");
        assert_eq!(path, "a-b_c~1.service%40%2F%20%25%C3%A4");
    }
}
