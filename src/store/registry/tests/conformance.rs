//! What the distribution specification asks of clients, held against a registry that takes nothing else:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>. Each test names its section.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MIB: usize = 1 << 20;
const SESSION: &str = "/v2/org/model/blobs/uploads/1?_state=";

/// A registry with one upload session whose address changes with every answer and holds how far it has come.
#[derive(Default)]
struct Strict {
    stored: AtomicUsize,
    /// Whether the second chunk is lost once, with its connection.
    breaks: bool,
}

impl Strict {
    fn answer(&self, seen: &Seen, before: usize) -> Reply {
        let at = self.stored.load(Ordering::SeqCst);
        let here = seen.target.starts_with(&format!("{SESSION}{at}"));
        match seen.method.as_str() {
            "POST" => Self::session(202, 0),
            "PATCH" | "PUT" | "GET" if seen.target.contains("/uploads/") && !here => Reply::new(404),
            "GET" if seen.target.contains("/uploads/") => Self::session(204, at),
            "PATCH" if self.breaks && at == MIB && before == 0 => Reply::cut_after(1000),
            "PATCH" => self.patch(seen, at),
            "PUT" => Self::put(seen, at),
            _ => willing(seen),
        }
    }

    fn session(status: u16, at: usize) -> Reply {
        let reply = Reply::new(status).with("location", format!("{SESSION}{at}"));
        if at == 0 { reply } else { reply.with("range", format!("0-{}", at - 1)) }
    }

    /// A chunk: `Content-Range: <first>-<last>`, `Content-Length`, `Content-Type: application/octet-stream`, in order.
    fn patch(&self, seen: &Seen, at: usize) -> Reply {
        let length: usize = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        let range = seen.header("content-range").unwrap_or_default();
        if seen.header("content-type") != Some("application/octet-stream") || length == 0 {
            return Reply::new(400);
        }
        if range != format!("{at}-{}", at + length - 1) {
            return Reply::new(416);
        }
        self.stored.store(at + length, Ordering::SeqCst);
        Self::session(202, at + length)
    }

    /// The end of an upload: the digest in the query, behind what was there.
    fn put(seen: &Seen, at: usize) -> Reply {
        let has_digest = seen.target.starts_with(&format!("{SESSION}{at}&digest=sha256%3A"));
        if has_digest && seen.header("content-length") == Some("0") { Reply::new(201) } else { Reply::new(400) }
    }
}

fn strict(breaks: bool) -> Server {
    let strict = Strict { breaks, ..Strict::default() };
    Server::start(move |seen, before| strict.answer(seen, before))
}

fn in_chunks(server: &Server) -> Opened {
    open_with(&server.host, &StoreOptions { chunk_size: Some(MIB as u64), ..StoreOptions::default() })
}

fn patched(server: &Server) -> Vec<u8> {
    server.log().into_iter().filter(|seen| seen.method == "PATCH").flat_map(|seen| seen.body).collect()
}

/// Section "Pushing a blob in chunks" (end-4a, end-5, end-6): chunk order, the form of `Content-Range`, `Content-Length`, the `Location` of each
/// answer, the digest with the request that closes the session.
#[test]
fn a_blob_in_chunks_satisfies_a_registry_that_takes_nothing_else() {
    let content: Vec<u8> = (0..=250).cycle().take(3 * MIB + 5).collect();
    for known in [true, false] {
        let server = strict(false);
        let opened = in_chunks(&server);
        if known {
            opened.store.put_blob(&blob(&content), &content).unwrap();
        } else {
            assert_eq!(opened.store.put_new_blob(content.len() as u64, &content).unwrap(), Digest::of(&content));
        }
        assert!(patched(&server) == content && opened.pauses().is_empty(), "{known}: {:?}", server.lines());
    }
}

/// Section "Pushing a blob in chunks", end-13: `GET` of the session tells how far it has come, and the next chunk follows on that.
#[test]
fn an_upload_in_chunks_that_broke_goes_on_behind_the_range_that_is_told() {
    let content: Vec<u8> = (0..=250).cycle().take(3 * MIB).collect();
    let server = strict(true);
    in_chunks(&server).store.put_blob(&blob(&content), &content).unwrap();
    let asked = server.log().iter().filter(|seen| seen.method == "GET" && seen.target == format!("{SESSION}{MIB}")).count();
    assert_eq!((asked, patched(&server).len()), (1, content.len() + 1000), "only what was lost is sent twice");
}

/// The end of the specification's table, the request as it must be written, and what of ours sends it.
type Endpoint<'a> = (&'a str, String, &'a dyn Fn(&RegistryStore));

/// Every request by which a client may speak to a registry: section "Endpoints".
#[test]
fn every_request_is_one_of_the_tables_endpoints() {
    let image = RawManifest { media_type: crate::oci::media_type::MANIFEST.to_owned(), bytes: b"{}".to_vec() };
    let digest = Digest::of(b"x");
    let by_tag = ManifestRef::Tag("v1".to_owned());
    let table: [Endpoint; 7] = [
        ("end-2", format!("HEAD /v2/org/model/blobs/{digest}"), &|store| drop(store.has_blob(&blob(b"x")))),
        ("end-2", format!("GET /v2/org/model/blobs/{digest}"), &|store| drop(store.get_blob(&blob(b"x")))),
        ("end-3", "GET /v2/org/model/manifests/v1".to_owned(), &|store| drop(store.get_manifest(&by_tag))),
        ("end-7", "PUT /v2/org/model/manifests/v1".to_owned(), &|store| drop(store.put_manifest(&image, &by_tag))),
        ("end-8", "GET /v2/org/model/tags/list".to_owned(), &|store| drop(store.tags())),
        ("end-12a", format!("GET /v2/org/model/referrers/{digest}"), &|store| drop(store.referrers(&digest))),
        ("end-4a, end-6", "POST /v2/org/model/blobs/uploads/".to_owned(), &|store| drop(store.put_blob(&blob(b"x"), &b"x".to_vec()))),
    ];
    for (end, line, ask) in table {
        let server = Server::start(|seen, _| willing(seen));
        ask(&open(&server).store);
        assert!(server.lines().contains(&line), "{end}: {:?}", server.lines());
    }
}
