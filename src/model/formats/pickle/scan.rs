//! All pickles of a file, one after the other, and the arrays in them.

use super::arrays::Embedded;
use super::error::{Defect, PickleError};
use super::imports::Imports;
use super::input::Input;
use super::machine::{Machine, Pause, Seen};
use super::tensors::Tensors;
use super::values::{Node, Value, Values};

/// Opcodes of one file. A vocabulary of a million words has four million.
pub(in crate::model) const MAX_OPCODES: u64 = 8_000_000;
/// Pickles in one file.
const MAX_STREAMS: u32 = 64;

/// What a file's pickles tell.
#[derive(Debug, Default)]
pub struct Scan {
    /// How many pickles stand one after the other.
    pub streams: u32,
    /// The protocol of the first.
    pub protocol: u8,
    /// What each pickle makes, as far as that can be told.
    pub roots: Vec<Root>,
    /// What they import, and other dangers.
    pub imports: Imports,
    /// PyTorch's tensors in them.
    pub tensors: Tensors,
    /// Where and why reading stopped before the end.
    pub defect: Option<PickleError>,
    /// Opcodes that were followed.
    opcodes: u64,
}

/// The object that a pickle makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Its class.
    pub class: Option<String>,
    /// The classes of a pipeline's steps.
    pub steps: Vec<String>,
    /// scikit-learn's version where it was saved.
    pub sklearn_version: Option<String>,
    /// How many features an estimator was trained with.
    pub features: Option<i64>,
}

impl Scan {
    /// Reads everything in `input`.
    pub(crate) fn of(input: &mut Input<'_>) -> Self {
        let mut scan = Self::default();
        let result = scan.all(input);
        scan.ended(result, input);
        scan
    }

    /// Reads the first `count` pickles; what is behind them is something else.
    pub(crate) fn first(input: &mut Input<'_>, count: u32) -> Self {
        let mut scan = Self::default();
        let result = (0..count).try_for_each(|_| scan.one(input));
        scan.ended(result, input);
        scan
    }

    /// Nothing that was seen is a danger, and all was seen.
    pub(crate) fn looks_clean(&self) -> bool {
        self.defect.is_none() && self.imports.dangers().is_empty()
    }

    /// Nothing that is imported is unusual in models, nothing was seen that is a danger, and all was seen.
    pub(crate) fn is_all_expected(&self) -> bool {
        self.looks_clean() && self.imports.are_expected()
    }

    /// Whether any of it was a pickle, or may be one. Other files start with bytes that are opcodes too; where Python would stop before
    /// anything was imported, nothing can have run.
    pub(crate) fn is_a_pickle(&self) -> bool {
        let is_unseen = self.defect.as_ref().is_some_and(|error| error.defect.is_ours());
        self.streams > 0 || is_unseen || !self.imports.list().is_empty() || !self.imports.dangers().is_empty()
    }

    /// How many opcodes were followed.
    pub(crate) fn opcodes(&self) -> u64 {
        self.opcodes
    }

    /// Adds what another part of the same model tells.
    pub(crate) fn note_danger(&mut self, offset: u64, what: impl Into<String>) {
        self.imports.danger(offset, what.into());
    }

    fn ended(&mut self, result: Result<(), Defect>, input: &Input<'_>) {
        self.defect = result.err().map(|defect| PickleError { offset: input.at(), defect });
    }

    fn all(&mut self, input: &mut Input<'_>) -> Result<(), Defect> {
        self.one(input)?;
        while !input.is_at_end()? {
            let start = input.at();
            if self.streams >= MAX_STREAMS {
                self.note_danger(start, format!("is behind {MAX_STREAMS} pickles, and not the end"));
                return Ok(());
            }
            // Loaders stop here, unless they are called again: what follows is a pickle too, or has no business here.
            if let Err(defect) = self.one(input) {
                self.note_danger(
                    start,
                    format!("is behind the end of the pickle, and what follows is none: byte {}: {defect}", input.at()),
                );
                return Ok(());
            }
        }
        Ok(())
    }

    /// One pickle, to its end.
    fn one(&mut self, input: &mut Input<'_>) -> Result<(), Defect> {
        let mut machine = Machine::default();
        let made = loop {
            match self.run(&mut machine, input)? {
                Pause::Stopped(value) => break value,
                Pause::Array(array) => self.array(array, input)?,
            }
        };
        if self.streams == 0 {
            self.protocol = machine.protocol;
        }
        self.streams += 1;
        self.roots.push(root(made, &machine.values, &self.imports));
        Ok(())
    }

    fn run(&mut self, machine: &mut Machine, input: &mut Input<'_>) -> Result<Pause, Defect> {
        let mut fuel = MAX_OPCODES.saturating_sub(self.opcodes);
        let mut seen = Seen { imports: &mut self.imports, tensors: &mut self.tensors, fuel: &mut fuel, limit: MAX_OPCODES };
        let result = machine.run(input, &mut seen);
        self.opcodes = MAX_OPCODES - fuel;
        result
    }

    fn array(&mut self, array: Embedded, input: &mut Input<'_>) -> Result<(), Defect> {
        match array {
            Embedded::Bytes { length, is_aligned } => {
                let padding = if is_aligned { u64::from(input.byte()?) } else { 0 };
                input.step_over(padding)?;
                input.step_over(length)
            }
            Embedded::Pickle => self.nested(input),
        }
    }

    /// An array of objects: a pickle in the pickle, read by Python's own reader, which knows no arrays.
    fn nested(&mut self, input: &mut Input<'_>) -> Result<(), Defect> {
        let mut machine = Machine::default();
        match self.run(&mut machine, input)? {
            Pause::Stopped(_) => Ok(()),
            Pause::Array(_) => Err(Defect::Array { why: "it is in an array of objects" }),
        }
    }
}

fn root(made: Value, values: &Values, imports: &Imports) -> Root {
    let field = |key: &str| values.fields_of(made).and_then(|fields| fields.get(key).ok().flatten());
    let steps = field("steps").and_then(|steps| match values.node_of(steps) {
        Some(Node::List(steps)) => Some(steps.iter().filter_map(|step| step_class(*step, values, imports)).collect()),
        _ => None,
    });
    Root {
        class: class(made, values, imports),
        steps: steps.unwrap_or_default(),
        sklearn_version: field("_sklearn_version").and_then(|version| values.text_of(version)).map(str::to_owned),
        features: field("n_features_in_").and_then(|count| match count {
            Value::Int(count) => Some(count),
            _ => None,
        }),
    }
}

/// The class of an object; for what is no object but a name, that name.
fn class(value: Value, values: &Values, imports: &Imports) -> Option<String> {
    let callable = match values.node_of(value) {
        Some(Node::Object { callable, .. }) => *callable,
        _ => return None,
    };
    let Value::Import(index) = callable else { return None };
    imports.get(index).map(ToString::to_string)
}

/// `("scale", StandardScaler())`.
fn step_class(step: Value, values: &Values, imports: &Imports) -> Option<String> {
    class(*values.items_of(step)?.get(1)?, values, imports)
}

#[cfg(test)]
mod tests {
    use super::super::input::Stream;
    use super::*;

    /// A scan that has followed nearly as many opcodes as it may.
    fn tired() -> Scan {
        Scan { opcodes: MAX_OPCODES - 10, ..Scan::default() }
    }

    #[test]
    fn there_is_an_end_to_opcodes_also_over_several_pickles() {
        for (bytes, is_followed) in [(&b"N0N0N0N0N."[..], true), (b"N0N0N0N0N0N.", false), (b"N0N0N.N0N.", true), (b"N0N.N.N0N0N.", false)]
        {
            let mut scan = tired();
            let result = scan.all(&mut Input::new(Stream::new(bytes, 1 << 10)));
            scan.ended(result, &Input::new(Stream::new(&b""[..], 0)));
            assert_eq!(scan.looks_clean(), is_followed, "{bytes:?}");
        }
    }

    #[test]
    fn what_python_might_read_on_is_no_proof_that_nothing_runs() {
        let scanned = |bytes: &'static [u8]| Scan::of(&mut Input::new(Stream::new(bytes, 1 << 10)));
        // int() takes a sign: Python goes on to the import.
        assert!(scanned(b"Np+0\ncos\nsystem\n.").is_a_pickle());
        assert!(!scanned(b"hello").is_a_pickle());
    }
}
