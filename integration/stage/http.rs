//! Speaks HTTP to what runs on a stage, from inside it.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::process::Stdio;

use super::Stage;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Everything, as it came.
    pub raw: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn parse(raw: String) -> Option<Response> {
        let (head, body) = raw.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Response { status, headers, body: body.to_owned(), raw })
    }
}

impl Stage {
    /// GET of a path; `None` if nobody listens or the answer is no HTTP.
    pub fn get(&self, port: u16, path: &str) -> Option<Response> {
        self.request(port, "GET", path, &[])
    }

    /// One request on a connection of its own.
    pub fn request(&self, port: u16, method: &str, path: &str, headers: &[&str]) -> Option<Response> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: stage\r\nConnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        Response::parse(self.talk(port, text.as_bytes())?)
    }

    /// Sends bytes to a port inside and returns what comes back until the other side closes.
    ///
    /// The demo application is the messenger, since the test itself is in another network.
    pub fn talk(&self, port: u16, bytes: &[u8]) -> Option<String> {
        let demo = self.demo_inside();
        let mut child = self
            .inside([demo.as_os_str(), "connect".as_ref(), port.to_string().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a messenger");
        let mut input = child.stdin.take().expect("a pipe");
        // Nobody listens: the messenger is gone before it has read.
        let _ = input.write_all(bytes);
        let mut answer = Vec::new();
        let _ = child.stdout.take().expect("a pipe").read_to_end(&mut answer);
        drop(input);
        let _ = child.wait();
        (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
    }

    /// Asks until the answer has this status, and returns it.
    pub fn wait_for_status(&self, port: u16, path: &str, status: u16, secs: u64) -> Response {
        let mut last = None;
        let found = super::poll(secs, || {
            last = self.get(port, path);
            last.clone().filter(|response| response.status == status)
        });
        found.unwrap_or_else(|| panic!("{path} never gave {status}; last: {last:?}\n{}", self.output()))
    }
}
