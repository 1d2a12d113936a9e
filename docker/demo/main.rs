//! A demo application, and the tests' stand-in for every kind of program that an init must bear with.
//!
//! Its arguments are actions, carried out in order; after the last one it exits with 0. Without
//! arguments it is a small web server: `serve 8080 hang`. An action's result is one line on standard
//! output, so that whoever reads from outside can wait for it.
//!
//! ```text
//! print TEXT | eprint TEXT        a line on standard output | error
//! env NAME                        NAME=value, or "NAME unset"
//! status                          ids, limits, masks, descriptors, as /proc/self has them
//! caps                            the five capability sets
//! socket AF_NAME                  "socket AF_NAME: ok", or the errno's name
//! mkdir PATH | touch FILE         the same for a folder | a file
//! sleep SECONDS                   fractions allowed
//! hang                            for ever
//! exit N | crash | kill SIG       ends: a status | SIGABRT | any signal to itself
//! count FILE exit A,B,C           run n (counted in FILE) exits with the n-th status, later ones with the
//!                                 last; a status may be "crash"
//! once FILE ACTION... end         the actions, unless FILE was there before
//! setsid                          leaves for a session of its own
//! ignore SIG | trap SIG           lives on | lives on and prints "got SIG n", n counted from 1
//! await SIG                       goes on when the signal comes
//! answer SIG                      one byte now, and one each time the signal comes: the quickest answer
//! notify TEXT                     one datagram to $NOTIFY_SOCKET; "\n" in TEXT is a line end
//! orphans N                       N processes lose their parent, then all end at once
//! spawn ACTION... end             a child in the background
//! orphan ACTION... end            a process whose parent is gone
//! serve PORT                      answers HTTP in the background
//! get PORT PATH                   prints what a server on this host answers
//! connect PORT                    standard input to a server, its answer to standard output
//! halfopen PORT N                 N connections that never finish their request
//! ```
//!
//! It is no part of tinysvc and shares no code with it. There is no `unsafe` here either: a child is this
//! program executed again, and a signal is a byte in a pipe.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    if words.is_empty() {
        words = ["serve", "8080", "hang"].map(String::from).to_vec();
    }
    let mut words = Words(words.into_iter());
    while let Some(action) = words.0.next() {
        match act(&action, &mut words) {
            Ok(None) => {}
            Ok(Some(status)) => return ExitCode::from(status),
            Err(e) => {
                eprintln!("demo: {action}: {e}");
                return ExitCode::from(70);
            }
        }
    }
    ExitCode::SUCCESS
}

/// The arguments that are left.
struct Words(std::vec::IntoIter<String>);

impl Words {
    fn text(&mut self) -> io::Result<String> {
        self.0.next().ok_or_else(|| io::Error::other("an argument is missing"))
    }

    fn number<T: std::str::FromStr>(&mut self) -> io::Result<T> {
        let text = self.text()?;
        text.parse().map_err(|_| io::Error::other(format!("'{text}' is no number")))
    }

    /// The words up to the `end` that belongs to this `spawn`, `orphan` or `once`.
    fn block(&mut self) -> Vec<String> {
        let mut depth = 1;
        let mut block = Vec::new();
        for word in self.0.by_ref() {
            match word.as_str() {
                "spawn" | "orphan" | "once" => depth += 1,
                "end" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            block.push(word);
        }
        block
    }
}

/// Carries out one action. A status means that the program ends with it.
fn act(action: &str, words: &mut Words) -> io::Result<Option<u8>> {
    match action {
        "print" => println!("{}", words.text()?),
        "eprint" => eprintln!("{}", words.text()?),
        "env" => {
            let name = words.text()?;
            match env::var_os(&name) {
                Some(value) => println!("{name}={}", value.to_string_lossy()),
                None => println!("{name} unset"),
            }
        }
        "status" => status()?,
        "caps" => lines_of("/proc/self/status", "Cap")?,
        "socket" => {
            let name = words.text()?;
            let made = socket(family(&name)?, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
            // A type that the family does not have is refused by the family, so the family was reached.
            let made = match made {
                Err(Errno::ESOCKTNOSUPPORT | Errno::EPROTONOSUPPORT) => {
                    socket(family(&name)?, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
                }
                other => other,
            };
            println!("socket {name}: {}", outcome(made));
        }
        "mkdir" => {
            let path = words.text()?;
            println!("mkdir {path}: {}", io_outcome(fs::create_dir(&path)));
        }
        "touch" => {
            let path = words.text()?;
            println!("touch {path}: {}", io_outcome(fs::write(&path, "")));
        }
        "sleep" => pause(words.number()?),
        "hang" => loop {
            thread::park();
        },
        "exit" => return Ok(Some(words.number()?)),
        "crash" => std::process::abort(),
        "kill" => {
            let signal = signal_number(&words.text()?)?;
            io::stdout().flush()?;
            let named = nix::sys::signal::Signal::try_from(signal)?;
            nix::sys::signal::raise(named)?;
        }
        "count" => return count(words).map(Some),
        "once" => {
            let (file, block) = (words.text()?, words.block());
            if fs::File::create_new(&file).is_ok() {
                let mut block = Words(block.into_iter());
                while let Some(action) = block.0.next() {
                    if let Some(status) = act(&action, &mut block)? {
                        return Ok(Some(status));
                    }
                }
            }
        }
        "setsid" => {
            nix::unistd::setsid()?;
        }
        "ignore" => {
            let signal = signal_number(&words.text()?)?;
            // A flag that nobody reads: the signal arrives and nothing comes of it.
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        "trap" => trap(words.text()?)?,
        "await" => {
            let name = words.text()?;
            let set = blocked(&name)?;
            println!("awaiting {name}");
            set.wait()?;
        }
        "answer" => answer(&words.text()?)?,
        "notify" => notify(&words.text()?.replace("\\n", "\n"))?,
        "orphans" => orphans(words.number()?)?,
        "spawn" => {
            myself(&words.block())?.spawn()?;
        }
        "orphan" => {
            // The process in between ends at once, and what it started has no parent.
            let mut between = vec![String::from("spawn")];
            between.extend(words.block());
            between.push(String::from("end"));
            myself(&between)?.status()?;
        }
        "serve" => serve(words.number()?)?,
        "get" => {
            let (port, path): (u16, String) = (words.number()?, words.text()?);
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
            io::copy(&mut stream, &mut io::stdout())?;
        }
        "connect" => connect(words.number()?)?,
        "halfopen" => {
            let (port, number): (u16, usize) = (words.number()?, words.number()?);
            let mut open = Vec::with_capacity(number);
            for _ in 0..number {
                let mut stream = TcpStream::connect(("127.0.0.1", port))?;
                stream.write_all(b"GET /livez HT")?;
                open.push(stream);
            }
            println!("{number} half open");
            // Until whoever started us closes our standard input.
            io::copy(&mut io::stdin(), &mut io::sink())?;
        }
        other => return Err(io::Error::other(format!("there is no action '{other}'"))),
    }
    Ok(None)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a program that does nothing for a while is what the tests ask for"
)]
fn pause(seconds: f64) {
    thread::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
}

/// This program again, with other actions.
fn myself(actions: &[String]) -> io::Result<Command> {
    // Not current_exe(): the tests may hide /proc.
    let program = env::args_os().next().ok_or_else(|| io::Error::other("there is no argv[0]"))?;
    let mut command = Command::new(program);
    command.args(actions);
    Ok(command)
}

fn outcome<T>(result: Result<T, Errno>) -> String {
    match result {
        Ok(_) => String::from("ok"),
        Err(errno) => format!("{errno:?}"),
    }
}

fn io_outcome(result: io::Result<()>) -> String {
    outcome(result.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0))))
}

fn family(name: &str) -> io::Result<AddressFamily> {
    Ok(match name {
        "AF_UNIX" => AddressFamily::Unix,
        "AF_INET" => AddressFamily::Inet,
        "AF_INET6" => AddressFamily::Inet6,
        "AF_NETLINK" => AddressFamily::Netlink,
        "AF_PACKET" => AddressFamily::Packet,
        "AF_VSOCK" => AddressFamily::Vsock,
        "AF_ALG" => AddressFamily::Alg,
        other => return Err(io::Error::other(format!("'{other}' is no family this program knows"))),
    })
}

/// `TERM`, `SIGTERM`, `15` or `RTMIN+3`; real-time signals are numbered from 34, as the runtimes do.
fn signal_number(text: &str) -> io::Result<i32> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let bare = text.trim_start_matches("SIG");
    if let Some(n) = bare.strip_prefix("RTMIN+").and_then(|n| n.parse::<i32>().ok()) {
        return Ok(34 + n);
    }
    match format!("SIG{bare}").parse::<nix::sys::signal::Signal>() {
        Ok(signal) => Ok(signal as i32),
        Err(_) => Err(io::Error::other(format!("'{text}' is no signal"))),
    }
}

/// Prints the lines of a file that begin with `start`.
fn lines_of(path: &str, start: &str) -> io::Result<()> {
    for line in BufReader::new(fs::File::open(path)?).lines() {
        let line = line?;
        if line.starts_with(start) {
            println!("{}", line.replace('\t', " "));
        }
    }
    Ok(())
}

fn status() -> io::Result<()> {
    for start in
        ["Umask", "Pid", "PPid", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:", "Sig", "Shd"]
    {
        lines_of("/proc/self/status", start)?;
    }
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name in brackets: state ppid pgrp session tty_nr tpgid … nice is field 19 of proc(5).
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |n: usize| fields.get(n - 3).copied().unwrap_or("?");
    println!("Group: {}\nSession: {}\nForeground: {}\nNice: {}", field(5), field(6), field(8), field(19));
    println!("OOMScoreAdjust: {}", fs::read_to_string("/proc/self/oom_score_adj")?.trim());
    println!("Directory: {}", env::current_dir()?.display());
    for line in fs::read_to_string("/proc/self/limits")?.lines().skip(1) {
        println!("Limit: {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let mut open: Vec<String> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            // The folder that is being read is open too.
            (!target.starts_with("/proc")).then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    open.sort();
    println!("Descriptors: {}", open.join(" "));
    println!("end of status");
    Ok(())
}

/// One byte a run is appended to the file; its length picks the status.
fn count(words: &mut Words) -> io::Result<u8> {
    let path = words.text()?;
    let verb = words.text()?;
    if verb != "exit" {
        return Err(io::Error::other(format!("'exit' expected, not '{verb}'")));
    }
    let statuses = words.text()?;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(b".")?;
    let run = file.metadata()?.len();
    let statuses: Vec<&str> = statuses.split(',').collect();
    let index = usize::try_from(run).unwrap_or(usize::MAX).min(statuses.len()) - 1;
    let status = statuses.get(index).copied().unwrap_or("0");
    println!("run {run} exits {status}");
    if status == "crash" {
        std::process::abort();
    }
    status.parse().map_err(|_| io::Error::other(format!("'{status}' is no exit status")))
}

/// A line for each signal, or for the last of many that came together.
fn trap(name: String) -> io::Result<()> {
    // A pipe holds 65,536 bytes, so none is lost before this thread is scheduled; a socket holds a few hundred.
    let (mut ours, handler) = io::pipe()?;
    signal_hook::low_level::pipe::register(signal_number(&name)?, handler)?;
    println!("trapping {name}");
    thread::spawn(move || {
        let mut seen = 0_usize;
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = ours.read(&mut bytes) {
            seen += n;
            for earlier in (0..n.min(8)).rev() {
                println!("got {name} {}", seen - earlier);
            }
        }
    });
    Ok(())
}

/// A signal alone, blocked from now on and so kept until it is waited for.
fn blocked(name: &str) -> io::Result<nix::sys::signal::SigSet> {
    let signal = nix::sys::signal::Signal::try_from(signal_number(name)?)?;
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(signal);
    set.thread_block()?;
    Ok(set)
}

fn answer(name: &str) -> io::Result<()> {
    let set = blocked(name)?;
    let mut out = io::stdout();
    loop {
        out.write_all(b"!")?;
        out.flush()?;
        set.wait()?;
    }
}

fn notify(text: &str) -> io::Result<()> {
    let Some(address) = env::var_os("NOTIFY_SOCKET").map(OsString::into_vec) else {
        return Err(io::Error::other("NOTIFY_SOCKET is not set"));
    };
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsString::from_vec(address))?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

/// Each orphan waits for the end of one pipe, so closing it ends them all at once.
fn orphans(number: u32) -> io::Result<()> {
    let (wait, release) = io::pipe()?;
    // A shell forks without executing anything, which is ten times faster; an image may have none. It forgets a
    // hundred children at a time, since its list of them is slow when long.
    const LOOP: &str = r#"exec 3<&0; left=$1
        some() { i=0; while [ $i -lt $n ]; do read x <&3 & i=$((i + 1)); done; }
        while [ $left -gt 0 ]; do n=100; [ $left -ge 100 ] || n=$left; (some); left=$((left - n)); done"#;
    let shell = Command::new("/bin/sh")
        .args(["-c", LOOP, "orphans", &number.to_string()])
        .stdin(wait.try_clone()?)
        .status();
    if shell.is_err() {
        for _ in 0..number {
            let between = ["spawn", "connect", "0", "end"].map(String::from);
            myself(&between)?.stdin(wait.try_clone()?).status()?;
        }
    }
    println!("{number} orphans wait");
    drop(release);
    println!("{number} orphans end");
    Ok(())
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("serving on {}", listener.local_addr()?.port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answered = stream.and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(2)))?;
                let mut request = String::new();
                BufReader::new(&stream).read_line(&mut request)?;
                println!("{}", request.trim_end());
                let body = "hello from the demo\n";
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            });
            if let Err(e) = answered {
                eprintln!("demo: serve: {e}");
            }
        }
    });
    Ok(())
}

/// Port 0 reaches nobody: standard input is read to its end, no more.
fn connect(port: u16) -> io::Result<()> {
    if port == 0 {
        io::copy(&mut io::stdin(), &mut io::sink())?;
        return Ok(());
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // Longer than any answer takes; a test is to fail, not to hang.
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut write = stream.try_clone()?;
    let sender = thread::spawn(move || {
        // The server may have answered and closed before the end of our request: no error.
        let _ = io::copy(&mut io::stdin(), &mut write);
        let _ = write.shutdown(Shutdown::Write);
    });
    io::copy(&mut stream, &mut io::stdout())?;
    drop(sender);
    Ok(())
}
