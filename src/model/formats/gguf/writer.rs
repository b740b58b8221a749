//! Writes GGUF for the tests, right or wrong.

/// A header in the making.
#[derive(Clone)]
pub(super) struct Writer {
    version: u32,
    big: bool,
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    next: u64,
    alignment: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self::version(3)
    }

    pub(super) fn version(version: u32) -> Self {
        Self { version, big: false, keys: vec![], key_count: 0, tensors: vec![], tensor_count: 0, next: 0, alignment: 32 }
    }

    pub(super) fn big_endian() -> Self {
        Self { big: true, ..Self::new() }
    }

    fn u32(&self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u64(&self, number: u64) -> [u8; 8] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn length(&self, number: u64) -> Vec<u8> {
        if self.version == 1 { self.u32(u32::try_from(number).unwrap_or(u32::MAX)).to_vec() } else { self.u64(number).to_vec() }
    }

    pub(super) fn string(&self, text: &str) -> Vec<u8> {
        [self.length(text.len() as u64), text.as_bytes().to_vec()].concat()
    }

    /// A key with the bytes of its value.
    pub(super) fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        let pair = [self.string(key), self.u32(kind).to_vec(), value.to_vec()].concat();
        self.keys.extend(pair);
        self.key_count += 1;
        self
    }

    pub(super) fn number(self, key: &str, value: u32) -> Self {
        let value_bytes = self.u32(value);
        let mut written = self.raw(key, 4, &value_bytes);
        if key == "general.alignment" {
            written.alignment = value as usize;
        }
        written
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let value = self.string(value);
        self.raw(key, 8, &value)
    }

    /// A list with the bytes of its values.
    pub(super) fn list(self, key: &str, kind: u32, count: u64, values: &[u8]) -> Self {
        let value = [self.u32(kind).to_vec(), self.length(count), values.to_vec()].concat();
        self.raw(key, 9, &value)
    }

    pub(super) fn texts(self, key: &str, values: &[&str]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| self.string(value)).collect();
        self.list(key, 8, values.len() as u64, &bytes)
    }

    /// A tensor of `size` bytes after the others.
    pub(super) fn tensor(self, name: &str, kind: u32, shape: &[u64], size: u64) -> Self {
        let offset = self.next;
        let mut written = self.tensor_at(name, kind, shape, offset);
        written.next = (offset + size).next_multiple_of(written.alignment as u64);
        written
    }

    pub(super) fn tensor_at(mut self, name: &str, kind: u32, shape: &[u64], offset: u64) -> Self {
        let mut info = self.string(name);
        info.extend(self.u32(u32::try_from(shape.len()).unwrap_or(u32::MAX)));
        info.extend(shape.iter().flat_map(|size| self.length(*size)));
        info.extend(self.u32(kind));
        info.extend(self.u64(offset));
        self.tensors.extend(info);
        self.tensor_count += 1;
        self
    }

    /// The header, with these counts.
    pub(super) fn counted(&self, tensors: u64, keys: u64) -> Vec<u8> {
        let version = self.u32(self.version).to_vec();
        [b"GGUF".to_vec(), version, self.length(tensors), self.length(keys), self.keys.clone(), self.tensors.clone()].concat()
    }

    pub(super) fn header(&self) -> Vec<u8> {
        self.counted(self.tensor_count, self.key_count)
    }

    /// The whole file, its data zero.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut bytes = self.header();
        let data = bytes.len().next_multiple_of(self.alignment);
        bytes.resize(data + usize::try_from(self.next).unwrap_or(0), 0);
        bytes
    }
}
