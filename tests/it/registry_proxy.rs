//! Registries behind a proxy: who goes through it, and that its password stays unseen.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::http_proxy::HttpProxy;
use crate::support::registry::{Registry, Setup};
use crate::support::{modelcar, run, temp_dir};

const LOGIN: &str = "proxyuser:canary-proxy-password";
/// No name server knows it: only the proxy leads there.
const NAME: &str = "registry.modelcar.test";

fn words(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn push(home: &Path, host: &str, rest: &[&str], variables: &[(&str, &str)]) -> Command {
    fs::write(home.join("m.bin"), "weights").unwrap();
    let mut command = modelcar(home);
    command.current_dir(home).args(["build", "-vv", "--push", "-t", &format!("{host}/org/m:v1"), "m.bin", "--retry-times", "0"]);
    command.args(rest).envs(variables.iter().copied());
    command
}

#[test]
fn https_goes_through_a_tunnel_and_http_by_whole_addresses() {
    let (Some(tls), Some(plain)) = (Registry::start_with(&Setup { tls: true, ..Setup::default() }), Registry::start()) else { return };
    let home = temp_dir();
    let ca = tls.ca_file().display().to_string();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let proxy = HttpProxy::start(&tls.host, None);
        run(&mut push(home.path(), NAME, &["--ca-file", &ca], &[(variable, &format!("http://{}", proxy.address()))]));
        assert!(proxy.log().iter().all(|line| line == &format!("CONNECT {NAME}:443")) && !proxy.log().is_empty(), "{:?}", proxy.log());
    }
    let proxy = HttpProxy::start(&plain.host, None);
    let url = format!("http://{}", proxy.address());
    run(&mut push(home.path(), NAME, &["--tls-verify=false"], &[("HTTPS_PROXY", &url), ("HTTP_PROXY", &url)]));
    assert!(proxy.log().iter().any(|line| line.starts_with(&format!("GET http://{NAME}/v2/"))), "{:?}", proxy.log());
}

#[test]
fn a_proxys_password_opens_it_and_is_never_shown() {
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    let home = temp_dir();
    let ca = registry.ca_file().display().to_string();
    let proxy = HttpProxy::start(&registry.host, Some(LOGIN));
    let good = format!("http://{LOGIN}@{}", proxy.address());
    let output = push(home.path(), NAME, &["--ca-file", &ca], &[("HTTPS_PROXY", &good)]).output().unwrap();
    assert!(output.status.success() && !words(&output).contains("canary"), "{}", words(&output));
    // wrong, and a proxy that is not there
    for proxy in [format!("http://proxyuser:canary-wrong@{}", proxy.address()), "http://proxyuser:canary-wrong@127.0.0.1:1".to_owned()] {
        let output = push(home.path(), NAME, &["--ca-file", &ca], &[("HTTPS_PROXY", &proxy)]).output().unwrap();
        let said = words(&output);
        assert!(output.status.code() == Some(1) && said.contains("HTTPS_PROXY") && !said.contains("canary"), "{said}");
        assert!(!said.contains("Y2FuYXJ5"), "nor in base64: {said}");
    }
}

#[test]
fn this_machine_and_what_no_proxy_names_are_reached_directly() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let proxy = HttpProxy::start(&registry.host, None);
    let url = format!("http://{}", proxy.address());
    run(&mut push(home.path(), &registry.host, &[], &[("HTTP_PROXY", &url), ("HTTPS_PROXY", &url), ("ALL_PROXY", &url)]));
    assert!(proxy.log().is_empty(), "{:?}", proxy.log());
    for (host, list, direct) in [
        (NAME, NAME, true),
        (NAME, ".modelcar.test", true),
        (NAME, "modelcar.test", true),
        (NAME, "*", true),
        (NAME, "example.com, registry.modelcar.test:443", true),
        (NAME, "registry.modelcar.test:5000", false),
        (NAME, "car.test", false),
        // the kernel takes it for this machine, and nobody else does
        ("0.0.0.0", "0.0.0.0/8", true),
        ("0.0.0.0", "10.0.0.0/8", false),
    ] {
        for variable in ["NO_PROXY", "no_proxy"] {
            let proxy = HttpProxy::start(&registry.host, None);
            let url = format!("http://{}", proxy.address());
            // it fails either way, and the proxy knows whether it was asked
            let mut command = push(home.path(), host, &[], &[("HTTPS_PROXY", &url), (variable, list)]);
            assert_eq!(command.output().unwrap().status.code(), Some(1));
            assert_eq!(proxy.log().is_empty(), direct, "{variable}={list}: {:?}", proxy.log());
        }
    }
}
