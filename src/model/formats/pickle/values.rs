//! What lies on a pickle's stack, as far as anybody will ask: names, numbers, tuples, and what objects are made of.
//!
//! Everything is kept in a few arenas of bounded size. What does not fit is [`Value::Opaque`], and an import or an array that needs an
//! opaque value cannot be told, which is reported: nothing is ever guessed.

/// Texts up to this length are kept; no module has a longer name.
pub(super) const MAX_TEXT: usize = 256;
const MAX_TEXTS: usize = 4 << 20;
const MAX_ITEMS: usize = 256 << 10;
const MAX_NODES: usize = 64 << 10;
/// Items of one list or dict.
const MAX_KEPT: usize = 16;
/// Longer tuples are nothing that we look for.
const MAX_TUPLE: usize = 16;

/// The keys of objects' states that mean something to us.
const KEYS: [&str; 6] = ["shape", "dtype", "numpy_array_alignment_bytes", "_sklearn_version", "n_features_in_", "steps"];

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Where a collection starts.
    Mark,
    /// Something of no interest, or something that was not kept.
    Opaque,
    None,
    Bool(bool),
    Int(i64),
    Text {
        start: u32,
        length: u16,
    },
    /// A number in the list of imports.
    Import(u32),
    Tuple {
        start: u32,
        length: u16,
    },
    /// A number in the list of nodes.
    Node(u32),
}

/// What can change after it was made, or refers to others.
#[derive(Clone, Debug)]
pub(super) enum Node {
    List(Vec<Value>),
    Dict(Fields),
    /// What a call gave.
    Object {
        callable: Value,
        arguments: Value,
        state: State,
    },
    /// What the loader looks up by itself: a tensor's storage.
    Persistent(Value),
}

/// What was set on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unset,
    Set(Value),
    /// More than once: what counts depends on the class.
    Twice,
}

/// The entries of a dict whose keys are in [`KEYS`].
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    entries: Vec<(&'static str, Value)>,
    /// A key that cannot be told may be any of them.
    uncertain: bool,
}

impl Fields {
    /// The value of a key; `Err` where it cannot be told.
    pub(super) fn get(&self, key: &str) -> Result<Option<Value>, ()> {
        if self.uncertain {
            return Err(());
        }
        Ok(self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
    }

    fn set(&mut self, key: &'static str, value: Value) {
        self.entries.retain(|(name, _)| *name != key);
        self.entries.push((key, value));
    }
}

/// The arenas.
#[derive(Debug, Default)]
pub(super) struct Values {
    texts: Vec<u8>,
    items: Vec<Value>,
    nodes: Vec<Node>,
}

impl Values {
    /// Keeps a text.
    pub(super) fn text(&mut self, text: &[u8]) -> Value {
        let place = (u32::try_from(self.texts.len()), u16::try_from(text.len()));
        let fits = text.len() <= MAX_TEXT && self.texts.len() + text.len() <= MAX_TEXTS;
        match place {
            (Ok(start), Ok(length)) if fits && std::str::from_utf8(text).is_ok() => {
                self.texts.extend_from_slice(text);
                Value::Text { start, length }
            }
            _ => Value::Opaque,
        }
    }

    /// A text that was kept.
    pub(super) fn text_of(&self, value: Value) -> Option<&str> {
        let Value::Text { start, length } = value else { return None };
        let start = start as usize;
        std::str::from_utf8(self.texts.get(start..start + usize::from(length))?).ok()
    }

    /// Keeps a tuple.
    pub(super) fn tuple(&mut self, items: &[Value]) -> Value {
        let place = (u32::try_from(self.items.len()), u16::try_from(items.len()));
        match place {
            (Ok(start), Ok(length)) if items.len() <= MAX_TUPLE && self.items.len() + items.len() <= MAX_ITEMS => {
                self.items.extend_from_slice(items);
                Value::Tuple { start, length }
            }
            _ => Value::Opaque,
        }
    }

    /// The items of a tuple that was kept.
    pub(super) fn items_of(&self, value: Value) -> Option<&[Value]> {
        let Value::Tuple { start, length } = value else { return None };
        let start = start as usize;
        self.items.get(start..start + usize::from(length))
    }

    /// Keeps what can change.
    pub(super) fn node(&mut self, node: Node) -> Value {
        match u32::try_from(self.nodes.len()) {
            Ok(index) if self.nodes.len() < MAX_NODES => {
                self.nodes.push(node);
                Value::Node(index)
            }
            _ => Value::Opaque,
        }
    }

    /// What was kept.
    pub(super) fn node_of(&self, value: Value) -> Option<&Node> {
        let Value::Node(index) = value else { return None };
        self.nodes.get(index as usize)
    }

    fn node_mut(&mut self, value: Value) -> Option<&mut Node> {
        let Value::Node(index) = value else { return None };
        self.nodes.get_mut(index as usize)
    }

    /// Adds to a list, as far as it is kept.
    pub(super) fn append(&mut self, list: Value, items: &[Value]) {
        if let Some(Node::List(kept)) = self.node_mut(list) {
            let room = MAX_KEPT.saturating_sub(kept.len());
            kept.extend(items.iter().take(room));
        }
    }

    /// Sets entries of a dict: key, value, key, value.
    pub(super) fn set_entries(&mut self, dict: Value, entries: &[Value]) {
        for pair in entries.chunks_exact(2) {
            self.set_entry(dict, pair[0], pair[1]);
        }
    }

    fn set_entry(&mut self, dict: Value, key: Value, value: Value) {
        let name = self.text_of(key).and_then(|text| KEYS.into_iter().find(|known| *known == text));
        let is_told = !matches!(key, Value::Opaque | Value::Node(_));
        let Some(Node::Dict(fields)) = self.node_mut(dict) else { return };
        match name {
            Some(name) => fields.set(name, value),
            None => fields.uncertain |= !is_told,
        }
    }

    /// Sets an object's state.
    pub(super) fn set_state(&mut self, object: Value, value: Value) {
        // A dict is copied into the object: what is added to it later does not count.
        let value = match self.node_of(value) {
            Some(Node::Dict(fields)) => {
                let fields = fields.clone();
                self.node(Node::Dict(fields))
            }
            _ => value,
        };
        if let Some(Node::Object { state, .. }) = self.node_mut(object) {
            *state = if *state == State::Unset { State::Set(value) } else { State::Twice };
        }
    }

    /// The fields that were set on an object.
    pub(super) fn fields_of(&self, object: Value) -> Option<&Fields> {
        let Some(Node::Object { state: State::Set(state), .. }) = self.node_of(object) else { return None };
        match self.node_of(*state) {
            Some(Node::Dict(fields)) => Some(fields),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict(values: &mut Values, entries: &[Value]) -> Value {
        let dict = values.node(Node::Dict(Fields::default()));
        values.set_entries(dict, entries);
        dict
    }

    fn field(values: &Values, dict: Value, key: &str) -> Result<Option<Value>, ()> {
        let Some(Node::Dict(fields)) = values.node_of(dict) else { panic!("no dict") };
        fields.get(key)
    }

    #[test]
    fn the_last_entry_of_a_key_counts() {
        let mut values = Values::default();
        let (shape, again) = (values.text(b"shape"), values.text(b"shape"));
        let dict = dict(&mut values, &[shape, Value::Int(1), again, Value::Int(2)]);
        assert_eq!(field(&values, dict, "shape"), Ok(Some(Value::Int(2))));
        assert_eq!(field(&values, dict, "dtype"), Ok(None));
    }

    #[test]
    fn a_key_that_cannot_be_told_may_be_any() {
        let mut values = Values::default();
        let shape = values.text(b"shape");
        let dict = dict(&mut values, &[shape, Value::Int(1), Value::Opaque, Value::Int(2)]);
        assert_eq!(field(&values, dict, "shape"), Err(()));
    }

    #[test]
    fn arenas_are_full_at_some_time_and_say_so() {
        let mut values = Values::default();
        assert_eq!(values.text(&[b'x'; MAX_TEXT + 1]), Value::Opaque);
        assert_eq!(values.text(b"\xff"), Value::Opaque);
        let long = [b'x'; MAX_TEXT];
        let texts = (0..MAX_TEXTS).take_while(|_| values.text(&long) != Value::Opaque).count();
        assert_eq!(texts, MAX_TEXTS / MAX_TEXT);
        let nodes = (0..=MAX_NODES).take_while(|_| values.node(Node::Persistent(Value::None)) != Value::Opaque).count();
        assert_eq!(nodes, MAX_NODES);
        assert_eq!(values.tuple(&[Value::None; MAX_TUPLE + 1]), Value::Opaque);
    }
}
