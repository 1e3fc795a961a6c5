"""The report: one file that opens with the answer."""

import base64
import dataclasses
import functools
import html
import io
import re

import jax
import numpy as np
import pytest
from helpers import fit_by_hand
from matplotlib import image

import bayespref as bp
from bayespref.models import (
    bradley_terry,
    conditional_logit,
    mixed_logit,
    plackett_luce,
    rationality_by_annotator,
)

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    shown = np.stack([rng.permutation(4)[:2] for _ in range(160)])
    worth = np.array([1.0, 0.3, -0.4, -0.9])
    second = rng.random(160) < 1 / (1 + np.exp(worth[shown[:, 0]] - worth[shown[:, 1]]))
    items = ["<ash>", "birch", "cedar", "elm"]
    return bp.Comparisons.from_arrays(shown, second.astype(int), items=items, annotator=np.arange(160) % 8)


@pytest.fixture(scope="module")
def fits(answers):
    """Two good fits, and one by hand of annotators who hardly differ, marked as not to be trusted."""
    narrow = functools.partial(bradley_terry, scale=0.1)
    wide = bp.laplace(KEY, bradley_terry, answers, draws=500)
    effects = 0.05 * jax.random.normal(KEY, (500, 8))
    latent = {name: value.values[0] for name, value in wide["latent"].data_vars.items()}
    latent |= {"log_rationality_sd": np.full(500, 0.05), "_log_rationality": effects}
    differing = fit_by_hand(rationality_by_annotator, answers, **latent)
    differing.attrs.update(method="svi", khat=0.9)
    return {
        "wide": (bradley_terry, wide),
        "nar<row": (narrow, bp.laplace(KEY, narrow, answers, draws=500)),
        "differing": (rationality_by_annotator, differing),
    }


@pytest.fixture(scope="module")
def judged(fits):
    return {name: bp.loo(KEY, model, fit) for name, (model, fit) in fits.items()}


@pytest.fixture(scope="module")
def checks(fits):
    """One fit is checked; what is said of another is made up: it fails, in words that HTML must escape."""
    found = bp.check(KEY, *fits["wide"], replicates=59)
    failing = found.table.copy()
    failing.loc["rationality", ["p_value", "adjusted_p"]] = 1 / 60
    says = "<b>it</b> fails"
    return {
        "wide": found,
        "nar<row": dataclasses.replace(found, verdict="fails", table=failing, paragraph=says),
    }


@pytest.fixture(scope="module")
def page(fits, judged, checks, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    bp.report(KEY, fits, path, judged=judged, checks=checks, title="Trees & shrubs")
    return path.read_text(encoding="utf-8")


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]))


def pictures(page):
    return re.findall(r"<img src='data:image/png;base64,([^']+)' alt='([^']+)'", page)


def test_nothing_is_fetched(page):
    assert not re.search(r"(src|href)\s*=\s*['\"]?\s*(https?:)?//", page) and "url(" not in page
    assert "<script" not in page and "<link" not in page and "http" not in page


def test_opens_with_the_conclusion(page, judged):
    conclusion = bp.conclusion(bp.compare(judged))
    text = text_of(page)
    assert 0 <= text.index(conclusion) < 80
    assert page.index("<h1>Trees &amp; shrubs</h1>") < page.index("class='lead'")


def test_opens_with_what_the_winner_assumes(fits, judged, checks, tmp_path):
    """A winner that fails its checks is no answer."""
    won = bp.compare(judged).index[0]
    reliable = checks["wide"].words()["rationality"]
    for found, says in (
        (checks["wide"], f"What {won} assumes about annotators passed every check that these data allow."),
        (checks["nar<row"], f"assumes about annotators does not hold: {reliable}."),
    ):
        path = tmp_path / "report.html"
        bp.report(KEY, {won: fits[won]}, path, checks={won: found})
        assert says in text_of(path.read_text(encoding="utf-8")).partition("The data")[0]


def test_every_fit_with_its_story_and_verdict(page, fits):
    text = text_of(page)
    for name, (_, fit) in fits.items():
        assert f"Fit: {name}" in text
        assert all(sentence in text for sentence in bp.verdict(fit))
    assert "nar<row" not in page and "<ash>" not in page  # escaped
    assert "One shared density over items, and Luce's choice rule" in text
    assert "Read with care: differing did not pass its checks" in text
    assert "bradley_terry(scale=0.1), fitted by laplace" in text


def test_pictures_decode_and_say_what_they_show(page):
    found = pictures(page)
    # forests, calibrations, effects, checks, comparison, two matrices
    assert len(found) == 3 + 3 + 1 + 2 + 1 + 2
    for picture, alt in found:
        assert min(image.imread(io.BytesIO(base64.b64decode(picture))).shape[:2]) > 100
        assert len(alt) > 20
    alts = " ".join(alt for _, alt in found)
    assert "is better than" in alts and "wins the next answer" in alts


def test_checks_of_the_annotators(page, checks):
    section = page.partition("Do the annotators do what the model says?")[2].partition("</section>")[0]
    text = text_of(f"<body>{section}")
    assert html.escape(checks["wide"].paragraph) in section
    assert "class='warn'>&lt;b&gt;it&lt;/b&gt; fails" in section
    assert section.count("<h3>") == section.count("<img") == 2 and "differing" not in section
    assert "nobody guesses" in text and "fails: the log of their rationality" in text
    assert page.index("Fit: differing") < page.index("Do the annotators") < page.index("The comparison")


def test_a_fit_that_cannot_be_checked_says_why(tmp_path):
    ranked = np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1]])
    shown = np.tile([0, 1, 2], (4, 1))
    answers = bp.Comparisons.from_arrays(shown, ranked, response="ranking", items=list("abc"))
    model = functools.partial(plackett_luce, scale=1.0)
    bp.report(KEY, {"only": (model, bp.laplace(KEY, model, answers, draws=100))}, tmp_path / "r.html")
    text = text_of((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Not checked: checks judge choices and graded answers; got rankings" in text


def test_ranking_and_how_it_was_made(page, fits):
    text = text_of(page)
    assert "P(best)" in text and "cannot separate" in text and "equal-tailed with probability 0.89" in text
    assert "numpyro" in text and fits["wide"][1].attrs["model_digest"] in text


def test_attribute_vectors_are_not_ranked(tmp_path):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(12, 2))
    items = bp.Items(columns={"features": features}, size=12, feature_names=("price", "time"))
    shown = np.stack([rng.permutation(12)[:2] for _ in range(100)])
    answers = bp.Comparisons.from_arrays(shown, rng.integers(0, 2, 100), items=items)
    fit = bp.laplace(KEY, conditional_logit, answers, draws=500)
    bp.report(KEY, {"only": (conditional_logit, fit)}, tmp_path / "r.html", checks={})
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    text = text_of(page)
    assert "No problems found" in text[:90] and "coefficient[price]" in text
    assert "The ranking" not in text and len(pictures(page)) == 2


def test_refusals(fits, answers, tmp_path):
    with pytest.raises(ValueError, match="at least one fit"):
        bp.report(KEY, {}, tmp_path / "r.html")
    with pytest.raises(ValueError, match="takes name -> "):
        bp.report(KEY, {"wide": fits["wide"][1]}, tmp_path / "r.html")
    with pytest.raises(ValueError, match="judged by the model that made it"):
        bp.report(KEY, {"wide": (mixed_logit, fits["wide"][1])}, tmp_path / "r.html")
    other = bp.laplace(KEY, bradley_terry, answers.subset(rows=np.arange(20)), draws=100)
    with pytest.raises(ValueError, match="of the same answers"):
        bp.report(KEY, {"wide": fits["wide"], "part": (bradley_terry, other)}, tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
