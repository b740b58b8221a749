//! Decides which file goes into which layer. Pure: names and sizes in, lists of files out.
//!
//! A layer is what a registry stores, a node pulls and a new version re-uses, so the split follows three rules:
//!
//! 1. A file of 1 MiB or more is a layer of its own: a new version uploads only the files that changed, and nodes pull layers in
//!    parallel.
//! 2. Smaller files share a few group layers. The group is chosen by the hash of the file's path, so that a file that is added,
//!    removed or changed touches its own group and no other.
//! 3. No image has more than [`MAX_LAYERS`] layers, base included (cri-o#6261, buildkit#4810: readers fail from 70 to 128 on).
//!    Where there are more large files than layers left, they are cut into runs of nearly equal size in path order.

use crate::oci::Digest;

/// The most layers an image has, base included.
pub const MAX_LAYERS: usize = 50;
/// From this size on a file has a layer of its own, in bytes.
pub const LARGE_FILE: u64 = 1 << 20;
/// How much the small files of one group come to, about, in bytes.
const GROUP_SIZE: u64 = 64 << 20;
/// The most groups of small files.
pub const MAX_GROUPS: usize = 8;

/// What the plan needs to know of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {
    /// The path in the image, `models/1/model.onnx`.
    pub path: String,
    /// In bytes.
    pub size: u64,
}

/// The files of one layer, as positions in the list that was planned, in path order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerPlan {
    /// One file.
    File(usize),
    /// Several files.
    Group(Vec<usize>),
}

impl LayerPlan {
    /// The files of the layer.
    pub fn files(&self) -> &[usize] {
        match self {
            Self::File(file) => std::slice::from_ref(file),
            Self::Group(files) => files,
        }
    }

    fn of(files: Vec<usize>) -> Self {
        match files[..] {
            [file] => Self::File(file),
            _ => Self::Group(files),
        }
    }
}

/// Plans the model layers: large files by path, then the groups of small files. `taken` layers belong to the base, at most
/// `MAX_LAYERS - MAX_GROUPS - 1`.
pub fn plan(files: &[PlanFile], taken: usize) -> Vec<LayerPlan> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by(|a, b| files[*a].path.cmp(&files[*b].path));
    let (large, small): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|file| files[*file].size >= LARGE_FILE);

    let groups = group(files, &small);
    let slots = MAX_LAYERS.saturating_sub(taken + groups.len()).max(1);
    let mut layers = if large.len() <= slots { large.into_iter().map(LayerPlan::File).collect() } else { runs(files, &large, slots) };
    layers.extend(groups);
    layers
}

/// Spreads small files over 1, 2, 4 or 8 groups by the hash of their path.
fn group(files: &[PlanFile], small: &[usize]) -> Vec<LayerPlan> {
    let total: u64 = small.iter().map(|file| files[*file].size).sum();
    let count = usize::try_from(total / GROUP_SIZE).unwrap_or(MAX_GROUPS).saturating_add(1).next_power_of_two().min(MAX_GROUPS);
    let mut groups = vec![Vec::new(); count];
    for file in small {
        let bucket = Digest::of(files[*file].path.as_bytes()).as_bytes()[0];
        groups[usize::from(bucket) % count].push(*file);
    }
    groups.into_iter().filter(|group| !group.is_empty()).map(LayerPlan::of).collect()
}

/// Cuts files into at most `count` runs: a file belongs to the run in whose share of the bytes it begins.
fn runs(files: &[PlanFile], large: &[usize], count: usize) -> Vec<LayerPlan> {
    let total: u128 = large.iter().map(|file| u128::from(files[*file].size)).sum();
    let mut runs = vec![Vec::new(); count];
    let mut begin: u128 = 0;
    for file in large {
        let share = begin * count as u128 / total.max(1);
        runs[usize::try_from(share).unwrap_or(count).min(count - 1)].push(*file);
        begin += u128::from(files[*file].size);
    }
    runs.into_iter().filter(|run| !run.is_empty()).map(LayerPlan::of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn file(path: &str, size: u64) -> PlanFile {
        PlanFile { path: path.to_owned(), size }
    }

    fn named(files: &[PlanFile], taken: usize) -> Vec<Vec<&str>> {
        plan(files, taken).iter().map(|layer| layer.files().iter().map(|file| files[*file].path.as_str()).collect()).collect()
    }

    #[test]
    fn large_files_have_their_own_layer_and_small_files_share_the_last() {
        let files = [file("m/b.bin", 3 * MIB), file("m/z.json", 10), file("m/a.bin", MIB), file("m/c.json", 20)];
        assert_eq!(named(&files, 1), [vec!["m/a.bin"], vec!["m/b.bin"], vec!["m/c.json", "m/z.json"]]);
    }

    #[test]
    fn one_small_file_is_a_layer_of_one_file() {
        assert_eq!(plan(&[file("m/model.onnx", 700)], 1), [LayerPlan::File(0)]);
    }

    #[test]
    fn an_added_small_file_touches_one_group_only() {
        let mut files: Vec<PlanFile> = (0..300).map(|n| file(&format!("m/{n:03}"), MIB - 1)).collect();
        let before = named(&files, 1).len();
        assert_eq!(before, 8, "300 MB of small files spread over all groups");
        let old: Vec<Vec<String>> = named(&files, 1).iter().map(|l| l.iter().map(ToString::to_string).collect()).collect();
        files.push(file("m/added", 5));
        let new: Vec<Vec<String>> = named(&files, 1).iter().map(|l| l.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(old.iter().filter(|layer| !new.contains(layer)).count(), 1);
    }

    #[test]
    fn more_shards_than_layers_are_cut_into_even_runs() {
        let files: Vec<PlanFile> = (0..160).map(|n| file(&format!("m/model-{n:05}"), 5000 * MIB)).collect();
        let layers = plan(&files, 1);
        assert!(layers.len() < MAX_LAYERS);
        let sizes: Vec<usize> = layers.iter().map(|layer| layer.files().len()).collect();
        assert!(sizes.iter().all(|size| (3..=4).contains(size)), "{sizes:?}");
    }

    proptest! {
        #[test]
        fn every_file_is_in_exactly_one_layer_and_the_cap_holds(sizes in proptest::collection::vec(0..8 * MIB, 1..400), taken in 0..MAX_LAYERS - MAX_GROUPS) {
            let files: Vec<PlanFile> = sizes.iter().enumerate().map(|(n, size)| file(&format!("m/{n}"), *size)).collect();
            let layers = plan(&files, taken);
            prop_assert!(layers.len() + taken <= MAX_LAYERS);
            let mut seen: Vec<usize> = layers.iter().flat_map(|layer| layer.files().to_vec()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..files.len()).collect::<Vec<_>>());
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(mut sizes in proptest::collection::vec(0..4 * MIB, 1..60)) {
            let files: Vec<PlanFile> = sizes.drain(..).enumerate().map(|(n, size)| file(&format!("m/{n}"), size)).collect();
            let reversed: Vec<PlanFile> = files.iter().rev().cloned().collect();
            prop_assert_eq!(named(&files, 1), named(&reversed, 1));
        }
    }
}
