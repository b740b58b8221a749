//! What a model answered, and how far that is from what was expected.

use super::table::{self, columns};
use crate::oci::printable;
use crate::rollout::smoke::{CaseReport, Comparison, Verdict};

/// The longest cell, in characters; what stands there may come from a model server.
const MAX_TEXT: usize = 300;

/// A table of requests.
pub fn table(cases: &[CaseReport]) -> String {
    let mut table = columns(["REQUEST", "RESULT", "MAX DIFFERENCE", "WHERE"]);
    for case in cases {
        let (result, difference, place) = row(&case.verdict);
        table.add_row([&case.request, &result, &difference, &place].map(|cell| printable(cell, MAX_TEXT)));
    }
    table::text(&table)
}

fn row(verdict: &Verdict) -> (String, String, String) {
    let none = || "-".to_owned();
    match verdict {
        Verdict::WellFormed { values } => (format!("answers with {}", counted(*values as u64)), none(), none()),
        Verdict::Refused { reason } => (format!("refused with {reason}"), none(), none()),
        Verdict::Malformed { reason } => (format!("no answer of its protocol: {reason}"), none(), none()),
        Verdict::Compared(comparison) => {
            let result = if comparison.agrees() {
                format!("agrees in {}", counted(comparison.compared))
            } else {
                format!("differs in {}", counted(comparison.wrong))
            };
            let largest = comparison.largest.as_ref();
            (result, largest.map_or_else(none, |one| difference(one.value)), largest.map_or_else(none, |one| one.at.clone()))
        }
    }
}

/// What is wrong, line by line.
pub fn wrong(comparison: &Comparison) -> Vec<String> {
    let more = comparison.wrong - comparison.examples.len() as u64;
    let examples = comparison.examples.iter().map(|example| printable(example, MAX_TEXT));
    examples.chain((more > 0).then(|| format!("and {more} more"))).collect()
}

/// The largest difference of all requests, as text; 0 where no two floating-point numbers were compared.
pub fn largest(cases: &[CaseReport]) -> String {
    let of = |case: &CaseReport| match &case.verdict {
        Verdict::Compared(comparison) => comparison.largest.as_ref().map(|largest| largest.value),
        _ => None,
    };
    difference(cases.iter().filter_map(of).fold(0.0, f64::max))
}

/// A difference that is not negative, in four digits: `1.192e-7`, `0.25`, `infinite`.
fn difference(value: f64) -> String {
    match value {
        value if value.is_infinite() => "infinite".to_owned(),
        value if value != 0.0 && !(1e-3..1e6).contains(&value) => format!("{value:.3e}"),
        value => rounded(value).to_string(),
    }
}

/// To four digits: 0.1 rather than 0.09999999999999998.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn counted(number: u64) -> String {
    if number == 1 { "1 value".to_owned() } else { format!("{number} values") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::smoke::{Answer, Tolerance, compare};

    fn case(got: &str, expected: &str) -> CaseReport {
        let answer = |numbers: &str| {
            let body = format!("{{\"predictions\": [{numbers}]}}");
            Answer::parse(crate::kserve::Protocol::V1, body.as_bytes()).unwrap()
        };
        let comparison = compare(&answer(got), &answer(expected), Tolerance { absolute: 0.1, relative: 0.0 });
        CaseReport { request: "r.json".to_owned(), verdict: Verdict::Compared(comparison), answer: Vec::new() }
    }

    #[test]
    fn the_largest_difference_of_all_is_told() {
        assert_eq!(largest(&[]), "0");
        assert_eq!(largest(&[case("1.5", "1.25"), case("2.5", "2.0"), case("3.5", "3.5")]), "0.5");
        assert_eq!(largest(&[case("NaN", "1.5")]), "infinite");
        assert_eq!(largest(&[case("0.00000025", "0.0")]), "2.500e-7");
        assert_eq!(largest(&[case("0.3", "0.2")]), "0.1");
    }

    #[test]
    fn what_is_wrong_is_told_in_lines() {
        let case = case("1.5,2.5,3.5,4.5,5.5,6.5,7.5", "0.5,1.5,2.5,3.5,4.5,5.5,6.5");
        let Verdict::Compared(comparison) = &case.verdict else { panic!() };
        let lines = wrong(comparison);
        assert_eq!((lines[0].as_str(), lines[5].as_str()), ("predictions[0] is 1.5, expected 0.5", "and 2 more"));
        assert!(table(&[case]).contains("differs in 7 values"));
    }
}
