//! The external tensors of one model, as the reader meets them.

use std::ops::Range;

use super::super::external::DataRange;
use super::Obstacle;

/// Tensors that are taken in. Exporters leave tensors below 1 KiB inside, so below 2 GiB no real model comes near.
pub(super) const MAX_TENSORS: usize = 1 << 15;

/// The external tensors of a model, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(super) tensors: Vec<ExternalTensor>,
    /// Why they have to stay outside: the first reason that was met.
    pub(super) obstacle: Option<Obstacle>,
}

/// A `TensorProto` whose data are elsewhere.
#[derive(Debug)]
pub(super) struct ExternalTensor {
    /// The bytes of its message.
    pub(super) span: Range<u64>,
    /// Its data.
    pub(super) data: DataRange,
}

impl Outside {
    /// Takes note of a tensor.
    pub(in super::super) fn add(&mut self, span: Range<u64>, data: DataRange, obstacle: Option<Obstacle>) {
        let full = self.tensors.len() >= MAX_TENSORS;
        let obstacle = obstacle.or_else(|| full.then_some(Obstacle::TooMany { what: "external tensors", limit: MAX_TENSORS }));
        self.obstacle = self.obstacle.take().or(obstacle);
        if !full {
            self.tensors.push(ExternalTensor { span, data });
        }
    }

    /// The bytes of their data; a range that two tensors share counts twice, because each gets its own.
    pub(super) fn bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.data.length))
    }
}
