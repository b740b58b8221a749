//! What is known before a byte of the model is read: from the user's own cache, from an earlier version in the registry, from the hub.
//!
//! Nothing remote is believed about local bytes unless the user names it, or our own key signed it; what is only found by its tag decides
//! how layers are sent, and never what is in them.

use std::sync::Arc;

use super::CliError;
use super::options::RegistryArgs;
use super::parallel::ParallelArgs;
use super::resolve::Found;
use crate::image::digest_cache::DigestCache;
use crate::image::earlier::{Earlier, stamp, told_layers, worth_asking};
use crate::image::transfer::Previous;
use crate::image::{Build, Compression, ImageError, Transfer, hub};
use crate::oci::{Descriptor, Location, ManifestRef, Timestamp};
use crate::report::Ui;
use crate::store::{Access, Store};
use crate::trust::{Signer, VerifyRequest, verify};

/// The word for no image at all.
const NONE: &str = "none";

/// What may be taken for known.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct CacheArgs {
    /// Take nothing for known: hash every file, look at no earlier image, remember nothing
    #[arg(long, conflicts_with_all = ["cache_from", "trust_hub_digests"], help_heading = "Cache")]
    no_cache: bool,
    /// An earlier image whose word on what its layers hold is believed; `none`: look at none; may be repeated [default: the image that -t
    /// names now, or the version before it, which is believed if --key signed it]
    #[arg(long, value_name = "REF", help_heading = "Cache")]
    cache_from: Vec<String>,
    /// Believe the digests that a Hugging Face cache or download keeps of its files; one file is hashed to see whether they are true
    #[arg(long, help_heading = "Cache")]
    trust_hub_digests: bool,
}

/// What an image is made of, where it goes and who signs it.
pub(super) struct Asked<'a> {
    pub(super) build: &'a Build,
    /// Where the image goes, under which names; `None` where nothing is written.
    pub(super) target: Option<(&'a dyn Store, &'a [ManifestRef])>,
    pub(super) signer: Option<&'a Signer>,
    pub(super) registry: &'a RegistryArgs,
    pub(super) parallel: ParallelArgs,
}

/// What is known of an image that is to be made.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) transfer: Transfer,
}

impl CacheArgs {
    /// The user's own cache alone, or nothing.
    pub(super) fn local(no_cache: bool) -> Self {
        Self { no_cache, ..Self::default() }
    }

    /// Gathers what is known.
    ///
    /// # Errors
    /// Digests of the hub that are not true, and a registry that cannot be reached. A cache or an image that cannot be read is no error.
    pub(super) fn prepare(&self, asked: &Asked<'_>, ui: &Ui) -> Result<Prepared, CliError> {
        let mut prepared = Prepared { transfer: asked.parallel.transfer() };
        if self.no_cache {
            return Ok(prepared);
        }
        prepared.transfer.cache = Arc::new(DigestCache::of_user());
        prepared.transfer.known = prepared.transfer.cache.known(asked.build.layers(), asked.build.compression());
        if self.trust_hub_digests {
            let told = hub::digests(asked.build.layers(), &ui.watch())?;
            prepared.transfer.known.borrowed = told.keys().copied().collect();
            prepared.transfer.known.files.extend(told);
        }
        if !self.cache_from.iter().any(|word| word == NONE) {
            prepared.transfer.previous = prepared.of_target(asked)?;
        }
        for word in self.cache_from.iter().filter(|word| *word != NONE) {
            prepared.of_named(word, asked, ui)?;
        }
        Ok(prepared)
    }
}

impl Prepared {
    /// The earlier version in the place that the image goes to.
    fn of_target(&mut self, asked: &Asked<'_>) -> Result<Previous, ImageError> {
        let Some((store, names)) = asked.target else { return Ok(Previous::Unknown) };
        match Earlier::find(store, names) {
            Ok(Some(earlier)) => {
                if self.has_use_for(asked) && asked.signer.is_some_and(|signer| is_signed_by(signer, store, &earlier)) {
                    self.believe(store, &earlier, asked)
                        .unwrap_or_else(|error| tracing::debug!("the earlier version is of no use: {error}"));
                }
                Ok(Previous::Layers(earlier.layers))
            }
            Ok(None) => Ok(Previous::Layers(Vec::new())),
            // the image goes there, too: it need not be said twice
            Err(ImageError::Store(error)) if error.is_unreachable() => Err(error.into()),
            Err(error) => {
                tracing::debug!("nothing is known of an earlier version: {error}");
                Ok(Previous::Unknown)
            }
        }
    }

    /// An image that the user named. One that is not there yet, as before the first build of a pipeline, is no error.
    fn of_named(&mut self, word: &str, asked: &Asked<'_>, ui: &Ui) -> Result<(), CliError> {
        let location = super::options::named(word)?;
        let read = Found::at(&location, asked.registry, Access::Read).and_then(|found| {
            let earlier = Earlier::read(found.store.as_ref(), found.manifest.clone())?;
            if self.has_use_for(asked) {
                self.believe(found.store.as_ref(), &earlier, asked)?;
            }
            Ok(earlier.layers)
        });
        match read {
            Ok(layers) => self.add(&location, layers),
            Err(error) => ui.note(format!("--cache-from {word} is of no use: {error}")),
        }
        Ok(())
    }

    fn add(&mut self, location: &Location, layers: Vec<Descriptor>) {
        if let Location::Registry(reference) = location {
            self.transfer.origins.extend(layers.iter().map(|layer| (layer.digest, reference.clone())));
        }
        if let Previous::Layers(known) = &mut self.transfer.previous {
            known.extend(layers);
        }
    }

    /// Whether there is a layer that an image could tell of.
    fn has_use_for(&self, asked: &Asked<'_>) -> bool {
        let is_known = |number: usize| self.transfer.known.layers.contains_key(&number);
        let mut layers = asked.build.layers().iter().enumerate();
        asked.build.compression() == Compression::None && layers.any(|(number, tar)| !is_known(number) && worth_asking(tar).is_some())
    }

    /// Takes an image's word on what its layers hold: they are known if our file's digest is, and else as soon as that is.
    fn believe(&mut self, store: &dyn Store, earlier: &Earlier, asked: &Asked<'_>) -> Result<(), ImageError> {
        let (tars, known) = (asked.build.layers(), &mut self.transfer.known);
        for (number, layer) in told_layers(store, earlier, tars, &known.files)? {
            let is_hashed = tars[number].files().filter_map(stamp).any(|stamp| known.files.contains_key(&stamp));
            let place = if is_hashed { &mut known.layers } else { &mut known.told };
            place.entry(number).or_insert(layer);
        }
        Ok(())
    }
}

/// Whether the holder of this very key signed the image. The word of a service that signs for many is not enough.
fn is_signed_by(signer: &Signer, store: &dyn Store, earlier: &Earlier) -> bool {
    let Signer::Key(_) = signer else { return false };
    let Ok(trusted) = signer.trusted() else { return false };
    let report = verify(&VerifyRequest {
        store,
        manifest: earlier.raw.clone(),
        trusted: &trusted,
        identity: None,
        consumers: &[],
        required: &[],
        now: Timestamp::now(),
        layers: None,
        just_signed: None,
    });
    report.is_ok_and(|report| report.refusals().is_empty())
}
