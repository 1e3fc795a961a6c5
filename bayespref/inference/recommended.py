"""Which inference method suits a model."""

from __future__ import annotations

from collections.abc import Mapping

from bayespref.inference.program import Site


def recommended(sites: Mapping[str, Site]) -> tuple[str, str]:
    """The method that suits a model with these sites, and why, in words.

    Laplace is quick and nearly exact where annotators have no effects of their own; with them the joint mode
    says little, and where directions may turn there is no one mode.

    Example:
        >>> recommended({})
        ('laplace', 'no effects differ by annotator')
    """
    if any(site.latent and site.annotator_axis is not None for site in sites.values()):
        return "nuts", "annotators have effects of their own"
    if any(site.turns for site in sites.values()):
        return "nuts", "the model has directions that may turn"
    return "laplace", "no effects differ by annotator"
