"""The one place that builds a fit: an `xarray.DataTree` as ArviZ wants it, carrying its data.

Groups: `posterior` (documented quantities, in the user's units), `latent` (every sampled site as the model
samples it, for prediction), `sample_stats`, `log_likelihood` (of one answer of each row, unscaled),
`observed_data` and `constant_data` (the data). Attributes say how it was made.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax import Array
from jax.stages import Lowered

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.ahead import like
from bayespref.inference.meshes import fetched
from bayespref.inference.program import (
    Model,
    Site,
    Values,
    answer_log_likelihood,
    choice_of,
    constrained,
    identity,
    map_draws,
    run,
    sites_of,
)
from bayespref.inference.relabel import numbered, relabelled
from bayespref.losses import NAMES as LOSSES
from bayespref.losses import refuse_loss

STORED_LOG_LIKELIHOOD = 20_000_000
"""Values (draws x rows) up to which the log-likelihood is stored; above, it is computed on demand."""

STORED_SITE = 50_000_000
"""Values (draws x size) up to which a computed site is stored."""

LIKELIHOOD, MEMBERSHIP = "outcome_log_likelihood", "outcome_log_membership"

VERSIONED = ("bayespref", "numpyro", "jax", "arviz")


def build(
    model: Model,
    comparisons: Comparisons,
    latent: Values,
    *,
    key: Array,
    method: str,
    settings: dict[str, Any],
    stats: dict[str, np.ndarray] | None = None,
    attrs: dict[str, Any] | None = None,
    mode: Values | None = None,
) -> xr.DataTree:
    """Build a fit from draws of the latents, (chain, draw, ...) each, and their values (...) at the mode."""
    sites = sites_of(model, comparisons)
    chains, draws = next(iter(latent.values())).shape[:2]
    flat: dict[str, Any] = {
        name: np.asarray(value).reshape(-1, *value.shape[2:]) for name, value in latent.items()
    }
    every: dict[str, Any] = flat
    if mode is not None:
        every = {name: np.concatenate([value, np.asarray(mode[name])[None]]) for name, value in flat.items()}
    computed: Values = every | fetched(_computed(model, comparisons, every, sites, chains * draws))
    if MEMBERSHIP in computed:
        computed = relabelled(computed, computed.pop(MEMBERSHIP), sites)
    posterior = {name: value[: chains * draws] for name, value in computed.items()}
    likelihood = posterior.pop(LIKELIHOOD, None)
    coords = coordinates(comparisons, sites)

    def dataset(values: Values, names: list[str], shape: tuple[int, int] = (chains, draws)) -> xr.Dataset:
        variables = {
            name: (
                ("chain", "draw", *sites[name].dims),
                np.asarray(values[name]).reshape(*shape, *sites[name].shape),
            )
            for name in names
        }
        used = {dim for name in names for dim in sites[name].dims}
        index = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
        named = {name: value for name, value in coords.items() if used.issuperset(value[0])}
        return xr.Dataset(variables, coords={**index, **dict(sorted(named.items()))})

    documented = [name for name in posterior if sites[name].documented]
    groups = {
        "posterior": dataset(posterior, documented),
        "latent": dataset({name: posterior[name] for name in flat}, list(flat)),
        "sample_stats": xr.Dataset(
            {name: (("chain", "draw"), np.asarray(value)) for name, value in (stats or {}).items()}
        ),
        **{name: node.to_dataset() for name, node in comparisons.to_datatree().children.items()},
    }
    if likelihood is not None:
        values = np.asarray(likelihood).reshape(chains, draws, -1)
        groups["log_likelihood"] = xr.Dataset({"outcome": (("chain", "draw", "comparison"), values)})
    if mode is not None:
        at_mode = {name: computed[name][-1:] for name in documented}
        groups["mode"] = dataset(at_mode, documented, shape=(1, 1)).isel(chain=0, draw=0, drop=True)
    fit = xr.DataTree.from_dict(groups)
    fit.attrs.update(
        **identity(model),
        choice=choice_of(model, comparisons),
        method=method,
        key=json.dumps(np.asarray(jax.random.key_data(key)).tolist()),
        settings=json.dumps(settings, sort_keys=True, default=repr),
        turns=json.dumps([name for name in flat if sites[name].turns]),
        **{f"{name}_version": importlib.metadata.version(name) for name in VERSIONED},
        **(attrs or {}),
    )
    return fit


def _computed(model, comparisons, latent: Values, sites: dict[str, Site], total: int) -> Values:
    """Computed sites, what numbers classes and, where it fits, the log-likelihood, at every draw."""
    names = _stored(model, comparisons, sites, total)
    return _compute(model, names, comparisons, latent) if names else {}


def _stored(model, comparisons, sites: dict[str, Site], total: int) -> tuple[str, ...]:
    names = [
        site.name
        for site in sites.values()
        if not site.latent and site.documented and total * np.prod(site.shape) <= STORED_SITE
    ]
    store = comparisons.outcome is not None and total * len(comparisons) <= STORED_LOG_LIKELIHOOD
    names += [LIKELIHOOD] if store and choice_of(model, comparisons) not in LOSSES else []
    return (*names, MEMBERSHIP) if numbered(model, comparisons) else tuple(names)


def lowered_build(model: Model, comparisons: Comparisons, total: int, *, mode: bool) -> Iterator[Lowered]:
    """What `constrained` and `build` run for so many draws, and the mode, to be compiled before."""
    sites = sites_of(model, comparisons)
    latent = [site for site in sites.values() if site.latent]
    points = {site.name: like((total + mode, *site.unconstrained)) for site in latent}
    yield constrained.lower(model, comparisons, points)
    latent = {site.name: like((total + mode, *site.shape)) for site in latent}
    if names := _stored(model, comparisons, sites, total):
        yield _compute.lower(model, names, comparisons, latent)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compute(model: Model, names: tuple[str, ...], comparisons: Comparisons, latent: Values) -> Values:
    """Computed sites at every draw, and what answers say, under names of their own."""

    def one(values: Values) -> Values:
        trace = run(model, comparisons, values)
        answers = trace["outcome"]["fn"]
        said = {LIKELIHOOD: "answer_log_prob", MEMBERSHIP: "membership"}
        return {
            name: getattr(answers, said[name])(comparisons.outcome) if name in said else trace[name]["value"]
            for name in names
        }

    return map_draws(one, latent)


def coordinates(comparisons: Comparisons, sites: dict[str, Site]) -> dict[str, tuple]:
    """Coordinates, name -> (dims, values): the user's labels, the model's own, the points of supports."""
    labelled: dict[str, Any] = {}
    coords: dict[str, tuple] = {}
    for site in sites.values():
        for dim, labels in site.coords.items():
            labelled[dim] = list(labels)
            labelled[f"{dim}_other"] = list(labels)
        for dim, value in {} if site.support is None else site.support.coords().items():
            if dim in coords and not np.array_equal(coords[dim][1], value[1]):
                raise refuse(
                    "two densities of one model live on one support, or on axes with different names",
                    f"two grids along {dim!r}",
                    remedy="Declare one support and use it for both, or give name= (names=) to one of them.",
                )
            coords[dim] = value
    if comparisons.items.labels is not None:
        labelled["item"] = comparisons.items.labels.astype(str)
    if comparisons.annotators is not None and comparisons.annotators.labels is not None:
        labelled["annotator"] = comparisons.annotators.labels.astype(str)
    if comparisons.feature_names:
        labelled["feature"] = list(comparisons.feature_names)
    return {**coords, **{dim: ((dim,), values) for dim, values in labelled.items()}}


def data_of(fit: xr.DataTree) -> Comparisons:
    """The comparisons that a fit was made from."""
    return Comparisons.from_datatree(fit)


def latent_of(fit: xr.DataTree) -> Values:
    """Draws of every latent site, (s, ...) with chains joined."""
    if "latent" not in fit.children:
        raise refuse("a fit carries the group 'latent'", f"groups {sorted(fit.children)}")
    return {
        str(name): device_array(value.values.reshape(-1, *value.shape[2:]))
        for name, value in fit["latent"].data_vars.items()
    }


def log_likelihood_of(model: Model, fit: xr.DataTree) -> np.ndarray:
    """(s, n) log-probability of one answer of each row at every draw: stored, or computed now."""
    refuse_loss(fit, "log-likelihoods of answers")
    if "log_likelihood" in fit.children:
        values = fit["log_likelihood"].to_dataset()["outcome"].values
        return values.reshape(-1, values.shape[-1])
    comparisons = data_of(fit)

    @jax.jit
    def compute(comparisons: Comparisons, latent: Values) -> Array:
        return map_draws(lambda values: answer_log_likelihood(model, comparisons, values), latent)

    return np.asarray(compute(comparisons, latent_of(fit)))


def check_same_model(model: Model, fit: xr.DataTree) -> None:
    """Refuse to judge a fit by another model than its own."""
    for name, value in identity(model).items():
        if (made := fit.attrs.get(name)) != value:
            raise refuse(
                f"a fit is judged by the model that made it ({fit.attrs.get('model')!r}, {name} {made})",
                f"{identity(model)['model']!r} with {name} {value}",
                remedy="Pass the model with the options it was fitted with, or fit again.",
            )


def save(fit: xr.DataTree, path: str | os.PathLike) -> None:
    """Write a fit as netCDF, atomically: the file appears whole or not at all.

    Args:
        fit: what an inference function returned.
        path: where to; an existing file is replaced.

    Example:
        >>> save(fit, "pooled.nc")  # doctest: +SKIP
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent or ".", prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        fit.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)


def load(path: str | os.PathLike) -> xr.DataTree:
    """Read a fit that `save` wrote, into memory.

    Args:
        path: the file.

    Raises:
        ValueError: when the file is missing, truncated, or not a fit.

    Example:
        >>> fit = load("pooled.nc")  # doctest: +SKIP
    """
    if not Path(path).is_file():
        raise refuse("a fit is a netCDF file", f"no file {str(path)!r}", remedy="Make it with bayespref fit.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            fit = tree.load()
    except Exception as error:
        raise refuse(
            "a fit is a complete netCDF file",
            f"{str(path)!r}, which cannot be read ({type(error).__name__})",
            remedy="It may be truncated: fit again, or copy it again.",
        ) from error
    if missing := {"posterior", "latent", "constant_data"} - set(fit.children):
        raise refuse("a fit carries its posterior and its data", f"{str(path)!r} without {sorted(missing)}")
    return fit
