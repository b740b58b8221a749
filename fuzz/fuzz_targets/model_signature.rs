//! The statement of a model signature: what is read keeps the specification's rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcar::trust::model_signing::Statement;

fuzz_target!(|data: &[u8]| {
    let Ok(statement) = Statement::parse(data) else { return };
    assert!(!statement.files.is_empty());
    assert!(statement.files.keys().all(|path| !path.starts_with('/') && !path.split('/').any(|part| matches!(part, "" | "." | ".."))));
    assert!(statement.differences(&statement.files).is_empty());
});
