//! The tokenizer: which files hold it, and whether it knows how a conversation is written.

use super::outline;
use crate::model::formats::json::Outline;
use crate::model::formats::small::{has_extension, is_at_top};
use crate::model::{Facts, Tree};

/// Its settings.
pub(super) const SETTINGS: &str = "tokenizer_config.json";

/// The files of which one is enough, the most usual first.
const FILES: [&str; 10] = [
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "source.spm",
    "tokenizer.model.v3",
    "tokenizer.tiktoken",
];

/// Where a chat template may be, beside the settings.
const TEMPLATES: [&str; 3] = ["chat_template.jinja", "chat_template.json", "chat_templates/default.jinja"];

/// A tokenizer's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tokenizer {
    file: String,
}

impl Tokenizer {
    /// The tokenizer at the top of a folder.
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let known = FILES.into_iter().find(|path| tree.file(path).is_some()).map(str::to_owned);
        let other = || tree.files().iter().map(|file| &file.path).find(|path| is_at_top(path) && has_extension(path, "tiktoken")).cloned();
        known.or_else(other).map(|file| Self { file })
    }

    pub(super) fn tell(&self, tree: &Tree, settings: &Outline, facts: &mut Facts) {
        let class = settings.get("tokenizer_class").text();
        facts.add("tokenizer", "tokenizer", class.map_or_else(|| self.file.clone(), |class| format!("{class}, {}", self.file)));
        facts.add("chat-template", "chat template", template(tree, settings).unwrap_or_default());
    }
}

fn template(tree: &Tree, settings: &Outline) -> Option<&'static str> {
    let inside = settings.get("chat_template").is_something().then_some(SETTINGS);
    TEMPLATES.into_iter().find(|path| tree.file(path).is_some()).or(inside).or_else(|| processor_template(tree))
}

/// Processors of networks with several parts carry the template in their own settings.
fn processor_template(tree: &Tree) -> Option<&'static str> {
    const PROCESSOR: &str = "processor_config.json";
    let settings = outline(tree, PROCESSOR).ok()?;
    settings.get("chat_template").is_something().then_some(PROCESSOR)
}
