//! Objects of S3 and of stores that speak like it: lists by page, and the objects, each of the version that was listed.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use url::Url;

mod account;
mod answer;
mod sign;

use account::Account;
pub use account::Addressing;
pub(super) use answer::read_page;
use answer::{Object, Page};

use super::hub::place;
use super::item::{Item, Listing, MAX_PAGES, Opened, Origin, Place, Wish};
use super::proof::{Proof, SumKind};
use super::source::S3Place;
use super::web::{self, below, encoded};
use super::{FetchError, FetchOptions};
use crate::model::MAX_FILES;
use crate::oci::printable;
use crate::store::registry::{Ask, Stream, Web, shown_url};

/// The largest page that is read, in bytes; it has a thousand keys of a kilobyte at most.
const MAX_PAGE: u64 = 8 << 20;

/// The objects at or below a prefix.
pub(super) fn list(place: &S3Place, options: &FetchOptions) -> Result<Listing, FetchError> {
    let account = Account::of(options, &place.bucket)?;
    let uri = match place.prefix.as_str() {
        "" => format!("s3://{}", account.bucket()),
        prefix => format!("s3://{}/{prefix}", account.bucket()),
    };
    let bucket = Bucket { web: Web::new(&options.store, web::IDLE)?, account };
    let objects = bucket.objects(&place.prefix)?;
    let items = objects.iter().filter_map(|object| item(object, &place.prefix, bucket.account.url())).collect();
    Ok(Listing::of(uri, items, Box::new(bucket)))
}

struct Bucket {
    web: Web,
    account: Account,
}

impl Bucket {
    fn objects(&self, prefix: &str) -> Result<Vec<Object>, FetchError> {
        let mut all: Vec<Object> = Vec::new();
        let mut token = None;
        // A store that names page after page without an object would never end.
        for _ in 0..MAX_PAGES {
            let page = self.page(prefix, token.as_deref())?;
            all.extend(page.objects);
            if all.len() > MAX_FILES {
                return Err(FetchError::TooMuch { most: format!("{MAX_FILES} objects") });
            }
            if page.next.is_none() {
                return Ok(all);
            }
            token = page.next;
        }
        Err(FetchError::TooMuch { most: format!("{MAX_PAGES} pages of objects") })
    }

    fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page, FetchError> {
        let mut url = self.account.url().clone();
        // In the order in which they are signed.
        let token = token.map(|token| format!("continuation-token={}&", encoded(token, ""))).unwrap_or_default();
        url.set_query(Some(&format!("{token}list-type=2&prefix={}", encoded(prefix, ""))));
        let ask = self.account.signed(Ask::get(&url, "application/xml", MAX_PAGE).staying(), &url, &[])?;
        let (status, _, body) = self.web.document(&ask)?;
        if status != 200 {
            return Err(self.refused(format!("the list of s3://{}", self.account.bucket()), status, &body));
        }
        read_page(&body).map_err(|reason| FetchError::Answer { what: shown_url(&url), reason })
    }

    fn refused(&self, what: String, status: u16, body: &[u8]) -> FetchError {
        let (code, message) = answer::complaint(body);
        let hint = match (status, code.as_str()) {
            (_, "RequestTimeTooSkewed") => Some("set this machine's clock"),
            (301 | 307, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
                Some("the bucket may be in another region: AWS_REGION, or AWS_DEFAULT_REGION in --s3-credentials")
            }
            (401 | 403, _) if self.account.is_anonymous() => Some(
                "there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --s3-credentials DIR; roles of an instance or \
                 a service account are for KServe's storage initializer",
            ),
            (401 | 403, _) => Some("check the key, its rights to list and to get, and the address of the store"),
            (404, _) => Some("check the bucket's name and the address of the store (--s3-endpoint)"),
            _ => None,
        };
        FetchError::Refused { what, status, message: printable(&message, 300), hint }
    }
}

impl Origin for Bucket {
    fn open(&self, item: &Item, wish: &Wish<'_>) -> Result<Opened, FetchError> {
        let url = item.url()?;
        let ask = self.account.signed(web::file(url).staying(), url, &[("x-amz-checksum-mode", "ENABLED")])?;
        // The version that was listed, or none.
        let ask = match &item.proof {
            Proof::Version(tag) => ask.with("if-match", tag)?,
            _ => ask,
        };
        web::open(&self.web, &ask, wish, |stream| self.refused_object(stream, &ask, item))
    }
}

impl Bucket {
    fn refused_object(&self, stream: Stream, ask: &Ask<'_>, item: &Item) -> FetchError {
        let status = stream.status();
        match status {
            404 | 412 => FetchError::Changed { path: item.path.clone() },
            _ => self.refused(format!("`{}` at {}", item.path, stream.url()), status, &stream.into_words(ask)),
        }
    }
}

fn item(object: &Object, prefix: &str, bucket: &Url) -> Option<Item> {
    // What consoles make when they are asked for a folder.
    if object.key.ends_with('/') && object.size == 0 {
        return None;
    }
    let path = place(&object.key, prefix)?;
    let proof = object.tag.clone().map_or(Proof::None, Proof::Version);
    let sum = SumKind::ALL.into_iter().find(|kind| object.algorithm.as_deref() == Some(kind.name()) && object.is_whole());
    Some(Item { path: path.to_owned(), size: Some(object.size), proof, sum, place: Place::Url(below(bucket, &object.key)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_becomes_a_file_below_its_prefix() {
        let bucket: Url = "https://s3.example/b".parse().unwrap();
        let object = |key: &str, size| Object { key: key.to_owned(), size, tag: Some("\"e\"".to_owned()), ..Object::default() };
        for (key, size, expected) in [
            ("m/v1/a b.onnx", 1, Some("a b.onnx")),
            ("m/v1/", 0, None),
            ("m/v10/a", 1, None),
            ("m/v1", 1, Some("v1")),
            ("m/v1/x/", 0, None),
        ] {
            assert_eq!(item(&object(key, size), "m/v1", &bucket).map(|item| item.path).as_deref(), expected, "{key}");
        }
        let found = item(&object("m/v1/a b.onnx", 1), "m/v1", &bucket).unwrap();
        assert_eq!(found.url().unwrap().as_str(), "https://s3.example/b/m/v1/a%20b.onnx");
        assert_eq!(found.proof, Proof::Version("\"e\"".to_owned()));
    }

    #[test]
    fn a_checksum_counts_where_it_is_of_the_whole_object() {
        let bucket: Url = "https://s3.example/b".parse().unwrap();
        for (algorithm, kind, sum) in [
            (Some("CRC64NVME"), Some("FULL_OBJECT"), Some(SumKind::Crc64Nvme)),
            (Some("CRC32"), None, Some(SumKind::Crc32)),
            (Some("CRC32"), Some("COMPOSITE"), None),
            (Some("MD9"), None, None),
            (None, None, None),
        ] {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let object = Object { key: "a".to_owned(), size: 1, algorithm: own(algorithm), kind: own(kind), ..Object::default() };
            assert_eq!(item(&object, "", &bucket).unwrap().sum, sum, "{algorithm:?} {kind:?}");
        }
    }
}
