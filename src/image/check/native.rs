//! `oci+native://`: the kubelet mounts the image as a volume, and of it `subPath: models`
//! (`pkg/utils/storage.go` of kserve/kserve v0.20, `AddOciImageVolume`).

use super::subject::{Image, Subject};
use super::{Lines, engine, permissions};
use crate::image::listing::Kind;

const BUILD: &str = "build the image with `modelcar build`";

pub(super) fn check(subject: &Subject, lines: &mut Lines) {
    lines.pass("reference", "deploy it by digest: KServe's pull policy is IfNotPresent, so a node never pulls a tag that moved");
    for image in &subject.images {
        lines.on(&image.platform);
        if !engine::is_image(image, lines) {
            continue;
        }
        sub_path(image, lines);
        engine::depth(image, lines);
    }
}

/// A subPath must be a folder: the kubelet refuses links, and KServe's mount path cannot be a file.
fn sub_path(image: &Image, lines: &mut Lines) {
    match image.rootfs.get("models").map(|node| &node.entry.kind) {
        Some(Kind::Directory) if image.rootfs.below("models").next().is_none() => lines.fail("models", "/models is empty", BUILD),
        Some(Kind::Directory) => {
            lines.pass("models", "subPath `models` is a folder");
            permissions::check(&image.rootfs, "models", lines);
        }
        Some(Kind::Symlink(target)) => {
            lines.fail("models", format!("/models is a symbolic link to `{target}`, and a subPath must be a folder"), BUILD);
        }
        Some(_) => lines.fail("models", "/models is not a folder", BUILD),
        None => lines.fail("models", "there is no /models, the subPath that KServe mounts", BUILD),
    }
}
