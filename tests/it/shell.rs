//! The image's `/bin/sh` does what a POSIX shell does within its grammar, refuses the rest by name, on every platform.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::tiny_shell::{PLATFORMS, native};

/// A script and what it must do in [`folder`].
struct Case(&'static str, u8, &'static str, &'static str);

/// Script, exit status, standard output, and what standard error says ("" = nothing at all).
const RUNS: &[Case] = &[
    Case("", 0, "", ""),
    Case(" \n\t ", 0, "", ""),
    Case("\n echo a \n", 0, "a\n", ""),
    Case("echo", 0, "\n", ""),
    Case("echo a  b 'c  d' \"e  f\" ''x", 0, "a b c  d e  f x\n", ""),
    Case("echo -n a b", 0, "a b", ""),
    Case("echo -e 'a\\n'", 0, "-e a\\n\n", ""),
    Case(r#"echo 'it'\''s' \$ "\"\\\$\`" \a "\a" $ "$" a#b a~ [ ]"#, 0, "it's $ \"\\$` a \\a $ $ a#b a~ [ ]\n", ""),
    Case("echo 'a;b|c&d>e<f(g)h`i*j?k$l'", 0, "a;b|c&d>e<f(g)h`i*j?k$l\n", ""),
    Case("echo \u{e9}\u{4e2d}", 0, "\u{e9}\u{4e2d}\n", ""),
    Case("ls -A models", 0, ".hidden\na\nb c\n", ""),
    Case("ls models", 0, "a\nb c\n", ""),
    Case("ls -A file", 0, "file\n", ""),
    Case("ls -A empty", 0, "", ""),
    Case("ls -A nope", 1, "", "modelcar sh: ls: nope: no such file or directory (errno 2)\n"),
    Case("echo \"<$(ls -A models)>\"", 0, "<.hidden\na\nb c>\n", ""),
    Case("echo \"<$( ls  -A  \"models\" )>\"", 0, "<.hidden\na\nb c>\n", ""),
    Case("echo \"<$(ls -A empty)>\"", 0, "<>\n", ""),
    Case("[ \"$(ls -A models)\" ]", 0, "", ""),
    Case("[ \"$(ls -A empty)\" ]", 1, "", ""),
    Case("[ -n \"$(ls -A empty)\" ]", 1, "", ""),
    Case("[ -z \"$(ls -A empty)\" ]", 0, "", ""),
    Case("[ \"$(ls -A nope)\" ]", 1, "", "ls: nope: no such file or directory"),
    Case("[ -d models ]", 0, "", ""),
    Case("[ -d link ]", 0, "", ""),
    Case("[ -d file ]", 1, "", ""),
    Case("[ -d nope ]", 1, "", ""),
    Case("[ -e file ]", 0, "", ""),
    Case("[ -e nope ]", 1, "", ""),
    Case("[ ! -d nope ]", 0, "", ""),
    Case("[ ! ! -d nope ]", 1, "", ""),
    Case("[ ! x ]", 1, "", ""),
    Case("[ ]", 1, "", ""),
    Case("[ -d ]", 0, "", ""),
    Case("[ -d models", 2, "", "[: the closing ] is missing"),
    Case("[ a = a ]", 127, "", "[: = is not supported"),
    Case("[ -f file ]", 127, "", "[: -f is not supported"),
    Case("[ \"\" ] && echo a || echo b && echo c", 0, "b\nc\n", ""),
    Case("echo a || echo b && echo c", 0, "a\nc\n", ""),
    Case("! [ -d models ]", 1, "", ""),
    Case("! (exit 7) && echo yes", 0, "yes\n", ""),
    Case("(exit 3)", 3, "", ""),
    Case("(exit 3) || echo after", 0, "after\n", ""),
    Case("(echo a && (exit 5)) || exit 6", 6, "a\n", ""),
    Case("((echo a))", 0, "a\n", ""),
    Case("exit 255 && echo never", 255, "", ""),
    Case("exit 256", 127, "", "exit: anything but one status from 0 to 255 is not supported"),
    Case("exit", 127, "", "exit: anything but"),
    Case("mkdir -p x/y//z/ /tmp . && [ -d x/y/z ]", 0, "", ""),
    Case("mkdir models", 1, "", "mkdir: models: it exists already"),
    Case("mkdir -p file/x", 1, "", "mkdir: file/x: it exists already"),
    Case("mkdir nope/x", 1, "", "mkdir: nope/x: no such file or directory"),
    Case("mkdir -m 700 x", 127, "", "mkdir: -m is not supported"),
    Case("ln -s models l && [ -d l ] && ln -s models l", 1, "", "ln: l: it exists already"),
    Case("ln -sf models l && ln -s -f -- file l && [ ! -d l ] && [ -e l ]", 0, "", ""),
    Case("ln -sf x models", 1, "", "ln: models: is a directory; a link inside it is not what KServe reads"),
    Case("ln -sf x nope/l", 1, "", "ln: nope/l: no such file or directory"),
    Case("ln -sf /proc/$$/root/no-such-models l || [ ! -e l ]", 0, "", "this container has no such directory, so l would lead nowhere"),
    Case("ln file l", 127, "", "ln: a hard link (without -s) is not supported"),
    Case("ln -s file", 127, "", "ln: anything but one TARGET and one LINK is not supported"),
    Case("sleep 0 && echo woke", 0, "woke\n", ""),
    Case("sleep 0.5", 127, "", "sleep: 0.5 is not supported"),
    Case("(ls -l || echo hidden) || echo hidden", 127, "", "ls: -l is not supported"),
];

/// Script, exit status and what the refusal names. Nothing of these scripts runs, so standard output stays empty.
const REFUSALS: &[(&str, u8, &str)] = &[
    ("echo a; rm b", 127, "`;`"),
    ("echo a && rm -rf /", 127, "`rm`"),
    ("echo a | cat", 127, "`|`"),
    ("echo a &", 127, "`&`"),
    ("echo a > stolen", 127, "`>`"),
    ("echo a >> stolen", 127, "`>>`"),
    ("echo a 2>stolen", 127, "`>`"),
    ("echo < file", 127, "`<`"),
    ("echo a\necho b", 127, "a second line"),
    ("echo `id`", 127, "```"),
    ("echo \"`id`\"", 127, "```"),
    ("echo \"$(rm -rf /)\"", 127, "`$(rm`"),
    ("echo \"$(ls -A models; rm x)\"", 127, "`$(ls -A models`"),
    ("echo \"$(ls -A \"$(ls -A models)\")\"", 127, "`$(`"),
    ("echo \"$(ls -A )\"", 127, "`$(ls -A `"),
    ("echo $(ls -A models)", 127, "`$(`"),
    ("echo $HOME_1/x", 127, "`$HOME_1`"),
    ("echo \"${HOME}\"", 127, "`${`"),
    ("echo $?", 127, "`$?`"),
    ("echo $'a'", 127, "`$'`"),
    ("echo *", 127, "`*`"),
    ("echo a?", 127, "`?`"),
    ("echo x[a]", 127, "`[`"),
    ("echo ~", 127, "`~`"),
    ("echo # x", 127, "`#`"),
    ("HOME=/ echo a", 127, "`HOME=/`"),
    ("if echo a", 127, "`if`"),
    ("/bin/echo a", 127, "`/bin/echo`"),
    ("echo a\\\nb", 127, "`\\\n`"),
    ("echo 'a", 2, "byte 5: the ' quote is not closed"),
    ("echo \"a", 2, "the \" quote is not closed"),
    ("echo \"$(ls -A 'models\")", 2, "the ' quote is not closed"),
    ("echo a\\", 2, "nothing follows the \\"),
    ("(echo a", 2, "a `)` is missing"),
    ("echo a)", 2, "that nothing joins"),
    ("(echo a) b", 2, "that nothing joins"),
    ("()", 2, "a command is missing"),
    ("echo a &&", 2, "a command is missing"),
    ("&& echo a", 2, "a command is missing"),
    ("! ! echo a", 127, "`!`"),
];

/// A folder with something of everything.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for directory in ["models", "empty"] {
        fs::create_dir(folder.path().join(directory)).unwrap();
    }
    for file in ["file", "models/b c", "models/a", "models/.hidden"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    std::os::unix::fs::symlink("models", folder.path().join("link")).unwrap();
    folder
}

fn assert_output(context: &str, output: &Output, status: u8, stdout: &str, stderr: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(status)), "{context}: {said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{context}");
    assert!(said.contains(stderr), "{context}: {said}");
    assert_eq!(stderr.is_empty(), said.is_empty(), "{context}: {said}");
    assert!(said.is_empty() || said.starts_with("modelcar sh: "), "{context}: {said}");
}

#[test]
fn scripts_do_the_same_on_every_platform() {
    for platform in &PLATFORMS {
        for Case(script, status, stdout, stderr) in RUNS {
            let Some(output) = platform.run(folder().path(), script) else { break };
            assert_output(&format!("{}: {script}", platform.arch), &output, *status, stdout, stderr);
        }
    }
}

#[test]
fn other_shell_language_is_refused_by_name_before_anything_runs() {
    for platform in &PLATFORMS {
        for (script, status, named) in REFUSALS {
            let folder = folder();
            let Some(output) = platform.run(folder.path(), script) else { break };
            assert_output(&format!("{}: {script}", platform.arch), &output, *status, "", named);
            assert!(!folder.path().join("stolen").exists(), "{script}");
        }
    }
}

#[test]
fn scripts_beyond_the_fixed_buffers_are_refused() {
    let scripts = [
        ("(".repeat(100_000), "longer than 16 KiB"),
        ("(".repeat(17), "nested deeper than 16"),
        (format!("echo{}", " a".repeat(129)), "more than 128 words"),
        (vec!["echo"; 65].join("&&"), "more than 64 steps"),
        (format!("ln -s a {}", "l".repeat(5000)), "path is too long"),
        (format!("mkdir -p {}", "d/".repeat(3000)), "path is too long"),
    ];
    for platform in &PLATFORMS {
        for (script, named) in &scripts {
            let Some(output) = platform.run(folder().path(), script) else { break };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(named), "{}: {said}", platform.arch);
            assert!(matches!(output.status.code(), Some(1 | 2)), "{}: {said}", platform.arch);
        }
    }
}

#[test]
fn a_listing_beyond_memory_is_cut_aloud_and_still_counts_as_a_model() {
    let folder = folder();
    for number in 0..8200 {
        fs::write(folder.path().join(format!("empty/{number:05}")), "").unwrap();
    }
    for platform in &PLATFORMS {
        let Some(check) = platform.run(folder.path(), "[ \"$(ls -A empty)\" ]") else { continue };
        assert_output(platform.arch, &check, 0, "", "more names than fit into memory");
        let listing = platform.run(folder.path(), "ls -A empty").unwrap();
        assert_eq!(listing.status.code(), Some(1));
        assert_eq!(String::from_utf8(listing.stdout).unwrap().lines().count(), 8192);
    }
}

#[test]
fn every_command_answers_to_its_name_on_path() {
    let calls: &[(&str, &[&str], u8, &str)] = &[
        ("/bin/echo", &["a", "b"], 0, "a b\n"),
        ("ls", &["-A", "models"], 0, ".hidden\na\nb c\n"),
        ("[", &["-d", "models", "]"], 0, ""),
        ("mkdir", &["-p", "x/y"], 0, ""),
        ("ln", &["-sf", "models", "l"], 0, ""),
        ("sleep", &["0"], 0, ""),
        ("/usr/bin/sh", &["-c", "exit 4"], 4, ""),
    ];
    for platform in &PLATFORMS {
        for (name, arguments, status, stdout) in calls {
            let Some(mut command) = platform.called(name) else { break };
            let output = command.args(*arguments).current_dir(folder().path()).output().unwrap();
            assert_output(name, &output, *status, stdout, "");
        }
    }
}

#[test]
fn a_call_without_a_script_is_explained() {
    let calls: &[(&[&str], &str)] = &[
        (&[], "no interactive session"),
        (&["-c"], "-c needs a script"),
        (&["-x", "-c", "echo a"], "`-x` is not supported"),
        (&["script.sh"], "`script.sh` is not supported"),
        (&["-c", "echo a", "name"], "`name`: arguments after the script"),
    ];
    let Some(platform) = native() else { return };
    for (arguments, named) in calls {
        let output = platform.called("sh").unwrap().args(*arguments).output().unwrap();
        assert_output(named, &output, 2, "", named);
    }
    let help = platform.called("sh").unwrap().arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"modelcar sh "));
}

#[test]
fn output_that_no_one_can_take_is_an_error() {
    let Some(platform) = native() else { return };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = platform.called("sh").unwrap().args(["-c", "echo a"]).stdout(full).output().unwrap();
    assert_output("/dev/full", &output, 1, "", "no space left on device");
}

#[test]
fn two_dollars_are_the_process_id() {
    for platform in &PLATFORMS {
        let Some(mut command) = platform.called("sh") else { continue };
        let child = command.args(["-c", "echo $$ \"$$\" '$$' a$$"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{pid} {pid} $$ a{pid}\n"), "{}", platform.arch);
    }
}

#[test]
fn each_file_is_static_small_and_for_its_platform() {
    for platform in &PLATFORMS {
        let bytes = fs::read(platform.file()).unwrap();
        assert!(bytes.len() <= 64 * 1024, "{}: {} bytes", platform.arch, bytes.len());
        assert_eq!(&bytes[..4], b"\x7fELF", "{}", platform.arch);
        assert_eq!(&bytes[18..20], platform.elf_machine, "{}", platform.arch);
        assert!(!bytes.windows(6).any(|window| window == b"ld64.s" || window == b"ld-lin"), "{} asks for an interpreter", platform.arch);
    }
}

#[test]
fn the_temporary_name_of_a_replaced_link_does_not_stay() {
    let folder = folder();
    let Some(platform) = native() else { return };
    platform.run(folder.path(), "ln -sf file link && ln -sf x models").unwrap();
    assert_eq!(fs::read_link(folder.path().join("link")).unwrap(), Path::new("file"));
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains(".new-")).count(), 0);
}
