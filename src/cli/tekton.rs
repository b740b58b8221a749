//! The options that say where results go.
//!
//! ```text
//! let results = self.tekton.of("fetch")?;                        first of all: refuses what cannot be written to
//! results.write(ui, &[(tekton::MODEL_PATH, path.to_string())])?; at the end: all of the verb's, empty where none is given
//! ```

use std::path::PathBuf;

use super::CliError;
use crate::report::Ui;
use crate::report::tekton::{self, Places, TektonError, TektonResult};

/// Where results go.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Tekton")]
pub(super) struct TektonArgs {
    /// Write what was done into this folder, a small file for each result of a Tekton task: /tekton/results
    #[arg(long, value_name = "DIR")]
    tekton_results: Option<PathBuf>,
    /// Write this one result into a file, such as a step action's $(step.results.NAME.path); may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = of_file)]
    tekton_result: Vec<(String, PathBuf)>,
}

/// Where a verb's results go.
#[derive(Debug)]
pub(super) struct Results {
    verb: &'static str,
    places: Places,
}

impl TektonArgs {
    /// Whether a task asks for results.
    pub(super) fn is_given(&self) -> bool {
        self.tekton_results.is_some() || !self.tekton_result.is_empty()
    }

    /// Where the results of this verb go.
    ///
    /// # Errors
    /// A name that is no result of the verb, a folder that is not there.
    pub(super) fn of(&self, verb: &'static str) -> Result<Results, CliError> {
        let known = |name: &str| tekton::of_verb(verb).iter().copied().find(|result| result.name == name);
        let file = |(name, file): &(String, PathBuf)| {
            known(name).map(|result| (result, file.clone())).ok_or_else(|| TektonError::Foreign { verb, name: name.clone() })
        };
        let files = self.tekton_result.iter().map(file).collect::<Result<_, _>>()?;
        let places = Places { folder: self.tekton_results.clone(), files };
        places.ensure()?;
        Ok(Results { verb, places })
    }
}

impl Results {
    /// Writes all results of the verb: those given, and the others empty. May be called again when more is known.
    ///
    /// # Errors
    /// A value that is no result's, a file that cannot be written.
    pub(super) fn write(&self, ui: &Ui, values: &[(&'static TektonResult, String)]) -> Result<(), CliError> {
        if self.places.is_empty() {
            return Ok(());
        }
        let all = tekton::of_verb(self.verb);
        if let Some((foreign, _)) = values.iter().find(|(result, _)| !all.contains(result)) {
            return Err(TektonError::Foreign { verb: self.verb, name: foreign.name.to_owned() }.into());
        }
        let value = |result: &TektonResult| {
            let given = values.iter().rev().find(|(known, _)| *known == result).map(|(_, value)| value.clone());
            given.filter(|value| !value.is_empty()).unwrap_or_else(|| result.kind.nothing().to_owned())
        };
        let fitted = tekton::write(&self.places, all.iter().map(|result| (*result, value(result))).collect())?;
        if !fitted.left_out.is_empty() {
            let names = fitted.left_out.join(", ");
            ui.warn(format!("written empty, because a task's results have {} bytes at most: {names}", tekton::BUDGET));
        }
        if !fitted.fits() {
            ui.warn(format!("Tekton will not take the results: they have {} bytes, and at most {} fit", fitted.bytes, tekton::BUDGET));
        }
        Ok(())
    }
}

fn of_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE, such as IMAGE_REF=$(step.results.IMAGE_REF.path)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Volume;

    #[test]
    fn a_verb_writes_all_of_its_results_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let args = TektonArgs { tekton_results: Some(dir.path().to_owned()), tekton_result: vec![] };
        let results = args.of("fetch").unwrap();
        let ui = Ui::new(Volume::Quiet);
        results.write(&ui, &[(tekton::MODEL_PATH, "/w/m".to_owned())]).unwrap();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((text("MODEL_PATH").as_str(), text("SOURCE_URI").as_str()), ("/w/m", ""));
        assert_eq!(text("MODEL_ARTIFACT_INPUTS"), r#"{"uri":"","digest":""}"#);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), tekton::of_verb("fetch").len());
        assert!(results.write(&ui, &[(tekton::COMMIT, "abc".to_owned())]).is_err());
    }

    #[test]
    fn a_name_that_the_verb_does_not_write_is_told_with_those_that_it_does() {
        let args = TektonArgs { tekton_results: None, tekton_result: vec![("COMMIT".to_owned(), "x".into())] };
        let error = args.of("lint").unwrap_err();
        assert_eq!(error.exit_code(), crate::exit_code::USAGE);
        assert!(error.to_string().contains("COMMIT") && error.hint().unwrap().contains("FINDINGS, MODEL_FORMAT"), "{error}");
        assert!(of_file("COMMIT=").is_err() && of_file("=x").is_err() && of_file("COMMIT").is_err());
        assert_eq!(of_file("COMMIT=/a=b"), Ok(("COMMIT".to_owned(), "/a=b".into())));
    }
}
