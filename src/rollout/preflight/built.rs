//! What a site builds to with a change applied: by the real `kubectl kustomize` on a copy, or, without one, of the files that are ours.
//!
//! The user's tree is never touched: kustomize sees a copy without `.git` and without the other sites.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use fs_err as fs;
use serde_json::Value;

use super::Outcome;
use crate::kserve::schema::check_on;
use crate::kserve::{Generation, Kind, KserveError, Mode};
use crate::oci::{Digest, printable};
use crate::rollout::folder::{KUSTOMIZATION_NAMES, boundary};
use crate::rollout::{RolloutError, SECRETS, SiteName, TreeChange, yaml};

/// A tree with more files than this, or more bytes, is not copied.
const MAX_FILES: usize = 5000;
const MAX_BYTES: u64 = 64 << 20;
/// A base on another machine is fetched while it builds.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(10);
/// How much of what kustomize builds is read, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// How much of what it complains is shown, in characters.
const MAX_SHOWN: usize = 300;

/// Who builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builder {
    /// kubectl where it is there and one site changes; else the files that are ours.
    #[default]
    Auto,
    /// kubectl for every site.
    Kubectl,
    /// The files that are ours, without any other program.
    Own,
}

impl Builder {
    const ALL: [(Self, &str); 3] = [(Self::Auto, "auto"), (Self::Kubectl, "kubectl"), (Self::Own, "own")];
}

impl FromStr for Builder {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let known = || Self::ALL.map(|(_, name)| name);
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(builder, _)| builder);
        found.ok_or_else(|| KserveError::unknown_word("builder", text, known()))
    }
}

/// What came of building: the answer, and the InferenceServices that were built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The row.
    pub outcome: Outcome,
    /// The InferenceServices; of our own build those that change.
    pub services: Vec<Value>,
    /// Whether these are all that the site has.
    pub is_whole: bool,
}

impl Built {
    /// A patch whose target nobody brings in builds without a word, and changes nothing.
    #[must_use]
    pub fn bringing(self, name: &str, digest: Option<Digest>) -> Self {
        let Some(digest) = digest.filter(|_| self.is_whole && matches!(self.outcome, Outcome::Passed(_))) else { return self };
        if self.services.iter().any(|service| service["spec"].to_string().contains(&digest.to_string())) {
            return self;
        }
        let what = format!("the site builds, and no InferenceService in it has sha256:{}", digest.short());
        let fix = format!("bring the InferenceService `{name}` in under `resources:`, and models/{name}.yaml under `patches:`");
        Self { outcome: Outcome::failed(what, fix), ..self }
    }
}

/// Builds a site with a change applied.
///
/// # Errors
/// A file of the tree that cannot be read.
pub fn built(tree: &Path, site: &SiteName, change: &TreeChange, builder: Builder) -> Result<Built, RolloutError> {
    if builder == Builder::Own {
        return own(tree, site, change);
    }
    match by_kubectl(tree, site, change)? {
        Some(built) => Ok(built),
        None if builder == Builder::Kubectl => {
            let outcome = Outcome::failed("there is no `kubectl` to run, or the tree is too large to copy", "`--build own` does without");
            Ok(Built { outcome, services: Vec::new(), is_whole: false })
        }
        None => own(tree, site, change),
    }
}

/// `None` where there is no kubectl, or too much to copy.
fn by_kubectl(tree: &Path, site: &SiteName, change: &TreeChange) -> Result<Option<Built>, RolloutError> {
    let scratch = tempfile::tempdir().map_err(RolloutError::io("create", Path::new("a scratch folder")))?;
    let inside = tree.canonicalize().map_err(RolloutError::io("open", tree))?;
    // Bases may lie beside the tree.
    let root = boundary(&inside);
    let copy = scratch.path().join("tree");
    let at = copy.join(inside.strip_prefix(&root).unwrap_or(Path::new("")));
    if !copied(&root, &copy, &inside.join("sites"), site)? {
        return Ok(None);
    }
    apply(&at, change)?;
    let Some((succeeded, said)) = kustomize(scratch.path(), &at.join("sites").join(site.as_str()))? else { return Ok(None) };
    if !succeeded {
        let what = printable(said.replace(&copy.display().to_string(), "").trim(), MAX_SHOWN);
        let fix = format!("`kubectl kustomize sites/{site}` shows it once the change is there; put it right there first");
        return Ok(Some(Built { outcome: Outcome::failed(what, fix), services: Vec::new(), is_whole: false }));
    }
    let objects = yaml::parse_served(Path::new("what kustomize built"), &said)?;
    let outcome = Outcome::Passed(format!("kubectl kustomize, {} object{}", objects.len(), if objects.len() == 1 { "" } else { "s" }));
    Ok(Some(Built { outcome, services: objects.into_iter().filter(is_service).collect(), is_whole: true }))
}

/// Copies a repository without its history and without the other sites; false where it is too large.
fn copied(from: &Path, to: &Path, sites: &Path, site: &SiteName) -> Result<bool, RolloutError> {
    let (mut files, mut bytes) = (0_usize, 0_u64);
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        fs::create_dir_all(&to).map_err(RolloutError::io("create", &to))?;
        for entry in fs::read_dir(&from).map_err(RolloutError::io("read", &from))? {
            let entry = entry.map_err(RolloutError::io("read", &from))?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_other_site = from == *sites && name != site.as_str();
            let kind = entry.file_type().map_err(RolloutError::io("read", &path))?;
            if name == ".git" || (is_other_site && kind.is_dir()) {
                continue;
            }
            files += 1;
            if kind.is_dir() {
                open.push((path, to.join(name)));
            } else if kind.is_file() {
                bytes = bytes.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
                if bytes > MAX_BYTES {
                    return Ok(false);
                }
                fs::copy(&path, to.join(name)).map_err(RolloutError::io("copy", &path))?;
            } else if let Some(target) = fs::read_link(&path).ok().filter(|target| target.is_relative()) {
                std::os::unix::fs::symlink(target, to.join(name)).map_err(RolloutError::io("copy", &path))?;
            }
            if files > MAX_FILES {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn apply(tree: &Path, change: &TreeChange) -> Result<(), RolloutError> {
    for file in &change.files {
        let path = tree.join(&file.path);
        match &file.after {
            Some(text) => {
                let folder = path.parent().unwrap_or(tree);
                fs::create_dir_all(folder).map_err(RolloutError::io("create", folder))?;
                fs::write(&path, text).map_err(RolloutError::io("write", &path))?;
            }
            None => fs::remove_file(&path).map_err(RolloutError::io("remove", &path))?,
        }
    }
    Ok(())
}

/// Whether it succeeded and what it printed: the objects, or the complaint. `None` without a kubectl.
fn kustomize(scratch: &Path, site: &Path) -> Result<Option<(bool, String)>, RolloutError> {
    let open = |name: &str| {
        let path = scratch.join(name);
        fs::OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path).map_err(RolloutError::io("open", &path))
    };
    let (mut out, mut complaint) = (open("out")?, open("err")?);
    let stdio = |file: &fs::File| file.file().try_clone().map(Stdio::from).map_err(RolloutError::io("open", scratch));
    let mut command = Command::new("kubectl");
    for secret in SECRETS {
        command.env_remove(secret);
    }
    // A base on another machine is fetched by git: by nothing that runs programs of the base's choice, and asking nobody.
    command.env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file").env("GIT_TERMINAL_PROMPT", "0");
    let child = command.arg("kustomize").arg(site).stdin(Stdio::null()).stdout(stdio(&out)?).stderr(stdio(&complaint)?).spawn();
    let Ok(mut child) = child else { return Ok(None) };
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(RolloutError::io("wait for", Path::new("kubectl")))? {
            break Some(status);
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(PAUSE);
    };
    Ok(Some(match status {
        Some(status) if status.success() => (true, text(&mut out)?),
        Some(_) => (false, text(&mut complaint)?),
        None => (false, format!("it took more than {} s", PATIENCE.as_secs())),
    }))
}

fn text(file: &mut fs::File) -> Result<String, RolloutError> {
    let path = file.path().to_owned();
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.take(MAX_OUTPUT).read_to_end(&mut bytes)).map_err(RolloutError::io("read", &path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The InferenceServices that change, each the base with our patch over it; and whether the kustomization names only what is there.
fn own(tree: &Path, site: &SiteName, change: &TreeChange) -> Result<Built, RolloutError> {
    let view = View { tree, change, folder: Path::new("sites").join(site.as_str()) };
    if let Some(missing) = view.missing()? {
        let outcome =
            Outcome::failed(format!("the kustomization names {missing}, which is not there"), "add the file, or take the line out");
        return Ok(Built { outcome, services: Vec::new(), is_whole: false });
    }
    let names = view.changed_models();
    let services = names.iter().map(|name| view.service(name)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect::<Vec<_>>();
    Ok(Built { outcome: Outcome::Passed("of our own files, without kubectl".to_owned()), services, is_whole: false })
}

/// A site's folder with the change over it.
struct View<'a> {
    tree: &'a Path,
    change: &'a TreeChange,
    folder: PathBuf,
}

impl View<'_> {
    /// The text that a file has after the change; `None` where there is none.
    fn text(&self, path: &Path) -> Result<Option<String>, RolloutError> {
        match self.change.files.iter().find(|file| file.path == path) {
            Some(file) => Ok(file.after.clone()),
            None => yaml::read(&self.tree.join(path)),
        }
    }

    fn documents(&self, path: &Path) -> Result<Vec<Value>, RolloutError> {
        self.text(path)?.map_or(Ok(Vec::new()), |text| yaml::parse_served(path, &text))
    }

    /// The models whose files change, by name.
    fn changed_models(&self) -> BTreeSet<String> {
        let of_model = |path: &Path| {
            let below = path.strip_prefix(&self.folder).ok()?;
            let folder = below.parent()?.to_str()?;
            ["models", "base"].contains(&folder).then(|| below.file_stem()?.to_str().map(str::to_owned))?
        };
        self.change.files.iter().filter_map(|file| of_model(&file.path)).collect()
    }

    /// The base with our patch over it; nothing where the base is elsewhere, and with it the rest of the service.
    fn service(&self, name: &str) -> Result<Option<Value>, RolloutError> {
        let path = |folder: &str| self.folder.join(folder).join(format!("{name}.yaml"));
        let (base, patch) = (self.documents(&path("base"))?, self.documents(&path("models"))?);
        let own =
            |documents: Vec<Value>| documents.into_iter().find(|document| is_service(document) && document["metadata"]["name"] == name);
        let (Some(mut service), Some(patch)) = (own(base), own(patch)) else { return Ok(None) };
        yaml::merge(&mut service, &patch);
        Ok(Some(service))
    }

    /// A file of this folder that the kustomization names and that is not there.
    fn missing(&self) -> Result<Option<String>, RolloutError> {
        let names = KUSTOMIZATION_NAMES.iter().map(|name| self.folder.join(name));
        for path in names {
            for document in self.documents(&path)? {
                let resources = document["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let patches = document["patches"].as_array().into_iter().flatten().filter_map(|patch| patch["path"].as_str());
                let missing = resources.chain(patches).find(|name| self.is_missing(name)).map(str::to_owned);
                if missing.is_some() {
                    return Ok(missing);
                }
            }
        }
        Ok(None)
    }

    /// What is not below this folder is not looked at: it may be on another machine.
    fn is_missing(&self, name: &str) -> bool {
        let name = name.trim_start_matches("./");
        let is_own = Path::new(name).extension().is_some_and(|extension| extension == "yaml")
            && !name.starts_with("..")
            && !name.contains("://")
            && !name.contains('?');
        let path = self.folder.join(name);
        let planned = self.change.files.iter().find(|file| file.path == path);
        is_own && !planned.map_or_else(|| self.tree.join(&path).exists(), |file| file.after.is_some())
    }
}

fn is_service(object: &Value) -> bool {
    Kind::ALL.into_iter().any(|kind| object["kind"] == kind.kind())
}

/// Would the API server take these services, and the site's KServe heed all that they say?
pub fn schema(services: &[Value], generation: Generation, mode: Mode) -> Outcome {
    let name = |service: &Value| service["metadata"]["name"].as_str().unwrap_or("?").to_owned();
    let of = |service: &Value| {
        let found = check_on(service, generation, mode).into_iter();
        found.map(|violation| format!("{}: {violation}", name(service))).collect::<Vec<_>>()
    };
    let violations: Vec<String> = services.iter().flat_map(of).collect();
    match (services, &violations[..]) {
        ([], _) => Outcome::Skipped("no whole InferenceService was built".to_owned()),
        (_, []) => Outcome::Passed(services.iter().map(name).collect::<Vec<_>>().join(", ")),
        (_, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Outcome::failed(printable(first, MAX_SHOWN) + &more, "put it right in base/ or models/ of the site")
        }
    }
}

#[cfg(test)]
mod tests;
