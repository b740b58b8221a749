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

/// Relays connections to an address and cuts the first answer that grows beyond a limit.
pub struct CuttingProxy {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl CuttingProxy {
    pub fn start(target: &str, limit: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let (target, received, cut) = (target.to_owned(), proxy.received.clone(), Arc::new(AtomicU64::new(0)));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (client_back, server_back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (received, cut) = (received.clone(), cut.clone());
                thread::spawn(move || relay(client, server, |_| ()));
                thread::spawn(move || relay_until(server_back, client_back, limit, &received, &cut));
            }
        });
        proxy
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Bytes that servers have sent so far, headers included.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }
}

fn relay_until(mut from: TcpStream, mut to: TcpStream, limit: u64, received: &AtomicU64, cut: &AtomicU64) {
    let (mut buffer, mut passed) = (vec![0; 64 << 10], 0);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        passed += read as u64;
        received.fetch_add(read as u64, Ordering::SeqCst);
        let is_cut = passed > limit && cut.fetch_add(1, Ordering::SeqCst) == 0;
        if is_cut || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
