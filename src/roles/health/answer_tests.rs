//! The formats, byte for byte.
#![forbid(unsafe_code)]

use super::super::head::parse;
use super::*;
use crate::wire::{Component, Phase};

fn component(name: &str) -> Component {
    Component {
        name: name.into(),
        state: "running".into(),
        result: "success".into(),
        active: true,
        ready: true,
        wanted: true,
        essential: true,
        started_once: true,
        since: 3_000_000,
        ..Component::default()
    }
}

fn well() -> Snapshot {
    Snapshot {
        nonce: 1,
        version: "0.1.0".into(),
        phase: Phase::Running,
        startup_done: true,
        now: 5_500_000,
        started: 1_000_000,
        orphans_reaped: Some(0),
        components: vec![component("web.service"), component("db.service")],
    }
}

/// The database crashed a second ago.
fn ill() -> Snapshot {
    let mut snapshot = well();
    snapshot.components[1] = Component {
        state: "auto-restart".into(),
        result: "exit-code".into(),
        active: false,
        ready: false,
        since: 4_500_000,
        restarts: vec![("exit-code".into(), 2)],
        last_exit: "code=exited, status=1/FAILURE".into(),
        status: "a \"b\"".into(),
        ..snapshot.components[1].clone()
    };
    snapshot
}

/// Asks as a client does; `accept` may be empty.
fn ask(target: &str, accept: &str, snapshot: Option<&Snapshot>) -> Reply {
    let text = format!("GET {target} HTTP/1.1\r\nAccept: {accept}\r\n\r\n");
    match question(&parse(text.as_bytes()).unwrap()) {
        Ok(question) => reply(&question, snapshot, 1_000_000_000, |_, _| ()),
        Err(reply) => reply,
    }
}

fn said(reply: &Reply) -> (u16, &str) {
    (reply.status, &reply.body)
}

#[test]
fn text_is_the_api_servers() {
    let (well, ill) = (well(), ill());
    let (well, ill) = (Some(&well), Some(&ill));
    let broken = "[+]ping ok\n[+]stopping ok\n[+]web.service ok\n[-]db.service failed: reason withheld\nreadyz check failed\n";
    let all_live = "[+]ping ok\n[+]web.service ok\n[+]db.service ok\nlivez check passed\n";
    let table = [
        ("well", "/livez", well, 200, "ok"),
        ("well", "/readyz", well, 200, "ok"),
        ("well", "/startupz", well, 200, "ok"),
        ("well", "/healthz", well, 200, "ok"),
        ("a slash at the end", "/livez/", well, 200, "ok"),
        ("verbose", "/livez?verbose", well, 200, all_live),
        ("the value does not count", "/livez?verbose=false", well, 200, all_live),
        (
            "the word is the path's",
            "/healthz?verbose",
            well,
            200,
            "[+]ping ok\n[+]web.service ok\n[+]db.service ok\nhealthz check passed\n",
        ),
        ("a restart does not kill", "/livez", ill, 200, "ok"),
        ("a failure is verbose", "/readyz", ill, 500, broken),
        ("and asked to be", "/readyz?verbose", ill, 500, broken),
        ("without what fails", "/readyz?exclude=db.service", ill, 200, "ok"),
        ("without its suffix", "/readyz?exclude=db", ill, 200, "ok"),
        (
            "another one",
            "/readyz?exclude=web",
            ill,
            500,
            &broken.replace("web.service ok", "web.service excluded: ok"),
        ),
        (
            "two, one of them unknown, encoded",
            "/readyz?verbose&exclude=%64b&exclude=z%22&exclude=a",
            ill,
            200,
            "[+]ping ok\n[+]stopping ok\n[+]web.service ok\n[+]db.service excluded: ok\n\
             warn: some health checks cannot be excluded: no matches for \"a\",\"z\\\"\"\nreadyz check passed\n",
        ),
        ("an unknown one alone changes nothing", "/readyz?exclude=x", well, 200, "ok"),
        ("one component", "/readyz/web.service", ill, 200, "ok"),
        ("by its short name", "/readyz/web", ill, 200, "ok"),
        (
            "one that fails",
            "/readyz/db",
            ill,
            500,
            "internal server error: auto-restart, result exit-code, code=exited, status=1/FAILURE: a \"b\"\n",
        ),
        ("percent signs in its name", "/readyz/%64b%2Eservice", well, 200, "ok"),
        ("PID 1's own check", "/livez/ping", well, 200, "ok"),
        ("PID 1 is silent", "/livez", None, 500, "[-]ping failed: reason withheld\nlivez check failed\n"),
        ("PID 1 is silent", "/livez/ping", None, 500, "internal server error: PID 1 did not answer\n"),
        (
            "nothing is known of web",
            "/readyz/web",
            None,
            500,
            "internal server error: PID 1 did not answer\n",
        ),
        ("nor of numbers", "/metrics", None, 500, "internal server error: PID 1 did not answer\n"),
    ];
    for (why, target, snapshot, status, body) in table {
        let reply = ask(target, "*/*", snapshot);
        assert_eq!(said(&reply), (status, body), "{why}: {target}");
        assert_eq!(reply.content, "text/plain; charset=utf-8", "{why}: {target}");
    }
}

#[test]
fn what_does_not_exist_and_what_cannot_be_read() {
    let well = well();
    let long = format!("/livez/{}", "x".repeat(NAME_LEN_MAX + 1));
    let table = [
        ("the root", "/", 404),
        ("another page", "/live", 404),
        ("an unknown check", "/livez/nobody", 404),
        ("a part of a name", "/livez/we", 404),
        ("a deeper path", "/livez/web/x", 404),
        ("a slash in a name", "/livez/web%2fx", 404),
        ("a name beyond names", &long, 404),
        ("no parts of metrics", "/metrics/web", 404),
        ("a broken percent sign in the path", "/livez/%4", 400),
        ("a broken percent sign in the query", "/livez?exclude=%zz", 400),
        ("bytes that are no text", "/livez/%ff", 400),
    ];
    for (why, target, status) in table {
        let reply = ask(target, "", Some(&well));
        assert_eq!(reply.status, status, "{why}: {target}");
        let listed = said(&reply).1.contains("/startupz/NAME\n");
        assert_eq!(listed, status == 404, "{why}: a page that is missing comes with those that are there");
    }
}

#[test]
fn json_tells_all() {
    let (well, ill) = (well(), ill());
    let probe = "{\"probe\":\"readyz\",\"ok\":false,\"phase\":\"running\",\"version\":\"0.1.0\",\"since\":1001.000,\
        \"for_seconds\":4.500,\"checks\":[{\"name\":\"ping\",\"ok\":true},{\"name\":\"stopping\",\"ok\":true},\
        {\"name\":\"web.service\",\"ok\":true,\"excluded\":true},{\"name\":\"db.service\",\"ok\":false,\"reason\":\
        \"auto-restart, result exit-code, code=exited, status=1/FAILURE: a \\\"b\\\"\"}],\"components\":[\
        {\"name\":\"web.service\",\"state\":\"running\",\"result\":\"success\",\"since\":1003.000,\"for_seconds\":2.500,\
        \"active\":true,\"ready\":true,\"wanted\":true,\"essential\":true,\"failed_for_good\":false,\"restarts\":{}},\
        {\"name\":\"db.service\",\"state\":\"auto-restart\",\"result\":\"exit-code\",\"since\":1004.500,\
        \"for_seconds\":1.000,\"active\":false,\"ready\":false,\"wanted\":true,\"essential\":true,\
        \"failed_for_good\":false,\"restarts\":{\"exit-code\":2},\"last_exit\":\"code=exited, status=1/FAILURE\",\
        \"status\":\"a \\\"b\\\"\",\"reason\":\"auto-restart, result exit-code, code=exited, status=1/FAILURE: \
        a \\\"b\\\"\"}]}\n";
    let reply = ask("/readyz?format=json&exclude=web", "", Some(&ill));
    assert_eq!((said(&reply), reply.content), ((500, probe), "application/json"));
    let table = [
        ("by Accept", "/livez/ping", "text/html, application/json", 200, "{\"name\":\"ping\",\"ok\":true}\n"),
        ("by query", "/livez/ping?format=json", "", 200, "{\"name\":\"ping\",\"ok\":true}\n"),
        ("the query wins", "/livez/ping?format=text", "application/json", 200, "ok"),
    ];
    for (why, target, accept, status, body) in table {
        assert_eq!(said(&ask(target, accept, Some(&well))), (status, body), "{why}");
    }
    let one = ask("/readyz/web?format=json", "", Some(&well));
    let start = "{\"name\":\"web.service\",\"ok\":true,\"state\":\"running\",\"result\":\"success\",\"since\":1003.000,";
    assert!(said(&one).1.starts_with(start), "{}", said(&one).1);
    let silent = "{\"probe\":\"livez\",\"ok\":false,\"checks\":[{\"name\":\"ping\",\"ok\":false,\"reason\":\"PID 1 did not answer\"}]}\n";
    assert_eq!(said(&ask("/livez?format=json", "", None)), (500, silent));
}

#[test]
fn metrics_by_accept() {
    let well = well();
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let table = [
        ("anyone", "*/*", "text/plain; version=0.0.4; charset=utf-8", false),
        ("Prometheus", prometheus, "application/openmetrics-text; version=1.0.0; charset=utf-8", true),
    ];
    for (why, accept, content, ends) in table {
        let reply = ask("/metrics", accept, Some(&well));
        assert_eq!((reply.status, reply.content), (200, content), "{why}");
        assert_eq!(said(&reply).1.ends_with("# EOF\n"), ends, "{why}");
    }
}

#[test]
fn the_bytes_on_the_wire() {
    let ok = Reply::text(200, "ok");
    let table = [
        ("an answer", &ok, false, false, "200 OK", "", "", "2", "ok"),
        ("the last one", &ok, false, true, "200 OK", "", "Connection: close\r\n", "2", "ok"),
        ("to HEAD", &ok, true, false, "200 OK", "", "", "2", ""),
        ("to HEAD, the last one", &ok, true, true, "200 OK", "", "Connection: close\r\n", "2", ""),
        (
            "what is not done here",
            &Reply::refusal(405),
            false,
            false,
            "405 Method Not Allowed",
            "Allow: GET, HEAD\r\n",
            "",
            "23",
            "405 method not allowed\n",
        ),
    ];
    let mut printer = Printer::default();
    for (why, reply, head_only, close, status, allow, connection, len, body) in table {
        let form = Form { head_only, close };
        let first = printer.print(reply.clone(), form, 7).to_vec();
        assert_eq!(printer.print(reply.clone(), form, 7), first, "{why}: once more");
        let bytes = String::from_utf8(first).unwrap();
        let start = bytes.find("Date: ").unwrap();
        let end = start + bytes[start..].find("\r\n").unwrap() + 2;
        let dateless = format!("{}{}", &bytes[..start], &bytes[end..]);
        let expected = format!(
            "HTTP/1.1 {status}\r\nServer: tinysvc\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\n{allow}Content-Length: {len}\r\n{connection}\r\n{body}"
        );
        assert_eq!(dateless, expected, "{why}");
    }
}
