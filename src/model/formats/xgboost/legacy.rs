//! XGBoost's old binary form: C structs in the writer's byte order, little-endian on every machine that is met today.
//!
//! ```text
//! ["binf"] LearnerModelParam (136 bytes) · length (8) objective · length (8) booster · for trees: their number (4) …
//! ```
//! As in `LearnerIO::Load` of <https://github.com/dmlc/xgboost/blob/release_1.7.0/src/learner.cc>.

use std::io::{Read, Seek};

use super::error::XgboostError;
use super::schema::XgboostModel;
use crate::model::formats::input::{Input, InputError};

/// Before the first text.
const PARAM_SIZE: u64 = 136;
/// The longest name of an objective.
const MAX_NAME: u64 = 64;

/// The model, if this is one.
pub(super) fn read<R: Read + Seek>(input: &mut Input<R>) -> Result<XgboostModel, XgboostError> {
    let mut model = parameters(input)?;
    model.objective = name(input)?.ok_or(XgboostError::UnknownForm)?;
    model.booster = name(input)?.ok_or(XgboostError::UnknownForm)?;
    match model.booster.as_str() {
        "gbtree" | "dart" => model.trees = i32::from_le_bytes(input.array()?).max(0).to_string(),
        "gblinear" => {}
        _ => return Err(XgboostError::UnknownForm),
    }
    Ok(model)
}

fn parameters<R: Read + Seek>(input: &mut Input<R>) -> Result<XgboostModel, InputError> {
    let mut model = XgboostModel { form: "binary", ..XgboostModel::default() };
    if input.array()? != *b"binf" {
        input.seek(0)?;
    }
    let start = input.at();
    model.base_score = f32::from_le_bytes(input.array()?).to_string();
    model.features = u32::from_le_bytes(input.array()?).to_string();
    model.classes = i32::from_le_bytes(input.array()?).to_string();
    input.skip(8)?;
    let (major, minor) = (u32::from_le_bytes(input.array()?), u32::from_le_bytes(input.array()?));
    if major > 0 {
        model.version = vec![major.to_string(), minor.to_string()];
    }
    input.seek(start + PARAM_SIZE)?;
    Ok(model)
}

fn name<R: Read + Seek>(input: &mut Input<R>) -> Result<Option<String>, InputError> {
    let length = u64::from_le_bytes(input.array()?);
    if !(1..=MAX_NAME).contains(&length) {
        return Ok(None);
    }
    let name = input.text(length, 64)?;
    Ok(name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::super::tests::written;
    use super::*;
    use std::io::Cursor;

    fn read(bytes: &[u8]) -> Result<XgboostModel, XgboostError> {
        super::read(&mut Input::new(Cursor::new(bytes))?)
    }

    #[test]
    fn reads_the_old_form_with_and_without_its_mark() {
        let plain = written("multi:softprob", "gbtree");
        for bytes in [plain.clone(), [&b"binf"[..], &plain].concat()] {
            let model = read(&bytes).unwrap();
            assert_eq!((model.objective.as_str(), model.booster.as_str()), ("multi:softprob", "gbtree"));
            assert_eq!((model.features.as_str(), model.classes.as_str(), model.trees.as_str()), ("4", "3", "12"));
            assert_eq!(model.version.join("."), "1.7");
        }
        assert_eq!(read(&written("reg:linear", "gblinear")).unwrap().trees, "");
    }

    #[test]
    fn whatever_else_is_refused() {
        for bytes in [written("", "gbtree"), written("a b", "gbtree"), written("reg:linear", "other"), vec![0xff; 300], vec![0; 300]] {
            assert!(matches!(read(&bytes), Err(XgboostError::UnknownForm)));
        }
        for length in [0, 3, 135, 140, 150] {
            assert!(matches!(read(&written("reg:linear", "gbtree")[..length]), Err(XgboostError::Input(_))), "{length}");
        }
    }
}
