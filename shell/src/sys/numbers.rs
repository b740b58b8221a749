//! System call numbers and the flags whose values differ, per architecture (Linux `arch/*/kernel/syscalls/*.tbl`, `asm/fcntl.h`).

#[cfg(target_arch = "x86_64")]
mod arch {
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGACTION: usize = 13;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const GETDENTS64: usize = 217;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const UNLINKAT: usize = 263;
    pub const RENAMEAT: usize = 264;
    pub const SYMLINKAT: usize = 266;
    pub const O_DIRECTORY: usize = 0o200_000;
    pub const O_NOFOLLOW: usize = 0o400_000;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const SYMLINKAT: usize = 36;
    pub const RENAMEAT: usize = 38;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const WRITE: usize = 64;
    pub const EXIT_GROUP: usize = 94;
    pub const NANOSLEEP: usize = 101;
    pub const RT_SIGACTION: usize = 134;
    pub const GETPID: usize = 172;
    pub const O_DIRECTORY: usize = 0o40_000;
    pub const O_NOFOLLOW: usize = 0o100_000;
}

#[cfg(target_arch = "powerpc64")]
mod arch {
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const NANOSLEEP: usize = 162;
    pub const RT_SIGACTION: usize = 173;
    pub const GETDENTS64: usize = 202;
    pub const EXIT_GROUP: usize = 234;
    pub const OPENAT: usize = 286;
    pub const MKDIRAT: usize = 287;
    pub const UNLINKAT: usize = 292;
    pub const RENAMEAT: usize = 293;
    pub const SYMLINKAT: usize = 295;
    pub const O_DIRECTORY: usize = 0o40_000;
    pub const O_NOFOLLOW: usize = 0o100_000;
}

#[cfg(target_arch = "s390x")]
mod arch {
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const NANOSLEEP: usize = 162;
    pub const RT_SIGACTION: usize = 174;
    pub const GETDENTS64: usize = 220;
    pub const EXIT_GROUP: usize = 248;
    pub const OPENAT: usize = 288;
    pub const MKDIRAT: usize = 289;
    pub const UNLINKAT: usize = 294;
    pub const RENAMEAT: usize = 295;
    pub const SYMLINKAT: usize = 297;
    pub const O_DIRECTORY: usize = 0o200_000;
    pub const O_NOFOLLOW: usize = 0o400_000;
}

pub use arch::*;
