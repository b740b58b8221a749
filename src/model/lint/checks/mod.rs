//! One function per rule. Those of [`CHECKS`] look at names, sizes, facts and the target; those of [`TEXT_CHECKS`] at one small file.

mod code;
mod files;
mod image;
mod paths;
mod realpath;
mod secrets;
mod triton;
mod unserved;

use super::Finding;
use super::engine::Subject;
use super::text::Text;

pub(super) use realpath::retold;

/// Looks at the model as a whole.
type Check = fn(&Subject<'_>) -> Vec<Finding>;

/// Looks at one small file of it.
type TextCheck = fn(&Subject<'_>, &Text<'_>) -> Vec<Finding>;

pub(super) static CHECKS: &[Check] = &[
    files::empty,
    files::several_models,
    files::unknown_format,
    image::case_clash,
    image::latest_tag,
    image::layer_size,
    code::triton_python,
    paths::nim_cache,
    realpath::xgboost,
    realpath::onnx_external_data,
    secrets::by_name,
    triton::no_config,
    unserved::unserved,
];

pub(super) static TEXT_CHECKS: &[TextCheck] =
    &[files::lfs_pointer, code::auto_map, paths::absolute, paths::cache_in_own_folder, secrets::private_key, triton::config];

#[cfg(test)]
mod tests;
