use super::*;

fn find_in(json: &str, registry: &str, repository: &str) -> Result<Option<Credential>, RegistryError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    fs_err::write(&file, json).unwrap();
    find(&[Place { file, required: true }], registry, repository)
}

fn user(json: &str, registry: &str, repository: &str) -> Option<String> {
    find_in(json, registry, repository).unwrap().map(|credential| match credential.login {
        Login::Password { user, password } => format!("{user}:{}", password.expose()),
        Login::Identity { token, .. } => format!("identity {}", token.expose()),
    })
}

fn entry(user: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:pw")))
}

#[test]
fn the_longest_key_wins() {
    let json = format!(
        r#"{{"auths":{{"quay.io":{},"quay.io/org":{},"quay.io/org/model":{},"quay.io/organisation":{}}}}}"#,
        entry("host"),
        entry("org"),
        entry("model"),
        entry("other"),
    );
    for (registry, repository, expected) in [
        ("quay.io", "org/model", Some("model:pw")),
        ("quay.io", "org/model2", Some("org:pw")),
        ("quay.io", "org/model/sub", Some("model:pw")),
        ("quay.io", "elsewhere", Some("host:pw")),
        ("quay.io:443", "org/model", None),
        ("notquay.io", "org/model", None),
    ] {
        assert_eq!(user(&json, registry, repository).as_deref(), expected, "{registry}/{repository}");
    }
}

#[test]
fn dockers_old_keys_are_understood() {
    for (key, registry, repository, found) in [
        ("https://index.docker.io/v1/", "docker.io", "library/a", true),
        ("index.docker.io", "docker.io", "library/a", true),
        ("docker.io/library", "docker.io", "library/a", true),
        ("https://quay.io/v2/", "quay.io", "org/model", true),
        ("http://localhost:5000", "localhost:5000", "a", true),
        ("https://index.docker.io/v1/", "quay.io", "a", false),
    ] {
        let json = format!(r#"{{"auths":{{"{key}":{}}}}}"#, entry("u"));
        assert_eq!(user(&json, registry, repository).is_some(), found, "{key} for {registry}/{repository}");
    }
}

#[test]
fn every_form_of_entry_is_read() {
    for (entry, expected) in [
        (r#"{"auth":"dTpwOnc="}"#, Some("u:p:w")),
        (r#"{"auth":"dTpwdwAA"}"#, Some("u:pw")),
        (r#"{"username":"u","password":"pw"}"#, Some("u:pw")),
        (r#"{"username":"u","password":""}"#, Some("u:")),
        (r#"{"auth":"dTpwdw==","identitytoken":"it"}"#, Some("identity it")),
        (r#"{"identitytoken":"","auth":"dTpwdw=="}"#, Some("u:pw")),
        (r#"{"auth":"dTpwdw==","email":"x@y","unknown":1}"#, Some("u:pw")),
        ("{}", None),
        (r#"{"auth":""}"#, None),
        (r#"{"username":"u"}"#, None),
    ] {
        let json = format!(r#"{{"auths":{{"quay.io":{entry}}}}}"#);
        assert_eq!(user(&json, "quay.io", "a").as_deref(), expected, "{entry}");
    }
}

#[test]
fn a_bad_file_is_named_and_never_quoted() {
    for json in [
        r#"{"auths":{"quay.io":"CANARY"}}"#,
        r#"{"auths":["CANARY"]}"#,
        "CANARY",
        r#"{"auths":{"quay.io":{"auth":"CANARY!"}}}"#,
        r#"{"auths":{"quay.io":{"auth":"Q0FOQVJZ"}}}"#,
    ] {
        let error = find_in(json, "quay.io", "a").unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("auth.json") && !text.contains("CANARY") && !text.contains("Q0FOQVJZ"), "{text}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn secrets_do_not_print() {
    let found = find_in(r#"{"auths":{"quay.io":{"username":"u","password":"CANARY"}}}"#, "quay.io", "a").unwrap().unwrap();
    let text = format!("{found:?} {}", found.who());
    assert!(!text.contains("CANARY") && text.contains("user `u` from"), "{text}");
}

#[test]
fn files_are_asked_in_podmans_order() {
    let files = |vars: &[(&str, &str)], authfile: Option<&str>| -> Vec<String> {
        let vars: HashMap<String, OsString> = vars.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let places = places(authfile.map(Path::new), 7, &|name| vars.get(name).cloned());
        let text = |place: &Place| format!("{}{}", place.file.display(), if place.required { "!" } else { "" });
        places.iter().map(text).collect()
    };
    let all = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_CONFIG_HOME", "/c"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/e")];
    assert_eq!(
        files(&all, Some("/a")),
        [
            "/a!",
            "/e!",
            "/r/containers/auth.json",
            "/run/containers/7/auth.json",
            "/c/containers/auth.json",
            "/d/config.json",
            "/d/.dockerconfigjson"
        ]
    );
    let at_home =
        ["/run/containers/7/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json", "/h/.docker/.dockerconfigjson"];
    assert_eq!(files(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "")], None), at_home);
    assert_eq!(files(&[], None), ["/run/containers/7/auth.json"]);
}

#[test]
fn the_first_file_that_knows_the_repository_wins() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str, json: Option<String>| {
        let file = dir.path().join(name);
        if let Some(json) = json {
            fs_err::write(&file, json).unwrap();
        }
        Place { file, required: false }
    };
    let places = [
        place("missing", None),
        place("empty", Some(String::new())),
        place("other", Some(format!(r#"{{"auths":{{"ghcr.io":{}}}}}"#, entry("x")))),
        place("first", Some(format!(r#"{{"auths":{{"quay.io":{}}}}}"#, entry("first")))),
        place("second", Some(format!(r#"{{"auths":{{"quay.io/org":{}}}}}"#, entry("second")))),
    ];
    let found = find(&places, "quay.io", "org/model").unwrap().unwrap();
    assert!(found.who().starts_with("user `first` from ") && found.who().ends_with("first"), "{}", found.who());
}

#[test]
fn a_file_that_the_user_named_must_be_there() {
    let place = Place { file: PathBuf::from("/no/such/auth.json"), required: true };
    let error = check(&place).unwrap_err();
    assert!(error.to_string().contains("/no/such/auth.json"), "{error}");
    assert!(check(&Place { required: false, ..place }).is_ok());
}

#[test]
fn helpers_come_before_and_after_the_entries_of_a_file() {
    // a helper that is not there fails by its name: enough to see which one is asked, and when
    let helper_asked = |json: &str| match find_in(json, "quay.io", "org/model") {
        Err(RegistryError::Helper { program, .. }) => program,
        other => format!("{:?}", other.unwrap().map(|found| found.who().split(' ').nth(1).map(str::to_owned))),
    };
    let entry = entry("u");
    let with = |rest: &str| format!(r#"{{"auths":{{"quay.io":{entry}}},{rest}}}"#);
    assert_eq!(helper_asked(&with(r#""credHelpers":{"quay.io":"no-such-a"}"#)), "docker-credential-no-such-a");
    assert_eq!(helper_asked(&with(r#""credsStore":"no-such-b""#)), r#"Some(Some("`u`"))"#);
    assert_eq!(helper_asked(r#"{"auths":{"quay.io":{}},"credsStore":"no-such-b"}"#), "docker-credential-no-such-b");
    assert_eq!(helper_asked(r#"{"credHelpers":{"ghcr.io":"no-such-a"}}"#), "None");
}

/// As the kubelet mounts it: a link to a link to the folder of this version.
#[test]
fn a_folder_that_is_a_mounted_secret_is_a_place() {
    for name in ["config.json", ".dockerconfigjson"] {
        let dir = tempfile::tempdir().unwrap();
        let version = dir.path().join("..2026_11_23");
        fs_err::create_dir(&version).unwrap();
        fs_err::write(version.join(name), format!(r#"{{"auths":{{"quay.io":{}}}}}"#, entry("robot"))).unwrap();
        std::os::unix::fs::symlink("..2026_11_23", dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
        let by_option = places(Some(dir.path()), 0, &|_| None);
        let by_variable = places(None, 0, &|name| (name == "REGISTRY_AUTH_FILE").then(|| dir.path().into()));
        for places in [by_option, by_variable] {
            let found = find(&places, "quay.io", "a").unwrap().unwrap();
            assert!(found.who().contains("robot") && found.who().contains(name), "{}", found.who());
        }
    }
}

#[test]
fn a_folder_without_credentials_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = find(&places(Some(dir.path()), 0, &|_| None), "quay.io", "a").unwrap_err().to_string();
    assert!(error.contains(&dir.path().display().to_string()) && error.contains("neither config.json nor .dockerconfigjson"), "{error}");
}
