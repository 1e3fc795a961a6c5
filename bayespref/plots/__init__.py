"""One picture a function: (result, *, ax=None) -> matplotlib Axes."""

from bayespref.plots.agreement import agreement
from bayespref.plots.annotator_map import annotator_map
from bayespref.plots.annotators import annotators
from bayespref.plots.calibration import calibration
from bayespref.plots.classes import classes
from bayespref.plots.comparison import comparison
from bayespref.plots.coverage import coverage
from bayespref.plots.density import density
from bayespref.plots.forest import forest
from bayespref.plots.memberships import memberships
from bayespref.plots.preferences import preferences
from bayespref.plots.sbc import sbc
from bayespref.plots.ties import ties
from bayespref.plots.win_matrix import win_matrix

__all__ = [
    "agreement",
    "annotator_map",
    "annotators",
    "calibration",
    "classes",
    "comparison",
    "coverage",
    "density",
    "forest",
    "memberships",
    "preferences",
    "sbc",
    "ties",
    "win_matrix",
]
