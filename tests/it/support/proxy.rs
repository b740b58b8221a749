//! A wire that counts: a TCP relay on loopback that tells how many bytes went towards the registry.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Relays connections to an address and counts what clients send. Its thread ends with the process.
pub struct CountingProxy {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl CountingProxy {
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), sent: Arc::default() };
        let (target, sent) = (target.to_owned(), proxy.sent.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (client_back, server_back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let sent = sent.clone();
                thread::spawn(move || {
                    relay(client, server, |bytes| {
                        sent.fetch_add(bytes, Ordering::SeqCst);
                    });
                });
                thread::spawn(move || relay(server_back, client_back, |_| ()));
            }
        });
        proxy
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Bytes that clients have sent so far, headers included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, count: impl Fn(u64)) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count(read as u64);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
