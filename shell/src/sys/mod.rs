//! The kernel's door: every `unsafe` of the shell is in this folder (and at the very start in `main.rs`).
//!
//! Only system calls that all four architectures share, none whose structures differ between them (so no `stat`).

pub mod directory;
mod numbers;
pub mod signals;

use core::marker::PhantomData;
use numbers as nr;

extern "C" {
    /// In `start-ARCH.S`; a failed call gives `-errno` on every architecture.
    fn syscall4(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize;
}

const AT_FDCWD: usize = -100_isize as usize;
const O_CLOEXEC: usize = 0o2_000_000;
const O_PATH: usize = 0o10_000_000;

/// Why the kernel refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(isize);

impl Errno {
    const INTERRUPTED: Self = Self(4);
    pub const EXISTS: Self = Self(17);
    pub const NOT_A_DIRECTORY: Self = Self(20);
    pub const NAME_TOO_LONG: Self = Self(36);

    pub fn number(self) -> usize {
        self.0 as usize
    }

    /// The usual words; the rare ones have only their number.
    pub fn text(self) -> &'static [u8] {
        match self.0 {
            1 => b"operation not permitted",
            2 => b"no such file or directory",
            5 => b"input/output error",
            9 => b"it is closed",
            13 => b"permission denied",
            17 => b"it exists already",
            20 => b"not a directory",
            21 => b"is a directory",
            22 => b"invalid argument",
            28 => b"no space left on device",
            30 => b"read-only file system",
            32 => b"no one reads it",
            36 => b"the path is too long",
            40 => b"too many levels of symbolic links",
            122 => b"disk quota exceeded",
            _ => b"refused by the kernel",
        }
    }
}

/// Bytes that a NUL follows, as system calls want their paths.
#[derive(Clone, Copy)]
pub struct CText<'a> {
    pointer: *const u8,
    length: usize,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> CText<'a> {
    pub const EMPTY: Self = Self { pointer: b"\0".as_ptr(), length: 0, lifetime: PhantomData };

    /// `bytes` ends with a NUL; without it the text is empty.
    pub fn from_bytes_with_nul(bytes: &'a [u8]) -> Self {
        match bytes.split_last() {
            Some((0, text)) => Self { pointer: bytes.as_ptr(), length: text.len(), lifetime: PhantomData },
            _ => Self::EMPTY,
        }
    }

    /// # Safety
    /// `pointer` leads to bytes with a NUL among them that live as long as `'a`.
    unsafe fn from_pointer(pointer: *const u8) -> Self {
        let mut length = 0;
        // SAFETY: the caller's promise; nothing after the NUL is read.
        while unsafe { *pointer.add(length) } != 0 {
            length += 1;
        }
        Self { pointer, length, lifetime: PhantomData }
    }

    /// Without the NUL.
    pub fn bytes(&self) -> &'a [u8] {
        // SAFETY: every constructor takes care that `length` bytes are there for `'a`.
        unsafe { core::slice::from_raw_parts(self.pointer, self.length) }
    }

    /// What follows `prefix`, with its NUL.
    pub fn strip_prefix(&self, prefix: &[u8]) -> Option<Self> {
        let rest = self.bytes().strip_prefix(prefix)?;
        Some(Self { pointer: rest.as_ptr(), length: rest.len(), lifetime: PhantomData })
    }

    fn address(&self) -> usize {
        self.pointer as usize
    }
}

/// Copies the process's arguments out of the initial stack; `None` when they are more than `argv` holds.
///
/// # Safety
/// `stack` is the initial stack of a Linux process: `argc`, then `argc` pointers to C strings.
pub unsafe fn arguments(stack: *const usize, argv: &mut [CText<'static>]) -> Option<usize> {
    // SAFETY: the caller's promise.
    let count = unsafe { *stack };
    for (index, slot) in argv.get_mut(..count)?.iter_mut().enumerate() {
        // SAFETY: the caller's promise, and the kernel keeps the strings as long as the process.
        *slot = unsafe { CText::from_pointer(*stack.add(1 + index) as *const u8) };
    }
    Some(count)
}

fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> Result<usize, Errno> {
    // SAFETY: every caller in this folder passes live pointers with their true lengths.
    let result = unsafe { syscall4(number, a, b, c, d) };
    if result < 0 {
        return Err(Errno(-result));
    }
    Ok(result as usize)
}

pub fn exit(status: u8) -> ! {
    loop {
        let _ = call(nr::EXIT_GROUP, usize::from(status), 0, 0, 0);
    }
}

pub fn pid() -> usize {
    call(nr::GETPID, 0, 0, 0, 0).unwrap_or(0)
}

pub fn write_all(descriptor: usize, mut text: &[u8]) -> Result<(), Errno> {
    while !text.is_empty() {
        match call(nr::WRITE, descriptor, text.as_ptr() as usize, text.len(), 0) {
            Ok(count) => text = text.get(count..).unwrap_or(b""),
            Err(Errno::INTERRUPTED) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Sleeps that long; a stopped and continued process (SIGCONT) sleeps on.
pub fn sleep(seconds: i64) {
    let mut left = [seconds, 0];
    let address = left.as_mut_ptr() as usize;
    while call(nr::NANOSLEEP, address, address, 0, 0) == Err(Errno::INTERRUPTED) {}
}

fn open(path: CText, flags: usize) -> Result<usize, Errno> {
    call(nr::OPENAT, AT_FDCWD, path.address(), flags | O_CLOEXEC, 0)
}

fn close(descriptor: usize) {
    let _ = call(nr::CLOSE, descriptor, 0, 0, 0);
}

fn opens(path: CText, flags: usize) -> bool {
    open(path, flags | O_PATH).map(close).is_ok()
}

/// Whether it is a directory, or a link to one.
pub fn is_directory(path: CText) -> bool {
    opens(path, nr::O_DIRECTORY)
}

/// Whether it is a directory and no link.
pub fn is_real_directory(path: CText) -> bool {
    opens(path, nr::O_DIRECTORY | nr::O_NOFOLLOW)
}

/// Whether it is there, links followed.
pub fn exists(path: CText) -> bool {
    opens(path, 0)
}

pub fn make_directory(path: CText) -> Result<(), Errno> {
    call(nr::MKDIRAT, AT_FDCWD, path.address(), 0o777, 0).map(drop)
}

pub fn symlink(target: CText, link: CText) -> Result<(), Errno> {
    call(nr::SYMLINKAT, target.address(), AT_FDCWD, link.address(), 0).map(drop)
}

pub fn rename(from: CText, to: CText) -> Result<(), Errno> {
    call(nr::RENAMEAT, AT_FDCWD, from.address(), AT_FDCWD, to.address()).map(drop)
}

pub fn remove(path: CText) -> Result<(), Errno> {
    call(nr::UNLINKAT, AT_FDCWD, path.address(), 0, 0).map(drop)
}
