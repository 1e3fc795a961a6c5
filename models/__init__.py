"""The gallery: one declared annotator population a file."""

from bayespref.models.bradley_terry import bradley_terry
from bayespref.models.bradley_terry_position import bradley_terry_position
from bayespref.models.conditional_logit import conditional_logit
from bayespref.models.davidson import davidson
from bayespref.models.density_flow_2d import density_flow_2d
from bayespref.models.density_gp_1d import density_gp_1d
from bayespref.models.density_neural_1d import density_neural_1d
from bayespref.models.dpo_1d import dpo_1d
from bayespref.models.geometric_1d import geometric_1d
from bayespref.models.hurried_readers import hurried_readers
from bayespref.models.length_normalised_items import length_normalised_items
from bayespref.models.mixed_logit import mixed_logit
from bayespref.models.rationality_by_annotator import rationality_by_annotator
from bayespref.models.thurstone import thurstone
from bayespref.models.two_viewpoints_1d import two_viewpoints_1d

__all__ = [
    "bradley_terry",
    "bradley_terry_position",
    "conditional_logit",
    "davidson",
    "density_flow_2d",
    "density_gp_1d",
    "density_neural_1d",
    "dpo_1d",
    "geometric_1d",
    "hurried_readers",
    "length_normalised_items",
    "mixed_logit",
    "rationality_by_annotator",
    "thurstone",
    "two_viewpoints_1d",
]
