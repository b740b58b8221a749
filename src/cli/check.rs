//! `modelcar check`, and the same rules before a build.

use std::collections::BTreeSet;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use crate::image::check::{Consumer, Report, Request, check};
use crate::image::{Build, Compression};
use crate::kserve::Delivery;
use crate::kserve::scripts::DEFAULT_MOUNT_PATH;
use crate::oci::{Location, Platform};
use crate::report::{Ui, check as report};
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// Whose rules: modelcar, native, fetch, cri-o, containerd; may be repeated [default: all]
    #[arg(long, value_name = "CONSUMER", value_delimiter = ',', value_parser = options::word::<Consumer>)]
    consumer: Vec<Consumer>,
    /// Where KServe mounts the model
    #[arg(long, value_name = "PATH", default_value = DEFAULT_MOUNT_PATH, value_parser = mount_path)]
    mount_path: String,
    /// The platforms, separated by commas [default: all of the image]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

fn mount_path(text: &str) -> Result<String, String> {
    let good = text.starts_with('/') && text.len() < 4096 && !text.contains('\0') && !text.trim_matches('/').is_empty();
    if good { Ok(text.to_owned()) } else { Err("expected an absolute path such as /mnt/models".to_owned()) }
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let consumers = if self.consumer.is_empty() { &Consumer::ALL[..] } else { &self.consumer };
        let platforms = Some(&self.platform[..]).filter(|platforms| !platforms.is_empty());
        let request = Request { store: found.store.as_ref(), raw: &found.manifest, consumers, platforms, mount_path: &self.mount_path };
        let checked = check(&request)?;
        match self.format {
            Format::Text => ui.data(report::table(&checked).trim_end())?,
            Format::Json => ui.data(report::json(&found.pinned(), &checked)?)?,
        }
        refuse(&found.pinned(), &checked)
    }
}

/// An error that names the first refusal, with what to do.
fn refuse(image: &str, checked: &Report) -> Result<(), CliError> {
    let Some(first) = checked.failures().next() else { return Ok(()) };
    let more = match checked.failures().count() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let hint = first.fix.map(str::to_owned);
    Err(CliError::Refused { image: image.to_owned(), reasons: format!("{}{more}", report::sentence(first)), hint })
}

/// The deliveries that an image is built for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Named by the user: an image that one of them refuses is not made.
    Named(Vec<Delivery>),
    /// Nobody said: what each would refuse is a note.
    All,
}

impl Wanted {
    /// What the user named, or all.
    pub(super) fn of(named: &[Delivery]) -> Self {
        if named.is_empty() { Self::All } else { Self::Named(named.to_vec()) }
    }

    fn deliveries(&self) -> &[Delivery] {
        match self {
            Self::Named(deliveries) => deliveries,
            Self::All => &Delivery::ALL,
        }
    }
}

/// Replays the rules of the deliveries on an image that is not made yet, before a byte of it is read or sent.
pub(super) fn before(ui: &Ui, build: &Build, wanted: &Wanted) -> Result<(), CliError> {
    refuse_zstd(ui, build, wanted)?;
    let preview = build.preview()?;
    let consumers: Vec<Consumer> = wanted.deliveries().iter().copied().map(Consumer::from).collect();
    let request = Request { store: &preview, raw: preview.index(), consumers: &consumers, platforms: None, mount_path: DEFAULT_MOUNT_PATH };
    let checked = check(&request)?;
    match wanted {
        Wanted::Named(_) => refuse("the image to be built", &checked),
        Wanted::All => {
            // every platform says the same, as a rule
            let said: BTreeSet<String> = checked.failures().map(report::advice).collect();
            for advice in &said {
                ui.note(advice);
            }
            Ok(())
        }
    }
}

/// A preview shows layers uncompressed, so that this rule is stated here.
fn refuse_zstd(ui: &Ui, build: &Build, wanted: &Wanted) -> Result<(), CliError> {
    if build.compression() != Compression::Zstd || !wanted.deliveries().contains(&Delivery::Fetch) {
        return Ok(());
    }
    let reason = "delivery `fetch` cannot read zstd layers: the storage initializer's Python has no zstd (kserve#6014)";
    match wanted {
        Wanted::Named(_) => Err(CliError::usage(reason, "use `--compression gzip`, or `--compression none`")),
        Wanted::All => {
            ui.note(reason);
            Ok(())
        }
    }
}
