//! A small HTTP/1.1 server, one thread per connection, that can be told to fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// How a service fails instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status and does nothing.
    Status(u16),
    /// Takes the request and never answers; ends with the client, or with the stand-in.
    Hang,
    /// Closes the connection without a word.
    CloseConnection,
    /// Does what was asked, and closes the connection before the answer: what makes clients ask twice.
    LoseAnswer,
    /// 200 with the page of some proxy.
    Garbage,
    /// 200 with blanks that do not end (before 1 GiB).
    Huge,
}

pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub content_type: String,
    /// The token in the header `Authorization`.
    pub bearer: Option<String>,
    /// All of them, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// `POST /path`, without the query.
    pub fn what(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap())
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// So many bytes of the body are sent, and then the connection breaks off.
    pub cut: usize,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into(), cut: usize::MAX }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// An error of the services that were born as REST: Rekor v1 and the time-stamp authority.
    pub fn refused(status: u16, message: impl std::fmt::Display) -> Self {
        Self::json(status, &json!({"code": status, "message": message.to_string()}))
    }

    /// An error of the services that are gRPC behind a gateway (Fulcio, Rekor v2), with gRPC's own codes.
    pub fn grpc(status: u16, code: u16, message: impl std::fmt::Display) -> Self {
        Self::json(status, &json!({"code": code, "message": message.to_string(), "details": []}))
    }

    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

struct Shared {
    handler: Handler,
    stop: AtomicBool,
    fault: Mutex<Option<(Fault, usize)>>,
    seen: Mutex<Vec<String>>,
}

/// A service on a loopback port of its own; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds first, for a handler that has to know its own address.
    pub fn start(listener: TcpListener, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { handler: Box::new(handler), stop: AtomicBool::new(false), fault: Mutex::default(), seen: Mutex::default() });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    pub fn fail(&self, fault: Fault, times: usize) {
        *self.shared.fault.lock().unwrap() = Some((fault, times));
    }

    pub fn heal(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// `POST /path` of every request so far, those that failed included.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // wakes the thread that waits for a connection
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = shared.clone();
        thread::spawn(move || {
            // a client that goes away is no failure of the service
            let _ = serve(&connection, &shared);
        });
    }
}

/// One request per connection, which keeps "the connection was closed" simple.
fn serve(mut connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let request = read_request(connection)?;
    shared.seen.lock().unwrap().push(request.what());
    match take_fault(shared) {
        None => write_answer(connection, &(shared.handler)(&request)),
        Some(Fault::Status(status)) => write_answer(connection, &Answer::refused(status, "made to fail")),
        Some(Fault::Garbage) => write_answer(connection, &Answer::new(200, "text/html", "<html>Please log in</html>")),
        Some(Fault::CloseConnection) => Ok(()),
        Some(Fault::LoseAnswer) => {
            (shared.handler)(&request);
            Ok(())
        }
        Some(Fault::Hang) => hang(connection, shared),
        Some(Fault::Huge) => {
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")?;
            let block = vec![b' '; 1 << 20];
            (0..1 << 10).try_for_each(|_| connection.write_all(&block))
        }
    }
}

fn take_fault(shared: &Shared) -> Option<Fault> {
    let mut fault = shared.fault.lock().unwrap();
    let (kind, left) = (*fault)?;
    *fault = (left > 1).then_some((kind, left - 1));
    (left > 0).then_some(kind)
}

fn hang(mut connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_millis(50)))?;
    while !shared.stop.load(Ordering::SeqCst) {
        if matches!(connection.read(&mut [0]), Ok(0)) {
            break;
        }
    }
    Ok(())
}

fn read_request(connection: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(std::io::ErrorKind::InvalidData.into()) };
    let (mut length, mut content_type, mut bearer, mut headers) = (0, String::new(), None, Vec::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?,
            "authorization" => bearer = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            "content-type" => value.trim().clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request { method, path, content_type, bearer, headers, body })
}

fn write_answer(mut connection: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} stand-in\r\nconnection: close\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    connection.write_all((head + "\r\n").as_bytes())?;
    connection.write_all(&answer.body[..answer.body.len().min(answer.cut)])
}
