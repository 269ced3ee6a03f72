"""Optimization, fits, an implicit layer and an ODE by SciPy, with derivatives by numgrad, by torch and by JAX, in one process.

Each side gives the same SciPy solver the same functions; numgrad's are run twice, as they are and with ``jit=True``, JAX's are
under ``jax.jit``. Times are of whole solutions, after one that compiles, in alternating turns. The last column is the error of
numgrad's gradient, relative to central differences of the solution (of the function, for the minimizations).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate, optimize

import numgrad as ng
from benchmarks import common

Solve = Callable[[], Any]


def _difference(function: Callable[[Any], Any], at: Any, direction: Any, step: float = 1e-5) -> float:
    return float((function(at + step * direction) - function(at - step * direction)) / (2 * step))


def _error(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / max(abs(theirs), 1e-30)


def _rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def _minimize(method: str, options: dict[str, Any]) -> tuple[dict[str, Solve], Callable[[], float]]:
    start = np.tile([-1.2, 1.0], 500)

    def ours(jit: bool) -> Solve:
        return lambda: ng.scipy.minimize(_rosenbrock, start, method=method, options=options, jit=jit)

    def theirs(pair: Any, product: Any) -> Solve:
        more = {"hessp": product} if method == "Newton-CG" else {}
        return lambda: optimize.minimize(pair, start, jac=True, method=method, options=options, **more)

    sides = {"numgrad": ours(False), "numgrad, jit": ours(True)}
    if common.has("torch"):
        import torch

        def pair(vector: Any) -> Any:
            x = torch.tensor(vector, requires_grad=True)
            value = _rosenbrock(x)
            return value.item(), torch.autograd.grad(value, x)[0].numpy()

        def product(vector: Any, direction: Any) -> Any:
            x = torch.tensor(vector, requires_grad=True)
            (gradient,) = torch.autograd.grad(_rosenbrock(x), x, create_graph=True)
            return torch.autograd.grad(gradient, x, torch.tensor(direction))[0].numpy()

        sides["torch"] = theirs(pair, product)
    if common.has("jax"):
        import jax

        both = jax.jit(jax.value_and_grad(_rosenbrock))
        along = jax.jit(lambda x, v: jax.jvp(jax.grad(_rosenbrock), (x,), (v,))[1])

        def jax_pair(vector: Any) -> Any:
            value, gradient = both(vector)
            return float(value), np.asarray(gradient)

        sides["JAX"] = theirs(jax_pair, lambda x, v: np.asarray(along(x, v)))

    def error() -> float:
        rng = np.random.default_rng(0)
        direction = rng.normal(size=1000)
        gradient = ng.func.grad(_rosenbrock)(ng.tensor(start)).numpy()
        return _error(gradient @ direction, _difference(optimize.rosen, start, direction))

    return sides, error


def lbfgsb() -> tuple[dict[str, Solve], Callable[[], float]]:
    """500 iterations."""
    return _minimize("L-BFGS-B", {"maxiter": 500, "maxfun": 10_000})


def newton_cg() -> tuple[dict[str, Solve], Callable[[], float]]:
    """100 iterations."""
    return _minimize("Newton-CG", {"maxiter": 100})


def fit() -> tuple[dict[str, Solve], Callable[[], float]]:
    """Three Gaussian peaks on a slope, 11 parameters, 400 points."""
    t = np.linspace(0, 10, 400)
    truth = np.array([1.0, 2.0, 0.5, 2.0, 5.0, 0.8, 0.7, 8.0, 0.4, 0.1, 0.02])
    start = truth + 0.1

    def model(p: Any, t: Any, exp: Any) -> Any:
        peaks = [p[3 * k] * exp(-(((t - p[3 * k + 1]) / p[3 * k + 2]) ** 2)) for k in range(3)]
        return peaks[0] + peaks[1] + peaks[2] + p[9] + p[10] * t

    seen = model(truth, t, np.exp) + 0.01 * np.random.default_rng(0).normal(size=len(t))
    time_, data = ng.tensor(t), ng.tensor(seen)

    def residual(p: Any) -> Any:
        return model(p, time_, ng.exp) - data

    def ours(jit: bool) -> Solve:
        return lambda: ng.scipy.least_squares(residual, start, jit=jit)

    sides = {"numgrad": ours(False), "numgrad, jit": ours(True)}
    if common.has("torch"):
        import torch

        tt, td = torch.tensor(t), torch.tensor(seen)
        slope = torch.func.jacfwd(lambda p: model(p, tt, torch.exp) - td)
        sides["torch"] = lambda: optimize.least_squares(
            lambda p: (model(torch.tensor(p), tt, torch.exp) - td).numpy(),
            start,
            jac=lambda p: slope(torch.tensor(p)).numpy(),
        )
    if common.has("jax"):
        import jax
        import jax.numpy as jnp

        value = jax.jit(lambda p: model(p, jnp.asarray(t), jnp.exp) - jnp.asarray(seen))
        jacobian = jax.jit(jax.jacfwd(lambda p: model(p, jnp.asarray(t), jnp.exp) - jnp.asarray(seen)))
        sides["JAX"] = lambda: optimize.least_squares(
            lambda p: np.asarray(value(p)), start, jac=lambda p: np.asarray(jacobian(p))
        )

    def error() -> float:
        jacobian = ng.func.jacfwd(residual)(ng.tensor(start)).numpy()
        columns = [
            (model(start + s, t, np.exp) - model(start - s, t, np.exp)) / 2e-6 for s in 1e-6 * np.eye(len(start))
        ]
        return float(np.abs(jacobian - np.stack(columns, 1)).max() / np.abs(jacobian).max())

    return sides, error


def equilibrium() -> tuple[dict[str, Solve], Callable[[], float]]:
    """z = tanh(W z + U x): the solution and its gradients by W and x, 50 unknowns."""
    rng = np.random.default_rng(0)
    W, x = 0.4 * rng.normal(size=(50, 50)) / np.sqrt(50), rng.normal(size=50)
    ours_W, ours_x = ng.tensor(W, requires_grad=True), ng.tensor(x, requires_grad=True)
    zero = ng.zeros(50, dtype=ng.float64)

    def ours() -> Any:
        z = ng.implicit.fixed_point(lambda z, W, x: (W @ z + x).tanh(), zero, ours_W, ours_x, tol=1e-12)
        return ng.autograd.grad(z.square().sum(), [ours_W, ours_x])

    sides: dict[str, Solve] = {"numgrad": ours}
    if common.has("torch"):
        import torch

        tW, tx = torch.tensor(W, requires_grad=True), torch.tensor(x, requires_grad=True)

        def theirs() -> Any:
            with torch.no_grad():
                z = torch.zeros(50, dtype=torch.float64)
                while (after := (tW @ z + tx).tanh()).sub(z).abs().max() > 1e-12:
                    z = after
            z0 = z.clone().requires_grad_()
            f = (tW @ z0 + tx).tanh()
            J = torch.autograd.functional.jacobian(lambda z: (tW @ z + tx).tanh(), z, vectorize=True)
            u = torch.linalg.solve((torch.eye(50, dtype=torch.float64) - J).T, 2 * z)
            return torch.autograd.grad(f, [tW, tx], u)

        sides["torch"] = theirs
    if common.has("jax"):
        import jax
        import jax.numpy as jnp

        def step(z: Any, W: Any, x: Any) -> Any:
            return jnp.tanh(W @ z + x)

        @jax.jit
        def gradient(W: Any, x: Any) -> Any:
            going = lambda pair: jnp.abs(pair[0] - pair[1]).max() > 1e-12  # noqa: E731
            z, _ = jax.lax.while_loop(going, lambda pair: (step(pair[0], W, x), pair[0]), (step(x * 0, W, x), x * 0))
            u = jnp.linalg.solve((jnp.eye(50) - jax.jacfwd(step)(z, W, x)).T, 2 * z)
            return jax.vjp(lambda W, x: step(z, W, x), W, x)[1](u)

        sides["JAX"] = lambda: jax.block_until_ready(gradient(W, x))

    def value(x: Any) -> Any:
        z = np.zeros(50)
        for _ in range(500):
            z = np.tanh(W @ z + x)
        return (z**2).sum()

    def error() -> float:
        return _error(ours()[1].numpy() @ x, _difference(value, x, x))

    return sides, error


def ode() -> tuple[dict[str, Solve], Callable[[], float]]:
    """The loss of Lotka and Volterra's equations at 20 times and its gradient by four rates and two starts, by adjoints."""
    times = np.linspace(0.5, 10, 20)
    p0 = np.array([1.1, 0.4, 0.1, 0.4, 10.0, 5.0])

    def side(y: Any, p: Any, stack: Any) -> Any:
        return stack([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

    def plain(p: Any) -> Any:
        y = integrate.solve_ivp(
            lambda t, y: side(y, p, np.array), (0, 10), p[4:], "DOP853", times, rtol=1e-12, atol=1e-12
        ).y
        return (y**2).mean()

    def ours(jit: bool) -> Solve:
        def solve() -> Any:
            p = ng.tensor(p0, requires_grad=True)
            result = ng.scipy.solve_ivp(
                lambda t, y, p: side(y, p, ng.stack),
                (0, 10),
                p[4:],
                t_eval=times,
                args=(p,),
                rtol=1e-7,
                atol=1e-8,
                jit=jit,
            )
            return ng.autograd.grad(result.y.square().mean(), p)[0]

        return solve

    def adjoint(value: Any, product: Any) -> Solve:
        """The same equations for another library's products: (y, p, a) -> (a df/dy, a df/dp)."""

        def solve() -> Any:
            how = {"rtol": 1e-7, "atol": 1e-8, "dense_output": True}
            forward = integrate.solve_ivp(lambda t, y: value(y, p0), (0, 10), p0[4:], **how)
            y = forward.sol(times)
            rows, a, gradient = 2 * y.T / y.size, np.zeros(2), np.zeros(6)
            nodes, weights = np.polynomial.legendre.leggauss(5)
            for k in range(len(times) - 1, -1, -1):
                a = a + rows[k]
                span = (times[k], times[k - 1] if k else 0.0)
                back = integrate.solve_ivp(lambda t, a: -product(forward.sol(t), p0, a)[0], span, a, **how)
                ends = np.unique([*back.t, *(t for t in forward.sol.ts if span[1] < t < span[0])])
                for low, high in itertools.pairwise(ends):
                    for node, weight in zip(nodes, weights, strict=True):
                        t = low + (high - low) / 2 * (1 + node)
                        gradient += (high - low) / 2 * weight * product(forward.sol(t), p0, back.sol(t))[1]
                a = back.y[:, -1]
            gradient[4:] += a
            return gradient

        return solve

    sides = {"numgrad": ours(False), "numgrad, jit": ours(True)}
    if common.has("torch"):
        import torch

        def torch_product(y: Any, p: Any, a: Any) -> Any:
            y, p = torch.tensor(y, requires_grad=True), torch.tensor(p, requires_grad=True)
            return [each.numpy() for each in torch.autograd.grad(side(y, p, torch.stack), [y, p], torch.tensor(a))]

        sides["torch"] = adjoint(
            lambda y, p: side(torch.tensor(y), torch.tensor(p), torch.stack).numpy(), torch_product
        )
    if common.has("jax"):
        import jax
        import jax.numpy as jnp

        value = jax.jit(lambda y, p: side(y, p, jnp.stack))
        product = jax.jit(lambda y, p, a: jax.vjp(lambda y, p: side(y, p, jnp.stack), y, p)[1](a))
        sides["JAX"] = adjoint(
            lambda y, p: np.asarray(value(y, p)), lambda y, p, a: [np.asarray(each) for each in product(y, p, a)]
        )

    def error() -> float:
        gradient = ours(False)().numpy()
        direction = np.array([0.3, -0.2, 0.1, 0.2, 1.0, -1.0])
        return _error(gradient @ direction, _difference(plain, p0, direction))

    return sides, error


CASES = {
    "Rosenbrock, 1,000 dimensions, L-BFGS-B, 500 iterations": lbfgsb,
    "Rosenbrock, 1,000 dimensions, Newton-CG, 100 iterations": newton_cg,
    "fit of three peaks, 11 parameters, 400 points": fit,
    "equilibrium of 50 unknowns, with gradients": equilibrium,
    "Lotka-Volterra at 20 times, gradient by adjoints": ode,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="words of the cases' names")
    arguments = parser.parse_args()
    ng.set_num_threads(1)
    if common.has("torch"):
        import torch

        torch.set_num_threads(1)
    if common.has("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
    print("| solution | numgrad, ms | numgrad, jit | torch | JAX | torch ÷ jit | JAX ÷ jit | gradient's error |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, make in CASES.items():
        if arguments.only and not any(word in name for word in arguments.only):
            continue
        sides, error = make()
        for solve in sides.values():
            solve()
        spent: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, solve in sides.items():
                begin = time.perf_counter()
                solve()
                spent[side].append(time.perf_counter() - begin)
        ms = {side: 1e3 * statistics.median(each) for side, each in spent.items()}
        best = ms.get("numgrad, jit", ms["numgrad"])
        cells = [f"{ms[side]:.1f}" if side in ms else "" for side in ("numgrad", "numgrad, jit", "torch", "JAX")]
        ratios = [f"{ms[side] / best:.2f}" if side in ms else "" for side in ("torch", "JAX")]
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(ratios)} | {error():.1e} |", flush=True)


if __name__ == "__main__":
    main()
