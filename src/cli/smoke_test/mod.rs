//! `modelcar smoke-test`.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use super::service::{ShapeArgs, annotations};
use super::tekton::{Results, TektonArgs};
use crate::cluster::{Cluster, Given};
use crate::image::annotations::RUNTIME;
use crate::kserve::{Kind, Protocol, Runtime};
use crate::oci::{Location, Timestamp};
use crate::report::{Ui, smoke as report, tekton};
use crate::rollout::smoke::{
    Case, CaseReport, Cleanup, Done, Mark, Outcome, Removed, SmokeError, SmokeTest, Verdict, manifest, remove, remove_expired, run,
};
use crate::rollout::{RolloutError, Service, ServiceName};
use crate::store::Access;

mod question;

use question::QuestionArgs;

/// Letters and digits of a name that is made up.
const NAME_TAIL: usize = 6;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar smoke-test [OPTIONS] <REF>\n       modelcar smoke-test --delete <--name NAME|--expired> [--namespace NAME]"
)]
pub(in crate::cli) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location, required_unless_present = "delete")]
    image: Option<Location>,
    /// The InferenceService's name [default: smoke-, the repository's last part, and some letters]
    #[arg(long, value_name = "NAME", value_parser = options::word::<ServiceName>)]
    name: Option<ServiceName>,
    /// Keep the InferenceService; without it, it is deleted whatever happens
    #[arg(long, conflicts_with = "delete")]
    keep: bool,
    /// Print the InferenceService; create nothing
    #[arg(long, conflicts_with = "delete")]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    question: QuestionArgs,
    #[command(flatten)]
    clean: CleanArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What earlier runs left behind.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cleaning up")]
struct CleanArgs {
    /// Delete what a run left behind, and nothing that no smoke test made
    #[arg(long)]
    delete: bool,
    /// With --delete: whatever in the namespace nobody needs any more
    #[arg(long, requires = "delete", conflicts_with = "name")]
    expired: bool,
}

/// Where the cluster is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
#[expect(clippy::struct_field_names, reason = "clap names the options by them")]
struct ClusterArgs {
    /// The API server's address [default: that of the cluster around this pod]
    #[arg(long, value_name = "URL")]
    kube_url: Option<String>,
    /// A file with a token [default: in a pod its service account's]
    #[arg(long, value_name = "FILE")]
    kube_token_file: Option<PathBuf>,
    /// PEM certificates of the API server's CA [default: in a pod its service account's]
    #[arg(long, value_name = "FILE")]
    kube_ca_file: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    outcome: Outcome,
    image: &'a str,
    namespace: &'a str,
    inference_service: &'a str,
    protocol: &'static str,
    max_difference: &'a str,
    kept: bool,
    requests: &'a [CaseReport],
}

impl Args {
    pub(in crate::cli) fn run(self, ui: &Ui) -> Result<(), CliError> {
        if self.clean.delete {
            return self.delete(ui);
        }
        let results = self.tekton.of("smoke-test")?;
        let cases = self.question.cases()?;
        let Some(image) = &self.image else { return Err(CliError::usage("no image is named", "name one: quay.io/acme/iris:v1")) };
        let found = Found::at(image, &self.registry, Access::Read)?;
        let (service, protocol) = self.service(&found, &cases, ui)?;
        let test = self.test(&service, protocol, cases)?;
        let image = found.pinned();
        if self.dry_run {
            return Ok(ui.data(manifest(&test.in_namespace(self.namespace_or_usual(None)?))?.trim_end())?);
        }
        let cluster = Arc::new(self.cluster.open()?);
        let test = test.in_namespace(self.namespace_or_usual(cluster.namespace())?);
        let done = run(&cluster, &test, &|words| ui.say(words));
        self.tell(&image, &test, done, &results, ui)
    }

    fn delete(&self, ui: &Ui) -> Result<(), CliError> {
        if self.name.is_none() && !self.clean.expired {
            return Err(CliError::usage("nothing is named that could be deleted", "say which with --name, or --expired"));
        }
        let cluster = self.cluster.open()?;
        let namespace = self.namespace_or_usual(cluster.namespace())?;
        let Some(name) = &self.name else {
            let removed = remove_expired(&cluster, &namespace, Timestamp::now()).map_err(RolloutError::from)?;
            for name in &removed {
                ui.say(format!("deleted InferenceService {name} in namespace {namespace}"));
            }
            if removed.is_empty() {
                ui.say(format!("no smoke test left anything behind in namespace {namespace} whose time is over"));
            }
            return Ok(());
        };
        match remove(&cluster, &namespace, name.as_str()).map_err(RolloutError::from)? {
            Removed::Deleted => ui.say(format!("deleted InferenceService {name} in namespace {namespace}")),
            Removed::Missing => ui.say(format!("there is no InferenceService {name} in namespace {namespace}: nothing to delete")),
        }
        Ok(())
    }

    /// The InferenceService of the image, and what is spoken to it: what the request is written in, else what its server speaks.
    fn service(&self, found: &Found, cases: &[Case], ui: &Ui) -> Result<(Service, Protocol), CliError> {
        let name = self.name.clone().map_or_else(|| made_up_name(found), Ok)?;
        let mut shape = self.shape.clone();
        shape.pin_sources(&self.registry)?;
        let mut service = shape.named(name).of(found, ui)?;
        if service.kind != Kind::InferenceService {
            return Err(CliError::usage(
                "a language model's LLMInferenceService speaks another protocol than v1 and v2",
                "leave --kind out",
            ));
        }
        let spoken = spoken(&service, annotations(&found.manifest)?.get(RUNTIME).map(String::as_str));
        let protocol = protocol(cases, service.settings.protocol, spoken)?;
        service.settings.protocol = Some(protocol);
        Ok((service, protocol))
    }

    fn test<'a>(&self, service: &'a Service, protocol: Protocol, cases: Vec<Case>) -> Result<SmokeTest<'a>, CliError> {
        let question = &self.question;
        Ok(SmokeTest {
            service,
            namespace: String::new(),
            model: question.model.clone().unwrap_or_else(|| service.name.to_string()),
            protocol,
            cases,
            tolerance: question.tolerance,
            url: question.url.clone(),
            mark: Mark::new(random(16)?, options::now()?, question.timeout),
            timeout: question.timeout,
            keep: self.keep,
            tls: self.registry.options(),
        })
    }

    fn namespace_or_usual(&self, usual: Option<&str>) -> Result<String, CliError> {
        self.shape.namespace.as_deref().or(usual).map(str::to_owned).ok_or_else(|| {
            let hint = "name it with --namespace; whatever else runs there shares its quota with the test";
            CliError::usage("no namespace is named, and this runs in no pod", hint)
        })
    }

    fn tell(&self, image: &str, test: &SmokeTest<'_>, done: Done, results: &Results, ui: &Ui) -> Result<(), CliError> {
        let (namespace, name) = (test.namespace.as_str(), test.service.name.as_str());
        let left = told_cleanup(&done.cleanup, namespace, name, ui);
        let cases = done.result.inspect_err(|error| told_failure(error, results, ui))?;
        self.question.keep_answers(&cases)?;
        let wrong = cases.iter().filter(|case| case.verdict.outcome() == Outcome::Failed).count();
        let outcome = if wrong == 0 { Outcome::Passed } else { Outcome::Failed };
        let view = View {
            outcome,
            image,
            namespace,
            inference_service: name,
            protocol: test.protocol.name(),
            max_difference: &report::largest(&cases),
            kept: self.keep,
            requests: &cases,
        };
        self.show(&view, ui)?;
        results.write(ui, &[(tekton::OUTCOME, outcome.word().to_owned()), (tekton::MAX_DIFFERENCE, report::largest(&cases))])?;
        if wrong > 0 {
            let error = SmokeError::Wrong { wrong, asked: cases.len(), image: image.to_owned() };
            return Err(RolloutError::from(error).into());
        }
        match (left, done.cleanup) {
            (true, Cleanup::Failed(source)) => {
                let error = SmokeError::LeftBehind { name: name.to_owned(), namespace: namespace.to_owned(), source: Box::new(source) };
                Err(RolloutError::from(error).into())
            }
            _ => Ok(()),
        }
    }

    fn show(&self, view: &View<'_>, ui: &Ui) -> Result<(), CliError> {
        match self.format {
            Format::Json => ui.data(serde_json::to_string_pretty(view)?)?,
            Format::Text => ui.data(report::table(view.requests).trim_end())?,
        }
        for case in view.requests {
            if let Verdict::Compared(comparison) = &case.verdict {
                for line in report::wrong(comparison) {
                    ui.say(format!("{}: {line}", case.request));
                }
            }
        }
        if self.question.expected.is_empty() && view.outcome == Outcome::Passed {
            ui.note("nothing was expected, so any well-formed answer passes; --answers DIR keeps it for the next time as --expect");
        }
        ui.say(format!("{}: {}", view.outcome.word(), view.image));
        Ok(())
    }
}

/// A model that cannot be loaded has failed, too. What goes wrong with the results is no reason to hide why.
fn told_failure(error: &RolloutError, results: &Results, ui: &Ui) {
    if matches!(error, RolloutError::Smoke(error) if error.is_the_models_fault()) {
        let written = results.write(ui, &[(tekton::OUTCOME, Outcome::Failed.word().to_owned())]);
        written.unwrap_or_else(|error| ui.warn(error));
    }
}

/// Says what became of what was made; whether it is still there and should not be.
fn told_cleanup(cleanup: &Cleanup, namespace: &str, name: &str, ui: &Ui) -> bool {
    match cleanup {
        Cleanup::Deleted => ui.say(format!("deleted InferenceService {name}")),
        Cleanup::Nothing => {}
        Cleanup::Kept => ui.note(format!("InferenceService {name} stays in namespace {namespace}")),
        Cleanup::Failed(error) => ui.warn(format!("InferenceService {name} stays in namespace {namespace}: {error}")),
    }
    matches!(cleanup, Cleanup::Failed(_))
}

impl ClusterArgs {
    fn open(&self) -> Result<Cluster, CliError> {
        let (url, token_file, ca_file) = (self.kube_url.clone(), self.kube_token_file.clone(), self.kube_ca_file.clone());
        Ok(Cluster::open(&Given { url, token_file, ca_file })?)
    }
}

/// The protocols that the image's server speaks, as far as that is known.
fn spoken(service: &Service, layout: Option<&str>) -> &'static [Protocol] {
    let named = service.runtime.as_deref().and_then(Runtime::behind);
    let server = named.or_else(|| layout.and_then(|layout| layout.parse().ok()));
    server.map_or(&[], |server| server.protocols(service.generation))
}

/// What the requests are written in, else what is asked for, else v2 where the server speaks it.
fn protocol(cases: &[Case], wanted: Option<Protocol>, spoken: &[Protocol]) -> Result<Protocol, CliError> {
    let mut written = cases.iter().filter_map(|case| case.request.as_ref()).map(|request| request.protocol);
    let first = written.next();
    if written.any(|other| Some(other) != first) {
        return Err(CliError::usage("some requests are of v1 and others of v2", "a model is asked by one of them in a run"));
    }
    let usual = if spoken.is_empty() || spoken.contains(&Protocol::V2) { Protocol::V2 } else { Protocol::V1 };
    match (first, wanted) {
        (_, Some(wanted)) if wanted.is_grpc() => {
            Err(CliError::usage(format!("a smoke test does not speak {wanted}"), "most servers speak v2 beside it: --protocol v2"))
        }
        (Some(first), Some(wanted)) if first != wanted => {
            Err(CliError::usage(format!("the requests are of {first}, and --protocol says {wanted}"), "leave --protocol out"))
        }
        (first, wanted) => Ok(first.or(wanted).unwrap_or(usual)),
    }
}

/// `smoke-iris-4k2a9x`.
fn made_up_name(found: &Found) -> Result<ServiceName, CliError> {
    let reference = found.location.reference();
    let last = reference.as_ref().map_or("model", |image| image.repository().rsplit('/').next().unwrap_or_default());
    let plain = |symbol: char| if symbol.is_ascii_lowercase() || symbol.is_ascii_digit() { symbol } else { '-' };
    let middle: String = last.to_ascii_lowercase().chars().map(plain).take(24).collect();
    let text = format!("smoke-{}-{}", middle.trim_matches('-'), random(NAME_TAIL)?);
    Ok(text.parse::<ServiceName>()?)
}

/// Lower-case letters and digits that nobody can foresee.
fn random(length: usize) -> Result<String, CliError> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| CliError::Output(std::io::Error::other(error.to_string())))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::smoke::Request;

    fn case(body: &str) -> Case {
        Case { request: Some(Request::parse("r.json", body.as_bytes().to_vec()).unwrap()), expected: None }
    }

    #[test]
    fn the_protocol_is_what_the_request_is_written_in() {
        let v1 = case(r#"{"instances": [1]}"#);
        let v2 = case(r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}"#);
        let none = Case { request: None, expected: None };
        for (cases, wanted, spoken, expected) in [
            (vec![v1.clone()], None, &[Protocol::V2][..], Some(Protocol::V1)),
            (vec![v2.clone(), v2.clone()], Some(Protocol::V2), &[], Some(Protocol::V2)),
            (vec![none.clone()], None, &[Protocol::V1, Protocol::GrpcV1], Some(Protocol::V1)),
            (vec![none.clone()], None, &[], Some(Protocol::V2)),
            (vec![v1.clone()], Some(Protocol::V2), &[], None),
            (vec![v1, v2], None, &[], None),
            (vec![none], Some(Protocol::GrpcV2), &[], None),
        ] {
            assert_eq!(protocol(&cases, wanted, spoken).ok(), expected, "{cases:?} {wanted:?}");
        }
    }
}
