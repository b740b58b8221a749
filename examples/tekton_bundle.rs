//! Packs Tekton resources as a bundle, with the code that packs models: what `tkn bundle push` does, and the same bytes every time.
//!
//! ```text
//! cargo run --example tekton_bundle -- quay.io/acme/modelcar-catalog:0.1 tekton/tasks tekton/pipelines
//! ```
//!
//! `make tekton-bundle` calls it. The contract: <https://github.com/tektoncd/pipeline/blob/main/docs/tekton-bundle-contracts.md>. A
//! layer holds the YAML as it is in the repository, comments and all: what was reviewed is what runs.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use modelcar::oci::tar_header::{EntryKind, TRAILER, header, padding};
use modelcar::oci::{
    Annotations, ContainerConfig, Descriptor, Digest, ImageConfig, ImageManifest, Location, ManifestRef, Platform, RawManifest, RootFs,
    canonical, media_type,
};
use modelcar::store::{self, Access, Store, StoreOptions};

/// What Tekton's resolver reads of one bundle.
const MOST_RESOURCES: usize = 20;
/// More than any resource that a cluster would store: etcd takes 1.5 MiB.
const MOST_BYTES: u64 = 1 << 20;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Packs every task, step action and pipeline of folders into a Tekton bundle, and prints its reference by digest
#[derive(clap::Parser)]
#[command(disable_version_flag = true)]
struct Args {
    /// Where the bundle goes: REGISTRY/REPOSITORY:TAG or oci:DIR:NAME
    dest: Location,
    /// Folders with NAME/VERSION/NAME.yaml
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Registry credentials
    #[arg(long)]
    authfile: Option<PathBuf>,
    /// Check the registry's certificate
    #[arg(long, action = clap::ArgAction::Set)]
    tls_verify: Option<bool>,
    /// PEM certificates added to the system's roots
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// A resource of a bundle.
pub(crate) struct Resource {
    api_version: String,
    /// In lower case, as the contract wants it.
    kind: String,
    name: String,
    yaml: Vec<u8>,
}

/// A bundle in memory: it has some hundred kilobytes.
pub(crate) struct Bundle {
    /// Config and layers.
    blobs: Vec<(Descriptor, Vec<u8>)>,
    /// Their manifest.
    pub(crate) manifest: RawManifest,
}

fn main() -> Fallible<()> {
    let args = Args::parse();
    let bundle = bundle(&resources(&args.folders)?)?;
    let options = StoreOptions { authfile: args.authfile, tls_verify: args.tls_verify, ca_file: args.ca_file, ..StoreOptions::default() };
    let store = store::open(&args.dest, Access::Write, &options)?;
    put(store.as_ref(), &bundle, &args.dest)?;
    writeln!(std::io::stdout(), "{}", args.dest.at(bundle.manifest.digest()))?;
    Ok(())
}

/// The resources of folders, each in a file of its own, by kind and name.
pub(crate) fn resources(folders: &[PathBuf]) -> Fallible<Vec<Resource>> {
    let mut found = Vec::new();
    for folder in folders {
        // FOLDER/NAME/VERSION/NAME.yaml; samples and tests lie deeper.
        for entry in walkdir::WalkDir::new(folder).min_depth(3).max_depth(3) {
            let path = entry?.into_path();
            if path.extension().is_some_and(|ending| ending == "yaml") {
                found.push(resource(&path)?);
            }
        }
    }
    found.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    if let Some(twice) = found.windows(2).find(|pair| (&pair[0].kind, &pair[0].name) == (&pair[1].kind, &pair[1].name)) {
        return Err(format!("two files hold the {} {}: a bundle has one version of it", twice[0].kind, twice[0].name).into());
    }
    Ok(found)
}

fn resource(path: &Path) -> Fallible<Resource> {
    let said = |why: &str| format!("{}: {why}", path.display());
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(said("is larger than any resource").into());
    }
    let yaml = fs::read(path)?;
    let document: serde_json::Value =
        serde_saphyr::from_slice(&yaml).map_err(|error| said(&format!("is not one YAML document: {error}")))?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let kind = text(&document["kind"]).filter(|kind| ["Task", "StepAction", "Pipeline"].contains(&kind.as_str()));
    let kind = kind.ok_or_else(|| said("is no Task, StepAction or Pipeline"))?.to_lowercase();
    let api_version = text(&document["apiVersion"]).ok_or_else(|| said("has no apiVersion"))?;
    let name = text(&document["metadata"]["name"]).ok_or_else(|| said("has no name"))?;
    Ok(Resource { api_version, kind, name, yaml })
}

/// A layer for each resource, and what holds them together.
pub(crate) fn bundle(resources: &[Resource]) -> Fallible<Bundle> {
    if resources.is_empty() {
        return Err("there is no resource to bundle".into());
    }
    if resources.len() > MOST_RESOURCES {
        let count = resources.len();
        return Err(format!("{count} resources, and Tekton reads at most {MOST_RESOURCES} of a bundle: make several").into());
    }
    let (mut blobs, mut diff_ids) = (Vec::new(), Vec::new());
    for resource in resources {
        let tar = tar(resource);
        diff_ids.push(Digest::of(&tar));
        let layer = gzip(&tar)?;
        blobs.push((Descriptor::of(media_type::LAYER_GZIP, &layer).annotated(annotations(resource)), layer));
    }
    let layers = blobs.iter().map(|(descriptor, _)| descriptor.clone()).collect();
    let config = canonical::to_vec(&config(diff_ids))?;
    let manifest = ImageManifest::new(Descriptor::of(media_type::CONFIG, &config), layers);
    blobs.push((manifest.config.clone(), config));
    Ok(Bundle { manifest: RawManifest::image(&manifest)?, blobs })
}

fn annotations(resource: &Resource) -> Annotations {
    let facts = [("name", &resource.name), ("kind", &resource.kind), ("apiVersion", &resource.api_version)];
    facts.into_iter().map(|(fact, value)| (format!("dev.tekton.image.{fact}"), value.clone())).collect()
}

/// The one file of a layer. Tekton reads the first and asks for no name.
fn tar(resource: &Resource) -> Vec<u8> {
    let size = resource.yaml.len() as u64;
    let mut bytes = header(&format!("{}.yaml", resource.name), EntryKind::File { size, executable: false }, 0);
    bytes.extend_from_slice(&resource.yaml);
    bytes.extend(std::iter::repeat_n(0, usize::try_from(padding(size)).unwrap_or_default()));
    bytes.extend_from_slice(&TRAILER);
    bytes
}

/// Without a time and a name in its header. The contract wants layers compressed, and not by zstd.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn config(diff_ids: Vec<Digest>) -> ImageConfig {
    // Nothing of it runs; readers of images expect a platform all the same.
    let rootfs = RootFs { diff_ids, ..RootFs::default() };
    ImageConfig { platform: Platform::linux("amd64"), config: ContainerConfig::default(), rootfs, ..ImageConfig::default() }
}

/// Stores a bundle under the name of its place.
pub(crate) fn put(store: &dyn Store, bundle: &Bundle, dest: &Location) -> Fallible<()> {
    for (descriptor, bytes) in &bundle.blobs {
        if !store.has_blob(descriptor)? {
            store.put_blob(descriptor, bytes)?;
        }
    }
    let at = dest.manifest_ref().unwrap_or(ManifestRef::Digest(bundle.manifest.digest()));
    store.put_manifest(&bundle.manifest, &at)?;
    Ok(store.commit()?)
}
