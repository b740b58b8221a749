//! A layer of a strange image, plain, gzip or zstd: its members, the file system they make, and the heads of its programs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::image::listing::list_stream;
use modelcar::image::rootfs::Rootfs;
use modelcar::oci::{Descriptor, media_type};

fuzz_target!(|data: &[u8]| {
    for kind in [media_type::LAYER_TAR, media_type::LAYER_GZIP, media_type::LAYER_ZSTD] {
        let Ok(listing) = list_stream(&Descriptor::of(kind, data), 0, data) else { continue };
        let Ok(rootfs) = Rootfs::of([listing.entries.as_slice(), listing.entries.as_slice()]) else { continue };
        for path in ["bin/sh", "models"] {
            let _ = rootfs.resolve(path);
        }
        let _ = rootfs.below("models").count();
    }
});
