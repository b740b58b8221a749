//! Takes external data into the model, on the way into the image.
//!
//! Through KServe's modelcar link `/mnt/models` is `/proc/PID/root/models`, and whoever resolves that path gets `/models`, which the
//! server's container does not have. onnxruntime from 1.24 and most OpenVINO versions resolve the paths of external data since the
//! CVEs of 2024 to 2026, so they load none through the link (<https://github.com/microsoft/onnxruntime/issues/27353>). A model that
//! has its data inside loads everywhere. Protobuf reads no message of 2 GiB or more; larger models keep their data outside.
//!
//! ```text
//! OnnxModel::read ─► Outside ─► plan ─► Plan { parts } ─► ModelFile of pieces ─► tar
//!                    (which)    (pure but for the          (ranges of the files on disk:
//!                                file's own lengths)        nothing is copied, nothing is held)
//! ```

mod obstacle;
mod outside;
mod plan;
mod settle;

pub use obstacle::Obstacle;
pub(crate) use outside::Outside;
pub use plan::{Outcome, Part, Plan, plan};
pub(in crate::model) use settle::settle;

use super::OnnxModel;

/// What becomes of ONNX external data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnnxExternal {
    /// Inlined where the result stays below 2 GiB, else kept with a finding.
    #[default]
    Auto,
    /// Inlined; a model that cannot be is refused.
    Inline,
    /// Kept, with a finding.
    Keep,
}

impl OnnxModel {
    /// The data files that it names, in the order in which [`Part::Data`] counts them.
    pub fn places(&self) -> Vec<&str> {
        let mut places: Vec<_> = self.external.iter().collect();
        places.sort_unstable_by_key(|(_, file)| file.number);
        places.into_iter().map(|(place, _)| place.as_str()).collect()
    }
}

/// A size for people, as coarse as they think of models.
fn size_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.iter().find(|(unit, _)| bytes >= *unit) else { return format!("{bytes} bytes") };
    let tenths = u128::from(bytes) * 10 / u128::from(*unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
