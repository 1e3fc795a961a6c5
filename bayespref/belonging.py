"""Who belongs to which class of annotators, according to a fit."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayespref.comparisons import refuse
from bayespref.inference.fit import check_same_model, data_of, latent_of
from bayespref.inference.program import Model
from bayespref.inference.relabel import AXIS, classes_of, log_memberships


def memberships(model: Model, fit: xr.DataTree) -> xr.DataArray:
    """Posterior probability of each class for every annotator: P(class | their answers, parameters).

    Args:
        model: the model that made the fit, with latent classes.
        fit: what an inference function returned.

    Returns:
        (chain, draw, annotator, class) probabilities; their mean over draws says who belongs where, how far
        from 0 or 1 how sure that is.

    Raises:
        ValueError: for another model than the fit's, or one without latent classes.

    Example:
        >>> memberships(latent_class_bradley_terry, fit).mean(("chain", "draw"))  # doctest: +SKIP
    """
    check_same_model(model, fit)
    comparisons = data_of(fit)
    if classes_of(model, comparisons)[0] == 0:
        raise refuse(
            "memberships are of a model with populations.latent_classes",
            f"{fit.attrs['model']!r}",
            remedy="Fit latent_class_bradley_terry, say.",
        )
    sizes = fit["latent"].sizes
    values = np.exp(np.asarray(log_memberships(model, comparisons, latent_of(fit))))
    values = values.reshape(sizes["chain"], sizes["draw"], *values.shape[1:])
    labels = None if comparisons.annotators is None else comparisons.annotators.labels
    coords = {} if labels is None else {"annotator": labels.astype(str)}
    return xr.DataArray(values, dims=("chain", "draw", "annotator", AXIS), coords=coords, name="membership")
