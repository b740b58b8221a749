//! How many blobs a command moves at once.

use std::num::NonZeroUsize;

use crate::image::Transfer;
use crate::image::transfer::PARALLEL;

/// How many blobs move at once.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ParallelArgs {
    /// How many layers are on their way at once, 1 to 16; each needs about 3 MiB of memory
    #[arg(long, value_name = "N", help_heading = "Registry", default_value_t = PARALLEL, value_parser = number)]
    parallel: NonZeroUsize,
}

impl Default for ParallelArgs {
    fn default() -> Self {
        Self { parallel: PARALLEL }
    }
}

impl ParallelArgs {
    /// A transfer about which nothing else is known.
    pub(super) fn transfer(self) -> Transfer {
        Transfer { parallel: self.parallel, ..Transfer::default() }
    }
}

fn number(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse::<NonZeroUsize>().ok().filter(|number| number.get() <= 16);
    number.ok_or_else(|| "expected a number from 1 to 16".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_but_not_very_many() {
        for (text, expected) in [("1", Some(1)), ("16", Some(16)), ("0", None), ("17", None), ("-1", None), ("many", None), ("", None)] {
            assert_eq!(number(text).ok().map(NonZeroUsize::get), expected, "{text}");
        }
    }
}
