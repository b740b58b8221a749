//! How Tekton counts results, and which are left out where there is no room for all. Pure.
//!
//! The termination message is a JSON list with an entry for each result (`pkg/termination` and `pkg/result` of tektoncd/pipeline), and
//! each step writes all results of its task that are there when it ends. Go's JSON escapes more than it has to: `<`, `>`, `&`.

use super::{TektonResult, Weight};

/// What one container may say, in bytes.
pub const BUDGET: usize = 4096;
/// What Tekton itself says in the same message: when the step began, why it ended, its exit code; with room for more of the kind.
const OWN: usize = 256;

/// The values to write, and what had to be left out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// Every result with its value; of one that is left out, with the value that stands for nothing.
    pub values: Vec<(&'static TektonResult, String)>,
    /// The names of those left out.
    pub left_out: Vec<&'static str>,
    /// How many bytes the message has, Tekton's own included.
    pub bytes: usize,
}

impl Fitted {
    /// Whether Tekton will take them; it will not where vital results alone are too long.
    pub fn fits(&self) -> bool {
        self.bytes <= BUDGET
    }
}

/// How many bytes of the message a result takes.
pub fn entry_bytes(name: &str, value: &str) -> usize {
    // {"key":"…","value":"…","type":1},
    r#"{"key":"","value":"","type":1},"#.len() + escaped(name) + escaped(value)
}

/// The length of a string in Go's JSON, without its quotes.
fn escaped(text: &str) -> usize {
    let of = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        character if (character as u32) < 0x20 => 6,
        character => character.len_utf8(),
    };
    text.chars().map(of).sum()
}

/// Leaves out what there is no room for beside the results that are there, which take so many bytes: the lightest first, and of equal
/// weight the longest.
pub fn fit(values: Vec<(&'static TektonResult, String)>, there: usize) -> Fitted {
    let (mut values, mut left_out) = (values, Vec::new());
    let size = |values: &[(&'static TektonResult, String)]| {
        OWN + there + values.iter().map(|(result, value)| entry_bytes(result.name, value)).sum::<usize>()
    };
    while size(&values) > BUDGET {
        let is_spare =
            |(result, value): &&mut (&TektonResult, String)| result.weight != Weight::Vital && value.len() > result.kind.nothing().len();
        let next = values.iter_mut().filter(is_spare).min_by_key(|(result, value)| (result.weight, std::cmp::Reverse(value.len())));
        let Some((result, value)) = next else { break };
        result.kind.nothing().clone_into(value);
        left_out.push(result.name);
    }
    Fitted { bytes: size(&values), values, left_out }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn left_out(values: &[(&'static TektonResult, usize)], there: usize) -> (Vec<&'static str>, bool) {
        let values = values.iter().map(|(result, length)| (*result, "x".repeat(*length))).collect();
        let fitted = fit(values, there);
        (fitted.left_out.clone(), fitted.fits())
    }

    /// What Go's encoding/json makes of the same text.
    #[test]
    fn text_is_as_long_as_go_writes_it() {
        for (text, length) in [("", 0), ("ab", 2), ("a\"b\\", 6), ("<&>", 18), ("é🚗", 6), ("\u{1}\n", 8), ("\u{2028}", 6), ("\u{7f}", 1)]
        {
            assert_eq!(escaped(text), length, "{text:?}");
        }
        assert_eq!(entry_bytes("COMMIT", "abc"), r#"{"key":"COMMIT","value":"abc","type":1},"#.len());
    }

    #[test]
    fn the_lightest_and_of_equal_weight_the_longest_goes_first() {
        let all = [(IMAGE_REF, 100), (IMAGES, 2000), (BASE_IMAGE_REF, 1500), (SITES, 500), (SOURCE_URI, 300)];
        for (there, expected, fits) in [
            (0, &["SITES", "IMAGES"][..], true),
            (2500, &["SITES", "IMAGES", "BASE_IMAGE_REF"], true),
            (3400, &["SITES", "IMAGES", "BASE_IMAGE_REF", "SOURCE_URI"], true),
            (4000, &["SITES", "IMAGES", "BASE_IMAGE_REF", "SOURCE_URI"], false),
        ] {
            assert_eq!(left_out(&all, there), (expected.to_vec(), fits), "{there}");
        }
        assert_eq!(left_out(&[(IMAGE_REF, 300), (IMAGES, 900)], 0), (vec![], true));
    }

    #[test]
    fn nothing_more_is_left_out_than_has_to_be_down_to_the_byte() {
        let room = BUDGET - OWN - entry_bytes("IMAGES", "");
        assert_eq!(left_out(&[(IMAGES, room)], 0), (vec![], true));
        assert_eq!(left_out(&[(IMAGES, room + 1)], 0), (vec!["IMAGES"], true));
    }

    #[test]
    fn an_object_that_is_left_out_stays_an_object() {
        let long = artifact(&"x".repeat(5000), "sha256:ab");
        let fitted = fit(vec![(MODEL_ARTIFACT_INPUTS, long)], 0);
        assert_eq!(fitted.values, [(MODEL_ARTIFACT_INPUTS, Kind::Artifact.nothing().to_owned())]);
        assert_eq!(fitted.left_out, ["MODEL_ARTIFACT_INPUTS"]);
    }

    #[test]
    fn vital_results_are_kept_though_tekton_will_not_take_them() {
        assert_eq!(left_out(&[(IMAGE_URL, 5000)], 0), (vec![], false));
    }
}
