//! The sites of a GitOps folder, chosen and put into waves.
//!
//! `fleet.yaml` beside `sites/` says in which order rings move; a ring that it does not name, and sites without a ring, come last.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::Deserialize;

use super::{AskError, RingName, RolloutError, Site, SiteName, yaml};

/// The most sites of a tree.
const MAX_SITES: usize = 100_000;
/// The most rings of a fleet.
const MAX_RINGS: usize = 100;

/// Which sites are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Site(SiteName),
    /// All of a ring.
    Ring(RingName),
    /// Those whose names match one of the patterns: `*` is any text, `?` one letter.
    Globs(Vec<String>),
    /// Every one.
    All,
}

/// Sites that change with one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// What to call it: `ring pilot`, `ring pilot 2/3`, `sites without a ring`.
    pub label: String,
    /// Its sites, by name.
    pub sites: Vec<SiteName>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    rings: Vec<String>,
}

/// The order of rings.
///
/// # Errors
/// A `fleet.yaml` that does not say what it should.
pub fn rings(tree: &Path) -> Result<Vec<RingName>, RolloutError> {
    let path = tree.join("fleet.yaml");
    let Some(text) = yaml::read(&path)? else { return Ok(Vec::new()) };
    let options = serde_saphyr::options! { budget: serde_saphyr::budget! { max_aliases: 0, max_nodes: 1024, max_depth: 4 } };
    let unreadable = |source| RolloutError::Yaml { path: path.clone(), source: Box::new(source) };
    let file: File = serde_saphyr::from_str_with_options(&text, options).map_err(unreadable)?;
    if file.version != 1 || file.rings.len() > MAX_RINGS {
        return Err(RolloutError::shape(&path, format!("a fleet is `version: 1` and at most {MAX_RINGS} rings")));
    }
    file.rings.iter().map(|name| name.parse()).collect()
}

/// The names of all sites: the folders below `sites/`.
///
/// # Errors
/// A folder that cannot be read.
pub fn sites(tree: &Path) -> Result<Vec<SiteName>, RolloutError> {
    let folder = tree.join("sites");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(RolloutError::io("read", &folder))?.take(MAX_SITES).filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<SiteName> = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// The sites that are meant, in waves of one ring each and of at most `size` sites.
///
/// # Errors
/// [`AskError::NoSuchSite`] and [`AskError::NoSites`]; a `fleet.yaml` that cannot be read.
pub fn waves(tree: &Path, choice: &Choice, size: Option<usize>) -> Result<Vec<Wave>, RolloutError> {
    let all = sites(tree)?;
    let chosen: Vec<SiteName> = match choice {
        Choice::Site(site) if !all.contains(site) => return Err(AskError::NoSuchSite { site: site.clone(), sites: shown(&all) }.into()),
        Choice::Site(site) => return Ok(vec![Wave { label: format!("sites/{site}"), sites: vec![site.clone()] }]),
        Choice::Globs(globs) => all.into_iter().filter(|site| globs.iter().any(|glob| matches(glob, site.as_str()))).collect(),
        Choice::Ring(_) | Choice::All => all,
    };
    let mut by_ring: BTreeMap<Option<RingName>, Vec<SiteName>> = BTreeMap::new();
    for (ring, site) in of_rings(tree, chosen) {
        if !matches!(choice, Choice::Ring(wanted) if ring.as_ref() != Some(wanted)) {
            by_ring.entry(ring).or_default().push(site);
        }
    }
    if by_ring.is_empty() {
        return Err(AskError::NoSites { choice: choice.to_string(), known: known(tree, choice)? }.into());
    }
    Ok(ordered(by_ring, &rings(tree)?, size.unwrap_or(usize::MAX).max(1)))
}

/// The sites whose `site.yaml` cannot be read, and why: nobody knows which ring they are in.
///
/// # Errors
/// A folder that cannot be read.
pub fn unreadable(tree: &Path) -> Result<Vec<(SiteName, RolloutError)>, RolloutError> {
    let read = sites(tree)?.into_iter().map(|name| (Site::read(tree, &name), name));
    Ok(read.filter_map(|(site, name)| Some((name, site.err()?))).collect())
}

/// What could have been chosen instead.
fn known(tree: &Path, choice: &Choice) -> Result<String, RolloutError> {
    let all = sites(tree)?;
    if !matches!(choice, Choice::Ring(_)) {
        return Ok(shown(&all));
    }
    let rings: std::collections::BTreeSet<_> = of_rings(tree, all).into_iter().filter_map(|(ring, _)| ring).collect();
    Ok(rings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn of_rings(tree: &Path, sites: Vec<SiteName>) -> Vec<(Option<RingName>, SiteName)> {
    // A site that cannot be read is in no ring, and told when its turn comes; it does not stop the others.
    let ring = |name: &SiteName| Site::read(tree, name).ok()?.facts?.ring;
    sites.into_iter().map(|name| (ring(&name), name)).collect()
}

fn ordered(by_ring: BTreeMap<Option<RingName>, Vec<SiteName>>, order: &[RingName], size: usize) -> Vec<Wave> {
    let place = |ring: &Option<RingName>| match ring {
        Some(ring) => order.iter().position(|known| known == ring).unwrap_or(order.len()),
        None => usize::MAX,
    };
    let mut rings: Vec<_> = by_ring.into_iter().collect();
    rings.sort_by_key(|(ring, _)| place(ring));
    rings.iter().flat_map(|(ring, sites)| parts(ring.as_ref(), sites, size)).collect()
}

fn parts(ring: Option<&RingName>, sites: &[SiteName], size: usize) -> Vec<Wave> {
    let name = ring.map_or_else(|| "sites without a ring".to_owned(), |ring| format!("ring {ring}"));
    let count = sites.len().div_ceil(size);
    let label = |number: usize| if count == 1 { name.clone() } else { format!("{name} {}/{count}", number + 1) };
    sites.chunks(size).enumerate().map(|(number, sites)| Wave { label: label(number), sites: sites.to_vec() }).collect()
}

/// The first few names of many, for a hint.
fn shown(sites: &[SiteName]) -> String {
    const SHOWN: usize = 8;
    let names = sites.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if sites.len() > SHOWN { format!("{names} and {} more", sites.len() - SHOWN) } else { names }
}

/// Whether a name matches a pattern of `*` and `?`.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where the last `*` stood, and how much of the name it had taken.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((begun, taken)) = star else { return false };
                star = Some((begun, taken + 1));
                at = begun + 1;
                seen = taken + 1;
            }
        }
    }
    glob[at..].iter().all(|letter| *letter == b'*')
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Site(site) => write!(f, "the site {site}"),
            Self::Ring(ring) => write!(f, "the ring {ring}"),
            Self::Globs(globs) => f.write_str(&globs.join(",")),
            Self::All => f.write_str("sites/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(sites: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (site, ring) in sites {
            let folder = dir.path().join("sites").join(site);
            fs::create_dir_all(&folder).unwrap();
            let ring = if ring.is_empty() { String::new() } else { format!("ring: {ring}\n") };
            fs::write(folder.join("site.yaml"), format!("version: 1\nkserve: '0.20'\n{ring}")).unwrap();
        }
        dir
    }

    fn told(waves: &[Wave]) -> Vec<String> {
        let names = |wave: &Wave| wave.sites.iter().map(SiteName::as_str).collect::<Vec<_>>().join(" ");
        waves.iter().map(|wave| format!("{}: {}", wave.label, names(wave))).collect()
    }

    #[test]
    fn rings_move_in_the_order_of_the_fleet_and_sites_without_one_last() {
        let dir = tree(&[("a", ""), ("b", "fleet"), ("c", "pilot"), ("d", "canary"), ("e", "pilot"), ("f", "other")]);
        fs::write(dir.path().join("fleet.yaml"), "version: 1\nrings: [canary, pilot, fleet]\n").unwrap();
        let waves = waves(dir.path(), &Choice::All, None).unwrap();
        let expected = ["ring canary: d", "ring pilot: c e", "ring fleet: b", "ring other: f", "sites without a ring: a"];
        assert_eq!(told(&waves), expected);
    }

    #[test]
    fn chooses_by_ring_by_pattern_and_by_name() {
        let dir = tree(&[("edge-01", "pilot"), ("edge-02", "fleet"), ("lab-1", "pilot")]);
        let chosen = |choice: &Choice| told(&waves(dir.path(), choice, None).unwrap()).join("; ");
        assert_eq!(chosen(&Choice::Ring("pilot".parse().unwrap())), "ring pilot: edge-01 lab-1");
        assert_eq!(chosen(&Choice::Globs(vec!["edge-0?".to_owned()])), "ring fleet: edge-02; ring pilot: edge-01");
        assert_eq!(chosen(&Choice::Site("lab-1".parse().unwrap())), "sites/lab-1: lab-1");
        let error = waves(dir.path(), &Choice::Site("edge-1".parse().unwrap()), None).unwrap_err();
        assert!(error.hint().unwrap().contains("edge-01, edge-02, lab-1"), "{error}");
        let error = waves(dir.path(), &Choice::Ring("x".parse().unwrap()), None).unwrap_err();
        assert!(error.to_string().contains("the ring x"), "{error}");
    }

    #[test]
    fn a_large_ring_is_cut_into_waves() {
        let names: Vec<String> = (0..5).map(|number| format!("s{number}")).collect();
        let dir = tree(&names.iter().map(|name| (name.as_str(), "pilot")).collect::<Vec<_>>());
        let waves = waves(dir.path(), &Choice::All, Some(2)).unwrap();
        assert_eq!(told(&waves), ["ring pilot 1/3: s0 s1", "ring pilot 2/3: s2 s3", "ring pilot 3/3: s4"]);
    }

    #[test]
    fn patterns_know_stars_and_question_marks() {
        for (glob, name, expected) in [
            ("*", "edge-01", true),
            ("edge-*", "edge-01", true),
            ("*-01", "edge-01", true),
            ("e*e-?1", "edge-01", true),
            ("edge", "edge-01", false),
            ("edge-0??", "edge-01", false),
            ("", "edge", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }

    #[test]
    fn refuses_a_fleet_that_cannot_be_meant() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["version: 2\n", "rings: [a]\n", "version: 1\nring: [a]\n", "version: 1\nrings: ['a b']\n"] {
            fs::write(dir.path().join("fleet.yaml"), text).unwrap();
            assert!(rings(dir.path()).is_err(), "{text}");
        }
    }
}
