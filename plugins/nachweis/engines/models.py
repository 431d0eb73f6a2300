"""Stored models applied to samples: skops only, verified by digest, and never unpickled."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from nachweis.domain.errors import DataError
from nachweis.domain.observation import ModelScores, ScoredSample
from nachweis.engines.artefact_allowlist import TRUSTED_SKOPS
from nachweis.engines.artefacts import FileReader, inspect_artefact

_KEPT = 4
_LOADED: OrderedDict[str, Any] = OrderedDict()
_LOCK = threading.Lock()


def scored_sample(files: FileReader, request: ModelScores, rows: Mapping[str, Any]) -> ScoredSample:
    """Apply a stored model to a sample.

    Args:
        files: Opens the model file.
        request: Which file, its declared digest and the model's inputs.
        rows: The sampled columns, the inputs among them.

    Returns:
        Scores, and the model as a function.

    Raises:
        DataError: If the file is not the declared one, is not skops, holds types that are not
            trusted, or does not fit the columns.
    """
    import numpy as np

    estimator = _estimator(files, request)
    expected = getattr(estimator, "n_features_in_", len(request.columns))
    if expected != len(request.columns):
        raise DataError(
            f"the stored model reads {expected} inputs and {len(request.columns)} are declared",
            where="artefact",
        )
    inputs = {name: np.asarray(rows[name]) for name in request.columns}
    named = getattr(estimator, "feature_names_in_", None)

    def score(columns: Mapping[str, Any]) -> Any:
        return _scores(estimator, columns, request.columns, named is not None)

    if not len(next(iter(inputs.values()))):
        raise DataError("there are no rows to apply the model to", where="artefact")
    classes = tuple(
        value.item() if isinstance(value, np.generic) else value
        for value in getattr(estimator, "classes_", ())
    )
    beside = {name: np.asarray(rows[name]) for name in request.beside}
    return ScoredSample(inputs, beside, classes, score(inputs), score)


def _estimator(files: FileReader, request: ModelScores) -> Any:
    """The estimator in a file whose bytes are the declared ones."""
    with files.open(request.uri) as stream:
        content = stream.read()
    if hashlib.sha256(content).hexdigest() != request.digest:
        raise DataError(
            "the model file is not the declared one (its digest differs); it was not loaded",
            where="artefact",
        )
    with _LOCK:
        if request.digest in _LOADED:
            _LOADED.move_to_end(request.digest)
            return _LOADED[request.digest]
    facts = inspect_artefact(FileReader(memory={"model": content}), "model")
    if facts.format != "skops" or facts.refused:
        raise DataError(
            "the model file is not skops with trusted types only; it was not loaded",
            where="artefact",
            remedy="store the model as skops",
        )
    loaded = _load(content)
    with _LOCK:
        _LOADED[request.digest] = loaded
        while len(_LOADED) > _KEPT:
            _LOADED.popitem(last=False)
    return loaded


def _load(content: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            # Versions of scikit-learn are the artefact's matter; and skops' import touches every
            # deprecated name of every module that is loaded.
            warnings.simplefilter("ignore")
            import skops.io

            untrusted = set(skops.io.get_untrusted_types(data=content))
            if untrusted - TRUSTED_SKOPS:
                raise DataError("the model file holds types that are not trusted", where="artefact")
            loaded = skops.io.loads(content, trusted=sorted(untrusted))
    except DataError:
        raise
    except Exception as error:  # a file of another version may fail in any way
        raise DataError(
            f"the model file cannot be loaded ({type(error).__name__})", where="artefact"
        ) from error
    if not hasattr(loaded, "predict"):
        raise DataError("the model file does not hold one estimator", where="artefact")
    return loaded


def _scores(estimator: Any, columns: Mapping[str, Any], names: tuple[str, ...], named: bool) -> Any:
    """Probabilities per class, or one column of predictions, as float64."""
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if named:
                import pandas as pd

                given: Any = pd.DataFrame({name: columns[name] for name in names})
            else:
                given = np.column_stack([np.asarray(columns[n], dtype=object) for n in names])
            if hasattr(estimator, "predict_proba"):
                found = estimator.predict_proba(given)
            else:
                found = estimator.predict(given)
            scores = np.asarray(found, dtype=np.float64)
    except Exception as error:  # the message may quote values
        raise DataError(
            f"the stored model does not accept the columns ({type(error).__name__})",
            where="artefact",
        ) from error
    return scores.reshape(len(scores), -1)
