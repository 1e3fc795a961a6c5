"""The Bayesian reward on embeddings in PyTorch: python by_torch.py FOLDER BATCH STEPS

Run by embedding_reward.py in the peers' environment. Mean-field normal q over coefficients and their scale,
as bayespref's guide "normal": one draw a step by reparametrisation, the batch scaled to all answers, Adam
with the same cosine schedule. Prints one line of JSON: answers a second after ten steps of warm-up, and the
log loss of the posterior mean on every answer.
"""

import json
import sys
import time

import numpy as np
import torch


def main():
    """Train, time, judge."""
    folder, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(0)
    features = torch.from_numpy(np.load(f"{folder}/features.npy"))
    pairs = torch.from_numpy(np.load(f"{folder}/pairs.npy"))
    won = torch.from_numpy(np.load(f"{folder}/won.npy")).float()
    unit = torch.from_numpy(np.load(f"{folder}/unit.npy"))
    size, answers = features.shape[1], len(pairs)
    place = torch.zeros(size + 1, requires_grad=True)
    spread = torch.full((size + 1,), np.log(0.1), requires_grad=True)
    optimiser = torch.optim.Adam([place, spread], lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def loss(rows):
        draw = place + torch.exp(spread) * torch.randn(size + 1)
        weights, log_scale = draw[:size], draw[size]
        total = torch.exp(log_scale)
        difference = features[pairs[rows, 0]] - features[pairs[rows, 1]]
        score = (difference / unit) @ weights
        fit = -torch.nn.functional.softplus(torch.where(won[rows] > 0, -score, score)).mean() * answers
        sd = total / size**0.5
        prior = (-0.5 * (weights / sd) ** 2 - torch.log(sd)).sum() - 0.5 * total**2 + log_scale
        return -(fit + prior + spread.sum())

    for step in range(steps):
        if step == 10:
            start = time.perf_counter()
        optimiser.zero_grad()
        loss(torch.randint(answers, (batch,))).backward()
        optimiser.step()
        schedule.step()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        reward = features @ (place[:size] / unit)
        score = reward[pairs[:, 0]] - reward[pairs[:, 1]]
        log_loss = torch.nn.functional.softplus(torch.where(won > 0, -score, score)).mean()
    throughput = batch * (steps - 10) / seconds
    print(json.dumps({"answers a second": throughput, "log loss": float(log_loss)}))


if __name__ == "__main__":
    main()
