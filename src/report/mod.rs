//! What people and scripts read: progress, steps, tables, JSON and errors. Decides nothing.

pub mod check;
pub mod copy;
pub mod failure;
pub mod image;
pub mod lint;
mod progress;
mod table;
pub mod trust;
pub mod ui;
pub mod units;

pub use ui::{Ui, Volume, timed};
