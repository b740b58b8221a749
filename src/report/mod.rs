//! What people and scripts read: progress, steps, tables, JSON and errors. Decides nothing.

pub mod check;
pub mod copy;
pub mod difference;
pub mod doctor;
pub mod failure;
pub mod fetch;
pub mod image;
pub mod lint;
pub mod login;
pub mod metrics;
pub mod preflight;
mod progress;
pub mod register;
pub mod settings;
pub mod smoke;
pub mod status;
pub mod summary;
mod table;
pub mod tekton;
pub mod trust;
pub mod ui;
pub mod units;

pub use ui::{Ui, Volume, timed};
