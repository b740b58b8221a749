//! The names that [`super::policy`] goes by.

/// What models need of the standard library, in the names of Python 2 as well: protocols 0 to 2 use them.
pub(super) const PLAIN: &[&str] = &[
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
pub(super) const TOLERATED: &[&str] = &[
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
pub(super) const HARMLESS: &[&str] = &["abc", "dataclasses", "math", "numbers", "statistics", "typing"];

/// The top modules of Python's standard library (`sys.stdlib_module_names` of 3.9 to 3.14, without those that are only code for other
/// systems or for tests), and the names of Python 2 that protocols 0 to 2 translate.
pub(super) const STANDARD: &str = "__builtin__ __future__ _abc _ast _asyncio _bisect _bootsubprocess _bz2 _codecs _collections _collections_abc \
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
pub(super) const DANGEROUS_MODULES: &[&str] = &[
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
pub(super) const DANGEROUS_NAMES: &[&str] = &[
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
pub(super) const DANGEROUS_ATTRIBUTES: &[&str] =
    &["eval", "exec", "execfile", "system", "popen", "getattr", "setattr", "delattr", "runcode", "run_code"];

/// Packages of which models need classes.
pub(super) const MODEL_PACKAGES: &[&str] =
    &["catboost", "imblearn", "lightgbm", "numpy", "pandas", "scipy", "skl2onnx", "sklearn", "xgboost"];

/// Functions and other names in small letters that models need.
pub(super) const MODEL_NAMES: &[&str] = &[
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
pub(super) const NUMBERS: &[&str] = &[
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
