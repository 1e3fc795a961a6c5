"""The no-U-turn sampler."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import xarray as xr
from jax import Array
from numpyro.infer import MCMC, NUTS, init_to_median

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import build
from bayespref.inference.program import Model, Values, generator, sites_of
from bayespref.inference.starting import chain_starts
from bayespref.inference.trust import warn

FIELDS = ("diverging", "energy", "num_steps", "accept_prob")


def nuts(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    target_accept: float = 0.9,
    max_tree_depth: int = 10,
    chain_method: str = "vectorized",
    progress: bool = True,
) -> xr.DataTree:
    """Fit by the no-U-turn sampler (Hoffman and Gelman, 2014): exact up to Monte-Carlo error.

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
        target_accept: target acceptance; nearer 1 takes smaller steps. 0.9 because annotators who hardly
            differ, the answer often hoped for, make a funnel where 0.8 diverges now and then.
        max_tree_depth: limit on doublings of a trajectory.
        chain_method: "vectorized", "sequential" or "parallel" (one chain per device).
        progress: show a progress bar.

    Returns:
        A fit: `xarray.DataTree` with groups posterior, latent, sample_stats, log_likelihood, observed_data,
        constant_data.

    Raises:
        ValueError: when model and data do not fit each other.

    Warns:
        FitWarning: for divergences, R-hat > 1.01 or bulk ESS < 400, with the remedy.

    Example:
        >>> fit = nuts(jax.random.key(0), bradley_terry, answers)  # doctest: +SKIP
    """
    check_data(model, comparisons)
    settings = {
        "chains": chains,
        "warmup": warmup,
        "draws": draws,
        "target_accept": target_accept,
        "max_tree_depth": max_tree_depth,
        "chain_method": chain_method,
    }
    sample = sampler(model, progress=progress, **settings)
    run_key, start_key = jax.random.split(key)
    start = chain_starts(generator(start_key), model, comparisons, chains)
    latent, stats = sample(run_key if start else key, comparisons, start)
    return warn(build(model, comparisons, latent, key=key, method="nuts", settings=settings, stats=stats))


def sampler(
    model: Model,
    *,
    chains: int,
    warmup: int,
    draws: int,
    target_accept: float,
    max_tree_depth: int,
    chain_method: str,
    progress: bool = False,
) -> Callable[[Array, Comparisons, Values | None], tuple[Values, dict[str, np.ndarray]]]:
    """A function from key, data and starts to draws, compiled once for all data of one shape.

    Starts are (chains, ...) values of every latent site, unconstrained, or None to start near the prior's
    medians.
    """
    kernel = NUTS(
        model,
        target_accept_prob=target_accept,
        max_tree_depth=max_tree_depth,
        init_strategy=init_to_median(),
    )
    mcmc = MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method=chain_method,
        progress_bar=progress,
        jit_model_args=True,
    )

    def sample(
        key: Array, comparisons: Comparisons, start: Values | None
    ) -> tuple[Values, dict[str, np.ndarray]]:
        if start is not None and chains == 1:
            start = {name: value[0] for name, value in start.items()}
        names = {name for name, site in sites_of(model, comparisons).items() if site.latent}
        mcmc.run(key, comparisons, extra_fields=FIELDS, init_params=start)
        draws = mcmc.get_samples(group_by_chain=True)
        stats = mcmc.get_extra_fields(group_by_chain=True)
        rename = {"num_steps": "n_steps", "accept_prob": "acceptance_rate"}
        return (
            {name: value for name, value in draws.items() if name in names},
            {rename.get(str(name), str(name)): np.asarray(value) for name, value in stats.items()},
        )

    return sample


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
