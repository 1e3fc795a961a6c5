"""The cases in Stan, through PyStan: the same models and priors as bayespref's gallery.

Run by side_by_side.py in the peers' environment:
python by_stan.py CASE DATA CHAINS WARMUP DRAWS CACHE SEED...
Prints one line of JSON for each seed.
"""

import sys
import time

import numpy as np
import stan
from quality import tell

# The zero-sum prior of sd s has density s^-(K - 1): normal_lpdf counts K.
PAIRS = """
data { int K; int P; array[P] int first; array[P] int second; array[P] int count; array[P] int wins; }
parameters { real<lower=0> scale; sum_to_zero_vector[K] worth; }
model {
  scale ~ normal(0, 1.5);
  worth ~ normal(0, scale);
  target += log(scale);
  wins ~ binomial_logit(count, worth[first] - worth[second]);
}
"""
RATIONALITY = """
data { int K; int A; int N; array[N] int first; array[N] int second; array[N] int who; array[N] int won; }
parameters { real<lower=0> scale; sum_to_zero_vector[K] worth; real<lower=0> sd; vector[A] raw; }
transformed parameters { vector[A] log_rationality = sd * raw; }
model {
  scale ~ normal(0, 1.5);
  worth ~ normal(0, scale);
  target += log(scale);
  sd ~ normal(0, 0.5);
  raw ~ std_normal();
  vector[A] beta = exp(log_rationality);
  won ~ bernoulli_logit(beta[who] .* (worth[first] - worth[second]));
}
"""
MIXED = """
data { int D; int A; int N; matrix[N, D] x; array[N] int who; array[N] int won; }
parameters {
  vector[D] coefficient; vector<lower=0>[D] sd; cholesky_factor_corr[D] factor; matrix[D, A] raw;
}
model {
  coefficient ~ std_normal();
  sd ~ std_normal();
  factor ~ lkj_corr_cholesky(2);
  to_vector(raw) ~ std_normal();
  matrix[A, D] taste = (diag_pre_multiply(sd, factor) * raw)';
  won ~ bernoulli_logit(x * coefficient + rows_dot_product(x, taste[who]));
}
"""
CAMPS = """
data { int K; int A; int N; array[N] int first; array[N] int second; array[N] int who; vector[N] sign; }
parameters { real<lower=0> scale; simplex[2] weight; array[2] sum_to_zero_vector[K] worth; }
model {
  scale ~ normal(0, 1.5);
  weight ~ dirichlet([2, 2]');
  array[2] vector[A] total;
  for (h in 1:2) {
    worth[h] ~ normal(0, scale);
    target += log(scale);
    total[h] = rep_vector(log(weight[h]), A);
    vector[N] each = log_inv_logit(sign .* (worth[h][first] - worth[h][second]));
    for (n in 1:N) total[h][who[n]] += each[n];
  }
  for (a in 1:A) target += log_sum_exp(total[1][a], total[2][a]);
}
"""
TARGET = 0.8
PROGRAMS = {"a": PAIRS, "b": PAIRS, "c": RATIONALITY, "d": MIXED, "e": CAMPS}


def arrays(case, data):
    """Data as the programs name them, counted from 1."""
    found = {name: data[name] + 1 for name in ("first", "second", "who") if name in data}
    if case in ("a", "b"):
        return {
            "K": data["items"],
            "P": len(data["first"]),
            "count": data["count"],
            "wins": data["wins"],
            **found,
        }
    sizes = {"A": data["annotators"], "N": len(data["won"])}
    if case == "d":
        within = data["features"] - data["features"].mean(1, keepdims=True)
        unit = np.sqrt((within**2).mean((0, 1)))
        x = (data["features"][:, 0] - data["features"][:, 1]) / unit
        return {"D": x.shape[1], "x": x, "won": data["won"], "who": found["who"], **sizes}
    answered = {"won": data["won"]} if case == "c" else {"sign": 2.0 * data["won"] - 1}
    return {"K": data["items"], **sizes, **answered, **found}


def main():
    """Time from arrays in memory to draws, for each seed."""
    case, path, chains, warmup, draws, _, *seeds = sys.argv[1:]
    given = {name: np.asarray(value).tolist() for name, value in arrays(case, dict(np.load(path))).items()}
    for seed in map(int, seeds):
        start = time.perf_counter()
        posterior = stan.build(PROGRAMS[case], data=given, random_seed=seed + 1)
        compilation = time.perf_counter() - start
        lengths = {"num_chains": int(chains), "num_warmup": int(warmup), "num_samples": int(draws)}
        fit = posterior.sample(**lengths, delta=TARGET)
        seconds = time.perf_counter() - start
        wanted = [name for name in fit.param_names if name not in ("raw", "factor")]
        found = {name: _by_chain(fit[name], int(draws), int(chains)) for name in wanted}
        steps = float(fit["n_leapfrog__"].sum())
        common = "coefficient" if case == "d" else "worth"
        tell(found, common, seconds=seconds, compilation=compilation, steps=steps)


def _by_chain(value, draws, chains):
    """(chain, draw, ...) from PyStan's (..., draw of all chains, interleaved)."""
    return np.moveaxis(value.reshape(*value.shape[:-1], draws, chains), (-1, -2), (0, 1))


if __name__ == "__main__":
    main()
