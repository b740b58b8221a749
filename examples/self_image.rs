//! Packs modelcar's own static binary as an image, with the code that packs models: for machines without podman, buildah or a base.
//!
//! ```text
//! cargo run --example self_image -- --ca-bundle FILE --ca-name TEXT DEST linux/amd64=target/static/x86_64-unknown-linux-gnu/release/modelcar
//! ```
//!
//! `scripts/image.sh` calls it. Files and settings are those of the `Containerfile`'s last stage; a test compares them. The same input
//! gives the same digest: nothing of the machine and no clock gets in.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Parser as _;
use modelcar::image::tar::{LayerTar, TarEntry};
use modelcar::oci::{
    Annotations, ContainerConfig, Descriptor, Digest, History, ImageConfig, ImageIndex, ImageManifest, Location, ManifestRef, Platform,
    RawManifest, RootFs, Timestamp, canonical, media_type,
};
use modelcar::store::{self, Access, BlobSource as _, Store, StoreOptions};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Packs modelcar's own image.
#[derive(clap::Parser)]
#[command(disable_version_flag = true)]
struct Args {
    /// Where the image goes: oci:DIR:NAME or REGISTRY/REPOSITORY:TAG
    dest: Location,
    /// The static binary of each platform: linux/amd64=FILE
    #[arg(required = true, value_parser = binary)]
    binaries: Vec<(Platform, PathBuf)>,
    /// The CA certificates, PEM
    #[arg(long)]
    ca_bundle: PathBuf,
    /// Which certificates these are, for the label
    #[arg(long)]
    ca_name: String,
    #[arg(long, default_value = "unknown")]
    version: String,
    #[arg(long, default_value = "unknown")]
    revision: String,
    #[arg(long, default_value = "unknown")]
    source: String,
    /// Seconds since 1970
    #[arg(long, default_value_t)]
    created: u64,
}

fn binary(text: &str) -> Result<(Platform, PathBuf), String> {
    let (platform, file) = text.split_once('=').ok_or("expected OS/ARCH=FILE")?;
    Ok((platform.parse()?, file.into()))
}

fn main() -> Fallible<()> {
    Ok(writeln!(std::io::stdout(), "{}", pack(&Args::parse())?)?)
}

/// Packs the image; the place where it is now, with its digest.
fn pack(args: &Args) -> Fallible<Location> {
    let store = store::open(&args.dest, Access::Write, &StoreOptions::default())?;
    let images = args.binaries.iter().map(|(platform, file)| args.put_image(store.as_ref(), platform, file));
    let index = RawManifest::index(&ImageIndex::new(images.collect::<Fallible<_>>()?))?;
    store.put_manifest(&index, &args.dest.manifest_ref().ok_or("the destination has no name: add :TAG")?)?;
    store.commit()?;
    Ok(args.dest.at(index.digest()))
}

/// The same for whoever is not the command line.
///
/// # Errors
/// Whatever stands in the way, in words.
#[cfg(test)]
pub fn packed(words: &[&str]) -> Result<Location, String> {
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    pack(&args).map_err(|error| error.to_string())
}

impl Args {
    fn put_image(&self, store: &dyn Store, platform: &Platform, binary: &Path) -> Fallible<Descriptor> {
        let tar = self.tar(binary)?;
        let layer = put(store, media_type::LAYER_GZIP, &gzip(&tar)?)?;
        let config = self.config(platform, Digest::of(&tar));
        let config = put(store, media_type::CONFIG, &canonical::to_vec(&config)?)?;
        let manifest = RawManifest::image(&ImageManifest::new(config, vec![layer]))?;
        store.put_manifest(&manifest, &ManifestRef::Digest(manifest.digest()))?;
        Ok(manifest.descriptor().on(platform.clone()))
    }

    fn tar(&self, binary: &Path) -> Fallible<Vec<u8>> {
        ensure_static(binary)?;
        let file = |path: &str, from: &Path| -> Fallible<TarEntry> {
            let bytes = fs::read(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
            Ok(TarEntry::Bytes { path: path.to_owned(), bytes, executable: path.starts_with("usr/bin/") })
        };
        let entries = vec![
            file("usr/bin/modelcar", binary)?,
            file("etc/ssl/certs/ca-certificates.crt", &self.ca_bundle)?,
            file("etc/nsswitch.conf", &Path::new(env!("CARGO_MANIFEST_DIR")).join("container/etc/nsswitch.conf"))?,
        ];
        let mut bytes = Vec::new();
        LayerTar::new(entries, self.created).open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn config(&self, platform: &Platform, diff_id: Digest) -> ImageConfig {
        let created = Some(Timestamp::from_seconds(self.created).to_string());
        let config = ContainerConfig {
            user: "65532:0".to_owned(),
            env: vec!["PATH=/usr/bin".to_owned(), "HOME=/tmp".to_owned()],
            entrypoint: Some(vec!["/usr/bin/modelcar".to_owned()]),
            working_dir: "/".to_owned(),
            labels: self.labels(),
            ..ContainerConfig::default()
        };
        ImageConfig {
            created: created.clone(),
            platform: platform.clone(),
            config,
            rootfs: RootFs { diff_ids: vec![diff_id], ..RootFs::default() },
            history: vec![History { created, created_by: "modelcar: self_image".to_owned(), ..History::default() }],
        }
    }

    fn labels(&self) -> Annotations {
        let image = |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
        Annotations::from([
            image("title", "modelcar"),
            image("description", "From a trained model to a signed, digest-pinned KServe InferenceService"),
            image("version", &self.version),
            image("revision", &self.revision),
            image("source", &self.source),
            image("licenses", "Apache-2.0"),
            ("io.modelcar.ca-bundle".to_owned(), self.ca_name.clone()),
        ])
    }
}

/// A binary that asks for a loader would not start: the image has none. The loader's name is in an ELF segment of type `PT_INTERP`, 3:
/// <https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html>.
fn ensure_static(binary: &Path) -> Fallible<()> {
    let mut header = Vec::new();
    fs::File::open(binary)
        .and_then(|file| file.take(4096).read_to_end(&mut header))
        .map_err(|error| format!("cannot read {}: {error}", binary.display()))?;
    let word = |at: usize| header.get(at..at + 2).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(format!("{} is no 64-bit little-endian ELF program", binary.display()).into());
    }
    // e_phoff is read as 16 bits, and p_type too: both are small in every program that a linker writes.
    let (table, size, count) = (word(32), word(54), word(56));
    if (0..count).any(|number| word(table + number * size) == 3) {
        return Err(format!("{} is linked dynamically; scripts/static.sh builds a static one", binary.display()).into());
    }
    Ok(())
}

/// As modelcar's own compressed layers: no time, no name, no operating system in the header.
fn gzip(tar: &[u8]) -> Fallible<Vec<u8>> {
    let mut packed = Vec::new();
    let header = flate2::GzBuilder::new().mtime(0).operating_system(255);
    header.read(tar, flate2::Compression::new(6)).read_to_end(&mut packed)?;
    Ok(packed)
}

fn put(store: &dyn Store, media_type: &str, bytes: &[u8]) -> Fallible<Descriptor> {
    let blob = Descriptor::of(media_type, bytes);
    store.put_blob(&blob, &bytes.to_vec())?;
    Ok(blob)
}
