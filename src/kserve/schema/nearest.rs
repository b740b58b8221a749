//! The known name that a wrong one was probably meant to be.

/// The longest name that is compared, in characters.
const MAX_NAME: usize = 64;

/// The nearest of the known names, where one is near enough to be meant: another case, or about one slip in three letters.
pub(super) fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if wrong.chars().count() > MAX_NAME {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let near = known.map(|name| (distance(&wrong, &name.to_lowercase()), name)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, name)| *distance <= (name.len() / 3).max(1)).map(|(_, name)| name)
}

/// How many letters to add, drop or change: Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.iter().enumerate() {
            let change = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_away() {
        let known = ["storageUri", "storageUris", "storage", "runtime", "env"];
        for (wrong, meant) in [
            ("storageURI", Some("storageUri")),
            ("storage_uri", Some("storageUri")),
            ("storageUrl", Some("storageUri")),
            ("runtimes", Some("runtime")),
            ("envs", Some("env")),
            ("replicas", None),
            ("x", None),
            (&"storageUri".repeat(10), None),
        ] {
            assert_eq!(nearest(wrong, known.into_iter()), meant, "{wrong}");
        }
    }

    #[test]
    fn counts_letters() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ä", "a", 1)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
