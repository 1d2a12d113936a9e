//! What it costs to answer a probe, and to ask one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::peers::{Peers, clean, family, memory, micros, ran, which};
use crate::report::{Report, median};

const PORT: u16 = 8469;
const NGINX_PORT: u16 = 8470;

/// Asks tinysvc's `/livez` and nginx's `return 200` in turns, with a new connection each, from 1, 10 and 100 clients:
/// CPU time of every process of the server for each request, and how long one takes. Then the probe command beside
/// `busybox wget` of the same endpoint.
pub fn health(peers: &Peers, report: &mut Report) {
    report.title("health", "a request on a new connection: CPU of the server, median time of a client");
    let tinysvc = peers.start_as_pid_1(&mut peers.tinysvc.command(&peers.demo, ["sleep", "3600"]));
    if !up(PORT) {
        report.left_out("probes: tinysvc does not answer on its port");
        return;
    }
    let folder = std::env::temp_dir().join(format!("tinysvc-bench-nginx-{}", std::process::id()));
    let nginx = which("nginx").map(|path| peers.start_as_pid_1(&mut nginx(&path, &folder)));
    if nginx.is_none() {
        report.left_out("probes beside nginx: not installed");
    }
    if nginx.is_none() || up(NGINX_PORT) {
        for clients in [1, 10, 100] {
            compare(report, clients, tinysvc.pid(), nginx.as_ref().map(|n| n.pid()));
        }
    } else {
        report.left_out("probes beside nginx: it does not answer");
    }
    let sum = |pid| family(pid).into_iter().map(|pid| memory(pid, "Pss")).sum::<f64>();
    // The demo that sleeps below tinysvc is no part of the server.
    report.row("tinysvc, with health", &[("PSS", sum(tinysvc.pid()) - memory(tinysvc.child(), "Pss"), "kB")]);
    if let Some(nginx) = &nginx {
        report.row("nginx", &[("PSS", sum(nginx.pid()), "kB")]);
    }
    let _ = fs::remove_dir_all(&folder);
    probe_command(peers, report);
}

/// nginx with one worker that answers 200 to everything.
fn nginx(path: &Path, folder: &Path) -> Command {
    let _ = fs::create_dir_all(folder);
    let config = format!(
        "daemon off; worker_processes 1; pid {0}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c;
  uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
  server {{ listen 127.0.0.1:{NGINX_PORT}; location / {{ return 200 \"ok\"; }} }} }}",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).expect("a configuration");
    let mut command = Command::new(path);
    command.arg("-c").arg(file);
    clean(&mut command);
    command
}

fn up(port: u16) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        if request(port).is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// One request on a connection of its own: the time it took in µs, if the answer was 200.
fn request(port: u16) -> Option<f64> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::with_capacity(512);
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then(|| micros(begin.elapsed()))
}

fn compare(report: &mut Report, clients: usize, tinysvc: i32, nginx: Option<i32>) {
    const REQUESTS: usize = 2_000;
    const TURNS: usize = 3;
    let mut servers = vec![("tinysvc", tinysvc, PORT, Vec::new(), Vec::new(), 0)];
    servers.extend(nginx.map(|pid| ("nginx", pid, NGINX_PORT, Vec::new(), Vec::new(), 0)));
    for _ in 0..TURNS {
        for (_, pid, port, cpu, taken, failed) in &mut servers {
            let port = *port;
            let before: f64 = family(*pid).into_iter().map(|pid| ran(pid).0).sum();
            let each = REQUESTS / clients;
            let threads: Vec<_> = (0..clients)
                .map(|_| thread::spawn(move || (0..each).map(|_| request(port)).collect::<Vec<_>>()))
                .collect();
            for thread in threads {
                for answer in thread.join().expect("a client") {
                    match answer {
                        Some(micros) => taken.push(micros),
                        None => *failed += 1,
                    }
                }
            }
            let after: f64 = family(*pid).into_iter().map(|pid| ran(pid).0).sum();
            cpu.push((after - before) / (each * clients) as f64);
        }
    }
    for (name, _, _, cpu, taken, failed) in &mut servers {
        let who = format!("{name}, {clients} client{}", if clients == 1 { "" } else { "s" });
        report.row(
            &who,
            &[("CPU", median(cpu), "us"), ("time", median(taken), "us"), ("failed", f64::from(*failed), "")],
        );
    }
}

/// Runs `tinysvc health` and `busybox wget` of the same endpoint in turns, from fork to end.
fn probe_command(peers: &Peers, report: &mut Report) {
    const ROUNDS: usize = 400;
    report.title("probe command", "from fork to end, the same endpoint; median of turns");
    let mut health = Command::new(&peers.tinysvc.path);
    clean(health.arg("health"));
    if !health.status().is_ok_and(|s| s.success()) {
        report.left_out("the aim for the probe command: tinysvc health fails");
        return;
    }
    let Some(busybox) = which("busybox") else {
        report.left_out("the aim for the probe command: no busybox");
        return;
    };
    let mut wget = Command::new(busybox);
    clean(wget.args(["wget", "-q", "-O", "/dev/null"]).arg(format!("http://127.0.0.1:{PORT}/livez")));
    let mut bare = Command::new(&peers.nothing);
    clean(&mut bare);
    let mut commands = [(bare, Vec::new()), (health, Vec::new()), (wget, Vec::new())];
    for _ in 0..ROUNDS {
        for (command, taken) in &mut commands {
            let begin = Instant::now();
            let status = command.status().expect("a command");
            let one = micros(begin.elapsed());
            assert!(status.success(), "{command:?} fails");
            taken.push(one);
        }
    }
    let [bare, ours, theirs] = commands.map(|(_, mut taken)| median(&mut taken));
    report.row("bare exec", &[("", bare, "us")]);
    report.row("tinysvc health", &[("", ours, "us"), ("times bare", ours / bare, "x")]);
    report.row("busybox wget", &[("", theirs, "us"), ("times bare", theirs / bare, "x")]);
    report.at_most("tinysvc health", ours, 0.7, "busybox wget's", theirs);
}
