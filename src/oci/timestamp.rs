//! Moments. That of a build is never "now" but `SOURCE_DATE_EPOCH`, or 1970.

use std::fmt;

/// A moment in whole seconds since 1970, written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment that RFC 3339 can write: the end of the year 9999.
    const MAX: u64 = 253_402_300_799;

    /// A moment from seconds since 1970; what lies behind the year 9999 is cut to its end.
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.min(Self::MAX))
    }

    /// Reads RFC 3339: `2026-11-23T14:15:34Z`, with a fraction, which is cut off, or an offset. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't'])?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let (clock, zone) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
        let clock = match clock.split_once('.') {
            Some((clock, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) => clock,
            Some(_) => return None,
            None => clock,
        };
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let days = days_from_civil(year, month, day)?;
        // a leap second is the last one of its minute
        let fits = hour < 24 && minute < 60 && second <= 60;
        let local = fits.then(|| days * 86_400 + hour * 3600 + minute * 60 + second.min(59))?;
        let seconds = local.checked_add_signed(-offset(zone)?)?;
        (seconds <= Self::MAX).then_some(Self(seconds))
    }

    /// This moment, by the machine's clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::from_seconds(since.map_or(0, |since| since.as_secs()))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / 86_400);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The date of a day counted from 1970-01-01: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Three numbers of so many digits.
fn numbers(text: &str, between: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between).zip(widths).map(|(part, width)| {
        let plain = part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
        if plain { part.parse().ok() } else { None }
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    (text.len() == widths.iter().sum::<usize>() + 2).then_some(numbers)
}

/// Seconds east of Greenwich: `Z`, `+02:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number =
        |text: &str| if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<i64>().ok() } else { None };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The day counted from 1970-01-01; none for a date that the calendar has not, or an earlier one.
/// <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_rfc_3339() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(Timestamp::from_seconds(seconds).to_string(), text);
        }
    }

    #[test]
    fn reads_what_others_write() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2000-02-29t00:00:00.123456789z", 951_782_400),
            ("2000-02-29T02:00:00+02:00", 951_782_400),
            ("2000-02-28T18:30:00-05:30", 951_782_400),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ];
        for (text, seconds) in table {
            assert_eq!(Timestamp::parse(text).map(Timestamp::seconds), Some(seconds), "{text}");
        }
        for day in 0..4_000 {
            let moment = Timestamp::from_seconds(day * 86_400 * 700 + day);
            assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        }
        let wrong = "|T|2000-02-30T00:00:00Z|2000-13-01T00:00:00Z|2000-02-29T24:00:00Z|2000-02-29T00:00:00|2000-02-29 00:00:00Z\
            |2000-02-29T00:00:00.Z|2000-2-29T00:00:00Z|1969-12-31T23:59:59Z|1970-01-01T00:00:00+01:00|9999-12-31T23:59:59-01:00\
            |2000-02-29T00:00:00+1:00|2000-02-29T00:00:00+é0:00|2000-02-29T00:00:00Zz|+200-02-29T00:00:00Z|2000-02-29T00:00:61Z";
        for text in wrong.split('|') {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
