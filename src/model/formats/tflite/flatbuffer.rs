//! A walker over FlatBuffers. A buffer is tables that point forward to others; nothing is followed but what is asked for, to a depth
//! that the caller's code has, so offsets that lead in circles lead nowhere. See <https://flatbuffers.dev/internals/>.

use std::io::{Read, Seek};

use super::error::TfliteError;
use crate::model::formats::input::Input;

/// The bytes of a buffer.
pub(super) struct Flatbuffer<R> {
    input: Input<R>,
}

/// Where a table is, and where its fields are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    at: u64,
    vtable: u64,
    vtable_size: u64,
}

/// A list: where its items begin, and how many there are. All of them lie within the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vector {
    start: u64,
    pub(super) count: u64,
}

impl<R: Read + Seek> Flatbuffer<R> {
    pub(super) fn new(input: R) -> Result<Self, TfliteError> {
        Ok(Self { input: Input::new(input)? })
    }

    /// The outermost table of a file with this identifier.
    pub(super) fn root(&mut self, identifier: [u8; 4]) -> Result<Table, TfliteError> {
        let root = self.offset(0)?;
        if self.input.array()? != identifier {
            return Err(TfliteError::Identifier);
        }
        self.table(root)
    }

    /// Where the offset that is stored at `at` leads: always forward.
    fn offset(&mut self, at: u64) -> Result<u64, TfliteError> {
        self.input.seek(at)?;
        Ok(at + u64::from(u32::from_le_bytes(self.input.array()?)))
    }

    fn table(&mut self, at: u64) -> Result<Table, TfliteError> {
        self.input.seek(at)?;
        let distance = i64::from(i32::from_le_bytes(self.input.array()?));
        let vtable = at.checked_add_signed(-distance).ok_or(TfliteError::Table { offset: at })?;
        self.input.seek(vtable)?;
        let vtable_size = u64::from(u16::from_le_bytes(self.input.array()?));
        if vtable_size < 4 {
            return Err(TfliteError::Table { offset: vtable });
        }
        Ok(Table { at, vtable, vtable_size })
    }

    /// Where a field is, if the table has it.
    fn field(&mut self, table: Table, number: u64) -> Result<Option<u64>, TfliteError> {
        let slot = 4 + 2 * number;
        if slot + 2 > table.vtable_size {
            return Ok(None);
        }
        self.input.seek(table.vtable + slot)?;
        let distance = u64::from(u16::from_le_bytes(self.input.array()?));
        Ok((distance > 0).then_some(table.at + distance))
    }

    /// The bytes of a number; none where it has its default.
    pub(super) fn scalar<const N: usize>(&mut self, table: Table, number: u64) -> Result<Option<[u8; N]>, TfliteError> {
        let Some(at) = self.field(table, number)? else { return Ok(None) };
        self.input.seek(at)?;
        Ok(Some(self.input.array()?))
    }

    /// A list whose items have so many bytes; empty where there is none.
    pub(super) fn vector(&mut self, table: Table, number: u64, width: u64) -> Result<Vector, TfliteError> {
        let Some(at) = self.field(table, number)? else { return Ok(Vector::default()) };
        let at = self.offset(at)?;
        self.input.seek(at)?;
        let count = u64::from(u32::from_le_bytes(self.input.array()?));
        self.input.check(count * width)?;
        Ok(Vector { start: self.input.at(), count })
    }

    /// A list that must not be longer than `limit`.
    pub(super) fn short_vector(&mut self, table: Table, number: u64, what: &'static str, limit: u64) -> Result<Vector, TfliteError> {
        let vector = self.vector(table, number, 4)?;
        if vector.count > limit {
            return Err(TfliteError::TooMany { offset: vector.start, what, limit });
        }
        Ok(vector)
    }

    /// A text, cut; empty where there is none.
    pub(super) fn text(&mut self, table: Table, number: u64, limit: usize) -> Result<String, TfliteError> {
        let bytes = self.vector(table, number, 1)?;
        self.input.seek(bytes.start)?;
        Ok(self.input.text(bytes.count, limit)?)
    }

    /// A table in a field.
    pub(super) fn child(&mut self, table: Table, number: u64) -> Result<Option<Table>, TfliteError> {
        let Some(at) = self.field(table, number)? else { return Ok(None) };
        let at = self.offset(at)?;
        self.table(at).map(Some)
    }

    /// A table in a list of tables; `index` is below its count.
    pub(super) fn item(&mut self, vector: Vector, index: u64) -> Result<Table, TfliteError> {
        let at = self.offset(vector.start + 4 * index)?;
        self.table(at)
    }

    /// A number in a list of numbers; `index` is below its count.
    pub(super) fn number(&mut self, vector: Vector, index: u64) -> Result<i32, TfliteError> {
        self.input.seek(vector.start + 4 * index)?;
        Ok(i32::from_le_bytes(self.input.array()?))
    }
}
