//! Counts bytes, and stops all of them at one.

use std::sync::Mutex;

type Call = Box<dyn FnOnce() + Send>;

/// Bytes that went one way over every connection.
#[derive(Default)]
pub struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    passed: u64,
    trap: Option<(u64, Call)>,
}

impl Gate {
    /// Bytes so far.
    pub fn passed(&self) -> u64 {
        self.0.lock().unwrap().passed
    }

    /// Calls a function once, after this many bytes and before the next one; nothing passes meanwhile.
    pub fn at(&self, byte: u64, call: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().trap = Some((byte, Box::new(call)));
    }

    /// How many of `wanted` bytes may pass now; at least one of them.
    pub(super) fn pass(&self, wanted: usize) -> usize {
        let mut state = self.0.lock().unwrap();
        let passed = state.passed;
        if let Some((_, call)) = state.trap.take_if(|(at, _)| *at <= passed) {
            call();
        }
        let left = state.trap.as_ref().map_or(u64::MAX, |(at, _)| at - state.passed);
        let allowed = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        state.passed += allowed as u64;
        allowed
    }
}
