//! Ages: `90m`, `720h`, `30d`.

use std::fmt;
use std::str::FromStr;

/// How old something may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    seconds: u64,
}

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

impl MaxAge {
    /// In seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }
}

impl FromStr for MaxAge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = UNITS.iter().find_map(|(unit, seconds)| {
            let number = text.strip_suffix(*unit)?;
            let plain = !number.is_empty() && number.len() <= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u64>().ok().filter(|number| plain && *number > 0).map(|number| number * seconds)
        });
        let wrong = || format!("`{}` is no age: expected a number and s, m, h or d, such as 720h or 30d", text.escape_debug());
        parsed.map(|seconds| Self { seconds }).ok_or_else(wrong)
    }
}

impl fmt::Display for MaxAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.seconds))
    }
}

/// In the largest unit of which there are two or more.
pub(super) fn shown(seconds: u64) -> String {
    let (unit, size) = UNITS.iter().rev().find(|(_, size)| seconds >= 2 * size).unwrap_or(&UNITS[0]);
    format!("{}{unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_ages() {
        for (text, seconds, shown) in [("90s", 90, "90s"), ("90m", 5400, "90m"), ("720h", 2_592_000, "30d"), ("30d", 2_592_000, "30d")] {
            let age: MaxAge = text.parse().unwrap();
            assert_eq!((age.seconds(), age.to_string()), (seconds, shown.to_owned()));
        }
        for text in ["", "d", "30", "0d", "-1d", "+1d", "1 d", "1w", "1.5h", "1000000d", "30D", "1h30m"] {
            assert!(text.parse::<MaxAge>().is_err(), "{text}");
        }
    }
}
