//! Manifests and those that refer to them.

use super::*;
use crate::oci::{ImageIndex, ImageManifest, media_type};

fn image() -> RawManifest {
    RawManifest::image(&ImageManifest::new(blob(b"config"), vec![blob(b"layer")])).unwrap()
}

fn referrer(subject: &RawManifest) -> RawManifest {
    let mut manifest = ImageManifest::new(Descriptor::of(media_type::EMPTY, b"{}"), vec![blob(b"signature")]);
    manifest.artifact_type = Some(media_type::BUNDLE.to_owned());
    manifest.subject = Some(subject.descriptor());
    manifest.annotations.insert("org.example.kind".to_owned(), "signature".to_owned());
    RawManifest::image(&manifest).unwrap()
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.to_owned())
}

fn sent(raw: &RawManifest) -> Reply {
    Reply::new(200).with("content-type", raw.media_type.clone()).body(raw.bytes.clone())
}

/// Answers with a manifest whatever is asked.
fn serves(reply: Reply) -> Server {
    Server::start(move |seen, _| if seen.target == "/v2/" { Reply::new(200) } else { reply.clone() })
}

#[test]
fn a_manifest_is_read_as_the_bytes_it_is() {
    let raw = RawManifest {
        bytes: b"{ \"mediaType\" : \"application/vnd.oci.image.index.v1+json\" }\n".to_vec(),
        media_type: media_type::INDEX.to_owned(),
    };
    let server = serves(sent(&raw).with("docker-content-digest", raw.digest().to_string()));
    let opened = open(&server);
    assert_eq!(opened.store.get_manifest(&tag("v1")).unwrap(), raw);
    assert_eq!(opened.store.get_manifest(&ManifestRef::Digest(raw.digest())).unwrap(), raw);
    let accept = server.log().last().unwrap().header("accept").unwrap().to_owned();
    assert!(media_type::ACCEPT_MANIFESTS.iter().all(|media_type| accept.contains(media_type)), "{accept}");
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let raw = image();
    let other = Digest::of(b"other");
    let lying = serves(sent(&raw).with("docker-content-digest", other.to_string()));
    for (server, at) in [(&lying, tag("v1")), (&serves(sent(&raw)), ManifestRef::Digest(other))] {
        let error = open(server).store.get_manifest(&at).unwrap_err();
        assert_eq!(error.to_string(), format!("manifest `{at}` should be {other} but is {}", raw.digest()));
        assert_eq!(error.exit_code(), crate::exit_code::REFUSED);
    }
}

#[test]
fn a_manifest_that_is_too_large_or_no_manifest_is_refused() {
    let announced = serves(Reply::new(200).body(vec![b' '; 5 << 20]));
    assert!(matches!(open(&announced).store.get_manifest(&tag("v1")).unwrap_err(), StoreError::TooLarge { size: 5_242_880, .. }));
    let page = serves(Reply::new(200).with("content-type", "text/html").body("<html>"));
    assert!(open(&page).store.get_manifest(&tag("v1")).unwrap_err().to_string().contains("unusable answer"));
}

#[test]
fn a_missing_manifest_is_said_so() {
    let server = Server::start(|seen, _| willing(seen));
    let error = open(&server).store.get_manifest(&tag("v1")).unwrap_err();
    assert_eq!(error.to_string(), format!("{}/org/model has no manifest `v1`", server.host));
    assert!(error.is_not_found());
}

#[test]
fn a_manifest_is_written_as_it_is_and_its_answer_checked() {
    let raw = image();
    let server = Server::start(|seen, _| willing(seen));
    open(&server).store.put_manifest(&raw, &tag("v1")).unwrap();
    let log = server.log();
    assert_eq!(server.lines(), ["PUT /v2/org/model/manifests/v1"], "nothing but the PUT");
    assert_eq!(log.last().unwrap().body, raw.bytes);
    assert_eq!(log.last().unwrap().header("content-type"), Some(media_type::MANIFEST));

    let lying = Server::start(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::new(201).with("docker-content-digest", Digest::of(b"other").to_string()),
        _ => willing(seen),
    });
    assert!(open(&lying).store.put_manifest(&raw, &tag("v1")).unwrap_err().to_string().starts_with("the stored manifest should be "));
}

#[test]
fn a_manifest_put_that_breaks_off_is_repeated() {
    let server =
        Server::start(|seen, before| if seen.method == "PUT" && before == 0 { Reply::cut_after(usize::MAX) } else { willing(seen) });
    open(&server).store.put_manifest(&image(), &tag("v1")).unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_blob_that_the_registry_misses_for_a_moment_is_waited_for() {
    let unknown = r#"{"errors":[{"code":"DIGEST_INVALID"},{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    for (refusals, succeeds) in [(3, true), (4, false)] {
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            "PUT" if before < refusals => Reply::new(400).body(unknown),
            _ => willing(seen),
        });
        let put = open(&server).store.put_manifest(&image(), &tag("v1"));
        assert_eq!((put.is_ok(), server.lines().len()), (succeeds, 4), "{put:?}");
    }
}

#[test]
fn a_registry_that_lists_referrers_gets_no_fallback_index() {
    let (subject, raw) = (image(), referrer(&image()));
    let by_digest = ManifestRef::Digest(raw.digest());
    // one that says so in its answer to the PUT, and Quay, which never does
    let told = Server::start(|seen, _| if seen.method == "PUT" { Reply::new(201).with("oci-subject", "sha256:x") } else { willing(seen) });
    open(&told).store.put_manifest(&raw, &by_digest).unwrap();
    assert_eq!(told.lines(), [format!("PUT /v2/org/model/manifests/{}", raw.digest())]);

    let empty = RawManifest::index(&ImageIndex::new(Vec::new())).unwrap();
    let quay = Server::start(move |seen, _| if seen.target.contains("/referrers/") { sent(&empty) } else { willing(seen) });
    open(&quay).store.put_manifest(&raw, &by_digest).unwrap();
    let expected = [format!("PUT /v2/org/model/manifests/{}", raw.digest()), format!("GET /v2/org/model/referrers/{}", subject.digest())];
    assert_eq!(quay.lines(), expected);
}

#[test]
fn a_referrer_before_its_subject_is_an_error_at_quay() {
    let raw = referrer(&image());
    let server = Server::start(|seen, _| if seen.target.contains("/referrers/") { Reply::new(400) } else { willing(seen) });
    let error = open(&server).store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap_err();
    assert!(error.to_string().contains(&image().digest().to_string()) && error.hint().unwrap().contains("push the image first"), "{error}");
    assert_eq!(open(&server).store.referrers(&image().digest()).unwrap(), []);
}

/// A registry without a referrers API that keeps one tag; `meddle` may change the stored index after the n-th write.
fn fallback_server(meddle: impl Fn(usize, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let index: Mutex<(usize, Option<Vec<u8>>)> = Mutex::default();
    Server::start(move |seen, _| {
        let is_index = seen.target.contains("/manifests/sha256-");
        let mut index = index.lock().unwrap();
        match (seen.method.as_str(), is_index) {
            ("GET", true) => {
                index.1.clone().map_or(Reply::new(404), |bytes| Reply::new(200).with("content-type", media_type::INDEX).body(bytes))
            }
            ("PUT", true) => {
                index.0 += 1;
                // the script sees heads only, so the stored bytes are what `meddle` makes of the known referrer
                index.1 = Some(meddle(index.0, index.1.clone().unwrap_or_default()));
                Reply::new(201)
            }
            _ => willing(seen),
        }
    })
}

fn index_of(entries: &[&RawManifest]) -> Vec<u8> {
    RawManifest::index(&ImageIndex::new(entries.iter().map(|raw| raw.descriptor()).collect())).unwrap().bytes
}

#[test]
fn a_referrer_that_another_writer_overwrote_is_added_again() {
    let (ours, theirs) = (referrer(&image()), RawManifest { bytes: b"{}".to_vec(), media_type: media_type::MANIFEST.to_owned() });
    let (both, alone) = (index_of(&[&theirs, &ours]), index_of(&[&theirs]));
    let server = fallback_server(move |write, _| if write < 3 { alone.clone() } else { both.clone() });
    let opened = open(&server);
    opened.store.put_manifest(&ours, &ManifestRef::Digest(ours.digest())).unwrap();
    let writes: Vec<Seen> = server.log().into_iter().filter(|seen| seen.method == "PUT" && seen.target.contains("sha256-")).collect();
    assert_eq!(writes.len(), 3);
    let last: ImageIndex = serde_json::from_slice(&writes[2].body).unwrap();
    let digests: Vec<Digest> = last.manifests.iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [theirs.digest(), ours.digest()], "theirs is kept");
    let entry = &last.manifests[1];
    assert_eq!(entry.artifact_type.as_deref(), Some(media_type::BUNDLE));
    assert_eq!(entry.annotations.get("org.example.kind").map(String::as_str), Some("signature"));
}

#[test]
fn a_referrer_that_is_always_overwritten_is_a_conflict() {
    let ours = referrer(&image());
    let server = fallback_server(|_, _| index_of(&[]));
    let error = open(&server).store.put_manifest(&ours, &ManifestRef::Digest(ours.digest())).unwrap_err();
    assert!(error.to_string().contains(&format!("sha256-{}", image().digest().hex())), "{error}");
    assert_eq!(error.exit_code(), crate::exit_code::CONFLICT);
}

#[test]
fn a_referrer_that_is_listed_already_changes_nothing() {
    let ours = referrer(&image());
    let index = index_of(&[&ours]);
    let server = Server::start(move |seen, _| match (seen.method.as_str(), seen.target.contains("sha256-")) {
        ("GET", true) => Reply::new(200).with("content-type", media_type::INDEX).body(index.clone()),
        _ => willing(seen),
    });
    open(&server).store.put_manifest(&ours, &ManifestRef::Digest(ours.digest())).unwrap();
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1);
}

#[test]
fn referrers_are_listed_over_all_pages() {
    let first = index_of(&[&image()]);
    let second = index_of(&[&referrer(&image())]);
    let server = Server::start(move |seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        target if target.contains("page=2") => Reply::new(200).body(second.clone()),
        target => Reply::new(200).body(first.clone()).with("link", format!("<{target}?page=2>; rel=\"next\"")),
    });
    let found: Vec<Digest> = open(&server).store.referrers(&Digest::of(b"s")).unwrap().iter().map(|entry| entry.digest).collect();
    assert_eq!(found, [image().digest(), referrer(&image()).digest()]);
}

#[test]
fn a_flood_of_referrers_is_refused() {
    let entry = image().descriptor();
    let flood = RawManifest::index(&ImageIndex::new(vec![entry; 4097])).unwrap();
    let server = Server::start(move |seen, _| if seen.target.contains("/referrers/") { sent(&flood) } else { willing(seen) });
    assert!(matches!(open(&server).store.referrers(&Digest::of(b"s")).unwrap_err(), StoreError::TooLarge { size: 4097, .. }));
}

#[test]
fn tags_are_listed_over_all_pages() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        "/v2/org/model/tags/list?n=1000" => {
            Reply::new(200).body(r#"{"name":"x","tags":["a","b"]}"#).with("link", "<list?last=b>; rel=\"next\"")
        }
        _ => Reply::new(200).body(r#"{"name":"x","tags":null}"#),
    });
    assert_eq!(open(&server).store.tags().unwrap(), ["a", "b"]);
    let none = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(404).body(r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#),
    });
    let error = open(&none).store.tags().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no repository `{}/org/model`: repository name not known to registry (NAME_UNKNOWN)", none.host)
    );
}
