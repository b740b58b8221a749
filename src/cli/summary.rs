//! `modelcar summary`: the last word of a pipeline, in its `finally`.

use super::CliError;
use super::options::{Format, pair};
use crate::report::Ui;
use crate::report::summary::{Status, Summary};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A task and what became of it: NAME=$(tasks.NAME.status); may be repeated
    #[arg(long, value_name = "NAME=STATUS", value_parser = task)]
    task: Vec<(String, Status)>,
    /// A result that is worth a line; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    result: Vec<(String, String)>,
    /// The PipelineRun, for the command that shows the log
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<(), CliError> {
        let summary = Summary { tasks: self.task, results: self.result, run: self.run };
        match self.format {
            Format::Text => ui.data(summary.text())?,
            Format::Json => ui.data(format!("{:#}", summary.json()))?,
        }
        Ok(())
    }
}

fn task(text: &str) -> Result<(String, Status), String> {
    let (name, status) = pair(text)?;
    Ok((name, status.parse()?))
}
