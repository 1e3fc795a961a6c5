"""How annotators differ: effects by annotator, classes of annotators, tastes; or a mixture without ids."""

from bayespref.populations.effects import by_annotator, covariates
from bayespref.populations.latent_classes import LatentClasses, latent_classes
from bayespref.populations.mixtures import mixture
from bayespref.populations.tastes import tastes

__all__ = ["LatentClasses", "by_annotator", "covariates", "latent_classes", "mixture", "tastes"]
