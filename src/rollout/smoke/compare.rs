//! Whether two answers agree. Pure.
//!
//! Names, datatypes and shapes have to be the same, and so have words, truth values and whole numbers. Floating-point numbers may differ
//! as numpy's `allclose` allows: |got − expected| ≤ absolute + relative · |expected|. What is no number equals what is no number.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Content, Element, Tensor, shown};
use super::numbers::float;
use crate::oci::printable;

/// What differs is told so often, and counted.
const MAX_EXAMPLES: usize = 5;
/// The longest value or name in an example, in characters.
const MAX_TEXT: usize = 80;

/// How far floating-point numbers may be from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Whatever the number.
    pub absolute: f64,
    /// A part of the expected number.
    pub relative: f64,
}

impl FromStr for Tolerance {
    type Err = String;

    /// `1e-4` for both, or `1e-6,1e-3` for absolute and relative.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no tolerance: expected a number such as 1e-4, or ABSOLUTE,RELATIVE", printable(text, MAX_TEXT));
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).ok_or_else(wrong);
        let (absolute, relative) = text.split_once(',').unwrap_or((text, text));
        Ok(Self { absolute: number(absolute)?, relative: number(relative)? })
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// How many values were compared.
    pub compared: u64,
    /// The largest difference of two floating-point numbers, and where it is; infinite where one of them is no number.
    #[serde(flatten)]
    pub largest: Option<Difference>,
    /// How much is wrong.
    pub wrong: u64,
    /// The first of it.
    pub examples: Vec<String>,
}

/// A difference, and its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Not negative. JSON has no word for an infinite one and gets `null`.
    #[serde(rename = "maxDifference")]
    pub value: f64,
    /// `predictions[0][2]`, `probabilities[0,2]`.
    pub at: String,
}

impl Comparison {
    /// Whether nothing is wrong.
    pub fn agrees(&self) -> bool {
        self.wrong == 0
    }

    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(what());
        }
    }

    fn exact(&mut self, same: bool, got: &Value, expected: &Value, at: &dyn fmt::Display) {
        self.compared += 1;
        if !same {
            self.differs(|| format!("{at} is {}, expected {}", short(got), short(expected)));
        }
    }

    fn floats(&mut self, got: f64, expected: f64, tolerance: Tolerance, at: &dyn fmt::Display) {
        self.compared += 1;
        let difference = difference(got, expected);
        // an infinite tolerance would let anything pass
        let allowed = tolerance.absolute + tolerance.relative * expected.abs();
        if difference > 0.0 && !(difference.is_finite() && difference <= allowed) {
            self.differs(|| format!("{at} is {got}, expected {expected}"));
        }
        if self.largest.as_ref().is_none_or(|largest| difference > largest.value) {
            self.largest = Some(Difference { value: difference, at: at.to_string() });
        }
    }
}

fn difference(got: f64, expected: f64) -> f64 {
    match (got.is_nan(), expected.is_nan()) {
        (true, true) => 0.0,
        (false, false) if got.to_bits() == expected.to_bits() => 0.0,
        (false, false) => (got - expected).abs(),
        _ => f64::INFINITY,
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object of {} members", members.len()),
        single => printable(&single.to_string(), MAX_TEXT),
    }
}

/// Holds an answer against what was expected.
pub fn compare(got: &Answer, expected: &Answer, tolerance: Tolerance) -> Comparison {
    let mut comparison = Comparison::default();
    match (&got.0, &expected.0) {
        (Content::Tensors(got), Content::Tensors(expected)) => tensors(got, expected, tolerance, &mut comparison),
        (Content::Tree { member, value: got }, Content::Tree { member: wanted, value: expected }) if member == wanted => {
            trees(got, expected, &Path { parent: None, step: Step::Member(member) }, tolerance, &mut comparison);
        }
        _ => comparison.differs(|| "the answer is of another form than what is expected".to_owned()),
    }
    comparison
}

fn tensors(got: &[Tensor], expected: &[Tensor], tolerance: Tolerance, comparison: &mut Comparison) {
    for wanted in expected {
        match got.iter().find(|tensor| tensor.name == wanted.name) {
            Some(tensor) => one_tensor(tensor, wanted, tolerance, comparison),
            None => comparison.differs(|| format!("there is no output `{}`", wanted.name)),
        }
    }
    for more in got.iter().filter(|tensor| expected.iter().all(|wanted| wanted.name != tensor.name)) {
        comparison.differs(|| format!("nobody expects the output `{}`", more.name));
    }
}

fn one_tensor(got: &Tensor, expected: &Tensor, tolerance: Tolerance, comparison: &mut Comparison) {
    if got.datatype != expected.datatype {
        return comparison.differs(|| format!("`{}` is {}, expected {}", got.name, got.datatype, expected.datatype));
    }
    if got.shape != expected.shape {
        return comparison.differs(|| format!("`{}` has the shape {}, expected {}", got.name, shown(&got.shape), shown(&expected.shape)));
    }
    let element = Element::of(&got.datatype);
    for (index, (value, wanted)) in got.values.iter().zip(&expected.values).enumerate() {
        let at = Place { tensor: got, index: index as u64 };
        match (element, float(value), float(wanted)) {
            (Some(Element::Float), Some(value), Some(wanted)) => comparison.floats(value, wanted, tolerance, &at),
            (Some(Element::Bool), ..) => comparison.exact(truth(value) == truth(wanted), value, wanted, &at),
            _ => comparison.exact(value == wanted, value, wanted, &at),
        }
    }
}

fn truth(value: &Value) -> bool {
    value == &Value::Bool(true) || value.as_u64() == Some(1)
}

fn trees(got: &Value, expected: &Value, at: &Path<'_>, tolerance: Tolerance, comparison: &mut Comparison) {
    match (got, expected) {
        (Value::Array(got), Value::Array(expected)) if got.len() == expected.len() => {
            for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                trees(got, expected, &at.then(Step::Index(index)), tolerance, comparison);
            }
        }
        (Value::Object(got), Value::Object(expected)) if got.len() == expected.len() => {
            for (name, expected) in expected {
                let at = at.then(Step::Member(name));
                match got.get(name) {
                    Some(got) => trees(got, expected, &at, tolerance, comparison),
                    None => comparison.differs(|| format!("there is no {at}")),
                }
            }
        }
        _ => leaves(got, expected, at, tolerance, comparison),
    }
}

/// Protocol v1 names no datatypes: what both write as whole numbers is exact.
fn leaves(got: &Value, expected: &Value, at: &Path<'_>, tolerance: Tolerance, comparison: &mut Comparison) {
    let whole = |value: &Value| value.is_i64() || value.is_u64();
    match (float(got), float(expected)) {
        (Some(number), Some(wanted)) if !(whole(got) && whole(expected)) => comparison.floats(number, wanted, tolerance, at),
        _ => comparison.exact(got == expected, got, expected, at),
    }
}

/// The place of an element: `probabilities[0,2]`.
struct Place<'a> {
    tensor: &'a Tensor,
    index: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.index;
        let mut indices: Vec<u64> = Vec::new();
        for side in self.tensor.shape.iter().rev() {
            indices.push(rest % (*side).max(1));
            rest /= (*side).max(1);
        }
        indices.reverse();
        write!(f, "{}{}", self.tensor.name, shown(&indices))
    }
}

/// The way to a value; it is written down only where it is told.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Member(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    fn then(&'a self, step: Step<'a>) -> Self {
        Self { parent: Some(self), step }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (&self.step, self.parent) {
            (Step::Index(index), _) => write!(f, "[{index}]"),
            (Step::Member(name), None) => f.write_str(name),
            (Step::Member(name), Some(_)) => write!(f, ".{}", printable(name, MAX_TEXT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kserve::Protocol;

    const TIGHT: Tolerance = Tolerance { absolute: 1e-3, relative: 0.0 };

    fn v1(predictions: &str) -> Answer {
        Answer::parse(Protocol::V1, format!("{{\"predictions\": {predictions}}}").as_bytes()).unwrap()
    }

    fn v2(name: &str, datatype: &str, shape: &Value, data: &Value) -> Answer {
        let output = json!({"name": name, "datatype": datatype, "shape": shape, "data": data});
        Answer::parse(Protocol::V2, json!({"outputs": [output]}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn predictions_agree_within_the_tolerance_and_no_further() {
        for (got, expected, agrees, largest, at) in [
            ("[[1.0, 2.0]]", "[[1.0, 2.0005]]", true, 0.0005, "predictions[0][1]"),
            ("[[1.0, 2.0]]", "[[1.0, 2.002]]", false, 0.002, "predictions[0][1]"),
            ("[1, 2.0005]", "[1.0, 2]", true, 0.0005, "predictions[1]"),
            ("[{\"score\": 0.5}]", "[{\"score\": 0.7}]", false, 0.2, "predictions[0].score"),
            ("[NaN, Infinity]", "[null, Infinity]", true, 0.0, "predictions[0]"),
            ("[NaN]", "[1.0]", false, f64::INFINITY, "predictions[0]"),
            ("[Infinity]", "[-Infinity]", false, f64::INFINITY, "predictions[0]"),
            ("[-0.0]", "[0.0]", true, 0.0, "predictions[0]"),
        ] {
            let comparison = compare(&v1(got), &v1(expected), TIGHT);
            let Difference { value, at: place } = comparison.largest.clone().unwrap();
            assert_eq!((comparison.agrees(), place.as_str()), (agrees, at), "{got} {expected}: {comparison:?}");
            assert!(value.to_bits() == largest.to_bits() || (value - largest).abs() < 1e-12, "{value} {largest}");
        }
    }

    #[test]
    fn words_whole_numbers_and_form_are_exact() {
        for (got, expected, told) in [
            ("[1]", "[2]", "predictions[0] is 1, expected 2"),
            ("[9007199254740993]", "[9007199254740992]", "predictions[0] is 9007199254740993"),
            ("[\"cat\"]", "[\"dog\"]", "predictions[0] is \"cat\", expected \"dog\""),
            ("[true]", "[1]", "predictions[0] is true, expected 1"),
            ("[1.0]", "[[1.0]]", "predictions[0] is 1.0, expected a list of 1"),
            ("[1.0, 2.0]", "[1.0]", "predictions is a list of 2, expected a list of 1"),
            ("[{\"a\": 1.0}]", "[{\"b\": 1.0}]", "there is no predictions[0].b"),
        ] {
            let comparison = compare(&v1(got), &v1(expected), Tolerance { absolute: 10.0, relative: 10.0 });
            assert!(!comparison.agrees() && comparison.examples[0].contains(told), "{comparison:?}");
        }
    }

    #[test]
    fn tensors_have_names_datatypes_and_shapes() {
        let expected = v2("y", "FP32", &json!([1, 2]), &json!([0.5, 0.25]));
        for (got, told) in [
            (v2("z", "FP32", &json!([1, 2]), &json!([0.5, 0.25])), "there is no output `y`"),
            (v2("y", "FP64", &json!([1, 2]), &json!([0.5, 0.25])), "`y` is FP64, expected FP32"),
            (v2("y", "FP32", &json!([2, 1]), &json!([0.5, 0.25])), "`y` has the shape [2,1], expected [1,2]"),
            (v2("y", "FP32", &json!([1, 2]), &json!([0.5, 0.5])), "y[0,1] is 0.5, expected 0.25"),
        ] {
            let comparison = compare(&got, &expected, TIGHT);
            assert!(comparison.examples[0].contains(told), "{comparison:?}");
        }
        let comparison = compare(&v2("z", "FP32", &json!([1]), &json!([1])), &expected, TIGHT);
        assert_eq!((comparison.wrong, comparison.examples[1].as_str()), (2, "nobody expects the output `z`"));
        for (datatype, got, wanted, agrees) in [
            ("INT64", json!([9_007_199_254_740_993_u64]), json!([9_007_199_254_740_992_u64]), false),
            ("UINT64", json!([u64::MAX]), json!([u64::MAX]), true),
            ("BOOL", json!([true]), json!([1]), true),
            ("BOOL", json!([true]), json!([0]), false),
            ("BYTES", json!(["NaN"]), json!(["NaN"]), true),
            ("FP16", json!([1]), json!([1.0005]), true),
        ] {
            let [got, wanted] = [got, wanted].map(|data| v2("y", datatype, &json!([1]), &data));
            assert_eq!(compare(&got, &wanted, TIGHT).agrees(), agrees, "{datatype}");
        }
        assert!(!compare(&v1("[1]"), &expected, TIGHT).agrees());
    }

    #[test]
    fn much_that_is_wrong_is_counted_and_told_in_part() {
        let [got, expected] = [json!(vec![1.0; 1000]), json!(vec![2.0; 1000])].map(|data| v2("y", "FP32", &json!([10, 100]), &data));
        let comparison = compare(&got, &expected, TIGHT);
        assert_eq!((comparison.wrong, comparison.compared, comparison.examples.len()), (1000, 1000, MAX_EXAMPLES));
    }

    #[test]
    fn a_tolerance_is_a_number_or_two() {
        for (text, absolute, relative) in [("1e-4", 1e-4, 1e-4), ("0", 0.0, 0.0), ("1e-6,0.01", 1e-6, 0.01)] {
            assert_eq!(text.parse(), Ok(Tolerance { absolute, relative }), "{text}");
        }
        for text in ["", "-1", "NaN", "inf", "1,", "1,2,3", "5%"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_exactly_where_numpy_would(got: f64, expected: f64, absolute in 0.0..10.0, relative in 0.0..1.0) {
            let numbers = |number: f64| if number.is_finite() { number.to_string() } else { "NaN".to_owned() };
            let [left, right] = [got, expected].map(|number| v1(&format!("[[{}], 0.5]", numbers(number))));
            let allowed = match (got.is_finite(), expected.is_finite()) {
                (true, true) => (got - expected).abs() <= absolute + relative * expected.abs(),
                (left, right) => left == right,
            };
            let comparison = compare(&left, &right, Tolerance { absolute, relative });
            // two integers without a fraction are exact, and Rust writes 1.0 as `1`
            prop_assume!(got.fract() != 0.0 || expected.fract() != 0.0);
            prop_assert_eq!(comparison.agrees(), allowed);
        }

        #[test]
        fn everything_agrees_with_itself(numbers in proptest::collection::vec(any::<f32>(), 1..20), word: String) {
            let text = serde_json::json!([numbers, {"w": word}]).to_string();
            let exact = Tolerance { absolute: 0.0, relative: 0.0 };
            prop_assert!(compare(&v1(&text), &v1(&text), exact).agrees());
        }
    }
}
