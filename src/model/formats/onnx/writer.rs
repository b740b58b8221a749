//! Writes small ONNX files for tests: just enough protobuf, so that tests need neither Python nor a decoder that shares our errors.
//! Uses nothing but `std`, so integration tests include this file by path.
#![allow(dead_code, clippy::pedantic, unreachable_pub)]

/// A message under construction.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn number(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn message(self, field: u64, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A float32 tensor without data.
pub fn tensor(name: &str, dims: &[i64]) -> Message {
    let dims = dims.iter().fold(Message::new(), |tensor, dim| tensor.number(1, *dim));
    dims.number(2, 1).text(8, name)
}

/// A float32 tensor with its data elsewhere.
pub fn external(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> Message {
    let tensor =
        entries.iter().fold(tensor(name, dims), |tensor, (key, value)| tensor.message(13, &Message::new().text(1, key).text(2, value)));
    tensor.number(14, 1)
}

/// An external float32 tensor of two elements at the beginning of a file.
pub fn external_at(name: &str, location: &str) -> Message {
    external(name, &[2], &[("location", location), ("offset", "0"), ("length", "8")])
}

/// A `SparseTensorProto`.
pub fn sparse(values: &Message, indices: &Message) -> Message {
    Message::new().message(1, values).message(2, indices)
}

/// An operator with attributes.
pub fn node(op: &str, attributes: &[Message]) -> Message {
    attributes.iter().fold(Message::new().text(2, "out").text(4, op), |node, attribute| node.message(5, attribute))
}

/// An attribute that holds a message: 5 tensor, 6 graph, 10 tensors, 11 graphs, 22 sparse tensor, 23 sparse tensors.
pub fn attribute(name: &str, field: u64, value: &Message) -> Message {
    Message::new().text(1, name).message(field, value)
}

/// A float32 input or output.
pub fn value(name: &str, dims: &[i64]) -> Message {
    let shape = dims.iter().fold(Message::new(), |shape, dim| shape.message(1, &Message::new().number(1, *dim)));
    value_of(name, &Message::new().message(1, &Message::new().number(1, 1).message(2, &shape)))
}

/// An input or output of any type.
pub fn value_of(name: &str, kind: &Message) -> Message {
    Message::new().text(1, name).message(2, kind)
}

/// A model around a graph.
pub fn model(graph: &Message) -> Message {
    let opset = Message::new().number(2, 17);
    Message::new().number(1, 8).text(2, "writer").message(7, graph).message(8, &opset)
}
