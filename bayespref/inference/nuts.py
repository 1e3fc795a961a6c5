"""The no-U-turn sampler."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from jax import Array
from jax.sharding import Mesh

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.ahead import Ahead
from bayespref.inference.blocks import lowered_advance
from bayespref.inference.checkpoint import Checkpoint
from bayespref.inference.condensed import condensed, expected
from bayespref.inference.fit import build, lowered_build
from bayespref.inference.flat import flat_of
from bayespref.inference.meshes import fetched, spread
from bayespref.inference.program import Model, Values, constrained, generator, sites_of
from bayespref.inference.sampling import METHODS, Run, method_of, sample
from bayespref.inference.scales import beginning, shape_of_scale
from bayespref.inference.starting import chain_starts, lowered_start
from bayespref.inference.trust import warn
from bayespref.inference.tuning import LARGEST, plan

Starts = Callable[[np.random.Generator], Values | None]


def nuts(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 1000,
    target_accept: float | None = None,
    max_tree_depth: int = 10,
    chain_method: str | None = None,
    mesh: Mesh | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Fit by the no-U-turn sampler (Hoffman and Gelman, 2014): exact up to Monte-Carlo error.

    Chains start as draws from the normal approximation at the posterior's mode, scales at their prior's
    median, and take steps as long as the curvature there allows; step size and scales are then tuned from
    the draws of all chains together. Scales are a matrix up to 400 numbers without effects by annotator, and
    else along each axis, and along up to 8 directions that are longer, such as a mean of many effects.
    Posteriors of latent classes have modes that chains do not leave (camps lumped together, a camp split).
    Exchangeable classes without effects by annotator start at the mode that holds most of several, or at
    some that hold nearly as much.

    Args:
        key: a `jax.random.key`; the same key on the same machine gives the same draws.
        model: a function of comparisons that ends in `observe`; options bound with functools.partial.
        comparisons: the data, with outcomes.
        chains: independent chains.
        warmup: steps of adaptation per chain, thrown away.
        draws: draws kept per chain.
        target_accept: target acceptance; nearer 1 takes smaller steps. None takes 0.8, with effects by
            annotator 0.95: annotators who hardly differ, the answer often hoped for, make a funnel where 0.8
            diverges now and then. Up to 0.95, where warm-up does not diverge, steps may be longer by up to
            sqrt(2) if that halves their number; up to twice as many are then refused.
        max_tree_depth: limit on doublings of a trajectory.
        chain_method: "parallel", a thread for each processor core; "vectorized", all chains in one program;
            "sequential"; None takes the first on a processor, the second on an accelerator and on a mesh.
        mesh: devices, of one host or of many, from `bayespref.mesh()`; None is one.
        checkpoint: a file that holds the run as it goes; where it is there, the run goes on from it, and
            ends with the draws that it would have had uninterrupted.
        progress: show a progress bar.

    Returns:
        A fit: `xarray.DataTree` with groups posterior, latent, sample_stats, log_likelihood, observed_data,
        constant_data.

    Raises:
        ValueError: when model and data do not fit each other, or a checkpoint is of another run.

    Warns:
        FitWarning: for a single chain, divergences, R-hat > 1.01 or bulk ESS < 400, with the remedy.

    Example:
        >>> fit = nuts(jax.random.key(0), bradley_terry, answers)  # doctest: +SKIP
    """
    check_data(model, comparisons)
    if target_accept is None:
        differ = any(
            site.annotator_axis is not None for site in sites_of(model, comparisons).values() if site.latent
        )
        target_accept = 0.95 if differ else 0.8
    settings = {
        "chains": chains,
        "warmup": warmup,
        "draws": draws,
        "target_accept": target_accept,
        "max_tree_depth": max_tree_depth,
        "chain_method": chain_method,
    }
    draw = sampler(model, progress=progress, checkpoint=checkpoint, mesh=mesh, **settings)
    latent, stats = draw(key, comparisons, lambda random: chain_starts(random, model, comparisons, chains))
    return warn(build(model, comparisons, latent, key=key, method="nuts", settings=settings, stats=stats))


def sampler(
    model: Model,
    *,
    chains: int,
    warmup: int,
    draws: int,
    target_accept: float,
    max_tree_depth: int,
    chain_method: str | None,
    mesh: Mesh | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
) -> Callable[[Array, Comparisons, Starts], tuple[Values, dict[str, np.ndarray]]]:
    """A function from key, data and starts to draws, compiled once for all data of one shape.

    Starts are found while programs compile: a function of a random generator to (chains, ...) values of
    every latent site, unconstrained, or to None to start near the mode.
    """
    if chain_method is not None and chain_method not in METHODS:
        raise refuse(f"chain_method is one of {METHODS}, or None", repr(chain_method))
    if mesh is not None and chain_method not in (None, "vectorized"):
        raise refuse("chains on a mesh are vectorized", repr(chain_method), remedy="Leave chain_method out.")
    for name, value, least in (("chains", chains, 1), ("warmup", warmup, 0), ("draws", draws, 1)):
        if value < least:
            raise refuse(f"{name} is at least {least}", str(value))

    if not 0 < target_accept < 1:
        raise refuse("target_accept lies between 0 and 1", str(target_accept))

    def draw(key: Array, comparisons: Comparisons, starts: Starts):
        with Ahead() as ahead:
            if method_of(chain_method, mesh) == "vectorized":
                fewer = condensed(model, comparisons)
            else:
                fewer = _compiled(ahead, model, comparisons, key, max_tree_depth, chains * draws)
            run_key, start_key = jax.random.split(key)
            own, begin_key = jax.random.split(run_key)
            keys = list(jax.random.split(own, chains))
            start = starts(generator(start_key))
        begun = beginning(generator(begin_key), model, spread(fewer, mesh), chains, start)
        run = Run(model, begun.unravel, fewer, target_accept, max_tree_depth, chain_method, mesh)
        steps = plan(warmup, draws)
        held = None if checkpoint is None else Checkpoint(Path(checkpoint), run, own, steps, chains)
        run = run._replace(comparisons=spread(fewer, mesh))
        kept = sample(keys, run, begun, steps, held, progress=progress)
        position = np.stack([np.concatenate([block.position for block in blocks]) for blocks in kept])
        flat = {name: position.reshape(-1, position.shape[-1])[:, at] for name, at in begun.places.items()}
        drawn = fetched(constrained(model, comparisons, flat))
        latent = {name: drawn[name].reshape(chains, draws, *drawn[name].shape[1:]) for name in flat}
        stats = {
            name: np.stack([np.concatenate([getattr(block, name) for block in blocks]) for blocks in kept])
            for name in ("n_steps", "acceptance_rate", "energy", "diverging")
        }
        return latent, stats

    return draw


def _compiled(
    ahead: Ahead, model: Model, comparisons: Comparisons, key: Array, depth: int, draws: int
) -> Comparisons:
    """Rows to fit, and what chains that run one by one need compiled, the longest program first."""
    sites = sites_of(model, comparisons)
    unravel = flat_of(sites)
    size = {"scale": shape_of_scale(unravel, sites), "size": LARGEST, "depth": depth}
    likely = expected(model, comparisons).comparisons
    ahead([lowered_advance(model, unravel, key, likely, **size)])
    start = ahead(lowered_start(model, likely))
    ahead(lowered_build(model, comparisons, draws, mode=False))
    wait(start)
    fewer = condensed(model, comparisons)
    if fewer is not likely:
        ahead([lowered_advance(model, unravel, key, fewer, **size), *lowered_start(model, fewer)])
    return fewer


def check_data(model: Model, comparisons: Comparisons) -> None:
    """Refuse what cannot be fitted, before any compilation."""
    if not isinstance(comparisons, Comparisons):
        raise refuse(
            "a model is fitted to Comparisons",
            f"a {type(comparisons).__name__}",
            remedy="Read the table with bayespref.read_table(...).",
        )
    if comparisons.outcome is None:
        raise refuse("a fit needs outcomes", "comparisons without", remedy="Read them with outcome='...'.")
    sites_of(model, comparisons)
