//! The memo: values that a pickle numbers to use them again.
//!
//! `PUT` names its number, `MEMOIZE` takes the count of entries. Scanners that followed only one of the two were led astray
//! (<https://github.com/mmaitre314/picklescan/issues/14>).

use super::error::Defect;
use super::values::Value;

/// Entries that are kept; later ones exist, but nothing is known about them.
const MAX_ENTRIES: usize = 512 << 10;

/// The memo of one pickle.
#[derive(Debug, Default)]
pub(super) struct Memo {
    entries: Vec<Option<Value>>,
    /// How many numbers are taken.
    count: u64,
    /// A number beyond [`MAX_ENTRIES`] was taken, perhaps more than once: the count is not certain.
    is_beyond: bool,
}

impl Memo {
    /// Takes a number for a value.
    pub(super) fn put(&mut self, index: u64, value: Value) {
        let Some(place) = usize::try_from(index).ok().filter(|place| *place < MAX_ENTRIES) else {
            self.is_beyond = true;
            return;
        };
        if self.entries.len() <= place {
            self.entries.resize(place + 1, None);
        }
        if self.entries[place].replace(value).is_none() {
            self.count += 1;
        }
    }

    /// Takes the next number for a value.
    pub(super) fn memoize(&mut self, value: Value) -> Result<(), Defect> {
        let index = self.count;
        if index < MAX_ENTRIES as u64 {
            // After a number beyond what is kept, the next one cannot be told.
            let is_certain = !self.is_beyond;
            is_certain.then(|| self.put(index, value)).ok_or(Defect::MemoCount)
        } else {
            self.is_beyond = true;
            self.count += 1;
            Ok(())
        }
    }

    /// The value of a number.
    pub(super) fn get(&self, index: u64) -> Result<Value, Defect> {
        let kept = usize::try_from(index).ok().and_then(|place| self.entries.get(place).copied().flatten());
        match kept {
            Some(value) => Ok(value),
            None if self.is_beyond && index >= MAX_ENTRIES as u64 => Ok(Value::Opaque),
            None => Err(Defect::Memo { index }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_and_memoize_share_their_numbers() {
        let mut memo = Memo::default();
        memo.put(1, Value::Int(1));
        memo.memoize(Value::Int(2)).unwrap();
        assert_eq!(memo.get(1).unwrap(), Value::Int(2));
        memo.put(7, Value::Int(7));
        memo.put(7, Value::Int(8));
        memo.memoize(Value::Int(3)).unwrap();
        assert_eq!(memo.get(2).unwrap(), Value::Int(3));
        assert!(matches!(memo.get(3), Err(Defect::Memo { index: 3 })));
    }

    #[test]
    fn numbers_beyond_what_is_kept_are_opaque() {
        let mut memo = Memo::default();
        assert!(memo.get(u64::MAX).is_err());
        memo.put(u64::MAX, Value::Int(1));
        assert_eq!(memo.get(u64::MAX).unwrap(), Value::Opaque);
        assert!(matches!(memo.memoize(Value::Int(2)), Err(Defect::MemoCount)));
    }

    #[test]
    fn a_very_large_honest_memo_is_followed() {
        let mut memo = Memo::default();
        for _ in 0..MAX_ENTRIES + 10 {
            memo.memoize(Value::None).unwrap();
        }
        assert_eq!(memo.get(MAX_ENTRIES as u64 + 5).unwrap(), Value::Opaque);
        assert_eq!(memo.get(MAX_ENTRIES as u64 - 1).unwrap(), Value::None);
    }
}
