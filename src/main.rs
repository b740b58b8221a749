//! The `modelcar` binary: parses, runs, maps errors to exit codes; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(modelcar::cli::main(std::env::args_os()))
}
