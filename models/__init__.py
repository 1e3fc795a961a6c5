"""The gallery: one declared annotator population a file."""

from bayespref.models.bayesian_reward import bayesian_reward
from bayespref.models.both_bad import both_bad
from bayespref.models.bradley_terry import bradley_terry
from bayespref.models.bradley_terry_covariates import bradley_terry_covariates
from bayespref.models.bradley_terry_position import bradley_terry_position
from bayespref.models.careless_crowd import careless_crowd
from bayespref.models.conditional_logit import conditional_logit
from bayespref.models.crowd_bt import crowd_bt
from bayespref.models.crowd_tastes import crowd_tastes
from bayespref.models.davidson import davidson
from bayespref.models.density_flow_2d import density_flow_2d
from bayespref.models.density_gp_1d import density_gp_1d
from bayespref.models.density_neural_1d import density_neural_1d
from bayespref.models.dpo_1d import dpo_1d
from bayespref.models.geometric_1d import geometric_1d
from bayespref.models.graded import graded
from bayespref.models.hurried_readers import hurried_readers
from bayespref.models.intransitive import intransitive
from bayespref.models.judges_with_covariates import judges_with_covariates
from bayespref.models.latent_class_bradley_terry import latent_class_bradley_terry
from bayespref.models.latent_class_logit import latent_class_logit
from bayespref.models.length_normalised_items import length_normalised_items
from bayespref.models.mixed_logit import mixed_logit
from bayespref.models.plackett_luce import plackett_luce
from bayespref.models.rao_kupper import rao_kupper
from bayespref.models.rationality_by_annotator import rationality_by_annotator
from bayespref.models.thurstone import thurstone
from bayespref.models.two_viewpoints_1d import two_viewpoints_1d

__all__ = [
    "bayesian_reward",
    "both_bad",
    "bradley_terry",
    "bradley_terry_covariates",
    "bradley_terry_position",
    "careless_crowd",
    "conditional_logit",
    "crowd_bt",
    "crowd_tastes",
    "davidson",
    "density_flow_2d",
    "density_gp_1d",
    "density_neural_1d",
    "dpo_1d",
    "geometric_1d",
    "graded",
    "hurried_readers",
    "intransitive",
    "judges_with_covariates",
    "latent_class_bradley_terry",
    "latent_class_logit",
    "length_normalised_items",
    "mixed_logit",
    "plackett_luce",
    "rao_kupper",
    "rationality_by_annotator",
    "thurstone",
    "two_viewpoints_1d",
]
