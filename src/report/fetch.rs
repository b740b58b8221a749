//! What was fetched, or would be.

use serde::Serialize;

use super::units;
use crate::fetch::{Fetched, Listing};
use crate::oci::Digest;

/// What a source has, for scripts.
#[derive(Serialize)]
pub struct ListingView<'a> {
    source_uri: &'a str,
    bytes: u64,
    files: Vec<FileView<'a>>,
    /// Layers and images, whose files are known when they are unpacked.
    packed: Vec<PackedView<'a>>,
}

#[derive(Serialize)]
struct FileView<'a> {
    path: &'a str,
    size: Option<u64>,
    digest: Option<Digest>,
}

#[derive(Serialize)]
struct PackedView<'a> {
    name: &'a str,
    size: u64,
    digest: &'a str,
}

impl<'a> ListingView<'a> {
    /// The view of a listing.
    pub fn of(listing: &'a Listing) -> Self {
        let files = listing.items.iter().map(|item| FileView { path: &item.path, size: item.size, digest: item.digest() });
        let packed = listing.bundles.iter().map(|bundle| PackedView { name: &bundle.name, size: bundle.size, digest: &bundle.id });
        Self { source_uri: &listing.uri, bytes: listing.bytes(), files: files.collect(), packed: packed.collect() }
    }
}

/// What a source has, a line for each file or packed layer.
pub fn listing(listing: &Listing) -> String {
    let size = |size: Option<u64>| size.map_or_else(|| "?".to_owned(), units::bytes);
    let files = listing.items.iter().map(|item| format!("{:>10}  {}\n", size(item.size), item.path));
    let packed = listing.bundles.iter().map(|bundle| format!("{:>10}  the files in {}\n", size(Some(bundle.size)), bundle.name));
    files.chain(packed).collect()
}

/// The one line about what was fetched.
pub fn summary(fetched: &Fetched) -> String {
    let (files, uri) = (units::count(fetched.files.len(), "file"), &fetched.uri);
    let fresh: Vec<u64> = fetched.files.iter().filter(|file| file.fetched).map(|file| file.size).collect();
    let total = units::bytes(fetched.bytes());
    match fresh.len() {
        0 => format!("nothing to do: {files}, {total} from {uri} are there already"),
        all if all == fetched.files.len() => format!("{files}, {total} from {uri}"),
        some => format!("{files}, {total} from {uri}; {some} of them, {}, were not there", units::bytes(fresh.iter().sum())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::FetchedFile;

    #[test]
    fn the_summary_tells_what_was_there_already() {
        let file = |path: &str, fetched| FetchedFile { path: path.to_owned(), size: 10, digest: Digest::of(b""), fetched };
        for (fetched, expected) in [
            ([true, true], "2 files, 20 B from s3://b"),
            ([true, false], "2 files, 20 B from s3://b; 1 of them, 10 B, were not there"),
            ([false, false], "nothing to do: 2 files, 20 B from s3://b are there already"),
        ] {
            let files = vec![file("a", fetched[0]), file("b", fetched[1])];
            let fetched =
                Fetched { path: "/d".into(), uri: "s3://b".to_owned(), digest: Digest::of(b""), files, removed: vec![], notes: vec![] };
            assert_eq!(summary(&fetched), expected);
        }
    }
}
