//! A scripted HTTP server: a stand-in for registries' faults only. What a registry does when all is well is tested against a
//! real one, in `tests/it/registry.rs`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Read no more than this of the request's body, then cut the connection.
    cut_after: Option<usize>,
    /// Answer before the body has come, then read it to its end, as nginx and Go do.
    early: bool,
    /// The announced length, where it is not the body's.
    promised: Option<usize>,
    end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is there for the next request.
    Kept,
    /// It is cut behind the answer.
    Cut,
    /// Nothing more comes.
    Lingers,
    /// There is no answer, ever.
    Silence,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut_after: None, early: false, promised: None, end: End::Kept }
    }

    pub(super) fn cut_after(bytes: usize) -> Self {
        Self { cut_after: Some(bytes), ..Self::new(0) }
    }

    pub(super) fn silent() -> Self {
        Self { end: End::Silence, ..Self::new(0) }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(super) fn early(self) -> Self {
        Self { early: true, ..self }
    }

    pub(super) fn truncated(self) -> Self {
        let length = self.body.len() + 10;
        self.promising(length)
    }

    /// Announces `length` bytes, whatever the body has, and cuts the connection behind the body.
    pub(super) fn promising(self, length: usize) -> Self {
        Self { end: End::Cut, promised: Some(length), ..self }
    }

    /// Does not cut the connection: nothing more comes.
    pub(super) fn lingering(self) -> Self {
        Self { end: End::Lingers, ..self }
    }
}

type Script = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// Answers on a free port of the loopback device, until the test process ends.
pub(super) struct Server {
    /// `127.0.0.1:PORT`
    pub(super) host: String,
    log: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// The script gets the head of each request and how many requests with the same line came before.
    pub(super) fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let log: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, shared): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, log) = (Arc::clone(&script), Arc::clone(&shared));
                // a connection that ends in the middle is part of the script
                std::thread::spawn(move || serve(stream, &*script, &log).ok());
            }
        });
        Self { host, log }
    }

    pub(super) fn log(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    /// The request lines so far, without pings and without queries.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.log().into_iter().map(|seen| seen.line().split('?').next().unwrap().to_owned());
        lines.filter(|line| line != "GET /v2/").collect()
    }
}

fn serve(stream: TcpStream, script: &Script, log: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(mut seen) = read_head(&mut reader)? {
        let index = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        let before =
            log.lock().unwrap()[..index].iter().filter(|other| (&other.method, &other.target) == (&seen.method, &seen.target)).count();
        let reply = script(&seen, before);
        let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
        if reply.early {
            answer(&mut writer, &reply, false)?;
            writer.shutdown(std::net::Shutdown::Write)?;
            return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
        }
        let wanted = reply.cut_after.map_or(length, |cut| cut.min(length));
        seen.body = vec![0; wanted];
        reader.read_exact(&mut seen.body)?;
        log.lock().unwrap()[index] = seen.clone();
        if reply.cut_after.is_some() {
            return Ok(());
        }
        if reply.end != End::Silence {
            answer(&mut writer, &reply, seen.method == "HEAD")?;
        }
        match reply.end {
            End::Kept => (),
            End::Cut => return Ok(()),
            // until the client loses its patience
            End::Lingers | End::Silence => return reader.read(&mut [0]).map(drop),
        }
    }
    Ok(())
}

fn read_head(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(Some(Seen { method, target, headers, body: Vec::new() })),
        }
    }
}

fn answer(writer: &mut TcpStream, reply: &Reply, is_head: bool) -> std::io::Result<()> {
    let length = reply.promised.unwrap_or(reply.body.len());
    let mut text = format!("HTTP/1.1 {} Scripted\r\ncontent-length: {length}\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    // in one piece: Nagle's algorithm would hold a second one back
    let body = if is_head { &[][..] } else { &reply.body };
    writer.write_all(&[text.as_bytes(), body].concat())
}
