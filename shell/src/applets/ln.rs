//! `ln -s[f] TARGET LINK`: makes LINK itself the link, and nothing else.
//!
//! Two differences from other shells, both because a runtime reads the model through this link:
//!
//! - Where LINK is a directory, or a link to one, others make the new link *inside* it: KServe's `/mnt/models` would then hold a
//!   stray `models` and the runtime would find no model, or the last one. Here a link is replaced and a directory is an error.
//! - A link to a folder of this container (`/proc/$$/root/models`) that is not there is an error, not a pod that looks healthy.

use super::{Options, Outcome, failed, unsupported};
use crate::say::{self, Decimal};
use crate::sys::{self, CText, Errno};

/// Longest path of Linux, with the NUL.
const PATH_MAX: usize = 4096;

pub fn run(arguments: &[CText]) -> Outcome {
    let options = Options::read(b"ln", b"sf", arguments)?;
    if !options.has(b's') {
        return Err(unsupported(b"ln", b"a hard link (without -s)"));
    }
    let (target, link) = match options.operands {
        [target, link] => (*target, *link),
        _ => return Err(unsupported(b"ln", b"anything but one TARGET and one LINK")),
    };
    if leads_nowhere(target) {
        say::error(&[b"ln: ", target.bytes(), b": this container has no such directory, so ", link.bytes(), b" would lead nowhere"]);
        return Ok(1);
    }
    match sys::symlink(target, link) {
        Err(Errno::EXISTS) if options.has(b'f') => Ok(replace(target, link)),
        Err(errno) => Ok(failed(b"ln", link.bytes(), errno)),
        Ok(()) => Ok(0),
    }
}

/// Whether `target` goes through our own `/proc/PID/root` to a directory that our root does not have.
/// Asked of our root, since `/proc` may show another process namespace's numbers.
fn leads_nowhere(target: CText) -> bool {
    let pid = Decimal::new(sys::pid());
    let path = target.strip_prefix(b"/proc/").and_then(|rest| rest.strip_prefix(pid.digits())).and_then(|rest| rest.strip_prefix(b"/root"));
    path.map_or(false, |path| path.bytes().first() == Some(&b'/') && !sys::is_directory(path))
}

/// A new link under another name, then a rename over the old one: no reader ever finds LINK missing.
fn replace(target: CText, link: CText) -> u8 {
    if sys::is_real_directory(link) {
        say::error(&[b"ln: ", link.bytes(), b": is a directory; a link inside it is not what KServe reads, so none was made"]);
        return 1;
    }
    let mut buffer = [0; PATH_MAX];
    let temporary = match beside(link, &mut buffer) {
        Some(temporary) => temporary,
        None => return failed(b"ln", link.bytes(), Errno::NAME_TOO_LONG),
    };
    // left by a container that was killed right here and whose pid we have now
    let _ = sys::remove(temporary);
    match sys::symlink(target, temporary).and_then(|()| sys::rename(temporary, link)) {
        Ok(()) => 0,
        Err(errno) => {
            let _ = sys::remove(temporary);
            failed(b"ln", link.bytes(), errno)
        }
    }
}

/// `LINK.new-PID`, in the same directory, since a rename cannot leave its file system.
fn beside<'a>(link: CText, buffer: &'a mut [u8; PATH_MAX]) -> Option<CText<'a>> {
    let pid = Decimal::new(sys::pid());
    let mut used = 0;
    for part in [link.bytes(), b".new-", pid.digits(), b"\0"] {
        buffer.get_mut(used..used + part.len())?.copy_from_slice(part);
        used += part.len();
    }
    Some(CText::from_bytes_with_nul(&buffer[..used]))
}
