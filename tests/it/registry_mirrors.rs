//! `registries.conf` says where an image is read from, and podman's library reads it the same way; what is written goes where it was named.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::fault_proxy::{Fault, Part, Proxy, Rule, Seen};
use crate::support::faults::{Bench, LARGE};
use crate::support::registry::{Registry, Setup};
use crate::support::{clean_command, need, run};

/// A name that no machine has.
const IMAGE: &str = "models.test/calm/m:v1";

/// A registry with the image and another one with a copy of it, each behind a proxy that counts.
struct Field {
    bench: Bench,
    other: Registry,
}

/// What a reader asked of whom.
struct Asked {
    origin: Proxy,
    mirror: Proxy,
}

impl Field {
    fn start() -> Option<Self> {
        let (bench, other) = (Bench::start()?, Registry::start()?);
        let [from, to] = [format!("{}/calm/m:v1", bench.registry.host), format!("{}/cache/m:v1", other.host)];
        run(bench.modelcar().args(["copy", "-q", &from, &to]));
        Some(Self { bench, other })
    }

    fn proxies(&self, mirror: Vec<Rule>) -> Asked {
        Asked { origin: Proxy::start(&self.bench.registry.host, Vec::new()), mirror: Proxy::start(&self.other.host, mirror) }
    }

    fn conf(&self, text: &str) -> PathBuf {
        let file = self.bench.home().join("registries.conf");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Reads into a new layout.
    fn pull(&self, conf: &str, image: &str, place: &str) -> Output {
        let mut command = self.bench.modelcar();
        command.env("CONTAINERS_REGISTRIES_CONF", self.conf(conf)).args(["pull", "--retry-delay", "10ms", "--no-referrers", image, place]);
        command.output().unwrap()
    }

    fn skopeo(&self, conf: &str, image: &str, place: &str) -> Option<Output> {
        let mut command: Command = clean_command(need("skopeo")?, self.bench.home());
        command.current_dir(self.bench.home()).arg("--registries-conf").arg(self.conf(conf));
        command.args(["copy", "-q", "--all", "--preserve-digests", &format!("docker://{image}"), &format!("oci:{place}:v1")]);
        Some(command.output().unwrap())
    }

    fn is_whole(&self, place: &str) -> bool {
        self.bench.layout_is_whole(&self.bench.home().join(place)).unwrap()
    }
}

impl Asked {
    /// An entry for `models.test` with one mirror.
    fn conf(&self, entry: &str, mirror: &str) -> String {
        conf(entry, &self.origin.host(), mirror, &format!("{}/cache", self.mirror.host()))
    }

    /// Whose manifest of the image it was.
    fn answered(&self) -> Vec<&'static str> {
        let gave = |proxy: &Proxy| proxy.seen_of("GET", "/manifests/").iter().any(|seen| seen.status == Some(200));
        [("mirror", gave(&self.mirror)), ("origin", gave(&self.origin))].iter().filter(|(_, gave)| *gave).map(|(name, _)| *name).collect()
    }
}

fn conf(entry: &str, origin: &str, mirror: &str, location: &str) -> String {
    format!(
        "[[registry]]\nprefix = \"models.test/calm\"\nlocation = \"{origin}/calm\"\ninsecure = true\n{entry}\n\
         [[registry.mirror]]\nlocation = \"{location}\"\ninsecure = true\n{mirror}\n"
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address at which nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A name, the file, the image, and whose manifest it is.
type Row<'a> = (&'a str, &'a dyn Fn(&Asked) -> String, &'a str, &'a [&'a str]);

#[test]
fn the_same_place_answers_as_for_podman() {
    let Some(field) = Field::start() else { return };
    let pinned = format!("models.test/calm/m@{}", field.bench.digest);
    let none = |asked: &Asked| conf("", &asked.origin.host(), "", &format!("{}/none", asked.mirror.host()));
    let down = |asked: &Asked| conf("", &asked.origin.host(), "", &format!("{}/cache", nobody()));
    let with = |entry: &'static str, mirror: &'static str| move |asked: &Asked| asked.conf(entry, mirror);
    let table: [Row<'_>; 9] = [
        ("up", &with("", ""), IMAGE, &["mirror"]),
        ("down", &down, IMAGE, &["origin"]),
        ("lacks", &none, IMAGE, &["origin"]),
        ("digests, a tag", &with("mirror-by-digest-only = true", ""), IMAGE, &["origin"]),
        ("digests, a digest", &with("mirror-by-digest-only = true", ""), &pinned, &["mirror"]),
        ("digest-only, a tag", &with("", "pull-from-mirror = \"digest-only\""), IMAGE, &["origin"]),
        ("tag-only, a tag", &with("", "pull-from-mirror = \"tag-only\""), IMAGE, &["mirror"]),
        ("tag-only, a digest", &with("", "pull-from-mirror = \"tag-only\""), &pinned, &["origin"]),
        ("another name", &with("", ""), "127.0.0.1:1/other/m:v1", &[]),
    ];
    for (number, (name, conf, image, expected)) in table.into_iter().enumerate() {
        let (ours, theirs) = (format!("ours{number}"), format!("theirs{number}"));
        let asked = field.proxies(Vec::new());
        let output = field.pull(&conf(&asked), image, &ours);
        assert_eq!(asked.answered(), expected, "{name}: {}", said(&output));
        assert_eq!(
            (output.status.success(), field.is_whole(&ours)),
            (!expected.is_empty(), !expected.is_empty()),
            "{name}: {}",
            said(&output)
        );
        // Debian's skopeo is older than `pull-from-mirror`
        if conf(&asked).contains("pull-from-mirror") {
            continue;
        }
        let asked = field.proxies(Vec::new());
        let Some(output) = field.skopeo(&conf(&asked), image, &theirs) else { return };
        assert_eq!(
            (asked.answered().as_slice(), output.status.success()),
            (expected, !expected.is_empty()),
            "skopeo, {name}: {}",
            said(&output)
        );
    }
}

#[test]
fn what_is_blocked_is_read_from_its_mirror_or_not_at_all() {
    let Some(field) = Field::start() else { return };
    let asked = field.proxies(Vec::new());
    let output = field.pull(&asked.conf("blocked = true", ""), IMAGE, "mirrored");
    assert!(output.status.success() && field.is_whole("mirrored"), "{}", said(&output));
    assert!(asked.origin.seen().is_empty());

    let asked = field.proxies(Vec::new());
    let output = field.pull(&asked.conf("blocked = true\nmirror-by-digest-only = true", ""), IMAGE, "blocked");
    let file = field.bench.home().join("registries.conf");
    let expected = format!(
        "error: `models.test/calm/m` may not be read: models.test/calm is blocked in {}\n\nhint: read it from another registry, or have the entry \
         changed by whoever keeps the file",
        file.display()
    );
    assert_eq!((output.status.code(), said(&output).trim_end()), (Some(1), expected.as_str()));
    assert!(asked.origin.seen().is_empty() && asked.mirror.seen().is_empty());
    assert!(!field.bench.home().join("blocked").exists());
}

#[test]
fn a_mirror_that_breaks_off_is_left_in_the_middle_of_a_blob() {
    let Some(field) = Field::start() else { return };
    let asked = field.proxies(vec![
        Rule::on("GET", "/blobs/", Part::ResponseBody, LARGE as u64 / 2, Fault::Reset),
        Rule::on("GET", "/blobs/", Part::RequestHead, 0, Fault::Reset).having("range").always(),
    ]);
    let output = field.pull(&asked.conf("", ""), IMAGE, "broken");
    assert!(output.status.success() && field.is_whole("broken"), "{}", said(&output));
    assert!(asked.mirror.all_struck());
    let gets: Vec<Seen> = asked.origin.seen_of("GET", "/blobs/");
    assert!(gets.len() == 1 && gets[0].header("range").is_some_and(|range| range.starts_with("bytes=1")), "{gets:?}");
}

#[test]
fn a_mirror_is_not_believed() {
    let Some(field) = Field::start() else { return };
    let flip = |path: &'static str| vec![Rule::on("GET", path, Part::ResponseBody, 600, Fault::Flip).always()];
    let asked = field.proxies(flip("/blobs/"));
    let output = field.pull(&asked.conf("", ""), IMAGE, "flipped");
    assert_eq!((output.status.code(), field.is_whole("flipped")), (Some(3), false), "{}", said(&output));

    let asked = field.proxies(vec![Rule::on("GET", "/manifests/", Part::ResponseBody, 180, Fault::Flip).always()]);
    let output = field.pull(&asked.conf("", ""), IMAGE, "other");
    assert!(output.status.success() && field.is_whole("other"), "{}", said(&output));
    assert_eq!(asked.mirror.seen_of("GET", "/blobs/").len(), 0);
}

#[test]
fn what_is_written_goes_where_it_was_named() {
    let Some(field) = Field::start() else { return };
    let asked = field.proxies(Vec::new());
    let host = asked.origin.host();
    let text =
        format!("[[registry]]\nlocation = \"{host}\"\nblocked = true\n[[registry.mirror]]\nlocation = \"{}\"\n", asked.mirror.host());
    let mut copy = field.bench.modelcar();
    run(copy.env("CONTAINERS_REGISTRIES_CONF", field.conf(&text)).args(["copy", "-q", "oci:calm.oci", &format!("{host}/new/m:v1")]));
    assert_eq!(field.bench.registry.tag("new/m", "v1").as_ref(), Some(&field.bench.digest));
    assert!(asked.mirror.seen().is_empty());
}

#[test]
fn it_is_told_who_answered_and_signatures_that_a_mirror_lacks_come_from_the_origin() {
    let Some(field) = Field::start() else { return };
    let image = format!("{}/calm/m:v1", field.bench.registry.host);
    for words in [&["keygen", "-q", "--output-key-prefix", "a"][..], &["sign", "-q", "--key", "a.key", &image]] {
        run(field.bench.modelcar().env("COSIGN_PASSWORD", "").args(words));
    }
    let asked = field.proxies(Vec::new());
    let conf = field.conf(&asked.conf("", ""));
    let output = run(field.bench.modelcar().env("CONTAINERS_REGISTRIES_CONF", &conf).args(["copy", "-v", IMAGE, "oci:signed"]));
    let told = said(&output);
    assert!(told.contains(&format!("the image is read from {}/cache/m", asked.mirror.host())), "{told}");
    assert!(told.contains(", with 3 signatures, 3 bundles: 3 signatures, to "), "{told}");
}

#[test]
fn unverified_tls_is_allowed_where_the_file_says_so_and_the_user_does_not_forbid_it() {
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    let bench = Bench::start();
    let Some(bench) = bench else { return };
    let image = format!("{}/calm/m:v1", registry.host);
    run(bench.modelcar().args(["copy", "-q", "oci:calm.oci", &image, "--ca-file"]).arg(registry.ca_file()));
    let file = bench.home().join("r.conf");
    let read = |insecure: bool, flags: &[&str]| {
        std::fs::write(&file, format!("[[registry]]\nlocation = \"{}\"\ninsecure = {insecure}\n", registry.host)).unwrap();
        bench.modelcar().env("CONTAINERS_REGISTRIES_CONF", &file).args(["inspect", "-q", &image]).args(flags).output().unwrap()
    };
    for (insecure, flags, good) in [(true, &[][..], true), (false, &[], false), (true, &["--tls-verify=true"], false)] {
        let output = read(insecure, flags);
        assert_eq!(output.status.success(), good, "{insecure} {flags:?}: {}", said(&output));
    }
}
