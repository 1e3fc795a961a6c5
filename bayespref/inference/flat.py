"""Sites of a model as one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bayespref.inference.program import Site, Values


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


def flat_of(sites: Mapping[str, Site]) -> Flat:
    """Where the latent sites of a model lie in a vector, unconstrained."""
    latent = [name for name in sorted(sites) if sites[name].latent]
    return Flat(tuple((name, sites[name].unconstrained) for name in latent))


def ravel(values: Mapping[str, Any] | Values, *, draws: int | None = None) -> tuple[np.ndarray, Flat]:
    """The vector (d,) of all sites, by name, and the way back; of so many draws (s, ...), vectors (s, d)."""
    lead = () if draws is None else (draws,)
    ordered = {name: np.asarray(values[name]) for name in sorted(values)}
    parts = [value.reshape(*lead, -1) for value in ordered.values()]
    vector = np.concatenate(parts, -1) if parts else np.zeros((*lead, 0), np.float32)
    return vector, Flat(tuple((name, value.shape[len(lead) :]) for name, value in ordered.items()))


def traceable(vector: np.ndarray) -> np.ndarray:
    """A vector in the precision that JAX computes in: compiled programs take it as it is."""
    return np.asarray(vector, np.dtype(jnp.result_type(float)))
