//! Which sites, and which image: the words of the command line.

use super::super::settings::Settings;
use super::super::{CliError, from_file, options};
use crate::oci::{Location, Reference};
use crate::rollout::fleet::Choice;
use crate::rollout::{RingName, SiteName};

/// Many sites in place of one, or the one by an option.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Many sites")]
pub(in crate::cli) struct SitesArgs {
    /// The site, in place of the word SITE
    #[arg(long, value_name = "SITE", value_parser = options::word::<SiteName>, conflicts_with_all = ["ring", "sites", "all"])]
    site: Option<SiteName>,
    /// All sites of this ring, in place of SITE
    #[arg(long, value_name = "RING", value_parser = options::word::<RingName>, conflicts_with_all = ["sites", "all"])]
    ring: Option<RingName>,
    /// The sites whose names match, in place of SITE: edge-*,lab-?
    #[arg(long, value_name = "GLOB", value_delimiter = ',', conflicts_with = "all")]
    sites: Vec<String>,
    /// Every site, in place of SITE
    #[arg(long)]
    all: bool,
}

impl SitesArgs {
    /// Which sites are meant, and the words behind SITE; `names` are what those words are.
    pub(in crate::cli) fn read<const N: usize>(&self, words: &[String], names: [&str; N]) -> Result<(Choice, [String; N]), CliError> {
        let (choice, rest) = match (self.chosen(), words) {
            (Some(choice), words) => (choice, words),
            (None, [site, rest @ ..]) => (Choice::Site(site_name(site)?), rest),
            (None, []) => return Err(wrong_words(&names, false)),
        };
        let rest: [String; N] = rest.to_vec().try_into().map_err(|_| wrong_words(&names, self.chosen().is_some()))?;
        Ok((choice, rest))
    }

    /// What the options choose.
    fn chosen(&self) -> Option<Choice> {
        match (&self.site, &self.ring, &self.sites[..]) {
            (Some(site), _, _) => Some(Choice::Site(site.clone())),
            (None, Some(ring), _) => Some(Choice::Ring(ring.clone())),
            (None, None, [_, ..]) => Some(Choice::Globs(self.sites.clone())),
            (None, None, []) => self.all.then_some(Choice::All),
        }
    }
}

fn site_name(text: &str) -> Result<SiteName, CliError> {
    Ok(text.parse::<SiteName>()?)
}

fn wrong_words(names: &[&str], is_chosen: bool) -> CliError {
    let (wanted, hint) = if is_chosen {
        (names.join(" "), "`--site`, `--ring`, `--sites` and `--all` stand in place of SITE")
    } else {
        (format!("SITE {}", names.join(" ")), "`--ring`, `--sites` or `--all` name many sites in place of SITE")
    };
    CliError::usage(format!("the words are not {wanted}"), hint)
}

/// The image that a word or `@FILE` names, in a registry: that is where sites pull from. `iris:v1` is one of the settings' own.
pub(in crate::cli) fn image(text: &str) -> Result<Reference, CliError> {
    match Settings::load()?.image(&from_file::expand(text)?)? {
        Location::Registry(reference) => Ok(reference),
        other => Err(CliError::usage(
            format!("`{other}` is in no registry, and sites pull from one"),
            format!("`modelcar copy {other} REGISTRY/REPOSITORY:TAG` first"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &SitesArgs, words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let told = |(choice, [model, image]): (Choice, [String; 2])| format!("{choice}: {model} {image}");
        args.read(&words, ["MODEL", "REF"]).map(told).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_word_is_the_site_unless_many_are_named() {
        let none = SitesArgs { site: None, ring: None, sites: vec![], all: false };
        let site = SitesArgs { site: Some("edge-01".parse().unwrap()), ring: None, sites: vec![], all: false };
        let ring = SitesArgs { site: None, ring: Some("pilot".parse().unwrap()), sites: vec![], all: false };
        let globs = SitesArgs { site: None, ring: None, sites: vec!["edge-*".to_owned(), "lab".to_owned()], all: false };
        for (args, words, expected) in [
            (&none, &["edge-01", "iris", "q.io/iris:v1"][..], Ok("the site edge-01: iris q.io/iris:v1")),
            (&site, &["iris", "q.io/iris:v1"], Ok("the site edge-01: iris q.io/iris:v1")),
            (&site, &["edge-01", "iris", "q.io/iris:v1"], Err("the words are not MODEL REF")),
            (&ring, &["iris", "q.io/iris:v1"], Ok("the ring pilot: iris q.io/iris:v1")),
            (&globs, &["iris", "q.io/iris:v1"], Ok("edge-*,lab: iris q.io/iris:v1")),
            (&none, &["iris", "q.io/iris:v1"], Err("the words are not SITE MODEL REF")),
            (&none, &[], Err("the words are not SITE MODEL REF")),
            (&ring, &["edge-01", "iris", "q.io/iris:v1"], Err("the words are not MODEL REF")),
            (&none, &["../up", "iris", "x"], Err("`../up` is not a valid site name: only lower-case letters, digits and `-` are allowed")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(read(args, words), expected, "{words:?}");
        }
    }

    #[test]
    fn sites_pull_from_registries_alone() {
        assert!(image("docker://q.io/iris:v1").is_ok());
        let error = image("oci:dir:v1").unwrap_err();
        assert!(error.hint().unwrap().contains("modelcar copy oci:dir:v1"), "{error}");
    }
}
