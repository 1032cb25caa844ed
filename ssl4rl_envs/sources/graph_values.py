"""Numbers that people hand over, as arrays: without importing torch, tensors are known by what they can do."""

from __future__ import annotations

import numbers
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT32_MAX = float(np.finfo(np.float32).max)


def dense(value: Any) -> NDArray[Any]:
    """Return as an array what torch, scipy or NumPy hold: dense, sparse or quantized, of any dtype; or lists.

    Raises:
        ValueError: they have no one shape, or no values, as tensors of the "meta" device.
    """
    try:
        if hasattr(value, "toarray"):  # of scipy
            return np.asarray(value.toarray())
        if hasattr(value, "to_dense") and is_sparse(value):
            value = value.to_dense()
        if getattr(value, "is_quantized", False):
            value = value.dequantize()
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            try:
                return np.asarray(value.numpy())
            except TypeError:  # a dtype that NumPy has not, as bfloat16
                return np.asarray(value.float().numpy())
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{type(value).__name__} that is no array of numbers: {str(error).splitlines()[0]}") from error


def is_sparse(tensor: Any) -> bool:
    """Return whether it is a sparse tensor of torch, in any layout, a `SparseTensor` of torch-sparse, or of scipy."""
    return hasattr(tensor, "coo") or hasattr(tensor, "tocoo") or "sparse" in str(getattr(tensor, "layout", ""))


def real_numbers(value: Any) -> NDArray[np.float64] | None:
    """Return a number, or numbers of one shape, of at least one dimension; None for anything else."""
    if isinstance(value, (str, bytes, dict, set, frozenset)):
        return None
    try:
        array = dense(value)
        if array.dtype == object and array.size and all(isinstance(cell, (numbers.Real, Decimal)) for cell in array.flat):
            array = array.astype(np.float64)
    except (ValueError, OverflowError):
        return None
    return np.atleast_1d(array.astype(np.float64)) if array.dtype.kind in "biuf" else None


def holds_numbers(value: Any) -> bool:
    """Return whether a value is numeric or holds something numeric, be it no table of real numbers: complex or ragged."""
    if isinstance(value, (list, tuple)):
        return any(map(holds_numbers, value))
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(map(holds_numbers, value.flat))
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufc"
    return isinstance(value, numbers.Number) or hasattr(value, "detach") or real_numbers(value) is not None


def is_missing(value: Any) -> bool:
    """Return whether a value is None, or the NA or NaT of pandas; NaN is a number that is not finite."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def odd_weights(values: ArrayLike) -> str:
    """Tell how many weights of edges are 0, negative or no number: they count as edges as well."""
    weights = np.asarray(values)
    real = weights.real if weights.dtype.kind == "c" else weights
    counts = {
        "of 0": int((weights == 0).sum()),
        "negative": int((real < 0).sum()),
        "missing or no number": int(np.isnan(real).sum()),
    }
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f", and {told} do too" if told else ""
