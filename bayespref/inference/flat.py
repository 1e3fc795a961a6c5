"""Sites of a model as one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bayespref.inference.program import Values


class Flat(NamedTuple):
    """Where each site lies in a vector, by name; equal for equal sites, so that programs are found again.

    Calling it takes vectors (..., d), of numpy or traced, to sites (..., *shape).

    Example:
        >>> vector, flat = ravel({"worth": np.zeros((2, 2)), "lapse": np.ones(())})
        >>> vector.tolist(), flat(vector)["lapse"].tolist()
        ([1.0, 0.0, 0.0, 0.0, 0.0], 1.0)
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, vector: Any) -> dict[str, Any]:
        """Sites of a vector."""
        found, start = {}, 0
        for name, shape in self.shapes:
            end = start + int(np.prod(shape, dtype=int))
            found[name] = vector[..., start:end].reshape((*vector.shape[:-1], *shape))
            start = end
        return found

    @property
    def size(self) -> int:
        """Numbers in the vector."""
        return sum(int(np.prod(shape, dtype=int)) for _, shape in self.shapes)

    @property
    def places(self) -> dict[str, np.ndarray]:
        """Site -> positions of its numbers in the vector."""
        return self(np.arange(self.size))


def ravel(values: Mapping[str, Any] | Values) -> tuple[np.ndarray, Flat]:
    """The vector (d,) of all sites, by name, and the way back."""
    ordered = {name: np.asarray(values[name]) for name in sorted(values)}
    vector = np.concatenate([value.reshape(-1) for value in ordered.values()])
    return vector, Flat(tuple((name, value.shape) for name, value in ordered.items()))


def traceable(vector: np.ndarray) -> np.ndarray:
    """A vector in the precision that JAX computes in: compiled programs take it as it is."""
    return np.asarray(vector, np.dtype(jnp.result_type(float)))
