"""The gradient of each sample by itself, in two ways, and what it is good for. Run: python examples/per_sample_gradients.py"""

import numgrad as ng
from numgrad import nn
from numgrad.func import functional_call, grad, vmap


def main() -> tuple[float, int]:
    """The largest difference between the two ways, and which sample is the odd one."""
    ng.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    x = ng.randn(16, 3)
    y = x.sum(1, keepdim=True)
    y[5] += 10  # a wrong label

    # One: a function of the parameters, differentiated, for each of the samples.
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters: dict, one_x: ng.Tensor, one_y: ng.Tensor) -> ng.Tensor:
        found = functional_call(model, parameters, (one_x.unsqueeze(0),))
        return (found - one_y.unsqueeze(0)).square().sum()

    by_transform = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)

    # Two: backward, once for each sample.
    losses = (model(x) - y).square().sum(1)
    by_backward = [ng.autograd.grad(each, list(model.parameters()), retain_graph=True) for each in losses]

    gap = 0.0
    for place, name in enumerate(parameters):
        stacked = ng.stack([grads[place] for grads in by_backward])
        gap = max(gap, (stacked - by_transform[name]).abs().max().item())

    # Samples that pull much harder than the others are worth a look.
    norms = sum(g.reshape(len(x), -1).square().sum(1) for g in by_transform.values()).sqrt()
    odd = int(norms.argmax())
    print(f"both agree to {gap:.1e}; sample {odd} pulls {norms.max() / norms.mean():.1f} times as hard as the average")
    return gap, odd


if __name__ == "__main__":
    main()
