"""What several test files use: members of the families, data sets, prior draws, fits made by hand."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer.util import log_density

import bayespref as bp
from bayespref import choices, populations
from bayespref.comparisons import Comparisons
from bayespref.inference.fit import build
from bayespref.inference.program import run, sites_of

ROOT = Path(__file__).parent.parent
EPS = float(np.finfo(np.float32).eps)
ITEMS, ANNOTATORS, FEATURES, NAMES = 5, 4, 2, ("size", "price")
"""Sizes that differ from each other, so that the size of a site's axis says what runs along it."""

HALVES = jnp.log(jnp.array([0.3, 0.7]))

CHOICES = {
    "logit of 2": (2, choices.logit),
    "logit of 4": (4, choices.logit),
    "probit": (2, choices.probit),
    "laplace_noise": (2, choices.laplace_noise),
    "davidson of 2": (2, lambda score: choices.davidson(score, jnp.log(0.9))),
    "davidson of 3": (3, lambda score: choices.davidson(score, jnp.log(0.9))),
    "rao_kupper": (2, lambda score: choices.rao_kupper(score, jnp.log(1.8))),
    "graded with a middle": (2, lambda score: choices.graded(score, jnp.array([0.4, 1.1]))),
    "graded without": (2, lambda score: choices.graded(score, jnp.array([0.4]), middle=False)),
    "or_none of logit": (3, lambda score: choices.or_none(choices.logit(score), score, 0.3)),
    "or_none of davidson": (2, lambda score: choices.or_none(choices.davidson(score, 0.2), score, -0.4)),
    "plackett_luce of 2": (2, choices.plackett_luce),
    "plackett_luce of 4": (4, choices.plackett_luce),
    "lapse of logit": (4, lambda score: choices.lapse(choices.logit(score), 0.1)),
    "lapse of davidson": (2, lambda score: choices.lapse(choices.davidson(score, -0.5), 0.2)),
    "lapse of graded": (2, lambda score: choices.lapse(choices.graded(score, jnp.array([0.8])), 0.1)),
    "lapse of plackett_luce": (3, lambda score: choices.lapse(choices.plackett_luce(score), 0.1)),
    "mixture of logits": (
        2,
        lambda score: populations.mixture([choices.logit(score), choices.logit(2 * score)], HALVES),
    ),
    "mixture of rankings": (
        3,
        lambda score: populations.mixture(
            [choices.plackett_luce(score), choices.plackett_luce(-score)], HALVES
        ),
    ),
}
"""Every member of `choices`: name -> (how many are shown, scores -> distribution)."""


def answers(
    *, features=None, annotators=True, ties=False, rows=60, k=2, seed=0, outcomes=None, **options
) -> Comparisons:
    """Random answers about 5 items by 4 annotators; 2 features of the "items", or of what was "shown"."""
    rng = np.random.default_rng(seed)
    shown = np.stack([rng.permutation(ITEMS)[:k] for _ in range(rows)])
    labels = [f"item-{'EBADC'[index]}" for index in range(ITEMS)]
    table, columns = labels, {}
    if features == "items":
        values = rng.normal(size=(ITEMS, FEATURES)) * [1, 10] + [0, 3]
        table = bp.Items(
            {"features": values}, ITEMS, ("size", "price"), labels=np.array(labels, dtype=object)
        )
    elif features == "shown":
        columns = {"features": rng.normal(size=(rows, k, FEATURES)) * [1, 10] + [0, 3]}
    people = list("wzyx") if annotators is True else annotators
    keywords = {"annotator": rng.integers(ANNOTATORS, size=rows), "annotators": people} if annotators else {}
    return Comparisons.from_arrays(
        shown,
        rng.integers(k + ties, size=rows) if outcomes is None else outcomes,
        items=table,
        shown_columns=columns,
        feature_names=NAMES if features == "shown" else (),
        **(keywords | options),
    )


def without_outcomes(data: Comparisons) -> Comparisons:
    """The same comparisons, to simulate."""
    return data.replace(outcome=None, has_ties=False, has_none=False)


@functools.cache
def compiled(model):
    """Functions of a model, compiled once for all data of one shape: prior draw, log joint, outcomes."""

    def draw(key, data):
        trace = handlers.trace(handlers.seed(model, key)).get_trace(data)
        kinds = ("sample", "deterministic")
        return {name: site["value"] for name, site in trace.items() if site["type"] in kinds}

    def draws(keys, data):
        return jax.vmap(lambda key: draw(key, data))(keys)

    def joint(values, data):
        return log_density(model, (data,), {}, values)[0]

    def outcomes(values, data):
        return run(model, data, values)["outcome"]["fn"].outcome_log_probs()

    return jax.jit(draws), jax.jit(jax.value_and_grad(joint)), jax.jit(outcomes)


def prior(model, data: Comparisons, draws: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """(draws, ...) prior draws of every site of a model, answers included where there are none."""
    drawn = compiled(model)[0](jax.random.split(jax.random.key(seed), draws), data)
    return {name: np.asarray(value, np.float64) for name, value in drawn.items()}


def one_draw(model, data: Comparisons, *, seed: int = 0) -> dict[str, jax.Array]:
    """One prior draw of every latent site."""
    drawn = compiled(model)[0](jax.random.key(seed)[None], data)
    latent = [name for name, site in sites_of(model, data).items() if site.latent]
    return {name: drawn[name][0] for name in latent}


def log_joint(model, data: Comparisons, values) -> tuple[float, dict]:
    """log p(values) + log p(answers | values), and its gradient."""
    value, slope = compiled(model)[1](values, data)
    return float(value), slope


def outcome_log_probs(model, data: Comparisons, values=None) -> np.ndarray:
    """(n, outcomes) log-probability of every outcome of every row."""
    return np.asarray(compiled(model)[2](values or {}, data))


def fit_by_hand(model, data: Comparisons, **latent):
    """A fit of one chain with given draws (draw, ...) of every latent site."""
    values = {name: jnp.asarray(value, jnp.float32)[None] for name, value in latent.items()}
    settings = {"draws": len(next(iter(latent.values())))}
    return build(model, data, values, key=jax.random.key(0), method="nuts", settings=settings)


def fit_from_worths(model, data: Comparisons, worths, **latent):
    """A fit by hand of a model over `item_table(scale=1)`, from (draw, item) worths."""
    worths = np.asarray(worths, np.float64)
    return fit_by_hand(model, data, _log_density=worths - worths.mean(1, keepdims=True), **latent)
