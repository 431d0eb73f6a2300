"""What model files may name and call: everything that is not on these lists is refused."""

from __future__ import annotations

from enum import Enum

from nachweis.engines.artefact_classes import CLASSES

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


class Use(Enum):
    """What a pickle does with an import."""

    NAMED = "named"
    """It stands somewhere as a value, such as the type of an array's elements."""
    NEW = "new"
    """An empty object of the class is made; its attributes are set afterwards."""
    CALL = "call"
    """It is called with arguments."""


def _both(name: str) -> tuple[str, ...]:
    """A name of numpy 2 and the one that numpy 1 wrote."""
    return name, name.replace("numpy._core.", "numpy.core.")


_SCALAR = _both("numpy._core.multiarray.scalar")
_FROM_BYTES = _both("numpy._core.numeric._frombuffer")
_EMPTY_ARRAY = _both("numpy._core.multiarray._reconstruct")
_ARRAYS = _FROM_BYTES + _EMPTY_ARRAY
_RANDOM = ("numpy.random.",)
_NEIGHBOURS = ("sklearn.neighbors._", "sklearn.metrics._dist_metrics.")

CALLED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (f"builtins.{name}" for name in ("bytearray", "bytes", "complex", "frozenset", "set")), ()
    ),
    "_codecs.encode": (),  # arguments: see ENCODINGS
    "builtins.slice": (),
    "collections.OrderedDict": (),
    "collections.defaultdict": ("builtins.", "collections.OrderedDict", "numpy."),
    **dict.fromkeys(_EMPTY_ARRAY, ("numpy.ndarray",)),
    **dict.fromkeys(_SCALAR + _FROM_BYTES, ("numpy.dtype",)),
    "numpy.dtype": (),
    "numpy.random._pickle.__bit_generator_ctor": _RANDOM,
    "numpy.random._pickle.__generator_ctor": _RANDOM,
    "numpy.random._pickle.__randomstate_ctor": _RANDOM,
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": _RANDOM,
    **dict.fromkeys(
        (
            f"sklearn._loss._loss.Cy{name}"
            for name in (
                "AbsoluteError",
                "ExponentialLoss",
                "HalfBinomialLoss",
                "HalfGammaLoss",
                "HalfMultinomialLoss",
                "HalfPoissonLoss",
                "HalfSquaredError",
                "HalfTweedieLoss",
                "HalfTweedieLossIdentity",
                "HuberLoss",
                "PinballLoss",
            )
        ),
        (),
    ),
    "sklearn._loss._loss.__pyx_unpickle_CyHalfMultinomialLoss": ("sklearn._loss._loss.Cy",),
    **dict.fromkeys(
        (
            f"sklearn.linear_model._sgd_fast.{name}"
            for name in (
                "EpsilonInsensitive",
                "Hinge",
                "ModifiedHuber",
                "SquaredEpsilonInsensitive",
                "SquaredHinge",
            )
        ),
        (),
    ),
    "sklearn.metrics._dist_metrics.newObj": _NEIGHBOURS,
    "sklearn.neighbors._ball_tree.newObj": _NEIGHBOURS,
    "sklearn.neighbors._kd_tree.newObj": _NEIGHBOURS,
    "sklearn.tree._tree.Tree": _ARRAYS,
}
"""What may be called, and where arguments that are no plain values must come from."""

ENCODINGS = frozenset({"latin1"})
"""How pickles of the older protocols write bytes as a text."""
MAPPINGS = frozenset(
    {"collections.OrderedDict", "collections.defaultdict", "sklearn.utils._bunch.Bunch"}
)
"""Objects that items may be put into."""
PLAIN_RESULTS = frozenset(
    {"_codecs.encode", "builtins.bytearray", "builtins.bytes", "builtins.complex", *_SCALAR}
)
"""What returns a plain value when it is called with plain ones."""

_DISTANCES = (
    "BrayCurtis", "Canberra", "Chebyshev", "Dice", "Euclidean", "Hamming", "Haversine", "Jaccard",
    "Mahalanobis", "Manhattan", "Minkowski", "RogersTanimoto", "RussellRao", "SEuclidean",
    "SokalSneath",
)  # fmt: skip
_NUMPY = (
    "absolute bool bool_ complex128 complex64 cos datetime64 dtype exp expm1 float16 float32 "
    "float64 int16 int32 int64 int8 log log10 log1p log2 mean ndarray sin sqrt square str_ "
    "timedelta64 uint16 uint32 uint64 uint8"
)
_BUILTINS = "bool dict float int list long object str tuple unicode"
_NAMED = frozenset(
    {
        *(f"numpy.{name}" for name in _NUMPY.split()),
        *(f"builtins.{name}" for name in _BUILTINS.split()),
        *(
            f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
            for name in _DISTANCES
            for bits in ("", "32", "64")
        ),
        *(f"sklearn.neighbors._ball_tree.BallTree{bits}" for bits in ("", "32", "64")),
        *(f"sklearn.neighbors._kd_tree.KDTree{bits}" for bits in ("", "32", "64")),
        *(
            f"sklearn.feature_selection._mutual_info.mutual_info_{of}"
            for of in ("classif", "regression")
        ),
        *(
            f"sklearn.feature_selection._univariate_selection.{name}"
            for name in ("chi2", "f_classif", "f_regression", "r_regression")
        ),
        "numpy.random._generator.Generator",
        "numpy.random._mt19937.MT19937",
        "numpy.random._pcg64.PCG64",
        "numpy.random._pcg64.PCG64DXSM",
        "numpy.random._philox.Philox",
        "numpy.random._sfc64.SFC64",
        "numpy.random.bit_generator.SeedSequence",
        "numpy.random.mtrand.RandomState",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
    }
)
_PLAIN_TYPES = frozenset(f"builtins.{name}" for name in ("bool", "bytes", "NoneType", "str"))


def as_listed(name: str) -> str:
    """A name as these lists write it; protocols 0 to 2 write older names of Python's modules."""
    for old, new in (("__builtin__.", "builtins."), ("copy_reg.", "copyreg.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def allows(name: str, use: Use = Use.NAMED) -> bool:
    """Whether a pickle may import a name.

    Args:
        name: Module and attribute, with dots.
        use: What it does with it.

    Returns:
        Whether it is on the list for this use.
    """
    name = as_listed(name)
    if use is Use.NEW:
        return name in CLASSES
    if use is Use.CALL:
        return name in CALLED
    return name in CLASSES or name in CALLED or name in _NAMED


def skops_allows(name: str) -> bool:
    """Whether a skops file may hold a type; see :func:`allows`."""
    return name in TRUSTED_SKOPS or name in _PLAIN_TYPES or allows(name)
