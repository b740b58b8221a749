//! Sigstore bundles: a signed statement, the document around it, and the referrer that holds it.

pub(super) mod document;
pub(super) mod dsse;
pub(super) mod envelope;
pub(super) mod referrer;
