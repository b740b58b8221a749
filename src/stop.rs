//! What is taken back when somebody wants the process to end (SIGINT, SIGTERM).
//!
//! Work that leaves something behind says how it is undone: an upload session is given back, a draft removed. A signal's own thread does that,
//! for some seconds at most, and ends the process with 128 + the signal's number, as shells say it. Work that says nothing ends as by any
//! signal: at once.
//!
//! Meanwhile no thread may begin anything that others could see: [`hold`] keeps it. And making something and saying how it is undone is one
//! [`step`]: a signal between the two would leave what was made.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit_code;

/// How long all undoing may take. Kubernetes gives a pod half a minute; a person at a keyboard less.
const PATIENCE: Duration = Duration::from_secs(3);

static STANDING: Standing = Standing::new();
static TOLD: AtomicBool = AtomicBool::new(false);
/// Read while a step is taken, written once for all when the process is to end.
static STEPS: RwLock<()> = RwLock::new(());

thread_local! {
    static UNDOES: Cell<bool> = const { Cell::new(false) };
}

type Deed = Box<dyn FnOnce() + Send>;

/// Listens to signals from now on, on a thread of its own.
///
/// # Errors
/// The system's, where it gives no thread or no signals.
pub fn listen() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("modelcar-stop".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // whoever asks twice does not want to wait
            if TOLD.swap(true, Ordering::SeqCst) {
                end(signal);
            }
            thread::spawn(move || {
                STANDING.undo_all(&STEPS, PATIENCE);
                end(signal);
            });
        }
    })?;
    Ok(())
}

fn end(signal: i32) {
    std::process::exit(i32::from(u8::try_from(signal).map_or(exit_code::FAILED, exit_code::of_signal)));
}

/// Says how something is undone, until what it returns is dropped.
#[must_use = "dropped at once, it undoes nothing"]
pub fn undo(how: impl FnOnce() + Send + 'static) -> Undo {
    Undo(STANDING.add(Box::new(how)))
}

/// Does not return once the process is to end, but to those who undo. For before anything that others could see.
pub fn hold() {
    while TOLD.load(Ordering::SeqCst) && !UNDOES.get() {
        thread::park();
    }
}

/// Takes a short step that a signal finds done or not begun, and that does not begin once the process is to end, but for those who undo.
/// One step takes no other.
pub fn step<T>(step: impl FnOnce() -> T) -> T {
    hold();
    let _going = (!UNDOES.get()).then(|| STEPS.read().unwrap_or_else(PoisonError::into_inner));
    step()
}

/// Something that is undone should the process have to end.
#[derive(Debug)]
pub struct Undo(u64);

impl Drop for Undo {
    fn drop(&mut self) {
        STANDING.lock().deeds.remove(&self.0);
    }
}

/// What stands to be undone.
struct Standing(Mutex<Deeds>);

struct Deeds {
    next: u64,
    deeds: BTreeMap<u64, Deed>,
}

impl Standing {
    const fn new() -> Self {
        Self(Mutex::new(Deeds { next: 0, deeds: BTreeMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Deeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, deed: Deed) -> u64 {
        let mut all = self.lock();
        let number = all.next;
        all.next += 1;
        all.deeds.insert(number, deed);
        number
    }

    /// Undoes everything side by side, once the last step is taken; what takes longer than `patience` is left.
    fn undo_all(&'static self, steps: &'static RwLock<()>, patience: Duration) {
        let (done, all_done) = channel::<()>();
        // A step on a file system that hangs must not keep the process.
        thread::spawn(move || {
            // never given back: no step is taken any more
            std::mem::forget(steps.write().unwrap_or_else(PoisonError::into_inner));
            let deeds = std::mem::take(&mut self.lock().deeds);
            for deed in deeds.into_values() {
                let done = done.clone();
                thread::spawn(move || {
                    UNDOES.set(true);
                    deed();
                    drop(done);
                });
            }
        });
        // an error is the end of the last one
        let _ = all_done.recv_timeout(patience);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn steps() -> &'static RwLock<()> {
        Box::leak(Box::new(RwLock::new(())))
    }

    #[test]
    fn what_stands_is_undone_once_and_by_threads_that_may_go_on() {
        static STANDING: Standing = Standing::new();
        let undone = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let undone = undone.clone();
            STANDING.add(Box::new(move || {
                assert!(UNDOES.get());
                undone.fetch_add(1, Ordering::SeqCst);
            }));
        }
        for _ in 0..2 {
            STANDING.undo_all(steps(), Duration::from_secs(20));
            assert_eq!(undone.load(Ordering::SeqCst), 3);
        }
    }

    #[test]
    fn what_never_ends_is_left() {
        static STANDING: Standing = Standing::new();
        STANDING.add(Box::new(|| thread::park_timeout(Duration::from_secs(3600))));
        STANDING.undo_all(steps(), Duration::from_millis(1));
    }

    #[test]
    fn what_a_step_makes_meanwhile_is_undone_and_no_step_follows() {
        static STANDING: Standing = Standing::new();
        let (steps, undone) = (steps(), Arc::new(AtomicUsize::new(0)));
        let going = steps.read().unwrap();
        let undoing = thread::spawn(move || STANDING.undo_all(steps, Duration::from_secs(20)));
        let counter = undone.clone();
        STANDING.add(Box::new(move || counter.store(1, Ordering::SeqCst)));
        drop(going);
        undoing.join().unwrap();
        assert_eq!(undone.load(Ordering::SeqCst), 1);
        assert!(steps.try_read().is_err());
    }

    #[test]
    fn what_is_done_is_not_undone() {
        let undone = Arc::new(AtomicUsize::new(0));
        let counter = undone.clone();
        drop(undo(move || drop(counter)));
        assert_eq!(Arc::strong_count(&undone), 1, "it is forgotten");
    }
}
