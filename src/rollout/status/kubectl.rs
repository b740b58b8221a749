//! What a site's own API server says, through the user's `kubectl` or `oc`.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::StatusError;
use super::report::{Sighting, read_report};
use crate::oci::printable;
use crate::rollout::SECRETS;

/// How long a cluster may take for one question.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: u64 = 256 << 20;
/// How much of kubectl's talk is shown, in characters.
const MAX_SHOWN: usize = 600;

/// How a cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The kubeconfig; kubectl's own choice where it is not named.
    pub kubeconfig: Option<PathBuf>,
    /// Which context of it.
    pub context: Option<String>,
}

/// Asks a site's cluster for its services and pods.
///
/// # Errors
/// No kubectl, a cluster that does not answer or does not let itself be asked.
pub fn ask(site: &str, cluster: &Cluster) -> Result<Vec<Sighting>, StatusError> {
    let mut found = Vec::new();
    // Each by itself: a cluster without the one kind refuses both, and LLMInferenceService is missing on most.
    for (kind, must) in [("inferenceservices.serving.kserve.io", true), ("pods", true), ("llminferenceservices.serving.kserve.io", false)] {
        match get(site, cluster, kind) {
            Ok(answer) => found.extend(read(site, &answer)?),
            Err(StatusError::Kubectl { output, .. }) if !must && output.contains("the server doesn't have a resource type") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn read(site: &str, answer: &[u8]) -> Result<Vec<Sighting>, StatusError> {
    read_report(answer).map_err(|source| StatusError::Report { from: format!("the answer of {site}"), source })
}

fn get(site: &str, cluster: &Cluster, kind: &str) -> Result<Vec<u8>, StatusError> {
    let mut command = Command::new("kubectl");
    command.args(cluster.kubeconfig.iter().flat_map(|file| ["--kubeconfig".into(), file.clone().into_os_string()]));
    command.args(cluster.context.iter().flat_map(|context| ["--context", context]));
    command.args(["get", kind, "--all-namespaces", "--output=json", "--request-timeout=20s"]);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    tracing::debug!(site, "kubectl get {kind}");
    let no_kubectl = |source| StatusError::NoKubectl { source };
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(no_kubectl)?;
    let said = converse(child).map_err(no_kubectl)?;
    match said {
        None => Err(StatusError::Slow { site: site.to_owned(), seconds: PATIENCE.as_secs() }),
        Some(Said { succeeded: true, stdout, .. }) => Ok(stdout),
        Some(Said { stderr, .. }) => Err(StatusError::Kubectl { site: site.to_owned(), output: shown(&stderr) }),
    }
}

/// The last line of kubectl's talk. A file that is no kubeconfig is quoted by its parser, and may be a secret: that is left out.
fn shown(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    if last.contains("error loading config file") || last.contains("yaml:") || last.contains("json:") {
        return "its kubeconfig cannot be read".to_owned();
    }
    printable(last.trim(), MAX_SHOWN)
}

struct Said {
    succeeded: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// `None` where it took too long; it is then ended. Its streams are not waited for: a credential helper may still hold them.
fn converse(mut child: Child) -> io::Result<Option<Said>> {
    let (stdout, stderr) = (reading(child.stdout.take(), MAX_ANSWER), reading(child.stderr.take(), 64 << 10));
    let begun = Instant::now();
    let received = |stream: &mpsc::Receiver<Vec<u8>>| stream.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).ok();
    let (Some(stdout), Some(stderr)) = (received(&stdout), received(&stderr)) else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(Said { succeeded: status.success(), stdout, stderr }));
        }
        std::thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Reads a stream on a thread of its own.
fn reading(stream: Option<impl Read + Send + 'static>, limit: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let _: io::Result<usize> = stream.take(limit).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_last_line_and_nothing_of_a_kubeconfig() {
        for (said, expected) in [
            (
                &b"E1123 memcache.go:265\nThe connection to the server 10.0.0.1:6443 was refused\n"[..],
                "The connection to the server 10.0.0.1:6443 was refused",
            ),
            (
                b"error: error loading config file \"k\": yaml: unmarshal errors: cannot unmarshal !!str `s3cr3t`",
                "its kubeconfig cannot be read",
            ),
            (b"a\x1b[2J", "a\u{fffd}[2J"),
            (b"", "it said nothing"),
        ] {
            assert_eq!(shown(said), expected);
        }
    }

    #[test]
    fn a_command_that_prints_and_fails_is_told_from_one_that_succeeds() {
        for (script, succeeded) in [("echo a; echo b >&2", true), ("echo a; echo b >&2; exit 1", false)] {
            let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let said = converse(child).unwrap().unwrap();
            assert_eq!((said.succeeded, &said.stdout[..], &said.stderr[..]), (succeeded, &b"a\n"[..], &b"b\n"[..]));
        }
    }
}
