//! Edits of YAML that people really have: exactly the intended lines differ, or the edit is refused and nothing is written.

use std::path::Path;

use modelcar::rollout::{Edit, RolloutError, Step, edited};
use proptest::prelude::*;
use serde_json::{Value, json};

fn way(keys: &[&str]) -> Vec<Step> {
    let step = |key: &&str| key.parse().map_or_else(|_| Step::Key((*key).to_owned()), Step::At);
    keys.iter().map(step).collect()
}

fn edit(text: &str, edit: Edit) -> Result<String, RolloutError> {
    edited(Path::new("torture.yaml"), text, 0, &[edit])
}

const URI: [&str; 4] = ["spec", "predictor", "model", "storageUri"];

/// Each with the mark of the lines that it may take away.
fn operations() -> [(&'static str, Edit); 6] {
    [
        ("URI", Edit::Set(way(&URI), json!("oci://a/b@sha256:2"))),
        ("PART1", Edit::Set(way(&["spec", "canary", "0", "trafficPercent"]), json!(50))),
        ("NONE", Edit::Append(way(&["spec", "canary"]), json!({"predictor": {"name": "c"}, "trafficPercent": 1}))),
        ("CANARY1", Edit::Remove(way(&["spec", "canary", "0"]))),
        ("CANARY", Edit::Remove(way(&["spec", "canary"]))),
        ("NONE", Edit::Set(way(&["metadata", "annotations", "io.modelcar/image"]), json!("a/b:v2"))),
    ]
}

const PLAIN: &str = "\
# top
kind: InferenceService # kind
metadata: # CANARYFREE
  name: iris
  # about annotations
  annotations:
    owner: me # who
spec: # the spec
  # above the predictor
  predictor:
    # above the model
    model:
      # above the URI
      storageUri: oci://URI # of the model
      # below the URI
      runtime: ovms
  # above the canaries
  canary: # CANARY
    # above the first CANARY1 CANARY
    - trafficPercent: 10 # PART1 CANARY1 CANARY
      predictor: # CANARY1 CANARY
        name: a # CANARY1 CANARY
    # above the second CANARY
    - trafficPercent: 20 # CANARY
      predictor: {name: b} # CANARY

# the end
";

/// Name, text, and what becomes of the operations: `e`dited, `r`efused, or `=` because it is so already.
fn inputs() -> Vec<(&'static str, String, &'static str)> {
    let crlf = PLAIN.replace('\n', "\r\n");
    let flow = "kind: X # CANARY\nmetadata: {name: iris, annotations: {owner: me}} # NONE\n\
                spec: {predictor: {model: {storageUri: oci://x}}, canary: [{trafficPercent: 10, n: a}, {n: b}]} # URI PART1 CANARY1 CANARY NONE\nz: 1 # z\n";
    let flow_over_lines = "metadata: {annotations: {}} # NONE\nspec: { # s\n  predictor: {model: {storageUri: oci://x}}, # URI\n  canary: [ # CANARY NONE\n    \
                           {trafficPercent: 10}, # PART1 CANARY1 CANARY NONE\n    {trafficPercent: 20}, # CANARY NONE\n  ], # CANARY NONE\n}\n";
    let quoted = "\"metadata\":\n  'annotations':\n    \"a#b\": 'c # d'\n\"spec\":\n  'predictor':\n    \"model\":\n      \"storageUri\": \"oci://URI\"\n  \
                  \"canary\": # CANARY\n    - \"trafficPercent\": 10 # PART1 CANARY1 CANARY\n    - 'n': b # CANARY\n";
    let folded = "metadata:\n  annotations:\n    note: >-\n      a long\n      folded # no comment\n\n      scalar\nspec:\n  predictor:\n    model:\n      \
                  storageUri: >- # URI\n        oci://URI\n      after: |\n        # no comment either\n        text\n  canary: # CANARY\n    \
                  - trafficPercent: 10 # PART1 CANARY1 CANARY\n      note: | # CANARY1 CANARY\n        - CANARY1 CANARY\n    - n: b # CANARY\n";
    let compact = "spec:\n  predictor: {model: {storageUri: oci://x}} # URI\n  canary: # CANARY\n  - trafficPercent: 10 # PART1 CANARY1 CANARY\n  \
                   - n: b # CANARY\n  last: 1\nmetadata:\n  annotations:\n  name: x\n";
    let merge_key = "defaults: &d\n  runtime: ovms\nmetadata:\n  annotations: {a: b} # NONE\nspec:\n  predictor:\n    model:\n      <<: *d\n      storageUri: \
                     oci://URI\n  canary: # CANARY\n    - trafficPercent: 10 # PART1 CANARY1 CANARY\n    - n: b # CANARY\n";
    let aliased = "x: &c\n  - trafficPercent: 10\n  - n: b\nu: &u oci://x\nmetadata: &m\n  annotations: {a: b}\nlabels: *m\nspec:\n  predictor:\n    model:\n      \
                   storageUri: *u # URI\n  canary: *c # CANARY\n";
    let anchored = "metadata:\n  annotations: &a {a: b} # NONE\n  labels: *a\nspec:\n  predictor:\n    model: {storageUri: &u oci://x} # URI\n  other: *u\n  \
                    canary: &c # CANARY\n    - trafficPercent: &n 10 # PART1 CANARY1 CANARY\n    - n: b # CANARY\n  copy: *c\n  part: *n\n";
    let complex = "? metadata\n: annotations: {a: b}\n? [a, b]\n: c\nspec:\n  predictor:\n    model:\n      storageUri: oci://URI\n  canary: # CANARY\n    - \
                   trafficPercent: 10 # PART1 CANARY1 CANARY\n    - n: b # CANARY\n";
    let explicit = "? spec\n: predictor:\n    model:\n      storageUri: oci://URI\n  canary: # CANARY\n    - trafficPercent: 10 # PART1 CANARY1 CANARY\n    - n: b \
                    # CANARY\nmetadata: {annotations: {a: b}} # NONE\n";
    let tagged = "metadata:\n  annotations: !!map {a: b} # NONE\nspec:\n  predictor:\n    model:\n      storageUri: !!str oci://URI\n  canary: !!seq # CANARY\n    - \
                  trafficPercent: !!int 10 # PART1 CANARY1 CANARY\n    - n: b # CANARY\n";
    let many = format!("{PLAIN}---\n{}", PLAIN.replace("iris", "other"));
    let big = format!("{PLAIN}pad:\n{}", "  - some text of forty characters or so # x\n".repeat(2_000));
    vec![
        ("comments everywhere", PLAIN.to_owned(), "eeeeee"),
        ("CRLF", crlf, "eeeeee"),
        ("no final newline", PLAIN.trim_end().to_owned(), "eeeeee"),
        ("no final newline, a list last", PLAIN.split("\n\n").next().unwrap().to_owned(), "eeeeee"),
        ("byte order mark", format!("\u{feff}{PLAIN}"), "eeeeee"),
        ("tabs in comments", PLAIN.replace(" # ", "\t#\t"), "eeeeee"),
        ("two documents", many, "eeeeee"),
        ("directives and ends", format!("%YAML 1.2\n---\n{PLAIN}...\n"), "eeeeee"),
        ("unicode", PLAIN.replace("iris", "\u{6a21}\u{578b} \u{1f600}").replace("who", "\u{fc}\u{301}\u{202e}"), "eeeeee"),
        ("flow", flow.to_owned(), "eeeeee"),
        ("flow over lines", flow_over_lines.to_owned(), "eeeeee"),
        ("quoted keys", quoted.to_owned(), "eeeeee"),
        ("folded scalars", folded.to_owned(), "eeeeee"),
        ("compact lists", compact.to_owned(), "eeeeee"),
        ("merge keys", merge_key.to_owned(), "eeeeee"),
        ("aliases", aliased.to_owned(), "errrer"),
        ("anchors", anchored.to_owned(), "rrrrrr"),
        ("complex keys", complex.to_owned(), "rrrrrr"),
        ("explicit keys", explicit.to_owned(), "eeeeee"),
        ("tags", tagged.to_owned(), "eeeeee"),
        ("long", big, "eeeeee"),
        ("duplicate keys", format!("{PLAIN}kind: Y\n"), "rrrrrr"),
        ("Helm", PLAIN.replace("iris", "{{ .Values.name }}"), "rrrrrr"),
        ("Helm control", format!("{{{{- if .Values.x }}}}\n{PLAIN}{{{{- end }}}}\n"), "rrrrrr"),
        ("not YAML", format!("{PLAIN}: [\n"), "rrrrrr"),
        ("a scalar", "just text\n".to_owned(), "rrr==r"),
        ("nothing", String::new(), "rrrrrr"),
        ("a list", "- a\n- b\n".to_owned(), "rrr==r"),
        ("tabs for indentation", PLAIN.replace("  predictor:", "\tpredictor:"), "rrrrrr"),
        ("a mapping where a list should be", "metadata: [a]\nspec: {predictor: [a], canary: {a: b}} # CANARY\n".to_owned(), "rrr=er"),
    ]
}

/// What is true before, with the edit made: on plain values, by this test's own words.
fn intended(document: &Value, edit: &Edit) -> Value {
    let mut document = document.clone();
    match edit {
        Edit::Set(steps, value) => *place(&mut document, steps) = value.clone(),
        Edit::Append(steps, entry) => place(&mut document, steps).as_array_mut().unwrap().push(entry.clone()),
        Edit::Remove(steps) => {
            let (last, above) = steps.split_last().unwrap();
            match (last, place(&mut document, above)) {
                (Step::Key(key), Value::Object(members)) => drop(members.remove(key)),
                (Step::At(at), Value::Array(items)) => drop(items.remove(*at)),
                _ => {}
            }
        }
    }
    document
}

fn place<'v>(value: &'v mut Value, steps: &[Step]) -> &'v mut Value {
    steps.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::At(at) => &mut value[*at],
    })
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// Lines taken away: those between what is equal at both ends, as far as they are not found again.
fn taken<'a>(before: &'a str, after: &str) -> Vec<&'a str> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let front = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let back = before[front..].iter().rev().zip(after[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut rest = after[front..after.len() - back].iter();
    let mut taken = Vec::new();
    for line in &before[front..before.len() - back] {
        let mut ahead = rest.clone();
        if ahead.any(|other| other == line) {
            rest = ahead;
        } else {
            taken.push(*line);
        }
    }
    taken
}

#[test]
fn changes_the_intended_lines_or_nothing() {
    let (mut table, mut expected) = (Vec::new(), Vec::new());
    for (name, text, wanted) in inputs() {
        let mut outcome = String::new();
        for (mark, operation) in operations() {
            match edit(&text, operation.clone()) {
                Ok(after) if after == text => outcome.push('='),
                Ok(after) => {
                    expect_exact(name, &text, &after, mark, &operation);
                    outcome.push('e');
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty() && error.exit_code() != 0, "{name}");
                    outcome.push('r');
                }
            }
        }
        table.push(format!("{name}: {outcome}"));
        expected.push(format!("{name}: {wanted}"));
    }
    assert_eq!(table, expected);
}

fn expect_exact(name: &str, before: &str, after: &str, mark: &str, operation: &Edit) {
    let (old, new) = (documents(before), documents(after));
    assert_eq!(new[0], intended(&old[0], operation), "{name} {operation:?}\n{after}");
    assert_eq!(new[1..], old[1..], "{name}");
    for line in taken(before, after) {
        assert!(line.contains(mark), "{name} {operation:?}: `{line}` was not meant\n{after}");
    }
    assert_eq!(before.starts_with('\u{feff}'), after.starts_with('\u{feff}'), "{name}");
    if before.contains("\r\n") {
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{name}: {after:?}");
    }
}

#[test]
fn edits_a_file_of_two_mebibytes() {
    let text = format!("{PLAIN}pad:\n{}", "  - some text of forty characters or so # x\n".repeat(45_000));
    let after = edit(&text, Edit::Remove(way(&["spec", "canary", "0"]))).unwrap();
    let gone = PLAIN.lines().filter(|line| line.contains("CANARY1") && !line.trim_start().starts_with('#'));
    assert_eq!(text.len() - after.len(), gone.map(|line| line.len() + 1).sum::<usize>());
}

#[test]
fn says_nothing_twice() {
    for (name, text, _) in inputs() {
        for (_, operation) in operations() {
            if matches!(operation, Edit::Append(..)) {
                continue;
            }
            if let Edit::Remove(steps) = &operation
                && matches!(steps.last(), Some(Step::At(_)))
            {
                continue;
            }
            let Ok(once) = edit(&text, operation.clone()) else { continue };
            assert_eq!(edit(&once, operation.clone()).unwrap(), once, "{name} {operation:?}");
        }
    }
}

/// YAML as a person might write it, and what may stand in it.
fn document() -> impl Strategy<Value = (String, Vec<Vec<Step>>)> {
    let members = prop::collection::vec((0..6_usize, "[a-z]{1,5}", any::<bool>(), 0..4_usize), 1..8);
    (members, any::<bool>(), any::<bool>()).prop_map(|(members, crlf, end)| {
        let (mut text, mut ways) = ("# head\n".to_owned(), Vec::new());
        for (number, (kind, word, comment, indent)) in members.into_iter().enumerate() {
            let (key, pad) = (format!("k{number}"), " ".repeat(indent));
            let remark = if comment { format!(" # {word} {number}") } else { String::new() };
            let own = |steps: &[&str]| way(&[&[key.as_str()], steps].concat());
            let lines = match kind {
                0 => format!("{key}: {word}{remark}\n"),
                1 => format!("\"{key}\": '{word} # x'{remark}\n\n"),
                2 => {
                    format!(
                        "{key}:{remark}\n{pad}  a: {word}{remark}\n{pad}  b: {number}\n{pad}  # in between\n{pad}  c: [1, {{d: {word}}}]\n"
                    )
                }
                3 => format!("{key}:{remark}\n{pad}- n: {word}{remark}\n{pad}  m: 1\n{pad}# note\n{pad}- n: b\n"),
                4 => format!("{key}: {{a: {word}, b: [x, 'y'], c: {{n: 1}}}}{remark}\n"),
                _ => format!("{key}: |\n  {word}\n  # text\n"),
            };
            text.push_str(&lines);
            ways.push(own(&[]));
            match kind {
                2 | 4 => ways.extend([own(&["a"]), own(&["b"]), own(&["c"])]),
                3 => ways.extend([own(&["0"]), own(&["1"]), own(&["0", "n"]), own(&["1", "n"]), own(&["0", "m"])]),
                _ => {}
            }
        }
        let text = if end { text } else { text.trim_end().to_owned() };
        (if crlf { text.replace('\n', "\r\n") } else { text }, ways)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is edited, an edit that succeeds changes what it means and nothing else.
    #[test]
    fn an_edit_that_succeeds_changes_nothing_else((text, ways) in document(), at in any::<prop::sample::Index>(), what in 0..4_usize) {
        let steps = at.get(&ways).clone();
        let before = documents(&text);
        let operation = match what {
            0 => Edit::Set(steps, json!("other")),
            1 => Edit::Set(steps, json!(7)),
            2 => Edit::Remove(steps),
            _ => Edit::Append(vec![Step::Key("list".to_owned())], json!({"n": "new"})),
        };
        if let Ok(after) = edit(&text, operation.clone()) {
            let mut wanted = before.clone();
            match &operation {
                Edit::Append(..) => wanted[0]["list"] = json!([{"n": "new"}]),
                operation => wanted[0] = intended(&before[0], operation),
            }
            prop_assert_eq!(documents(&after), wanted);
            prop_assert!(after.starts_with("# head"));
            if text.contains("\r\n") {
                prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
            }
        }
    }

    /// Whatever the text is, there is an answer.
    #[test]
    fn never_panics(text in "([a-c ]|[-:?#&*!|>'\"%@`{}\\[\\],\n\t]){0,60}") {
        for (_, operation) in operations() {
            let _ = edit(&text, operation);
        }
        let _ = edit(&format!("spec:\n  canary:\n  - {text}\n"), Edit::Remove(way(&["spec", "canary", "0"])));
    }
}
