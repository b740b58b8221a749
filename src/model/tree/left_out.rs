//! What was left out of a model, told in a few lines: `left out original/ (3 files, 26.0 GiB): …`.

use std::fs;
use std::path::Path;

/// Groups that are told; beyond these only their number.
const MAX_NOTES: usize = 20;
/// Entries that are counted in one folder that is left out; it may be somebody's home directory.
const MAX_COUNTED: u64 = 10_000;

/// Everything left out, in the order in which it was met.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// A file, or a folder with a slash.
    place: String,
    why: &'static str,
    /// Only of a folder.
    size: Option<Size>,
}

/// Files and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    files: u64,
    bytes: u64,
}

impl LeftOut {
    /// A file.
    pub(super) fn file(&mut self, place: &str, why: &'static str) {
        self.groups.push(Group { place: place.to_owned(), why, size: None });
    }

    /// A folder with all that is in it.
    pub(super) fn folder(&mut self, place: &str, source: &Path, why: &'static str) {
        let size = Size::of(source).filter(|size| size.files > 0);
        self.groups.push(Group { place: format!("{place}/"), why, size });
    }

    /// A line for each; files of one folder with one reason share a line.
    pub(super) fn notes(&self) -> Vec<String> {
        let lines = self.lines();
        let mut notes: Vec<_> = lines.iter().take(MAX_NOTES).cloned().collect();
        if lines.len() > MAX_NOTES {
            notes.push(format!("… and {} more left out", lines.len() - MAX_NOTES));
        }
        notes
    }

    fn lines(&self) -> Vec<String> {
        let folder = |place: &str| place.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        let alike = |a: &Group, b: &Group| a.size.is_none() && b.size.is_none() && a.why == b.why && folder(&a.place) == folder(&b.place);
        self.groups.chunk_by(alike).map(line).collect()
    }
}

fn line(groups: &[Group]) -> String {
    const SHOWN: usize = 3;
    let places: Vec<_> = groups.iter().take(SHOWN).map(|group| crate::model::facts::printable(&group.place)).collect();
    let more = groups.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let size = groups.first().and_then(|group| group.size).map(|size| format!(" ({size})")).unwrap_or_default();
    let why = groups.first().map_or("", |group| group.why);
    format!("left out {}{more}{size}: {why}", places.join(", "))
}

impl Size {
    /// Of a folder, without following links; what cannot be read counts nothing. `None` where it is too large to be counted.
    fn of(folder: &Path) -> Option<Self> {
        let mut size = Self::default();
        let (mut folders, mut seen) = (vec![folder.to_owned()], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                seen += 1;
                if seen > MAX_COUNTED {
                    return None;
                }
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    Ok(metadata) => size = Self { files: size.files + 1, bytes: size.bytes.saturating_add(metadata.len()) },
                    Err(_) => {}
                }
            }
        }
        Some(size)
    }
}

impl std::fmt::Display for Size {
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.files == 1 { "" } else { "s" };
        write!(f, "{} file{plural}, ", self.files)?;
        let unit = ["B", "KiB", "MiB", "GiB", "TiB"];
        let power = usize::try_from(self.bytes.checked_ilog2().unwrap_or(0) / 10).unwrap_or(0).min(unit.len() - 1);
        match power {
            0 => write!(f, "{} B", self.bytes),
            _ => write!(f, "{:.1} {}", self.bytes as f64 / 1024_f64.powi(power.try_into().unwrap_or(0)), unit[power]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_with_its_size_and_files_together() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("original/deep")).unwrap();
        fs::write(dir.path().join("original/a"), vec![0; 1536]).unwrap();
        fs::write(dir.path().join("original/deep/b"), vec![0; 512]).unwrap();
        let mut left_out = LeftOut::default();
        left_out.folder("original", &dir.path().join("original"), "twice");
        for file in ["a.pth", "b.pth", "c.pth", "d.pth"] {
            left_out.file(file, "twice");
        }
        left_out.file("sub/e.pth", "twice");
        left_out.file("sub/f.pth", "other");
        assert_eq!(
            left_out.notes(),
            [
                "left out original/ (2 files, 2.0 KiB): twice",
                "left out a.pth, b.pth, c.pth and 1 more: twice",
                "left out sub/e.pth: twice",
                "left out sub/f.pth: other",
            ]
        );
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (files, bytes, expected) in [
            (1, 0, "1 file, 0 B"),
            (2, 1023, "2 files, 1023 B"),
            (3, 26 << 30, "3 files, 26.0 GiB"),
            (1, u64::MAX, "1 file, 16777216.0 TiB"),
        ] {
            assert_eq!(Size { files, bytes }.to_string(), expected);
        }
    }
}
