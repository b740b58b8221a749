//! Whatever a stranger names a file: refused, or a place below the folder. And whatever a stranger's tar holds: nothing lands beside it.
//!
//! `cargo +nightly fuzz run fetch_names -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use modelcar::fetch::{Source, check_name, check_tar};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Source::of(text);
        let _ = Source::claim(text);
        if check_name(text).is_ok() {
            assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))));
        }
    }
    let home = std::env::temp_dir().join(format!("fetch-names-{}", std::process::id()));
    let inner = home.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    let _ = check_tar(bytes, &inner);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
    std::fs::remove_dir_all(&home).unwrap();
});
