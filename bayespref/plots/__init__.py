"""One picture a function: (result, *, ax=None) -> matplotlib Axes."""

from bayespref.plots.agreement import agreement
from bayespref.plots.annotator_agreement import annotator_agreement
from bayespref.plots.annotator_map import annotator_map
from bayespref.plots.annotators import annotators
from bayespref.plots.calibration import calibration
from bayespref.plots.check import check, check_panels
from bayespref.plots.checks import checks
from bayespref.plots.classes import classes
from bayespref.plots.comparison import comparison
from bayespref.plots.coverage import coverage
from bayespref.plots.density import density
from bayespref.plots.forest import forest
from bayespref.plots.memberships import memberships
from bayespref.plots.pair_residuals import pair_residuals
from bayespref.plots.preferences import preferences
from bayespref.plots.sbc import sbc
from bayespref.plots.ties import ties
from bayespref.plots.win_matrix import win_matrix

__all__ = [
    "agreement",
    "annotator_agreement",
    "annotator_map",
    "annotators",
    "calibration",
    "check",
    "check_panels",
    "checks",
    "classes",
    "comparison",
    "coverage",
    "density",
    "forest",
    "memberships",
    "pair_residuals",
    "preferences",
    "sbc",
    "ties",
    "win_matrix",
]
