//! Asks a credential helper: <https://github.com/docker/docker-credential-helpers#development>.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::RegistryError;
use super::answer::printable;
use super::credentials::{Credential, Login};
use super::secret::Secret;

/// Helpers may ask a cloud for a token first, and some open a window.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_ANSWER: u64 = 1 << 20;
/// What helpers print, with a failing exit code, for a server that they do not know.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The log-in that `docker-credential-NAME` has for `server`; `file` is where the helper's name was found.
pub(super) fn get(name: &str, file: &Path, server: &str) -> Result<Option<Credential>, RegistryError> {
    let program = program(name, file)?;
    let (success, output) = ask(&program, "get", server)?;
    interpret(&program, success, &output)
}

/// Gives `docker-credential-NAME` a log-in to keep.
pub(super) fn store(name: &str, file: &Path, server: &str, user: &str, secret: &Secret) -> Result<(), RegistryError> {
    let program = program(name, file)?;
    let mut log_in = serde_json::json!({"ServerURL": server, "Username": user, "Secret": secret.expose()});
    let text = Zeroizing::new(log_in.to_string());
    if let Some(serde_json::Value::String(copy)) = log_in.get_mut("Secret") {
        copy.zeroize();
    }
    let (success, output) = ask(&program, "store", &text)?;
    let words = printable(&String::from_utf8_lossy(&output).replace(secret.expose(), "***"));
    if success { Ok(()) } else { Err(RegistryError::Helper { program, reason: words }) }
}

/// Makes `docker-credential-NAME` forget a log-in; whether it had one.
pub(super) fn erase(name: &str, file: &Path, server: &str) -> Result<bool, RegistryError> {
    let program = program(name, file)?;
    let (success, output) = ask(&program, "erase", server)?;
    let words = printable(&String::from_utf8_lossy(&output));
    match success {
        true => Ok(true),
        false if is_not_found(&words) => Ok(false),
        false => Err(RegistryError::Helper { program, reason: words }),
    }
}

/// The program that a file's word for a helper means.
pub(super) fn program(name: &str, file: &Path) -> Result<String, RegistryError> {
    if is_name(name) {
        return Ok(format!("docker-credential-{name}"));
    }
    let reason = "it names a credential helper that is not a plain word".to_owned();
    Err(RegistryError::Credentials { file: file.to_owned(), reason })
}

fn ask(program: &str, verb: &str, input: &str) -> Result<(bool, Zeroizing<Vec<u8>>), RegistryError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such program on PATH".to_owned(),
        _ => error.to_string(),
    };
    run(program, verb, input, PATIENCE).map_err(|error| RegistryError::Helper { program: program.to_owned(), reason: failed(error) })
}

fn is_not_found(words: &str) -> bool {
    words.to_ascii_lowercase().contains(NOT_FOUND)
}

/// What an answer means; a failure never quotes a log-in.
fn interpret(program: &str, success: bool, output: &[u8]) -> Result<Option<Credential>, RegistryError> {
    let failed = |reason: String| RegistryError::Helper { program: program.to_owned(), reason };
    if !success {
        let words = printable(&String::from_utf8_lossy(output));
        return if is_not_found(&words) { Ok(None) } else { Err(failed(words)) };
    }
    let answer: Answer = serde_json::from_slice(output).map_err(|_| failed("its answer is not the JSON of a log-in".to_owned()))?;
    Ok(Some(Credential::new(Login::of(answer.username, Secret::new(answer.secret)), program)))
}

/// The name becomes part of a program's name: nothing that makes a path of it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Runs `program verb` with `input`; gives whether it succeeded, and what it printed.
fn run(program: &str, verb: &str, input: &str, patience: Duration) -> io::Result<(bool, Zeroizing<Vec<u8>>)> {
    let deadline = Instant::now() + patience;
    let mut child = Command::new(program).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let answer = converse(&mut child, input, deadline);
    if answer.is_err() {
        // it may have ended already
        let _ = child.kill();
        let _ = child.wait();
    }
    answer
}

fn converse(child: &mut Child, input: &str, deadline: Instant) -> io::Result<(bool, Zeroizing<Vec<u8>>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // a helper that answers without reading closes the pipe
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = read_until(child, deadline)?;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok((status.success(), output));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(too_late())
}

/// Reads on a thread of its own, because a pipe has no time-out.
fn read_until(child: &mut Child, deadline: Instant) -> io::Result<Zeroizing<Vec<u8>>> {
    let Some(stdout) = child.stdout.take() else { return Ok(Zeroizing::default()) };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::new());
        let result = stdout.take(MAX_ANSWER).read_to_end(&mut output).map(|_| output);
        // nobody waits any more after the deadline
        let _ = sender.send(result);
    });
    receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_else(|_| Err(too_late()))
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(dir: &Path, text: &str) -> String {
        let file = dir.join("docker-credential-test");
        fs_err::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file.display().to_string()
    }

    fn ask(text: &str, patience: Duration) -> io::Result<(bool, String)> {
        let dir = tempfile::tempdir().unwrap();
        let program = script(dir.path(), text);
        // another test's fork may still hold the script open for writing (ETXTBSY)
        let mut result = run(&program, "get", "quay.io", patience);
        while result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy) {
            result = run(&program, "get", "quay.io", patience);
        }
        result.map(|(success, output)| (success, String::from_utf8_lossy(&output).into_owned()))
    }

    #[test]
    fn the_server_is_asked_on_standard_input_and_the_verb_is_get() {
        let (success, output) = ask("read server; printf '%s %s' \"$1\" \"$server\"", PATIENCE).unwrap();
        assert_eq!((success, output.as_str()), (true, "get quay.io"));
    }

    #[test]
    fn a_failing_helper_gives_its_words() {
        let (success, output) = ask("echo 'credentials not found in native keychain'; exit 1", PATIENCE).unwrap();
        assert!(!success && output.contains(NOT_FOUND));
    }

    #[test]
    fn answers_of_helpers() {
        let login = |success, output: &str| interpret("helper", success, output.as_bytes());
        let found = |output| login(true, output).unwrap().unwrap();
        assert_eq!(found(r#"{"ServerURL":"quay.io","Username":"u","Secret":"CANARY"}"#).who(), "user `u` from helper");
        let token = found(r#"{"Username":"<token>","Secret":"CANARY"}"#);
        assert!(matches!(&token.login, Login::Identity { token, .. } if token.expose() == "CANARY"));
        assert_eq!(login(false, "credentials not found in native keychain\n").unwrap(), None);
        assert_eq!(login(false, "locked").unwrap_err().to_string(), "the credential helper helper failed: locked");
        for output in ["", "CANARY", r#"{"Username":"u","secret":"CANARY"}"#, r#"["CANARY"]"#] {
            let error = login(true, output).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn a_helper_that_hangs_is_ended() {
        for text in ["exec sleep 60", "exec >&-; exec sleep 60", "cat; sleep 60 & wait"] {
            let started = Instant::now();
            let error = ask(text, Duration::from_millis(200)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{text}");
            assert!(started.elapsed() < Duration::from_secs(20), "{text}");
        }
    }

    #[test]
    fn a_helper_that_floods_is_cut() {
        let result = ask("exec head -c 3000000 /dev/zero", PATIENCE);
        assert!(result.is_ok_and(|(_, output)| output.len() <= 1 << 20));
    }

    #[test]
    fn a_helper_is_a_plain_word() {
        for (name, good) in
            [("ecr-login", true), ("osxkeychain", true), ("", false), ("a/b", false), ("../x", false), ("a b", false), ("a;b", false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
        let error = get("../../bin/sh", Path::new("/auth.json"), "quay.io").unwrap_err();
        assert!(error.to_string().contains("/auth.json"), "{error}");
    }

    #[test]
    fn a_missing_helper_is_named() {
        let error = get("modelcar-has-no-such", Path::new("/auth.json"), "quay.io").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the credential helper docker-credential-modelcar-has-no-such failed: there is no such program on PATH"),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
}
