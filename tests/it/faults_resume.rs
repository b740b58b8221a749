//! An upload that broke off goes on where the registry stopped hearing it: counted on the wire, less than a chunk is sent twice.

use modelcar::oci::{Descriptor, media_type};
use modelcar::store::registry::RegistryStore;
use modelcar::store::{Access, Store, StoreOptions};

use crate::support::fault_proxy::{Fault, Part, Proxy, Reply, Rule};
use crate::support::registry::{Kind, Registry, Setup};

const SIZE: usize = 4 << 20;
const CHUNK: u64 = 512 << 10;
const UPLOADS: &str = "/blobs/uploads/";

/// A name, the faults, and how often less than a chunk may be sent twice; `None` where the upload must begin anew.
type Case = (&'static str, Vec<Rule>, Option<u64>);

/// What becomes of a chunk of which a part arrived. distribution 2 forgets the whole session (`upload resumed at wrong offset` in its log,
/// 404 to the client), distribution 3 tells how much it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Kept,
    Forgotten,
}

fn cases(parts: Parts) -> Vec<Case> {
    let if_kept = |times: u64| (parts == Parts::Kept).then_some(times);
    let patch = |part, byte, fault| Rule::on("PATCH", UPLOADS, part, byte, fault);
    let broken = || patch(Part::RequestBody, 200_000, Fault::Reset).after(2);
    vec![
        ("nothing", vec![], Some(0)),
        ("a chunk is reset in the middle", vec![broken()], if_kept(1)),
        ("a chunk is reset near its end", vec![patch(Part::RequestBody, CHUNK - 1, Fault::Reset).after(2)], if_kept(1)),
        ("a chunk ends before its first byte", vec![patch(Part::RequestHead, 0, Fault::Finish).after(4)], Some(1)),
        ("the answer to a chunk is lost", vec![patch(Part::ResponseHead, 0, Fault::Reset).after(5)], if_kept(1)),
        ("503 for a chunk", vec![Rule::instead("PATCH", UPLOADS, Reply::new(503)).after(3)], Some(1)),
        (
            "four chunks are reset",
            (0..4).map(|number| patch(Part::RequestBody, 70_000, Fault::Reset).after(number * 2)).collect(),
            if_kept(4),
        ),
        (
            "the answer to what is there is lost, too",
            vec![broken(), Rule::on("GET", UPLOADS, Part::ResponseHead, 0, Fault::Reset)],
            if_kept(1),
        ),
        ("the answer to the last request is lost", vec![Rule::on("PUT", UPLOADS, Part::ResponseHead, 0, Fault::Reset)], Some(0)),
        ("404 for the session", vec![broken(), Rule::instead("GET", UPLOADS, Reply::new(404))], None),
        ("416 for the chunk that goes on", vec![broken(), Rule::instead("PATCH", UPLOADS, Reply::new(416)).after(3)], if_kept(1)),
        ("416 for every chunk that goes on", vec![broken(), Rule::instead("PATCH", UPLOADS, Reply::new(416)).after(3).times(2)], None),
        ("a range that is none", vec![broken(), Rule::header("GET", UPLOADS, "Range", |_| "all of it".to_owned())], None),
        ("a range beyond the end", vec![broken(), Rule::header("GET", UPLOADS, "Range", |_| "0-99999999".to_owned())], None),
    ]
}

fn content(seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let noise = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32).to_le_bytes()
    };
    (0..SIZE / 8).flat_map(noise).collect()
}

fn go_on_with(registry: &Registry, chunk_size: Option<u64>, cases: Vec<Case>) {
    for (number, (name, rules, twice)) in cases.into_iter().enumerate() {
        let bytes = content(u8::try_from(number).unwrap());
        let proxy = Proxy::start(&registry.host, rules);
        let reference = format!("{}/resumed/m{number}", proxy.host()).parse().unwrap();
        let options = StoreOptions { chunk_size, retry_delay: Some(std::time::Duration::from_millis(5)), ..StoreOptions::default() };
        let store = RegistryStore::new(&reference, Access::Write, &options).unwrap();
        let blob = Descriptor::of(media_type::LAYER_TAR, &bytes);
        if number % 2 == 0 {
            store.put_blob(&blob, &bytes).unwrap_or_else(|error| panic!("{name}: {error:?}\n{}", proxy.log()));
        } else {
            assert_eq!(
                store.put_new_blob(SIZE as u64, &bytes).unwrap_or_else(|error| panic!("{name}: {error:?}\n{}", proxy.log())),
                blob.digest
            );
        }
        assert!(proxy.all_struck(), "{name}: a fault never struck\n{}", proxy.log());
        assert!(std::fs::read(registry.blob(&blob.digest.to_string())).unwrap() == bytes, "{name}");
        let more = proxy.uploaded() - SIZE as u64;
        assert!(more <= 2 * SIZE as u64, "{name}: {more} bytes were sent twice\n{}", proxy.log());
        // distribution 3, asked at once, may not have counted the last bytes of a broken request yet; then it refuses the chunk that goes on
        let late = proxy.seen_of("PATCH", UPLOADS).iter().filter(|seen| seen.status == Some(416)).count() as u64;
        assert!(
            twice.is_none_or(|times| more <= times * (CHUNK - 1) + late.min(2) * CHUNK),
            "{name}: {more} bytes were sent twice\n{}",
            proxy.log()
        );
    }
}

#[test]
fn an_upload_in_chunks() {
    let Some(registry) = Registry::start() else { return };
    go_on_with(&registry, Some(CHUNK), cases(Parts::Forgotten));
}

#[test]
fn an_upload_in_chunks_to_distribution_3() {
    let Some(registry) = Registry::start_with(&Setup { kind: Kind::Distribution3, ..Setup::default() }) else { return };
    go_on_with(&registry, Some(CHUNK), cases(Parts::Kept));
}

/// One request with all bytes breaks off; what the registry has of it by then is its own affair, so that only the end is certain.
#[test]
fn an_upload_in_one_piece() {
    let Some(registry) = Registry::start() else { return };
    let cut = |byte| vec![Rule::on("PUT|PATCH", UPLOADS, Part::RequestBody, byte, Fault::Reset)];
    let cases = [1, 100_000, 1 << 20, 3 << 20, SIZE as u64 - 1, SIZE as u64].map(|byte| ("cut", cut(byte), None));
    go_on_with(&registry, None, cases.into());
}
