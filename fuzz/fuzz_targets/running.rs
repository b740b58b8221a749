//! Whatever bytes a cluster, Argo CD or ACM prints: an answer or an error, soon, in little memory, and nothing that moves a cursor.
//!
//! `cargo +nightly fuzz run running corpus/running ../testdata/running -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::rollout::status::report::{Seen, read_report};

fuzz_target!(|bytes: &[u8]| {
    for sighting in read_report(bytes).unwrap_or_default() {
        let mut names = sighting.site;
        for seen in sighting.seen {
            match seen {
                Seen::Service(service) => names.extend([service.name, service.namespace]),
                Seen::Pod(pod) => names.extend([pod.service.unwrap_or_default(), pod.namespace]),
                Seen::Sync(words) => names.push(words),
                Seen::Images(_) => {}
            }
        }
        assert!(names.iter().all(|name| !name.contains(char::is_control)));
    }
});
