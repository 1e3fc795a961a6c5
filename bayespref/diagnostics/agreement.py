"""How well a posterior density agrees with another: distances with intervals, draw by draw."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
import xarray as xr

from bayespref import supports
from bayespref.comparisons import refuse
from bayespref.supports import Support

JOINTLY = (
    "The noise of answers and the temperature of the density are identified only jointly: an annotator of "
    "rationality b who acts on p answers exactly like one of rationality 1 who acts on p^b / Z."
)
NAMES = ("kl_from_reference", "kl_to_reference", "total_variation", "hellinger")


def distances(log_p: np.ndarray, log_q: np.ndarray, support: Support) -> dict[str, np.ndarray]:
    """Distances between densities on one support: KL both ways, total variation, Hellinger, Wasserstein-1.

    KL(q||p) = sum q log(q / p), TV = sum |p - q| / 2, H = sqrt(1 - sum sqrt(p q)), W1 = integral |F_p - F_q|
    of each coordinate's marginal.

    Args:
        log_p: (..., g) log-densities in nats, normalised here.
        log_q: (..., g) of the reference; the two broadcast.
        support: where both live.

    Returns:
        name -> (...): `kl_from_reference`, KL(q||p), and `kl_to_reference`, KL(p||q), in nats;
        `total_variation` and `hellinger` in [0, 1]; `wasserstein` (..., d) in units of x, none for items.

    Example:
        >>> two = supports.items(size=2)
        >>> float(distances(np.log([0.5, 0.5]), np.log([0.8, 0.2]), two)["total_variation"].round(6))
        0.3
    """
    p, q = support.mass(log_p), support.mass(log_q)
    log_p, log_q = _log_mass(log_p, support), _log_mass(log_q, support)
    found = {
        "kl_from_reference": _kl(q, log_q, log_p),
        "kl_to_reference": _kl(p, log_p, log_q),
        "total_variation": 0.5 * np.abs(p - q).sum(-1),
        "hellinger": np.sqrt(np.maximum(1 - np.sqrt(p * q).sum(-1), 0.0)),
    }
    if support.kind != "items":
        found["wasserstein"] = np.stack(
            [_wasserstein(support, p, q, i) for i in range(len(support.names))], -1
        )
    return found


def density_agreement(
    fit: xr.DataTree,
    reference: xr.DataTree | xr.DataArray | np.ndarray | Callable,
    *,
    of: str | xr.DataArray = "log_density",
    prob: float = 0.89,
) -> xr.Dataset:
    """Agreement of a fit's density with a reference, at every posterior draw.

    Args:
        fit: what an inference function returned.
        reference: a log-density on the fit's support, an array or a function of points (g, d) ((g,) on a
            line), any constant added; or another fit, or a log-density of one (its posterior mean density).
        of: the fit's density: name of its site, or a selection of it with chain and draw, such as
            `fit["posterior"]["log_density"].sel(viewpoint=0)`.
        prob: probability of the equal-tailed intervals.

    Returns:
        A dataset: each distance of `distances` over (chain, draw, ...), `{name}_mean`, `{name}_lower`,
        `{name}_upper`, and `{name}_of_mean`, that of the posterior mean density; `exponent`, the b for which
        reference^b / Z is closest to the mean density in KL: 1 unless they differ in temperature.

    Raises:
        ValueError: for a fit by a loss, or densities on different supports.

    Example:
        >>> density_agreement(fit, lambda x: -0.5 * x**2)["total_variation_of_mean"]  # doctest: +SKIP
    """
    from bayespref.losses import refuse_loss

    refuse_loss(fit, "statements about the density that answers reveal")
    density = fit["posterior"].to_dataset()[of] if isinstance(of, str) else of
    support = supports.of(density)
    log_q = _reference(reference, density, support)
    flat, rest = _flat(density, support)
    mean = _log_mean(flat)
    result: dict = {}
    at_mean = distances(mean, log_q, support)
    for name, values in distances(flat, log_q, support).items():
        dims = (*rest, *(("coordinate",) if name == "wasserstein" else ()))
        draws = tuple(dims[2:])
        lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=(0, 1))
        result |= {
            name: (dims, values),
            f"{name}_mean": (draws, values.mean((0, 1))),
            f"{name}_lower": (draws, lower),
            f"{name}_upper": (draws, upper),
            f"{name}_of_mean": (draws, at_mean[name]),
        }
    exponents = np.apply_along_axis(lambda p: exponent(p, log_q, support), -1, mean)
    coords = {dim: density.coords[dim] for dim in rest if dim in density.coords}
    coords |= {"coordinate": list(support.names)} if support.kind != "items" else {}
    attrs = {"interval": f"equal-tailed, {prob:g}", "identified": JOINTLY}
    return xr.Dataset({**result, "exponent": (rest[2:], exponents)}, coords=coords, attrs=attrs)


def exponent(log_p: np.ndarray, log_reference: np.ndarray, support: Support) -> float:
    """The temperature at which a reference fits best: argmin_b KL(p || reference^b / Z).

    Args:
        log_p: (g,) log-density.
        log_reference: (g,) log-density of the reference.
        support: where both live.

    Example:
        >>> line = supports.interval(-8, 8)
        >>> round(exponent(-line.points[:, 0] ** 2, -line.points[:, 0] ** 2 / 2, line), 4)
        2.0
    """
    p = support.mass(log_p)
    finite = np.where(np.isfinite(log_reference), log_reference, -1e6)
    finite = finite - finite.max()

    def excess(b: float) -> float:
        return float((p - support.mass(b * finite)) @ finite)

    # The mean of log reference under reference^b grows with b: one root.
    low, high = 1e-4, 1e4
    if excess(low) < 0 or excess(high) > 0:
        return low if excess(low) < 0 else high
    root = scipy.optimize.brentq(lambda t: excess(math.exp(t)), math.log(low), math.log(high))
    return math.exp(root)  # pyright: ignore[reportArgumentType]


def mean_density(density: xr.DataArray) -> np.ndarray:
    """Log of the posterior mean density, log E[p(x)], (..., g) in nats.

    Args:
        density: log-densities with chain and draw, such as `fit["posterior"]["log_density"]`.

    Example:
        >>> mean_density(fit["posterior"]["log_density"])  # doctest: +SKIP
    """
    return _log_mean(_flat(density, supports.of(density))[0])


def _flat(density: xr.DataArray, support: Support) -> tuple[np.ndarray, tuple[str, ...]]:
    """(chain, draw, ..., g) values, the support's axes joined, and the names of all but the last."""
    axes = support.dims
    rest = ("chain", "draw", *(str(d) for d in density.dims if d not in ("chain", "draw", *axes)))
    values = density.transpose(*rest, *axes).values.astype(np.float64)
    return values.reshape(*values.shape[: len(rest)], -1), rest


def _log_mean(flat: np.ndarray) -> np.ndarray:
    highest = flat.max((0, 1))
    return highest + np.log(np.exp(flat - highest).mean((0, 1)))


def _reference(reference, density: xr.DataArray, support: Support) -> np.ndarray:
    if callable(reference) and not isinstance(reference, (xr.DataArray, xr.DataTree)):
        points = support.points[:, 0] if support.points.shape[1] == 1 else support.points
        values = np.asarray(reference(points), np.float64)
    elif isinstance(reference, xr.DataTree | xr.DataArray):
        other = reference
        if isinstance(other, xr.DataTree):
            other = other["posterior"].to_dataset()["log_density"]
        theirs = supports.of(other)
        if len(theirs) != len(support) or not np.allclose(theirs.points, support.points):
            raise refuse("two densities are compared on one support", f"{support!r} and {theirs!r}")
        values = mean_density(other)
    else:
        values = np.asarray(reference, np.float64)
        values = values.reshape(-1) if values.shape == support.shape else values
    if values.shape[-1:] != (len(support),) or np.isnan(values).any() or not (values > -np.inf).any(-1).all():
        raise refuse(
            f"a reference is one log-density for each of the support's {len(support)} points",
            f"shape {values.shape}",
            remedy=f"The support of {density.name!r} is {support!r}.",
        )
    return values


def _log_mass(log_density: np.ndarray, support: Support) -> np.ndarray:
    log_mass = np.asarray(log_density, np.float64) + support.log_weight
    highest = log_mass.max(-1, keepdims=True)
    return log_mass - highest - np.log(np.exp(log_mass - highest).sum(-1, keepdims=True))


def _kl(p: np.ndarray, log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """KL(p||q); points without mass count nothing, infinite where q has none and p has."""
    with np.errstate(invalid="ignore"):
        terms = np.where(p > 0, p * (np.where(p > 0, log_p, 0.0) - log_q), 0.0)
    return np.maximum(terms.sum(-1), 0.0)


def _wasserstein(support: Support, p: np.ndarray, q: np.ndarray, axis: int) -> np.ndarray:
    values, left = support.marginal(p, axis)
    _, right = support.marginal(q, axis)
    gap = np.abs(np.cumsum(left, -1) - np.cumsum(right, -1))[..., :-1]
    return gap @ np.diff(values)
