//! The volumes of a pod as the kubelet lays them out below `/var/lib/kubelet/pods`.
//! <https://kubernetes.io/docs/concepts/storage/volumes/>

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::spec::{EmptyDir, Item, NamedSource, Projected, ProjectedSource, Volume};
use super::{Cluster, Files, Refused, refuse, units};
use crate::support::runc::RANDOM_USER;
use crate::support::{need, repo_root, run};

/// The group of a namespace's volumes, which OpenShift gives it as well as its user.
pub(crate) const FS_GROUP: u32 = RANDOM_USER;

/// A folder of this machine that containers see.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    pub(crate) path: PathBuf,
    /// What the kubelet keeps read-only.
    pub(crate) read_only: bool,
    /// What a pod has of its own, empty at first: scratch.
    pub(crate) is_scratch: bool,
    _tmpfs: Option<std::rc::Rc<Tmpfs>>,
}

/// Is unmounted when the pod goes.
#[derive(Debug)]
struct Tmpfs(PathBuf);

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

impl Laid {
    /// Bytes in its files.
    pub(crate) fn used(&self) -> u64 {
        let files = walkdir::WalkDir::new(&self.path).into_iter().filter_map(Result::ok).filter_map(|entry| entry.metadata().ok());
        files.filter(fs::Metadata::is_file).map(|meta| meta.len()).sum()
    }
}

/// An empty folder of the pod that everybody in its group may write.
pub(crate) fn scratch(path: PathBuf, empty_dir: &EmptyDir) -> Result<Laid, Refused> {
    fs::create_dir_all(&path).unwrap();
    let tmpfs = match (&empty_dir.size_limit, empty_dir.medium.as_deref()) {
        (Some(limit), _) => Some(tmpfs(&path, Some(units::bytes(limit)?))),
        (None, Some("Memory")) => Some(tmpfs(&path, None)),
        _ => None,
    };
    open_to_group(&path, 0o2777);
    Ok(Laid { path, read_only: false, is_scratch: true, _tmpfs: tmpfs.map(std::rc::Rc::new) })
}

fn tmpfs(path: &Path, size: Option<u64>) -> Tmpfs {
    let size = size.map_or_else(String::new, |size| format!(",size={size}"));
    let mount = need("mount").expect("runc needs the same right");
    run(Command::new(mount).args(["-t", "tmpfs", "-o", &format!("nosuid,nodev{size}"), "tmpfs"]).arg(path));
    Tmpfs(path.to_owned())
}

fn open_to_group(path: &Path, mode: u32) {
    chown(path, None, Some(FS_GROUP)).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// What the kubelet does to a claim for `fsGroup`: its group, readable and writable, new files alike.
fn give_to_group(root: &Path) {
    for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok).filter(|entry| !entry.path_is_symlink()) {
        let mode = entry.metadata().unwrap().permissions().mode();
        open_to_group(entry.path(), mode | if entry.file_type().is_dir() { 0o2770 } else { 0o660 });
    }
}

impl Cluster {
    /// Lays a volume out in the pod's folder.
    pub(crate) fn lay(&self, of: &str, volume: &Volume, pod: &Path) -> Result<Laid, Refused> {
        let place = format!("{of}, volume {}", volume.name);
        let path = pod.join("volumes").join(&volume.name);
        if let Some(empty_dir) = &volume.empty_dir {
            return scratch(path, empty_dir);
        }
        if let Some(claim) = &volume.persistent_volume_claim {
            return self.claimed(&place, &claim.claim_name);
        }
        let (files, mode) = self.mounted_files(&place, volume)?;
        Ok(written_as(path, &files, mode))
    }

    fn claimed(&self, place: &str, name: &str) -> Result<Laid, Refused> {
        let Some(path) = self.claims.get(name) else { refuse!("{place}: persistentvolumeclaim {name:?} not found") };
        assert!(!path.starts_with(repo_root()), "a claim's files change their owner; copy them first");
        give_to_group(path);
        Ok(Laid { path: path.clone(), read_only: false, is_scratch: false, _tmpfs: None })
    }

    fn mounted_files(&self, place: &str, volume: &Volume) -> Result<(Files, Option<u32>), Refused> {
        if let Some(secret) = &volume.secret {
            let source = NamedSource { name: secret.secret_name.clone(), items: secret.items.clone(), ..NamedSource::default() };
            let source = NamedSource { optional: secret.optional, ..source };
            return Ok((self.files_of(place, "secret", &source)?, secret.default_mode));
        }
        if let Some(source) = &volume.config_map {
            return Ok((self.files_of(place, "configmap", source)?, source.default_mode));
        }
        let Some(Projected { sources, default_mode }) = &volume.projected else { refuse!("{place}: no source that the runner knows") };
        let mut files = Files::new();
        for source in sources {
            files.extend(self.projected(place, source)?);
        }
        Ok((files, *default_mode))
    }

    fn projected(&self, place: &str, source: &ProjectedSource) -> Result<Files, Refused> {
        match source {
            ProjectedSource { secret: Some(named), .. } => self.files_of(place, "secret", named),
            ProjectedSource { config_map: Some(named), .. } => self.files_of(place, "configmap", named),
            ProjectedSource { service_account_token: Some(token), .. } => {
                if token.expiration_seconds.is_some_and(|seconds| seconds < 600) {
                    refuse!("{place}: may not specify a duration less than 10 minutes");
                }
                Ok([(token.path.clone(), (self.tokens)(&token.audience).into_bytes())].into())
            }
            _ => Err(Refused(format!("{place}: no source that the runner knows"))),
        }
    }

    fn files_of(&self, place: &str, kind: &str, source: &NamedSource) -> Result<Files, Refused> {
        let all = if kind == "secret" { &self.secrets } else { &self.config_maps };
        let Some(files) = all.get(&source.name) else {
            return if source.optional { Ok(Files::new()) } else { Err(Refused(format!("{place}: {kind} {:?} not found", source.name))) };
        };
        let Some(items) = &source.items else { return Ok(files.clone()) };
        let mut chosen = Files::new();
        for Item { key, path } in items {
            match files.get(key) {
                Some(content) => drop(chosen.insert(path.clone(), content.clone())),
                None if source.optional => {}
                None => refuse!("{place}: {kind} {:?} references non-existent key {key:?}", source.name),
            }
        }
        Ok(chosen)
    }
}

/// Files that the kubelet keeps.
pub(crate) fn written(path: PathBuf, files: &Files) -> Laid {
    written_as(path, files, None)
}

fn written_as(path: PathBuf, files: &Files, mode: Option<u32>) -> Laid {
    write_atomically(&path, files, mode);
    Laid { path, read_only: true, is_scratch: false, _tmpfs: None }
}

/// Files behind two links, so that all of them change at once: `token -> ..data/token`, `..data -> ..2026_11_23_…`.
fn write_atomically(folder: &Path, files: &Files, mode: Option<u32>) {
    let data = folder.join("..2026_11_23_00_00_00.1");
    fs::create_dir_all(&data).unwrap();
    symlink(data.file_name().unwrap(), folder.join("..data")).unwrap();
    for (path, content) in files {
        let file = data.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        open_to_group(&file, mode.map_or(0o644, |mode| mode | (mode & 0o400) >> 3));
        let first = Path::new(path).iter().next().unwrap();
        let _ = symlink(Path::new("..data").join(first), folder.join(first));
    }
    for opened in [folder, &data] {
        open_to_group(opened, 0o3777);
    }
}
