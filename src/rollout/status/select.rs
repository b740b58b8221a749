//! Which sites are meant.

use std::path::Path;

use super::StatusError;
use crate::rollout::{RolloutError, Site, SiteName, fleet};

/// Words about sites; nothing means all of them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// By name.
    pub names: Vec<SiteName>,
    /// By ring.
    pub ring: Option<String>,
    /// By patterns with `*` and `?`, of which one has to match.
    pub globs: Vec<String>,
}

/// A site, or its name and why its facts cannot be read.
pub type Chosen = Result<Site, (SiteName, RolloutError)>;

impl Selection {
    /// The sites that are meant, by name. A site with facts that cannot be read is in no ring.
    ///
    /// # Errors
    /// The folder cannot be read, or a named site has none.
    pub fn sites(&self, tree: &Path) -> Result<Vec<Chosen>, RolloutError> {
        let all = if self.names.is_empty() { fleet::sites(tree)? } else { self.named(tree)? };
        let by_name = all.into_iter().filter(|name| self.is_matched(name));
        let read = by_name.map(|name| Site::read(tree, &name).map_err(|error| (name, error)));
        Ok(read.filter(|site| self.is_in_ring(site)).collect())
    }

    fn named(&self, tree: &Path) -> Result<Vec<SiteName>, RolloutError> {
        let mut names = self.names.clone();
        names.sort();
        names.dedup();
        names.iter().try_for_each(|site| ensure_site(tree, site))?;
        Ok(names)
    }

    fn is_matched(&self, name: &SiteName) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| fleet::matches(glob, name.as_str()))
    }

    fn is_in_ring(&self, site: &Chosen) -> bool {
        let Some(wanted) = &self.ring else { return true };
        let facts = site.as_ref().ok().and_then(|site| site.facts.as_ref());
        facts.and_then(|facts| facts.ring.as_ref()).is_some_and(|ring| ring.as_str() == wanted)
    }
}

/// Refuses a site that has no folder.
///
/// # Errors
/// [`StatusError::NoSite`].
pub fn ensure_site(tree: &Path, site: &SiteName) -> Result<(), RolloutError> {
    if tree.join("sites").join(site.as_str()).is_dir() {
        return Ok(());
    }
    Err(StatusError::NoSite { site: site.to_string(), tree: tree.to_owned() }.into())
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn a_ring_and_a_pattern_choose_and_a_broken_site_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a-1", "ring: pilot"), ("a-2", "ring: fleet"), ("b-1", "ring: pilot"), ("b-2", "rings: x"), ("Not_a_site", "")]
        {
            let folder = dir.path().join("sites").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("site.yaml"), format!("version: 1\nkserve: '0.20'\n{text}\n")).unwrap();
        }
        let names = |selection: &Selection| {
            let sites = selection.sites(dir.path()).unwrap();
            sites.into_iter().map(|site| site.map_or_else(|(name, _)| format!("!{name}"), |site| site.name.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(names(&Selection::default()), ["a-1", "a-2", "b-1", "!b-2"]);
        assert_eq!(names(&Selection { ring: Some("pilot".to_owned()), ..Selection::default() }), ["a-1", "b-1"]);
        assert_eq!(names(&Selection { globs: vec!["x".to_owned(), "a-*".to_owned()], ..Selection::default() }), ["a-1", "a-2"]);
        let missing = Selection { names: vec!["c".parse().unwrap()], ..Selection::default() };
        assert!(missing.sites(dir.path()).unwrap_err().to_string().contains("there is no site `c`"));
    }
}
