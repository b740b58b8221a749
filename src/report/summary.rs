//! How a pipeline went, for people: a table of its tasks, the first that failed, and what to look at next.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::table::{self, columns};
use crate::oci::printable;

/// The longest value shown, in characters; results come from other tasks.
const MAX_TEXT: usize = 300;

/// What Tekton says of a task in `$(tasks.NAME.status)`:
/// <https://tekton.dev/docs/pipelines/pipelines/#using-execution-status-of-pipelinetask>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It did what it should.
    Succeeded,
    /// It failed, or was cancelled.
    Failed,
    /// All did what they should, and some were left out: said of several.
    Completed,
    /// It did not run.
    None,
}

impl Status {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Completed, Self::None];

    fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Completed => "Completed",
            Self::None => "None",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|status| status.word() == text).ok_or_else(|| format!("a status is one of {}", known()))
    }
}

/// A pipeline that has ended, or is about to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Its tasks in their order, and what became of them.
    pub tasks: Vec<(String, Status)>,
    /// What its tasks found out.
    pub results: Vec<(String, String)>,
    /// What the run is called.
    pub run: Option<String>,
}

impl Summary {
    /// The first task that failed.
    pub fn failed(&self) -> Option<&str> {
        self.tasks.iter().find(|(_, status)| *status == Status::Failed).map(|(name, _)| name.as_str())
    }

    /// In one line.
    pub fn verdict(&self) -> String {
        if self.tasks.is_empty() {
            return "no task is named, so nobody can tell how it went: --task=NAME=STATUS".to_owned();
        }
        let of = |wanted: Status| self.tasks.iter().filter(|(_, status)| *status == wanted).count();
        match (self.failed(), of(Status::None)) {
            (Some(name), 0) => format!("{} failed", printable(name, MAX_TEXT)),
            (Some(name), left) => format!("{} failed, and {left} did not run", printable(name, MAX_TEXT)),
            (None, 0) => "everything succeeded".to_owned(),
            (None, left) => format!("nothing failed, and {left} did not run"),
        }
    }

    /// What to look at where something failed.
    pub fn next(&self) -> Option<String> {
        let name = printable(self.failed()?, MAX_TEXT);
        let run = self.run.as_deref().map_or_else(|| "PIPELINERUN".to_owned(), |run| printable(run, MAX_TEXT));
        let log = format!("`tkn pipelinerun logs {run} --task {name}`");
        Some(remedy(&name).map_or_else(|| format!("{log} says why"), |remedy| format!("{log}; {remedy}")))
    }

    /// Tables and what to do, for people.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.tasks.is_empty() {
            parts.push(self.task_table());
        }
        if !self.results.is_empty() {
            parts.push(self.result_table());
        }
        let next = self.next().map(|next| format!("\nnext: {next}")).unwrap_or_default();
        parts.push(format!("{}{next}", self.verdict()));
        parts.join("\n")
    }

    fn task_table(&self) -> String {
        let mut tasks = columns(["TASK", "STATUS"]);
        for (name, status) in &self.tasks {
            let word = if *status == Status::None { "not run".to_owned() } else { status.to_string() };
            tasks.add_row([printable(name, MAX_TEXT), word]);
        }
        table::text(&tasks)
    }

    fn result_table(&self) -> String {
        let mut results = columns(["RESULT", "VALUE"]);
        for (name, value) in &self.results {
            let value = if value.is_empty() { "-".to_owned() } else { printable(value, MAX_TEXT) };
            results.add_row([printable(name, MAX_TEXT), value]);
        }
        table::text(&results)
    }

    /// The same for scripts.
    pub fn json(&self) -> Value {
        let tasks: Vec<Value> = self.tasks.iter().map(|(name, status)| json!({"name": name, "status": status.word()})).collect();
        let results: Vec<Value> = self.results.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"verdict": self.verdict(), "failed": self.failed(), "next": self.next(), "tasks": tasks, "results": results})
    }
}

/// What is known beforehand about a task of that name; the words are those of the pipelines that come with modelcar.
fn remedy(task: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 7] = [
        ("fetch", "it names the source and what it answered"),
        ("lint", "`modelcar lint --explain RULE` says what each finding is about"),
        ("package", "exit code 4 means that the image is pushed and not wholly signed: run it again, nothing is sent twice"),
        ("verify", "the image was refused, and nothing was deployed"),
        ("smoke-test", "it tells what was answered, and what was expected"),
        ("register", "the image is there and signed; run it again once the model registry answers"),
        ("deploy", "the table of preflight says which check fails and what to do"),
    ];
    KNOWN.iter().find(|(known, _)| task == *known).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(tasks: &[(&str, Status)]) -> Summary {
        let tasks = tasks.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
        Summary { tasks, ..Summary::default() }
    }

    #[test]
    fn the_first_failure_is_told_with_what_to_look_at() {
        let tasks = [("fetch", Status::Succeeded), ("verify", Status::Failed), ("own", Status::Failed), ("deploy", Status::None)];
        let summary = Summary { run: Some("release-x".to_owned()), ..summary(&tasks) };
        assert_eq!((summary.failed(), summary.verdict().as_str()), (Some("verify"), "verify failed, and 1 did not run"));
        let next = summary.next().unwrap();
        assert!(next.starts_with("`tkn pipelinerun logs release-x --task verify`; the image was refused"), "{next}");
    }

    #[test]
    fn a_task_of_another_name_is_told_too() {
        let next = summary(&[("own", Status::Failed)]).next().unwrap();
        assert_eq!(next, "`tkn pipelinerun logs PIPELINERUN --task own` says why");
    }

    #[test]
    fn without_a_failure_there_is_nothing_to_look_at() {
        for (tasks, verdict) in [
            (&[("a", Status::Succeeded), ("b", Status::Completed)][..], "everything succeeded"),
            (&[("a", Status::Succeeded), ("b", Status::None)], "nothing failed, and 1 did not run"),
        ] {
            assert_eq!((summary(tasks).verdict().as_str(), summary(tasks).next()), (verdict, None));
        }
    }

    #[test]
    fn nobody_is_told_of_a_success_where_no_task_is_named() {
        assert!(summary(&[]).text().starts_with("no task is named"));
        let results = vec![("IMAGE_REF".to_owned(), "a".to_owned())];
        let text = Summary { results, ..summary(&[]) }.text();
        assert!(text.contains("IMAGE_REF") && !text.contains("STATUS ") && !text.contains("succeeded"), "{text}");
    }

    #[test]
    fn what_tasks_say_moves_no_cursor() {
        let results = vec![("IMAGE_REF".to_owned(), "a\u{1b}[2Jb\nc".to_owned()), ("COMMIT".to_owned(), String::new())];
        let text = Summary { results, ..summary(&[("a\u{1b}c", Status::Failed)]) }.text();
        assert!(
            !text.contains('\u{1b}') && text.lines().any(|line| line.trim_start().starts_with("COMMIT") && line.ends_with('-')),
            "{text}"
        );
    }

    #[test]
    fn only_tektons_words_are_a_status() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert!("succeeded".parse::<Status>().unwrap_err().contains("Succeeded, Failed, Completed, None"));
    }
}
