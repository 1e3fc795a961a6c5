"""What an information matrix leaves free: its spectrum, and which quantities its null space moves."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from bayespref.inference.program import Site

EPS = float(np.finfo(np.float64).eps)
HALF = EPS**0.5
"""A derivative below this share of the largest, half the digits of double precision, is none."""


@dataclasses.dataclass(frozen=True)
class SiteInformation:
    """What answers to a design say of one documented quantity.

    Attributes:
        directions: in which it can move. free: those that answers leave open.
        given: those that they would leave open were the annotators' effects known.
        tied: quantities without which it cannot move there: answers settle a combination of them.
        through: sampled sites, not its own, whose prior settles what is free.
        standard_error: of its worst element, at least, without priors; None where any direction is free.
    """

    directions: int
    free: int = 0
    given: int = 0
    tied: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    standard_error: float | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing is free but for what the priors of other quantities say."""
        return not self.given or bool(self.through)

    def text(self, *, exact: bool) -> str:
        """One sentence."""
        if not self.free:
            return f"informed; standard error {self.standard_error:.2g} without priors"
        most = "" if exact else "at most "
        effects = "known only through the prior of annotators' effects"
        if not self.given:
            return effects + self._where(self.free, most)
        names = ", ".join(name.strip("_") for name in self.tied or self.through)
        where = self._where(self.given, most)
        if self.tied:
            text = f"NOT INFORMED{where}, but for a combination with {names}"
        elif self.through:
            text = f"known only through the prior of {names}{where}"
        else:
            text = f"NOT INFORMED{where}: its own prior speaks"
        more = self.free - self.given
        return f"{text}; {effects}{self._where(more, most)}" if more else text

    def _where(self, free: int, most: str) -> str:
        return "" if free == self.directions == 1 else f" in {most}{free} of {self.directions} directions"


class Spectrum(NamedTuple):
    """Eigenvectors of information scaled to unit diagonal.

    Attributes:
        unit: (d,) square roots of the diagonal. values: (r,) and informed: (d, r) what is informed.
        null: (d, d - r) what is not.
        leak: how much of the one rounding can put into the other, or `HALF` where that is more.
    """

    unit: np.ndarray
    values: np.ndarray
    informed: np.ndarray
    null: np.ndarray
    leak: float

    @property
    def rank(self) -> int:
        """Directions that are informed."""
        return len(self.values)

    @property
    def least(self) -> float:
        """Information of the worst of them."""
        return float(self.values.min(initial=1.0))

    @property
    def condition(self) -> float:
        """Ratio of standard errors of the worst and the best informed direction."""
        return float(np.sqrt(self.values.max(initial=1.0) / self.least))


def spectrum(fisher: np.ndarray, terms: int) -> Spectrum:
    """Decompose information (d, d) that was summed over so many terms.

    A sum of n products is rounded by about sqrt(n) eps times the sum of their sizes (Higham and Mary, 2019),
    and a matrix of unit diagonal by d times that: eigenvalues below are zero.

    Args:
        fisher: (d, d) information, in double precision.
        terms: how many products each element sums.

    Example:
        >>> spectrum(np.array([[1.0, 1.0], [1.0, 1.0]]), 10).rank
        1
    """
    size = np.diag(fisher)
    there = size > HALF**2 * size.max(initial=0.0)
    unit = np.sqrt(np.where(there, size, 1.0))
    scaled = np.where(np.outer(there, there), (fisher + fisher.T) / 2 / np.outer(unit, unit), 0.0)
    values, vectors = np.linalg.eigh(scaled)
    zero = len(size) * np.sqrt(terms) * EPS
    kept = values > zero
    leak = max(HALF, min(1.0, zero / values[kept].min(initial=1.0)))
    return Spectrum(unit, values[kept], vectors[:, kept], vectors[:, ~kept], leak)


def informed_sites(
    found: Spectrum, moves: np.ndarray, priors: np.ndarray, sites: dict[str, Site], owners: np.ndarray
) -> tuple[int, dict[str, SiteInformation]]:
    """How many null directions move nothing documented, and what is informed of each documented quantity.

    Args:
        found: the information's spectrum.
        moves: (q, d) derivatives of documented quantities by parameter, in the order of `sites`.
        priors: (t, d) derivatives of sampled sites' log priors, by name in order.
        sites: the model's.
        owners: (d,) sampled site, by name in order, that a parameter belongs to.

    Example:
        >>> informed_sites(found, moves, priors, sites, owners)  # doctest: +SKIP
    """
    documented = {name: int(np.prod(site.shape)) for name, site in sites.items() if site.documented}
    ends = np.cumsum(list(documented.values()))[:-1]
    whole = dict(zip(documented, np.split(moves / found.unit, ends), strict=True))
    null = Null(found, {name: _compact(one, found) for name, one in whole.items()})
    latent = sorted(name for name, site in sites.items() if site.latent)
    theirs = np.array([sites[name].annotator_axis is not None for name in latent])[owners]
    known = _kernel(found.null[theirs], found.leak)
    result = {}
    for name, one in whole.items():
        directions = _rank(one / (_size(one) or 1.0), HALF)
        if not (free := null.moved(name)):
            along = one @ found.informed / np.sqrt(found.values)
            worst = float(np.sqrt(np.square(along).sum(1).max(initial=0.0)))
            result[name] = SiteInformation(directions, standard_error=worst)
            continue
        given = null.moved(name, known)
        tied = null.tied(name, known) if given else ()
        own = {latent[index] for index in np.unique(owners[np.abs(one).max(0) > 0])}
        settling = _changed(priors / found.unit, null.alone(name, known), found) if given and not tied else []
        through = tuple(latent[index] for index in settling if latent[index] not in own)
        result[name] = SiteInformation(directions, free, given, tied, through)
    return found.null.shape[1] - null.moved(), result


class Null(NamedTuple):
    """How the k null directions move each documented quantity: (at most k, k), relative to its largest."""

    found: Spectrum
    parts: dict[str, np.ndarray]

    def moved(self, name: str | None = None, along: np.ndarray | None = None) -> int:
        """Directions in which a quantity, or all together, move along some (k, j) combinations, or all."""
        part = self._rest(None) if name is None else self.parts[name]
        return _rank(part if along is None else part @ along, self.found.leak)

    def tied(self, name: str, along: np.ndarray) -> tuple[str, ...]:
        """Quantities that, held fixed one at a time, keep this one from moving as far."""
        most = self.moved(name, along)
        others = {other: part @ along for other, part in self.parts.items() if other != name}
        still = {other: along @ _kernel(part, self.found.leak) for other, part in others.items()}
        return tuple(other for other in others if self.moved(name, still[other]) < most)

    def alone(self, name: str, along: np.ndarray) -> np.ndarray:
        """(d, j) directions that move this quantity, and no other if it can move alone."""
        still = along @ _kernel(self._rest(name) @ along, self.found.leak)
        still = still if self.moved(name, still) else along
        _, size, right = np.linalg.svd(self.parts[name] @ still, full_matrices=False)
        return self.found.null @ still @ right[size > self.found.leak].T

    def _rest(self, name: str | None) -> np.ndarray:
        nothing = np.zeros((0, self.found.null.shape[1]))
        return np.concatenate([nothing, *(part for other, part in self.parts.items() if other != name)])


def _changed(slopes: np.ndarray, along: np.ndarray, found: Spectrum) -> np.ndarray:
    """Which log priors, of derivatives (t, d), change along directions (d, j)."""
    size = np.linalg.norm(slopes, axis=1)
    return np.flatnonzero(np.linalg.norm(slopes @ along, axis=1) > found.leak * size)


def _size(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix, 2)) if matrix.size else 0.0


def _compact(one: np.ndarray, found: Spectrum) -> np.ndarray:
    """(at most k, k) movement (q, d) along the k null directions, however many elements it has."""
    along = one @ found.null / (_size(one) or 1.0)
    return np.linalg.qr(along, mode="r") if len(along) > along.shape[1] else along


def _rank(matrix: np.ndarray, least: float) -> int:
    """Singular values above that share of what the largest could be, 1."""
    return int((np.linalg.svd(matrix, compute_uv=False) > least).sum()) if matrix.size else 0


def _kernel(matrix: np.ndarray, least: float) -> np.ndarray:
    """(k, j) orthonormal basis of what such a matrix does not move."""
    _, size, right = np.linalg.svd(matrix, full_matrices=True)
    return right[int((size > least).sum()) :].T
