//! Ages as people write them: `30d`, `12h`.

/// An age in seconds: a number and `s`, `m`, `h`, `d` or `w`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number and s, m, h, d or w, such as 30d or 12h".to_owned();
    let (at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let number = &text[..at];
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    // More digits would be the name of a commit.
    if number.is_empty() || number.len() > 5 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    number.parse::<u64>().map(|number| number * unit).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn reads_what_people_write_and_leaves_commits_alone() {
        assert_eq!(["30d", "12h", "5m", "9s", "2w"].map(|text| seconds(text).unwrap()), [2_592_000, 43_200, 300, 9, 1_209_600]);
        for text in ["", "d", "30", "3 d", "-3d", "1234567d", "30é", "main", "1.5h"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
