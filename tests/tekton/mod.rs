//! What tests know about Tekton: the catalogue of `tekton/` as documents, the rules it keeps, and a runner that executes its
//! tasks and pipelines on this machine. None of it is part of the product.

pub(crate) mod catalog;
pub(crate) mod lint;
pub(crate) mod readme;
pub(crate) mod run;
pub(crate) mod strict;
