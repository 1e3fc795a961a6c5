"""Comparisons as an `xarray.DataTree`, the form in which a fit carries its data, and back."""

from __future__ import annotations

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayespref.comparisons import Annotators, Comparisons, Design, Items, refuse

FORMAT = 1
"""Version of the layout below; a reader refuses another."""
KINDS = {"item": ("item",), "annotator": ("annotator",), "row": ("comparison",)}
"""Leading axes of the columns that users name. Their variables are `item_...`, `annotator_...`, `row_...`."""
DESIGN = {
    "item_answers": ("item",),
    "annotator_answers": ("annotator",),
    "feature_mean": ("feature",),
    "feature_scale": ("feature",),
}
COLUMN_DESIGN = ("column_mean", "column_scale")
"""Numbers by name of the annotators' one-number columns, stored in alphabetical order."""
AXES = KINDS | {"shown": ("comparison", "position")}


def to_datatree(comparisons: Comparisons) -> xr.DataTree:
    """Write comparisons as groups `observed_data` and `constant_data`.

    `observed_data` holds `outcome` (comparison[, position]), and is left out where there are no outcomes.
    `constant_data` holds `shown` (comparison, position), `count`, `weight`, `answered_by` (comparison), the
    annotator's index; `item_<name>`, `annotator_<name>`, `row_<name>` and `shown_<name>` for columns, with
    `item_features` (item, feature) or `shown_features` (comparison, position, feature); and
    `design_<name>`. Labels are the coordinates `item`, `annotator` and `feature`. Source rows are not kept.

    Args:
        comparisons: comparisons with their full item table.

    Returns:
        A tree that `from_datatree` reads back, also from a netCDF file.

    Raises:
        ValueError: for a minibatch, which holds a part of its items.

    Example:
        >>> answers = Comparisons.from_arrays([[0, 1]], [0], items=["a", "b"])
        >>> to_datatree(answers)["constant_data"]["item"].values.tolist()
        ['a', 'b']
    """
    if comparisons.items.index is not None:
        raise refuse("data are kept with their full item table", "a minibatch")
    constant = xr.Dataset(_variables(comparisons), _coordinates(comparisons), _attributes(comparisons))
    groups = {"constant_data": constant}
    if comparisons.outcome is not None:
        outcome = np.asarray(comparisons.outcome)
        groups["observed_data"] = xr.Dataset(
            {"outcome": (("comparison", "position")[: outcome.ndim], outcome)}
        )
    return xr.DataTree.from_dict(groups)


def _columns(comparisons: Comparisons) -> dict[str, dict]:
    annotators = comparisons.annotators
    return {
        "item": comparisons.items.columns,
        "annotator": {} if annotators is None else annotators.columns,
        "row": comparisons.row_columns,
        "shown": comparisons.shown_columns,
    }


def _variables(comparisons: Comparisons) -> dict:
    variables = {
        "shown": (("comparison", "position"), np.asarray(comparisons.shown)),
        "count": (("comparison",), np.asarray(comparisons.count)),
        "weight": (("comparison",), np.asarray(comparisons.weight)),
    }
    if comparisons.annotator is not None:
        variables["answered_by"] = (("comparison",), np.asarray(comparisons.annotator))
    for kind, columns in _columns(comparisons).items():
        for name, value in columns.items():
            variables[f"{kind}_{name}"] = _variable(kind, name, np.asarray(value))
    for name, axes in DESIGN.items():
        value = getattr(comparisons.design, name)
        if value is not None:
            variables[f"design_{name}"] = (axes, np.asarray(value))
    for name in COLUMN_DESIGN:
        if (value := getattr(comparisons.design, name)) is not None:
            variables[f"design_{name}"] = (("covariate",), np.array([value[key] for key in sorted(value)]))
    return variables


def _variable(kind: str, name: str, value: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    lead = AXES[kind]
    if name == "features":
        return (*lead, "feature"), value
    return (*lead, *(f"{kind}_{name}_axis_{axis}" for axis in range(len(lead), value.ndim))), value


def _coordinates(comparisons: Comparisons) -> dict:
    tables = {"item": comparisons.items, "annotator": comparisons.annotators}
    labels = {name: None if table is None else table.labels for name, table in tables.items()}
    if comparisons.feature_names:
        labels["feature"] = comparisons.feature_names
    return {
        name: ((name,), np.array([str(label) for label in values], dtype=object))
        for name, values in labels.items()
        if values is not None
    }


def _attributes(comparisons: Comparisons) -> dict:
    named = {kind: list(columns) for kind, columns in _columns(comparisons).items()}
    return {
        "comparisons_format": FORMAT,
        "response": comparisons.response,
        "levels": comparisons.levels,
        "presentation": comparisons.presentation,
        "has_ties": int(comparisons.has_ties),
        "has_none": int(comparisons.has_none),
        "ragged": int(comparisons.ragged),
        "columns": json.dumps(named, ensure_ascii=False),
    }


def from_datatree(tree: xr.DataTree) -> Comparisons:
    """Read back the comparisons that `to_datatree` wrote; other groups of a fit are left alone.

    Args:
        tree: a tree with group `constant_data`, and `observed_data` unless there are no outcomes.

    Returns:
        The comparisons, without source rows.

    Raises:
        ValueError: when a group, variable or attribute is missing, or was written in another format.

    Example:
        >>> answers = Comparisons.from_arrays([[0, 1]], [1], items=["a", "b"])
        >>> from_datatree(to_datatree(answers)).outcome
        Array([1], dtype=int32)
    """
    constant = _constant(tree)
    columns = {
        kind: {name: jnp.asarray(_values(constant, f"{kind}_{name}")) for name in names}
        for kind, names in json.loads(constant.attrs["columns"]).items()
    }
    names = tuple(str(name) for name in constant["feature"].values) if "feature" in constant.coords else ()
    design: dict[str, Any] = {
        name: jnp.asarray(constant[f"design_{name}"].values)
        for name in DESIGN
        if f"design_{name}" in constant
    }
    covariates = sorted(name for name, value in columns["annotator"].items() if value.ndim == 1)
    for name in COLUMN_DESIGN:
        if f"design_{name}" in constant:
            values = jnp.asarray(constant[f"design_{name}"].values)
            design[name] = dict(zip(covariates, values, strict=True))
    on_items = "features" in columns["item"]
    annotators = None
    if "annotator" in constant.sizes:
        annotators = Annotators(
            columns["annotator"], constant.sizes["annotator"], _labels(constant, "annotator")
        )
    return Comparisons(
        shown=jnp.asarray(_values(constant, "shown")),
        outcome=_outcome(tree),
        count=jnp.asarray(_values(constant, "count")),
        weight=jnp.asarray(_values(constant, "weight")),
        annotator=None if annotators is None else jnp.asarray(_values(constant, "answered_by")),
        items=Items(
            columns["item"],
            constant.sizes["item"],
            feature_names=names if on_items else (),
            labels=_labels(constant, "item"),
        ),
        annotators=annotators,
        row_columns=columns["row"],
        shown_columns=columns["shown"],
        design=Design(**design),
        response=str(constant.attrs["response"]),
        levels=int(constant.attrs.get("levels", 0)),
        presentation=str(constant.attrs["presentation"]),
        has_ties=bool(constant.attrs["has_ties"]),
        has_none=bool(constant.attrs["has_none"]),
        ragged=bool(constant.attrs["ragged"]),
        feature_names=names,
    )


def _constant(tree: xr.DataTree) -> xr.Dataset:
    if "constant_data" not in tree.children:
        raise refuse(
            "a stored data set or fit has a group constant_data",
            f"groups {sorted(tree.children)}",
            remedy="Store it with comparisons.to_datatree(), or keep the whole fit.",
        )
    constant = tree["constant_data"].to_dataset()
    if constant.attrs.get("comparisons_format") != FORMAT:
        got = constant.attrs.get("comparisons_format", "none")
        raise refuse(f"constant_data was written by to_datatree, format {FORMAT}", f"format {got}")
    return constant


def _values(constant: xr.Dataset, name: str) -> np.ndarray:
    if name not in constant:
        raise refuse(
            f"group constant_data holds {name!r}", f"variables {sorted(map(str, constant.data_vars))}"
        )
    return constant[name].values


def _outcome(tree: xr.DataTree):
    if "observed_data" not in tree.children:
        return None
    observed = tree["observed_data"].to_dataset()
    if "outcome" not in observed:
        raise refuse(
            "group observed_data holds 'outcome'", f"variables {sorted(map(str, observed.data_vars))}"
        )
    return jnp.asarray(observed["outcome"].values)


def _labels(constant: xr.Dataset, name: str) -> np.ndarray | None:
    if name not in constant.coords:
        return None
    return np.array([str(label) for label in constant[name].values], dtype=object)
