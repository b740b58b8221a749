//! The file system that a container of an image sees: the layers laid over each other, links followed inside it.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>: an upper layer replaces, `.wh.NAME` hides what lower layers have
//! under that name, `.wh..wh..opq` all they have in that folder.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::ImageError;
use super::listing::{Entry, Kind};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;
/// The most steps from folder to folder for one path.
const MAX_STEPS: usize = 512;
/// The most steps for one image: a stranger's links must not keep us busy.
const MAX_ALL_STEPS: usize = 1_000_000;

/// The most bytes of names of folders that no member names: one long name brings two thousand of them.
const MAX_MADE: usize = 4 << 20;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The member that brought it; for a hard link the one with the content.
    pub entry: Rc<Entry>,
}

/// The merged file system of one platform's image. Paths have no slash at their ends; the root is the empty path.
#[derive(Debug, Default)]
pub struct Rootfs {
    nodes: BTreeMap<String, Node>,
    steps: Cell<usize>,
    /// Bytes of the names of folders that no member names.
    made: usize,
    /// The folder of the last member, as written and as it is: most members share theirs with the one before.
    folder: (String, String),
}

impl Rootfs {
    /// Lays layers over each other, the lowest first.
    ///
    /// # Errors
    /// More links than an honest image has.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a [Rc<Entry>]>) -> Result<Self, ImageError> {
        let mut rootfs = Self::default();
        for layer in layers {
            rootfs.hide(layer);
            rootfs.folder = Default::default();
            for entry in layer {
                rootfs.add(entry);
                if rootfs.steps.get() > MAX_ALL_STEPS {
                    return Err(ImageError::TooManyLinks);
                }
                if rootfs.made > MAX_MADE {
                    return Err(ImageError::DeepNames { limit: MAX_MADE });
                }
            }
        }
        Ok(rootfs)
    }

    /// Whiteouts are about the layers below, wherever in their own layer they stand.
    fn hide(&mut self, layer: &[Rc<Entry>]) {
        for entry in layer {
            let path = entry.path();
            let (parent, name) = split(&path);
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => self.clear(parent),
                Some(hidden) if !hidden.is_empty() => self.remove(&join(parent, hidden)),
                _ => {}
            }
        }
    }

    fn add(&mut self, entry: &Rc<Entry>) {
        let path = entry.path();
        let (parent, name) = split(&path);
        if name.starts_with(".wh.") || name == ".." || path.is_empty() {
            return;
        }
        if self.folder.0 != parent {
            self.folder = (parent.to_owned(), self.resolve(parent).unwrap_or_else(|| parent.to_owned()));
        }
        let parent = self.folder.1.clone();
        self.add_folders(&parent, entry);
        let path = join(&parent, name);
        let node = match &entry.kind {
            Kind::HardLink(target) => self.nodes.get(target.trim_matches('/').trim_start_matches("./")).cloned(),
            _ => Some(Node { entry: entry.clone() }),
        };
        if !(entry.kind == Kind::Directory && self.is_directory(&path)) {
            self.remove(&path);
        }
        self.nodes.extend(node.map(|node| (path, node)));
    }

    /// Folders that no member names are made by every engine: root's, mode 0755.
    fn add_folders(&mut self, path: &str, below: &Entry) {
        let mut path = path;
        while !path.is_empty() && !self.nodes.contains_key(path) {
            let entry = Entry {
                name: path.to_owned(),
                kind: Kind::Directory,
                size: 0,
                mode: 0o755,
                gid: 0,
                layer: below.layer,
                offset: below.offset,
                pax_size: false,
            };
            self.made += path.len();
            self.nodes.insert(path.to_owned(), Node { entry: Rc::new(entry) });
            path = split(path).0;
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.clear(path);
    }

    fn clear(&mut self, folder: &str) {
        let inside: Vec<String> = self.below(folder).map(|(path, _)| path.to_owned()).collect();
        for path in inside {
            self.nodes.remove(&path);
        }
    }

    /// Everything inside a folder, at any depth, in path order.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = self.nodes.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix));
        inside.map(|(path, node)| (path.as_str(), node))
    }

    /// What lies at a path, the last link not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path.trim_matches('/'))
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.nodes.get(path).is_some_and(|node| node.entry.kind == Kind::Directory)
    }

    /// The true path behind links; `None` where nothing is there or links go round in circles.
    pub fn resolve(&self, path: &str) -> Option<String> {
        let mut ahead: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let (mut here, mut links, mut steps) = (String::new(), 0, 0);
        while let Some(part) = ahead.pop() {
            steps += 1;
            if steps + ahead.len() > MAX_STEPS || self.steps.get() > MAX_ALL_STEPS {
                return None;
            }
            self.steps.set(self.steps.get() + 1);
            if part == ".." {
                here = split(&here).0.to_owned();
                continue;
            }
            let next = join(&here, &part);
            match &self.nodes.get(&next)?.entry.kind {
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        here.clear();
                    }
                    ahead.extend(parts(target).rev().take(MAX_STEPS + 1).map(str::to_owned));
                    self.steps.set(self.steps.get() + ahead.len());
                }
                Kind::Directory => here = next,
                _ if ahead.is_empty() => here = next,
                _ => return None,
            }
        }
        Some(here)
    }
}

/// The parts of a path that lead somewhere.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// The folder and the last part; the folder of a top-level name is the root.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: Kind) -> Rc<Entry> {
        Rc::new(Entry { name: name.to_owned(), kind, size: 1, mode: 0o644, gid: 0, layer: 0, offset: 512, pax_size: false })
    }

    fn file(name: &str) -> Rc<Entry> {
        entry(name, Kind::File)
    }

    fn link(name: &str, target: &str) -> Rc<Entry> {
        entry(name, Kind::Symlink(target.to_owned()))
    }

    fn rootfs(layers: &[Vec<Rc<Entry>>]) -> Rootfs {
        Rootfs::of(layers.iter().map(Vec::as_slice)).unwrap()
    }

    fn paths(rootfs: &Rootfs) -> Vec<&str> {
        rootfs.below("").map(|(path, _)| path).collect()
    }

    #[test]
    fn upper_layers_replace_and_white_out() {
        let lower = vec![file("a"), file("b"), file("c/d"), file("e/f"), file("e/g")];
        let upper = vec![file("a/x"), file(".wh.b"), file("c/new"), file("c/.wh..wh..opq"), file("e/.wh.f"), file("b2")];
        assert_eq!(paths(&rootfs(&[lower, upper])), ["a", "a/x", "b2", "c", "c/new", "e", "e/g"]);
    }

    #[test]
    fn a_whiteout_spares_its_own_layer_and_can_hide_everything() {
        let lower = vec![file("models/old"), file("bin/sh")];
        assert_eq!(
            paths(&rootfs(&[lower.clone(), vec![file("models/new"), file(".wh.models")]])),
            ["bin", "bin/sh", "models", "models/new"]
        );
        assert_eq!(paths(&rootfs(&[lower, vec![file(".wh..wh..opq")]])), Vec::<&str>::new());
    }

    #[test]
    fn links_are_followed_inside_the_image() {
        let rootfs = rootfs(&[vec![
            file("usr/bin/bash"),
            link("bin", "usr/bin"),
            link("usr/bin/sh", "bash"),
            link("abs", "/usr/bin/sh"),
            link("out", "../../../usr/bin/bash"),
            link("loop", "loop"),
            link("dangling", "nowhere"),
            entry("hard", Kind::HardLink("usr/bin/bash".to_owned())),
        ]]);
        for path in ["/bin/sh", "bin/bash", "abs", "out", "bin/../bin/./sh"] {
            assert_eq!(rootfs.resolve(path).as_deref(), Some("usr/bin/bash"), "{path}");
        }
        for path in ["loop", "dangling", "usr/bin/bash/x", "nothing"] {
            assert_eq!(rootfs.resolve(path), None, "{path}");
        }
        assert_eq!(rootfs.get("hard").unwrap().entry.name, "usr/bin/bash");
        assert_eq!(rootfs.resolve("/").as_deref(), Some(""));
    }

    #[test]
    fn a_member_behind_a_link_lands_where_the_link_leads() {
        let layers = [vec![entry("usr/lib", Kind::Directory), link("lib", "usr/lib")], vec![file("lib/ld.so")]];
        assert_eq!(paths(&rootfs(&layers)), ["lib", "usr", "usr/lib", "usr/lib/ld.so"]);
    }

    #[test]
    fn names_that_climb_are_not_taken_in() {
        assert_eq!(paths(&rootfs(&[vec![file(".."), file("."), file("/"), file("a/..")]])), Vec::<&str>::new());
    }

    #[test]
    fn links_without_end_are_given_up() {
        let mut layer = vec![link("a0", &"b/".repeat(1500)), entry("b", Kind::Directory)];
        layer.extend((0..100_000).map(|number| link(&format!("a0/{number}"), "/a0")));
        let rootfs = Rootfs::of([layer.as_slice()]);
        assert!(rootfs.is_err() || rootfs.is_ok_and(|rootfs| rootfs.steps.get() <= MAX_ALL_STEPS));
    }

    #[test]
    fn long_names_do_not_make_folders_without_end() {
        let layer: Vec<_> = (0..10).map(|number| file(&format!("{number}{}", "/x".repeat(2000)))).collect();
        let error = Rootfs::of([layer.as_slice()]).unwrap_err();
        assert!(matches!(error, ImageError::DeepNames { .. }), "{error}");
        assert!(Rootfs::of([&layer[..1]]).is_ok());
    }

    #[test]
    fn a_second_name_costs_no_second_entry() {
        let rootfs = rootfs(&[vec![file("a"), entry("b", Kind::HardLink("a".to_owned()))]]);
        assert!(Rc::ptr_eq(&rootfs.get("a").unwrap().entry, &rootfs.get("b").unwrap().entry));
    }
}
