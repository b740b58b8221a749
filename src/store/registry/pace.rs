//! Not faster than the user wants (`--limit-rate`): one bucket of tokens for all connections of a store, up and down.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle time is no credit for more than this.
const BURST: Duration = Duration::from_millis(100);
/// Pieces of the time that one read may take from the others.
const STEPS_A_SECOND: u64 = 8;
/// Smaller steps than this cost more than they smooth, in bytes.
const SMALLEST_STEP: u64 = 4 << 10;

/// How fast bytes may pass.
#[derive(Clone, Default)]
pub(super) struct Pace(Option<Arc<Limit>>);

struct Limit {
    bucket: Mutex<Bucket>,
    begun: Instant,
}

impl Pace {
    /// At most so many bytes a second; as fast as they come where nobody says.
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self(rate.map(|rate| Arc::new(Limit { bucket: Mutex::new(Bucket::new(rate)), begun: Instant::now() })))
    }

    /// Waits until so many bytes may pass.
    pub(super) fn pass(&self, bytes: usize) {
        let Some(limit) = &self.0 else { return };
        let wait = limit.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(bytes as u64, limit.begun.elapsed());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    /// How much to read at once, at most `most` bytes: on a slow line many small pieces, lest it looks stalled.
    pub(super) fn step(&self, most: usize) -> usize {
        let Some(limit) = &self.0 else { return most };
        let rate = limit.bucket.lock().unwrap_or_else(PoisonError::into_inner).rate;
        usize::try_from((rate / STEPS_A_SECOND).max(SMALLEST_STEP)).unwrap_or(most).min(most)
    }
}

/// When the next byte may pass. Pure.
struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// All bytes so far have passed at this time, had they kept to the rate.
    even: Duration,
}

impl Bucket {
    fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), even: Duration::ZERO }
    }

    /// Lets bytes pass at `now`, after the wait that is returned.
    fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let cost = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        self.even = self.even.max(now.saturating_sub(BURST)).saturating_add(cost);
        self.even.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Many takers, each of whom waits as told: the clock is theirs.
    fn time_of(rate: u64, pieces: &[u64]) -> Duration {
        let (mut bucket, mut now) = (Bucket::new(rate), Duration::ZERO);
        for piece in pieces {
            now += bucket.take(*piece, now);
        }
        now
    }

    #[test]
    fn bytes_pass_at_the_rate_whatever_their_pieces() {
        for (rate, pieces, time) in [
            (1000, vec![1000; 10], MS(10_000)),
            (1000, vec![1; 10_000], MS(10_000)),
            (1000, vec![5000, 1, 4999], MS(10_000)),
            (50 << 20, vec![256 << 10; 400], MS(2000)),
        ] {
            assert_eq!(time_of(rate, &pieces), time, "{rate}");
        }
    }

    #[test]
    fn several_that_take_at_once_share_the_rate() {
        let mut bucket = Bucket::new(1000);
        let waits: Vec<Duration> = (0..4).map(|_| bucket.take(500, Duration::ZERO)).collect();
        assert_eq!(waits, [MS(500), MS(1000), MS(1500), MS(2000)]);
    }

    #[test]
    fn an_idle_hour_is_no_licence() {
        let mut bucket = Bucket::new(1000);
        let hour = Duration::from_secs(3600);
        assert_eq!(bucket.take(100, hour), Duration::ZERO, "a tenth of a second's worth");
        assert_eq!(bucket.take(1000, hour), MS(1000));
    }

    #[test]
    fn absurd_numbers_are_no_overflow() {
        assert_eq!(Bucket::new(0).take(u64::MAX, Duration::ZERO), Duration::from_nanos(u64::MAX));
        let mut bucket = Bucket::new(u64::MAX);
        assert!(bucket.take(u64::MAX, Duration::MAX) <= Duration::from_secs(1));
        bucket.take(u64::MAX, Duration::ZERO);
    }

    #[test]
    fn a_slow_line_moves_in_small_pieces() {
        for (rate, step) in [(None, 256 << 10), (Some(1000), 4096), (Some(1 << 20), 128 << 10), (Some(1 << 40), 256 << 10)] {
            assert_eq!(Pace::new(rate).step(256 << 10), step, "{rate:?}");
        }
    }
}
