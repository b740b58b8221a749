//! The tree of a transparency log (RFC 6962, 2.1) and its signed heads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pki::sha256;

pub type Hash = [u8; 32];

pub fn hash_leaf(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf].concat())
}

/// The root over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[1][..], &root(left), &root(right)].concat())
        }
    }
}

/// The hashes that lead from a leaf to the root, from below.
pub fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut hashes, sibling) =
        if index < left.len() { (path(index, left), root(right)) } else { (path(index - left.len(), right), root(left)) };
    hashes.push(sibling);
    hashes
}

/// The largest power of two below the size.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// A checkpoint, and its signature as a signed note (C2SP): the key's hint, then the signature.
pub fn signed_note(origin: &str, signer: &str, leaves: &[Hash], hint: [u8; 4], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{origin}\n{}\n{}\n", leaves.len(), STANDARD.encode(root(leaves)));
    let signature = [&hint[..], &sign(text.as_bytes())].concat();
    format!("{text}\n\u{2014} {signer} {}\n", STANDARD.encode(signature))
}
