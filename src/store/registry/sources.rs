//! The places that an image is read from: its mirrors, and its own repository behind them.
//!
//! The first one that has a manifest of the image is asked first from then on; one that fails is asked no more. What a place does not have, the
//! next one may.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client::Client;
use crate::exit_code;
use crate::store::StoreError;

/// At least one place, the image's own last.
pub(super) struct Sources {
    places: Vec<Arc<Client>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which place has the image.
    chosen: Option<usize>,
    failed: Vec<usize>,
}

impl Sources {
    pub(super) fn new(mirrors: Vec<Arc<Client>>, own: Arc<Client>) -> Self {
        Self { places: mirrors.into_iter().chain([own]).collect(), state: Mutex::default() }
    }

    /// In the order in which they are asked.
    pub(super) fn in_order(&self) -> Vec<Arc<Client>> {
        self.order().into_iter().map(|place| self.places[place].clone()).collect()
    }

    /// Asks the places for something of the image until one has it; that one is asked first from then on.
    pub(super) fn find<T>(&self, look: impl Fn(&Client) -> Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
        let (mut trouble, mut missing) = (None, false);
        for place in self.order() {
            match look(&self.places[place]) {
                Ok(Some(found)) => {
                    self.choose(place);
                    return Ok(Some(found));
                }
                Ok(None) => missing = true,
                Err(error) => {
                    self.give_up(place, &error);
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) if missing && self.state().chosen.is_some() => {
                tracing::warn!(%error, "one place does not have it, and another cannot be asked");
                Ok(None)
            }
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    fn order(&self) -> Vec<usize> {
        let state = self.state();
        let mut order: Vec<usize> = (0..self.places.len()).filter(|place| !state.failed.contains(place)).collect();
        order.sort_by_key(|place| Some(*place) != state.chosen);
        if order.is_empty() { (0..self.places.len()).collect() } else { order }
    }

    fn choose(&self, place: usize) {
        let mut state = self.state();
        if state.chosen.is_none() && self.places.len() > 1 {
            tracing::debug!("the image is read from {}", self.places[place].name());
        }
        state.chosen.get_or_insert(place);
    }

    fn give_up(&self, place: usize, error: &StoreError) {
        if self.places.len() == 1 {
            return;
        }
        let name = self.places[place].name();
        if error.exit_code() == exit_code::REFUSED {
            tracing::warn!(%error, "{name} gives other bytes than were asked for, and is asked no more");
        } else {
            tracing::debug!(%error, "{name} is asked no more");
        }
        self.state().failed.push(place);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
