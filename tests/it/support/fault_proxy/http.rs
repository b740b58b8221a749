//! As much of HTTP/1.1 as a proxy needs: where a head ends, and where a body does.

use std::io::{self, Read as _};
use std::net::TcpStream;

const MAX_HEAD: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// One side of a conversation. The stream is never cloned: a reset needs its only handle.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    /// Read, but not yet used.
    held: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, held: Vec::new() }
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; PIECE];
        let count = (&self.stream).read(&mut buffer)?;
        self.held.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    /// Everything up to and with `end`; `None` where the other side has nothing more to say.
    fn until(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.held.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.held.drain(..at + end.len()).collect()));
            }
            if self.held.len() > MAX_HEAD {
                return Err(io::Error::other("no end of a head"));
            }
            if !self.fill()? {
                return if self.held.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// At most `most` bytes of what comes next; none at the end.
    fn some(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.held.is_empty() && !self.fill()? {
            return Ok(Vec::new());
        }
        let count = self.held.len().min(PIECE).min(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(self.held.drain(..count).collect())
    }
}

/// A head, byte for byte.
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    first: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    pub(super) fn read(wire: &mut Wire) -> io::Result<Option<Self>> {
        let Some(bytes) = wire.until(b"\r\n\r\n")? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Ok(Some(Self { bytes, first, headers }))
    }

    /// A word of the first line.
    pub(super) fn word(&self, number: usize) -> &str {
        self.first.split(' ').nth(number).unwrap_or_default()
    }

    pub(super) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn ends_connection(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Replaces a header, or adds it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let is_other = |line: &&str| line.split_once(':').is_none_or(|(other, _)| !other.eq_ignore_ascii_case(name));
        let kept: Vec<&str> = text.trim_end().lines().filter(is_other).collect();
        self.bytes = format!("{}\r\n{name}: {value}\r\n\r\n", kept.join("\r\n")).into_bytes();
    }

    /// The body of a request with this head.
    pub(super) fn request_body(&self) -> Body {
        self.body().unwrap_or(Body::Left(0))
    }

    /// The body of an answer with this head.
    pub(super) fn response_body(&self, method: &str) -> Body {
        match self.status() {
            204 | 304 => Body::Left(0),
            _ if method == "HEAD" => Body::Left(0),
            _ => self.body().unwrap_or(Body::ToEnd),
        }
    }

    fn body(&self) -> Option<Body> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Some(Body::Chunks { left: 0, first: true });
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Body::Left)
    }
}

/// How a body is told from what follows it.
pub(super) enum Body {
    /// By its length: so much is to come.
    Left(u64),
    /// By chunks: so much of this one is to come.
    Chunks { left: u64, first: bool },
    /// By the end of the connection.
    ToEnd,
}

impl Body {
    /// The next bytes of the content; none at its end.
    pub(super) fn next(&mut self, wire: &mut Wire) -> io::Result<Vec<u8>> {
        match self {
            Self::Left(0) => Ok(Vec::new()),
            Self::Left(left) => {
                let piece = wire.some(*left)?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= piece.len() as u64;
                Ok(piece)
            }
            Self::Chunks { left, first } => next_of_chunks(wire, left, first),
            Self::ToEnd => wire.some(u64::MAX),
        }
    }

    /// The same way to tell an end, without the count.
    pub(super) fn frame(&self) -> Self {
        match self {
            Self::Chunks { .. } => Self::Chunks { left: 0, first: false },
            Self::Left(_) => Self::Left(0),
            Self::ToEnd => Self::ToEnd,
        }
    }

    /// The bytes of a piece on the wire. Chunks are cut anew: how they are cut is a matter of each connection.
    pub(super) fn framed(&self, piece: &[u8]) -> Vec<u8> {
        match self {
            Self::Chunks { .. } => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
            Self::Left(_) | Self::ToEnd => piece.to_vec(),
        }
    }

    /// What ends the body on the wire.
    pub(super) fn end(&self) -> &'static [u8] {
        if matches!(self, Self::Chunks { .. }) { b"0\r\n\r\n" } else { b"" }
    }

    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::ToEnd)
    }
}

fn next_of_chunks(wire: &mut Wire, left: &mut u64, first: &mut bool) -> io::Result<Vec<u8>> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    if *left == 0 {
        if !std::mem::take(first) {
            wire.until(b"\r\n")?.ok_or_else(ended)?;
        }
        let line = wire.until(b"\r\n")?.ok_or_else(ended)?;
        let size = String::from_utf8_lossy(&line);
        *left = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).map_err(io::Error::other)?;
        if *left == 0 {
            return wire.until(b"\r\n")?.map(|_| Vec::new()).ok_or_else(ended);
        }
    }
    let piece = wire.some(*left)?;
    if piece.is_empty() {
        return Err(ended());
    }
    *left -= piece.len() as u64;
    Ok(piece)
}
