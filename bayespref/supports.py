"""Where a density lives, and how it is normalised: items, an interval, a box, reference samples.

A support is a set of points x_i with quadrature weights w_i, so that sum_i w_i h(x_i) stands for the integral
of h; densities on it are (..., g) arrays of log-densities at its points.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.core import Tracer

from bayespref.comparisons import refuse


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Support:
    """Points of a space with quadrature weights; make one with `items`, `interval`, `box` or `samples`.

    Attributes:
        kind: "items", "interval", "box" or "samples".
        points: (g, d) coordinates.
        log_weight: (g,) log quadrature weights; 0 for items.
        dims: names of the axes of a density on it: one for each grid axis, else one.
        names: names of the d coordinates.
        shape: sizes of those axes; their product is g.
        low, high: (d,) bounds, None where the support has none.
    """

    kind: str
    points: np.ndarray
    log_weight: np.ndarray
    dims: tuple[str, ...]
    names: tuple[str, ...]
    shape: tuple[int, ...]
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __eq__(self, other: object) -> bool:
        """Whether two supports have the same points, weights and names."""
        if not isinstance(other, Support):
            return NotImplemented
        alike = (self.kind, self.dims, self.names, self.shape) == (
            *(other.kind, other.dims, other.names, other.shape),
        )
        same = np.array_equal(self.points, other.points) if alike else False
        return same and np.array_equal(self.log_weight, other.log_weight)

    def __hash__(self) -> int:
        """A hash that equal supports share."""
        return hash((self.kind, self.dims, self.shape))

    def __len__(self) -> int:
        """Number of points g."""
        return len(self.points)

    def __repr__(self) -> str:
        """Show how it was made."""
        if self.low is None or self.high is None:
            return f"{self.kind}({len(self)} points, checksum {_checksum(self.points, self.log_weight)})"
        grid = ", ".join(
            f"{name} from {low:g} to {high:g} at {size}"
            for name, low, high, size in zip(self.names, self.low, self.high, self.shape, strict=True)
        )
        return f"{self.kind}({grid} points)"

    def check(self, points) -> None:
        """Refuse points outside the support, or with another number of coordinates.

        Args:
            points: (..., d), or (...,) on a line; traced points were checked on the host before.

        Raises:
            ValueError: naming the points.
        """
        if isinstance(points, Tracer) or self.low is None or self.high is None:
            return
        host = np.asarray(points)
        d = self.points.shape[1]
        host = host.reshape(-1, d) if host.ndim and host.shape[-1] == d else host.reshape(-1, 1)
        if host.shape[1] != d:
            raise refuse(f"a point has the {d} coordinates {list(self.names)}", f"{host.shape[1]}")
        # Half an ulp of float32 is forgiven: coordinates travel as float32.
        slack = 1e-6 * (self.high - self.low)
        inside = (host >= self.low - slack) & (host <= self.high + slack)
        if (bad := np.flatnonzero(~inside.all(1))).size:
            raise refuse(
                f"points lie in the support, {self!r}",
                f"{host[bad[0]].tolist()}",
                rows=bad,
                remedy="Declare a support that holds them all (low=, high=): a density has none outside it.",
            )

    def log_total(self, score: Array) -> Array:
        """Log of the integral of exp(score): (...,) from (..., g) scores in nats."""
        return jax.scipy.special.logsumexp(jnp.asarray(score) + self.log_weight.astype(np.float32), axis=-1)

    def normalise(self, score: Array) -> Array:
        """Log-densities: score - log integral exp(score), (..., g) in nats."""
        return score - self.log_total(score)[..., None]

    def mass(self, log_density) -> np.ndarray:
        """(..., g) probability of each point's cell, summing to one."""
        log_mass = np.asarray(log_density, np.float64) + self.log_weight
        mass = np.exp(log_mass - log_mass.max(-1, keepdims=True))
        return mass / mass.sum(-1, keepdims=True)

    def mean(self, log_density) -> np.ndarray:
        """(..., d) means of the coordinates."""
        return self.mass(log_density) @ self.points

    def sd(self, log_density) -> np.ndarray:
        """(..., d) standard deviations of the coordinates."""
        mass = self.mass(log_density)
        return np.sqrt(np.maximum(mass @ self.points**2 - (mass @ self.points) ** 2, 0.0))

    def quantile(self, log_density, prob) -> np.ndarray:
        """(..., d) quantile of each coordinate's marginal, interpolated between points.

        Args:
            log_density: (..., g) log-densities.
            prob: probability, in (0, 1).
        """
        mass = self.mass(log_density)
        columns = []
        for axis in range(self.points.shape[1]):
            values, marginal = self.marginal(mass, axis)
            upper = np.cumsum(marginal, -1) - (0.5 * marginal if self.low is not None else 0.0)
            rows = upper.reshape(-1, len(values))
            found = [
                np.interp(prob, row, values) if self.low is not None else values[np.searchsorted(row, prob)]
                for row in rows
            ]
            columns.append(np.asarray(found).reshape(upper.shape[:-1]))
        return np.stack(columns, -1)

    def marginal(self, mass: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Sorted values of one coordinate and their probability (..., values)."""
        values, where = np.unique(self.points[:, axis], return_inverse=True)
        flat = mass.reshape(-1, mass.shape[-1])
        summed = np.stack([np.bincount(where, row, len(values)) for row in flat])
        return values, summed.reshape(*mass.shape[:-1], len(values))

    def sample(self, key: Array, log_density, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Draw points: one of the support's by its probability, spread evenly over its cell on a grid.

        Args:
            key: a `jax.random.key`.
            log_density: (g,) log-density.
            shape: of the draws.

        Returns:
            (*shape, d) points.
        """
        pick, spread = jax.random.split(key)
        cumulated = np.cumsum(self.mass(log_density))
        uniform = np.asarray(jax.random.uniform(pick, shape), np.float64)
        points = self.points[np.minimum(np.searchsorted(cumulated, uniform), len(self) - 1)]
        if self.low is None or self.high is None:
            return points
        cell = (self.high - self.low) / (np.asarray(self.shape) - 1)
        jitter = np.asarray(jax.random.uniform(spread, points.shape), np.float64) - 0.5
        # Cells at the edge are half as wide: what leaves the support is folded back into it.
        moved = points + jitter * cell
        moved = np.where(moved < self.low, 2 * self.low - moved, moved)
        return np.where(moved > self.high, 2 * self.high - moved, moved)

    def coords(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The coordinates that a fit stores: values of each axis, and `{axis}_log_weight`."""
        if self.low is None or self.high is None:
            dim = self.dims[0]
            named = {name: ((dim,), self.points[:, i]) for i, name in enumerate(self.names)}
            return {**named, f"{dim}_log_weight": ((dim,), self.log_weight)}
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for dim, low, high, size in zip(self.dims, self.low, self.high, self.shape, strict=True):
            found[dim] = ((dim,), np.linspace(low, high, size))
            found[f"{dim}_log_weight"] = ((dim,), _trapezoid(low, high, size))
        return found


def items(features=None, *, size: int | None = None, names: Sequence[str] = ()) -> Support:
    """Finitely many items, each with weight one: sum_i p_i = 1.

    Args:
        features: (m, d) coordinates, for moments and quantiles; None numbers the items.
        size: number of items where there are no features.
        names: names of the d coordinates.

    Raises:
        ValueError: for fewer than two items.

    Example:
        >>> items(size=3).log_weight.tolist()
        [0.0, 0.0, 0.0]
    """
    points = np.arange(size or 0)[:, None] if features is None else _points(features)
    if len(points) < 2:
        raise refuse("a support has at least two items", str(len(points)))
    return Support("items", points, np.zeros(len(points)), ("item",), _names(names, points), (len(points),))


def interval(low: float, high: float, *, points: int = 801, name: str = "x") -> Support:
    """An interval [low, high], integrated by the trapezoid rule on equidistant points.

    Args:
        low: lower bound; values outside are refused.
        high: upper bound.
        points: of the grid; features of the density narrower than (high - low) / points are not resolved.
        name: of the axis.

    Raises:
        ValueError: for bounds that are not finite and in order, or fewer than 3 points.

    Example:
        >>> line = interval(0.0, 1.0, points=101)
        >>> round(float(line.log_total(np.zeros(101))), 6)
        0.0
    """
    return dataclasses.replace(box([low], [high], points=points, names=(name,)), kind="interval")


def box(
    low: Sequence[float],
    high: Sequence[float],
    *,
    points: int | Sequence[int] = 64,
    names: Sequence[str] = (),
) -> Support:
    """A box in one to three dimensions, integrated by the trapezoid rule on a grid.

    Args:
        low: (d,) lower bounds; values outside are refused.
        high: (d,) upper bounds.
        points: of the grid, along each axis.
        names: of the axes; x, y, z where not given.

    Raises:
        ValueError: for bounds that are not finite and in order, more than three dimensions (use `samples`),
            or fewer than 3 points along an axis.

    Example:
        >>> square = box([0, 0], [1, 2], points=21)
        >>> round(float(np.exp(square.log_total(np.zeros(441)))), 6)
        2.0
    """
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if lower.ndim != 1 or lower.shape != upper.shape or not 1 <= len(lower) <= 3:
        raise refuse(
            "a box has bounds in one to three dimensions",
            f"low {low}, high {high}",
            remedy="Spaces that cannot be gridded take supports.samples.",
        )
    if not (np.isfinite(lower).all() and np.isfinite(upper).all() and (lower < upper).all()):
        raise refuse("bounds are finite, low below high", f"low {low}, high {high}")
    shape = tuple(int(size) for size in np.broadcast_to(points, lower.shape))
    if min(shape) < 3:
        raise refuse("a grid has at least 3 points along each axis", str(min(shape)))
    axes = [np.linspace(*ends) for ends in zip(lower, upper, shape, strict=True)]
    weights = [_trapezoid(*ends) for ends in zip(lower, upper, shape, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    log_weight = np.sum(np.meshgrid(*weights, indexing="ij"), axis=0).reshape(-1)
    dims = tuple(names) or ("x", "y", "z")[: len(shape)]
    if len(set(dims)) != len(shape):
        raise refuse(f"each of the {len(shape)} axes has a name of its own", f"{list(dims)}")
    return Support("box", grid, log_weight, dims, dims, shape, lower, upper)


def samples(points, *, log_density=None, names: Sequence[str] = ()) -> Support:
    """Reference samples x_i ~ q: the integral of h is estimated by mean of h(x_i) / q(x_i).

    For spaces that cannot be gridded (embeddings, texts). With `log_density`, log q at the samples, densities
    are with respect to the space's own measure; without, they are relative to q, p(x) / q(x).

    Args:
        points: (g, d) samples of q.
        log_density: (g,) log q(x_i) in nats.
        names: names of the d coordinates.

    Raises:
        ValueError: for fewer than two samples, or values that are not finite.

    Example:
        >>> reference = samples(np.arange(4.0)[:, None])
        >>> round(float(reference.log_total(np.zeros(4))), 6)
        0.0
    """
    points = _points(points)
    if len(points) < 2:
        raise refuse("a support has at least two samples", str(len(points)))
    log_q = np.zeros(len(points)) if log_density is None else np.asarray(log_density, np.float64)
    if log_q.shape != (len(points),) or not np.isfinite(log_q).all():
        raise refuse(f"log_density is finite, one value for each of {len(points)} samples", f"{log_q.shape}")
    log_weight = -log_q - math.log(len(points))
    return Support("samples", points, log_weight, ("point",), _names(names, points), (len(points),))


def of(density: xr.DataArray) -> Support:
    """The support of a density that a fit stored: read off its dimensions and their weights.

    Args:
        density: a variable of the fit's posterior, such as `fit["posterior"]["log_density"]`.

    Raises:
        ValueError: for a variable without a support.

    Example:
        >>> of(xr.DataArray(np.zeros(3), dims="item")).kind
        'items'
    """
    dims = tuple(str(dim) for dim in density.dims if f"{dim}_log_weight" in density.coords)
    if "item" in density.dims and not dims:
        return items(size=density.sizes["item"])
    if dims == ("point",):
        names = [
            str(name)
            for name, value in density.coords.items()
            if value.dims == ("point",) and name not in ("point", "point_log_weight")
        ]
        points = np.stack([density.coords[name].values for name in names], -1)
        weight = density.coords["point_log_weight"].values
        return Support("samples", points, weight, dims, tuple(names), (len(points),))
    if not dims:
        raise refuse(
            "a density is over items or over a declared support",
            f"{density.name!r} over {list(density.dims)}",
            remedy="Take a site that a reward registered, such as log_density.",
        )
    axes = [density.coords[dim].values for dim in dims]
    grid = box([a[0] for a in axes], [a[-1] for a in axes], points=[len(a) for a in axes], names=dims)
    return dataclasses.replace(grid, kind="interval" if len(dims) == 1 else "box")


def _trapezoid(low: float, high: float, size: int) -> np.ndarray:
    weight = np.full(size, (high - low) / (size - 1))
    weight[[0, -1]] /= 2
    return np.log(weight)


def _points(points) -> np.ndarray:
    points = np.asarray(points, np.float64)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or not np.isfinite(points).all():
        raise refuse("points are finite numbers, (g, d)", f"shape {points.shape}")
    return points


def _names(names: Sequence[str], points: np.ndarray) -> tuple[str, ...]:
    d = points.shape[1]
    names = tuple(names) or (("x", "y", "z")[:d] if d <= 3 else tuple(f"x{i}" for i in range(d)))
    if len(set(names)) != d:
        raise refuse(f"each of the {d} coordinates has a name of its own", f"{list(names)}")
    return names


def _checksum(*arrays: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:8]
