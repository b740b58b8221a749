//! In what pieces, and how fast, bytes go to a registry and come from it.

use crate::store::StoreOptions;

/// Smaller chunks cost more in requests than they are worth, in bytes.
const SMALLEST_CHUNK: u64 = 64 << 10;

/// Pieces and pace.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct PaceArgs {
    /// Send blobs in chunks of this size, as far as the registry takes chunks: for a proxy that bounds a request's body, or a bad line
    /// [default: whole blobs, chunks where a registry wants them]
    #[arg(long, value_name = "SIZE", value_parser = chunk)]
    chunk_size: Option<u64>,
    /// Send and receive at most so many bytes a second, all connections together: 500K, 50M
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    limit_rate: Option<u64>,
}

impl PaceArgs {
    pub(super) fn apply(self, options: StoreOptions) -> StoreOptions {
        StoreOptions { chunk_size: self.chunk_size, limit_rate: self.limit_rate, ..options }
    }
}

fn chunk(text: &str) -> Result<u64, String> {
    Some(size(text)?).filter(|size| *size >= SMALLEST_CHUNK).ok_or_else(|| "expected at least 64K".to_owned())
}

fn rate(text: &str) -> Result<u64, String> {
    Some(size(text)?).filter(|rate| *rate >= 1 << 10).ok_or_else(|| "expected at least 1K".to_owned())
}

/// `1000`, `500K`, `64M`, `2G`, in steps of 1024 as curl and dd have them.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => Some(0),
        "K" | "KIB" => Some(10),
        "M" | "MIB" => Some(20),
        "G" | "GIB" => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    size.ok_or_else(|| "expected a size such as 500K, 64M or 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        for (text, bytes) in [("65536", 65_536), ("64K", 65_536), ("64k", 65_536), ("50M", 50 << 20), ("1GiB", 1 << 30), ("2g", 2 << 30)] {
            assert_eq!((size(text), chunk(text), rate(text)), (Ok(bytes), Ok(bytes), Ok(bytes)), "{text}");
        }
        for text in ["", "M", "-1M", "+1M", "1.5M", "1T", "1MB", "50M/s", " 1M", "99999999999G", "1é", "0x10"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(chunk("63K").is_err() && chunk("0").is_err() && rate("1023").is_err() && rate("1K").is_ok());
    }
}
