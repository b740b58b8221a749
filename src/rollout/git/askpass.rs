//! Answers git's questions for a login, so that a token stands in no argument, address, file or variable.
//!
//! Git runs the program of `GIT_ASKPASS` with a question, and reads the answer from its standard output: here the program is modelcar
//! itself, and all that its environment tells is the name of a socket in a folder that only this user may enter. The process that
//! holds the token listens there, and answers for one server only. So the hooks that git runs, which inherit its variables, print
//! nothing secret, and a server that sends git elsewhere gets no answer.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use url::Url;
use zeroize::Zeroizing;

use super::token::Token;

/// Where the one listens that knows the answer.
const SOCKET: &str = "MODELCAR_ASKPASS_SOCKET";
/// The longest question; an address is in it.
const MAX_QUESTION: u64 = 16 << 10;
/// How long the other side of the socket may take: it is on this machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of a socket has room for 108 bytes (unix(7)).
const MAX_FOLDER: usize = 60;

/// A login for one server.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) server: Url,
    pub(super) username: String,
    pub(super) token: Token,
}

impl Login {
    /// The answer to one of git's two questions, where it is about this server:
    /// `Username for 'https://host': ` and `Password for 'https://robot@host': `.
    fn answer(&self, question: &str) -> Option<&str> {
        let (what, rest) = question.split_once(" for '")?;
        let asked = Url::parse(rest.split_once("': ")?.0).ok()?;
        let origin = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        if origin(&asked) != origin(&self.server) {
            return None;
        }
        match what {
            "Username" => Some(&self.username),
            "Password" => Some(self.token.expose()),
            _ => None,
        }
    }
}

/// Listens as long as it lives.
#[derive(Debug)]
pub(super) struct Askpass {
    folder: TempDir,
    over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Askpass {
    pub(super) fn listen(login: Login) -> io::Result<Self> {
        let folder = folder()?;
        let listener = UnixListener::bind(socket_in(folder.path()))?;
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let listening = std::thread::spawn(move || {
            for caller in listener.incoming() {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                if let Err(error) = caller.and_then(|caller| serve(caller, &login)) {
                    tracing::debug!("askpass: {error}");
                }
            }
        });
        Ok(Self { folder, over, listening: Some(listening) })
    }

    /// What tells git to ask here.
    pub(super) fn variables(&self, program: Option<&Path>) -> io::Result<Vec<(OsString, OsString)>> {
        let me = program.map_or_else(std::env::current_exe, |program| Ok(program.to_owned()))?;
        Ok(vec![("GIT_ASKPASS".into(), me.into()), (SOCKET.into(), socket_in(self.folder.path()).into())])
    }
}

impl Drop for Askpass {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the listener, so that it sees that it is over.
        if UnixStream::connect(socket_in(self.folder.path())).is_ok() {
            drop(self.listening.take().map(JoinHandle::join));
        }
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("ask")
}

/// A folder that nobody else may enter, with a name short enough for a socket in it.
fn folder() -> io::Result<TempDir> {
    let usual = std::env::temp_dir();
    let place = if usual.as_os_str().len() > MAX_FOLDER { Path::new("/tmp") } else { &usual };
    tempfile::Builder::new().prefix("modelcar-").tempdir_in(place)
}

fn serve(mut caller: UnixStream, login: &Login) -> io::Result<()> {
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    let mut question = String::new();
    (&caller).take(MAX_QUESTION).read_to_string(&mut question)?;
    caller.write_all(login.answer(&question).unwrap_or_default().as_bytes())
}

/// The question, where this process was started by git to answer one.
pub(crate) fn question(arguments: &[OsString]) -> Option<(PathBuf, &str)> {
    let socket = std::env::var_os(SOCKET)?;
    // A hook that runs modelcar inherits the variable too, but asks nothing.
    let [_, question] = arguments else { return None };
    let question = question.to_str().filter(|text| text.starts_with("Username for '") || text.starts_with("Password for '"))?;
    Some((socket.into(), question))
}

/// Asks the process that knows; nothing where it will not say.
pub(crate) fn ask(socket: &Path, question: &str) -> io::Result<Zeroizing<String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Zeroizing::new(String::new());
    stream.take(MAX_QUESTION).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        let token = Token::new("s3cret", "test").unwrap();
        Login { server: "https://git.example.com/o/r.git".parse().unwrap(), username: "oauth2".to_owned(), token }
    }

    #[test]
    fn answers_for_its_own_server_only() {
        for (question, answer) in [
            ("Username for 'https://git.example.com': ", Some("oauth2")),
            ("Password for 'https://oauth2@git.example.com': ", Some("s3cret")),
            ("Password for 'https://oauth2@git.example.com:443': ", Some("s3cret")),
            ("Password for 'https://oauth2@git.example.com/o/r.git': ", Some("s3cret")),
            ("Password for 'https://oauth2@git.example.com:8443': ", None),
            ("Password for 'http://oauth2@git.example.com': ", None),
            ("Password for 'https://git.example.com@evil.example.com': ", None),
            ("Password for 'https://git.example.com.evil.example.com': ", None),
            ("Enter passphrase for key '/k': ", None),
            ("Password", None),
        ] {
            assert_eq!(login().answer(question), answer, "{question}");
        }
    }

    #[test]
    fn the_answer_goes_over_a_socket_that_ends_with_it() {
        let askpass = Askpass::listen(login()).unwrap();
        let socket = socket_in(askpass.folder.path());
        let shown = format!("{askpass:?} {:?}", askpass.variables(None).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(*ask(&socket, "Password for 'https://git.example.com': ").unwrap(), "s3cret");
        assert_eq!(*ask(&socket, "Password for 'https://evil.example.com': ").unwrap(), "");
        drop(askpass);
        assert!(!socket.exists() && ask(&socket, "Password for 'https://git.example.com': ").is_err());
    }

    #[test]
    fn only_a_question_of_git_is_one() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(question(&words(&["modelcar", "Password for 'https://h': "])), None, "nobody listens");
    }
}
