//! `modelcar config`.

use serde::Serialize;

use super::CliError;
use super::options::Format;
use super::settings::{Searched, Settings, Shown, State};
use crate::report::Ui;
use crate::report::settings::{self as report, Row};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct View<'a> {
    settings: &'a [Shown],
    searched: &'a [Searched],
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let settings = Settings::load()?;
        match self.format {
            Format::Text => {
                let rows = settings.shown().iter().map(|shown| Row {
                    key: shown.key,
                    value: shown.value.as_deref(),
                    from: shown.from.as_ref().map(|from| from as &dyn std::fmt::Display),
                });
                ui.data(report::table(rows).trim_end())?;
                settings.searched().iter().for_each(|place| ui.say(told(place)));
            }
            Format::Json => {
                let view = View { settings: settings.shown(), searched: settings.searched() };
                ui.data(serde_json::to_string_pretty(&view)?)?;
            }
        }
        Ok(())
    }
}

fn told(place: &Searched) -> String {
    let path = place.path.display();
    match place.state {
        State::Read => format!("read {path}"),
        State::Absent => format!("there is no {path}"),
        State::Shared => format!("left {path} alone: everybody may write to its folder"),
    }
}
