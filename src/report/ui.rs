//! The two streams: data on standard output, talk on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use console::{Style, Term};

use super::progress::Bars;
use super::units;
use crate::image::Watch;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Errors only.
    Quiet,
    /// Steps, notes and progress.
    Normal,
}

/// Talks to the user.
pub struct Ui {
    volume: Volume,
    stderr: Term,
}

impl Ui {
    /// Talks on the process's streams. Colours follow `NO_COLOR`, `CLICOLOR` and whether there is a terminal.
    pub fn new(volume: Volume) -> Self {
        Self { volume, stderr: Term::stderr() }
    }

    /// Data: what a script reads. A reader that went away is no error (`modelcar … | head`).
    ///
    /// # Errors
    /// Standard output is full or broken.
    pub fn data(&self, text: impl Display) -> io::Result<()> {
        match writeln!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// A line of talk.
    pub fn say(&self, text: impl Display) {
        if self.volume == Volume::Normal {
            // There is nobody left to tell that standard error is gone.
            let _ = self.stderr.write_line(&text.to_string());
        }
    }

    /// The end of a run that failed; said even when quiet.
    pub fn fail(&self, text: &str) {
        let _ = self.stderr.write_line(text);
    }

    /// Something the user must know; said even when quiet.
    pub fn warn(&self, text: impl Display) {
        self.fail(&format!("{} {text}", style().yellow().apply_to("note:")));
    }

    /// Something the user should know.
    pub fn note(&self, text: impl Display) {
        self.say(format!("{} {text}", style().yellow().apply_to("note:")));
    }

    /// Notes in a row.
    pub fn notes(&self, notes: &[String]) {
        for note in notes {
            self.note(note);
        }
    }

    /// A finished step of a longer way: its name, its result, its time.
    pub fn step(&self, name: &str, result: impl Display, time: Duration) {
        let mark = style().green().apply_to("✓");
        self.say(format!("{mark} {name:<8} {result} {}", style().dim().apply_to(format!("({})", units::time(time)))));
    }

    /// A watch that shows progress: bars on a terminal, a line per blob in a log, nothing when quiet.
    pub fn watch(&self) -> Watch {
        match self.volume {
            Volume::Quiet => Watch::silent(),
            Volume::Normal => Watch::new(Bars::listener(&self.stderr)),
        }
    }
}

/// A style for standard error.
fn style() -> Style {
    Style::new().for_stderr()
}

/// Measures a step.
pub fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let begun = Instant::now();
    work().map(|done| (done, begun.elapsed()))
}
