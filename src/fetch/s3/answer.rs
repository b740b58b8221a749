//! Reads what S3 answers: lists and refusals, in XML. Pure.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Longer is no key (1 kB), tag or token, in bytes.
const MAX_TEXT: usize = 4096;
/// More is no page, though S3 promises a thousand.
const MAX_OBJECTS: usize = 20_000;
/// More is no list.
const MAX_DEPTH: usize = 16;

/// A page of a bucket's list.
#[derive(Debug, Default)]
pub(in crate::fetch) struct Page {
    pub(super) objects: Vec<Object>,
    /// The word for the next page.
    pub(super) next: Option<String>,
}

/// An object as a list tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    /// Its ETag, with its quotes.
    pub(super) tag: Option<String>,
    pub(super) algorithm: Option<String>,
    /// `COMPOSITE`: of the checksums of its parts.
    pub(super) kind: Option<String>,
}

impl Object {
    pub(super) fn is_whole(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "FULL_OBJECT")
    }
}

/// A page of a list.
pub(in crate::fetch) fn read_page(xml: &[u8]) -> Result<Page, String> {
    let (mut page, mut object, mut more) = (Page::default(), Object::default(), false);
    let mut found = false;
    walk(xml, |path, text| {
        match path {
            ["ListBucketResult"] => found = true,
            ["ListBucketResult", "IsTruncated"] => more = text == "true",
            ["ListBucketResult", "NextContinuationToken"] => page.next = Some(text.to_owned()),
            ["ListBucketResult", "Contents"] => page.objects.push(std::mem::take(&mut object)),
            ["ListBucketResult", "Contents", "Key"] => text.clone_into(&mut object.key),
            ["ListBucketResult", "Contents", "Size"] => {
                object.size = text.parse().map_err(|_| "an object's size is no number".to_owned())?;
            }
            ["ListBucketResult", "Contents", "ETag"] => object.tag = Some(text.to_owned()).filter(|tag| is_tag(tag)),
            ["ListBucketResult", "Contents", "ChecksumAlgorithm"] => object.algorithm = Some(text.to_owned()),
            ["ListBucketResult", "Contents", "ChecksumType"] => object.kind = Some(text.to_owned()),
            _ => {}
        }
        if page.objects.len() > MAX_OBJECTS { Err("a page has more than 20000 objects".to_owned()) } else { Ok(()) }
    })?;
    match (found, more, &page.next) {
        (false, ..) => Err("it is no list of a bucket".to_owned()),
        (true, true, None) => Err("it names no next page".to_owned()),
        _ => Ok(Page { next: page.next.filter(|_| more), ..page }),
    }
}

/// Quotes, and what a header can carry between them.
fn is_tag(text: &str) -> bool {
    text.len() > 2 && text.starts_with('"') && text.ends_with('"') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Code and words of a refusal; both may be empty.
pub(super) fn complaint(xml: &[u8]) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    // What cannot be read says nothing.
    let _ = walk(xml, |path, text| {
        match path {
            ["Error", "Code"] => text.clone_into(&mut code),
            ["Error", "Message"] => text.clone_into(&mut message),
            _ => {}
        }
        Ok(())
    });
    let said = if code.is_empty() || message.is_empty() { format!("{message}{code}") } else { format!("{message} ({code})") };
    (code, said)
}

/// Tells each element at its end: the names down to it, and its own text. Nothing is expanded but the five entities of XML.
fn walk(xml: &[u8], mut ended: impl FnMut(&[&str], &str) -> Result<(), String>) -> Result<(), String> {
    let mut reader = Reader::from_str(std::str::from_utf8(xml).map_err(|_| "it is not UTF-8")?);
    let (mut path, mut text) = (Vec::<String>::new(), String::new());
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                path.push(element.local_name().as_ref().chars().take(64).collect());
                text.clear();
            }
            Event::End(_) => {
                ended(&path.iter().map(String::as_str).collect::<Vec<_>>(), &text)?;
                path.pop();
                text.clear();
            }
            Event::Text(more) => text.push_str(&more),
            Event::CData(more) => text.push_str(&more),
            Event::GeneralRef(reference) => text.push(character(&reference)?),
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err("it ends too early".to_owned()),
            _ => {}
        }
        if path.len() > MAX_DEPTH || text.len() > MAX_TEXT {
            return Err("it is no list: too deep, or a text too long".to_owned());
        }
    }
}

fn character(text: &str) -> Result<char, String> {
    let number = |digits: &str| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    };
    let found = match text {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        other => other.strip_prefix('#').and_then(number).and_then(char::from_u32),
    };
    found.ok_or_else(|| "it holds an entity of its own".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>m</Prefix><KeyCount>2</KeyCount>
<IsTruncated>true</IsTruncated><NextContinuationToken>1/w==</NextContinuationToken>
<Contents><Key>m/a &amp; b&#x2B;.onnx</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;9b2c&quot;</ETag>
<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>5368709120</Size><Owner><ID>x</ID></Owner></Contents>
<Contents><Key>m/c</Key><Size>0</Size></Contents></ListBucketResult>"#;

    #[test]
    fn a_page_tells_its_objects_and_the_next_page() {
        let page = read_page(PAGE.as_bytes()).unwrap();
        assert_eq!(page.next.as_deref(), Some("1/w=="));
        let own = |text: &str| Some(text.to_owned());
        let first = Object {
            key: "m/a & b+.onnx".to_owned(),
            size: 5_368_709_120,
            tag: own("\"9b2c\""),
            algorithm: own("CRC64NVME"),
            kind: own("FULL_OBJECT"),
        };
        assert_eq!(page.objects, [first, Object { key: "m/c".to_owned(), ..Object::default() }]);
        let last = PAGE.replace(">true<", ">false<");
        assert_eq!(read_page(last.as_bytes()).unwrap().next, None);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let deep = "<a>".repeat(100);
        let long = format!("<ListBucketResult><Contents><Key>{}</Key></Contents></ListBucketResult>", "x".repeat(5000));
        let own = "<!DOCTYPE x [<!ENTITY e \"eeee\">]><ListBucketResult><Prefix>&e;</Prefix></ListBucketResult>";
        let lost = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        let size = "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>";
        for xml in ["", "<html></html>", "<ListBucketResult>", &deep, &long, own, lost, size] {
            assert!(read_page(xml.as_bytes()).is_err(), "{xml:.80}");
        }
    }

    #[test]
    fn a_tag_that_no_header_can_carry_is_none() {
        for (tag, kept) in [("\"a-1\"", true), ("\"a\r\nX: y\"", false), ("abc", false), ("\"\u{fc}\"", false)] {
            assert_eq!(is_tag(tag), kept, "{tag:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_stores_words() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
        assert_eq!(complaint(xml), ("NoSuchBucket".to_owned(), "The specified bucket does not exist (NoSuchBucket)".to_owned()));
        assert_eq!(complaint(b"<html>").1, "");
    }
}
