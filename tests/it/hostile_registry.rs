//! A registry that wants to harm who verifies: nothing it serves passes, and none of it costs much memory, time or many requests.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use modelcar::oci::{Descriptor, Digest, media_type};
use serde_json::json;

use crate::support::usage::watch;
use crate::support::{modelcar, run, temp_dir};

const MIB: u64 = 1 << 20;

/// What is sent for a path below `/v2/m/iris/`.
enum Answer {
    /// A document of this media type.
    Document(&'static str, Vec<u8>),
    /// The same, with a link to a next page.
    Page(Vec<u8>),
    /// This address instead.
    Elsewhere(String),
    /// Bytes of this media type without end.
    Endless(&'static str),
    NotFound,
}

use Answer::{Document, Elsewhere, Endless, NotFound, Page};

type Answers = dyn Fn(&str) -> Answer + Send + Sync;

/// Serves until the process ends.
struct Hostile {
    host: String,
    requests: Arc<AtomicU64>,
}

impl Hostile {
    fn serve(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hostile = Self { host: listener.local_addr().unwrap().to_string(), requests: Arc::default() };
        let (answers, requests): (Arc<Answers>, _) = (Arc::new(answers), hostile.requests.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answers, requests) = (answers.clone(), requests.clone());
                thread::spawn(move || converse(client, &*answers, &requests));
            }
        });
        hostile
    }
}

/// Answers request after request; an error means that the client has had enough.
fn converse(client: TcpStream, answers: &Answers, requests: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let path = head.split(' ').nth(1)?;
        let answer = path.strip_prefix("/v2/m/iris/").map_or_else(|| Document("application/json", b"{}".to_vec()), answers);
        respond(&mut client, answer).ok()?;
    }
}

fn respond(client: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    let (status, headers, body) = match answer {
        Document(media_type, body) => ("200 OK", format!("Content-Type: {media_type}\r\n"), body),
        Page(body) => {
            let link = "Link: </v2/m/iris/referrers/next>; rel=\"next\"\r\n";
            ("200 OK", format!("Content-Type: {}\r\n{link}", media_type::INDEX), body)
        }
        Elsewhere(address) => ("302 Found", format!("Location: {address}\r\n"), Vec::new()),
        NotFound => ("404 Not Found", String::new(), Vec::new()),
        Endless(media_type) => {
            write!(client, "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(client, "10000\r\n{}\r\n", " ".repeat(0x10000))?;
            }
        }
    };
    // in one piece: a second one would wait 40 ms for the first one's acknowledgement
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    client.write_all(&[head.as_bytes(), &body].concat())
}

/// An image, which is honest: its manifest.
fn image() -> Vec<u8> {
    let config = Descriptor::of(media_type::CONFIG, b"{}");
    json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": config, "layers": [config]}).to_string().into_bytes()
}

/// Answers for the image behind the tag and by its digest, and leaves all else to `other`.
fn around(image: Vec<u8>, other: impl Fn(&str) -> Answer + Send + Sync + 'static) -> impl Fn(&str) -> Answer + Send + Sync {
    let by_digest = format!("manifests/{}", Digest::of(&image));
    move |path| {
        if path == "manifests/v1" || path == by_digest { Document(media_type::MANIFEST, image.clone()) } else { other(path) }
    }
}

fn list_of(entries: &[Descriptor]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries}).to_string().into_bytes()
}

fn is_sig(path: &str) -> bool {
    path.strip_suffix(".sig").is_some()
}

fn strangers(count: u32) -> Vec<Descriptor> {
    (0..count).map(|number| Descriptor::of(media_type::MANIFEST, &number.to_be_bytes())).collect()
}

/// Referrers whose bundles are as large as is allowed and hold one statement each.
fn large_bundles() -> Hostile {
    let subject = Descriptor::of(media_type::MANIFEST, &image());
    let mut documents = std::collections::BTreeMap::new();
    let mut listed = Vec::new();
    for number in 0..40 {
        let filler = format!("{number:04}").repeat(196_000);
        let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": subject.digest.hex()}}],
            "predicateType": "https://example.com/filler", "predicate": filler})
        .to_string();
        let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, statement);
        let bundle = json!({"mediaType": media_type::BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": [{"sig": "AAAA"}]}});
        let bundle = bundle.to_string().into_bytes();
        assert!(bundle.len() as u64 > MIB - 8192 && bundle.len() as u64 <= MIB, "{}", bundle.len());
        let layer = Descriptor::of(media_type::BUNDLE, &bundle);
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "artifactType": media_type::BUNDLE,
            "config": Descriptor::of(media_type::EMPTY, b"{}"), "layers": [layer], "subject": subject})
        .to_string()
        .into_bytes();
        listed.push(Descriptor::of(media_type::MANIFEST, &manifest));
        documents.insert(format!("blobs/{}", layer.digest), (media_type::BUNDLE, bundle));
        documents.insert(format!("manifests/{}", Digest::of(&manifest)), (media_type::MANIFEST, manifest));
    }
    listed.extend(strangers(4000));
    let list = list_of(&listed);
    Hostile::serve(around(image(), move |path| match documents.get(path) {
        Some((media_type, bytes)) => Document(media_type, bytes.clone()),
        None if path.starts_with("referrers/") => Document(media_type::INDEX, list.clone()),
        None => NotFound,
    }))
}

/// As many classic signatures as are read, each of another payload.
fn crowded_signatures() -> Hostile {
    let payload = |number: usize| format!("{{\"number\": {number}}}").into_bytes();
    let layer = move |number: usize| {
        let blob = Descriptor::of(media_type::SIMPLE_SIGNING, &payload(number));
        json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size,
            "annotations": {"dev.cosignproject.cosign/signature": "MEUCIQDGrMSJ7oXEX1A9jkHpVBSP1eOvCoLf9mbJ8x0FOzAu1wIgXYzEcyLvTSM7XkSqpL9sWwmhTDxqGxWZkTzp9Kx3aXs="}})
    };
    let layers: Vec<_> = (0..4096).map(layer).collect();
    let signatures = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": Descriptor::of(media_type::CONFIG, b"{}"), "layers": layers})
    .to_string()
    .into_bytes();
    let blobs: std::collections::BTreeMap<String, Vec<u8>> =
        (0..4096).map(|number| (format!("blobs/{}", Digest::of(&payload(number))), payload(number))).collect();
    Hostile::serve(around(image(), move |path| match blobs.get(path) {
        Some(bytes) => Document("application/octet-stream", bytes.clone()),
        None if is_sig(path) => Document(media_type::MANIFEST, signatures.clone()),
        None => NotFound,
    }))
}

/// An index of as many platforms as are read, all lost, with thousands of referrers each.
fn crowded_platforms() -> Hostile {
    let (index, list) = (list_of(&strangers(256)), list_of(&strangers(4096)));
    let by_digest = format!("manifests/{}", Digest::of(&index));
    Hostile::serve(move |path| match path {
        "manifests/v1" => Document(media_type::INDEX, index.clone()),
        path if path == by_digest => Document(media_type::INDEX, index.clone()),
        path if path.starts_with("referrers/") => Document(media_type::INDEX, list.clone()),
        _ => NotFound,
    })
}

/// Small on the wire, large in memory: millions of annotations.
fn crowded_annotations() -> Vec<u8> {
    let mut text = format!("{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"annotations\":{{", media_type::INDEX);
    for number in 0..350_000 {
        write!(text, "\"{number:x}\":\"\",").unwrap();
    }
    (text + "\"\":\"\"},\"manifests\":[]}").into_bytes()
}

/// One referrer per page, with a megabyte of annotations, and always one page more.
fn endless_pages() -> Hostile {
    let mut entry = strangers(1).remove(0);
    entry.annotations.insert("filler".to_owned(), "x".repeat(1 << 20));
    let page = list_of(&[entry]);
    Hostile::serve(around(image(), move |path| if path.starts_with("referrers/") { Page(page.clone()) } else { NotFound }))
}

/// What it does, how, and what modelcar answers.
type Attack = (&'static str, fn() -> Hostile, i32, &'static str);

const ATTACKS: [Attack; 12] = [
    ("bundles of a megabyte each", large_bundles, 1, "more than 33554432 bytes"),
    ("4096 classic signatures", crowded_signatures, 3, "is refused"),
    ("256 platforms with 4096 referrers each", crowded_platforms, 1, "more than 10000 requests"),
    ("pages without end", endless_pages, 1, "too large"),
    (
        "empty pages without end",
        || Hostile::serve(around(image(), |path| if path.starts_with("referrers/") { Page(list_of(&[])) } else { NotFound })),
        1,
        "number of pages",
    ),
    (
        "a list with a crowd of annotations",
        || {
            let list = crowded_annotations();
            Hostile::serve(around(image(), move |path| {
                if path.starts_with("referrers/") { Document(media_type::INDEX, list.clone()) } else { NotFound }
            }))
        },
        1,
        "more members than are read",
    ),
    (
        "an index with a crowd of annotations",
        || {
            let index = crowded_annotations();
            Hostile::serve(move |path| if path == "manifests/v1" { Document(media_type::INDEX, index.clone()) } else { NotFound })
        },
        1,
        "more members than are read",
    ),
    (
        "signatures with a crowd of annotations",
        || {
            let list = String::from_utf8(crowded_annotations()).unwrap().replace(media_type::INDEX, media_type::MANIFEST).into_bytes();
            Hostile::serve(around(image(), move |path| if is_sig(path) { Document(media_type::MANIFEST, list.clone()) } else { NotFound }))
        },
        3,
        "more members than are read",
    ),
    (
        "signatures without end",
        || Hostile::serve(around(image(), |path| if is_sig(path) { Endless(media_type::MANIFEST) } else { NotFound })),
        1,
        "longer than 4194304 bytes",
    ),
    (
        "a payload without end",
        || {
            let layer = json!({"mediaType": media_type::SIMPLE_SIGNING, "digest": Digest::of(b"x"), "size": 10,
                "annotations": {"dev.cosignproject.cosign/signature": "AAAA"}});
            let signatures = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
                "config": Descriptor::of(media_type::CONFIG, b"{}"), "layers": [layer]})
            .to_string()
            .into_bytes();
            Hostile::serve(around(image(), move |path| match path {
                path if is_sig(path) => Document(media_type::MANIFEST, signatures.clone()),
                path if path.starts_with("blobs/") => Endless("application/octet-stream"),
                _ => NotFound,
            }))
        },
        3,
        "changed or lost",
    ),
    (
        "redirects in a circle",
        || Hostile::serve(around(image(), |path| if is_sig(path) { Elsewhere(format!("/v2/m/iris/{path}")) } else { NotFound })),
        1,
        "redirects again and again",
    ),
    (
        "another manifest than was asked for",
        || {
            Hostile::serve(around(image(), |path| {
                if path.starts_with("referrers/") {
                    Document(media_type::INDEX, list_of(&strangers(3)))
                } else if is_sig(path) {
                    NotFound
                } else {
                    Document(media_type::MANIFEST, image())
                }
            }))
        },
        3,
        "is refused",
    ),
];

#[test]
fn no_attack_passes_or_costs_much() {
    let home = temp_dir();
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen", "-q", "--output-key-prefix", "a"]));
    for (what, attack, code, reason) in ATTACKS {
        let hostile = attack();
        let begun = Instant::now();
        let mut command = modelcar(home.path());
        command.current_dir(home.path()).args(["verify", "--key", "a.pub", &format!("{}/m/iris:v1", hostile.host)]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let said = thread::spawn(move || std::io::read_to_string(&mut errors).unwrap());
        let usage = watch(&mut child);
        let (status, said) = (child.wait().unwrap(), said.join().unwrap());
        let requests = hostile.requests.load(Ordering::SeqCst);
        let end: String = said.chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect();
        eprintln!("{what}: {} MiB, {requests} requests, {:.1?}", usage.peak_memory / MIB, begun.elapsed());
        assert_eq!(status.code(), Some(code), "{what}: {end}");
        assert!(said.contains(reason), "{what}: `{reason}` is not in\n{end}");
        assert!(usage.peak_memory > MIB && usage.peak_memory <= 64 * MIB, "{what}: {} KiB", usage.peak_memory / 1024);
        assert!(requests <= 10_010, "{what}: {requests} requests");
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}: {:?}", begun.elapsed());
    }
}
