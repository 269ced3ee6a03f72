"""A cart learns to balance a pole, by REINFORCE. Run: python examples/cart_pole.py [--out FILE] [--seed N]

The cart-pole of Barto, Sutton and Anderson (1983) as in Gym's CartPole-v1: pushed left or right 50 times a second, a reward
of 1 for each step until the pole leans by 12 degrees or the cart leaves its track, 500 steps at most. 32 carts are simulated
at once, and the policy gradient takes their mean return at each step as its baseline. A random policy stands for 22 steps.
Expected: a mean above 475 over 100 new episodes, where the problem counts as solved.
"""

import argparse
import math

import numgrad as ng
from numgrad import nn
from numgrad.distributions import Categorical

CARTS, LIMIT, UPDATES, DISCOUNT = 32, 500, 60, 0.99


def push(state, action):
    """States [N, 4] (place, speed, angle, turning) 0.02 s later; action is 0 for left and 1 for right."""
    place, speed, angle, turning = state.unbind(1)
    force = 20.0 * action - 10.0
    sine, cosine = angle.sin(), angle.cos()  # cart 1 kg, pole 0.1 kg and 2 * 0.5 m, gravity 9.8 m/s²
    common = (force + 0.05 * turning**2 * sine) / 1.1
    lean = (9.8 * sine - cosine * common) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    drive = common - 0.05 * lean * cosine / 1.1
    change = ng.stack([speed, drive, turning, lean], 1)
    return state + 0.02 * change


def standing(state):
    return (state[:, 0].abs() < 2.4) & (state[:, 2].abs() < math.radians(12))


@ng.no_grad()
def play(policy, carts):
    """Plays until all have fallen: states [T, N, 4], actions and whether each cart stood then [T, N]."""
    state, alive = ng.rand(carts, 4) * 0.1 - 0.05, ng.ones(carts, dtype=ng.bool)
    states, actions, lived = [], [], []
    while len(states) < LIMIT and alive.any():
        action = Categorical(logits=policy(state)).sample()
        states.append(state), actions.append(action), lived.append(alive)
        state = push(state, action)
        alive = alive & standing(state)
    return ng.stack(states), ng.stack(actions), ng.stack(lived).float()


def advantages(lived):
    """Discounted rewards to come, less what carts that stand at that step get on average, in units of their spread."""
    returns, to_come = ng.zeros_like(lived), ng.zeros(lived.shape[1])
    for t in range(len(lived) - 1, -1, -1):
        to_come = lived[t] * (1 + DISCOUNT * to_come)
        returns[t] = to_come
    mean = returns.sum(1, keepdim=True) / lived.sum(1, keepdim=True)
    better = (returns - mean) * lived
    return better / ((better**2).sum() / lived.sum()).sqrt().clamp(min=1e-6)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = ng.optim.Adam(policy.parameters(), lr=2e-2)
    rewards = []
    for update in range(UPDATES):
        states, actions, lived = play(policy, CARTS)
        chosen = Categorical(logits=policy(states)).log_prob(actions)
        loss = -(chosen * advantages(lived)).sum() / lived.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(lived.sum(0).mean().item())
        if update % 10 == 0:
            print(f"update {update:3}  mean reward {rewards[-1]:.0f}")
    reward = play(policy, 100)[2].sum(0).mean().item()
    print(f"mean reward {reward:.1f} of 500 over 100 new episodes")
    return reward


if __name__ == "__main__":
    main()
