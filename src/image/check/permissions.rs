//! What a container may read whose user is any number, and whose group is 0: OpenShift gives every namespace its own range of users.

use super::{Lines, some};
use crate::image::listing::{Entry, Kind};
use crate::image::rootfs::Rootfs;

const FIX: &str = "make files 0644 and folders 0755 in the image; `modelcar build` does";

/// Whether somebody else with group 0 has all of these rights (4 read, 2 write, 1 execute or search).
pub(super) fn allows(entry: &Entry, rights: u32) -> bool {
    let of_group = if entry.gid == 0 { entry.mode >> 3 } else { 0 };
    (entry.mode | of_group) & rights == rights
}

/// Whether every folder above a path can be searched.
pub(super) fn reachable(rootfs: &Rootfs, path: &str) -> bool {
    path.match_indices('/').filter_map(|(slash, _)| rootfs.get(&path[..slash])).all(|node| allows(&node.entry, 1))
}

/// Every file of the model can be read, every folder listed and searched.
pub(super) fn check(rootfs: &Rootfs, models: &str, lines: &mut Lines) {
    let own = rootfs.get(models).map(|node| (models, node));
    let closed: Vec<String> = own
        .into_iter()
        .chain(rootfs.below(models))
        .filter(|(_, node)| match node.entry.kind {
            Kind::File => !allows(&node.entry, 4),
            Kind::Directory => !allows(&node.entry, 5),
            _ => false,
        })
        .map(|(path, node)| format!("/{path} ({:04o})", node.entry.mode))
        .collect();
    if closed.is_empty() {
        lines.pass("permissions", "any user with group 0 can read the model");
    } else {
        lines.fail("permissions", format!("a user with a random number and group 0 cannot read {}", some(&closed)), FIX);
    }
}
