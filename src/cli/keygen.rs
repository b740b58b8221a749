//! `modelcar keygen`.

use std::path::{Path, PathBuf};

use super::CliError;
use crate::report::Ui;
use crate::trust::{PasswordSource, keygen};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key pair's path without its ending: cosign gives cosign.key and cosign.pub, and DIR/ gives them in DIR
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    output_key_prefix: PathBuf,
    /// A file that holds the password [default: COSIGN_PASSWORD, else a prompt]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let (dir, prefix) = place(&self.output_key_prefix)?;
        let password = PasswordSource::choose(self.password_file.clone(), None)?.read_new()?;
        let pair = keygen(dir, &prefix, &password)?;
        ui.say(format!("wrote the private key {} (encrypted) and the public key {}", pair.private.display(), pair.public.display()));
        ui.data(pair.public.display())?;
        Ok(())
    }
}

/// The folder, and the name in it without an ending. `keys/` is a folder, and `keys/team.key` is meant to give that very file.
fn place(prefix: &Path) -> Result<(&Path, String), CliError> {
    let text = prefix.to_str().ok_or_else(|| CliError::usage("the prefix is not UTF-8 text", "name the files in plain letters"))?;
    let Some(name) = prefix.file_name().and_then(|name| name.to_str()).filter(|_| !text.ends_with('/')) else {
        return Ok((prefix, "cosign".to_owned()));
    };
    let stem = [".key", ".pub"].into_iter().find_map(|ending| name.strip_suffix(ending)).filter(|stem| !stem.is_empty());
    let dir = prefix.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((dir, stem.unwrap_or(name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_a_folder_and_two_files_in_it() {
        for (prefix, dir, name) in [
            ("cosign", ".", "cosign"),
            ("sub/dir/x", "sub/dir", "x"),
            ("/x", "/", "x"),
            ("keys/", "keys/", "cosign"),
            (".", ".", "cosign"),
            ("..", "..", "cosign"),
            ("keys/team.key", "keys", "team"),
            ("team.pub", ".", "team"),
            ("team.v2", ".", "team.v2"),
            (".key", ".", ".key"),
        ] {
            assert_eq!(place(Path::new(prefix)).unwrap(), (Path::new(dir), name.to_owned()), "{prefix}");
        }
    }
}
