//! Work that waits for a thread, the biggest first: what takes longest must not begin last.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work that several threads bring and several take.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// With the size of each in bytes, in the order in which it came.
    waiting: Vec<(u64, T)>,
    /// How many still may bring more.
    sources: usize,
}

/// The right to bring work. Takers wait as long as one is held.
pub(super) struct Source<'a, T>(&'a Queue<T>);

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: Vec::new(), sources: 0 }), changed: Condvar::new() }
    }

    pub(super) fn source(&self) -> Source<'_, T> {
        self.state().sources += 1;
        Source(self)
    }

    /// The biggest work that waits, the first of those that are as big; waits for more to come, and gives `None` once none will.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(work) = state.biggest() {
                return Some(work);
            }
            if state.sources == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn biggest(&mut self) -> Option<T> {
        let (place, _) = self.waiting.iter().enumerate().rev().max_by_key(|(_, (size, _))| *size)?;
        Some(self.waiting.remove(place).1)
    }
}

impl<T> Source<'_, T> {
    /// Brings work of `size` bytes.
    pub(super) fn put(&self, size: u64, work: T) {
        self.0.state().waiting.push((size, work));
        self.0.changed.notify_one();
    }
}

impl<T> Drop for Source<'_, T> {
    fn drop(&mut self) {
        self.0.state().sources -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_biggest_goes_first_and_equals_in_their_order() {
        let queue = Queue::new();
        let source = queue.source();
        for (size, name) in [(1, "small"), (9, "big"), (5, "first"), (5, "second")] {
            source.put(size, name);
        }
        drop(source);
        let taken: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken, ["big", "first", "second", "small"]);
    }

    #[test]
    fn takers_wait_for_those_who_still_bring() {
        let queue = Queue::new();
        let (one, other) = (queue.source(), queue.source());
        std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| std::iter::from_fn(|| queue.take()).count())).collect();
            one.put(1, ());
            drop(one);
            (0..9).for_each(|_| other.put(1, ()));
            drop(other);
            assert_eq!(takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>(), 10);
        });
    }
}
