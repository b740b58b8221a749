//! What TorchScript's code says of itself: how many files it has and what `forward` takes.
//!
//! The code is Python of a very regular kind, written by PyTorch's printer: a class of `data.pkl` called `__torch__.pkg.Net` stands in
//! `code/__torch__/pkg.py` as `class Net(Module):`. Only its `forward` line is looked for.

use super::archive::Archive;
use crate::model::facts::printable;
use crate::model::{Facts, TensorInfo};

/// How much of a file of code is looked at.
const MAX_CODE: u64 = 256 << 10;
/// A signature is a line or a few.
const MAX_SIGNATURE: usize = 4096;
/// Parameters that are told.
const MAX_PARAMETERS: usize = 256;

/// A method's parameters with their types, and what it gives.
#[derive(Debug, PartialEq, Eq)]
struct Signature<'t> {
    parameters: Vec<(&'t str, &'t str)>,
    gives: &'t str,
}

/// Adds what the code tells.
pub(super) fn add_facts(facts: &mut Facts, archive: &mut Archive<'_>, class: Option<&str>) {
    let files = archive.names().iter().filter(|name| name.contains("code/") && has_code_ending(name)).count();
    facts.add("code-files", "code files", files.to_string());
    let Some((module, class)) = class.and_then(|class| class.rsplit_once('.')) else { return };
    let path = format!("code/{}.py", module.replace('.', "/"));
    let name = archive.ending_with(&path).map(str::to_owned);
    let Some(code) = name.and_then(|name| archive.text(&name, MAX_CODE)) else { return };
    let Some(signature) = forward(&code, class) else { return };
    let shown: Vec<_> = signature.parameters.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
    facts.add("forward", "forward", format!("({}) -> {}", shown.join(", "), signature.gives));
    facts.inputs = signature.parameters.iter().take(MAX_PARAMETERS).map(|(name, kind)| input(name, kind)).collect();
}

fn has_code_ending(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ending == "py")
}

/// Neither element type nor shape of a tensor is in the code.
fn input(name: &str, kind: &str) -> TensorInfo {
    TensorInfo { name: printable(name), element_type: printable(kind), shape: None }
}

/// The signature of a class's `forward`.
fn forward<'t>(code: &'t str, class: &str) -> Option<Signature<'t>> {
    let start = code.find(&format!("class {class}(Module):"))?;
    let body = code.get(start..)?;
    // The next class begins at the margin.
    let body = body.find("\nclass ").and_then(|end| body.get(..end)).unwrap_or(body);
    let after = body.split_once("  def forward(")?.1;
    let mut end = MAX_SIGNATURE.min(after.len());
    while !after.is_char_boundary(end) {
        end -= 1;
    }
    let (parameters, rest) = closed(&after[..end])?;
    let gives = rest.strip_prefix(" -> ")?.split_once(":\n")?.0;
    let named = split_at_commas(parameters).into_iter().filter_map(|parameter| parameter.split_once(':'));
    // `x: Tensor=CONSTANTS.c0` has a default.
    let typed = named.map(|(name, kind)| (name.trim(), kind.split('=').next().unwrap_or(kind).trim()));
    Some(Signature { parameters: typed.filter(|(name, _)| *name != "self").collect(), gives: gives.trim() })
}

/// What stands before the bracket that closes the first one, and what is behind it.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' | '[' => depth += 1,
            ')' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            ')' | ']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// The parts between commas that are in no bracket.
fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "class Other(Module):\n  def forward(self: __torch__.Other) -> int:\n    return 1\n\
        class Net(Module):\n  __parameters__ = []\n  def helper(self: __torch__.Net) -> int:\n    return 1\n\
        \x20 def forward(self: __torch__.Net,\n    x: Tensor,\n    state: Dict[str, Tuple[Tensor, int]]=CONSTANTS.c0,\n    sr: int=16000) -> Tuple[Tensor, Tensor]:\n    return x\n";

    #[test]
    fn forward_is_found_in_its_own_class() {
        let signature = forward(CODE, "Net").unwrap();
        assert_eq!(signature.parameters, [("x", "Tensor"), ("state", "Dict[str, Tuple[Tensor, int]]"), ("sr", "int")]);
        assert_eq!(signature.gives, "Tuple[Tensor, Tensor]");
        assert_eq!(forward(CODE, "Other").unwrap(), Signature { parameters: vec![], gives: "int" });
    }

    #[test]
    fn code_of_another_kind_says_nothing() {
        let long = format!("class Net(Module):\n  def forward(self: N, {}", "é".repeat(5000));
        for code in
            ["", "class Net(Module):\n", "class Net(Module):\n  def forward(", "class Net(Module):\n  def forward(]) -> x:\n", &long]
        {
            assert_eq!(forward(code, "Net"), None);
        }
        assert_eq!(forward(CODE, "Missing"), None);
    }
}
