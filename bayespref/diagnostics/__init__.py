"""Diagnostics: what the data and a fit can and cannot say; they compute and never draw."""

from bayespref.diagnostics.agreement import density_agreement, distances, exponent, mean_density
from bayespref.diagnostics.contraction import contraction
from bayespref.diagnostics.information import informed
from bayespref.diagnostics.tie_rate import ties

__all__ = [
    "contraction",
    "density_agreement",
    "distances",
    "exponent",
    "informed",
    "mean_density",
    "ties",
]
