//! Faults, one by one, against a scripted server. The pauses between attempts are recorded instead of waited for.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use super::*;
use server::{Reply, Seen, Server};

mod conformance;
mod doctor;
mod downloads;
mod faults;
mod log_in;
mod login;
mod manifests;
mod mounts;
mod new_blobs;
mod resumes;
mod server;
mod streams;
mod uploads;

/// A store, and the pauses it would have made.
struct Opened {
    store: RegistryStore,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl Opened {
    fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

/// Opens `org/model` at a host, with no credentials but those in `authfile`.
fn open_with(host: &str, options: &StoreOptions) -> Opened {
    open_patient(host, options, IDLE)
}

fn open_patient(host: &str, options: &StoreOptions, idle: Duration) -> Opened {
    let pauses: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = Arc::clone(&pauses);
    let retry = Retry::new(move |pause| seen.lock().unwrap().push(pause));
    let reference = format!("{host}/org/model").parse().unwrap();
    let patience = Patience { idle, retry };
    Opened { store: RegistryStore::along(&Route::direct(&reference), &reference, Access::Write, options, &patience).unwrap(), pauses }
}

fn open(server: &Server) -> Opened {
    open_with(&server.host, &StoreOptions::default())
}

/// An authfile with a log-in for the server; the directory must live as long as the store.
fn authfile(server_host: &str, entry: &str) -> (tempfile::TempDir, StoreOptions) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    fs_err::write(&file, format!(r#"{{"auths":{{"{server_host}":{entry}}}}}"#)).unwrap();
    (dir, StoreOptions { authfile: Some(file), ..StoreOptions::default() })
}

const PASSWORD: &str = r#"{"username":"ci+bot","password":"CANARY-PASSWORD"}"#;

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of("application/octet-stream", bytes)
}

/// Plays a registry that is empty and accepts everything; `None` in a script falls through to it.
fn willing(seen: &Seen) -> Reply {
    match seen.method.as_str() {
        "GET" if seen.target == "/v2/" => Reply::new(200),
        "HEAD" | "GET" => Reply::new(404),
        "POST" => Reply::new(202).with("location", "/v2/org/model/blobs/uploads/1?_state=a%2Fb"),
        "DELETE" => Reply::new(204),
        _ => Reply::new(201),
    }
}

/// Everything that an error shows to a person or a log.
fn all_words(error: &StoreError) -> String {
    let mut words = format!("{error} {error:?} {:?}", error.hint());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(words, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    words
}
