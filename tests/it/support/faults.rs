//! One place for all tables of faults: a registry, a model, the digest of its image, and what must hold after every case.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use modelcar::oci::{Digest, Manifest, ManifestRef, RawManifest};
use modelcar::store::layout::LayoutStore;
use modelcar::store::{Access, Store};

use super::fault_proxy::{Proxy, Rule};
use super::registry::Registry;
use super::{modelcar, run, temp_dir};

/// The large file of the model; its layer is some 1.5 KiB longer.
pub const LARGE: usize = 2 << 20;

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// As if nothing had been.
    Well,
    /// With one error and this exit code.
    Badly(i32),
}

/// A fault or several, with a name.
pub struct Case {
    pub name: String,
    pub rules: Vec<Rule>,
    pub flags: &'static [&'static str],
    pub ends: Ends,
}

impl Case {
    pub fn well(name: impl Into<String>, rules: Vec<Rule>) -> Self {
        Self { name: name.into(), rules, flags: &[], ends: Ends::Well }
    }

    pub fn badly(name: impl Into<String>, code: i32, rules: Vec<Rule>) -> Self {
        Self { name: name.into(), rules, flags: &[], ends: Ends::Badly(code) }
    }

    pub fn with(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }
}

/// What modelcar is asked to do through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `build --push`
    Push,
    /// `copy` of a layout
    CopyTo,
    /// `copy` to a place that is reached without the proxy
    CopyFrom,
    Pull,
    Extract,
}

/// A registry with an image `calm/m:v1`, the model and a layout of it.
pub struct Bench {
    pub registry: Registry,
    home: tempfile::TempDir,
    pub digest: String,
}

impl Bench {
    pub fn start() -> Option<Self> {
        Registry::start().map(Self::with)
    }

    /// Pushes the image as it is where nothing goes wrong.
    pub fn with(registry: Registry) -> Self {
        let home = temp_dir();
        let model = home.path().join("model");
        fs::create_dir(&model).unwrap();
        write_model(&model, 1);
        let mut bench = Self { registry, home, digest: String::new() };
        let image = format!("{}/calm/m:v1", bench.registry.host);
        bench.digest = digest_of(&run(&mut bench.push(&image)));
        run(bench.modelcar().args(["pull", "-q", &image, "calm.oci"]));
        bench
    }

    /// In a home and a working folder of the bench's own.
    pub fn modelcar(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path());
        command
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `build --push` of the model.
    pub fn push(&self, image: &str) -> Command {
        let mut command = self.modelcar();
        command.args(["build", "-q", "--push", "--retry-delay", "10ms", "-t", image, "model"]);
        command
    }

    fn command(&self, verb: Verb, host: &str, place: &str) -> Command {
        let (calm, target) = (format!("{host}/calm/m:v1"), format!("{host}/{place}/m:v1"));
        let direct = format!("{}/{place}/m:v1", self.registry.host);
        let words = match verb {
            Verb::Push => return self.push(&target),
            Verb::CopyTo => ["copy", "oci:calm.oci", &target],
            Verb::CopyFrom => ["copy", &calm, &direct],
            Verb::Pull => ["pull", &calm, place],
            Verb::Extract => ["extract", &calm, place],
        };
        let mut command = self.modelcar();
        command.args(words).args(["-q", "--retry-delay", "10ms"]);
        command
    }

    /// Runs a case and judges it; gives what a person is told. A case that ends badly is run again without its faults, and must then
    /// end well: nothing that it left behind is in the way.
    pub fn judge(&self, verb: Verb, number: usize, case: Case) -> String {
        let place = format!("case{number}");
        let proxy = Proxy::start(&self.registry.host, case.rules);
        let output = self.command(verb, &proxy.host(), &place).args(case.flags).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(proxy.all_struck(), "{verb:?} {}: a fault never struck\n{said}{}", case.name, proxy.log());
        let whole = self.is_whole(verb, &place);
        match (case.ends, output.status.code()) {
            (Ends::Well, Some(0)) => assert_eq!(whole, Ok(true), "{verb:?} {}\n{said}", case.name),
            (Ends::Badly(expected), Some(code)) if expected == code => {
                assert_eq!(said.matches("error:").count(), 1, "{verb:?} {}: {said}", case.name);
                whole.unwrap_or_else(|half| panic!("{verb:?} {}: {half}", case.name));
                let again = self.command(verb, &self.registry.host, &place).output().unwrap();
                let told = String::from_utf8_lossy(&again.stderr);
                assert!(again.status.success(), "{verb:?} {}, again: {told}", case.name);
                assert_eq!(self.is_whole(verb, &place), Ok(true), "{verb:?} {}, again", case.name);
            }
            (expected, code) => panic!("{verb:?} {}: {expected:?} was expected, exit code {code:?} came\n{said}{}", case.name, proxy.log()),
        }
        let ends = if case.ends == Ends::Well {
            "is ridden out".to_owned()
        } else {
            format!("exit code {}\n{}", output.status.code().unwrap(), said.trim_end())
        };
        format!("{}: {ends}\n", case.name)
    }

    /// Whether the right thing is there; an error where half a thing is visible to others.
    fn is_whole(&self, verb: Verb, place: &str) -> Result<bool, String> {
        match verb {
            Verb::Push | Verb::CopyTo | Verb::CopyFrom => {
                let halves = self.registry.incomplete_tags();
                if !halves.is_empty() {
                    return Err(halves.join("\n"));
                }
                Ok(self.registry.tag(&format!("{place}/m"), "v1").is_some_and(|digest| digest == self.digest))
            }
            Verb::Pull => self.layout_is_whole(&self.home.path().join(place)),
            Verb::Extract => Ok(same_files(&self.home.path().join("model"), &self.home.path().join(place))),
        }
    }

    /// A layout shows nothing or a whole image.
    pub fn layout_is_whole(&self, dir: &Path) -> Result<bool, String> {
        if !dir.join("index.json").exists() {
            return Ok(false);
        }
        let store = LayoutStore::open(dir, Access::Read).map_err(|error| error.to_string())?;
        for tag in store.tags().map_err(|error| error.to_string())? {
            let raw = store.get_manifest(&ManifestRef::Tag(tag)).map_err(|error| error.to_string())?;
            read_all(&store, &raw)?;
            if raw.digest().to_string() == self.digest {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A large file of noise, and small ones beside it.
pub fn write_model(dir: &Path, seed: u64) {
    let mut state = seed * 2 + 1;
    let noise = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    fs::write(dir.join("weights.bin"), (0..LARGE / 8).flat_map(noise).collect::<Vec<u8>>()).unwrap();
    fs::write(dir.join("config.json"), "{}").unwrap();
    fs::write(dir.join("tokenizer.json"), [b'x'; 9000]).unwrap();
}

/// The digest in what `build` prints.
pub fn digest_of(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().split_once('@').unwrap_or_else(|| panic!("no digest in {said}")).1.to_owned()
}

/// Words for a snapshot: addresses, digests and folders have no names that stay.
pub fn insta_filters(bench: &Bench) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&regex_free(bench.home.path()), "[HOME]");
    settings.add_filter(r"127\.0\.0\.1:[1-9]\d{2,}", "[REGISTRY]");
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"uploads/[0-9a-f-]{36}", "uploads/[SESSION]");
    settings.add_filter(r"case\d+", "[PLACE]");
    // what a broken connection is called depends on the moment at which it is noticed
    settings.add_filter(r"caused by: (connection (closed|error)[^\n]*|Connection reset[^\n]*|Broken pipe[^\n]*|error writing a body[^\n]*|[^\n]*unexpected EOF[^\n]*|[^\n]*end of file[^\n]*)", "caused by: [BROKEN]");
    settings
}

fn regex_free(path: &Path) -> String {
    path.display().to_string().replace('.', r"\.")
}

fn same_files(one: &Path, other: &Path) -> bool {
    let files = |dir: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let walk = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().filter_map(Result::ok);
        let files = walk.filter(|entry| entry.file_type().is_file());
        files.map(|entry| (entry.path().strip_prefix(dir).unwrap().to_owned(), fs::read(entry.path()).unwrap())).collect()
    };
    files(one) == files(other)
}

/// Reads all that a manifest leads to; each byte is verified on the way.
fn read_all(store: &dyn Store, raw: &RawManifest) -> Result<(), String> {
    let told = |error: modelcar::store::StoreError| error.to_string();
    match raw.parse().map_err(|error| error.to_string())? {
        Manifest::Index(index) => index.manifests.iter().try_for_each(|child| {
            let raw = store.get_manifest(&ManifestRef::Digest(child.digest)).map_err(told)?;
            read_all(store, &raw)
        }),
        Manifest::Image(image) => image.layers.iter().chain([&image.config]).try_for_each(|blob| {
            let read = std::io::copy(&mut store.get_blob(blob).map_err(told)?, &mut std::io::sink());
            read.map(drop).map_err(|error| format!("{}: {error}", blob.digest))
        }),
    }
}

impl Registry {
    fn repositories(&self) -> PathBuf {
        self.data().join("docker/registry/v2/repositories")
    }

    /// Where a blob's bytes are.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.data().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// The digest of a tag, read where the registry keeps it.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        let link = self.repositories().join(repository).join("_manifests/tags").join(tag).join("current/link");
        fs::read_to_string(link).ok()
    }

    /// What is missing of an image in a repository, if anything.
    pub fn lacks(&self, repository: &str, digest: &str) -> Option<String> {
        self.closure(&self.repositories().join(repository), digest).err()
    }

    /// The largest blob of an image.
    pub fn largest_blob(&self, digest: &str) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.content(digest).unwrap()).unwrap();
        if let Some(child) = document["manifests"][0]["digest"].as_str() {
            return self.largest_blob(child);
        }
        let largest = document["layers"].as_array().unwrap().iter().max_by_key(|layer| layer["size"].as_u64()).unwrap();
        largest["digest"].as_str().unwrap().to_owned()
    }

    /// Each tag that leads to something that is not there or is not what it is called, and what that is: read in the registry's own
    /// files, so that nothing it says must be believed.
    pub fn incomplete_tags(&self) -> Vec<String> {
        let root = self.repositories();
        let links = walkdir::WalkDir::new(&root).into_iter().filter_map(Result::ok).filter(|entry| entry.path().ends_with("current/link"));
        let mut found = Vec::new();
        for link in links {
            let repository = link.path().ancestors().find(|path| path.join("_manifests").is_dir()).unwrap().to_owned();
            let digest = fs::read_to_string(link.path()).unwrap();
            if let Err(what) = self.closure(&repository, &digest) {
                found.push(format!("{}: {what}", link.path().strip_prefix(&root).unwrap().display()));
            }
        }
        found
    }

    fn closure(&self, repository: &Path, digest: &str) -> Result<(), String> {
        let hex = digest.trim_start_matches("sha256:");
        if !repository.join("_manifests/revisions/sha256").join(hex).join("link").is_file() {
            return Err(format!("the repository has no manifest {digest}"));
        }
        let document: serde_json::Value = serde_json::from_slice(&self.content(digest)?).map_err(|error| error.to_string())?;
        let of = |name: &str| document[name].as_array().cloned().unwrap_or_default();
        let name = |descriptor: &serde_json::Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
        of("manifests").iter().try_for_each(|child| self.closure(repository, &name(child)))?;
        let blobs = of("layers").into_iter().chain(document.get("config").cloned());
        blobs.map(|blob| name(&blob)).try_for_each(|digest| {
            let link = repository.join("_layers/sha256").join(digest.trim_start_matches("sha256:")).join("link");
            if link.is_file() { self.content(&digest).map(drop) } else { Err(format!("the repository has no blob {digest}")) }
        })
    }

    fn content(&self, digest: &str) -> Result<Vec<u8>, String> {
        let bytes = fs::read(self.blob(digest)).map_err(|error| format!("{digest}: {error}"))?;
        if Digest::of(&bytes).to_string() == digest { Ok(bytes) } else { Err(format!("{digest} has other bytes")) }
    }
}
