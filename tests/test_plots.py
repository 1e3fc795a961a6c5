"""Pictures draw the numbers they were given, where they were told to."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection, PathCollection, PolyCollection

import bayespref as bp
from bayespref import diagnostics, plots, supports
from bayespref.checks.battery import Battery
from bayespref.checks.design import Plan
from bayespref.checks.verdict import conclude
from bayespref.plots._canvas import BLUE, VERMILION

TASTES = ["price", "time"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make_fit(items=5, people=12, *, long=False, only=None):
    rng = np.random.default_rng(0)
    reward = rng.normal(size=items) + rng.normal(size=(2, 50, items)) * 0.4
    log_density = reward - np.log(np.exp(reward).sum(-1, keepdims=True))
    suffix = " of a rather long name that goes on, number {}" if long else " {}"
    draw = ("chain", "draw")
    variables = {
        "log_density": ((*draw, "item"), log_density),
        "coefficient": ((*draw, "feature"), rng.normal(size=(2, 50, 2))),
        "lapse": (draw, rng.beta(1, 9, size=(2, 50))),
        "log_rationality": (
            (*draw, "annotator"),
            rng.normal(size=people) + 0.2 * rng.normal(size=(2, 50, people)),
        ),
        "log_rationality_sd": (draw, 0.5 + 0.1 * rng.random((2, 50))),
        "taste": ((*draw, "annotator", "taste_feature"), rng.normal(size=(2, 50, people, 2))),
        "taste_sd": ((*draw, "taste_feature"), 0.5 + rng.random((2, 50, 2))),
        "taste_correlation": (
            (*draw, "taste_feature", "taste_feature_other"),
            np.broadcast_to([[1, 0.3], [0.3, 1]], (2, 50, 2, 2)),
        ),
        "cube": ((*draw, "x", "y", "z"), np.zeros((2, 50, 1, 1, 1))),
    }
    coords = {
        "item": [("item" + suffix).format(i) for i in range(items)],
        "annotator": [("reader" + suffix).format(i) for i in range(people)],
        "feature": TASTES,
        "taste_feature": TASTES,
        "taste_feature_other": TASTES,
    }
    posterior = xr.Dataset(variables, coords=coords)
    return xr.DataTree.from_dict({"posterior": posterior if only is None else posterior[list(only)]})


def make_replicated(probability, *, draws=100, seed=0, observed_probability=None):
    """Answers of a model that is right, unless what is observed has other probabilities."""
    rng = np.random.default_rng(seed)
    probability = np.asarray(probability)
    truth = probability if observed_probability is None else np.asarray(observed_probability)

    def answers(p, size):
        uniform = rng.random((size, len(p), 1))
        return (uniform > p.cumsum(1)).sum(-1).clip(0, p.shape[1] - 1)

    return xr.DataTree.from_dict(
        {
            "posterior_predictive": xr.Dataset(
                {"outcome": (("chain", "draw", "answer"), answers(probability, draws)[None])}
            ),
            "observed_data": xr.Dataset({"outcome": ("answer", answers(truth, 1)[0])}),
        }
    )


def pairs(share):
    return np.stack([1 - share, share], 1)


def make_table(models=3):
    return pd.DataFrame(
        {
            "elpd_diff": -5.0 * np.arange(models),
            "dse": 1.0 + np.arange(models),
            "unit": "annotator",
        },
        index=[f"model {i}" for i in range(models)],
    )


def make_density(*, viewpoints=0, plane=False):
    rng = np.random.default_rng(0)
    support = supports.box([-3, -3], [3, 3], points=15) if plane else supports.interval(-3, 3, points=61)
    lead = (2, 50, viewpoints) if viewpoints else (2, 50)
    score = -0.5 * (support.points**2).sum(1) * (1 + 0.1 * rng.normal(size=(*lead, 1)))
    log_density = np.asarray(support.normalise(score)).reshape(*lead, *support.shape)
    dims = ("chain", "draw", *(("viewpoint",) if viewpoints else ()), *support.dims)
    posterior = xr.Dataset({"log_density": (dims, log_density)}, coords=support.coords())
    return xr.DataTree.from_dict({"posterior": posterior})


def make_contraction():
    x = np.linspace(-3, 3, 61)
    values = np.exp(-0.1 * x**2)
    region = np.where(values < 0.5, "prior", "data")
    variables = {"contraction": ("x", values), "region": ("x", region), "shown": ("x", 10 * values)}
    return xr.Dataset(variables, coords={"x": x})


def make_classes(items=5, people=12):
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(2, items)) + rng.normal(size=(2, 50, 2, items)) * 0.4
    log_density = reward - np.log(np.exp(reward).sum(-1, keepdims=True))
    variables = {
        "log_density": (("chain", "draw", "class", "item"), log_density),
        "weight": (("chain", "draw", "class"), rng.dirichlet([6, 4], size=(2, 50))),
    }
    coords = {"item": [f"item {index}" for index in range(items)]}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables, coords=coords)})


def make_memberships(people=12):
    rng = np.random.default_rng(1)
    values = rng.dirichlet([0.3, 0.3, 0.3], size=(2, 10, people))
    coords = {"annotator": [f"reader {index}" for index in range(people)]}
    return xr.DataArray(values, dims=("chain", "draw", "annotator", "class"), coords=coords)


def make_tastes(people=30, items=6, dimensions=2):
    """Draws whose axes are turned each time, as a sampler may turn them."""
    rng = np.random.default_rng(2)
    u, v = rng.normal(size=(people, dimensions)), rng.normal(size=(dimensions, items))
    turns = [np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0] for _ in range(20)]
    latent = {
        "_taste": (("chain", "draw", "annotator", "c"), np.stack([u @ turn for turn in turns])[None]),
        "_taste_items": (("chain", "draw", "c", "item"), np.stack([turn.T @ v for turn in turns])[None]),
        "_taste_strength": (("chain", "draw", "c"), np.ones((1, 20, dimensions))),
    }
    constant = xr.Dataset(coords={"item": [f"item {index}" for index in range(items)]})
    return xr.DataTree.from_dict({"latent": xr.Dataset(latent), "constant_data": constant})


def make_ranks(quantities=8):
    rng = np.random.default_rng(3)
    ranks = rng.integers(0, 100, size=(200, quantities))
    ranks[:, 0] = 30 + ranks[:, 0] * 4 // 10
    names = [f"quantity {index}" for index in range(quantities)]
    p = np.linspace(0.001, 0.9, quantities)
    variables = {"rank": (("simulation", "quantity"), ranks), "p_value": ("quantity", p)}
    return xr.Dataset(variables, {"quantity": names}, {"draws": 99, "simulations": 200})


UNIFORM = np.linspace(0.02, 0.98, 300)


def make_ties():
    values = {
        "difference": [0.2, 1.0, 3.0],
        "answers": [50, 40, 60],
        "observed": [0.4, 0.2, 0.1],
        "predicted": [0.35, 0.22, 0.05],
        "lower": [0.3, 0.15, 0.02],
        "upper": [0.45, 0.3, 0.08],
    }
    data = {name: ("bin", value) for name, value in values.items()}
    return xr.Dataset(data, attrs={"model": "davidson", "prob": 0.89})


CHECKED = ("position", "lapse", "design", "rationality", "shared_tastes", "drift")
OBSERVED = np.array([-0.5, 0.2, 5.0, 6.0, 1.0, 0.3])


def make_check(*, observed=OBSERVED):
    """What a battery says in whose model annotators' reliability is wrong; drift stands out of order."""
    replicated = np.random.default_rng(4).normal(size=(199, len(CHECKED)))
    found = Battery(
        names=CHECKED,
        observed=observed,
        effect=np.full(len(CHECKED), 0.1),
        replicated=replicated,
        missing={"ties": "ties", "self_consistency": "annotators who saw a pair twice, or a pair like it"},
        held=("link",),
        plan=Plan(CHECKED, (), (), (), (), 0, 0, 0, 0, "items"),
        moves={},
        against=np.zeros(0),
    )
    return conclude(found, ("bradley_terry", {}), 0.05, lambda *_: True)


def make_pair_residuals(items=5, *, unknown=False):
    values = np.random.default_rng(5).normal(size=(items, items))
    values = values - values.T
    np.fill_diagonal(values, np.nan)
    if unknown:
        values[0, 2] = values[2, 0] = np.nan
    labels = [f"item {index}" for index in range(items)]
    return xr.Dataset({"residual": (("item", "item_other"), values)}, {"item": labels, "item_other": labels})


def make_agreement(people=12, *, of=None):
    camp = np.where(np.arange(people) < people // 3, 1.0, -1.0)
    values = 5 * np.outer(camp, camp)
    np.fill_diagonal(values, np.nan)
    labels = [f"reader {index}" for index in range(people)]
    coords = {"annotator": labels, "annotator_other": labels}
    attrs = {"annotators": of or people}
    return xr.DataArray(values, dims=("annotator", "annotator_other"), coords=coords, attrs=attrs)


PICTURES = {
    "forest": lambda **at: plots.forest(make_fit(), **at),
    "forest of a matrix": lambda **at: plots.forest(make_fit(), name="taste_correlation", **at),
    "forest of 200": lambda **at: plots.forest(make_fit(items=200, long=True), **at),
    "superiority": lambda **at: plots.win_matrix(bp.superiority(make_fit(long=True)), **at),
    "superiority of 60": lambda **at: plots.win_matrix(bp.superiority(make_fit(items=60)), **at),
    "win probability of 2": lambda **at: plots.win_matrix(
        bp.superiority(make_fit(items=2)).rename("win"), **at
    ),
    "calibration of two": lambda **at: plots.calibration(make_replicated(pairs(UNIFORM)), **at),
    "calibration of three": lambda **at: plots.calibration(
        make_replicated(np.random.default_rng(1).dirichlet([1, 1, 1], 200)), **at
    ),
    "annotators": lambda **at: plots.annotators(make_fit(), name="log_rationality", **at),
    "annotators, 300": lambda **at: plots.annotators(make_fit(people=300), name="log_rationality", **at),
    "annotators' vectors": lambda **at: plots.annotators(make_fit(), name="taste", **at),
    "density": lambda **at: plots.density(make_density(), references={"truth": lambda x: -0.5 * x**2}, **at),
    "density, log": lambda **at: plots.density(make_density(), log=True, **at),
    "density of two": lambda **at: plots.density(make_density(viewpoints=2), **at),
    "density on a plane": lambda **at: plots.density(
        make_density(plane=True), references={"truth": lambda at: -0.5 * (at**2).sum(-1)}, **at
    ),
    "coverage": lambda **at: plots.coverage(make_contraction(), **at),
    "comparison": lambda **at: plots.comparison(make_table(), **at),
    "classes": lambda **at: plots.classes(make_classes(), **at),
    "memberships": lambda **at: plots.memberships(make_memberships(), **at),
    "memberships of 200": lambda **at: plots.memberships(make_memberships(200), **at),
    "annotator_map": lambda **at: plots.annotator_map(make_tastes(), **at),
    "annotator_map of one": lambda **at: plots.annotator_map(make_tastes(dimensions=1), **at),
    "sbc": lambda **at: plots.sbc(make_ranks(), **at),
    "ties": lambda **at: plots.ties(make_ties(), **at),
    "checks": lambda **at: plots.checks(make_check(), **at),
    "check": lambda **at: plots.check(make_check(), "rationality", **at),
    "pair_residuals": lambda **at: plots.pair_residuals(make_pair_residuals(unknown=True), **at),
    "pair_residuals of 40": lambda **at: plots.pair_residuals(make_pair_residuals(40), **at),
    "annotator_agreement": lambda **at: plots.annotator_agreement(make_agreement(), **at),
    "annotator_agreement of 150": lambda **at: plots.annotator_agreement(make_agreement(150, of=400), **at),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_draws_on_the_axes_given_and_leaves_the_rest_alone(picture):
    settings = dict(matplotlib.rcParams)
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    assert PICTURES[picture](ax=right) is right
    assert plt.get_fignums() == [1] and right.has_data() and not left.has_data()
    assert dict(matplotlib.rcParams) == settings
    right.figure.canvas.draw()


def seen(axis):
    """Labels of the ticks within view: matplotlib keeps some beyond it, undrawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize("picture", PICTURES)
def test_makes_one_figure_whose_text_fits(picture):
    ax = PICTURES[picture]()
    assert len(plt.get_fignums()) == 1 and ax.figure.axes[0] is ax
    ax.figure.canvas.draw()
    assert ax.get_xlabel() or ax.images
    canvas, bars = ax.figure.bbox, [bar.yaxis.label for bar in ax.child_axes]
    for texts in (seen(ax.xaxis), seen(ax.yaxis), [ax.xaxis.label], ax.texts, bars):
        boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
        for box in boxes:
            assert box.x0 >= canvas.x0 - 1 and box.x1 <= canvas.x1 + 1
            assert box.y0 >= canvas.y0 - 1 and box.y1 <= canvas.y1 + 1
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_every_picture_is_under_contract():
    drawn = " ".join(PICTURES).replace("superiority", "win_matrix")
    assert all(name in drawn for name in set(plots.__all__) - {"agreement", "check_panels", "preferences"})


def test_panels_of_agreement():
    fit = make_density()
    axes = plots.agreement(diagnostics.density_agreement(fit, lambda x: -0.5 * x**2))
    assert [ax.get_title(loc="left") for ax in axes][2] == "total variation" and len(axes) == 5


def test_panels_of_preferences():
    grid = np.linspace(-1, 1, 5)
    matrix = 1 / (1 + np.exp(grid - grid[:, None]))
    axes = plots.preferences({"one": matrix, "two": matrix.T}, grid)
    assert [ax.get_title() for ax in axes] == ["one", "two"]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), matrix)
    with pytest.raises(ValueError, match="probabilities"):
        plots.preferences({"one": 2 * matrix}, grid)


def test_a_figure_of_figures():
    fig = plt.figure(figsize=(10, 4), layout="constrained")
    ax = fig.subfigures(1, 2)[0].subplots()
    assert plots.forest(make_fit(), ax=ax) is ax


def dots(ax):
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    return np.asarray(line.get_xdata()), [label.get_text() for label in ax.get_yticklabels()]


def segments(ax, label):
    (lines,) = [x for x in ax.collections if isinstance(x, LineCollection) and x.get_label() == label]
    return np.array([[segment[0, 0], segment[1, 0]] for segment in lines.get_segments()])


def test_forest_draws_centred_worths_in_order():
    fit = make_fit()
    table = bp.ranking(fit, prob=0.8)
    ax = plots.forest(fit, prob=0.8)
    means, labels = dots(ax)
    assert labels == list(table.index)
    np.testing.assert_allclose(means, table["worth"])
    np.testing.assert_allclose(segments(ax, "80 %"), table[["lower", "upper"]])
    np.testing.assert_allclose(segments(ax, "50 %"), bp.ranking(fit, prob=0.5)[["lower", "upper"]])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert "log-odds" in ax.get_xlabel() and "50 % and 80 % equal-tailed" in ax.get_xlabel()


def test_forest_relative_to_an_anchor():
    fit = make_fit()
    table = bp.ranking(fit, anchor="item 2")
    ax = plots.forest(fit, anchor="item 2")
    means, labels = dots(ax)
    np.testing.assert_allclose(means, table["worth"])
    assert means[labels.index("item 2")] == 0 and "relative to item 2" in ax.get_xlabel()


def test_forest_draws_what_is_no_worth_as_it_is():
    fit = make_fit()
    means, labels = dots(plots.forest(fit, name="coefficient", order=False))
    np.testing.assert_allclose(means, fit["posterior"]["coefficient"].mean(("chain", "draw")))
    assert labels == TASTES
    ax = plots.forest(fit, name="lapse", unit="probability")
    np.testing.assert_allclose(dots(ax)[0], fit["posterior"]["lapse"].mean())
    assert ax.get_xlabel().startswith("lapse (probability)\n")


def test_forest_draws_a_pair_of_a_matrix_once():
    means, labels = dots(plots.forest(make_fit(), name="taste_correlation"))
    np.testing.assert_allclose(means, [0.3])
    assert labels == ["price, time"]
    means, labels = dots(plots.forest(make_fit(people=2), name="taste", order=False))
    assert labels == ["reader 0, price", "reader 0, time", "reader 1, price", "reader 1, time"]


def test_long_labels_keep_both_ends():
    labels = dots(plots.forest(make_fit(long=True)))[1]
    assert len({*labels}) == 5 and all(len(label) <= 28 and "…" in label for label in labels)


def test_matrix_is_drawn_in_order_of_strength():
    matrix = bp.superiority(make_fit())
    ax = plots.win_matrix(matrix)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == list(matrix["item"].values[np.argsort(-matrix.mean("item_other").values)])
    assert labels == [label.get_text() for label in ax.get_xticklabels()]
    expected = matrix.sel(item=labels, item_other=labels).values
    (image,) = ax.images
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), expected)
    assert image.get_clim() == (0, 1)
    written = {(int(y), int(x)): text.get_text() for text in ax.texts for x, y in [text.get_position()]}
    assert set(written) == {(i, j) for i in range(5) for j in range(5) if i != j}
    for place, text in written.items():
        shown = {"<.01": 0.0, ">.99": 1.0}.get(text)
        assert expected[place] == pytest.approx(float(text) if shown is None else shown, abs=0.0051)


@pytest.mark.parametrize(("name", "says"), [("p_better", "is better than"), ("win", "wins the next answer")])
def test_matrix_says_which_probability_it_is(name, says):
    ax = plots.win_matrix(bp.superiority(make_fit()).rename(name))
    bar = ax.child_axes[0]
    assert says in bar.get_ylabel().replace("\n", " ")


def test_matrix_aligns_columns_by_label():
    matrix = bp.superiority(make_fit())
    (image,) = plots.win_matrix(matrix).images
    shuffled = matrix.isel(item_other=[3, 1, 0, 4, 2]).T
    (same,) = plots.win_matrix(shuffled).images
    np.testing.assert_array_equal(image.get_array(), same.get_array())


def curve(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def band(ax, index=0):
    """Places and edges of a filled band."""
    polygons = [x for x in ax.collections if isinstance(x, PolyCollection)]
    vertices = polygons[index].get_paths()[0].vertices
    n = (len(vertices) - 3) // 2
    lower, upper = vertices[1 : n + 1], vertices[n + 2 : -1][::-1]
    np.testing.assert_array_equal(lower[:, 0], upper[:, 0])
    return lower[:, 0], lower[:, 1], upper[:, 1]


def test_calibration_of_a_model_that_is_right():
    replicated = make_replicated(pairs(np.linspace(0.02, 0.98, 1000)))
    ax = plots.calibration(replicated, prob=0.99)
    predicted, share = curve(ax, "observed")
    draws = replicated["posterior_predictive"]["outcome"].values[0]
    np.testing.assert_allclose(predicted, np.sort(draws.mean(0)))
    assert (np.diff(share) >= 0).all()
    assert share.mean() == pytest.approx(replicated["observed_data"]["outcome"].values.mean())
    place, lower, upper = band(ax)
    inner = (place > 0.1) & (place < 0.9)
    assert ((lower <= place) & (place <= upper))[inner].all()
    assert ((lower <= share) & (share <= upper)).mean() > 0.95


def test_calibration_of_a_model_that_is_too_sure():
    said = np.repeat([0.05, 0.95], 200)
    replicated = make_replicated(pairs(said), observed_probability=pairs(np.repeat([0.3, 0.7], 200)))
    ax = plots.calibration(replicated)
    _, share = curve(ax, "observed")
    _, lower, upper = band(ax)
    assert ((share < lower) | (share > upper)).mean() > 0.8


@pytest.mark.slow
def test_calibration_with_few_different_predictions_keeps_its_level():
    outside = []
    for seed in range(100):
        ax = plots.calibration(make_replicated(pairs(np.repeat([0.3, 0.5], 400)), seed=seed))
        _, share = curve(ax, "observed")
        _, lower, upper = band(ax)
        outside.append(((share < lower) | (share > upper)).mean())
        plt.close("all")
    assert np.mean(outside) == pytest.approx(0.11, abs=0.06)


def test_calibration_draws_each_of_several_outcomes_against_the_rest():
    replicated = make_replicated(np.random.default_rng(1).dirichlet([1, 1, 1], 200))
    ax = plots.calibration(replicated)
    observed = replicated["observed_data"]["outcome"].values
    for outcome in range(3):
        assert curve(ax, f"outcome {outcome}")[1].mean() == pytest.approx((observed == outcome).mean())
    alone = plots.calibration(replicated, outcome=2)
    np.testing.assert_array_equal(curve(alone, "observed")[1], curve(ax, "outcome 2")[1])
    assert "outcome 2" in alone.get_xlabel()


def test_equal_predictions_are_one_point():
    replicated = make_replicated(pairs(np.full(60, 0.5)), draws=20)
    replicated["posterior_predictive"]["outcome"].values[:] = np.arange(20)[None, :, None] % 2
    replicated["observed_data"]["outcome"].values[:] = np.repeat([0, 1], 30)
    predicted, share = curve(plots.calibration(replicated), "observed")
    assert {*predicted} == {0.5} and {*share} == {0.5}


def test_annotators_are_sorted_with_their_intervals():
    fit = make_fit()
    draws = fit["posterior"]["log_rationality"].stack(sample=("chain", "draw"))
    ax = plots.annotators(fit, name="log_rationality", prob=0.8)
    means, labels = dots(ax)
    assert (np.diff(means) <= 0).all()
    np.testing.assert_allclose(means, draws.mean("sample").sel(annotator=labels))
    expected = draws.quantile([0.1, 0.9], "sample").sel(annotator=labels).T
    np.testing.assert_allclose(segments(ax, "80 %"), expected)
    (shade,) = ax.patches
    sd = float(fit["posterior"]["log_rationality_sd"].mean())
    assert (shade.get_x(), shade.get_width()) == pytest.approx((-sd, 2 * sd))


def test_many_annotators_are_counted_instead_of_labelled():
    ax = plots.annotators(make_fit(people=300), name="log_rationality")
    assert ax.get_ylabel() == "300 annotators, sorted" and len(ax.get_yticks()) == 0


@pytest.mark.parametrize("standardise", [False, True])
def test_vectors_of_effects_are_strips(standardise):
    fit = make_fit()
    posterior = fit["posterior"].to_dataset().mean(("chain", "draw"))
    unit = posterior["taste_sd"] if standardise else xr.ones_like(posterior["taste_sd"])
    ax = plots.annotators(fit, name="taste", standardise=standardise)
    strips = [x.get_offsets() for x in ax.collections if isinstance(x, PathCollection)]
    expected = (posterior["taste"] / unit).values.T
    for place, (strip, values) in enumerate(zip(strips, expected, strict=True)):
        np.testing.assert_allclose(np.asarray(strip)[:, 0], values)
        assert np.abs(np.asarray(strip)[:, 1] - place).max() < 0.5
    (bars,) = [x for x in ax.collections if isinstance(x, LineCollection)]
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends[:, 1], posterior["taste_sd"] / unit)
    assert ("population standard deviations" in ax.get_xlabel()) == standardise


def test_the_only_effect_needs_no_name_and_a_population_is_optional():
    ax = plots.annotators(make_fit(only=["log_rationality"]))
    assert ax.get_xlabel().startswith("log_rationality") and not ax.patches
    ax = plots.annotators(make_fit(only=["taste"]))
    assert "population" not in ax.get_xlabel()


def test_comparison_draws_differences_best_first():
    table = make_table()
    ax = plots.comparison(table.iloc[::-1])
    means, labels = dots(ax)
    assert labels == list(table.index)
    np.testing.assert_array_equal(means, table["elpd_diff"])
    for times in (1, 2):
        expected = np.stack([table["elpd_diff"] + sign * times * table["dse"] for sign in (-1, 1)], 1)
        np.testing.assert_array_equal(segments(ax, f"±{times} SE"), expected)
    assert "by annotator: all answers of a new annotator" in ax.get_xlabel()


FIT = make_fit()
MATRIX = bp.superiority(FIT)
REFUSED = {
    "no fit": (lambda: plots.forest(MATRIX), "takes a fit"),
    "no such quantity": (
        lambda: plots.forest(FIT, name="worth"),
        "name is a quantity .*'worth'.*log_density",
    ),
    "anchor unknown": (lambda: plots.forest(FIT, anchor="z"), "anchor is an item .*'z'.*item 0"),
    "anchor without items": (lambda: plots.forest(FIT, name="lapse", anchor="item 0"), "quantities by item"),
    "forest probability": (lambda: plots.forest(FIT, prob=0.4), "between 0.5 and 1; got 0.4"),
    "three dimensions": (lambda: plots.forest(FIT, name="cube"), "at most two dimensions"),
    "matrix dims": (lambda: plots.win_matrix(MATRIX.rename(item="a")), r"\(item, item_other\)"),
    "matrix kind": (lambda: plots.win_matrix(MATRIX.values), "got a ndarray"),
    "matrix name": (lambda: plots.win_matrix(MATRIX.rename("tie")), "which probability .*'tie'"),
    "matrix items": (lambda: plots.win_matrix(MATRIX.isel(item=slice(3))), "the same items"),
    "matrix values": (lambda: plots.win_matrix(2 * MATRIX), r"\[0, 1\]; got"),
    "matrix empty": (lambda: plots.win_matrix(MATRIX * np.nan), r"\[0, 1\]; got none"),
    "not replicated": (lambda: plots.calibration(FIT), "replicated and observed"),
    "few replicates": (
        lambda: plots.calibration(make_replicated(pairs(UNIFORM), draws=5)),
        "at least 20 rep",
    ),
    "one outcome": (lambda: plots.calibration(make_replicated(np.ones((5, 1)))), "two outcomes"),
    "many outcomes": (
        lambda: plots.calibration(make_replicated(np.full((99, 9), 1 / 9))),
        "at most 6 .*outcome=",
    ),
    "outcome unknown": (
        lambda: plots.calibration(make_replicated(pairs(UNIFORM)), outcome=7),
        "one of .*got 7",
    ),
    "calibration probability": (lambda: plots.calibration(make_replicated(pairs(UNIFORM)), prob=1), "got 1"),
    "effect not named": (lambda: plots.annotators(FIT), r"which effect .*'log_rationality', 'taste'"),
    "effect unknown": (lambda: plots.annotators(FIT, name="lapse"), "one of .*'lapse'"),
    "no effects": (lambda: plots.annotators(make_fit(only=["lapse"])), "only .'lapse'.*by_annotator"),
    "no population": (
        lambda: plots.annotators(make_fit(only=["taste"]), standardise=True),
        "standardising takes .*taste_sd",
    ),
    "no table": (lambda: plots.comparison({}), "got a dict"),
    "another table": (lambda: plots.comparison(make_table().drop(columns="dse")), r"without \['dse'\]"),
    "one fit": (lambda: plots.comparison(make_table(1)), "at least two"),
    "no check": (lambda: plots.checks(FIT), "what bayespref.check returned; got a DataTree"),
    "unknown check": (
        lambda: plots.check(make_check(), "fatigue"),
        "one of .'position', 'lapse', 'drift'.*'fatigue'",
    ),
    "check not made": (lambda: plots.check(make_check(), "link"), "was made.*got 'link'"),
    "no panels": (lambda: plots.check_panels(FIT), "what bayespref.check returned"),
    "no residuals": (lambda: plots.pair_residuals(MATRIX), r"diagnostics\.pair_residuals returned"),
    "no agreement": (lambda: plots.annotator_agreement(MATRIX), r"diagnostics\.annotator_agreement"),
    "infinite": (lambda: plots.comparison(make_table().replace(-10.0, -np.inf)), "finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    call, match = REFUSED[case]
    with pytest.raises(ValueError, match=match):
        call()
    assert not plt.get_fignums()


def test_classes_are_drawn_side_by_side_in_the_order_of_the_largest():
    fit = make_classes()
    ax = plots.classes(fit)
    draws = fit["posterior"]["log_density"].values.reshape(100, 2, 5)
    mean = (draws - draws.mean(2, keepdims=True)).mean(0)
    order = np.argsort(-mean[0])
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    for line, values in zip(lines, mean, strict=True):
        np.testing.assert_allclose(line.get_xdata(), values[order])
    assert [line.get_label()[:8] for line in lines] == ["class 0 ", "class 1 "]
    with pytest.raises(ValueError, match=r"by class and one more dimension; got 'weight'.*log_density"):
        plots.classes(fit, name="weight")


def test_the_map_does_not_depend_on_how_axes_turned():
    ax = plots.annotator_map(make_tastes())
    (dots,) = [x for x in ax.collections if isinstance(x, PathCollection)]
    rng = np.random.default_rng(2)
    u, v = rng.normal(size=(30, 2)), rng.normal(size=(2, 6))
    left, size, _ = np.linalg.svd(u @ v, full_matrices=False)
    np.testing.assert_allclose(np.abs(dots.get_offsets()), np.abs((left * size)[:, :2]), atol=1e-6)
    with pytest.raises(ValueError, match=r"populations\.tastes"):
        plots.annotator_map(make_fit())


def test_members_are_sorted_by_class():
    belongs = make_memberships()
    ax = plots.memberships(belongs)
    drawn = np.asarray(ax.images[0].get_array())
    assert (np.diff(drawn.argmax(1)) >= 0).all()
    np.testing.assert_allclose(np.sort(drawn.max(1)), np.sort(belongs.mean(("chain", "draw")).values.max(1)))


def test_ranks_off_the_band_are_seen():
    ax = plots.sbc(make_ranks())
    low, high = band(ax)[1:]
    curves = [line.get_ydata() for line in ax.lines]
    assert "quantity 0" in ax.lines[-1].get_label()
    outside = [((curve < low[: len(curve)]) | (curve > high[: len(curve)])).any() for curve in curves]
    assert outside[-1] and not any(outside[:-1])


# ---- checks ----------------------------------------------------------------------------------------------


def check_dots(ax):
    """Row -> (place, colour of the edge, whether it is filled)."""
    found = {}
    for line in ax.lines:
        if line.get_marker() == "o":
            filled = line.get_markerfacecolor() == line.get_markeredgecolor()
            found[int(line.get_ydata()[0])] = (line.get_xdata()[0], line.get_markeredgecolor(), filled)
    return found


def test_checks_draws_a_row_for_each_check_in_words():
    check = make_check()
    ax = plots.checks(check)
    labels = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert labels == list(check.table["assumption"]) and "annotators are equally reliable" in labels
    assert len(labels) == len(CHECKED) + 3  # two that lack data, one that the model has
    dots, names = check_dots(ax), list(check.table.index)
    assert {names[row] for row in dots} == set(CHECKED)
    for row, (place, colour, filled) in dots.items():
        surprise = check.table.loc[names[row], "surprise"]
        sign = -1 if names[row] == "position" else 1  # two-sided: drawn with its sign
        assert place == pytest.approx(sign * surprise)
        assert colour == (VERMILION if names[row] == "rationality" else BLUE)
        assert filled == (names[row] != "design")  # tells of no cause
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_checks_draws_the_band_of_replicates_and_what_was_not_tested():
    check = make_check()
    ax = plots.checks(check)
    names = list(check.table.index)
    bars = {names[round(bar.get_y() + bar.get_height() / 2)]: bar for bar in ax.patches}
    assert set(bars) == set(CHECKED)
    row = check.table.loc["rationality"]
    joint = np.append(check.replicated[:, check.tested().index("rationality")], row["statistic"])
    ends = np.array(
        [bars["rationality"].get_x(), bars["rationality"].get_x() + bars["rationality"].get_width()]
    )
    np.testing.assert_allclose(ends * joint.std() + joint.mean(), [row["lower"], row["upper"]])
    written = {round(text.get_position()[1]): text.get_text().replace("\n", " ") for text in ax.texts}
    assert "not tested: the model or its worths take it up" in written[names.index("link")]
    assert written[names.index("ties")] == "not testable: needs ties"
    (annotation,) = [text for text in ax.texts if text.get_text().startswith("adjusted p")]
    assert annotation.get_text() == "adjusted p 0.005" and annotation.xy[1] == names.index("rationality")


@pytest.mark.parametrize(("position", "aligned"), [(-8.0, "right"), (8.0, "left")])
def test_labels_stand_away_from_the_band(position, aligned):
    ax = plots.checks(make_check(observed=np.array([position, 0, 0, 0, 0, 0])))
    (annotation,) = [text for text in ax.texts if text.get_text().startswith("adjusted p")]
    assert annotation.get_ha() == aligned
    ax.figure.canvas.draw()
    box, inside = annotation.get_window_extent(), ax.get_window_extent()
    assert inside.x0 < box.x0 and box.x1 < inside.x1


def test_nothing_is_vermilion_where_nothing_fails():
    check = make_check(observed=np.zeros(len(CHECKED)))
    ax = plots.checks(check)
    assert check.failing() == [] and {colour for _, colour, _ in check_dots(ax).values()} == {BLUE}


def test_one_check_has_its_own_replicates_and_line():
    check = make_check()
    for name in CHECKED:
        ax = plots.check(check, name)
        (line,) = ax.lines
        assert line.get_xdata()[0] == OBSERVED[CHECKED.index(name)] == check.table.loc[name, "statistic"]
        assert line.get_color() == (VERMILION if name == "rationality" else "black")
        assert sum(bar.get_height() for bar in ax.patches) == 199
        assert f"p {check.table.loc[name, 'p_value']:.3f}" in ax.get_title(loc="left")
        assert check.table.loc[name, "assumption"] in ax.get_xlabel().replace("\n", " ")


def test_panels_of_checks():
    check = make_check()
    axes = plots.check_panels(check, columns=4)
    lines = [ax.lines[0].get_xdata()[0] for ax in axes]
    assert lines == list(check.observed) and len(axes) == len(CHECKED)
    assert len(axes[0].figure.axes) == 8 and not axes[0].figure.axes[-1].axison


# ---- residuals -------------------------------------------------------------------------------------------


def test_residuals_are_drawn_as_they_are():
    result = make_pair_residuals()
    ax = plots.pair_residuals(result)
    (image,) = ax.images
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), result["residual"])
    low, high = image.get_clim()
    assert low == -high and high >= 4
    assert [label.get_text() for label in ax.get_yticklabels()] == list(result["item"].values)
    assert "row against column" in ax.child_axes[0].get_ylabel().replace("\n", " ")
    assert not ax.get_xlabel()
    assert "never compared" in plots.pair_residuals(make_pair_residuals(unknown=True)).get_xlabel()


def test_agreement_says_whom_it_leaves_out():
    result = make_agreement()
    ax = plots.annotator_agreement(result)
    np.testing.assert_array_equal(np.ma.filled(ax.images[0].get_array(), np.nan), result)
    assert ax.images[0].get_clim() == (-5, 5) and ax.get_title() == ""
    some = plots.annotator_agreement(make_agreement(150, of=4000))
    assert some.get_title() == "the 150 most active of 4,000 annotators"
