//! What a hostile program would try, one attempt an argument. For `integration/sandbox.rs`.
//!
//! `NAME:ARG:ARG…` prints `NAME:ARG:ARG…=` and `ok`, an errno's name, or what was asked for. Numbers are
//! decimal or `0x…`. It calls the kernel itself, as whoever wants out would.
#![allow(unsafe_code, reason = "the attacks are system calls")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program of the tests, which should end at a mistake"
)]

use nix::errno::Errno;
use std::arch::asm;
use std::fs;

fn main() {
    for attempt in std::env::args().skip(1) {
        let words: Vec<&str> = attempt.split(':').collect();
        let numbers: Vec<i64> = words[1..].iter().filter_map(|word| number(word)).collect();
        println!("{attempt}={}", make(words[0], &words[1..], &numbers));
    }
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as i64),
        None => word.parse().ok(),
    }
}

fn make(name: &str, words: &[&str], numbers: &[i64]) -> String {
    let argument = |at: usize| numbers.get(at).copied().unwrap_or(0);
    match name {
        "socket" => call([libc::SYS_socket, argument(0), argument(1), argument(2), 0, 0]),
        "socketpair" => {
            let mut pair = [0i32; 2];
            call([libc::SYS_socketpair, argument(0), argument(1), 0, pair.as_mut_ptr() as i64, 0])
        }
        "call" => call([argument(0), argument(1), argument(2), argument(3), argument(4), argument(5)]),
        "i386" => compat(argument(0), argument(1), argument(2), argument(3)),
        "i386-socketcall" => {
            let below_4g = below_4g();
            // SAFETY: a page of ours, of which three words are written.
            unsafe { std::ptr::copy_nonoverlapping([numbers[0] as u32, 3, 0].as_ptr(), below_4g, 3) };
            const SOCKETCALL: i64 = 102;
            const SYS_SOCKET: i64 = 1;
            compat(SOCKETCALL, SYS_SOCKET, below_4g as i64, 0)
        }
        // Lines of /proc/self/status.
        "status" => status(words[0]),
        "cat" => {
            fs::read_to_string(words[0]).map_or_else(|e| e.to_string(), |text| text.trim_end().to_owned())
        }
        "open" => fs::File::open(words[0]).map_or_else(|e| errno(&e), |_| "ok".to_owned()),
        "link" => fs::read_link(words[0]).map_or_else(|e| errno(&e), |path| path.display().to_string()),
        "env" => std::env::var(words[0]).unwrap_or_else(|_| "unset".to_owned()),
        "nice" => {
            // SAFETY: integers only.
            let turned = unsafe { libc::syscall(libc::SYS_getpriority, 0, 0) };
            (20 - turned).to_string()
        }
        "securebits" => {
            // SAFETY: PR_GET_SECUREBITS takes no argument.
            unsafe { libc::prctl(libc::PR_GET_SECUREBITS) }.to_string()
        }
        // Whether our group is in the foreground of the controlling terminal.
        "foreground" => match fs::File::open("/dev/tty") {
            Ok(tty) => (nix::unistd::tcgetpgrp(tty) == Ok(nix::unistd::getpgrp())).to_string(),
            Err(e) => errno(&e),
        },
        "serve" => serve(argument(0) as i32),
        // Whether our own memory may still be looked at after a child of ours has changed its user.
        "dumpable" => {
            let plan = tinysvc::plan::Plan {
                programs: vec![c"/bin/true".to_owned()],
                argv: vec![c"true".to_owned()],
                identity: Some(tinysvc::plan::Identity { groups: None, gid: None, uid: Some(65_534) }),
                ..tinysvc::plan::Plan::default()
            };
            let spawned = tinysvc::launch::spawn_shielded(&plan);
            format!("{} {:?}", spawned.is_ok(), nix::sys::prctl::get_dumpable().unwrap())
        }
        "spawn" => spawn(words[0], &words[1..].join(":")),
        "pid" => std::process::id().to_string(),
        "group" => nix::unistd::getpgrp().to_string(),
        "session" => nix::unistd::getsid(None).map_or_else(|e| format!("{e:?}"), |pid| pid.to_string()),
        "fd" => nix::unistd::write(unsafe_borrow(argument(0) as i32), b"")
            .map_or_else(|e| format!("{e:?}"), |_| "ok".to_owned()),
        _ => "what?".to_owned(),
    }
}

/// No attack: answers one request on an inherited listener, as the health role would.
fn serve(listener: i32) -> String {
    use std::os::fd::FromRawFd;
    // SAFETY: the test passes a listener under this number, and nobody else here uses it.
    let listener = unsafe { std::net::TcpListener::from_raw_fd(listener) };
    // What the role does besides: it wakes up for SIGTERM, reads a limit, and waits for several things at once.
    let (wake, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, writer).unwrap();
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let epoll = nix::sys::epoll::Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&wake, nix::sys::epoll::EpollEvent::new(nix::sys::epoll::EpollFlags::EPOLLIN, 0)).unwrap();
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
    let mut events = [nix::sys::epoll::EpollEvent::empty()];
    epoll.wait(&mut events, nix::sys::epoll::EpollTimeout::NONE).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener.set_nonblocking(false).unwrap();
    let server = tiny_http::Server::from_listener(listener, None).unwrap();
    let answered =
        server.recv().and_then(|request| request.respond(tiny_http::Response::from_string("served")));
    answered.map_or_else(|e| errno(&e), |()| "ok".to_owned())
}

/// Makes an attempt in a child that is started as tinysvc starts one.
fn spawn(session: &str, attempt: &str) -> String {
    use tinysvc::plan::{Plan, Session};
    let c_string = |text: &str| std::ffi::CString::new(text).unwrap();
    let session = if session == "group" { Session::Group } else { Session::Foreground };
    let programs = vec![c_string("/proc/self/exe")];
    let plan =
        Plan { programs, argv: vec![c_string("attack"), c_string(attempt)], session, ..Plan::default() };
    match tinysvc::launch::spawn_shielded(&plan) {
        Ok(pid) => format!("{:?}", nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).is_ok()),
        Err(failure) => format!("{failure:?}"),
    }
}

fn unsafe_borrow(fd: i32) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: it is used for one write, which a bad number makes an error.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}

fn errno(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |raw| format!("{:?}", Errno::from_raw(raw)))
}

fn call([nr, a, b, c, d, e]: [i64; 6]) -> String {
    // SAFETY: the tests pass numbers that make no call touch memory of ours, but for a pair of descriptors.
    let ret = unsafe { libc::syscall(nr, a, b, c, d, e) };
    if ret == -1 { format!("{:?}", Errno::last()) } else { "ok".to_owned() }
}

/// A call by the i386 table, which an x86-64 kernel serves to 64-bit programs as well.
#[cfg(target_arch = "x86_64")]
fn compat(nr: i64, a: i64, b: i64, c: i64) -> String {
    let ret: i64;
    // SAFETY: `int 0x80` takes its arguments from these registers and clobbers r8 to r11 at most; rbx is
    // the compiler's own, so it is put back.
    unsafe {
        asm!(
            "xchg {a}, rbx",
            "int 0x80",
            "xchg {a}, rbx",
            a = inout(reg) a => _,
            inlateout("rax") nr => ret,
            in("rcx") b,
            in("rdx") c,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let ret = ret as i32;
    if (-4095..0).contains(&ret) { format!("{:?}", Errno::from_raw(-ret)) } else { "ok".to_owned() }
}

#[cfg(not(target_arch = "x86_64"))]
fn compat(_: i64, _: i64, _: i64, _: i64) -> String {
    "no such table".to_owned()
}

/// A page that a 32-bit pointer reaches.
#[cfg(target_arch = "x86_64")]
fn below_4g() -> *mut u32 {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
    // SAFETY: a fresh mapping that takes nothing away.
    unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) }.cast()
}

#[cfg(not(target_arch = "x86_64"))]
fn below_4g() -> *mut u32 {
    Box::leak(Box::new([0u32; 4])).as_mut_ptr()
}

fn status(key: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.map_or_else(|| "none".to_owned(), |value| value.split_whitespace().collect::<Vec<_>>().join(" "))
}
