//! `modelcar fetch`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::tekton::TektonArgs;
use crate::fetch::{self, Addressing, FetchOptions, Fetched, FetchedFile, Globs, Listing, Source};
use crate::oci::Digest;
use crate::report::{Ui, fetch as report, tekton, timed, units};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// https://HOST/FILE, hf://ORG/MODEL[@REVISION][/PATH], s3://BUCKET/PREFIX, oci://REF, oci:DIR:NAME, pvc://CLAIM/PATH or a folder
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The folder for the files; for pvc:// where the claim is mounted, for a folder nothing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Fetch only files that match, a pattern of gitignore; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out files that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// What the file of an https:// source must be
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// Show what would be fetched; write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    tekton: TektonArgs,
}

/// What other tools call such things: answered with the place that it has here.
#[derive(Debug, clap::Args)]
struct ElsewhereArgs {
    /// Part of SOURCE
    #[arg(long, hide = true, value_parser = part_of_source)]
    revision: Option<String>,
    /// DIR itself
    #[arg(short, long, alias = "local-dir", hide = true, value_parser = second_word)]
    output: Option<String>,
}

fn part_of_source(_: &str) -> Result<String, &'static str> {
    Err("a revision is part of the source: hf://ORG/MODEL@REVISION")
}

fn second_word(_: &str) -> Result<String, &'static str> {
    Err("the folder stands behind the source, without an option: modelcar fetch SOURCE DIR")
}

/// Who asks.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// A file with the token for the hub or the web server, or a folder with a file `token` [default: HF_TOKEN for the hub]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A folder with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_S3_ENDPOINT …, such as a mounted data connection [default: the variables]
    #[arg(long, value_name = "DIR")]
    s3_credentials: Option<PathBuf>,
    /// The address of another S3 than Amazon's [default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_S3_ENDPOINT]
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Where the bucket is named [default: in the host at Amazon, in the path elsewhere]
    #[arg(long, value_name = "STYLE")]
    s3_addressing: Option<Style>,
}

/// Where a bucket is named in addresses.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Style {
    /// https://HOST/BUCKET/KEY
    Path,
    /// https://BUCKET.HOST/KEY
    Virtual,
}

#[derive(Serialize)]
struct View<'a> {
    path: &'a Path,
    source_uri: &'a str,
    source_digest: Digest,
    bytes: u64,
    files: &'a [FetchedFile],
    removed: &'a [String],
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("fetch")?;
        let source = self.source()?;
        let fetched = match &source {
            Source::Folder(path) => self.local(ui, path)?,
            source => match self.remote(ui, source)? {
                Some(fetched) => fetched,
                None => return Ok(()),
            },
        };
        let digest = fetched.digest.to_string();
        results.write(
            ui,
            &[
                (tekton::MODEL_PATH, fetched.path.display().to_string()),
                (tekton::SOURCE_URI, fetched.uri.clone()),
                (tekton::MODEL_ARTIFACT_INPUTS, tekton::artifact(&fetched.uri, &digest)),
                (tekton::SOURCE_DIGEST, digest),
            ],
        )?;
        self.tell(ui, &fetched)
    }

    /// What the words mean: a scheme's source, a claim that is mounted, an image, or a path.
    fn source(&self) -> Result<Source, CliError> {
        let source = self.named()?;
        if self.digest.is_some() && !matches!(source, Source::File(_)) {
            return Err(CliError::usage("--digest is for the file of an https:// source", "the other sources have digests of their own"));
        }
        Ok(source)
    }

    fn named(&self) -> Result<Source, CliError> {
        if let Some((_, path)) = Source::claim(&self.source)? {
            let hint = "mount the volume, and name the place as DIR: modelcar fetch pvc://CLAIM/PATH DIR";
            let mount = self.dir.as_ref().ok_or_else(|| CliError::usage("pvc:// does not tell where the volume is mounted", hint))?;
            return Ok(Source::Folder(inside(mount, path)?));
        }
        if let Some(source) = Source::of(&self.source)? {
            return Ok(source);
        }
        if let Some(location) = options::image(&self.source)? {
            return Ok(Source::Image(location));
        }
        let path = PathBuf::from(&self.source);
        if !path.try_exists().unwrap_or(true) && looks_like_a_repository(&self.source) {
            let hint = format!("a model of the hub is hf://{0}, an image REGISTRY/{0}:TAG", self.source);
            return Err(CliError::usage(format!("there is no file or folder {}", self.source), hint));
        }
        Ok(Source::Folder(path))
    }

    fn local(&self, ui: &Ui, path: &Path) -> Result<Fetched, CliError> {
        let uri =
            if self.source.contains("://") { self.source.clone() } else { format!("file://{}", std::path::absolute(path)?.display()) };
        let (fetched, time) = timed(|| fetch::already_there(path, uri))?;
        ui.notes(&fetched.notes);
        if let Some(dir) = self.dir.as_ref().filter(|_| Source::claim(&self.source).ok().flatten().is_none()) {
            ui.note(format!("files that are here are used where they are: nothing is written to {}", dir.display()));
        }
        let files = units::count(fetched.files.len(), "file");
        ui.step(
            "fetch",
            format!("nothing to do: {files}, {} are in {} already", units::bytes(fetched.bytes()), fetched.path.display()),
            time,
        );
        Ok(fetched)
    }

    /// `None` after a dry run.
    fn remote(&self, ui: &Ui, source: &Source) -> Result<Option<Fetched>, CliError> {
        if self.dry_run {
            self.rehearse(ui, &fetch::list(source, &self.options()?)?)?;
            return Ok(None);
        }
        let hint = "name it behind the source: modelcar fetch SOURCE DIR";
        let dir = self.dir.as_deref().ok_or_else(|| CliError::usage("the folder for the files is missing", hint))?;
        let listing = fetch::list(source, &self.options()?)?;
        let (fetched, time) = timed(|| Ok::<_, CliError>(fetch::bring(&listing, dir, &ui.watch())?))?;
        ui.notes(&fetched.notes);
        for path in &fetched.removed {
            ui.note(format!("removed `{path}`, which the source no longer has"));
        }
        ui.step("fetch", report::summary(&fetched), time);
        Ok(Some(fetched))
    }

    fn options(&self) -> Result<FetchOptions, CliError> {
        Ok(FetchOptions {
            store: self.registry.options(),
            globs: Globs::new(&self.include, &self.exclude)?,
            token_file: self.access.token_file.clone(),
            s3_credentials: self.access.s3_credentials.clone(),
            s3_endpoint: self.access.s3_endpoint.clone(),
            s3_addressing: match self.access.s3_addressing {
                None => Addressing::Auto,
                Some(Style::Path) => Addressing::Path,
                Some(Style::Virtual) => Addressing::Virtual,
            },
            digest: self.digest,
        })
    }

    fn rehearse(&self, ui: &Ui, listing: &Listing) -> Result<(), CliError> {
        match self.format {
            Format::Text => ui.data(report::listing(listing).trim_end())?,
            Format::Json => ui.data(serde_json::to_string_pretty(&report::ListingView::of(listing))?)?,
        }
        ui.notes(&listing.notes);
        ui.say(format!("nothing was written: {} would come from {}", units::bytes(listing.bytes()), listing.uri));
        Ok(())
    }

    fn tell(&self, ui: &Ui, fetched: &Fetched) -> Result<(), CliError> {
        let view = View {
            path: &fetched.path,
            source_uri: &fetched.uri,
            source_digest: fetched.digest,
            bytes: fetched.bytes(),
            files: &fetched.files,
            removed: &fetched.removed,
        };
        match self.format {
            Format::Text => ui.data(fetched.path.display())?,
            Format::Json => ui.data(serde_json::to_string_pretty(&view)?)?,
        }
        Ok(())
    }
}

/// The place in a mounted volume. Whoever writes to the volume may have put a link there that leads to this pod's own token.
fn inside(mount: &Path, path: &str) -> Result<PathBuf, CliError> {
    let place = if path.is_empty() { mount.to_owned() } else { mount.join(path) };
    match (mount.canonicalize(), place.canonicalize()) {
        (Ok(mount), Ok(real)) if !real.starts_with(&mount) => {
            Err(CliError::usage(format!("{} leads out of the volume", place.display()), "a link is in it: name the place itself"))
        }
        _ => Ok(place),
    }
}

/// `ORG/MODEL`, as the hub's own tools take it.
fn looks_like_a_repository(text: &str) -> bool {
    let is_word = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        plain && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
    };
    text.split_once('/').is_some_and(|(owner, name)| is_word(owner) && is_word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claims_path_stays_in_its_volume() {
        let home = tempfile::tempdir().unwrap();
        let (mount, outside) = (home.path().join("mount"), home.path().join("outside"));
        std::fs::create_dir_all(mount.join("models/v1")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, mount.join("out")).unwrap();
        std::os::unix::fs::symlink("v1", mount.join("models/latest")).unwrap();
        for (path, stays) in [("", true), ("models/v1", true), ("models/latest", true), ("out", false), ("gone", true)] {
            assert_eq!(inside(&mount, path).is_ok(), stays, "{path}");
        }
    }
}
