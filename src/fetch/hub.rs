//! The Hugging Face hub: <https://huggingface.co/docs/hub/api>, its endpoints as `huggingface_hub` calls them.
//!
//! The revision becomes a commit first, and everything else is asked for by that commit. Large files have a SHA-256, the others the id
//! that Git gives them; both are checked.

use serde::Deserialize;
use url::Url;

use super::item::{Item, Listing, MAX_PAGES, Opened, Origin, Place, Wish};
use super::proof::Proof;
use super::source::HubModel;
use super::web::{self, below, encoded, ensure_carries};
use super::{FetchError, FetchOptions, secrets};
use crate::model::MAX_FILES;
use crate::oci::{is_modest, printable};
use crate::store::registry::{Ask, Bearer, Stream, Web, shown_url};

/// Where the hub is, unless `HF_ENDPOINT` says otherwise.
const HUB: &str = "https://huggingface.co";
/// The largest answer of the API that is read, in bytes; a page has a thousand files.
const MAX_ANSWER: u64 = 8 << 20;
const JSON: &str = "application/json";

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// A line of a repository's list.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: String,
    oid: String,
    #[serde(default)]
    size: u64,
    path: String,
    lfs: Option<Lfs>,
}

/// What stands behind a pointer in Git.
#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// The files of a model at the commit that its revision is now.
pub(super) fn list(model: &HubModel, options: &FetchOptions) -> Result<Listing, FetchError> {
    let hub = Hub::open(options)?;
    let commit = hub.commit(model)?;
    let entries = hub.entries(model, &commit)?;
    let base = below(&hub.endpoint, &format!("{}/resolve/{commit}", model.repository));
    let items = entries.iter().filter_map(|entry| item(entry, model, &base).transpose()).collect::<Result<_, _>>()?;
    let tail = if model.path.is_empty() { String::new() } else { format!("/{}", model.path) };
    let uri = format!("hf://{}@{commit}{tail}", model.repository);
    Ok(Listing::of(uri, items, Box::new(hub)))
}

struct Hub {
    web: Web,
    endpoint: Url,
    bearer: Option<Bearer>,
}

impl Hub {
    fn open(options: &FetchOptions) -> Result<Self, FetchError> {
        let named = std::env::var("HF_ENDPOINT").ok().filter(|text| !text.is_empty());
        let refused = |_| FetchError::Answer { what: "HF_ENDPOINT".to_owned(), reason: "it is no URL".to_owned() };
        let endpoint: Url = named.as_deref().unwrap_or(HUB).parse().map_err(refused)?;
        let bearer = secrets::token(options.token_file.as_ref(), Some("HF_TOKEN"))?;
        ensure_carries(&endpoint, bearer.as_ref())?;
        Ok(Self { web: Web::new(&options.store, web::IDLE)?, endpoint, bearer })
    }

    fn commit(&self, model: &HubModel) -> Result<String, FetchError> {
        let revision = encoded(&model.revision, "");
        let mut url = below(&self.endpoint, &format!("api/models/{}/revision", model.repository));
        url.set_path(&format!("{}/{revision}", url.path()));
        let (body, _) = self.document(&url, model)?;
        read_commit(&body).map_err(|reason| unusable(&url, &reason))
    }

    /// All files, page by page.
    fn entries(&self, model: &HubModel, commit: &str) -> Result<Vec<Entry>, FetchError> {
        let mut url = below(&self.endpoint, &format!("api/models/{}/tree/{commit}", model.repository));
        url.set_query(Some("recursive=true&expand=false"));
        let mut all = Vec::new();
        // Empty pages that name another one would never end.
        for _ in 0..MAX_PAGES {
            let (body, next) = self.document(&url, model)?;
            all.extend(read_page(&body).map_err(|reason| unusable(&url, &reason))?);
            if all.len() > MAX_FILES {
                return Err(FetchError::TooMuch { most: format!("{MAX_FILES} files") });
            }
            let Some(next) = next else { return Ok(all) };
            url = next;
        }
        Err(FetchError::TooMuch { most: format!("{MAX_PAGES} pages of files") })
    }

    fn document(&self, url: &Url, model: &HubModel) -> Result<(Vec<u8>, Option<Url>), FetchError> {
        let ask = Ask::get(url, JSON, MAX_ANSWER).bearing(self.bearer.as_ref());
        let (status, next, body) = self.web.document(&ask)?;
        let what = || format!("hf://{}@{}", model.repository, model.revision);
        if status == 200 { Ok((body, next)) } else { Err(self.refused(what(), status, &words(&body))) }
    }

    fn refused(&self, what: String, status: u16, message: &str) -> FetchError {
        let hint = match (status, &self.bearer) {
            (401 | 403 | 404, None) => {
                "check the name and the revision; a private or gated model wants a token: HF_TOKEN, or --token-file FILE"
            }
            (401, Some(_)) => "the hub does not accept the token: it may have expired, or belong to another hub",
            (403, Some(_)) => "accept the model's terms on its page with the account that the token belongs to",
            (404, Some(_)) => "check the name and the revision, and that the token's account may see the model",
            _ => return FetchError::Refused { what, status, message: message.to_owned(), hint: None },
        };
        FetchError::Refused { what, status, message: message.to_owned(), hint: Some(hint) }
    }
}

impl Origin for Hub {
    fn open(&self, item: &Item, wish: &Wish<'_>) -> Result<Opened, FetchError> {
        let ask = web::file(item.url()?).bearing(self.bearer.as_ref());
        web::open(&self.web, &ask, wish, |stream: Stream| {
            let (what, status) = (format!("`{}` at {}", item.path, stream.url()), stream.status());
            self.refused(what, status, &words(&stream.into_words(&ask)))
        })
    }
}

/// The commit in the answer about a revision.
pub(super) fn read_commit(body: &[u8]) -> Result<String, String> {
    let Revision { sha } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if is_id(&sha) { Ok(sha) } else { Err("it names no commit".to_owned()) }
}

/// A page of a list.
pub(super) fn read_page(body: &[u8]) -> Result<Vec<Entry>, String> {
    if !is_modest(body) {
        return Err("it has more members than are read".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// SHA-1 in hexadecimal.
fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The file that a line names, if it is one of those below the path.
fn item(entry: &Entry, model: &HubModel, base: &Url) -> Result<Option<Item>, FetchError> {
    if entry.kind != "file" {
        return Ok(None);
    }
    let Some(path) = place(&entry.path, &model.path) else { return Ok(None) };
    let odd =
        || FetchError::Answer { what: format!("hf://{}", model.repository), reason: format!("`{}` has no digest", printable(path, 200)) };
    let (proof, size) = match &entry.lfs {
        Some(lfs) => (Proof::Sha256(format!("sha256:{}", lfs.oid).parse().map_err(|_| odd())?), lfs.size),
        None if is_id(&entry.oid) => (Proof::GitBlob(entry.oid.clone()), entry.size),
        None => return Err(odd()),
    };
    Ok(Some(Item { path: path.to_owned(), size: Some(size), proof, sum: None, place: Place::Url(below(base, &entry.path)) }))
}

/// Where a file of the source goes that lies at or below `folder` there.
pub(super) fn place<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(folder)? {
        "" => path.rsplit('/').next(),
        rest => rest.strip_prefix('/').filter(|rest| !rest.is_empty()),
    }
}

/// The hub's own words.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Complaint {
        error: String,
    }
    serde_json::from_slice(body).map(|complaint: Complaint| printable(&complaint.error, 300)).unwrap_or_default()
}

fn unusable(url: &Url, reason: &str) -> FetchError {
    FetchError::Answer { what: shown_url(url), reason: printable(reason, 200) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn model(path: &str) -> HubModel {
        HubModel { repository: "o/m".to_owned(), revision: "main".to_owned(), path: path.to_owned() }
    }

    #[test]
    fn a_list_tells_each_files_digest() {
        let sha = "2c".repeat(32);
        let page = format!(
            r#"[{{"type":"directory","oid":"{ID}","size":0,"path":"onnx"}},
                {{"type":"file","oid":"{ID}","size":6,"path":"onnx/a b.json"}},
                {{"type":"file","oid":"{ID}","size":6,"path":"onnx/m.onnx","lfs":{{"oid":"{sha}","size":9000000000,"pointerSize":134}},"xetHash":"x"}}]"#
        );
        let entries = read_page(page.as_bytes()).unwrap();
        let base = "https://hub.example/o/m/resolve/c".parse().unwrap();
        let items: Vec<Item> = entries.iter().filter_map(|entry| item(entry, &model("onnx"), &base).unwrap()).collect();
        assert_eq!(items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["a b.json", "m.onnx"]);
        assert_eq!(items[0].url().unwrap().as_str(), "https://hub.example/o/m/resolve/c/onnx/a%20b.json");
        assert_eq!(items[0].proof, Proof::GitBlob(ID.to_owned()));
        assert_eq!((items[1].size, items[1].digest().unwrap().hex()), (Some(9_000_000_000), sha));
    }

    #[test]
    fn a_file_without_a_digest_is_refused() {
        let base = "https://hub.example/".parse().unwrap();
        for line in [
            r#"{"type":"file","oid":"12","path":"a"}"#,
            &format!(r#"{{"type":"file","oid":"{ID}","path":"a","lfs":{{"oid":"12","size":1}}}}"#),
        ] {
            let entries = read_page(format!("[{line}]").as_bytes()).unwrap();
            assert!(item(&entries[0], &model(""), &base).is_err(), "{line}");
        }
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        assert_eq!(read_commit(format!(r#"{{"sha":"{ID}","siblings":[]}}"#).as_bytes()).unwrap(), ID);
        for body in ["", "[]", "{}", r#"{"sha":"main"}"#, r#"{"sha":"../../x"}"#] {
            assert!(read_commit(body.as_bytes()).is_err(), "{body}");
        }
        let crowd = format!("[{}]", vec!["1"; 1 << 20].join(","));
        for body in ["", "{}", "[1]", &crowd] {
            assert!(read_page(body.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_path_names_a_file_or_a_folder() {
        for (path, folder, expected) in [
            ("a/b", "", Some("a/b")),
            ("a/b", "a", Some("b")),
            ("a/b", "a/b", Some("b")),
            ("ab/c", "a", None),
            ("a", "a/b", None),
            ("a/", "a", None),
        ] {
            assert_eq!(place(path, folder), expected, "{path} {folder}");
        }
    }
}
