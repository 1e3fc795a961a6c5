"""What to try next: models of the gallery that let vary what fails."""

from __future__ import annotations

from collections.abc import Callable

from bayespref.checks.assumptions import OF_FEATURES, Spec, assumption

MORE = {"crowd_tastes": ("dimensions", 1), "latent_class_bradley_terry": ("classes", 2)}
MORE["latent_class_logit"] = MORE["latent_class_bradley_terry"]
"""Models of differing tastes -> the option that allows for more of them, and its default."""
TASTES = ("shared_tastes", "personal_tastes")


def cures_of(
    wrong: list[str], model: Spec, kind: str, allowed: Callable[[str, dict], bool]
) -> tuple[Spec, ...]:
    """Models that let what fails vary, the likeliest failure's first; the model itself with an option more.

    Args:
        wrong: checks that fail, the likeliest culprit first.
        model: the model that fails, with its options.
        kind: what annotators differ about: "items", "features" or "regions".
        allowed: whether a model of the gallery takes the data.

    Example:
        >>> cures_of(["shared_tastes"], ("crowd_tastes", {}), "items", lambda name, options: True)[0]
        ('crowd_tastes', {'dimensions': 2})
    """
    found: list[Spec] = []
    if any(name in TASTES for name in wrong) and model[0] in MORE:
        found.append(_more(model))
    for name in wrong:
        cures = assumption(name).cures
        if kind == "features":
            cures = sorted(cures, key=lambda cure: cure not in OF_FEATURES)
        for cure in cures:
            spec = _beyond(model, cure) if cure[0] == model[0] else cure
            if spec not in (*found, model) and allowed(*spec):
                found.append(spec)
    return tuple(found)


def _more(model: Spec) -> Spec:
    """The same with a class or a dimension more."""
    option, default = MORE[model[0]]
    return model[0], model[1] | {option: model[1].get(option, default) + 1}


def _beyond(model: Spec, cure: Spec) -> Spec:
    """The model itself, as it would cure: with more classes or dimensions, or the options of the cure."""
    return _more(model) if model[0] in MORE else (model[0], model[1] | cure[1])


def spelled(spec: Spec) -> str:
    """A model and its options, as in Python.

    Example:
        >>> spelled(("crowd_tastes", {"dimensions": 2}))
        'crowd_tastes(dimensions=2)'
    """
    name, options = spec
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})" if options else name
