"""How often something comes, by variational inference, and the exact posterior beside it. Run: python examples/posterior.py"""

import numgrad as ng
from numgrad.distributions import Gamma, Poisson, constraints, kl_divergence, transform_to
from numgrad.optim import Adam


def main(steps=600):
    ng.manual_seed(0)
    counts = Poisson(3.0).sample((20,))
    prior = Gamma(2.0, 1.0)
    exact = Gamma(2.0 + counts.sum(), 1.0 + counts.numel())  # gamma distributions are conjugate to Poisson's

    # Two real numbers stand for the concentration and the rate of the approximation.
    numbers = ng.zeros(2, requires_grad=True)
    to_positive = transform_to(constraints.positive)
    optimizer = Adam([numbers], lr=0.1)
    for step in range(steps):
        posterior = Gamma(*to_positive(numbers))
        rates = posterior.rsample((32,))  # differentiable by both
        likelihood = Poisson(rates.unsqueeze(-1)).log_prob(counts).sum(-1).mean()
        bound = likelihood - kl_divergence(posterior, prior)
        optimizer.zero_grad()
        (-bound).backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step:3}  evidence at least {bound.item():.2f}")
    with ng.no_grad():
        posterior = Gamma(*to_positive(numbers))
        for name, each in (("fitted", posterior), ("exact", exact)):
            print(f"{name:6}  rate {each.mean.item():.3f} +- {each.stddev.item():.3f}")
        return kl_divergence(posterior, exact).item()


if __name__ == "__main__":
    main()
