use super::*;
use crate::oci::ImageManifest;

fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

fn listing(number: u8, subject: Option<Digest>) -> Listing {
    let descriptor = Descriptor::new(media_type::MANIFEST, digest(number), 7);
    let annotations = Annotations::from([("note".to_owned(), "n".to_owned()), (REF_NAME.to_owned(), "from another life".to_owned())]);
    Listing {
        descriptor: Descriptor { artifact_type: Some("a/b".into()), ..descriptor.annotated(annotations) },
        subject,
        parts: Vec::new(),
    }
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.to_owned())
}

fn index_of(names: &[(&str, u8)]) -> LayoutIndex {
    let mut index = LayoutIndex::default();
    for (name, number) in names {
        index.put(&listing(*number, None), &tag(name));
    }
    index
}

#[test]
fn moves_one_name_and_leaves_the_others() {
    let index = index_of(&[("v1", 1), ("latest", 1), ("latest", 2)]);
    assert_eq!(index.find("s", "v1").unwrap().unwrap().digest, digest(1));
    assert_eq!(index.find("s", "latest").unwrap().unwrap().digest, digest(2));
    assert_eq!(index.entries().len(), 2);
    assert!(index_of(&[("latest", 1), ("latest", 2)]).entry(&digest(1)).is_none());
}

#[test]
fn gives_equal_bytes_for_equal_contents_in_any_order() {
    let forth = index_of(&[("b", 1), ("a", 2), ("c", 3)]);
    let back = index_of(&[("c", 3), ("b", 1), ("a", 2)]);
    assert_eq!(forth.to_vec("s").unwrap(), back.to_vec("s").unwrap());
    assert_eq!(forth.names(), ["a", "b", "c"]);
}

#[test]
fn writes_the_documented_form() {
    let bytes = index_of(&[("v1", 1)]).to_vec("s").unwrap();
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","digest":"{}","size":7,"annotations":{{"{REF_NAME}":"v1"}}}}]}}"#,
        media_type::INDEX,
        media_type::MANIFEST,
        digest(1)
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(LayoutIndex::parse("s", &bytes).unwrap(), index_of(&[("v1", 1)]));
}

#[test]
fn lists_referrers_once_without_a_name_of_their_own() {
    let (mut index, at) = (LayoutIndex::default(), ManifestRef::Digest(digest(1)));
    index.put(&listing(1, Some(digest(9))), &at);
    index.put(&listing(1, Some(digest(9))), &at);
    let [entry] = index.entries() else { panic!("{index:?}") };
    assert_eq!((entry.artifact_type.as_deref(), entry.annotations.len()), (Some("a/b"), 1));
    assert!(index.names().is_empty());
}

#[test]
fn keeps_a_referrer_whose_name_moves_away() {
    let mut index = LayoutIndex::default();
    index.put(&listing(1, Some(digest(9))), &tag("sig"));
    index.put(&listing(2, None), &tag("sig"));
    assert!(index.entry(&digest(1)).is_some());
}

#[test]
fn leaves_children_to_their_index() {
    let mut index = LayoutIndex::default();
    index.put(&listing(1, None), &ManifestRef::Digest(digest(1)));
    assert!(index.entries().is_empty());
}

#[test]
fn names_an_image_that_was_listed_without_a_name() {
    let mut index = LayoutIndex(ImageIndex::new(vec![Descriptor::new(media_type::MANIFEST, digest(1), 7)]));
    index.put(&listing(1, None), &tag("v1"));
    assert_eq!((index.entries().len(), index.names()), (1, vec!["v1".to_owned()]));
}

#[test]
fn finds_a_bare_tag_at_the_end_of_a_reference() {
    let index = index_of(&[("quay.io/o/m:v1", 1), ("quay.io/o/m:v2", 2), ("v2", 3), ("quay.io/o/other:v1", 1)]);
    for (name, number) in [("quay.io/o/m:v1", Some(1)), ("v1", Some(1)), ("v2", Some(3)), ("m:v1", None), ("v", None), ("", None)] {
        assert_eq!(index.find("s", name).unwrap().map(|entry| entry.digest), number.map(digest), "{name}");
    }
}

#[test]
fn names_the_candidates_of_an_ambiguous_tag() {
    let index = index_of(&[("quay.io/o/a:v1", 1), ("quay.io/o/b:v1", 2)]);
    let error = index.find("oci:d", "v1").unwrap_err().to_string();
    assert!(error.starts_with("`v1` means several images of oci:d: quay.io/o/a:v1@sha256:"), "{error}");
    assert!(error.contains("quay.io/o/b:v1@sha256:"), "{error}");
}

#[test]
fn refuses_one_name_for_two_images() {
    let named =
        |number| Descriptor::new(media_type::MANIFEST, digest(number), 7).annotated([(REF_NAME.to_owned(), "v1".to_owned())].into());
    let index = LayoutIndex(ImageIndex::new(vec![named(1), named(2)]));
    assert!(matches!(index.find("s", "v1"), Err(LayoutError::Ambiguous { .. })));
}

#[test]
fn counts_no_signatures_as_images() {
    let hex = digest(1).hex();
    let index = index_of(&[("v1", 1), (&format!("sha256-{hex}.sig"), 2), (&format!("quay.io/o/m:sha256-{hex}"), 3), ("sha256-short", 4)]);
    let images: Vec<_> = index.images().into_values().flatten().collect();
    assert_eq!(images.len(), 2, "{images:?}");
    assert!(images.contains(&"v1".to_owned()) && images.contains(&"sha256-short".to_owned()));
}

#[test]
fn refuses_hostile_indexes() {
    let entry = r#"{"mediaType":"m","digest":"sha256:../../../etc/passwd","size":1}"#;
    let deep = format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{}"#, "[".repeat(100_000));
    for bad in ["", "[]", "{}", r#"{"schemaVersion":2}"#, &format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#), &deep] {
        let error = LayoutIndex::parse("oci:d", bad.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "index.json of oci:d cannot be read");
    }
}

#[test]
fn reads_and_writes_no_more_entries_than_it_is_willing_to_look_through() {
    let many = |count: usize| LayoutIndex(ImageIndex::new(vec![Descriptor::new("m", digest(1), 1); count]));
    let bytes = many(MAX_ENTRIES).to_vec("s").unwrap();
    assert!(LayoutIndex::parse("s", &bytes).is_ok());
    assert!(matches!(many(MAX_ENTRIES + 1).to_vec("s"), Err(StoreError::Layout(LayoutError::TooManyEntries { .. }))));
    let bytes = canonical::to_vec(&many(MAX_ENTRIES + 1).0).unwrap();
    assert!(matches!(LayoutIndex::parse("s", &bytes), Err(LayoutError::TooManyEntries { found: 4097, .. })));
}

#[test]
fn accepts_layout_versions_of_its_generation() {
    for (document, fits) in [
        (&br#"{"imageLayoutVersion": "1.0.0"}"#[..], true),
        (br#"{"imageLayoutVersion":"1.0.1","more":1}"#, true),
        (br#"{"imageLayoutVersion":"2.0.0"}"#, false),
        (br#"{"imageLayoutVersion":"1"}"#, false),
        (b"{}", false),
        (b"", false),
    ] {
        assert_eq!(check_version("s", document).is_ok(), fits, "{}", String::from_utf8_lossy(document));
    }
}

#[test]
fn takes_the_kind_of_an_artifact_from_its_config_where_it_says_nothing() {
    let manifest = ImageManifest::new(Descriptor::of("application/x-config", b"c"), vec![Descriptor::of("l", b"l")]);
    let listing = Listing::of(&RawManifest::image(&manifest).unwrap()).unwrap();
    assert_eq!(listing.descriptor.artifact_type.as_deref(), Some("application/x-config"));
    assert_eq!(listing.parts.len(), 2);
}
