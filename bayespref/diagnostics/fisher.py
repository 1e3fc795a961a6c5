"""Local identifiability of a declared model: rank and conditioning of its expected information on a design.

The Fisher information of the answers, without the prior, in all sampled sites, unconstrained: J' W J with J
the derivatives of log-probabilities of every possible answer, W how often each is expected. What its null
space moves, no number of answers to these questions can settle (Rothenberg, 1971).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer.util import constrain_fn

from bayespref.choices.base import IMPOSSIBLE
from bayespref.comparisons import Comparisons, refuse
from bayespref.diagnostics.free import SiteInformation, informed_sites, spectrum
from bayespref.diagnostics.summary import as_html, as_text
from bayespref.inference.fit import check_same_model, latent_of
from bayespref.inference.program import Model, Site, Values, identity, run, sites_of
from bayespref.populations import LatentClasses

MOST = 2000
"""Parameters up to which their information is decomposed."""
PATTERNS = 200_000
"""Patterns of whole annotators' answers that are enumerated, for latent classes."""
SIZE = 20_000_000
"""Numbers up to which the derivatives of documented quantities are kept."""


@dataclasses.dataclass(frozen=True)
class LocalIdentifiability:
    """Which parameters of a declared model answers to a design can inform; prints as text and as HTML.

    Attributes:
        model: its name. answers: single answers in the design. at: where the information was taken.
        parameters: numbers that are sampled, unconstrained. rank: directions that answers inform, the most
            over the points. ranks: at each point.
        at_most: what the rank cannot exceed; above `rank` where not all answers could be enumerated.
        silent: free directions that change no documented quantity (rotations, how a scale is written down).
        condition: ratio of standard errors of the worst and the best informed direction, each parameter in
            units of its own information; median over points of full rank.
        sites: documented quantity -> what answers say of it.
        notes: what the figures do not say.
    """

    model: str
    answers: int
    at: str
    parameters: int
    rank: int
    ranks: tuple[int, ...]
    at_most: int
    silent: int
    condition: float
    sites: dict[str, SiteInformation]
    notes: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the rank is known, rather than bounded from below."""
        return self.rank == self.at_most

    @property
    def uninformed(self) -> tuple[str, ...]:
        """Quantities that are free beyond what the priors of others, informed, say of them."""
        return tuple(name for name, site in self.sites.items() if not site.settled)

    def lines(self) -> list[tuple[str, str]]:
        """(name, text) pairs, in reading order."""
        worst = self.condition**2
        times = f"{worst:,.0f}" if worst < 1e9 else f"{worst:.0e}"
        return [
            ("model", f"{self.model}, {self.parameters} parameters"),
            ("design", f"{self.answers:,} answers, at {self.at}"),
            ("rank", self._rank()),
            (
                "conditioning",
                f"the worst direction that is informed takes {times} times the answers of the best",
            ),
            *((name, site.text(exact=self.exact)) for name, site in self.sites.items()),
        ]

    def _rank(self) -> str:
        text = f"{self.rank} of {self.parameters}"
        if not self.exact:
            return f"at least {text}, at most {self.at_most}: what lies between CANNOT BE SAID here"
        if self.uninformed:
            text += f", NOT IDENTIFIED: {', '.join(self.uninformed)}"
        elif self.rank < self.parameters:
            text += "; what is free is known through priors of what is informed"
        if self.silent:
            text += f"; free directions that change nothing documented: {self.silent}"
        return text

    def __str__(self) -> str:
        """Aligned text, notes at the end."""
        return as_text(self.lines(), self.notes)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.lines(), self.notes)


def local_identifiability(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    at: xr.DataTree | Mapping[str, Any] | None = None,
    draws: int = 5,
) -> LocalIdentifiability:
    """Which quantities of a declared model answers can inform: rank and conditioning of expected information.

    The information is that of the answers alone, whatever was answered. Parameters are scaled to unit
    information each; eigenvalues below parameters x sqrt(terms) x 2.2e-16, the rounding of so long a sum in
    double precision, are zero. At points drawn from the prior the largest rank is the generic one. K classes
    of worths for n items have K n - 1 parameters: pooled answers to all pairs identify two from five items
    on (Zhang et al., 2022), annotators who answer every pair from three.

    Args:
        key: a `jax.random.key`, for draws from the prior.
        model: the declaration.
        comparisons: the design; their outcomes, if any, are not looked at.
        at: a fit, or values of every sampled site; None takes draws from the prior.
        draws: points, from the prior or from the fit.

    Returns:
        A `LocalIdentifiability`, which prints itself.

    Raises:
        ValueError: for losses, for more than 2,000 parameters, and for values that are missing or impossible.

    Example:
        >>> from bayespref.models import bradley_terry
        >>> apart = Comparisons.from_arrays([[0, 1], [2, 3]])
        >>> found = local_identifiability(jax.random.key(0), bradley_terry, apart)
        >>> found.sites["log_density"].directions, found.sites["log_density"].free
        (3, 1)
    """
    if draws < 1:
        raise refuse("information is taken at one point or more", f"draws={draws}")
    with jax.enable_x64(True):  # noqa: FBT003 (its only argument)
        rows = comparisons.replace(outcome=None, source_rows=None).counted()
        data = _double(rows.replace(has_ties=comparisons.has_ties, has_none=comparisons.has_none))
        sites = sites_of(model, data)
        points, unravel, owners, where = _points(key, model, data, sites, at, draws)
        _check(sites, points.shape[1])
        found, complete = _measured(model, data, sites, unravel, points)
    return _result(model, comparisons, sites, found, owners, where, complete=complete)


class Measured(NamedTuple):
    """Derivatives at one point, by parameter.

    Attributes:
        fisher: (d, d) information of answers. bound: (d, d) J'J of what the answers' distribution is made of.
        moves: (q, d) of documented quantities. priors: (t, d) of each sampled site's log prior.
        terms: answers, or patterns of them, that were summed over.
    """

    fisher: np.ndarray
    bound: np.ndarray
    moves: np.ndarray
    priors: np.ndarray
    terms: int


def _check(sites: dict[str, Site], parameters: int) -> None:
    if parameters > MOST:
        raise refuse(
            f"information is decomposed for at most {MOST:,} parameters",
            f"{parameters:,}: nothing can be said here of their rank",
            remedy="Ask about a subset of the items or annotators.",
        )
    size = parameters * sum(int(np.prod(site.shape)) for site in sites.values() if site.documented)
    if size > SIZE:
        raise refuse(f"at most {SIZE:,} derivatives of documented quantities are kept", f"{size:,}")


def _latent(sites: dict[str, Site]) -> list[str]:
    names = sorted(name for name, site in sites.items() if site.latent)
    if not names:
        raise refuse("a model has parameters", "one that samples nothing but answers")
    return names


def _points(key: Array, model: Model, data: Comparisons, sites: dict[str, Site], at, draws: int):
    """(s, d) unconstrained points, the map from one to sites, parameters' owners, where points come from."""
    names = _latent(sites)
    keys, where = jax.random.split(key, draws), f"{draws} draw{'s' * (draws > 1)} from its prior"
    every: list[dict[str, np.ndarray]] = [{}] * draws
    if isinstance(at, xr.DataTree):
        check_same_model(model, at)
        latent = latent_of(at)
        total = len(latent[names[0]])
        which = np.unique(np.linspace(0, total - 1, min(draws, total)).round().astype(int))
        every = [{name: np.asarray(value[i], np.float64) for name, value in latent.items()} for i in which]
        where = f"{len(which)} draw{'s' * (len(which) > 1)} of the fit"
    elif at is not None:
        shapes = {name: sites[name].shape for name in names}
        if (got := {name: np.shape(value) for name, value in sorted(at.items())}) != shapes:
            raise refuse(f"values are given of every sampled site, of shapes {shapes}", f"{got}")
        every, where = [{name: np.asarray(at[name], np.float64) for name in names}], "the values given"

    def place(key: Array, values: Values, data: Comparisons) -> Values:
        trace = run(model, data, values, key)
        return {n: jnp.asarray(biject_to(trace[n]["fn"].support).inv(trace[n]["value"])) for n in names}

    placed = jax.jit(place)
    found = [placed(keys[i], values, data) for i, values in enumerate(every)]
    points = np.stack([np.concatenate([np.ravel(one[name]) for name in names]) for one in found])
    if not np.isfinite(points).all():
        raise refuse("points lie inside the support of every site", f"a value on its edge, at {where}")
    _, unravel = ravel_pytree({name: np.asarray(found[0][name]) for name in names})
    owners = np.repeat(np.arange(len(names)), [np.size(found[0][name]) for name in names])
    return points, unravel, owners, where


def _measured(model: Model, data: Comparisons, sites: dict[str, Site], unravel: Callable, points: np.ndarray):
    """Derivatives at each point, and whether every possible answer was enumerated."""
    documented = [name for name, site in sites.items() if site.documented]
    latent, seeded = _latent(sites), handlers.seed(model, jax.random.key(0))  # answers drawn are not used
    shape: list[Any] = []
    jax.eval_shape(lambda: shape.append(_shape(run(model, data, {})["outcome"]["fn"])))
    outcomes, ranking = shape[0]
    panels, complete = ([], True) if outcomes is None else _panels(data, outcomes)

    def everything(z: Array, data: Comparisons) -> tuple[Array, ...]:
        values = constrain_fn(seeded, (data,), {}, unravel(z))
        trace = run(model, data, values)
        answers = trace["outcome"]["fn"]
        parts = [x for x in jax.tree.leaves(answers) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
        quantities = [jnp.ravel(trace[name]["value"]) for name in documented]
        priors = [trace[name]["fn"].log_prob(trace[name]["value"]).sum() for name in latent]
        return (
            _log_probs(answers, panels),
            jnp.concatenate([jnp.ravel(x) for x in parts]),
            jnp.concatenate([*quantities, jnp.zeros(0)]),
            jnp.stack(priors),
        )

    @jax.jit
    def measure(z: Array, data: Comparisons):
        (log_probs, *_), push = jax.linearize(lambda z: everything(z, data), z)
        pull = jax.linear_transpose(push, z)
        times = jnp.ones(len(log_probs)) if panels else jnp.repeat(data.count, len(log_probs) // len(data))
        expected = times * jnp.exp(log_probs)

        def column(unit: Array):
            answer, part, quantity, prior = push(unit)
            no_answer, no_part, *rest = jax.tree.map(jnp.zeros_like, (answer, part, quantity, prior))
            seen = pull((expected * answer, no_part, *rest))[0]
            return seen, pull((no_answer, part, *rest))[0], quantity, prior

        return *jax.lax.map(column, jnp.eye(len(z)), batch_size=16), log_probs

    found = []
    for point in points:
        fisher, bound, moves, priors, log_probs = map(np.asarray, measure(jnp.asarray(point), data))
        found.append(Measured(fisher, bound, moves.T, priors.T, len(log_probs)))
    return found, complete and not ranking


def _shape(answers) -> tuple[int | None, bool]:
    """Outcomes of one answer where those of an annotator depend on each other, else None; whether ranks."""
    ranking = getattr(answers.choice, "response", "choice") == "ranking"
    return (answers.choice.outcomes, ranking) if isinstance(answers, LatentClasses) else (None, ranking)


def _panels(data: Comparisons, outcomes: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """(rows (g, t), patterns (s, t)) of annotators with t answers each, and whether none was left out.

    Where patterns would be too many, each annotator's first answers stand for all: their information is part
    of the whole.
    """
    row = np.repeat(np.arange(len(data)), np.asarray(data.count))
    who = np.asarray(data.annotator)[row]
    row = row[np.argsort(who, kind="stable")]
    each = np.bincount(who)
    start, each = (np.cumsum(each) - each)[each > 0], each[each > 0]
    depth = 1
    while depth < each.max() and (float(outcomes) ** np.minimum(each, depth + 1)).sum() <= PATTERNS:
        depth += 1
    panels = []
    for size in np.unique(np.minimum(each, depth)):
        first = start[np.minimum(each, depth) == size]
        patterns = np.indices((outcomes,) * size).reshape(size, -1).T
        panels.append((row[first[:, None] + np.arange(size)], patterns))
    return panels, bool(each.max() <= depth)


def _log_probs(answers, panels) -> Array:
    """Log-probabilities of every answer to every row, or of every pattern of every annotator's answers."""
    if not isinstance(answers, LatentClasses):
        each = answers.outcome_log_probs().reshape(-1)
        return jnp.where(jnp.isfinite(each), each, IMPOSSIBLE)
    each = jnp.stack([choice.log_probs(answers.available) for choice in answers.components], -1)
    each = jnp.where(jnp.isfinite(each), each, IMPOSSIBLE)
    weight = jnp.broadcast_to(answers.log_weight, (answers.annotators, len(answers.components)))
    found = []
    for rows, patterns in panels:
        total = weight[answers.annotator[rows[:, 0]]][:, None]
        for t in range(rows.shape[1]):
            total = total + each[rows[:, t]][:, patterns[:, t]]
        found.append(jax.nn.logsumexp(total, -1).reshape(-1))
    return jnp.concatenate(found)


def _result(
    model, comparisons: Comparisons, sites, found: list[Measured], owners, where: str, *, complete: bool
) -> LocalIdentifiability:
    spectra = [spectrum(one.fisher, one.terms) for one in found]
    ranks = tuple(one.rank for one in spectra)
    full = [i for i, rank in enumerate(ranks) if rank == max(ranks)]
    best = max(full, key=lambda i: spectra[i].least)
    at_most = max(ranks) if complete else max(spectrum(one.bound, one.terms).rank for one in found)
    judged = {i: informed_sites(spectra[i], found[i].moves, found[i].priors, sites, owners) for i in full}
    silent, informed = judged[best]
    for name, one in informed.items():
        errors = [judged[i][1][name].standard_error for i in full]
        if not one.free:
            error = float(np.median([error for error in errors if error is not None]))
            informed[name] = dataclasses.replace(one, standard_error=error)
    return LocalIdentifiability(
        model=identity(model)["model"],
        answers=comparisons.answers,
        at=where,
        parameters=len(owners),
        rank=max(ranks),
        ranks=ranks,
        at_most=max(at_most, max(ranks)),
        silent=silent,
        condition=float(np.median([spectra[i].condition for i in full])),
        sites=informed,
        notes=tuple(_notes(comparisons, sites, ranks, complete=complete)),
    )


def _notes(comparisons: Comparisons, sites: dict[str, Site], ranks: tuple[int, ...], *, complete: bool):
    if any(site.latent and site.annotator_axis is not None for site in sites.values()):
        each = comparisons.design.annotator_answers
        several = 0 if each is None else int((np.asarray(each) >= 2).sum())
        size = 0 if each is None else len(each)
        yield (
            "Annotators' effects count as parameters: this is information given each of them, and a single "
            "answer seems to inform one. What population they come from (their sd) is learned only from "
            f"annotators with two answers or more, {several:,} of {size:,} here: this does not say how well."
        )
    if turning := [name.strip("_") for name, site in sites.items() if site.turns]:
        yield f"{', '.join(turning)} may turn without changing any answer."
    if not complete:
        yield (
            "Not every possible answer could be enumerated: the first answers of each annotator, or who is "
            "ranked first, stand for all. The rank is no less, and standard errors without priors no more."
        )
    if len(set(ranks)) > 1:
        yield f"The rank differs by point, {', '.join(map(str, ranks))}: the largest is the generic one."


def _double(data: Comparisons) -> Comparisons:
    """The same in double precision."""

    def widen(x):
        return jnp.asarray(np.asarray(x), jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(widen, data).replace(source_rows=None)
