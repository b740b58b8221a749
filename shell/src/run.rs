//! Tree to exit status.

use crate::applets::{self, Stop};
use crate::script::{Applet, Node, NodeId, Tree};
use crate::sys::CText;
use crate::{Memory, expand};

/// Runs the script; an empty one succeeds, as in every shell.
pub fn run(tree: &Tree, memory: &mut Memory) -> u8 {
    match tree.root() {
        Some(root) => step(tree, root, memory).unwrap_or_else(Stop::status),
        None => 0,
    }
}

fn step(tree: &Tree, id: NodeId, memory: &mut Memory) -> Result<u8, Stop> {
    match tree.node(id) {
        Node::Command { applet, first_word, words } => command(applet, tree.words(first_word, words), memory),
        Node::Not(inner) => Ok(u8::from(step(tree, inner, memory)? == 0)),
        Node::And(left, right) => match step(tree, left, memory)? {
            0 => step(tree, right, memory),
            failed => Ok(failed),
        },
        Node::Or(left, right) => match step(tree, left, memory)? {
            0 => Ok(0),
            _ => step(tree, right, memory),
        },
        Node::Subshell(inner) => subshell(step(tree, inner, memory)),
    }
}

/// `exit` ends the subshell it is in, not the shell around it.
fn subshell(result: Result<u8, Stop>) -> Result<u8, Stop> {
    match result {
        Err(Stop::Exit(status)) => Ok(status),
        other => other,
    }
}

fn command(applet: Applet, words: &[&[u8]], memory: &mut Memory) -> Result<u8, Stop> {
    memory.arguments.clear();
    for word in words {
        expand::word(word, &mut memory.arguments, &mut memory.names)?;
    }
    let mut arguments = [CText::EMPTY; crate::script::MAX_WORDS];
    let count = memory.arguments.list(&mut arguments);
    applets::run(applet, &arguments[..count], &mut memory.names)
}
