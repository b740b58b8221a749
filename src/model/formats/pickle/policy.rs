//! Which imports a model needs, which are a danger, and which are neither.
//!
//! A list of forbidden functions is never complete: `pip.main`, `numpy.testing`'s `runstring`, `torch.hub.load` and a hundred others were
//! each found after a scanner had let them through (CVE-2025-1716, <https://arxiv.org/abs/2508.19774>). So the standard library is
//! turned round: all of it is dangerous but for the plain data types that models hold. Of other packages only those are called dangerous that
//! exist to run, load or send something; the rest is "not usual in models", and every pickle is a finding anyway.

use super::imports::Import;
use super::names::{
    DANGEROUS_ATTRIBUTES, DANGEROUS_MODULES, DANGEROUS_NAMES, HARMLESS, MODEL_NAMES, MODEL_PACKAGES, NUMBERS, PLAIN, STANDARD, TOLERATED,
};

/// What an import means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Models need it.
    Expected,
    /// Nobody knows.
    Unknown,
    /// No model needs it, and it can do harm.
    Dangerous,
}

/// What an import means for a model.
pub(super) fn judge(import: &Import) -> Verdict {
    if import.is_any(PLAIN) || import.is_any(MODEL_NAMES) {
        return Verdict::Expected;
    }
    if is_dangerous(import) {
        return Verdict::Dangerous;
    }
    if is_expected(import) { Verdict::Expected } else { Verdict::Unknown }
}

fn is_dangerous(import: &Import) -> bool {
    if import.is_any(TOLERATED) {
        return false;
    }
    let below = |module: &&str| import.module.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    (is_standard(import.root()) && !is_harmless(import))
        || DANGEROUS_MODULES.iter().any(below)
        || import.is_any(DANGEROUS_NAMES)
        || leads_elsewhere(&import.name)
}

fn is_standard(root: &str) -> bool {
    STANDARD.split(' ').any(|known| known == root)
}

/// Mathematics, and classes of modules that only describe types.
fn is_harmless(import: &Import) -> bool {
    match import.module.as_str() {
        "math" => !import.name.contains('.'),
        module => HARMLESS.contains(&module) && is_class(&import.name),
    }
}

/// Whether a name goes through another module or through Python's own attributes: `sklearn.utils` has an `os`, every module a
/// `__builtins__` (<https://github.com/protectai/modelscan/issues/89>).
fn leads_elsewhere(name: &str) -> bool {
    let is_module =
        |part: &str| matches!(part, "os" | "sys" | "subprocess" | "builtins" | "importlib" | "shutil" | "pickle" | "ctypes" | "socket");
    let is_dunder = |part: &str| part.starts_with("__") && part.ends_with("__");
    let way = name.rsplit_once('.').map_or("", |(way, _)| way);
    name.split('.').any(|part| is_module(part) || is_dunder(part) || DANGEROUS_ATTRIBUTES.contains(&part))
        || way.split('.').any(is_standard)
}

fn is_expected(import: &Import) -> bool {
    is_torch_type(import)
        || (import.module == "numpy" && NUMBERS.contains(&import.name.as_str()))
        // The classes of TorchScript are code inside the archive, which its own interpreter runs.
        || import.root() == "__torch__"
        || (MODEL_PACKAGES.contains(&import.root()) && is_class(&import.name))
}

/// `torch.FloatStorage`, `torch.bfloat16`, `torch.nn.modules.linear.Linear`.
fn is_torch_type(import: &Import) -> bool {
    match import.module.as_str() {
        "torch" => import.name.ends_with("Storage") || super::tensors::dtype_of(import).is_some(),
        module => module.starts_with("torch.nn.modules.") && is_class(&import.name),
    }
}

/// A class, or the function with which Cython restores one.
fn is_class(name: &str) -> bool {
    let bare = name.trim_start_matches('_');
    !name.contains('.') && (bare.starts_with(|first: char| first.is_ascii_uppercase()) || name.starts_with("__pyx_unpickle_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str) -> Verdict {
        let (module, name) = path.split_once(':').unwrap();
        judge(&Import { module: module.to_owned(), name: name.to_owned() })
    }

    /// Functions with which scanners were got round; most of them are advisories against picklescan, modelscan or fickling.
    #[test]
    fn what_runs_code_is_dangerous_under_every_name() {
        for path in [
            "os:system",
            "posix:system",
            "nt:system",
            "subprocess:Popen",
            "commands:getoutput",
            "builtins:eval",
            "builtins:exec",
            "builtins:getattr",
            "builtins:__import__",
            "builtins:open",
            "builtins:compile",
            "builtins:map",
            "__builtin__:apply",
            "__builtin__:execfile",
            "sys:modules",
            "importlib:import_module",
            "runpy:_run_code",
            "pty:spawn",
            "socket:create_connection",
            "shutil:rmtree",
            "ctypes:CDLL",
            "webbrowser:open",
            "pickle:loads",
            "_pickle:loads",
            "cPickle:loads",
            "marshal:loads",
            "types:CodeType",
            "types:FunctionType",
            "operator:attrgetter",
            "_operator:methodcaller",
            "asyncio.unix_events:_UnixSubprocessTransport._start",
            "code:InteractiveInterpreter.runcode",
            "timeit:timeit",
            "pip:main",
            "pip._internal:main",
            "pydoc:pipepager",
            "bdb:Bdb.run",
            "cProfile:run",
            "profile:Profile.runctx",
            "idlelib.pyshell:ModifiedInterpreter.runcode",
            "lib2to3.pgen2.pgen:ParserGenerator.make_label",
            "logging.config:_resolve",
            "doctest:debug_script",
            "ensurepip:_run_pip",
            "trace:Trace.run",
            "uuid:_get_command_stdout",
            "distutils.file_util:write_file",
            "numpy.testing._private.utils:runstring",
            "numpy.f2py.crackfortran:myeval",
            "numpy.f2py:compile",
            "torch:load",
            "torch.hub:load",
            "torch.storage:_load_from_bytes",
            "torch._dynamo.guards:GuardBuilder.get",
            "torch._inductor.codecache:compile_file",
            "torch.utils._config_module:ConfigModule.load_config",
            "torch.utils.bottleneck.__main__:run_cprofile",
            "torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression",
            "torch.utils.collect_env:run",
            "joblib:load",
            "cloudpickle.cloudpickle:_make_function",
            "dill._dill:_create_function",
            "sklearn.utils:os",
            "sklearn.externals.six:sys.modules",
            "numpy:os.system",
            "sklearn.linear_model._base:LinearModel.__init__.__globals__",
            "pandas.core.computation.eval:eval",
            "copyreg:add_extension",
            "dataclasses:_create_fn",
            "typing:get_type_hints",
            "typing:types.FunctionType",
            "statistics:random",
            "math:__loader__",
            "numpy:__builtins__",
            "six.moves.builtins:__import__",
            "six.moves:urllib",
            "test.support.script_helper:assert_python_ok",
            "sklearn.utils:timeit.timeit",
            "sklearn.base:inspect.getsource",
            "torch.fx.graph_module:reduce_graph_module",
            "torch.serialization:_legacy_load",
            "torch.jit._serialization:load",
            "torch.utils.benchmark:Timer",
            "pandas:DataFrame.query",
            "pandas:HDFStore",
            "pandas.compat.pickle_compat:load",
            "numpy.lib.format:open_memmap",
            "tensorflow.python.framework.load_library:load_op_library",
            "keras.models:load_model",
        ] {
            assert_eq!(judged(path), Verdict::Dangerous, "{path}");
        }
    }

    #[test]
    fn what_models_hold_is_expected() {
        for path in [
            "collections:OrderedDict",
            "copy_reg:_reconstructor",
            "__builtin__:set",
            "_codecs:encode",
            "numpy:dtype",
            "numpy:float64",
            "numpy._core.multiarray:_reconstruct",
            "numpy.random._pickle:__randomstate_ctor",
            "torch.serialization:_get_layout",
            "sklearn.linear_model._logistic:LogisticRegression",
            "sklearn.tree._tree:Tree",
            "sklearn._loss._loss:__pyx_unpickle_CyHalfBinomialLoss",
            "xgboost.sklearn:XGBClassifier",
            "lightgbm.basic:Booster",
            "torch._utils:_rebuild_tensor_v2",
            "torch:FloatStorage",
            "torch:bfloat16",
            "torch.nn.modules.linear:Linear",
            "__torch__.net:Net",
        ] {
            assert_eq!(judged(path), Verdict::Expected, "{path}");
        }
    }

    #[test]
    fn the_rest_is_neither() {
        for path in [
            "mycompany.models:Net",
            "__main__:Net",
            "functools:partial",
            "numpy:prod",
            "argparse:Namespace",
            "typing:Any",
            "math:prod",
            "numpy:prod.a",
        ] {
            assert_eq!(judged(path), Verdict::Unknown, "{path}");
        }
    }
}
