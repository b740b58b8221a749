//! Promises of the tool, one file each, kept on real input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

mod support;

mod archive;
mod bad_input;
mod check;
mod check_bases;
mod compression;
mod concurrent_signers;
mod constant_memory;
mod containers;
mod dependencies_are_explained;
mod docs_run;
mod every_format;
mod help;
mod hostile_files;
mod keys_are_cosigns;
mod kserve_storage;
mod large_models;
mod layout;
mod lint;
mod llm_formats_agree_with_python;
mod loads_through_the_modelcar_link;
mod nothing_is_sent_twice;
mod onnx_agrees_with_python;
mod onnx_inlined_is_the_same;
mod pickles_agree_with_python;
mod real_readers;
mod real_verifiers;
mod real_verifiers_on_forgeries;
mod registry;
mod rollout_git;
mod rollout_patch;
mod rollout_recovers;
mod rollout_site;
mod rooms_import_downwards;
mod same_model_same_digest;
mod secrets_stay_secret;
mod shell;
mod shell_grammar;
mod shell_kserve;
mod signatures;
mod sigstore_stand_in;
mod table_formats_agree_with_python;
mod tar_header;
mod the_whole_way;
