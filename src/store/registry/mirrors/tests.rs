use std::path::Path;

use super::parse::parse;
use super::*;
use crate::oci::Digest;

fn mirrors(text: &str) -> Mirrors {
    parse(text, Path::new("r.conf")).unwrap()
}

/// The places of an image, `!` behind the insecure ones; or why there are none.
fn places(text: &str, image: &str) -> String {
    match mirrors(text).route(&image.parse().unwrap()) {
        Ok(route) => {
            let names = route
                .before
                .iter()
                .chain([&route.last])
                .map(|source| format!("{}{}", source.image, if source.insecure { "!" } else { "" }));
            names.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_longest_prefix_decides_and_is_replaced() {
    let text = r#"
        [[registry]]
        location = "a.io"
        [[registry]]
        prefix = "a.io/org"
        location = "b.io/moved/org/"
        [[registry]]
        prefix = "a.io/org/deep"
        location = "c.io:5000/x"
        insecure = true
        [[registry]]
        prefix = "*.wild.io"
        location = "d.io/w"
        [[registry]]
        prefix = "*.wild.io/sub"
        insecure = true
        [[registry]]
        prefix = "very.long.wild.io"
        location = "e.io"
        [[registry]]
        prefix = "*.a.io/same"
        location = "first.io"
        [[registry]]
        prefix = "*.a.io/same"
        location = "second.io"
        [[registry]]
        prefix = "docker.io/library"
        location = "hub.io/l"
    "#;
    for (image, expected) in [
        ("a.io/m:v1", "a.io/m:v1"),
        ("a.io/org/m:v1", "b.io/moved/org/m:v1"),
        ("a.io/org:v1", "b.io/moved/org:v1"),
        ("a.io/organ/m:v1", "a.io/organ/m:v1"),
        ("a.io/org/deep/m", "c.io:5000/x/m!"),
        ("a.io/org/deeper/m", "b.io/moved/org/deeper/m"),
        ("a.io:5000/org/m", "a.io:5000/org/m"),
        ("x.wild.io/m:v1", "d.io/w/m:v1"),
        ("x.y.wild.io/m", "d.io/w/m"),
        ("wild.io/m", "wild.io/m"),
        ("x.wild.io:5000/m", "x.wild.io:5000/m"),
        ("z.io/x.wild.io/m", "z.io/x.wild.io/m"),
        ("x.wild.io/sub/m", "x.wild.io/sub/m!"),
        ("very.long.wild.io/m", "e.io/m"),
        ("q.a.io/same/m", "first.io/m"),
        ("docker.io/busybox:1", "hub.io/l/busybox:1"),
        ("index.docker.io/busybox", "hub.io/l/busybox"),
        ("docker.io/org/m", "docker.io/org/m"),
        ("other.io/m", "other.io/m"),
    ] {
        assert_eq!(places(text, image), expected, "{image}");
    }
}

#[test]
fn mirrors_come_in_their_order_and_the_place_itself_last() {
    let text = |entry: &str, first: &str, second: &str| {
        format!(
            "[[registry]]\nlocation = \"a.io\"\n{entry}\n[[registry.mirror]]\nlocation = \"m1.io/a\"\n{first}\n\
             [[registry.mirror]]\nlocation = \"m2.io\"\n{second}\n[[registry]]\nlocation = \"blocked.io\"\nblocked = true\n"
        )
    };
    let digest = Digest::of(b"");
    let (tagged, pinned) = ("a.io/m:v1", format!("a.io/m@{digest}"));
    let blocked = "`a.io/m` may not be read: a.io is blocked in r.conf";
    for (text, image, expected) in [
        (text("", "", ""), tagged, "m1.io/a/m:v1 m2.io/m:v1 a.io/m:v1".to_owned()),
        (text("insecure = true", "", ""), tagged, "m1.io/a/m:v1 m2.io/m:v1 a.io/m:v1!".to_owned()),
        (text("", "insecure = true", ""), tagged, "m1.io/a/m:v1! m2.io/m:v1 a.io/m:v1".to_owned()),
        (text("mirror-by-digest-only = true", "", ""), tagged, "a.io/m:v1".to_owned()),
        (text("mirror-by-digest-only = true", "", ""), &pinned, format!("m1.io/a/m@{digest} m2.io/m@{digest} a.io/m@{digest}")),
        (text("", "pull-from-mirror = \"digest-only\"", "pull-from-mirror = \"tag-only\""), tagged, "m2.io/m:v1 a.io/m:v1".to_owned()),
        (
            text("", "pull-from-mirror = \"digest-only\"", "pull-from-mirror = \"tag-only\""),
            &pinned,
            format!("m1.io/a/m@{digest} a.io/m@{digest}"),
        ),
        (text("", "pull-from-mirror = \"all\"", ""), tagged, "m1.io/a/m:v1 m2.io/m:v1 a.io/m:v1".to_owned()),
        (text("blocked = true", "", ""), tagged, "m1.io/a/m:v1 m2.io/m:v1".to_owned()),
        (text("blocked = true\nmirror-by-digest-only = true", "", ""), tagged, blocked.to_owned()),
        (text("", "", "").replace("m1.io/a", "blocked.io"), tagged, "m2.io/m:v1 a.io/m:v1".to_owned()),
        (text("", "", ""), "blocked.io/m", "`blocked.io/m` may not be read: blocked.io is blocked in r.conf".to_owned()),
    ] {
        assert_eq!(places(&text, image), expected, "{text}\n{image}");
    }
}

#[test]
fn a_tag_and_a_digest_both_stay() {
    let digest = Digest::of(b"");
    let text = "[[registry]]\nprefix = \"a.io\"\nlocation = \"b.io\"\n";
    assert_eq!(places(text, &format!("a.io/m:v1@{digest}")), format!("b.io/m:v1@{digest}"));
}

#[test]
fn unknown_keys_and_those_that_mean_nothing_here_are_passed_over() {
    let text = r#"
        unqualified-search-registries = ["docker.io"]
        short-name-mode = "enforcing"
        credential-helpers = ["x"]
        future = { a = 1 }
        [aliases]
        "iris" = "quay.io/org/iris"
        [[registry]]
        location = "a.io"
        future = 1
        [[registry.mirror]]
        location = "m.io"
        future = "x"
    "#;
    assert_eq!(places(text, "a.io/m"), "m.io/m a.io/m");
    assert_eq!(mirrors("# nothing\n"), Mirrors::default());
}

#[test]
fn the_older_form_still_says_what_is_insecure_and_blocked() {
    let text = "[registries.search]\nregistries = [\"x.io\"]\n[registries.insecure]\nregistries = [\"a.io\", \"b.io\"]\n\
                [registries.block]\nregistries = [\"b.io/\"]\n";
    assert_eq!(places(text, "a.io/m"), "a.io/m!");
    assert!(places(text, "b.io/m").contains("b.io is blocked"));
    assert_eq!(places(text, "x.io/m"), "x.io/m");
}

#[test]
fn what_is_wrong_is_said() {
    let entry = |lines: &str| format!("[[registry]]\n{lines}\n");
    let mirror = |lines: &str| format!("[[registry]]\nlocation = \"a.io\"\n{lines}\n[[registry.mirror]]\n");
    for (text, expected) in [
        ("x = \n".to_owned(), "line 1: it is not TOML"),
        ("[registry]\nlocation = \"a.io\"".to_owned(), "`registry` should be a list of tables, and is table"),
        (entry(""), "no `location` and no `prefix`"),
        (entry("prefix = \"a.io\""), "`a.io` has no `location`"),
        (entry("location = \"\""), "is empty"),
        (entry("location = \"https://a.io\""), "`https://a.io` begins with a scheme"),
        (entry("location = \"a .io\""), "has white space"),
        (entry("location = 7"), "`registry.location` should be text, and is integer"),
        (entry("location = \"a.io\"\nblocked = \"yes\""), "`registry.blocked` should be true or false, and is string"),
        (entry("location = \"a.io\"\npull-from-mirror = \"all\""), "belongs to a `[[registry.mirror]]`"),
        (mirror(""), "a `[[registry.mirror]]` has no `location`"),
        (mirror("") + "location = \"m.io\"\npull-from-mirror = \"never\"", "is all, digest-only or tag-only, not `never`"),
        (mirror("mirror-by-digest-only = true") + "location = \"m.io\"\npull-from-mirror = \"all\"", "beside `mirror-by-digest-only`"),
        (mirror("") + "location = \"m.io\"\ninsecure = 1", "`registry.mirror.insecure` should be true or false"),
        (entry("location = \"a.io\"") + "[registries.block]\nregistries = [\"b.io\"]", "mixes"),
        (entry("location = \"a.io\"") + &entry("prefix = \"b.io\"\nlocation = \"a.io\"\nblocked = true"), "`a.io` is there twice"),
    ] {
        let reason = parse(&text, Path::new("r.conf")).unwrap_err();
        assert!(reason.contains(expected), "{text}\n{reason}");
    }
    let no_name = "[[registry]]\nprefix = \"a.io\"\nlocation = \"UPPER.io/CASE\"\n";
    assert!(places(no_name, "a.io/m").contains("cannot use r.conf"));
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/registry.md")).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let pinned = format!("iris@{}", Digest::of(b""));
    assert_eq!(places(example, "quay.io/models/iris:v1"), "registry.example.com/models/iris:v1");
    assert_eq!(
        places(example, &format!("quay.io/models/{pinned}")),
        format!("mirror.local:5000/models/{pinned}! registry.example.com/models/{pinned}")
    );
}
