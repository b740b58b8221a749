//! `modelcar fetch s3://…` from a real server that checks signatures: versitygw.

use std::path::Path;
use std::process::Command;

use crate::support::proxy::CuttingProxy;
use crate::support::s3::{BUCKET, KEY, S3, SECRET};
use crate::support::{modelcar, run, stdout_of, temp_dir};

fn fetch(home: &Path, endpoint: &str, source: &str) -> Command {
    let mut command = modelcar(home);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_ENDPOINT_URL", endpoint);
    command.args(["fetch", source]).arg(home.join("out"));
    command
}

fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn weights() -> Vec<u8> {
    (0..2_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

#[test]
fn objects_come_by_signed_requests_and_only_once() {
    let Some(s3) = S3::start() else { return };
    let home = temp_dir();
    s3.put("m/v1/model.onnx", &weights(), &[]);
    s3.put("m/v1/sub%20dir/a%2Bb%20%28c%29.txt", b"hello", &[]);
    s3.put("m/v10/other", b"other", &[]);
    let source = format!("s3://{BUCKET}/m/v1");
    run(&mut fetch(home.path(), &s3.url(), &source));
    assert!(std::fs::read(home.path().join("out/model.onnx")).unwrap() == weights());
    assert_eq!(std::fs::read(home.path().join("out/sub dir/a+b (c).txt")).unwrap(), b"hello");
    assert!(!home.path().join("out/other").exists());
    let again = run(&mut fetch(home.path(), &s3.url(), &source));
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to do: 2 files"), "{again:?}");
    s3.put("m/v1/model.onnx", b"next", &[]);
    let again = run(&mut fetch(home.path(), &s3.url(), &source));
    assert!(String::from_utf8_lossy(&again.stderr).contains("1 of them, 4 B, were not there"), "{again:?}");
    run(&mut fetch(home.path(), &s3.url(), &format!("s3://{BUCKET}/m/v10/other")));
    assert_eq!(std::fs::read(home.path().join("out/other")).unwrap(), b"other");
}

#[test]
fn a_long_list_comes_page_by_page() {
    let Some(s3) = S3::start() else { return };
    let home = temp_dir();
    // A page has a thousand objects; made in the folder behind the server, which is quicker than a thousand requests.
    let folder = s3.folder().join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..1005 {
        std::fs::write(folder.join(format!("{number:04}")), "x").unwrap();
    }
    let listed = stdout_of(fetch(home.path(), &s3.url(), &format!("s3://{BUCKET}/many")).arg("--dry-run"));
    assert_eq!(listed.lines().count(), 1005);
    assert!(listed.ends_with("1004\n"), "{listed}");
}

#[test]
fn a_data_connection_is_all_that_is_needed() {
    let Some(s3) = S3::start() else { return };
    let (home, secret) = (temp_dir(), temp_dir());
    s3.put("m/model.onnx", b"weights", &[]);
    for (name, text) in [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_S3_ENDPOINT", &s3.url()),
        ("AWS_S3_BUCKET", BUCKET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ] {
        std::fs::write(secret.path().join(name), text).unwrap();
    }
    run(modelcar(home.path()).args(["fetch", "s3:///m"]).arg(home.path().join("out")).arg("--s3-credentials").arg(secret.path()));
    assert_eq!(std::fs::read(home.path().join("out/model.onnx")).unwrap(), b"weights");
}

#[test]
fn a_refusal_is_told_in_the_stores_words_and_without_the_key() {
    let Some(s3) = S3::start() else { return };
    let home = temp_dir();
    s3.put("m/model.onnx", b"weights", &[]);
    let source = format!("s3://{BUCKET}/m");
    for (command, part) in [
        (fetch(home.path(), &s3.url(), &source).env("AWS_SECRET_ACCESS_KEY", "CANARY"), "SignatureDoesNotMatch"),
        (
            fetch(home.path(), &s3.url(), &source).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY"),
            "there are no credentials",
        ),
        (&mut fetch(home.path(), &s3.url(), "s3://no-such-bucket/m"), "NoSuchBucket"),
        (&mut fetch(home.path(), &s3.url(), &format!("s3://{BUCKET}/other")), "no file that is wanted"),
    ] {
        let (code, told) = failure(command.arg("-vv"));
        assert!(code == 1 && told.contains(part) && !told.contains("CANARY"), "{part}: {told}");
    }
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was() {
    let Some(s3) = S3::start() else { return };
    let home = temp_dir();
    s3.put("m/model.onnx", &weights(), &[]);
    let proxy = CuttingProxy::start(&s3.host, 700_000);
    run(&mut fetch(home.path(), &format!("http://{}", proxy.address()), &format!("s3://{BUCKET}/m")));
    assert!(std::fs::read(home.path().join("out/model.onnx")).unwrap() == weights());
    assert!(proxy.received() < 3_000_000, "{} bytes came, and the object has 2000000", proxy.received());
}
