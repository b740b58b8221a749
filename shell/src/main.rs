//! `/bin/sh` of a ModelCar image: runs the scripts KServe starts a model container with, and nothing else.
//!
//! ```text
//! sh -c SCRIPT ─► script (text → tree, pure) ─► run (tree → status) ─► applets ─► sys (system calls)
//! ls -A DIR    ─────────────────────────────────────────────────────► applets
//! ```
//!
//! No libc, no heap, no child processes: a subshell and `$(ls …)` run in this very process, so `$$` is its one pid.
#![no_std]
#![no_main]
#![deny(warnings, unsafe_op_in_unsafe_fn)]

mod applets;
mod expand;
mod run;
mod say;
mod script;
mod sys;

use applets::{Stop, ls::Names};
use expand::Arguments;
use script::{Applet, MAX_WORDS};
use sys::CText;

const USAGE: u8 = 2;
const HELP: &[u8] = b"modelcar sh 1: the shell of a ModelCar image. It runs KServe's model container scripts and nothing else.
usage: sh -c SCRIPT
       [ ... ] | echo | ls | ln | mkdir | sleep   (called by that name)
A script may use && || ! ( ) 'text' \"text\" \\ $$ \"$(ls -A DIR)\" and the commands
  [ [!] TEXT ]  [ [!] -n|-z TEXT ]  [ [!] -d|-e PATH ]  echo [-n] TEXT...  ls [-A] [PATH]
  ln -s[f] TARGET LINK  mkdir [-p] DIR...  sleep SECONDS|infinity  exit STATUS
Other shell language and other commands are refused by name, with status 127, before anything of the script runs.
";

/// The large buffers. They live in `.bss`, so only the pages that a script really fills count as memory.
pub struct Memory {
    arguments: Arguments,
    names: Names,
}

static mut MEMORY: Memory = Memory { arguments: Arguments::new(), names: Names::new() };

/// The first Rust code of the process; `sys/start-*.S` passes the stack pointer with `argc` and `argv` on it.
///
/// # Safety
/// `stack` is the initial stack of a Linux process.
#[no_mangle]
unsafe extern "C" fn main_on_stack(stack: *const usize) -> ! {
    sys::signals::end_on_request();
    let mut argv = [CText::EMPTY; MAX_WORDS];
    // SAFETY: called once, in the only thread, so this is the only reference to MEMORY.
    let memory = unsafe { &mut *core::ptr::addr_of_mut!(MEMORY) };
    // SAFETY: the caller's promise.
    let status = match unsafe { sys::arguments(stack, &mut argv) } {
        Some(count) => start(&argv[..count], memory),
        None => refuse(&[b"too many arguments"]),
    };
    sys::exit(status)
}

fn start(argv: &[CText], memory: &mut Memory) -> u8 {
    let (name, arguments) = match split_name(argv) {
        Some(split) => split,
        None => return refuse(&[b"started without a name (argv is empty)"]),
    };
    match Applet::named(name).filter(|applet| *applet != Applet::Exit) {
        Some(applet) => applets::run(applet, arguments, &mut memory.names).unwrap_or_else(Stop::status),
        None => shell(arguments, memory),
    }
}

/// The name we were called by (`/bin/ls` is `ls`) and the arguments after it.
fn split_name<'a>(argv: &'a [CText<'a>]) -> Option<(&'a [u8], &'a [CText<'a>])> {
    let (path, arguments) = argv.split_first()?;
    let name = path.bytes().rsplit(|byte| *byte == b'/').next()?;
    Some((name, arguments))
}

fn shell(arguments: &[CText], memory: &mut Memory) -> u8 {
    match arguments {
        [dash_c, text] if dash_c.bytes() == b"-c" => run_script(text.bytes(), memory),
        [flag] if matches!(flag.bytes(), b"--help" | b"--version") => applets::done(say::out(HELP)),
        [] => refuse(&[b"this shell runs no interactive session, only `sh -c SCRIPT`; see `sh --help`"]),
        [dash_c] if dash_c.bytes() == b"-c" => refuse(&[b"-c needs a script"]),
        [dash_c, _, more, ..] if dash_c.bytes() == b"-c" => {
            refuse(&[b"`", more.bytes(), b"`: arguments after the script are not supported"])
        }
        [other, ..] => refuse(&[b"`", other.bytes(), b"` is not supported, only `sh -c SCRIPT`; see `sh --help`"]),
    }
}

fn run_script(text: &[u8], memory: &mut Memory) -> u8 {
    match script::parse(text) {
        Ok(tree) => run::run(&tree, memory),
        Err(refusal) => {
            say::refusal(&refusal);
            refusal.status()
        }
    }
}

fn refuse(message: &[&[u8]]) -> u8 {
    say::error(message);
    USAGE
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    say::error(&[b"internal error, please report it with the script"]);
    sys::exit(USAGE)
}
