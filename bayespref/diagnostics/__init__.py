"""Diagnostics: what the data and a fit can and cannot say; they compute and never draw."""

from bayespref.diagnostics.agreement import density_agreement, distances, exponent, mean_density
from bayespref.diagnostics.contraction import contraction
from bayespref.diagnostics.fisher import local_identifiability
from bayespref.diagnostics.identifiable import identifiability
from bayespref.diagnostics.residuals import annotator_agreement, pair_residuals
from bayespref.diagnostics.tie_rate import ties

__all__ = [
    "annotator_agreement",
    "contraction",
    "density_agreement",
    "distances",
    "exponent",
    "identifiability",
    "local_identifiability",
    "mean_density",
    "pair_residuals",
    "ties",
]
