//! Downloads: a blob as a blocking reader that goes on where its connection broke off.
//!
//! The rest is asked for with a range: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs>. Every
//! attempt asks the registry itself and not where it redirected to before: signed addresses of object stores expire. Nothing here vouches
//! for bytes; whoever joins parts of several answers needs the digest of the whole.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use reqwest::Method;
use reqwest::header::RANGE;

use super::RegistryError;
use super::client::{Call, Client};
use super::location::shown;
use super::retry::{Failure, Trouble};
use super::transport::{Chunks, Response};
use crate::oci::Descriptor;
use crate::store::StoreError;

/// Breaks that are borne before any byte has come.
const BREAKS: u64 = 5;
/// Bytes that pay for another break: a bad line ends a long download no sooner than a short one, and one byte at a time ends it soon.
const BREAK_PRICE: u64 = 1 << 20;

/// A blob from one of several places that hold the same, on its way.
pub(super) struct Download {
    blob: Descriptor,
    /// The place in use first, then those to turn to.
    places: VecDeque<Arc<Client>>,
    body: Option<Body>,
    current: Bytes,
    /// How much of the blob has arrived, in bytes.
    at: u64,
    breaks: u64,
}

impl Download {
    /// Asks the places one after the other for a blob from the byte at `offset` on.
    ///
    /// # Errors
    /// The last one's.
    pub(super) fn open(places: Vec<Arc<Client>>, blob: &Descriptor, offset: u64) -> Result<Self, StoreError> {
        let mut download = Self { blob: blob.clone(), places: places.into(), body: None, current: Bytes::new(), at: offset, breaks: 0 };
        if offset < blob.size || blob.size == 0 {
            download.current = download.begin()?.unwrap_or_default();
        }
        Ok(download)
    }

    /// The next bytes; `None` at the end, which may come too early.
    fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(body) = &mut self.body else { return Ok(None) };
        body.next(&self.blob, self.at).or_else(|broke| self.resume(broke))
    }

    /// Asks for the rest after a break; the place that gives up is left for the next one.
    fn resume(&mut self, broke: Failure) -> Result<Option<Bytes>, StoreError> {
        self.body = None;
        self.breaks += 1;
        let Some(client) = self.places.front().cloned() else { return Err(broke.error) };
        let outcome = if is_borne(self.breaks, self.at) { self.again(&client, broke) } else { Err(broke.error) };
        outcome.or_else(|error| {
            self.leave(error)?;
            self.begin()
        })
    }

    fn again(&mut self, client: &Client, broke: Failure) -> Result<Option<Bytes>, StoreError> {
        let (blob, at, mut broke) = (self.blob.clone(), self.at, Some(broke));
        let what = format!("download of {} at byte {at}", blob.digest);
        let (body, chunk) = client.retry().run(&what, || match broke.take() {
            Some(broke) => Err(broke),
            None => ask(client, &blob, at),
        })?;
        self.body = Some(body);
        Ok(chunk)
    }

    /// The first bytes from the first place that gives any.
    fn begin(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(client) = self.places.front().cloned() else { return Ok(None) };
            match client.retry().run(&format_args!("download of {}", self.blob.digest), || ask(&client, &self.blob, self.at)) {
                Ok((body, chunk)) => {
                    tracing::debug!("{} comes from {}", self.blob.digest, client.name());
                    self.body = Some(body);
                    return Ok(chunk);
                }
                Err(error) => self.leave(error)?,
            }
        }
    }

    /// Turns to the next place; its predecessor's error where there is none.
    fn leave(&mut self, error: StoreError) -> Result<(), StoreError> {
        let left = self.places.pop_front();
        let (Some(left), Some(next)) = (left, self.places.front()) else { return Err(error) };
        tracing::debug!(%error, "{} does not give {}; asking {}", left.name(), self.blob.digest, next.name());
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            if self.places.is_empty() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            match self.next().map_err(io::Error::other)? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether a download may go on after so many breaks, with so many bytes to show for it.
fn is_borne(breaks: u64, bytes: u64) -> bool {
    breaks < BREAKS + bytes / BREAK_PRICE
}

/// Asks once for a blob from a byte on, and waits for its first bytes. Ranges are optional for registries: one that sends the whole blob is
/// read up to there, and one that sends another part, or none, is asked for the whole blob.
fn ask(client: &Client, blob: &Descriptor, at: u64) -> Result<(Body, Option<Bytes>), Failure> {
    let mut body = if at == 0 { whole(client, blob, 0)? } else { rest(client, blob, at)? };
    let chunk = body.next(blob, at)?;
    Ok((body, chunk))
}

fn whole(client: &Client, blob: &Descriptor, skip: u64) -> Result<Body, Failure> {
    let response = client.attempt(&get(blob))?;
    if response.status.as_u16() == 200 { Ok(Body::whole(response, skip)) } else { Err(refused(client, blob, response)) }
}

fn rest(client: &Client, blob: &Descriptor, at: u64) -> Result<Body, Failure> {
    let response = client.attempt(&get(blob).with(RANGE, format!("bytes={at}-")))?;
    let range = response.header("content-range").and_then(ContentRange::parse).filter(|range| range.fits(at, blob.size));
    match (response.status.as_u16(), range) {
        (206, Some(range)) => Ok(Body::part(response, range.last + 1 == blob.size)),
        (200, _) => Ok(Body::whole(response, at)),
        (206 | 416, _) => whole(client, blob, at),
        _ => Err(refused(client, blob, response)),
    }
}

fn get(blob: &Descriptor) -> Call {
    Call::new(Method::GET, format!("blobs/{}", blob.digest))
}

fn refused(client: &Client, blob: &Descriptor, response: Response) -> Failure {
    match response.status.as_u16() {
        404 => StoreError::BlobNotFound { store: client.name(), digest: blob.digest }.into(),
        _ => client.refused(response).into(),
    }
}

/// What a `206` says that it holds: `bytes 100-199/1000`, <https://www.rfc-editor.org/rfc/rfc9110#name-content-range>.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    /// `None` for `*`.
    size: Option<u64>,
}

impl ContentRange {
    fn parse(header: &str) -> Option<Self> {
        let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let size = if size == "*" { None } else { Some(number(size)?) };
        Some(Self { first: number(first)?, last: number(last)?, size })
    }

    /// Whether it is some of what was asked for.
    fn fits(&self, at: u64, size: u64) -> bool {
        self.first == at && (at..size).contains(&self.last) && self.size.is_none_or(|said| said == size)
    }
}

/// Digits only: `parse` takes a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// An answer's body.
struct Body {
    chunks: Chunks,
    url: String,
    /// Bytes still to drop.
    skip: u64,
    /// Its end is the blob's end, right or wrong. Without a length, the end may also be that of a connection that broke off.
    is_all: bool,
}

impl Body {
    fn whole(response: Response, skip: u64) -> Self {
        let is_all = response.header("content-length").or(response.header("transfer-encoding")).is_some();
        Self { url: shown(&response.url), chunks: response.chunks(), skip, is_all }
    }

    fn part(response: Response, is_all: bool) -> Self {
        Self { url: shown(&response.url), chunks: response.chunks(), skip: 0, is_all }
    }

    /// The next bytes, of which the first one is at `at` in the blob.
    fn next(&mut self, blob: &Descriptor, at: u64) -> Result<Option<Bytes>, Failure> {
        while let Some(mut chunk) = self.chunks.next()? {
            let dropped = chunk.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            chunk.advance(dropped);
            self.skip -= dropped as u64;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        if self.is_all || at >= blob.size {
            return Ok(None);
        }
        let reason = format!("it ended after {at} of {} bytes", blob.size);
        Err(Failure::transient(Trouble::Broken, RegistryError::BadAnswer { url: self.url.clone(), reason }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_strictly() {
        let range = |first, last, size| Some(ContentRange { first, last, size });
        for (header, expected) in [
            ("bytes 3-9/10", range(3, 9, Some(10))),
            (" bytes 3-9/* ", range(3, 9, None)),
            ("bytes */10", None),
            ("bytes 3-9", None),
            ("bytes +3-9/10", None),
            ("bytes 3-99999999999999999999/*", None),
            ("items 3-9/10", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_part_fits_where_it_begins_as_asked_and_is_of_a_blob_of_that_size() {
        for (header, fits) in [
            ("bytes 3-9/10", true),
            ("bytes 3-9/*", true),
            ("bytes 3-5/10", true),
            ("bytes 2-9/10", false),
            ("bytes 3-10/11", false),
            ("bytes 3-9/11", false),
            ("bytes 3-2/10", false),
        ] {
            assert_eq!(ContentRange::parse(header).unwrap().fits(3, 10), fits, "{header}");
        }
    }

    #[test]
    fn breaks_are_paid_for_in_megabytes() {
        assert!(is_borne(4, 0) && !is_borne(5, 0));
        assert!(is_borne(24, 20 << 20) && !is_borne(25, 20 << 20));
    }
}
