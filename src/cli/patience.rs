//! How patient a command is with a registry.

use std::time::Duration;

use crate::store::StoreOptions;

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How often, how soon and how long a registry is tried.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct PatienceArgs {
    /// How often a request that failed is sent again [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    retry_times: Option<u32>,
    /// The longest pause before the first of these; it doubles from there. A registry that names a pause is obeyed [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    retry_delay: Option<Duration>,
    /// Give a connection up on which nothing moves for so long [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = positive_time)]
    idle_timeout: Option<Duration>,
}

impl PatienceArgs {
    pub(super) fn apply(self, options: StoreOptions) -> StoreOptions {
        StoreOptions { retries: self.retry_times, retry_delay: self.retry_delay, idle_timeout: self.idle_timeout, ..options }
    }
}

/// `500ms`, `90s`, `10m`, `1h`; `0s` is a time, too.
fn time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let is_number = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let read = |(unit, size): &(&str, u64)| text.strip_suffix(unit).filter(is_number)?.parse::<u64>().ok()?.checked_mul(*size);
    let time = units.iter().find_map(read).map(Duration::from_millis);
    time.filter(|time| *time <= LONGEST).ok_or_else(|| "expected a time such as 500ms, 90s or 10m, at most a day".to_owned())
}

fn positive_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err("expected more than no time at all".to_owned()) } else { Ok(time) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        for (text, milliseconds) in [("500ms", 500), ("90s", 90_000), ("10m", 600_000), ("24h", 86_400_000), ("0s", 0)] {
            assert_eq!(time(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "10", "s", "ms", "-1s", "+1s", "1.5s", "25h", "99999999999999999999s", "9999999999999999h", "1 s", "1é"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(positive_time("0s").is_err() && positive_time("1ms").is_ok());
    }
}
