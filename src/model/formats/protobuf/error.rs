//! Why bytes are no protobuf message.

use std::io;

/// Why a protobuf message was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are no message of the format's schema.
    #[error("byte {offset}: {defect}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
    /// Protobuf reads no message above 2 GiB, so no server loads the file.
    #[error("it has {size} bytes, and protobuf reads no message above 2 GiB")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
}

/// What is wrong with the bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Defect {
    /// The file ends too early, or a length is wrong.
    #[error("{wanted} bytes are announced, {left} are left")]
    Truncated {
        /// Bytes announced.
        wanted: u64,
        /// Bytes left in the enclosing message.
        left: u64,
    },
    /// A variable-length integer of more than 64 bits.
    #[error("a number has more than 64 bits")]
    LongNumber,
    /// A field number that protobuf does not have.
    #[error("{tag} is no field")]
    Tag {
        /// Number and type.
        tag: u64,
    },
    /// Groups, which protobuf gave up before these formats began.
    #[error("field {field} is a group, which no model format has")]
    Group {
        /// The field's number.
        field: u64,
    },
    /// A known field with another type.
    #[error("field {field} is not {expected}")]
    Type {
        /// The field's number.
        field: u64,
        /// "a number", "a message".
        expected: &'static str,
    },
    /// Messages within messages without end.
    #[error("messages are nested more than {limit} deep")]
    Depth {
        /// The limit.
        limit: u8,
    },
    /// More of something than any real model has.
    #[error("more than {limit} {what}")]
    TooMany {
        /// "inputs", "dimensions".
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A shape whose product is beyond 64 bits, or negative.
    #[error("tensor {tensor:?} has an impossible shape")]
    Shape {
        /// The tensor's name.
        tensor: String,
    },
}
