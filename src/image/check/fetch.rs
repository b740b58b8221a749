//! `oci+fetch://`: the loop of `_download_oci` in kserve-storage 0.21.0, the narrowest reader of all.
//!
//! It takes each layer's tar as a stream, keeps the members whose name begins with exactly `models/`, cuts that off and has Python's
//! `tarfile` write them with `filter="data"`. There are no whiteouts, and an upper layer simply writes over a lower one.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::subject::{Image, Subject};
use super::{Lines, some};
use crate::image::listing::{Entry, Kind};
use crate::oci::media_type;

/// How it opens a layer: these, and nothing else.
const READ: [&str; 3] = [media_type::LAYER_GZIP, media_type::DOCKER_LAYER_GZIP, media_type::LAYER_TAR];
const PREFIX: &str = "models/";
const BUILD: &str = "build the image with `modelcar build`";

pub(super) fn check(subject: &Subject, lines: &mut Lines) {
    index(subject, lines);
    for image in &subject.images {
        lines.on(&image.platform);
        if !layer_types(image, lines) {
            continue;
        }
        let members: Vec<&Entry> = members(image).collect();
        names(image, &members, lines);
        tar_members(&members, lines);
        whiteouts(&members, lines);
        overwritten(&members, lines);
    }
}

/// An index is known by the `mediaType` inside it alone, and chosen from by exact `os` and `architecture`.
fn index(subject: &Subject, lines: &mut Lines) {
    let Some(entries) = &subject.index else {
        lines.pass("index", "a single manifest: it is taken on every platform");
        return;
    };
    let known = matches!(subject.own_media_type.as_deref(), Some(media_type::INDEX | media_type::DOCKER_INDEX));
    if !known {
        lines.fail("index", "the index has no `mediaType` in its JSON and is read as an image without layers", BUILD);
        return;
    }
    let linux = |architecture: &str| {
        entries.iter().any(|entry| entry.platform.as_ref().is_some_and(|own| own.os == "linux" && own.architecture == architecture))
    };
    let there: Vec<&str> = ["amd64", "arm64", "ppc64le", "s390x"].into_iter().filter(|architecture| linux(architecture)).collect();
    if there.is_empty() {
        lines.fail("index", "no entry has platform linux/amd64, linux/arm64 or another that nodes have", BUILD);
    } else {
        lines.pass("index", format!("has a mediaType, and an entry for linux on {}", there.join(", ")));
    }
}

/// False where it stops at a layer.
fn layer_types(image: &Image, lines: &mut Lines) -> bool {
    let types = || image.manifest.layers.iter().map(|layer| layer.media_type.as_str());
    if types().any(|kind| kind.ends_with("+zstd")) {
        let detail = "a layer is zstd-compressed, which the storage initializer's Python cannot read (kserve#6014)";
        lines.fail("layer-types", detail, "build with --compression none or gzip");
        return false;
    }
    let broken: Vec<String> = read_layers(image).filter_map(|(_, layer)| layer.as_ref().err().cloned()).collect();
    if !broken.is_empty() {
        lines.fail("layer-types", broken.join("; "), BUILD);
        return false;
    }
    let cut: Vec<String> = read_layers(image)
        .filter(|(_, layer)| layer.as_ref().is_ok_and(|listing| listing.further_members > 0))
        .map(|(number, _)| image.manifest.layers[number].digest.short())
        .collect();
    if !cut.is_empty() {
        let detail = format!("{} is gzip in several members, as eStargz is, and Python's tarfile reads only the first", some(&cut));
        lines.fail("layer-types", detail, "compress each layer as one gzip member, or build with `modelcar build`");
        return false;
    }
    let skipped: Vec<String> = types().filter(|kind| !READ.contains(kind)).map(str::to_owned).collect();
    if skipped.is_empty() {
        lines.pass("layer-types", "tar or gzip");
    } else {
        lines.warn("layer-types", format!("layers of {} are skipped without a word", some(&skipped)), BUILD);
    }
    true
}

type Layer<'a> = (usize, &'a Result<std::rc::Rc<crate::image::listing::LayerListing>, String>);

fn read_layers(image: &Image) -> impl Iterator<Item = Layer<'_>> {
    let read = |number: &usize| READ.contains(&image.manifest.layers[*number].media_type.as_str());
    (0..image.layers.len()).filter(read).map(|number| (number, &image.layers[number]))
}

/// What is kept of all layers, in order.
fn members(image: &Image) -> impl Iterator<Item = &Entry> {
    read_layers(image)
        .filter_map(|(_, layer)| layer.as_ref().ok())
        .flat_map(|listing| &listing.entries)
        .map(Rc::as_ref)
        .filter(|entry| !below(entry).is_empty())
}

/// The name under which a member is written; empty where it is left out.
fn below(entry: &Entry) -> &str {
    entry.name.trim_end_matches('/').strip_prefix(PREFIX).unwrap_or_default()
}

fn names(image: &Image, members: &[&Entry], lines: &mut Lines) {
    let otherwise: Vec<String> = read_layers(image)
        .filter_map(|(_, layer)| layer.as_ref().ok())
        .flat_map(|listing| &listing.entries)
        .filter(|entry| below(entry).is_empty() && entry.path().starts_with(PREFIX))
        .map(|entry| entry.name.clone())
        .collect();
    if !otherwise.is_empty() {
        let detail = format!("{} is left out: only names that begin with exactly `models/` are taken", some(&otherwise));
        lines.fail("names", detail, BUILD);
    } else if members.is_empty() {
        lines.fail("names", "no layer has a member below `models/`", BUILD);
    } else {
        lines.pass("names", format!("{} members begin with `models/`", members.len()));
    }
}

/// What Python's `filter="data"` and its stream mode refuse.
fn tar_members(members: &[&Entry], lines: &mut Lines) {
    let refused: Vec<String> =
        members.iter().filter_map(|entry| refusal(entry).map(|reason| format!("{}: {reason}", entry.name))).collect();
    if refused.is_empty() {
        lines.pass("members", "files, folders, and links that stay inside");
    } else {
        lines.fail("members", some(&refused), "pack the model anew: `modelcar build` writes links as the files they mean");
    }
}

fn refusal(entry: &Entry) -> Option<&'static str> {
    if below(entry).split('/').any(|part| part == "..") {
        return Some("its name climbs with `..`");
    }
    match &entry.kind {
        Kind::HardLink(_) => Some("hard links are not found again (KeyError)"),
        Kind::Symlink(target) if target.starts_with('/') => Some("an absolute link (AbsoluteLinkError)"),
        Kind::Symlink(target) if leaves(below(entry), target) => Some("a link that leaves the folder (LinkOutsideDestinationError)"),
        Kind::File | Kind::Directory | Kind::Symlink(_) => None,
        Kind::Special => Some("a device or pipe (SpecialFileError)"),
    }
}

/// Whether a link ends outside the folder that is written.
fn leaves(path: &str, target: &str) -> bool {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut depth = 0_usize;
    for part in folder.split('/').chain(target.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        match (part, depth) {
            ("..", 0) => return true,
            ("..", _) => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn whiteouts(members: &[&Entry], lines: &mut Lines) {
    let marks = members.iter().filter(|entry| below(entry).rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")));
    let marks: Vec<String> = marks.map(|entry| entry.name.clone()).collect();
    if !marks.is_empty() {
        let detail = format!("{} is written as a file, and what it should hide stays", some(&marks));
        lines.fail("whiteouts", detail, "pack the model anew instead of changing an image layer by layer");
    }
}

fn overwritten(members: &[&Entry], lines: &mut Lines) {
    let mut seen = BTreeSet::new();
    let files = members.iter().filter(|entry| entry.kind != Kind::Directory);
    let twice: Vec<String> = files.filter(|entry| !seen.insert(below(entry))).map(|entry| entry.name.clone()).collect();
    if !twice.is_empty() {
        lines.warn("duplicates", format!("{} is fetched more than once", some(&twice)), "pack the model anew instead of adding layers");
    }
}
