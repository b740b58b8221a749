//! `oci://`: KServe runs two of its scripts in containers of the image, see [`scripts`], and the model server reads `/models` through
//! the sidecar's `/proc/PID/root`.

use super::program::{Command, Family, Programs};
use super::subject::{Image, Subject};
use super::{Lines, engine, permissions, some};
use crate::image::ImageError;
use crate::image::listing::Kind;
use crate::kserve::scripts;

const BUILD: &str = "build without --base: modelcar brings its own shell; or use --delivery native where the site's KServe has it";
const MODELS: &str = "build the image with `modelcar build`";

pub(super) fn check(subject: &Subject, mount_path: &str, lines: &mut Lines) -> Result<(), ImageError> {
    for image in &subject.images {
        lines.on(&image.platform);
        if !engine::is_image(image, lines) {
            continue;
        }
        entrypoint(image, lines);
        commands(subject, image, mount_path, lines)?;
        models(image, lines);
        user(image, lines);
        engine::depth(image, lines);
    }
    Ok(())
}

/// KServe sets `args` and no `command`.
fn entrypoint(image: &Image, lines: &mut Lines) {
    let entrypoint = image.config.as_ref().and_then(|config| config.config.entrypoint.clone()).unwrap_or_default();
    if entrypoint.is_empty() {
        lines.pass("entrypoint", "none: KServe's arguments are the command");
        return;
    }
    let detail = format!("{entrypoint:?} would be run with KServe's script as its arguments");
    lines.fail("entrypoint", detail, "build with `modelcar build --base`, which clears it");
}

fn commands(subject: &Subject, image: &Image, mount_path: &str, lines: &mut Lines) -> Result<(), ImageError> {
    let mut programs = Programs::new(subject.store, image);
    let (path, family) = match programs.find("sh")? {
        Command::Runs(path, family) => (path, family),
        Command::Broken(reason) => {
            lines.fail("shell", reason, BUILD);
            return Ok(());
        }
        Command::Missing => {
            lines.fail("shell", format!("no `sh` on PATH ({}), which KServe's init container and sidecar start", programs.path()), BUILD);
            return Ok(());
        }
    };
    let name = match family {
        Family::Own => "modelcar's own shell",
        Family::Busybox => "busybox",
        Family::Shell | Family::Other => "sh",
    };
    lines.pass("shell", format!("{name} ({path})"));
    if family == Family::Own {
        lines.pass("commands", "KServe's scripts of every version are built in");
        return Ok(());
    }
    let missing = missing(&mut programs, family, mount_path)?;
    match (missing.is_empty(), family) {
        (true, _) => lines.pass("commands", "every command of KServe's scripts is there"),
        (false, Family::Busybox) => {
            let detail = format!("{}: busybox may have them built in, or may not", some(&missing));
            lines.warn("commands", detail, "try it, or install busybox's links into the base");
        }
        (false, _) => lines.fail("commands", format!("{}, which KServe's scripts run", some(&missing)), BUILD),
    }
    Ok(())
}

/// The commands that neither the shell nor `PATH` has, each with its reason.
fn missing(programs: &mut Programs, family: Family, mount_path: &str) -> Result<Vec<String>, ImageError> {
    let mut wanted: Vec<&str> = Vec::new();
    for script in scripts::all(mount_path) {
        wanted.extend(script.externals);
        if family == Family::Other {
            wanted.extend(script.builtins);
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut missing = Vec::new();
    for command in wanted {
        match programs.find(command)? {
            Command::Runs(..) => {}
            Command::Broken(reason) => missing.push(format!("{command} ({reason})")),
            Command::Missing => missing.push(format!("{command} (not on PATH)")),
        }
    }
    Ok(missing)
}

/// What the init container looks for: `[ -d /models ]` follows a link, and so does the sidecar's.
fn models(image: &Image, lines: &mut Lines) {
    let rootfs = &image.rootfs;
    let folder = rootfs.resolve("models").filter(|path| rootfs.get(path).is_some_and(|node| node.entry.kind == Kind::Directory));
    match folder {
        None => lines.fail("models", "there is no folder /models", MODELS),
        Some(folder) if rootfs.below(&folder).next().is_none() => lines.fail("models", "/models is empty", MODELS),
        Some(folder) => {
            lines.pass("models", "/models is there and not empty");
            permissions::check(rootfs, &folder, lines);
        }
    }
}

/// The kubelet refuses root and names under `runAsNonRoot`; OpenShift sets a number of its own.
fn user(image: &Image, lines: &mut Lines) {
    let user = image.config.as_ref().map(|config| config.config.user.as_str()).unwrap_or_default();
    match user.split(':').next().unwrap_or_default().parse::<u32>() {
        Ok(uid) if uid > 0 => lines.pass("user", format!("{uid}, which runAsNonRoot takes")),
        _ => {
            let shown = if user.is_empty() { "root" } else { user };
            let detail = format!("`{shown}`: a pod with runAsNonRoot and no runAsUser refuses it; OpenShift sets a user of its own");
            lines.warn("user", detail, "build with --user 65534, or another number");
        }
    }
}
