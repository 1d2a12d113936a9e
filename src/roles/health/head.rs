//! Reads the head of one HTTP/1.x request: RFC 9112, as much as a probe needs.
//!
//! The bytes come from anyone who can reach the port. Whatever is not a request line and headers is
//! refused with the status that says so; nothing is guessed. Bodies are never read.
#![forbid(unsafe_code)]

/// The longest head, in bytes: what nginx and Apache allow.
pub const HEAD_LEN_MAX: usize = 8192;

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// GET, HEAD or anything else.
    pub method: Method,
    /// From the first `/`, not yet decoded.
    pub path: &'a str,
    /// What stands behind the `?`, not yet decoded.
    pub query: &'a str,
    /// Another request may follow on this connection.
    pub keep_alive: bool,
    /// A body follows.
    pub body: bool,
    /// The values of `Accept`, in order.
    pub accept: Vec<&'a str>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The answer.
    Get,
    /// The answer without its body.
    Head,
    /// Not done here.
    Other,
}

/// Whether a head is complete.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It is, and so long, in bytes, with the empty line.
    At(usize),
    /// More must come.
    Missing,
    /// It is longer than [`HEAD_LEN_MAX`].
    TooLong,
}

/// Where the head ends in what has come so far. A line ends with LF; a CR before it is optional.
pub fn end(bytes: &[u8]) -> End {
    let mut line_empty = false;
    let mut text_seen = false;
    for (at, byte) in bytes.iter().take(HEAD_LEN_MAX).enumerate() {
        match byte {
            // Empty lines before the request line are skipped: RFC 9112, section 2.2.
            b'\n' if line_empty && text_seen => return End::At(at.saturating_add(1)),
            b'\n' => line_empty = true,
            b'\r' => {}
            _ => (line_empty, text_seen) = (false, true),
        }
    }
    if bytes.len() >= HEAD_LEN_MAX { End::TooLong } else { End::Missing }
}

/// Reads a complete head; an error is the status to answer with.
pub fn parse(bytes: &[u8]) -> Result<Head<'_>, u16> {
    let mut lines =
        bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).skip_while(|l| l.is_empty());
    let line = std::str::from_utf8(lines.next().ok_or(400_u16)?).map_err(|_| 400_u16)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    let keep_alive = match version.as_bytes() {
        b"HTTP/1.0" => false,
        b"HTTP/1.1" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(505);
        }
        _ => return Err(400),
    };
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(400);
    }
    let (path, query) = split_target(target).ok_or(400_u16)?;
    let mut head = Head {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        path,
        query,
        keep_alive,
        body: false,
        accept: Vec::new(),
    };
    for line in lines.take_while(|l| !l.is_empty()) {
        head.header(line).ok_or(400_u16)?;
    }
    Ok(head)
}

/// A path, `*`, or what a client says to a proxy: `http://host/path`.
fn split_target(target: &str) -> Option<(&str, &str)> {
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => {
            rest.find(['/', '?']).map_or("/", |at| rest.get(at..).unwrap_or("/"))
        }
        _ if target.starts_with('/') || target == "*" => target,
        _ => return None,
    };
    Some(target.split_once('?').unwrap_or((target, "")))
}

impl<'a> Head<'a> {
    /// Takes in one header line, or says that it is none.
    fn header(&mut self, line: &'a [u8]) -> Option<()> {
        let at = line.iter().position(|b| *b == b':')?;
        let name = line.get(..at)?;
        // A space here is how one request is smuggled as two: RFC 9112, section 5.1.
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let value = line.get(at.saturating_add(1)..)?.trim_ascii();
        if name.eq_ignore_ascii_case(b"Connection") {
            let close = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(b"close");
            self.keep_alive &= !value.split(|b| *b == b',').any(close);
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            self.body |= value != b"0";
        } else if name.eq_ignore_ascii_case(b"Transfer-Encoding") {
            self.body = true;
        } else if name.eq_ignore_ascii_case(b"Accept") {
            // One that is no text names no type that we have.
            self.accept.extend(std::str::from_utf8(value).ok());
        }
        Some(())
    }

    /// Whether the client names this media type (RFC 9110, section 12.5.1) and does not refuse it.
    /// A wildcard names nothing.
    pub fn accepts(&self, media_type: &str) -> bool {
        self.accept.iter().flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
            let refused = |p: &str| matches!(p.strip_prefix("q=0"), Some(rest) if rest.trim_matches(['.', '0']).is_empty());
            named && !parts.any(refused)
        })
    }
}

/// Decodes `%41`, and `+` where it is a space. `None` for a `%` without its two digits and for what is no
/// UTF-8 afterwards.
pub fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let (mut decoded, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_head_ends() {
        let table: [(&str, &[u8], End); 8] = [
            ("with CRLF", b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", End::At(24)),
            ("with LF", b"GET / HTTP/1.0\n\nrest", End::At(16)),
            ("empty lines before it", b"\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n", End::At(24)),
            ("half a line", b"GET / HT", End::Missing),
            ("no empty line yet", b"GET / HTTP/1.1\r\nA: b\r\n", End::Missing),
            ("only empty lines", b"\r\n\r\n", End::Missing),
            ("nothing", b"", End::Missing),
            ("a CR alone ends no line", b"GET / HTTP/1.1\r\r", End::Missing),
        ];
        for (why, bytes, at) in table {
            assert_eq!(end(bytes), at, "{why}");
        }
        let mut longest = vec![b'x'; HEAD_LEN_MAX - 2];
        assert_eq!(end(&longest), End::Missing);
        longest.extend(b"\n\n");
        assert_eq!(end(&longest), End::At(HEAD_LEN_MAX));
        longest.insert(0, b'x');
        assert_eq!(end(&longest), End::TooLong, "one past the limit");
    }

    #[test]
    fn what_is_read() {
        let get = || Head {
            method: Method::Get,
            path: "/livez",
            query: "",
            keep_alive: true,
            body: false,
            accept: vec![],
        };
        let table: [(&str, &[u8], Result<Head<'_>, u16>); 21] = [
            ("plain", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", Ok(get())),
            ("1.0 closes", b"GET /livez HTTP/1.0\n\n", Ok(Head { keep_alive: false, ..get() })),
            (
                "the client closes",
                b"GET /livez HTTP/1.1\r\nCONNECTION: x, Close\r\n\r\n",
                Ok(Head { keep_alive: false, ..get() }),
            ),
            ("head", b"HEAD /livez HTTP/1.1\r\n\r\n", Ok(Head { method: Method::Head, ..get() })),
            (
                "case counts in methods",
                b"get /livez HTTP/1.1\r\n\r\n",
                Ok(Head { method: Method::Other, ..get() }),
            ),
            ("a query", b"GET /livez?a&b=c?d HTTP/1.1\r\n\r\n", Ok(Head { query: "a&b=c?d", ..get() })),
            ("as to a proxy", b"GET http://h:1/livez?x HTTP/1.1\r\n\r\n", Ok(Head { query: "x", ..get() })),
            ("a host alone", b"GET http://h HTTP/1.1\r\n\r\n", Ok(Head { path: "/", ..get() })),
            ("a body", b"GET /livez HTTP/1.1\r\nContent-Length: 5\r\n\r\n", Ok(Head { body: true, ..get() })),
            ("an empty body", b"GET /livez HTTP/1.1\r\ncontent-length: 0\r\n\r\n", Ok(get())),
            (
                "chunks",
                b"GET /livez HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n",
                Ok(Head { body: true, ..get() }),
            ),
            (
                "accept, twice",
                b"GET /livez HTTP/1.1\r\nAccept: a/b\r\naccept:c/d\r\n\r\n",
                Ok(Head { accept: vec!["a/b", "c/d"], ..get() }),
            ),
            ("a header that is no text", b"GET /livez HTTP/1.1\r\nX: \xff\r\n\r\n", Ok(get())),
            ("a later version", b"GET /livez HTTP/2.0\r\n\r\n", Err(505)),
            ("no version", b"GET /livez\r\n\r\n", Err(400)),
            ("another protocol", b"GET /livez SIP/2.0\r\n\r\n", Err(400)),
            ("one word too many", b"GET /livez x HTTP/1.1\r\n\r\n", Err(400)),
            ("no path", b"GET livez HTTP/1.1\r\n\r\n", Err(400)),
            ("a path that is no ASCII", b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", Err(400)),
            ("a space before the colon", b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Err(400)),
            ("TLS", b"\x16\x03\x01\x02\x00\n\n", Err(400)),
        ];
        for (why, bytes, head) in table {
            assert_eq!(parse(bytes), head, "{why}");
        }
    }

    #[test]
    fn what_a_client_accepts() {
        let table = [
            ("named", "application/json", true),
            ("in a list, in any case", "text/html, Application/JSON;q=0.9", true),
            ("with a parameter", "application/json; charset=utf-8", true),
            ("anything is not json", "*/*", false),
            ("refused", "application/json;q=0", false),
            ("refused in full", "application/json; q=0.000", false),
            ("hardly wanted", "application/json;q=0.001", true),
            ("part of a name", "application/json5", false),
            ("nothing", "", false),
        ];
        for (why, accept, yes) in table {
            let text = format!("GET / HTTP/1.1\r\nAccept: {accept}\r\n\r\n");
            assert_eq!(parse(text.as_bytes()).unwrap().accepts("application/json"), yes, "{why}");
        }
    }

    #[test]
    fn percent_signs() {
        let table = [
            ("plain", "web.service", Some("web.service")),
            ("decoded", "%77eb%2Eservice%2f", Some("web.service/")),
            ("several bytes", "%c3%a4", Some("\u{e4}")),
            ("plus", "a+b", Some("a b")),
            ("cut short", "a%4", None),
            ("no digits", "%zz", None),
            ("a sign is no digit", "%+1", None),
            ("no UTF-8", "%ff", None),
        ];
        for (why, text, decoded) in table {
            assert_eq!(decode(text, true).as_deref(), decoded, "{why}");
        }
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"), "a path keeps its plus");
    }
}
