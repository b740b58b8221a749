//! Which imports a model needs, which are a danger, and which are neither.
//!
//! A list of forbidden functions is never complete: `pip.main`, `numpy.testing`'s `runstring`, `torch.hub.load` and a hundred others were
//! each found after a scanner had let them through (CVE-2025-1716, <https://arxiv.org/abs/2508.19774>). So the standard library is
//! turned round: all of it is dangerous but for the plain data types that models hold. Of other packages only those are called dangerous that
//! exist to run, load or send something; the rest is "not usual in models", and every pickle is a finding anyway.

use super::imports::Import;

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

/// What models need of the standard library, in the names of Python 2 as well: protocols 0 to 2 use them.
const PLAIN: &[&str] = &[
    "_codecs.encode",
    "array._array_reconstructor",
    "array.array",
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.range",
    "builtins.set",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "builtins.Ellipsis",
    "builtins.NotImplemented",
    "__builtin__.bool",
    "__builtin__.bytearray",
    "__builtin__.bytes",
    "__builtin__.complex",
    "__builtin__.dict",
    "__builtin__.float",
    "__builtin__.frozenset",
    "__builtin__.int",
    "__builtin__.list",
    "__builtin__.long",
    "__builtin__.object",
    "__builtin__.set",
    "__builtin__.slice",
    "__builtin__.str",
    "__builtin__.tuple",
    "__builtin__.unicode",
    "__builtin__.xrange",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "copy_reg._reconstructor",
    "copyreg.__newobj__",
    "copyreg.__newobj_ex__",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "uuid.UUID",
];

/// Of the standard library neither needed nor a danger by itself: seen in training checkpoints.
const TOLERATED: &[&str] = &[
    "argparse.Namespace",
    "builtins.type",
    "enum.Enum",
    "functools.lru_cache",
    "functools.partial",
    "io.BytesIO",
    "_io.BytesIO",
    "itertools.chain",
    "itertools.count",
    "itertools.repeat",
    "logging.Logger",
    "logging.getLogger",
    "operator.itemgetter",
    "_operator.itemgetter",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "random.Random",
    "re._compile",
    "string.Template",
    "types.MappingProxyType",
    "types.SimpleNamespace",
    "zoneinfo.ZoneInfo._unpickle",
];

/// Whole modules of the standard library without a way to do harm.
const HARMLESS: &[&str] = &["abc", "dataclasses", "math", "numbers", "statistics", "typing"];

/// The top modules of Python's standard library (`sys.stdlib_module_names` of 3.9 to 3.14, without those that are only code for other
/// systems or for tests), and the names of Python 2 that protocols 0 to 2 translate.
const STANDARD: &str = "__builtin__ __future__ _abc _ast _asyncio _bisect _bootsubprocess _bz2 _codecs _collections _collections_abc \
     _compat_pickle _compression _contextvars _crypt _csv _ctypes _curses _datetime _dbm _decimal _elementtree _frozen_importlib \
     _frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _interpreters _io _json _locale _lsprof _lzma _markupbase _msi \
     _multibytecodec _multiprocessing _opcode _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc _pydecimal \
     _pyio _pyrepl _queue _random _scproxy _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _string _strptime _struct _symtable \
     _thread _threading_local _tkinter _tokenize _tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _zoneinfo abc aifc \
     annotationlib antigravity anydbm argparse array ast asynchat asyncio asyncore atexit audioop base64 BaseHTTPServer bdb binascii binhex \
     bisect builtins bz2 cPickle cProfile cStringIO calendar cgi CGIHTTPServer cgitb chunk cmath cmd code codecs codeop collections \
     colorsys commands compileall compression concurrent configparser ConfigParser contextlib contextvars Cookie cookielib copy copy_reg \
     copyreg crypt csv ctypes curses dataclasses datetime dbhash dbm decimal difflib dis distutils DocXMLRPCServer doctest dumbdbm \
     dummy_thread email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools \
     future_builtins gc gdbm genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html HTMLParser htmlentitydefs \
     http httplib idlelib ihooks imaplib imghdr imp importlib imputil inspect io ipaddress itertools json keyword lib2to3 linecache locale \
     logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc new nis nntplib nt ntpath \
     nturl2path numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle pickletools pip pipes pkg_resources pkgutil \
     platform plistlib popen2 poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat Queue queue \
     quopri random re readline repr reprlib resource rexec rlcompleter robotparser runpy sched secrets select selectors setuptools sgmllib \
     shelve shlex shutil signal SimpleHTTPServer SimpleXMLRPCServer site sitecustomize smtpd smtplib sndhdr socket SocketServer \
     socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics StringIO string stringprep struct subprocess sunau \
     symbol symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this thread threading time timeit \
     tkinter Tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib \
     urllib2 urlparse user UserDict UserList UserString usercustomize uu uuid venv warnings wave weakref webbrowser whichdb winreg _winreg \
     winsound wsgiref xdrlib xml xmlrpc xmlrpclib zipapp zipfile zipimport zlib zoneinfo";

/// Packages and modules that exist to run, load or send something, each with all that is below it.
const DANGEROUS_MODULES: &[&str] = &[
    "IPython",
    "_distutils_hack",
    "_pytest",
    "aiohttp",
    "boto3",
    "botocore",
    "cffi",
    "cloudpickle",
    "dill",
    "django.core.management",
    "docker",
    "easy_install",
    "execnet",
    "fabric",
    "fsspec",
    "gevent",
    "git",
    "httpx",
    "huggingface_hub",
    "invoke",
    "ipykernel",
    "joblib.externals",
    "joblib.memory",
    "joblib.parallel",
    "jsonpickle",
    "lib2to3",
    "loky",
    "multiprocess",
    "nbconvert",
    "nose",
    "notebook",
    "numexpr",
    "numpy.core._dtype_ctypes",
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib.npyio",
    "numpy.lib._npyio_impl",
    "numpy.lib.utils",
    "numpy.testing",
    "pandas.core.computation",
    "pandas.io",
    "paramiko",
    "pexpect",
    "plumbum",
    "psutil",
    "ptyprocess",
    "pyodide",
    "pytest",
    "requests",
    "scipy.io",
    "scipy.weave",
    "sh",
    "tensorflow.python.platform",
    "torch._appdirs",
    "torch._dynamo",
    "torch._inductor",
    "torch.cuda._sanitizer",
    "torch.distributed.elastic",
    "torch.distributed.launch",
    "torch.distributed.launcher",
    "torch.distributed.rpc",
    "torch.distributed.run",
    "torch.fx.experimental",
    "torch.hub",
    "torch.jit.unsupported_tensor_ops",
    "torch.multiprocessing",
    "torch.onnx",
    "torch.package",
    "torch.testing",
    "torch.utils._config_module",
    "torch.utils.bottleneck",
    "torch.utils.bundled_inputs",
    "torch.utils.collect_env",
    "torch.utils.cpp_extension",
    "torch.utils.data.datapipes",
    "torch.utils.hipify",
    "torch.utils.model_zoo",
    "twisted",
    "urllib3",
    "wheel",
    "yaml",
];

/// Names that evaluate, load or fetch, in packages that models need otherwise.
const DANGEROUS_NAMES: &[&str] = &[
    "joblib.Memory",
    "joblib.Parallel",
    "joblib.load",
    "joblib.numpy_pickle.load",
    "joblib.numpy_pickle_utils._read_fileobject",
    "numpy.DataSource",
    "numpy.fromfile",
    "numpy.fromregex",
    "numpy.genfromtxt",
    "numpy.load",
    "numpy.loadtxt",
    "numpy.save",
    "numpy.savetxt",
    "numpy.vectorize",
    "pandas.eval",
    "pandas.read_pickle",
    "pandas.to_pickle",
    "sklearn.datasets.load_files",
    "sklearn.utils._testing._delete_folder",
    "torch.compile",
    "torch.jit.load",
    "torch.load",
    "torch.ops.load_library",
    "torch.save",
    "torch.serialization.load",
    "torch.storage._load_from_bytes",
    "transformers.dynamic_module_utils.get_class_from_dynamic_module",
];

/// Attributes through which everything else is reached.
const DANGEROUS_ATTRIBUTES: &[&str] =
    &["eval", "exec", "execfile", "system", "popen", "getattr", "setattr", "delattr", "runcode", "run_code"];

/// Packages of which models need classes.
const MODEL_PACKAGES: &[&str] = &["catboost", "imblearn", "lightgbm", "numpy", "pandas", "scipy", "skl2onnx", "sklearn", "xgboost"];

/// Functions and other names in small letters that models need.
const MODEL_NAMES: &[&str] = &[
    "joblib.numpy_pickle.NumpyArrayWrapper",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "pandas._libs.internals._unpickle_block",
    "pandas.core.indexes.base._new_Index",
    "pandas.core.internals.blocks.new_block",
    "scipy.sparse._csr.csr_matrix",
    "scipy.sparse.csr.csr_matrix",
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
    "torch.torch_version.TorchVersion",
    "torch.Size",
    "torch.Tensor",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.restore_type_tag",
];

/// numpy's element types.
const NUMBERS: &[&str] = &[
    "bool",
    "bool_",
    "bytes_",
    "complex128",
    "complex64",
    "datetime64",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "longdouble",
    "str_",
    "timedelta64",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "void",
];

/// What an import means for a model.
pub(super) fn judge(import: &Import) -> Verdict {
    if import.is_any(PLAIN) {
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
    (is_standard(import.root()) && !HARMLESS.contains(&import.root()))
        || DANGEROUS_MODULES.iter().any(|module| below(module))
        || import.is_any(DANGEROUS_NAMES)
        || leads_elsewhere(&import.name)
}

fn is_standard(root: &str) -> bool {
    STANDARD.split(' ').any(|known| known == root)
}

/// Whether a name goes through another module or through Python's own attributes: `sklearn.utils` has an `os`.
fn leads_elsewhere(name: &str) -> bool {
    let is_module =
        |part: &str| matches!(part, "os" | "sys" | "subprocess" | "builtins" | "importlib" | "shutil" | "pickle" | "ctypes" | "socket");
    let is_dunder = |part: &str| part.starts_with("__") && part.ends_with("__");
    name.split('.').any(|part| is_module(part) || DANGEROUS_ATTRIBUTES.contains(&part) || (is_dunder(part) && name.contains('.')))
}

fn is_expected(import: &Import) -> bool {
    import.is_any(MODEL_NAMES)
        || is_torch_type(import)
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
        for path in
            ["mycompany.models:Net", "__main__:Net", "functools:partial", "numpy:prod", "argparse:Namespace", "typing:Any", "numpy:prod.a"]
        {
            assert_eq!(judged(path), Verdict::Unknown, "{path}");
        }
    }
}
