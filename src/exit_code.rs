//! What the process tells its caller when it ends. Scripts and Tekton's `onError` build on these numbers, so they never change.

/// Done.
pub const OK: u8 = 0;
/// It failed; nothing half-made is visible to a reader.
pub const FAILED: u8 = 1;
/// The command line could not be understood.
pub const USAGE: u8 = 2;
/// A signature, a digest, a model or an image was examined and refused.
pub const REFUSED: u8 = 3;
/// The image is public but not, or not completely, signed.
pub const UNSIGNED: u8 = 4;
/// Somebody else changed the same tag, signature or branch first; run it again.
pub const CONFLICT: u8 = 5;
/// SIGINT came: 128 and the signal's number, as shells say it.
pub const INTERRUPTED: u8 = of_signal(2);
/// SIGTERM came.
pub const TERMINATED: u8 = of_signal(15);

/// What a shell says of a process that a signal ended.
pub(crate) const fn of_signal(signal: u8) -> u8 {
    128 | signal
}
