//! What a control command asks of PID 1, and how it is answered.
//!
//! One request a connection, one message a request (`SOCK_SEQPACKET`, unix(7)). The answer is any number of pieces and
//! then the exit status of the command.
#![forbid(unsafe_code)]

use super::text::{Error, Reader, Writer};

/// The longest request, in bytes.
pub const REQUEST_LEN_MAX: usize = 16 * 1024;
/// The longest piece of an answer, in bytes. A longer text comes in several.
pub const PIECE_LEN_MAX: usize = 32 * 1024;
/// The most units, and the most properties, of one request.
pub const WORDS_MAX: u64 = 256;
/// Both ends are the same binary, so another number is a defect and no older release.
const VERSION: u64 = 1;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The subcommand, such as `start`.
    pub verb: String,
    /// The units it is about, in order; none where the verb needs none.
    pub units: Vec<String>,
    /// `--property`, in order; for `kill` the signal and whom.
    pub properties: Vec<String>,
    /// `--no-block`: the answer does not wait for the end of the job.
    pub no_block: bool,
    /// `--value`: values without names.
    pub value: bool,
}

/// One message of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// For standard output.
    Out(String),
    /// For standard error.
    Err(String),
    /// The end, with the exit status of the command.
    End(u8),
}

impl Request {
    /// At most [`REQUEST_LEN_MAX`] bytes, or `None`.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut to = Writer::new(256);
        to.number("tinysvc-control", VERSION);
        to.text("verb", &self.verb);
        to.flag("no-block", self.no_block);
        to.flag("value", self.value);
        for (key, words) in [("units", &self.units), ("properties", &self.properties)] {
            to.number(key, words.len() as u64);
            words.iter().for_each(|word| to.text("word", word));
        }
        Some(to.finish()).filter(|bytes| bytes.len() <= REQUEST_LEN_MAX)
    }

    /// Reads what [`Request::encode`] wrote.
    ///
    /// # Errors
    /// For anything else.
    pub fn decode(bytes: &[u8]) -> Result<Request, Error> {
        let mut from = Reader::new(bytes, REQUEST_LEN_MAX)?;
        if from.number("tinysvc-control")? != VERSION {
            return Err(Error::Expected("tinysvc-control"));
        }
        let mut request = Request {
            verb: from.string("verb")?,
            no_block: from.flag("no-block")?,
            value: from.flag("value")?,
            ..Request::default()
        };
        for (key, words) in [("units", &mut request.units), ("properties", &mut request.properties)] {
            let count = from.number(key)?;
            if count > WORDS_MAX {
                return Err(Error::Expected(key));
            }
            for _ in 0..count {
                words.push(from.string("word")?);
            }
        }
        from.finish()?;
        Ok(request)
    }
}

impl Piece {
    /// The message: a letter and the text, or the status.
    pub fn encode(&self) -> Vec<u8> {
        let (letter, text) = match self {
            Piece::Out(text) => (b'o', text.as_bytes()),
            Piece::Err(text) => (b'e', text.as_bytes()),
            Piece::End(status) => return vec![b'x', *status],
        };
        let mut bytes = Vec::with_capacity(text.len().saturating_add(1));
        bytes.push(letter);
        bytes.extend_from_slice(text);
        bytes
    }

    /// Reads what [`Piece::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Piece> {
        let (letter, rest) = bytes.split_first()?;
        let text = || String::from_utf8(rest.to_vec()).ok();
        match (letter, rest) {
            (b'o', _) => text().map(Piece::Out),
            (b'e', _) => text().map(Piece::Err),
            (b'x', [status]) => Some(Piece::End(*status)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_nothing_else_does() {
        let request = Request {
            verb: "show".into(),
            units: vec!["a.service".into(), "b\n\\.service".into()],
            properties: vec!["MainPID".into()],
            no_block: true,
            value: false,
        };
        let bytes = request.encode().unwrap();
        assert_eq!(Request::decode(&bytes), Ok(request.clone()));
        for cut in 0..bytes.len() {
            assert!(Request::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let table: [(&str, &[u8]); 5] = [
            ("nothing", b""),
            ("no text", b"\xff\xfe"),
            ("something follows", &[bytes.as_slice(), b"x"].concat()),
            ("another version", b"tinysvc-control=2\nverb=list\n"),
            ("too many units", b"tinysvc-control=1\nverb=x\nno-block=no\nvalue=no\nunits=99999999999\n"),
        ];
        for (why, bytes) in table {
            assert!(Request::decode(bytes).is_err(), "{why}");
        }
        let long = Request { units: vec!["u".repeat(REQUEST_LEN_MAX)], ..request };
        assert_eq!(long.encode(), None);
    }

    #[test]
    fn an_answer_reads_back() {
        for piece in [Piece::Out("a\nb".into()), Piece::Err(String::new()), Piece::End(3)] {
            assert_eq!(Piece::decode(&piece.encode()), Some(piece));
        }
        for bytes in [b"".as_slice(), b"x", b"x12", b"?a", b"o\xff"] {
            assert_eq!(Piece::decode(bytes), None);
        }
    }
}
