//! The shell scripts with which KServe starts a model image in the modelcar delivery, as the shell sees them.
//!
//! From `pkg/utils/storage.go` of kserve/kserve v0.12 to v0.21 (Kubernetes has made `$$` of the `$$$$` there). KServe sets them as `args`, never
//! as `command`: the image's entrypoint must be empty, and `sh` must be on the image's `PATH`.

/// Where KServe mounts a model unless the InferenceService says otherwise.
pub const DEFAULT_MOUNT_PATH: &str = "/mnt/models";

/// A script and the commands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What it is for: `sidecar`, `init check`.
    pub name: &'static str,
    /// The text behind `sh -c`.
    pub text: String,
    /// Commands that every known shell has built in.
    pub builtins: &'static [&'static str],
    /// Commands that the shell looks for on `PATH`, unless they are built in as well.
    pub externals: &'static [&'static str],
}

/// Every script that some KServe runs for a model mounted at `mount_path`.
pub fn all(mount_path: &str) -> Vec<Script> {
    if mount_path == DEFAULT_MOUNT_PATH {
        vec![init_check(), sidecar(), sidecar_before_0_15()]
    } else {
        vec![init_check(), sidecar_at(mount_path)]
    }
}

/// The init container's: the image is pulled before the model server starts, and holds a model.
fn init_check() -> Script {
    let text = "echo 'Pre-fetching modelcar IMAGE: ' && [ -d /models ] && [ \"$(ls -A /models)\" ] \
                && echo 'OK ... Prefetched and valid (/models exists)' \
                || (echo 'NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)' && exit 1)";
    Script { name: "init check", text: text.to_owned(), builtins: &["echo", "["], externals: &["ls"] }
}

fn sidecar() -> Script {
    let text = "ln -sf /proc/$$/root/models /mnt/models && sleep infinity".to_owned();
    Script { name: "sidecar", text, builtins: &[], externals: &["ln", "sleep"] }
}

/// A restarted container found its own link in the way: kserve#4274.
fn sidecar_before_0_15() -> Script {
    let text = "ln -s /proc/$$/root/models /mnt/models && sleep infinity".to_owned();
    Script { name: "sidecar before 0.15", text, builtins: &[], externals: &["ln", "sleep"] }
}

fn sidecar_at(mount_path: &str) -> Script {
    let parent = mount_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let parent = if parent.is_empty() { "/" } else { parent };
    let text = format!("mkdir -p {} && ln -sf /proc/$$/root/models {} && sleep infinity", quoted(parent), quoted(mount_path));
    Script { name: "sidecar at a mount path", text, builtins: &[], externals: &["mkdir", "ln", "sleep"] }
}

/// KServe's `ShellQuote`: single quotes around anything but plain path characters.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if !path.is_empty() && path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_of_ones_own_is_made_and_quoted_as_kserve_does() {
        let texts = |path: &str| all(path).pop().unwrap().text;
        assert_eq!(texts("/mnt/a/b"), "mkdir -p /mnt/a && ln -sf /proc/$$/root/models /mnt/a/b && sleep infinity");
        assert_eq!(texts("/m"), "mkdir -p / && ln -sf /proc/$$/root/models /m && sleep infinity");
        let spaced = r"mkdir -p '/mnt/it'\''s all' && ln -sf /proc/$$/root/models '/mnt/it'\''s all/a model' && sleep infinity";
        assert_eq!(texts("/mnt/it's all/a model"), spaced);
    }

    #[test]
    fn every_command_of_a_script_is_listed() {
        for script in all(DEFAULT_MOUNT_PATH).into_iter().chain(all("/mnt/x")) {
            let words: Vec<&str> = script.text.split([' ', '(', '"', '$']).filter(|word| !word.is_empty()).collect();
            for command in script.builtins.iter().chain(script.externals) {
                assert!(words.contains(command), "{} has no {command}", script.name);
            }
            let first = |list: &str| list.trim_start_matches('(').split(' ').next().unwrap().to_owned();
            for command in script.text.split(" && ").flat_map(|part| part.split(" || ")).map(first).filter(|word| word != "exit") {
                let listed = script.builtins.iter().chain(script.externals).any(|known| *known == command);
                assert!(listed, "{}: {command}", script.name);
            }
        }
    }
}
