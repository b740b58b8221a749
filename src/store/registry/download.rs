//! Downloads: the request, and the body as a blocking reader.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use reqwest::Method;
use reqwest::header::RANGE;

use super::client::{Call, Client};
use super::transport::{Chunks, Response};
use crate::oci::Descriptor;
use crate::store::StoreError;
use crate::store::files::PassOver;

/// A blob from its first byte, unverified.
pub(super) fn whole(client: &Client, blob: &Descriptor) -> Result<BodyReader, StoreError> {
    let response = client.call(&get(blob))?;
    if response.status.as_u16() == 200 { Ok(response.into_reader()) } else { Err(refused(client, blob, response)) }
}

/// A blob from the byte at `offset` on, unverified. Ranges are optional for registries: one that sends the whole blob is read up to there,
/// and one that sends another part, or none, is asked for the whole blob.
pub(super) fn from(client: &Client, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
    if offset >= blob.size {
        return Ok(Box::new(io::empty()));
    }
    let response = client.call(&get(blob).with(RANGE, format!("bytes={offset}-")))?;
    let begins_there =
        |response: &Response| response.header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {offset}-")));
    match response.status.as_u16() {
        206 if begins_there(&response) => Ok(Box::new(response.into_reader())),
        200 => Ok(Box::new(PassOver { inner: response.into_reader(), left: offset })),
        206 | 416 => Ok(Box::new(PassOver { inner: whole(client, blob)?, left: offset })),
        _ => Err(refused(client, blob, response)),
    }
}

fn get(blob: &Descriptor) -> Call {
    Call::new(Method::GET, format!("blobs/{}", blob.digest))
}

fn refused(client: &Client, blob: &Descriptor, response: Response) -> StoreError {
    match response.status.as_u16() {
        404 => StoreError::BlobNotFound { store: client.name(), digest: blob.digest },
        _ => client.refused(response).into(),
    }
}

/// Reads what arrives; a connection that breaks off or stalls is an error, never an early end.
pub(super) struct BodyReader {
    chunks: Chunks,
    current: Bytes,
}

impl BodyReader {
    pub(super) fn new(chunks: Chunks) -> Self {
        Self { chunks, current: Bytes::new() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            match self.chunks.next().map_err(|failure| io::Error::other(failure.error))? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
