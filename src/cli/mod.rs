//! The command line. One file per verb; each asks the rooms below and prints, and has no logic of its own.
//!
//! Habits of the ecosystem hold: references, `-t`, `-o` and `--push` as docker and podman users know them, `--authfile`,
//! `--tls-verify`, `--format json`, `SOURCE_DATE_EPOCH`, `NO_COLOR`; data on standard output, talk on standard error.

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::report::{Ui, Volume, failure};
use crate::{exit_code, stop};

mod ages;
mod askpass;
mod attest;
mod attested;
mod attesting;
mod build;
mod built;
mod caching;
mod check;
mod completions;
mod config;
mod copy;
mod deploy;
mod destination;
mod diff;
mod doctor;
mod emit;
mod error;
mod extract;
mod fetch;
mod from_file;
mod gate;
mod gitops;
mod gitops_folder;
mod inspect;
mod keygen;
mod keyless;
mod lint;
mod login;
mod logout;
mod man;
mod model_attestation;
mod model_signature;
mod omit_empty;
mod options;
mod pace;
mod parallel;
mod patch;
mod patience;
mod policy;
mod promote;
mod provenance;
mod proving;
mod pull;
mod push;
mod reading;
mod register;
mod replace;
mod resolve;
mod rollback;
mod rolling;
mod running;
mod sbom;
mod service;
mod set_app;
mod settings;
mod ship;
mod sign;
mod signing;
mod smoke_test;
mod status;
mod stored;
mod summary;
mod tekton;
mod trusting;
mod update;
mod verify;

pub use error::CliError;
pub use settings::{SettingsError, check_settings};

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 refused by verify, lint or check, 4 pushed but not signed, 5 someone else changed it first.

An image is REGISTRY/REPOSITORY:TAG, oci:DIR:NAME or oci-archive:FILE:NAME; @FILE is the one that a file names.";

const SIGN_EXITS: &str = "\
Exit codes: 0 signed, 1 failed with nothing signed, 2 usage, 4 not all signatures are there, 5 someone else kept changing them.";

const SIGN_ATTESTS: &str = "What is attested about the image that is in its registry already, separated by commas: sbom, provenance, \
                            model-signing; or none [default: none]";
const SMOKE_EXITS: &str = "\
Exit codes: 0 all answers are as expected, 1 the model could not be asked, 2 usage, 3 it answered wrongly or cannot be loaded.";

const VERIFY_EXITS: &str = "Exit codes: 0 accepted, 1 could not be checked, 2 usage, 3 refused.";

/// From a trained model to a signed, digest-pinned KServe InferenceService.
#[derive(Debug, Parser)]
#[command(name = "modelcar", version, about, after_help = AFTER_HELP, max_term_width = 110, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    talk: Talk,
    #[command(subcommand)]
    verb: Verb,
}

/// How much is said.
#[derive(Debug, clap::Args)]
struct Talk {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Talk")]
    quiet: bool,
    /// Say what is done inside, every request to a registry among it; twice for the libraries too
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Talk")]
    verbose: u8,
    /// Count `--name=` with nothing behind it as not given, as in `--key=$(params.KEY)` of a Tekton step
    #[arg(long, global = true, help_heading = "Talk")]
    omit_empty: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The whole way: build, push, sign, attest, verify, patch the site, commit
    Ship(Box<ship::Args>),
    /// Build a reproducible ModelCar image from a model
    Build(Box<build::Args>),
    /// Send an image from a layout or archive to a registry
    Push(push::Args),
    /// Fetch an image into an OCI layout
    Pull(pull::Args),
    /// Copy an image from anywhere to anywhere, with its signatures and all that speaks about it
    Copy(copy::Args),
    /// Make another version of an image with some files swapped, without the other files on disk
    Replace(Box<replace::Args>),
    /// Take the model out of an image: the files under /models
    Extract(extract::Args),
    /// Bring a model from a hub, an object store, a web server or a registry into a folder
    Fetch(Box<fetch::Args>),
    /// Show an image or a model on disk
    Inspect(inspect::Args),
    /// Look for what would go wrong with a model later; exit code 3 if it would
    Lint(lint::Args),
    /// Replay on an image what each of its readers does; exit code 3 if one would refuse it
    Check(check::Args),
    /// Make a key pair for signing, as cosign does
    Keygen(keygen::Args),
    /// Sign an image for every consumer: podman, CRI-O and OpenShift, and cosign 3
    #[command(after_help = SIGN_EXITS, mut_arg("attest", |arg| arg.help(SIGN_ATTESTS)))]
    Sign(Box<sign::Args>),
    /// Attach a signed statement to an image: bill of materials, provenance, scan result, or your own
    Attest(Box<attest::Args>),
    /// Print the bill of materials of an image, or of a model on disk
    Sbom(sbom::Args),
    /// Print what is attested about how an image was built
    Provenance(provenance::Args),
    /// Check an image's signatures; exit code 3 if any consumer would refuse it
    #[command(after_help = VERIFY_EXITS)]
    Verify(verify::Args),
    /// Print the InferenceService or its patch for an image
    Patch(patch::Args),
    /// Serve an image in a scratch namespace, ask it, and hold its answers against what is expected; exit code 3 if one is wrong
    #[command(after_help = SMOKE_EXITS)]
    SmokeTest(Box<smoke_test::Args>),
    /// Write a model's version and image into a Kubeflow Model Registry
    Register(Box<register::Args>),
    /// Log in to a registry: checked there, then kept where podman, skopeo, docker and crane find it too
    Login(login::Args),
    /// Forget the log-in for a registry
    Logout(logout::Args),
    /// Look at a registry with the eyes of a push: how it is reached, who we are there, what it allows and can do
    Doctor(doctor::Args),
    /// Show the settings in effect, and where each came from
    Config(config::Args),
    /// Bring a model to a site, or to many: checked first, one commit; exit code 3 if a check fails
    Deploy(Box<deploy::Args>),
    /// Give a model that a site runs another version
    Update(Box<update::Args>),
    /// Make a site's canary its stable version
    Promote(Box<promote::Args>),
    /// Take a site's canary away, or go back to the version before
    Rollback(Box<rollback::Args>),
    /// Give an application of a site another image; no model changes
    SetApp(Box<set_app::Args>),
    /// Tell what each site is told to run, who signed it, since when, and whether that is what runs
    Status(Box<status::Args>),
    /// Tell how a pipeline went, and what to look at; exit code 0 however it went
    Summary(summary::Args),
    /// Tell what differs: a site and its tags in the registry, another site, what runs there, an earlier time; or two images
    Diff(Box<diff::Args>),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Write the man pages
    Man(man::Args),
}

/// Parses, runs and tells the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = askpass::answer(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(omit_empty::omit_empty(arguments)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log(&cli.talk);
    let ui = Ui::new(if cli.talk.quiet { Volume::Quiet } else { Volume::Normal });
    if let Err(error) = stop::listen() {
        tracing::debug!("signals end the process at once: {error}");
    }
    let outcome = run(cli.verb, &ui);
    // what failed because the process is being ended is no news
    stop::hold();
    match outcome {
        Ok(()) => exit_code::OK,
        Err(error) => {
            ui.fail(&failure::render(&error, error.hint().as_deref()));
            error.exit_code()
        }
    }
}

fn run(verb: Verb, ui: &Ui) -> Result<(), CliError> {
    match verb {
        Verb::Ship(args) => args.run(ui),
        Verb::Build(args) => args.run(ui),
        Verb::Push(args) => args.run(ui),
        Verb::Pull(args) => args.run(ui),
        Verb::Copy(args) => args.run(ui),
        Verb::Replace(args) => args.run(ui),
        Verb::Extract(args) => args.run(ui),
        Verb::Fetch(args) => args.run(ui),
        Verb::Inspect(args) => args.run(ui),
        Verb::Lint(args) => args.run(ui),
        Verb::Check(args) => args.run(ui),
        Verb::Keygen(args) => args.run(ui),
        Verb::Sign(args) => args.run(ui),
        Verb::Attest(args) => args.run(ui),
        Verb::Sbom(args) => args.run(ui),
        Verb::Provenance(args) => args.run(ui),
        Verb::Verify(args) => args.run(ui),
        Verb::Patch(args) => args.run(ui),
        Verb::SmokeTest(args) => args.run(ui),
        Verb::Register(args) => args.run(ui),
        Verb::Login(args) => args.run(ui),
        Verb::Logout(args) => args.run(ui),
        Verb::Doctor(args) => args.run(ui),
        Verb::Config(args) => args.run(ui),
        Verb::Deploy(args) => args.run(ui),
        Verb::Update(args) => args.run(ui),
        Verb::Promote(args) => args.run(ui),
        Verb::Rollback(args) => args.run(ui),
        Verb::SetApp(args) => args.run(ui),
        Verb::Status(args) => args.run(ui),
        Verb::Summary(args) => args.run(ui),
        Verb::Diff(args) => args.run(ui),
        Verb::Completions(args) => args.run(ui),
        Verb::Man(args) => args.run(ui),
    }
}

/// clap's own words for wrong usage, help and version; a reader that went away is no error.
fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    if error.use_stderr() { exit_code::USAGE } else { exit_code::OK }
}

fn log(talk: &Talk) {
    let level = match talk.verbose {
        _ if talk.quiet => "off",
        0 => "modelcar=warn",
        1 => "modelcar=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("MODELCAR_LOG").unwrap_or_else(|_| level.into());
    let color = console::colors_enabled_stderr();
    // A second subscriber in one process (tests) is no error.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .without_time()
        .with_target(talk.verbose > 0)
        .try_init();
}

/// The whole command tree, for man pages, completions and tests.
pub fn command() -> clap::Command {
    Cli::command()
}
