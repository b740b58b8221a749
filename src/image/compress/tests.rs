use std::io::Write as _;

use super::*;
use crate::oci::Digest;

/// 3 MB with runs, repetitions and noise.
fn content() -> Vec<u8> {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let text = b"model weights ".iter().copied().cycle();
    noise.take(1_000_000).chain(text.take(1_000_000)).chain(std::iter::repeat_n(0, 1_000_000)).collect()
}

fn encoded(compression: Compression, bytes: Vec<u8>) -> Vec<u8> {
    let mut packed = Vec::new();
    compression.encode(Box::new(io::Cursor::new(bytes))).unwrap().read_to_end(&mut packed).unwrap();
    packed
}

fn layer(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::of(media_type, bytes)
}

fn decoded(media_type: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    unpacked(&layer(media_type, bytes), bytes).map_err(io::Error::other)?.read_to_end(&mut plain)?;
    Ok(plain)
}

/// A new encoder that gives other bytes gives every compressed layer another digest: that must be a decision, not an upgrade.
#[test]
fn the_encoders_give_the_bytes_they_always_gave() {
    let digests = Compression::ALL.map(|compression| Digest::of(&encoded(compression, content())).to_string());
    assert_eq!(
        digests,
        [
            "sha256:f241e7d6af131fd0751326a426c269d91dfc491cd5f17cf55750093a9bc213a3",
            "sha256:1c528fabff15ca50cb04c493c73bf21fb454fa67316d70359a7fd67350c06b3b",
            "sha256:ea19a52889786005892a761a859114ef5a5125251a59e1ce0a4b6dfb1efb793f",
        ]
    );
}

#[test]
fn what_was_packed_is_unpacked() {
    for compression in Compression::ALL {
        for plain in [Vec::new(), content()] {
            assert!(decoded(compression.media_type(), &encoded(compression, plain.clone())).unwrap() == plain, "{compression}");
        }
    }
}

#[test]
fn the_headers_name_no_machine() {
    assert_eq!(encoded(Compression::Gzip, vec![])[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let frame = encoded(Compression::Zstd, vec![7; 10]);
    // checksum, no content size, no dictionary; window 2^21
    assert_eq!(frame[..6], [0x28, 0xb5, 0x2f, 0xfd, 0b100, (21 - 10) << 3]);
}

#[test]
fn reads_several_members_and_dockers_media_types() {
    for (compression, docker) in [
        (Compression::None, media_type::DOCKER_LAYER_TAR),
        (Compression::Gzip, media_type::DOCKER_LAYER_GZIP),
        (Compression::Zstd, media_type::DOCKER_LAYER_ZSTD),
    ] {
        let twice = [encoded(compression, b"one".to_vec()), encoded(compression, b"two".to_vec())].concat();
        assert_eq!(decoded(docker, &twice).unwrap(), b"onetwo", "{compression}");
    }
    assert!(matches!(unpacked(&layer("application/x-sh", b""), &b""[..]), Err(ImageError::LayerType { .. })));
}

#[test]
fn a_broken_layer_is_an_error_and_never_a_short_one() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = encoded(compression, content());
        let mut flipped = whole.clone();
        flipped[700_000] ^= 1;
        for broken in [&whole[..whole.len() - 1], &whole[..500_000], &flipped] {
            assert!(decoded(compression.media_type(), broken).is_err(), "{compression}");
        }
    }
}

#[test]
fn a_bomb_is_refused_after_a_gibibyte() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut reader = unpacked(&layer(media_type::LAYER_ZSTD, &bomb), &bomb[..]).unwrap();
    let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("2000 times"), "{error}");
}

#[test]
fn a_window_that_would_fill_the_memory_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&content()).unwrap();
    assert!(decoded(media_type::LAYER_ZSTD, &encoder.finish().unwrap()).is_err());
}

#[test]
fn only_the_words_there_are_name_a_compression() {
    for compression in Compression::ALL {
        assert_eq!(compression.to_string().parse::<Compression>().unwrap(), compression);
        assert_eq!(Compression::of(compression.media_type()), Some(compression));
    }
    let error = "lz4".parse::<Compression>().unwrap_err();
    assert_eq!(error.hint().unwrap(), "one of none, gzip, zstd");
}
