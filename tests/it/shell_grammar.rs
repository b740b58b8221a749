//! The shell's parser, fed with anything; and the shell beside a POSIX shell, over scripts of its grammar.

use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::need;
use crate::support::tiny_shell::native;

/// The very source of the image's shell, compiled into this test.
// is_some_and and its kin are younger than the compiler that builds the shell
#[allow(dead_code, unused_imports, unreachable_pub, clippy::pedantic, clippy::unnecessary_map_or)]
#[path = "../../shell/src/script/mod.rs"]
mod script;

use script::{MAX_SCRIPT, Node, NodeId, Pieces, Refusal, Tree, parse};

/// Pieces that hostile scripts are made of: all that means something to a shell, and some that does not.
const FRAGMENTS: &[&str] = &[
    " ", "\t", "\n", "&&", "||", "&", "|", ";", "(", ")", "!", "'", "\"", "\\", "$", "$$", "$(", "$(ls -A ", "${x}", "`", "*", "?", "[",
    "]", "~", "#", "<", ">", "=", "-", "echo", "ls", "ln", "mkdir", "sleep", "exit", "[ ", " ]", "-A", "-d", "/models", "infinity", "1",
    "a", "\0", "\u{fffd}",
];

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let fragments = vec(prop::sample::select(FRAGMENTS), 0..40).prop_map(|parts| parts.concat().into_bytes());
    prop_oneof![9 => fragments, 1 => vec(any::<u8>(), 0..60)]
}

/// Walks the tree the way the shell runs it; gives the number of commands.
fn commands(tree: &Tree, id: NodeId) -> usize {
    match tree.node(id) {
        Node::Command { first_word, words, .. } => {
            tree.words(first_word, words).iter().for_each(|word| assert_expands(word));
            1
        }
        Node::Not(inner) | Node::Subshell(inner) => commands(tree, inner),
        Node::And(left, right) | Node::Or(left, right) => commands(tree, left) + commands(tree, right),
    }
}

/// What the lexer has let pass, expansion must be able to walk: it ignores refusals.
fn assert_expands(word: &[u8]) {
    let end = Pieces::new(word, 0).whole().map(<[u8]>::len);
    assert_eq!(end, Ok(word.len()), "{}", word.escape_ascii());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_a_script_or_refused(text in hostile()) {
        match parse(&text) {
            Ok(tree) => prop_assert!(tree.root().is_none_or(|root| commands(&tree, root) <= 64)),
            Err(refusal) => prop_assert!(matches!(refusal.status(), 2 | 127)),
        }
    }
}

#[test]
fn ten_megabytes_of_anything_are_refused_at_once() {
    for fragment in FRAGMENTS {
        let text = fragment.repeat(10 * 1024 * 1024 / fragment.len());
        assert!(matches!(parse(text.as_bytes()), Err(Refusal::TooLarge { .. })), "{fragment:?}");
        let fits = fragment.repeat(MAX_SCRIPT / fragment.len());
        let _ = parse(fits.as_bytes());
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9/._-]{1,5}",
        "'[a-z \"$&|;()*`]{0,6}'",
        "\"[a-z '&|;()*]{0,6}\"",
        r#"\\[ '"$&|;()*`]"#,
        "[a-c]{1,2}'[a-c ]{0,2}'\"[a-c ]{0,2}\"",
        Just("\"$(ls -A models)\"".to_owned()),
        Just("\"$(ls -A empty)\"".to_owned()),
    ]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(word(), 0..4).prop_map(|words| format!("echo x {}", words.join(" "))),
        word().prop_map(|word| format!("[ {word} ]")),
        (prop::sample::select(&["! ", ""][..]), prop::sample::select(&["-n", "-z", "-d", "-e"][..]), word())
            .prop_map(|(not, operator, word)| format!("[ {not}{operator} {word} ]")),
        Just("ls -A models".to_owned()),
        (0..4_u8).prop_map(|status| format!("exit {status}")),
    ]
}

/// Scripts of the grammar, of some depth.
fn list() -> impl Strategy<Value = String> {
    command().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&["&&", " || ", " && "][..]), inner.clone())
                .prop_map(|(left, join, right)| format!("{left}{join}{right}")),
            // the space keeps bash-like shells from reading `((` as arithmetic
            inner.clone().prop_map(|inner| format!("( {inner} )")),
            inner.prop_map(|inner| format!("! ({inner} )")),
        ]
    })
}

/// Runs `sh -c script` and gives the exit status and standard output.
fn outcome(mut shell: Command, folder: &std::path::Path, script: &str) -> (Option<i32>, String) {
    let output = shell.arg("-c").arg(script).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn scripts_mean_the_same_as_in_a_posix_shell() {
    let (Some(platform), Some(posix)) = (native(), need("dash")) else { return };
    let folder = tempfile::tempdir().unwrap();
    for directory in ["models", "models/b", "models/.a", "empty"] {
        std::fs::create_dir(folder.path().join(directory)).unwrap();
    }
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let compared = proptest::test_runner::TestRunner::new(config).run(&list(), |script| {
        let ours = outcome(platform.called("sh").unwrap(), folder.path(), &script);
        prop_assert_ne!(ours.0, Some(127), "refused");
        prop_assert_eq!(ours, outcome(Command::new(&posix), folder.path(), &script));
        Ok(())
    });
    compared.unwrap();
}

#[test]
fn what_the_parser_accepts_a_posix_shell_can_read() {
    let Some(posix) = need("dash") else { return };
    let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let compared = proptest::test_runner::TestRunner::new(config).run(&hostile(), |text| {
        if text.contains(&0) || parse(&text).is_err() {
            return Ok(());
        }
        let script = std::os::unix::ffi::OsStringExt::from_vec(text);
        let script: std::ffi::OsString = script;
        prop_assert!(Command::new(&posix).args(["-n", "-c"]).arg(script).status().unwrap().success());
        Ok(())
    });
    compared.unwrap();
}
