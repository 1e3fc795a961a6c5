"""Every way we know to misuse a model or a fit, and the sentence it is refused with."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from helpers import ITEMS, answers, fit_from_worths

import bayespref as bp
from bayespref import choices, models, populations, rewards
from bayespref.comparisons import Comparisons
from bayespref.elpd import Elpd

KEY = jax.random.key(0)
POOLED, BY_READER, TIED = answers(annotators=False), answers(), answers(ties=True, annotators=False)
LOST = answers(annotators=False, presentation="lost")
TRIPLES = answers(annotators=False, k=3)
bradley_terry = functools.partial(models.bradley_terry, scale=1.0)
WORTHS = np.random.default_rng(0).normal(size=(10, ITEMS))


@functools.cache
def fit():
    return fit_from_worths(bradley_terry, POOLED, WORTHS)


def forgetful(comparisons):
    rewards.item_table(comparisons)


def by_feature(comparisons):
    bp.observe(comparisons, choices.logit(rewards.linear(comparisons)(comparisons.features)))


def with_slash(comparisons):
    numpyro.sample("quality/mean", dist.Normal())
    models.bradley_terry(comparisons)


def score_of_a_row(comparisons):
    bp.observe(comparisons, choices.logit(jnp.zeros(comparisons.k)))


def vector_without_length(comparisons):
    populations.by_annotator("taste", comparisons, over="feature_of_taste")
    models.bradley_terry(comparisons)


def elpd(unit="comparison", data="d1"):
    return Elpd(
        elpd=-10.0,
        se=1.0,
        p=2.0,
        n_samples=100,
        n_data_points=5,
        scale="log",
        warning=False,
        good_k=0.7,
        elpd_i=xr.DataArray(np.full(5, -2.0), dims="answer"),
        pareto_k=xr.DataArray(np.zeros(5), dims="answer"),
        unit=unit,
        data=data,
    )


def nuts(model, data, **options):
    return lambda: bp.nuts(KEY, model, data, progress=False, **options)


def svi(model, data, **options):
    return lambda: bp.svi(KEY, model, data, progress=False, **options)


def laplace(model, data, **options):
    return lambda: bp.laplace(KEY, model, data, **options)


BAD = {
    # model and data do not fit each other
    "readers unknown": (
        nuts(models.hurried_readers, POOLED),
        r"needs to know who answered; got answers without annotators.*annotator=.*pooled",
    ),
    "ties under bradley_terry": (
        nuts(models.bradley_terry, TIED),
        r"without ties.*tied answers under logit.*davidson.*subset",
    ),
    "ties under thurstone": (laplace(models.thurstone, TIED), r"tied answers under probit"),
    "thurstone for triples": (
        nuts(models.thurstone, TRIPLES),
        r"two things at a time; got k = 3.*choices\.logit",
    ),
    "position without order": (
        nuts(models.bradley_terry_position, LOST),
        r"needs the order in which things were shown; got presentation='lost'",
    ),
    "features unknown": (
        nuts(by_feature, POOLED),
        r"a linear reward needs features; got data without features",
    ),
    "common is no attribute": (
        nuts(functools.partial(models.mixed_logit, common=("weight",)), answers(features="shown")),
        r"common names attributes among.*weight",
    ),
    "mixed logit without attributes": (nuts(models.mixed_logit, BY_READER), r"at least one attribute"),
    "no outcomes": (
        nuts(models.bradley_terry, POOLED.replace(outcome=None)),
        r"a fit needs outcomes.*outcome=",
    ),
    "a list": (nuts(models.bradley_terry, [[0, 1]]), r"fitted to Comparisons; got a list.*read_table"),
    "a dictionary": (svi(models.bradley_terry, {"shown": [[0, 1]]}), r"fitted to Comparisons; got a dict"),
    "a path": (laplace(models.bradley_terry, "answers.csv"), r"fitted to Comparisons; got a str.*read_table"),
    # models that are none
    "nothing observed": (nuts(forgetful, POOLED), r"bayespref\.observe.*no site 'outcome'"),
    "nothing observed in simulate": (
        lambda: bp.simulate(KEY, forgetful, POOLED),
        r"bayespref\.observe.*no site 'outcome'",
    ),
    "slash in a name": (nuts(with_slash, POOLED), r"hold no '/'; got 'quality/mean'"),
    "one score for all": (nuts(score_of_a_row, POOLED), r"one element for each row.*comparisons\.shown"),
    "length unknown": (nuts(vector_without_length, BY_READER), r"a vector of effects has labels"),
    "bound by position": (
        lambda: bp.predict(KEY, functools.partial(models.bradley_terry, 1.0), fit(), POOLED),
        r"bound by keyword; got positional",
    ),
    "no function": (
        lambda: bp.predict(KEY, "bradley_terry", fit(), POOLED),
        r"a function of comparisons; got a str",
    ),
    # options of inference
    "laplace with effects": (
        laplace(models.rationality_by_annotator, BY_READER),
        r"without effects by annotator; got effects log_rationality.*nuts",
    ),
    "laplace with tastes": (laplace(models.mixed_logit, answers(features="shown")), r"effects taste"),
    "unknown guide": (svi(models.bradley_terry, POOLED, guide="full"), r"one of.*'low_rank'.*got 'full'"),
    "guide that is none": (svi(models.bradley_terry, POOLED, guide=3), r"a function; got a int"),
    "empty batch": (svi(models.bradley_terry, POOLED, batch_size=0), r"1 to 60 answers; got 0"),
    "batch too large": (svi(models.bradley_terry, POOLED, batch_size=61), r"1 to 60 answers; got 61"),
    # a fit judged by another model
    "another model": (
        lambda: bp.loo(KEY, models.thurstone, fit()),
        r"the model that made it.*'thurstone'.*fit again",
    ),
    "other options": (
        lambda: bp.loo(KEY, functools.partial(models.bradley_terry, scale=2.0), fit()),
        r"model_options.*scale.*2\.0.*options it was fitted with",
    ),
    "no options": (
        lambda: bp.predict(KEY, models.bradley_terry, fit(), POOLED),
        r"options it was fitted with",
    ),
    "matrix of another model": (lambda: bp.win_probability(KEY, models.davidson, fit()), r"'davidson'"),
    "replicated by another": (lambda: bp.posterior_predictive(KEY, models.davidson, fit()), r"'davidson'"),
    "evidence of another": (lambda: bp.log_evidence(KEY, models.davidson, fit()), r"'davidson'"),
    # judging and comparing
    "unknown unit": (
        lambda: bp.loo(KEY, bradley_terry, fit(), by="item"),
        r"one of \['annotator', 'comparison'\]",
    ),
    "unit that is not there": (lambda: bp.loo(KEY, bradley_terry, fit(), by="annotator"), r"who answered"),
    "one alone": (lambda: bp.compare({"a": elpd()}), r"at least two fits; got 1"),
    "different units": (
        lambda: bp.compare({"a": elpd(), "b": elpd(unit="annotator")}),
        r"share one unit.*'annotator'.*same by=",
    ),
    "different data": (
        lambda: bp.compare({"a": elpd(), "b": elpd(data="d2")}),
        r"share one data.*same answers",
    ),
    "a fit instead of its loo": (lambda: bp.compare({"a": fit(), "b": fit()}), r"results of bayespref\.loo"),
    # ranking
    "unknown anchor": (
        lambda: bp.ranking(fit(), anchor="item-Z"),
        r"an item of the fit; got 'item-Z'.*item-E",
    ),
    "unknown scale": (lambda: bp.ranking(fit(), scale="points"), r"'log-odds' or 'elo'; got 'points'"),
    "no worths": (lambda: bp.ranking(fit(), name="quality"), r"worths by item, site 'quality'"),
    "unknown parameter": (
        lambda: bp.simulate(KEY, models.davidson, POOLED, parameters={"tie": 0.0}),
        r"sites of the model.*log_tie.*got \['tie'\]",
    ),
    "unseen item": (
        lambda: bp.predict(
            KEY, bradley_terry, fit(), Comparisons.from_arrays([[0, 1]], items=["item-E", "new"])
        ),
        r"items that the fit has seen.*new",
    ),
}


@pytest.mark.parametrize(("call", "match"), BAD.values(), ids=BAD)
def test_bad_models_are_refused(call, match):
    with pytest.raises(ValueError, match=match) as refused:
        call()
    assert "; got " in str(refused.value)  # the one form: what must hold; got what was given


def test_a_matrix_of_many_items():
    many = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 1], items=501)
    large = fit_from_worths(bradley_terry, many, np.zeros((2, 501)))
    for call in (lambda: bp.superiority(large), lambda: bp.win_probability(KEY, bradley_terry, large)):
        with pytest.raises(ValueError, match=r"at most 500 items; got 501.*bayespref\.predict"):
            call()


def test_files_that_are_no_fits(tmp_path):
    with pytest.raises(ValueError, match=r"a netCDF file; got no file '.*missing\.nc'"):
        bp.load(tmp_path / "missing.nc")
    bp.save(fit(), tmp_path / "fit.nc")
    whole = (tmp_path / "fit.nc").read_bytes()
    assert bp.load(tmp_path / "fit.nc")["posterior"].identical(fit()["posterior"])
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"left,right\na,b\n",
    }.items():
        (tmp_path / f"{name}.nc").write_bytes(content)
        with pytest.raises(ValueError, match=r"a complete netCDF file.*truncated"):
            bp.load(tmp_path / f"{name}.nc")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"its posterior and its data; got .*'latent'"):
        bp.load(tmp_path / "other.nc")


def test_the_right_model_is_taken():
    """The refusals above are not for nothing else: the model with its options judges its fit."""
    again = functools.partial(models.bradley_terry, scale=1.0)
    assert bp.predict(KEY, again, fit(), POOLED).sizes["outcome"] == 2
    assert list(bp.compare({"a": elpd(), "b": elpd()})["unit"]) == ["comparison"] * 2
