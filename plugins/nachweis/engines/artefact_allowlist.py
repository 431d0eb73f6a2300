"""What model files may name: everything that is not on these lists is refused."""

from __future__ import annotations

import re

TRUSTED_SKOPS = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Types beyond those skops trusts by itself; plain estimators of scikit-learn need them."""

SKOPS_LOADERS = frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "CachedNode",
        "ConstructorFromReduceNode",
        "DTypeNode",
        "DefaultDictNode",
        "DictNode",
        "FunctionNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)
"""Ways of skops to build an object that call no stored method."""

_ALLOWED_CLASSES = re.compile(
    r"(sklearn|lightgbm|xgboost|catboost)(\.\w+)*\._?[A-Z]\w*"
    r"|pandas\.core\.(frame|series|indexes|internals|arrays|dtypes)(\.\w+)*\._?[A-Z]\w*"
    r"|scipy\.sparse(\._\w+)*\.[a-z]{3}_(matrix|array)"
    r"|numpy\.(u?int(8|16|32|64)?|float(16|32|64)?|complex(64|128)|bool_?|str_|datetime64|"
    r"timedelta64)"
    r"|numpy\.random\.(mtrand\.RandomState|_(mt19937|pcg64|philox|sfc64)\.[A-Z]\w*|"
    r"_generator\.Generator)"
)
"""Classes of estimators and arrays; functions are allowed one by one, below."""
_REFUSED_CLASSES = re.compile(
    r"sklearn\.(externals|datasets|callback|conftest"
    r"|utils\.(_testing|_test_common|discovery|estimator_checks))\b.*"
    r"|.*\.(Client|Connection|Listener|Path|Pool|Popen|Process|\w*Executor|Queue|Thread\w*)"
)
"""Also what such modules import from elsewhere and could start or open something."""
_REACHED = re.compile(r"\.(multiprocessing|mp|os|shutil|socket|subprocess|sys|joblib)\.")
"""Modules that a path through attributes of an allowed module would lead to."""
_ALLOWED_NAMES = frozenset(
    {
        "_codecs.encode",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.dict",
        "builtins.float",
        "builtins.frozenset",
        "builtins.int",
        "builtins.list",
        "builtins.object",
        "builtins.set",
        "builtins.slice",
        "builtins.tuple",
        "collections.OrderedDict",
        "collections.defaultdict",
        "copy_reg._reconstructor",
        "copyreg._reconstructor",
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.numeric._frombuffer",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy.core.numeric._frombuffer",
        "numpy.dtype",
        "numpy.exp",
        "numpy.expm1",
        "numpy.log",
        "numpy.log1p",
        "numpy.ndarray",
        "numpy.random._pickle.__bit_generator_ctor",
        "numpy.random.bit_generator.SeedSequence",
        "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
        "numpy.random._pickle.__generator_ctor",
        "numpy.random._pickle.__randomstate_ctor",
        "numpy.sqrt",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.metrics._dist_metrics.newObj",
        "sklearn.neighbors._ball_tree.newObj",
        "sklearn.neighbors._kd_tree.newObj",
    }
)
_PLAIN_TYPES = frozenset(f"builtins.{name}" for name in ("bool", "bytes", "NoneType", "str"))


def allows(name: str) -> bool:
    """Whether a pickle may import a name.

    Args:
        name: Module and attribute, with dots.

    Returns:
        Whether it is on the list.
    """
    name = name.replace("__builtin__.", "builtins.", 1)  # as protocols 0 to 2 write it
    if name in _ALLOWED_NAMES:
        return True
    return (
        bool(_ALLOWED_CLASSES.fullmatch(name))
        and not _REFUSED_CLASSES.fullmatch(name)
        and not _REACHED.search(name)
    )


def skops_allows(name: str) -> bool:
    """Whether a skops file may hold a type; see :func:`allows`."""
    return name in TRUSTED_SKOPS or name in _PLAIN_TYPES or allows(name)
