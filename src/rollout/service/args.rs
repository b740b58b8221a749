//! The arguments of a model server: what an image may ask for, and how it comes into a list that is there.

use serde_json::Value;

use crate::oci::is_harmless;
use crate::rollout::RolloutError;

/// Where the arguments of an InferenceService's server stand.
pub(in crate::rollout) const ARGS: [&str; 4] = ["spec", "predictor", "model", "args"];
/// The arguments that an image may ask for, each with the path of a file below the mount. Whoever makes an image must not be able to
/// turn a server's other switches, such as `--trust-remote-code`.
const ALLOWED: [&str; 2] = ["--model=/mnt/models/", "--tokenizer=/mnt/models/"];
pub(super) const MAX_ARGS: usize = 8;

pub(super) fn check_args(args: &[String]) -> Result<(), RolloutError> {
    let is_path =
        |path: &str| path.len() <= 1024 && path.chars().all(is_harmless) && path.split('/').all(|name| !["", ".", ".."].contains(&name));
    let allowed = |arg: &str| ALLOWED.iter().filter_map(|start| arg.strip_prefix(start)).any(is_path);
    match args.iter().enumerate().find(|(at, arg)| *at >= MAX_ARGS || !allowed(arg)) {
        Some((_, arg)) => Err(RolloutError::BadArgument { text: arg.chars().take(100).collect() }),
        None => Ok(()),
    }
}

/// The strings of a list.
pub(in crate::rollout) fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Arguments with those that an image wants: in the list that is there only the same switch is replaced.
pub(in crate::rollout) fn merged_args(told: Vec<String>, wanted: &[String]) -> Vec<String> {
    let switch = |arg: &str| arg.split('=').next().map(str::to_owned);
    let others = told.into_iter().filter(|arg| wanted.iter().all(|wanted| switch(wanted) != switch(arg)));
    others.chain(wanted.iter().cloned()).collect()
}
