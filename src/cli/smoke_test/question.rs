//! What is asked, and what is expected: files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::super::{CliError, options};
use crate::kserve::Protocol;
use crate::rollout::RolloutError;
use crate::rollout::smoke::{Answer, Case, CaseReport, Malformed, Request, SmokeError, Tolerance};

/// The longest request or answer that is read from a file, in bytes.
const MAX_FILE: u64 = 32 << 20;

/// What is asked, and what is expected.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Question")]
pub(super) struct QuestionArgs {
    /// A file with a request in JSON, of v1 or v2; repeatable [default: zeros of the model's own signature, by v2]
    #[arg(long = "request", value_name = "FILE")]
    pub(super) requests: Vec<PathBuf>,
    /// A file with the answer expected, one for each request; without any, every well-formed answer passes
    #[arg(long = "expect", value_name = "FILE")]
    pub(super) expected: Vec<PathBuf>,
    /// How far floating-point numbers may be off: a number for absolute and relative, or ABSOLUTE,RELATIVE
    #[arg(long, value_name = "NUMBER", default_value = "1e-4", value_parser = options::plain_word::<Tolerance>)]
    pub(super) tolerance: Tolerance,
    /// What the server calls the model [default: the InferenceService's name]
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// The model's address [default: what the InferenceService says]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<Url>,
    /// How long to wait until the model can be asked: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(super) timeout: Duration,
    /// A folder to write the answers to, each under its request's name
    #[arg(long, value_name = "DIR")]
    pub(super) answers: Option<PathBuf>,
}

impl QuestionArgs {
    /// Requests with what is expected of each.
    pub(super) fn cases(&self) -> Result<Vec<Case>, CliError> {
        let requests = self.requests.iter().map(|path| request(path)).collect::<Result<Vec<_>, _>>()?;
        let asked = requests.len().max(1);
        if !self.expected.is_empty() && self.expected.len() != asked {
            let message = format!("{} requests and {} expected answers", asked, self.expected.len());
            return Err(CliError::usage(message, "give an --expect for each --request, in the same order, or none at all"));
        }
        let requests = if requests.is_empty() { vec![None] } else { requests.into_iter().map(Some).collect() };
        let mut expected = self.expected.iter();
        requests
            .into_iter()
            .map(|request| Ok(Case { expected: expected.next().map(|path| answer(path, request.as_ref())).transpose()?, request }))
            .collect()
    }

    pub(super) fn keep_answers(&self, cases: &[CaseReport]) -> Result<(), CliError> {
        let Some(dir) = &self.answers else { return Ok(()) };
        std::fs::create_dir_all(dir).map_err(unwritten(dir))?;
        for case in cases.iter().filter(|case| !case.answer.is_empty()) {
            let name = Path::new(&case.request).file_stem().unwrap_or_default();
            let path = dir.join(name).with_extension("json");
            std::fs::write(&path, &case.answer).map_err(unwritten(&path))?;
        }
        Ok(())
    }
}

fn request(path: &Path) -> Result<Request, CliError> {
    Ok(Request::parse(&path.display().to_string(), read(path)?).map_err(RolloutError::from)?)
}

fn answer(path: &Path, request: Option<&Request>) -> Result<Answer, CliError> {
    let protocol = request.map_or(Protocol::V2, |request| request.protocol);
    let refused = |error: Malformed| {
        let error = SmokeError::Expectation { label: path.display().to_string(), reason: error.to_string() };
        CliError::from(RolloutError::from(error))
    };
    Answer::parse(protocol, &read(path)?).map_err(refused)
}

fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |source| CliError::File { path: path.display().to_string(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let failed = |source| CliError::Reading { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// `90s`, `10m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let read = units.iter().find_map(|(unit, seconds)| text.strip_suffix(*unit)?.parse::<u32>().ok()?.checked_mul(*seconds));
    let seconds = read.filter(|seconds| *seconds > 0 && *seconds <= 24 * 3600);
    seconds
        .map(|seconds| Duration::from_secs(seconds.into()))
        .ok_or_else(|| "expected a time such as 90s, 10m or 1h, at most a day".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("24h", 86_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "10", "0s", "-1s", "25h", "4294967295h", "1.5m", "m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
