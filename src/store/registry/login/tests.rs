use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn user(name: &str, secret: &str) -> User {
    User::new(name, &Zeroizing::new(secret.to_owned())).unwrap()
}

fn stored(file: &Path, scope_of: &str, name: &str, secret: &str) -> String {
    keep_in(&Target::File(file.to_owned()), &scope(scope_of), &user(name, secret)).unwrap();
    fs_err::read_to_string(file).unwrap()
}

/// Who a file logs in, as any other command reads it.
fn found(file: &Path, registry: &str, repository: &str) -> Option<(String, String)> {
    let found = credentials::find(&[Place { file: file.to_owned(), required: true }], registry, repository).unwrap()?;
    Some(match found.login {
        Login::Password { user, password } => (user, password.expose().to_owned()),
        Login::Identity { token, .. } => ("identity".to_owned(), token.expose().to_owned()),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "stands for what `found` gives")]
fn pair(user: &str, secret: &str) -> Option<(String, String)> {
    Some((user.to_owned(), secret.to_owned()))
}

#[test]
fn a_scope_is_a_registry_or_a_part_of_one() {
    for (text, shown, key) in [
        ("quay.io", "quay.io", "quay.io"),
        ("https://quay.io/", "quay.io", "quay.io"),
        ("quay.io/org", "quay.io/org", "quay.io/org"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "localhost:5000/a/b"),
        ("registry:5000", "registry:5000", "registry:5000"),
        ("docker.io", "docker.io", "docker.io"),
        ("index.docker.io", "docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io", "docker.io"),
        ("docker.io/library", "docker.io/library", "docker.io/library"),
    ] {
        let scope = scope(text);
        assert_eq!((scope.to_string().as_str(), scope.key().as_str()), (shown, key), "{text}");
    }
    for text in ["", "quay", "org/model", "quay.io/org:v1", "user:pw@quay.io", "quay.io/Org", "quay.io/a b"] {
        let error = text.parse::<Scope>().unwrap_err();
        assert!(error.contains("quay.io/org"), "{text}: {error}");
    }
}

#[test]
fn a_user_fits_into_a_header_and_a_refusal_tells_no_secret() {
    for (name, secret) in [("", "pw"), ("a:b", "pw"), ("a\n", "pw"), ("u", ""), ("u", "CANARY\nCANARY"), ("u", "CANARY\0")] {
        let error = User::new(name, &Zeroizing::new(secret.to_owned())).unwrap_err();
        assert!(!error.contains("CANARY"), "{error}");
    }
    assert!(User::new("u", &Zeroizing::new("x".repeat(MAX_SECRET + 1))).is_err());
    assert_eq!(format!("{:?}", user("ci+robot", "CANARY")), "User(\"ci+robot\", ***)");
}

#[test]
fn what_is_written_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new/containers/auth.json");
    for (scope_of, name, secret) in [("quay.io", "u", "p:w"), ("quay.io/org", "robot", "pw2"), ("docker.io", "hub", "pw3")] {
        stored(&file, scope_of, name, secret);
    }
    assert_eq!(found(&file, "quay.io", "x"), pair("u", "p:w"));
    assert_eq!(found(&file, "quay.io", "org/model"), pair("robot", "pw2"));
    assert_eq!(found(&file, "docker.io", "library/a"), pair("hub", "pw3"));
    stored(&file, "quay.io", "<token>", "refresh");
    assert_eq!(found(&file, "quay.io", "x"), pair("identity", "refresh"));
    stored(&file, "quay.io", "u", "again");
    assert_eq!(found(&file, "quay.io", "x"), pair("u", "again"), "nothing of an identity token is left");
}

#[test]
fn everything_else_in_a_file_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let before = "{\n\t\"z\": 12345678901234567890.10,\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"dTpwdw==\"\n\t\t},\n\t\t\"quay.io\": {\n\t\t\t\"email\": \"a@b\",\n\t\t\t\"auth\": \"dTpwdw==\"\n\t\t}\n\t},\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gcloud\"\n\t},\n\t\"a\": [1, {\"psFormat\": \"x\"}]\n}";
    fs_err::write(&file, before).unwrap();
    let after = stored(&file, "quay.io", "n", "s");
    let entry = "\"email\": \"a@b\",\n\t\t\t\"auth\": \"bjpz\"\n";
    assert_eq!(after, before.replace("\"email\": \"a@b\",\n\t\t\t\"auth\": \"dTpwdw==\"\n", entry) + "\n");
    forget_in(&Target::File(file.clone()), &scope("quay.io")).unwrap();
    let text = fs_err::read_to_string(&file).unwrap();
    assert!(text.contains("gcloud") && text.contains("ghcr.io") && !text.contains("quay.io"), "{text}");
}

#[test]
fn a_registry_has_one_log_in_under_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    let old = r#"{"auths":{"docker.io":{"auth":"b2xkOm9sZA=="},"https://index.docker.io/v1/":{"auth":"b2xkOm9sZA=="},"docker.io/org":{"auth":"dTpwdw=="}}}"#;
    fs_err::write(&file, old).unwrap();
    let text = stored(&file, "docker.io", "new", "pw");
    assert!(text.contains("https://index.docker.io/v1/") && !text.contains("b2xkOm9sZA=="), "{text}");
    assert_eq!(found(&file, "docker.io", "library/a"), pair("new", "pw"));
    assert_eq!(found(&file, "docker.io", "org/a"), pair("u", "pw"));
    assert!(forget_in(&Target::File(file.clone()), &scope("index.docker.io")).unwrap().1);
    assert_eq!(found(&file, "docker.io", "library/a"), None);
    assert_eq!(found(&file, "docker.io", "org/a"), pair("u", "pw"), "a part of the registry keeps its own");
}

#[test]
fn a_file_is_its_owners_alone_and_is_replaced_as_a_whole_behind_a_link_too() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("dotfiles.json"), dir.path().join("auth.json"));
    fs_err::write(&real, "{}").unwrap();
    fs_err::set_permissions(&real, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    stored(&link, "quay.io", "u", "pw");
    assert!(link.is_symlink() && found(&real, "quay.io", "a").is_some());
    assert_eq!(fs_err::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = fs_err::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing stays behind: {names:?}");
}

#[test]
fn many_may_log_in_at_once_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let file = &file;
            scope.spawn(move || stored(file, &format!("registry{number}.example.com"), "u", "pw"));
        }
    });
    assert!((0..16).all(|number| found(&file, &format!("registry{number}.example.com"), "a").is_some()));
}

#[test]
fn a_broken_file_is_left_alone_and_never_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    for text in ["CANARY", r#"{"auths":["CANARY"]}"#, r#"{"auths":{"quay.io":"CANARY"}}"#, r#"{"a":1} CANARY"#] {
        fs_err::write(&file, text).unwrap();
        let error = keep_in(&Target::File(file.clone()), &scope("quay.io"), &user("u", "pw")).unwrap_err();
        assert!(error.to_string().contains("auth.json") && !format!("{error:?}").contains("CANARY"), "{error:?}");
        assert_eq!(fs_err::read_to_string(&file).unwrap(), text);
    }
    for text in ["", "\n", "{}", r#"{"auths":null}"#, r#"{"auths":{}}"#] {
        fs_err::write(&file, text).unwrap();
        stored(&file, "quay.io", "u", "pw");
    }
}

#[test]
fn logging_out_of_what_nobody_logged_in_to_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    assert_eq!(forget_in(&Target::File(file.clone()), &scope("quay.io")).unwrap(), (Kept::File(file.clone()), false));
    assert!(!file.exists());
    fs_err::write(&file, r#"{"auths":{"quay.io/org":{"auth":"dTpwdw=="}}}"#).unwrap();
    assert!(!forget_in(&Target::File(file.clone()), &scope("quay.io")).unwrap().1, "that of a part is another one");
    assert_eq!(file::remove_all(&file).unwrap(), ["quay.io/org"]);
    assert_eq!(found(&file, "quay.io", "org/a"), None);
}

/// Which file a log-in goes to, by the variables that are set.
#[test]
fn a_log_in_goes_where_podman_puts_it() {
    type Variables = [(&'static str, &'static str)];
    let at = |uid, named: Option<&str>, variables: &'static Variables| {
        thread_local!(static VARIABLES: std::cell::RefCell<HashMap<&'static str, &'static str>> = std::cell::RefCell::default());
        VARIABLES.with_borrow_mut(|set| *set = variables.iter().copied().collect());
        let system = System { uid, env: |name| VARIABLES.with_borrow(|set| set.get(name).map(OsString::from)) };
        write_place(named.map(Path::new), &system).display().to_string()
    };
    let all: &Variables =
        &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_CONFIG_HOME", "/c"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/e")];
    assert_eq!(at(7, Some("/a"), all), "/a");
    assert_eq!(at(7, None, all), "/e");
    assert_eq!(at(7, None, &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("DOCKER_CONFIG", "/d")]), "/d/config.json");
    assert_eq!(at(7, None, &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]), "/r/containers/auth.json");
    assert_eq!(at(0, None, &[("HOME", "/h")]), "/run/containers/0/auth.json");
    assert_eq!(at(7, None, &[("HOME", "/h")]), "/h/.config/containers/auth.json");
    assert_eq!(at(7, None, &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_RUNTIME_DIR", "")]), "/c/containers/auth.json");
    assert_eq!(at(7, None, &[]), "/run/containers/7/auth.json");
}

#[test]
fn a_helper_keeps_whole_registries_and_a_file_their_parts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let system = System { uid: 7, env: |_| None };
    let at = |json: &str, scope_of: &str| {
        fs_err::write(&file, json).unwrap();
        match target(&scope(scope_of), Some(&file), &system).unwrap() {
            Target::Helper(name, _) => name,
            Target::File(_) => "file".to_owned(),
        }
    };
    for (json, scope_of, expected) in [
        (r#"{"credHelpers":{"quay.io":"own"},"credsStore":"all"}"#, "quay.io", "own"),
        (r#"{"credHelpers":{"ghcr.io":"own"},"credsStore":"all"}"#, "quay.io", "all"),
        (r#"{"credHelpers":{"ghcr.io":"own"}}"#, "quay.io", "file"),
        (r#"{"credsStore":"all"}"#, "quay.io/org", "file"),
        (r#"{"credHelpers":{"https://index.docker.io/v1/":"own"}}"#, "docker.io", "own"),
        ("{}", "quay.io", "file"),
    ] {
        assert_eq!(at(json, scope_of), expected, "{json} {scope_of}");
    }
}
