//! Certificates, ours and theirs: registries that want to see one, and what is said when something about theirs is wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::registry::{Registry, Setup, write_certificates};
use crate::support::{clean_command, lacks, modelcar, need, run, temp_dir};

fn words(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn build(home: &Path, host: &str, rest: &[&str]) -> Command {
    fs::write(home.join("m.bin"), "weights").unwrap();
    let mut command = modelcar(home);
    command.current_dir(home).args(["build", "-q", "--push", "-t", &format!("{host}/org/m:v1"), "m.bin", "--retry-times", "0"]).args(rest);
    command
}

fn openssl(dir: &Path, arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')).current_dir(dir));
}

#[test]
fn a_registry_that_wants_a_certificate_is_shown_the_one_of_its_folder() {
    let Some(program) = need("openssl") else { return };
    let clients = temp_dir();
    write_certificates(&program, clients.path());
    let clientcas = format!("    clientcas:\n      - {}\n", clients.path().join("ca.pem").display());
    let Some(registry) = Registry::start_with(&Setup { tls: true, http: clientcas, ..Setup::default() }) else { return };
    let (home, host) = (temp_dir(), &registry.host);
    let folder = home.path().join("certs");
    fs::create_dir(&folder).unwrap();
    fs::copy(registry.ca_file(), folder.join("ca.crt")).unwrap();

    let output = build(home.path(), host, &["--cert-dir", "certs"]).output().unwrap();
    assert!(words(&output).contains("hint: the registry wants to see this client's certificate"), "{}", words(&output));

    fs::copy(clients.path().join("server.pem"), folder.join("client.cert")).unwrap();
    let output = build(home.path(), host, &["--cert-dir", "certs"]).output().unwrap();
    assert!(words(&output).contains("there is no key certs/client.key beside this certificate"), "{}", words(&output));

    fs::copy(clients.path().join("server.key"), folder.join("client.key")).unwrap();
    run(&mut build(home.path(), host, &["--cert-dir", "certs"]));
    let ca = registry.ca_file().display().to_string();
    assert_eq!(build(home.path(), host, &["--ca-file", &ca]).output().unwrap().status.code(), Some(1));

    // podman's place for it, which needs no option
    let place = home.path().join(".config/containers/certs.d");
    fs::create_dir_all(&place).unwrap();
    fs::rename(&folder, place.join(host)).unwrap();
    run(&mut build(home.path(), host, &[]));
    if let Some(skopeo) = need("skopeo") {
        let place = place.join(host).display().to_string();
        run(clean_command(skopeo, home.path()).args(["list-tags", "--cert-dir", &place, &format!("docker://{host}/org/m")]));
    }
}

#[test]
fn what_is_wrong_with_a_registrys_certificate_is_told_apart() {
    let Some(program) = need("openssl") else { return };
    let home = temp_dir();
    for (subject, days, expected) in [
        ("subjectAltName=IP:127.0.0.1", "-days -1", "hint: the registry's certificate has expired"),
        ("subjectAltName=DNS:elsewhere.modelcar.test", "-days 2", "hint: the registry's certificate is for other names"),
    ] {
        let dir = temp_dir();
        write_certificates(&program, dir.path());
        fs::write(dir.path().join("extensions"), format!("{subject}\nbasicConstraints=CA:FALSE\n")).unwrap();
        openssl(
            dir.path(),
            &format!("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial {days} -extfile extensions -out server.pem"),
        );
        let file = |name: &str| dir.path().join(name).display().to_string();
        let http = format!("  tls:\n    certificate: {}\n    key: {}\n", file("server.pem"), file("server.key"));
        let Some(registry) = Registry::start_with(&Setup { http, ..Setup::default() }) else { return };
        let output = build(home.path(), &registry.host, &["--tls-verify", "--ca-file", &file("ca.pem")]).output().unwrap();
        assert!(output.status.code() == Some(1) && words(&output).contains(expected), "{}", words(&output));
    }
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    let output = build(home.path(), &registry.host, &["--tls-verify"]).output().unwrap();
    assert!(words(&output).contains("hint: name the registry's CA with `--ca-file FILE`"), "{}", words(&output));
    let Some(registry) = Registry::start() else { return };
    let output = build(home.path(), &registry.host, &["--tls-verify"]).output().unwrap();
    assert!(words(&output).contains("hint: check the port: no TLS 1.2 or later is spoken there"), "{}", words(&output));
}

/// As in an image `FROM scratch` to which nobody gave a bundle.
#[test]
fn without_any_authority_plain_http_works_and_tls_says_what_is_missing() {
    let Some(bwrap) = need("bwrap") else { return };
    let home = temp_dir();
    let bare = |command: &Command| {
        let mut bare = clean_command(&bwrap, home.path());
        bare.args(["--dev-bind", "/", "/", "--tmpfs", "/etc/ssl", "--tmpfs", "/usr/share/ca-certificates", "--"]);
        bare.arg(command.get_program()).args(command.get_args()).current_dir(home.path());
        bare
    };
    if !bare(&Command::new("true")).status().unwrap().success() {
        lacks::<()>("the right to make namespaces");
        return;
    }
    let (Some(plain), Some(tls)) = (Registry::start(), Registry::start_with(&Setup { tls: true, ..Setup::default() })) else { return };
    run(&mut bare(&build(home.path(), &plain.host, &[])));
    let output = bare(&build(home.path(), &tls.host, &[])).output().unwrap();
    assert!(output.status.code() == Some(1) && words(&output).contains("No CA certificates were loaded"), "{}", words(&output));
    assert!(words(&output).contains("hint: install the system's CA certificates, or name a file of them with `--ca-file FILE`"));
    let ca = tls.ca_file().display().to_string();
    run(&mut bare(&build(home.path(), &tls.host, &["--ca-file", &ca])));
}
