"""A cart learns to balance a pole, by REINFORCE: the cart-pole of Barto, Sutton and Anderson (1983), as in Gym's CartPole-v1.

The cart is pushed left or right 50 times a second, with a reward of 1 until the pole leans by 12 degrees or the cart has left
its track, at most 500 times. Pushed at random, the pole stands for 22 steps. Thirty-two carts are simulated at once; what they
get on average is each other's baseline. Afterwards, 100 new ones get more than 475 on average: this counts as solved.

Run: python examples/cart_pole.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim
from numgrad.distributions import Categorical

LIMIT, DISCOUNT = 500, 0.99


def push(state, action):
    """States (place, speed, angle, turning) [N, 4] 0.02 s later; an action [N] is 0, to the left, or 1, to the right."""
    _, speed, angle, turning = state.unbind(1)
    sine, cosine = angle.sin(), angle.cos()
    # SI units: cart 1 kg, pole 0.1 kg and 1 m, force 10 N, gravity 9.8 m/s².
    thrust = (20.0 * action - 10.0 + 0.05 * turning**2 * sine) / 1.1
    lean = (9.8 * sine - cosine * thrust) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    return state + 0.02 * ng.stack([speed, thrust - 0.05 * lean * cosine / 1.1, turning, lean], 1)


@ng.no_grad()
def play(policy, carts):
    """Until all have fallen: states [T, N, 4], actions [T, N], and 1 where a cart still stood [T, N]."""
    state, stands = 0.1 * ng.rand(carts, 4) - 0.05, ng.ones(carts)
    states, actions, stood = [], [], []
    while len(states) < LIMIT and stands.any():
        action = Categorical(logits=policy(state)).sample()
        states.append(state)
        actions.append(action)
        stood.append(stands)
        state = push(state, action)
        stands = stands * (state[:, 0].abs() < 2.4) * (state[:, 2].abs() < 0.2095)
    return ng.stack(states), ng.stack(actions), ng.stack(stood)


def advantages(stood):
    """Discounted rewards to come, less the mean of the carts that stand at the same step, in standard deviations: [T, N]."""
    returns = stood.clone()
    for t in range(len(stood) - 2, -1, -1):
        returns[t] += DISCOUNT * returns[t + 1]
    better = (returns - returns.sum(1, keepdim=True) / stood.sum(1, keepdim=True)) * stood
    return better / (better.square().sum() / stood.sum()).sqrt().clamp(min=1e-6)


def main(seed=0, out=None, updates=60):
    ng.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = optim.Adam(policy.parameters(), lr=2e-2)
    rewards = []
    for update in range(updates):
        states, actions, stood = play(policy, 32)
        chosen = Categorical(logits=policy(states)).log_prob(actions)
        loss = -(chosen * advantages(stood)).sum() / stood.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(stood.sum(0).mean().item())
        if update % 10 == 9:
            print(f"update {update + 1}  reward {rewards[-1]:.0f}")
    states, _, stood = play(policy, 100)
    print(f"mean reward {stood.sum(0).mean():.1f} of {LIMIT} for 100 new carts")
    if out:
        draw(out, rewards, states)


def draw(out, rewards, states):
    """The mean reward in training, and where three carts and their poles are in time."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    viz.curves(rewards, ax=left, xlabel="update", ylabel="mean reward")
    for ax, column, name in ((middle, 0, "place, m"), (right, 2, "angle, rad")):
        ax.plot(states[:, :3, column].numpy(), linewidth=0.8)
        ax.set(xlabel="step", ylabel=name)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
