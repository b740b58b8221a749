//! Progress of hashing and sending: a bar per blob on a terminal, a line per finished blob in a log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units;
use crate::image::Event;
use crate::image::watch::Listener;

/// From this size on a blob is worth a line of its own in a log, in bytes.
const WORTH_A_LINE: u64 = 32 << 20;
/// Redraws per second.
const RATE: u8 = 10;

/// The bars of one transfer.
pub(super) struct Bars {
    terminal: Option<MultiProgress>,
    stderr: Term,
    blobs: Vec<(String, u64)>,
    hashing: Option<ProgressBar>,
    sending: HashMap<usize, ProgressBar>,
}

impl Bars {
    pub(super) fn listener(stderr: &Term) -> Listener {
        let live = stderr.is_term() && std::env::var_os("CI").is_none() && std::env::var_os("NO_PROGRESS").is_none();
        let terminal = live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::term(stderr.clone(), RATE)));
        let bars = Self { terminal, stderr: stderr.clone(), blobs: Vec::new(), hashing: None, sending: HashMap::new() };
        let bars = Mutex::new(bars);
        Arc::new(move |event| bars.lock().unwrap_or_else(PoisonError::into_inner).hear(event))
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Begun { hash, blobs } => {
                self.blobs = blobs;
                self.hashing = (hash > 0).then(|| self.bar("hashing", hash)).flatten();
            }
            Event::Hashed { bytes } => self.hashed(bytes),
            Event::Present { .. } => {}
            Event::Sending { blob } => self.begin(blob),
            Event::Sent { blob, bytes } => {
                if let Some(bar) = self.sending.get(&blob) {
                    bar.inc(bytes);
                }
            }
            Event::Stored { blob } => self.end(blob),
        }
    }

    fn hashed(&mut self, bytes: u64) {
        let Some(bar) = &self.hashing else { return };
        bar.inc(bytes);
        if bar.position() >= bar.length().unwrap_or(0) {
            bar.finish_and_clear();
        }
    }

    fn begin(&mut self, blob: usize) {
        if let Some(bar) = self.sending.get(&blob) {
            bar.reset();
            return;
        }
        let Some((name, size)) = self.blobs.get(blob).cloned() else { return };
        if let Some(bar) = self.bar(&name, size) {
            self.sending.insert(blob, bar);
        }
    }

    fn end(&mut self, blob: usize) {
        if let Some(bar) = self.sending.remove(&blob) {
            bar.finish_and_clear();
            return;
        }
        let Some((name, size)) = self.blobs.get(blob) else { return };
        if self.terminal.is_none() && *size >= WORTH_A_LINE {
            let _ = self.stderr.write_line(&format!("  stored {name} ({})", units::bytes(*size)));
        }
    }

    fn bar(&self, name: &str, size: u64) -> Option<ProgressBar> {
        let style = ProgressStyle::with_template(
            "  {msg:30!} {bar:24.cyan/dim} {binary_bytes:>10} of {binary_total_bytes:<10} {binary_bytes_per_sec:>12} {eta:>4}",
        );
        let bar = ProgressBar::new(size).with_style(style.ok()?.progress_chars("━━─")).with_message(name.to_owned());
        Some(self.terminal.as_ref()?.add(bar))
    }
}
