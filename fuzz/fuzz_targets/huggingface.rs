//! Whatever the small files of a Hugging Face folder hold: an answer or an error, soon, and in little memory. The first byte chooses
//! which file it is: `c` a configuration, `i` an index, anything else a model card.
//!
//! `cargo +nightly fuzz run huggingface -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::model::card::Card;
use modelcar::model::formats::huggingface::Index;
use modelcar::model::formats::json::Outline;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'c', config)) => drop(Outline::parse(config.to_vec())),
        Some((b'i', index)) => drop(Index::read(index, index.len() as u64, |file, tensor| file < tensor)),
        Some((_, card)) => drop(Card::parse(&String::from_utf8_lossy(card)).words("license")),
        None => {}
    }
});
