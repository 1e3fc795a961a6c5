"""Simulation-based calibration of every gallery model, by the method recommended for it: one table.

python benchmarks/calibration_table.py                        # hours; writes benchmarks/calibration.md
python benchmarks/calibration_table.py --only davidson --simulations 100
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import bayespref as bp
from bayespref import models

RNG = np.random.default_rng(11)
ITEMS, PEOPLE, ANSWERS = 5, 6, 60
ALPHA = 0.01
"""Probability of a false alarm about any quantity of any model."""


def shown(k: int) -> np.ndarray:
    """(answers, k) items, different ones in each row."""
    return np.stack([RNG.permutation(ITEMS)[:k] for _ in range(ANSWERS)])


def pairs(**options) -> bp.Comparisons:
    """Pairs of named items, by annotators with a dozen answers each."""
    who = np.arange(ANSWERS) % PEOPLE
    return bp.Comparisons.from_arrays(
        options.pop("shown", shown(2)), items=ITEMS, annotator=who, merge=False, **options
    )


def with_features(k: int = 2, d: int = 2) -> bp.Comparisons:
    """The same, with features of what was shown."""
    features = RNG.normal(size=(ANSWERS, k, d))
    names = tuple("abcdefgh"[:d])
    return pairs(shown=shown(k), shown_columns={"features": features}, feature_names=names)


def with_columns() -> bp.Comparisons:
    """The same, with a column of the annotators."""
    people = bp.Annotators({"age": jnp.asarray(RNG.normal(size=PEOPLE))}, PEOPLE)
    return pairs(annotators=people)


def points(d: int = 1) -> bp.Comparisons:
    """Pairs of points, with what some models want to know of them."""
    at = RNG.uniform(-3, 3, size=(ANSWERS, 2, d))
    data = bp.Comparisons.from_points(at[..., 0] if d == 1 else at, merge=False)
    near = -0.5 * np.asarray(data.items.features)[:, 0] ** 2 / 4
    return data.with_item_columns({"log_reference": near}) if d == 1 else data


def with_lengths() -> bp.Comparisons:
    """Pairs of named items with lengths."""
    return pairs().with_item_columns({"length": np.array([5.0, 10, 20, 25, 40])})


LINE = {"low": -3.0, "high": 3.0}
BASIS = LINE | {"basis": 24}
by_laplace = {"method": "laplace", "simulations": 100}
TABLE = {
    "bradley_terry": (pairs, {}, {}),
    "bradley_terry_position": (pairs, {}, {}),
    "davidson": (pairs, {}, {}),
    "rao_kupper": (pairs, {}, {}),
    "both_bad": (pairs, {}, {}),
    "thurstone": (pairs, {}, {}),
    "graded": (pairs, {"levels": 5}, {}),
    "plackett_luce": (lambda: pairs(shown=shown(4)), {}, {}),
    "conditional_logit": (functools.partial(with_features, 3), {}, {}),
    "bradley_terry_covariates": (with_features, {}, {}),
    "rationality_by_annotator": (pairs, {}, {}),
    "hurried_readers": (pairs, {}, {}),
    "careless_crowd": (pairs, {}, {}),
    "crowd_bt": (pairs, {}, {}),
    "mixed_logit": (with_features, {}, {}),
    "latent_class_bradley_terry": (pairs, {}, {}),
    "latent_class_logit": (with_features, {}, {}),
    "crowd_tastes": (pairs, {}, {}),
    "intransitive": (pairs, {}, {}),
    "judges_with_covariates": (with_columns, {}, {}),
    "bayesian_reward": (functools.partial(with_features, 2, 8), {}, {}),
    "length_normalised_items": (with_lengths, {}, {}),
    "density_gp_1d": (points, BASIS, by_laplace),
    "dpo_1d": (points, BASIS, by_laplace),
    "geometric_1d": (points, BASIS, by_laplace),
    "two_viewpoints_1d": (points, BASIS, {}),
    "density_neural_1d": (points, LINE | {"width": 4}, {}),
    "density_flow_2d": (functools.partial(points, 2), {"layers": 2, "knots": 4, "width": 4}, {}),
}
"""Model -> design, options of the model, options of `sbc`; nuts unless said otherwise."""


def main() -> None:
    """Calibrate every model asked for; print a line each, and write the table where all were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--simulations", type=int)
    parser.add_argument("--draws", type=int, default=99)
    arguments = parser.parse_args()
    assert set(TABLE) == set(models.__all__)
    names = arguments.only or list(TABLE)
    rows = []
    for name in names:
        design, options, settings = TABLE[name]
        model = functools.partial(getattr(models, name), **options) if options else getattr(models, name)
        settings = {"simulations": 200, "method": "nuts"} | settings
        if arguments.simulations:
            settings["simulations"] = arguments.simulations
        start = time.perf_counter()
        key = jax.random.key(list(TABLE).index(name))
        result = bp.sbc(key, model, design(), draws=arguments.draws, progress=False, **settings)
        worst = result["p_value"].values.argmin()
        rows.append((name, result, str(result["quantity"].values[worst]), time.perf_counter() - start))
        print(
            f"{name}: {settings['method']}, {settings['simulations']} simulations, "
            f"{result.sizes['quantity']} quantities, smallest p {float(result['p_value'].min()):.4f} "
            f"({rows[-1][2]}), {rows[-1][3]:.0f} s",
            flush=True,
        )
    tests = sum(result.sizes["quantity"] for _, result, _, _ in rows)
    print(f"{tests} quantities in all; calibrated where every p is at least {ALPHA / tests:.2g}")
    if not arguments.only:
        Path(__file__).with_name("calibration.md").write_text(table(rows, tests))


def table(rows, tests: int) -> str:
    """The table as Markdown."""
    lines = [
        "# Calibration of the gallery",
        "",
        "Simulation-based calibration (`bp.sbc`): parameters from the prior, answers from them, a fit, the",
        f"rank of the truth. {ITEMS} items, {ANSWERS} answers, {PEOPLE} annotators where they count; options",
        "of a model in brackets. p: of uniform ranks, smallest over quantities; calibrated where it is at",
        f"least {ALPHA} / {tests} (family-wise over the table).",
        "Made by `python benchmarks/calibration_table.py`.",
        "",
        "| model | method | simulations | quantities | smallest p | of | calibrated |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result, worst, _ in rows:
        options = ", ".join(f"{key}={value}" for key, value in TABLE[name][1].items())
        p = float(result["p_value"].min())
        lines.append(
            f"| {name}{f' ({options})' if options else ''} | {result.attrs['method']} | "
            f"{result.attrs['simulations']} | {result.sizes['quantity']} | {p:.4f} | {worst} | "
            f"{'yes' if p >= ALPHA / tests else 'NO'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
