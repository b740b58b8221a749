//! What the kernel counts for a process while it runs.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a process used.
#[derive(Debug, Default)]
pub struct Usage {
    /// The most memory of its own that it had, in bytes. The program's text is not counted: it is the page cache's, shared and given back
    /// when needed, and of an unoptimised build alone it is some 25 MiB.
    pub peak_memory: u64,
    /// What it made the kernel write to disks, in bytes.
    pub disk_writes: u64,
}

/// Watches a process until it ends. What is written only ever grows, so the last look is the sum.
pub fn watch(child: &mut Child) -> Usage {
    let mut usage = Usage::default();
    let field = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
    };
    loop {
        let own = field("status", "RssAnon:").unwrap_or_default() + field("status", "RssShmem:").unwrap_or_default();
        usage.peak_memory = usage.peak_memory.max(own * 1024);
        usage.disk_writes = field("io", "write_bytes:").unwrap_or(usage.disk_writes);
        // A zombie has no memory any more.
        if field("status", "VmHWM:").is_none() {
            return usage;
        }
        // Without a rest this loop would take a core from the work. Whatever comes and goes within a millisecond is small.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a command to its good end.
#[track_caller]
pub fn usage_of(command: &mut Command) -> Usage {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let usage = watch(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    usage
}
