"""What unlimited answers teach: closed forms, published figures, invariances."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from scipy.special import expit

import bayespref as bp
from bayespref import behaviours, choices, limits, losses, rewards, supports, toys
from bayespref.limits import Annotator

RNG = np.random.default_rng(3)
P, PRE = np.log(RNG.dirichlet(np.full(6, 5.0), 2))
LENGTH = np.array([5.0, 10, 20, 25, 40, 50])
BEHAVIOURS = {
    "luce": behaviours.luce,
    "dpo": behaviours.dpo(4.0, PRE),
    "geometric": behaviours.geometric(0.25, PRE),
    "length": behaviours.length_normalised(LENGTH, 50.0),
}


def normalise(score):
    return score - np.log(np.exp(score).sum())


def length_of_luce():
    """exp((log p + c) |x| / 50) with the c that makes it sum to one."""
    total = lambda c: np.exp((P + c) * LENGTH / 50).sum() - 1  # noqa: E731
    return (P + scipy.optimize.brentq(total, -50, 50)) * LENGTH / 50


CLOSED = {
    ("luce", "luce"): P,
    ("luce", "dpo"): normalise(PRE + P / 4),
    ("dpo", "dpo"): P,
    ("dpo", "luce"): normalise(4 * (P - PRE)),
    ("luce", "geometric"): normalise(0.75 * PRE + 0.25 * P),
    ("geometric", "geometric"): P,
    ("length", "length"): P,
    ("length", "luce"): normalise(P * 50 / LENGTH),
    ("luce", "length"): length_of_luce(),
}
pairs = pytest.mark.parametrize(("annotator", "assumed"), CLOSED, ids=["-".join(pair) for pair in CLOSED])


@pairs
def test_limits_in_closed_form(annotator, assumed):
    learnt = limits.density(Annotator(P, BEHAVIOURS[annotator]), BEHAVIOURS[assumed])
    # float32 behaviours carry 1e-7 of relative error.
    np.testing.assert_allclose(np.exp(learnt), np.exp(CLOSED[annotator, assumed]), atol=1e-6)


def expected_answers(population, size):
    """Every pair asked equally often, its answers weighted by their exact probabilities."""
    first, second = np.triu_indices(size, 1)
    shown, win = np.stack([first, second], 1), limits.choice_probabilities(population)[first, second]
    outcome = np.repeat([0, 1], len(shown))
    data = bp.Comparisons.from_arrays(np.concatenate([shown, shown]), outcome, items=size)
    # In the order of the rows above; so many that even an item that hardly ever wins outweighs its prior.
    return data.replace(
        shown=jnp.asarray(np.concatenate([shown, shown])),
        outcome=jnp.asarray(outcome),
        weight=jnp.asarray(1e12 * np.concatenate([win, 1 - win])),
    )


@pairs
def test_the_librarys_own_fit_reaches_the_limit(annotator, assumed):
    """Laplace's mode of exact expected answers, in double precision."""
    with jax.enable_x64(True):
        reference, length = jnp.asarray(PRE), jnp.asarray(LENGTH)
        behaviour = {
            "luce": behaviours.luce,
            "dpo": behaviours.dpo(4.0, reference),
            "geometric": behaviours.geometric(0.25, reference),
            "length": behaviours.length_normalised(length, 50.0),
        }[assumed]

        def model(comparisons):
            score = behaviour(rewards.item_table(comparisons, scale=30.0))[comparisons.shown]
            bp.observe(comparisons, choices.logit(score))

        data = expected_answers(Annotator(P, BEHAVIOURS[annotator]), 6)
        # Items that hardly ever win have a skewed posterior; only the mode is asked for.
        with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
            fit = bp.laplace(jax.random.key(0), model, data, draws=10, proposals=100)
        learnt = np.exp(fit["mode"]["log_density"].values)
    np.testing.assert_allclose(learnt, np.exp(CLOSED[annotator, assumed]), atol=1e-6)


def test_the_design_matters_only_under_misspecification():
    design = np.random.default_rng(0).uniform(0.1, 2, (6, 6))
    one, other = Annotator(P), Annotator(PRE)
    np.testing.assert_allclose(limits.density(one), limits.density(one, design=design), atol=1e-12)
    moved = limits.density([one, other]) - limits.density([one, other], design=design)
    assert np.abs(moved).max() > 0.01


def test_the_pooled_score_equation():
    """Weighted expected wins match, and independent pairs give the order of the Borda score."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        population = [Annotator(np.log(rng.dirichlet(np.ones(5))), share=s) for s in rng.dirichlet([1, 1, 1])]
        mass = rng.dirichlet(np.ones(5))
        r = limits.scores(population, design=mass)
        wins = expit(r[:, None] - r) - limits.choice_probabilities(population)
        assert np.abs((np.outer(mass, mass) * wins).sum(1)).max() < 1e-8
        assert (np.argsort(r) == np.argsort(limits.borda(population, design=mass))).all()


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.5, 0.5), (0.30023, 0.39954, 0.30023)), ((0.4, 0.6), (0.232852, 0.393890, 0.373258))],
)
def test_the_compromise_wins(shares, expected):
    likes = [np.log([0.80, 0.19, 0.01]), np.log([0.01, 0.19, 0.80])]
    population = [Annotator(p, share=share) for p, share in zip(likes, shares, strict=True)]
    np.testing.assert_allclose(np.exp(limits.density(population)), expected, atol=6e-6)
    if shares == (0.5, 0.5):
        assert abs(limits.choice_probabilities(population)[0, 1] - 0.429040) < 1e-6


def test_small_heterogeneity_learns_the_geometric_pool():
    """The logit of E sigmoid(D) is m - m Var / 4 - mu_3 / 12 + O(D^5): halving D divides the error by 2^5."""
    d, w = np.array([2.0, -1.0]), np.array([0.3, 0.7])
    errors = []
    for scale in (1.0, 0.5, 0.25):
        m = w @ (scale * d)
        mu2, mu3 = w @ (scale * d - m) ** 2, w @ (scale * d - m) ** 3
        population = [Annotator(np.array([x, 0.0]), share=s) for x, s in zip(scale * d, w, strict=True)]
        r = limits.scores(population)
        errors.append(abs(r[0] - r[1] - (m - m * mu2 / 4 - mu3 / 12)))
    assert 20 < errors[0] / errors[1] < 45 and 24 < errors[1] / errors[2] < 40


def test_ipo_is_a_borda_tilt():
    mass = np.exp(PRE)
    learnt = limits.ipo(Annotator(P), tau=0.5, log_reference=PRE, design=mass)
    win = limits.choice_probabilities(Annotator(P))

    def loss(r):
        h = r[:, None] - r - (PRE[:, None] - PRE)
        return np.sum(np.outer(mass, mass) * (win * (h - 1) ** 2 + win.T * (h + 1) ** 2))

    found = scipy.optimize.minimize(loss, PRE, method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(np.exp(normalise(found.x)), np.exp(learnt), atol=1e-6)
    assert np.ptp(learnt - PRE) <= 1 / 0.5


# ---- the paper's toy ---------------------------------------------------------------------------------

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]
MIX, REF = toys.preference(X), toys.reference(X)
DESIGN = np.exp(REF + LINE.log_weight)
TWO = [Annotator(toys.narrow(X), share=0.4), Annotator(toys.wide(X), share=0.6)]
DPO4 = behaviours.dpo(4.0, REF)
TABLE = {
    "p*": (Annotator(MIX), behaviours.luce, 0.6383, 0.2394, 0.5000, 2.574),
    "dpo 1": (Annotator(MIX), behaviours.dpo(1.0, REF), 0.6442, 0.2427, 0.429, 2.524),
    "dpo 4": (Annotator(MIX), DPO4, 0.2070, 0.1646, 1.060, 2.573),
    "dpo 16": (Annotator(MIX), behaviours.dpo(16.0, REF), 0.1165, 0.1145, 1.047, 3.188),
    "geometric 1/4": (Annotator(MIX), behaviours.geometric(0.25, REF), 0.2051, 0.1621, 1.125, 2.615),
    "geometric 1/16": (Annotator(MIX), behaviours.geometric(1 / 16, REF), 0.1156, 0.1132, 1.079, 3.220),
    "luce on dpo 4": (Annotator(MIX, DPO4), behaviours.luce, 2.942, 0.0594, -2.118, 1.367),
}


def check_row(log_density, left, right, mean, sd):
    density = np.exp(log_density)
    assert abs(density[X < 0].max() - left) < 6e-4 * max(1, left)
    assert abs(density[X > 0].max() - right) < 6e-5 * max(1, 1 / right) / 2
    assert abs(LINE.mean(log_density)[0] - mean) < 6e-4 and abs(LINE.sd(log_density)[0] - sd) < 6e-4


@pytest.mark.parametrize("name", TABLE)
def test_the_papers_limits(name):
    population, assumed, *figures = TABLE[name]
    check_row(limits.density(population, assumed, log_weight=LINE.log_weight), *figures)


@pytest.mark.parametrize(
    ("tau", "figures"),
    [
        (0.1, (0.5207, 0.2484, 0.599, 2.511)),
        (0.5, (0.1478, 0.1300, 0.695, 3.459)),
        (1.0, (0.1085, 0.1040, 0.421, 3.908)),
    ],
)
def test_ipo_on_the_papers_toy(tau, figures):
    options = {"log_reference": REF, "log_weight": LINE.log_weight, "design": DESIGN}
    check_row(limits.ipo(Annotator(MIX), tau=tau, **options), *figures)


def test_one_annotator_assumed_of_two():
    density = np.exp(limits.density(TWO, log_weight=LINE.log_weight, design=DESIGN))
    assert abs(X[density.argmax()] - 1.50) < 0.026 and abs(density.max() - 0.1366) < 6e-5
    assert (np.diff(np.sign(np.diff(density))) != 0).sum() == 1  # unimodal
    assert abs(LINE.mean(np.log(density))[0] - 0.616) < 6e-4
    score = limits.scores(TWO, design=DESIGN)
    assert abs(limits.cross_entropy(TWO, score, design=DESIGN) - 0.53598) < 1e-4
    assert abs(limits.cross_entropy(TWO, design=DESIGN) - 0.42324) < 1e-4
    assert abs(limits.cross_entropy(TWO, MIX, design=DESIGN) - 2.694) < 2e-3
    uniform = np.exp(limits.density(TWO, log_weight=LINE.log_weight, design=np.exp(LINE.log_weight)))
    assert abs(X[uniform.argmax()] - 1.30) < 0.026 and abs(uniform.max() - 0.1415) < 6e-5


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: limits.scores([]), "at least one annotator"),
        (lambda: limits.scores([Annotator(P), Annotator(P[:3])]), "same points"),
        (lambda: limits.scores(Annotator(np.array([0.0, -np.inf]))), "finite"),
        (lambda: limits.scores(Annotator(P, share=0.0)), "positive"),
        (lambda: limits.scores(Annotator(P), design=np.kron(np.eye(2), np.ones((3, 3)))), "2 groups"),
        (lambda: limits.density(Annotator(P), behaviours.pbde(-1.0)), "f > 0"),
        (lambda: limits.scores(Annotator(P), design=np.ones((2, 2))), "weights of pairs"),
        (lambda: behaviours.dpo(0.0, PRE), "beta is positive"),
        (lambda: behaviours.geometric(-1.0, PRE), "alpha is positive"),
        (lambda: behaviours.length_normalised(np.array([1.0, 0.0]), 1.0), "length is positive"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()


# ---- losses are not likelihoods ----------------------------------------------------------------------


def test_losses_are_not_negative_logs_of_probabilities():
    for h, total in ((0.0, 0.736), (1.0, 1.018), (3.0, 0.018)):
        loss = losses.ipo(jnp.array([h, 0.0]), tau=0.5, temperature=1.0)
        assert abs(sum(float(jnp.exp(loss.log_prob(jnp.array(y)))) for y in (0, 1)) - total) < 6e-4
    grid = np.linspace(-3, 3, 6001)
    for p in (0.51, 0.99):
        hinge = [
            losses.slic_hf(jnp.stack([grid, 0 * grid], -1), delta=1.0, smoothing=1e-4).losses(s * grid)
            for s in (1, -1)
        ]
        assert abs(grid[np.argmin(p * hinge[0] + (1 - p) * hinge[1])] - 1.0) < 2e-3


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: losses.ipo(jnp.zeros(2), tau=0.0), "tau and temperature are positive"),
        (lambda: losses.slic_hf(jnp.zeros(2), delta=-1.0), "delta is at least 0"),
        (lambda: losses.ipo(jnp.zeros(3), tau=1.0), "two things at a time"),
        (lambda: losses.ipo(jnp.zeros(2), tau=1.0).sample(jax.random.key(0)), "no annotator behaviour"),
        (lambda: losses.ipo(jnp.zeros(2), tau=1.0).probs, "no annotator behaviour"),
    ],
)
def test_losses_refuse(make, match):
    with pytest.raises(ValueError, match=match):
        make()
