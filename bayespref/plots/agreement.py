"""How far a posterior density is from a reference, over draws."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from bayespref.plots._canvas import BLUE, GREY, canvas

TITLES = {
    "kl_from_reference": "KL(reference || p), nats",
    "kl_to_reference": "KL(p || reference), nats",
    "total_variation": "total variation",
    "hellinger": "Hellinger distance",
    "wasserstein": "Wasserstein-1, units of x",
}


def agreement(result: xr.Dataset) -> np.ndarray:
    """Draw each distance's distribution over posterior draws, with its interval and that of the mean density.

    Args:
        result: what `diagnostics.density_agreement` returned for one density on a line or a plane.

    Returns:
        (panels,) Axes, one for each distance: their scales differ.

    Example:
        >>> agreement(diagnostics.density_agreement(fit, truth))  # doctest: +SKIP
    """
    shown = [name for name in TITLES if name in result]
    _, axes = plt.subplots(len(shown), 1, figsize=(6.0, 1.1 * len(shown) + 0.3), layout="constrained")
    axes = np.atleast_1d(axes)
    for ax, name in zip(axes, shown, strict=True):
        canvas(ax, width=0, height=0)
        values = result[name].values.reshape(-1)
        ax.hist(values[np.isfinite(values)], bins=40, color=BLUE, alpha=0.35, linewidth=0)
        for key, style in (("lower", ":"), ("mean", "-"), ("upper", ":")):
            for place in np.atleast_1d(result[f"{name}_{key}"].values).reshape(-1):
                ax.axvline(place, color=BLUE, linestyle=style, linewidth=1.2)
        for place in np.atleast_1d(result[f"{name}_of_mean"].values).reshape(-1):
            ax.axvline(place, color="black", linewidth=1.5)
        ax.spines["left"].set_visible(False)
        ax.set_yticks([])
        ax.set_xlim(0, None)
        ax.set_title(TITLES[name], fontsize="medium", loc="left")
    kind = result.attrs.get("interval", "")
    axes[-1].set_xlabel(
        f"over draws (blue; dotted: {kind} interval),\nblack: of the posterior mean density",
        color=GREY if not kind else "black",
    )
    return axes
