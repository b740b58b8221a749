//! The `modelcar` binary.

fn main() {}
