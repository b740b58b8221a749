//! A proxy as companies have them: it takes `CONNECT` and requests with whole addresses, and brings everything to one place.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A running proxy; its thread ends with the process.
pub struct HttpProxy {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    /// Whatever is asked for, `target` answers: names need not exist. With `login` (`user:password`) nobody else may pass.
    pub fn start(target: &str, login: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), log: Arc::default() };
        let (target, log) = (target.to_owned(), Arc::clone(&proxy.log));
        let login = login.map(|login| format!("basic {}", STANDARD.encode(login)));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, log, login) = (target.clone(), Arc::clone(&log), login.clone());
                // a client that goes away is none of the proxy's business
                thread::spawn(move || serve(client, &target, &log, login.as_deref()).ok());
            }
        });
        proxy
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The first line of each connection: `CONNECT registry.modelcar.test:443`, `GET http://registry.modelcar.test/v2/`.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, target: &str, log: &Mutex<Vec<String>>, login: Option<&str>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&std::mem::take(&mut line));
    }
    let first = head.lines().next().unwrap_or_default().rsplit_once(' ').map_or("", |(request, _)| request).to_owned();
    log.lock().unwrap().push(first.clone());
    let shown = head.lines().find_map(|line| line.to_lowercase().starts_with("proxy-authorization:").then(|| line[20..].trim().to_owned()));
    let may_pass = login.is_none_or(|login| shown.is_some_and(|shown| shown.replacen("Basic", "basic", 1) == login));
    if !may_pass {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let mut server = TcpStream::connect(target)?;
    if first.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(format!("{head}\r\n").as_bytes())?;
    }
    let back = (server.try_clone()?, client);
    thread::spawn(move || relay(back.0, back.1));
    relay(reader, server);
    Ok(())
}

fn relay(mut from: impl Read, mut to: TcpStream) {
    // either side may end it
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
