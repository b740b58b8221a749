//! Signals: SIGTERM, SIGINT, SIGHUP and SIGQUIT end the process at once with 128 + their number.
//!
//! Without handlers a container's process 1 would not see them at all (the kernel drops signals whose action is the default
//! for it, pid_namespaces(7)), and every pod would wait its 30 s grace period before the kill.

use super::{call, exit, nr};

const SIGHUP: usize = 1;
const SIGINT: usize = 2;
const SIGQUIT: usize = 3;
const SIGTERM: usize = 15;
const SIGCHLD: usize = 17;
const IGNORE: usize = 1;
const MASK_BYTES: usize = 8;
/// x86-64's kernel delivers no signal without a return address; ours never returns, so any address will do.
#[cfg(target_arch = "x86_64")]
const SA_RESTORER: usize = 0x0400_0000;

pub fn end_on_request() {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        on(signal, end as usize);
    }
    // As process 1 we inherit orphans; an ignored SIGCHLD makes the kernel bury them (sigaction(2)).
    on(SIGCHLD, IGNORE);
}

/// `struct sigaction` of the kernel: handler, flags, then restorer and mask in either order, all zero but the restorer.
fn on(signal: usize, handler: usize) {
    #[cfg(target_arch = "x86_64")]
    let action = [handler, SA_RESTORER, handler, 0];
    #[cfg(not(target_arch = "x86_64"))]
    let action = [handler, 0, 0, 0];
    let _ = call(nr::RT_SIGACTION, signal, action.as_ptr() as usize, 0, MASK_BYTES);
}

extern "C" fn end(signal: i32) {
    exit(128 + signal as u8)
}
