"""One picture a function: (result, *, ax=None) -> matplotlib Axes."""

from bayespref.plots.agreement import agreement
from bayespref.plots.annotators import annotators
from bayespref.plots.calibration import calibration
from bayespref.plots.comparison import comparison
from bayespref.plots.coverage import coverage
from bayespref.plots.density import density
from bayespref.plots.forest import forest
from bayespref.plots.preferences import preferences
from bayespref.plots.win_matrix import win_matrix

__all__ = [
    "agreement",
    "annotators",
    "calibration",
    "comparison",
    "coverage",
    "density",
    "forest",
    "preferences",
    "win_matrix",
]
