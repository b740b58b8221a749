//! Kubernetes' quantities and Go's durations.

use std::time::Duration;

use super::{Refused, refuse};

/// `64Mi`, `1G`, `4096` in bytes.
pub(crate) fn bytes(quantity: &str) -> Result<u64, Refused> {
    let digits = quantity.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match &quantity[digits.len()..] {
        "" => 1,
        "k" => 1000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => refuse!("{quantity:?} is no quantity of bytes"),
    };
    let whole = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    whole.ok_or_else(|| Refused(format!("{quantity:?} is no quantity of bytes")))
}

/// `1h30m`, `90s`, `1m0s`, `100ms`: Go's `ParseDuration`.
pub(crate) fn duration(text: &str) -> Result<Duration, Refused> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let end = rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |more| digits + more);
        let milliseconds = match &rest[digits..end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => refuse!("{text:?} is no duration"),
        };
        let number: u64 = rest[..digits].parse().map_err(|_| Refused(format!("{text:?} is no duration")))?;
        total += Duration::from_millis(number * milliseconds);
        rest = &rest[end..];
    }
    Ok(total)
}

mod tests {
    use super::{bytes, duration};

    #[test]
    fn quantities_and_durations_are_read_and_others_refused() {
        let sizes = [("64Mi", 64 << 20), ("1G", 1_000_000_000), ("2Gi", 2 << 30), ("4096", 4096)];
        assert!(sizes.iter().all(|(text, size)| bytes(text).unwrap() == *size));
        let times = [("1h30m", 5_400_000), ("90s", 90_000), ("1m0s", 60_000), ("250ms", 250)];
        assert!(times.iter().all(|(text, time)| duration(text).unwrap().as_millis() == *time));
        assert!(["$(params.X)", "64MB", "Mi", ""].iter().all(|text| bytes(text).is_err()));
        assert!(["60", "s", "1d", "-1s", "$(params.X)"].iter().all(|text| duration(text).is_err()));
    }
}
