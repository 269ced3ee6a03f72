"""The programs as users of JAX write them: scans and operations on whole arrays in the place of loops.

Not here: `ode_adaptive` and `quadrature`, whose numbers of turns are found while they run, which JAX cannot reverse.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import logsumexp


def soft_dtw(x, y, gamma):
    cost = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    first = jnp.full(y.shape[0] + 1, 1e10).at[0].set(0.0)

    def row(above, costs):
        def cell(left, each):
            c, diagonal, up = each
            value = c - gamma * logsumexp(-jnp.stack([diagonal, up, left]) / gamma)
            return value, value

        _, line = lax.scan(cell, jnp.asarray(1e10), (costs, above[:-1], above[1:]))
        return jnp.concatenate([jnp.asarray([1e10]), line]), None

    return lax.scan(row, first, cost)[0][-1]


def crf(emit, trans):
    def step(alpha, e):
        return logsumexp(alpha[:, None] + trans, axis=0) + e, None

    return logsumexp(lax.scan(step, emit[0], emit[1:])[0])


def viterbi(emit, trans, margin):
    def step(best, e):
        all_ = best[:, None] + trans
        return all_.max(0) + e, all_.argmax(0)

    best, came = lax.scan(step, emit[0], emit[1:])
    last = best.argmax()

    def back(label, places):
        before = places[label]
        return before, trans[before, label] ** 2

    _, squares = lax.scan(back, last, came, reverse=True)
    second = jnp.where(jnp.arange(best.shape[0]) == last, -1e30, best).max()
    return best[last] + margin * jnp.tanh(best[last] - second) + 0.1 * squares.sum()


def _rates(s, p):
    return jnp.stack([p[0] * s[0] - p[1] * s[0] * s[1], p[2] * s[0] * s[1] - p[3] * s[1]])


def ode_rk4(p, u, v, steps, dt):
    def step(carry, _):
        s, loss = carry
        a = _rates(s, p)
        b = _rates(s + 0.5 * dt * a, p)
        c = _rates(s + 0.5 * dt * b, p)
        d = _rates(s + dt * c, p)
        s = s + dt / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        return (s, loss + (s[0] - 1.0) ** 2 * dt), None

    return lax.scan(step, (jnp.stack([u, v]), 0.0), None, length=steps)[0][1]


def n_body(start, speed, mass, steps, dt):
    def step(carry, _):
        pos, vel = carry
        d = pos[None] - pos[:, None]
        r2 = (d * d).sum(-1) + 0.01
        w = mass[None] / (r2 * jnp.sqrt(r2))
        vel = vel + dt * (w[:, :, None] * d).sum(1)
        return (pos + dt * vel, vel), None

    pos = lax.scan(step, (start, speed), None, length=steps)[0][0]
    return (pos * pos).sum()


def stencil(u, kappa, steps, dt):
    def step(w, _):
        c = w[1:-1, 1:-1]
        lap = w[:-2, 1:-1] + w[2:, 1:-1] + w[1:-1, :-2] + w[1:-1, 2:] - 4.0 * c
        return w.at[1:-1, 1:-1].set(c + dt * (kappa[1:-1, 1:-1] * lap + c * (1.0 - c))), None

    w = lax.scan(step, u, None, length=steps)[0]
    return (w * w).sum()


def level_set(phi, speed, steps, dt):
    f = speed[1:-1, 1:-1]

    def step(w, _):
        c = w[1:-1, 1:-1]
        ahead = [w[2:, 1:-1] - c, w[1:-1, 2:] - c]
        behind = [c - w[:-2, 1:-1], c - w[1:-1, :-2]]
        out = sum(jnp.maximum(b, 0.0) ** 2 + jnp.minimum(a, 0.0) ** 2 for a, b in zip(ahead, behind, strict=True))
        back = sum(jnp.minimum(b, 0.0) ** 2 + jnp.maximum(a, 0.0) ** 2 for a, b in zip(ahead, behind, strict=True))
        return w.at[1:-1, 1:-1].set(c - dt * f * jnp.sqrt(jnp.where(f > 0.0, out, back) + 1e-12)), None

    w = lax.scan(step, phi, None, length=steps)[0]
    return (1.0 / (1.0 + jnp.exp(4.0 * w))).sum()


def wave(speed, source, data, dt):
    n, m = speed.shape
    edge = (speed * dt - 1.0) / (speed * dt + 1.0)
    c2 = (speed[1:-1, 1:-1] * dt) ** 2

    def step(carry, each):
        before, now, loss = carry
        push, heard = each
        inner = now[1:-1, 1:-1]
        lap = now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:] - 4.0 * inner
        after = jnp.zeros((n, m)).at[1:-1, 1:-1].set(2.0 * inner - before[1:-1, 1:-1] + c2 * lap)
        after = after.at[n // 2, m // 2].add(push * dt * dt)
        after = after.at[0, 1:-1].set(now[1, 1:-1] + edge[0, 1:-1] * (after[1, 1:-1] - now[0, 1:-1]))
        after = after.at[-1, 1:-1].set(now[-2, 1:-1] + edge[-1, 1:-1] * (after[-2, 1:-1] - now[-1, 1:-1]))
        after = after.at[:, 0].set(now[:, 1] + edge[:, 0] * (after[:, 1] - now[:, 0]))
        after = after.at[:, -1].set(now[:, -2] + edge[:, -1] * (after[:, -2] - now[:, -1]))
        return (now, after, loss + ((after[2] - heard) ** 2).sum()), None

    zero = jnp.zeros((n, m))
    return lax.scan(step, (zero, zero, 0.0), (source, data))[0][2]


def control(controls, states, params, dt):
    gravity, mass, length = params[0], params[1], params[2]

    def one(state):
        def step(carry, u):
            x, v, a, w, total, on = carry
            force = jnp.clip(u, -2.0, 2.0)
            s, c = jnp.sin(a), jnp.cos(a)
            push = (force + mass * length * w * w * s) / (1.0 + mass)
            turn = (gravity * s - c * push) / (length * (4.0 / 3.0 - mass * c * c / (1.0 + mass)))
            shift = push - mass * length * turn * c / (1.0 + mass)
            v1, w1 = v + dt * shift, w + dt * turn
            x1, a1 = x + dt * v1, a + dt * w1
            cost = dt * (x1 * x1 + 5.0 * (1.0 - jnp.cos(a1)) + 0.1 * v1 * v1 + 0.01 * force * force)
            out = jnp.abs(x1) > 4.0
            cost = cost + jnp.where(out, 3.0 * (jnp.abs(x1) - 4.0), 0.0)
            x, v, a, w = (jnp.where(on, new, old) for new, old in ((x1, x), (v1, v), (a1, a), (w1, w)))
            return (x, v, a, w, total + jnp.where(on, cost, 0.0), on & ~out), None

        return lax.scan(step, (*state, 0.0, True), controls)[0][4]

    return jax.vmap(one)(states).sum()


def ray_march(spheres, light, size):
    def distance(p):
        return jnp.min(jnp.sqrt(((p - spheres[:, :3]) ** 2).sum(-1)) - spheres[:, 3])

    def pixel(xy):
        d = jnp.array([xy[0], xy[1], 1.0])
        d = d / jnp.sqrt((d * d).sum())

        def step(carry, _):
            t, going, hit = carry
            near = distance(t * d)
            hit = hit | (going & (near < 1e-3))
            going = going & (near >= 1e-3)
            t = jnp.where(going, t + near, t)
            return (t, going & (t <= 20.0), hit), None

        (t, _, hit), _ = lax.scan(step, (0.0, True, False), None, length=40)
        p = t * d
        e = 1e-3
        base = distance(p)
        g = jnp.stack([distance(p + e * jnp.eye(3)[k]) - base for k in range(3)]) / e
        return jnp.where(hit, jnp.maximum(0.0, g @ light) + 0.1 * t, 0.0)

    each = (jnp.arange(size) + 0.5) / size - 0.5
    grid = jnp.stack(jnp.meshgrid(each, each), -1).reshape(-1, 2)
    return jax.vmap(pixel)(grid).sum()


def kalman(obs, a, q, r):
    n = a.shape[0]

    def step(carry, o):
        x, p, total = carry
        x2 = a @ x
        p2 = a @ p @ a.T + jnp.exp(q) * jnp.eye(n)
        s = p2[0, 0] + jnp.exp(r)
        e = o - x2[0]
        gain = p2[:, 0] / s
        return (x2 + gain * e, p2 - gain[:, None] * p2[0], total - 0.5 * (jnp.log(s) + e * e / s)), None

    return lax.scan(step, (jnp.zeros(n), jnp.eye(n), 0.0), obs)[0][2]


def _uniform(seed, counter):
    z = (seed * 7919 + counter) % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    return (((z // 65536) ^ z) + 0.5) / 4294967296.0


def particle_filter(obs, params, count, seed):
    level, keep, spread = params[0], params[1], params[2]
    each = jnp.arange(count)

    def step(carry, now):
        x, total = carry
        t, o = now
        u, v = _uniform(seed, 2 * (t * count + each)), _uniform(seed, 2 * (t * count + each) + 1)
        noise = jnp.sqrt(-2.0 * jnp.log(u)) * jnp.cos(6.283185307179586 * v)
        x = level + keep * (x - level) + spread * noise
        w = jnp.exp(-0.5 * (x + o * o * jnp.exp(-x)))
        edges = jnp.cumsum(w)
        place = jnp.minimum(jnp.searchsorted(edges, (each + 0.5) / count * edges[-1]), count - 1)
        return (x[place], total + jnp.log(w.sum() / count)), None

    return lax.scan(step, (jnp.full(count, level), 0.0), (jnp.arange(obs.shape[0]), obs))[0][1]


def recurrent(w, u, x, start):
    def step(carry, each):
        h, loss = carry
        h = jnp.tanh(w @ h + u @ each)
        return (h, loss + (h * h).sum()), None

    return lax.scan(step, (start, 0.0), x)[0][1]


def gmm(alpha, mu, logs, x):
    z = (x[:, None] - mu[None]) * jnp.exp(logs)
    term = alpha + logs.sum(1) - 0.5 * (z * z).sum(-1)
    return logsumexp(term, axis=1).sum() - x.shape[0] * logsumexp(alpha)


def bundle(cams, points, weights, obs, feats):
    def one(o, w, f):
        c, p = cams[o[0]], points[o[1]]
        x = p - c[3:6]
        theta = jnp.sqrt((c[:3] ** 2).sum())
        k = c[:3] / theta
        cs, sn = jnp.cos(theta), jnp.sin(theta)
        r = x * cs + jnp.cross(k, x) * sn + k * (k @ x) * (1.0 - cs)
        uv = r[:2] / r[2]
        rad = uv @ uv
        e = w * (c[6] * (1.0 + c[9] * rad + c[10] * rad * rad) * uv + c[7:9] - f)
        return e @ e + (1.0 - w * w) ** 2

    return jax.vmap(one)(obs, weights, feats).sum()


def kepler(ecc, mean):
    def step(e, _):
        f = e - ecc * jnp.sin(e) - mean
        return jnp.where(jnp.abs(f) < 1e-12, e, e - f / (1.0 - ecc * jnp.cos(e))), None

    e = lax.scan(step, mean, None, length=12)[0]
    return (e * e).sum()


def barrier(start, sigma, rate, z, strike, low):
    dt = 1.0 / z.shape[1]
    path = start * jnp.exp(jnp.cumsum((rate - 0.5 * sigma**2) * dt + sigma * jnp.sqrt(dt) * z, axis=1))
    alive = (path >= low).all(1)
    return jnp.where(alive, jnp.maximum(path[:, -1] - strike, 0.0), 0.0).mean() * jnp.exp(-rate)


def gauss_process(x, y, scale, noise):
    d = (x[:, None] - x[None]) / scale
    k = jnp.exp(-0.5 * d * d) + noise**2 * jnp.eye(x.shape[0])
    low = jnp.linalg.cholesky(k)
    b = jax.scipy.linalg.solve_triangular(low, y, lower=True)
    return -0.5 * b @ b - jnp.log(jnp.diag(low)).sum()


def sinkhorn(cost, a, b, eps, rounds):
    def step(carry, _):
        f, g = carry
        f = eps * (jnp.log(a) - logsumexp((g[None] - cost) / eps, axis=1))
        g = eps * (jnp.log(b) - logsumexp((f[:, None] - cost) / eps, axis=0))
        return (f, g), None

    f, g = lax.scan(step, (jnp.zeros(cost.shape[0]), jnp.zeros(cost.shape[1])), None, length=rounds)[0]
    return f @ a + g @ b


def lu_solve(matrix, rhs):
    x = jnp.linalg.solve(matrix, rhs)
    return jnp.linalg.slogdet(matrix)[1] + x @ x


def fft(re, im, weight):
    z = jnp.fft.fft(re + 1j * im)
    return (weight * jnp.log(1.0 + z.real**2 + z.imag**2)).sum()


def tree(weights, leaves, first, second, root):
    """In the order of numbers, of which children have greater ones; the depth-first walk has no scan."""

    def step(value, node):
        a, b = value[first[node]], value[second[node]]
        w = weights[node]
        inner = jnp.tanh(w[0] * a + w[1] * b + w[2] * a * b)
        return value.at[node].set(jnp.where(first[node] < 0, leaves[node] * w[0], inner)), None

    nodes = jnp.arange(weights.shape[0])
    return lax.scan(step, jnp.zeros(weights.shape[0]), nodes, reverse=True)[0][root]


def sparse(values, columns, rows, x, rounds):
    n = x.shape[0]
    row = jnp.repeat(jnp.arange(n), jnp.diff(rows), total_repeat_length=columns.shape[0])

    def step(carry, _):
        v, _ = carry
        new = jax.ops.segment_sum(values * v[columns], row, num_segments=n, indices_are_sorted=True)
        size = jnp.sqrt((new * new).sum())
        return (new / size, size), None

    return lax.scan(step, (x, 0.0), None, length=rounds)[0][1]


STATIC = {
    "ode_rk4": (3,), "n_body": (3,), "stencil": (2,), "level_set": (2,), "ray_march": (2,), "sinkhorn": (4,),
    "particle_filter": (2,), "sparse": (4,),
}  # fmt: skip
PROGRAMS = {
    f.__name__: f
    for f in (
        soft_dtw, crf, ode_rk4, n_body, stencil, ray_march, kalman, recurrent, gmm, bundle, kepler, barrier,
        gauss_process, sinkhorn, lu_solve, fft, viterbi, particle_filter, level_set, control, wave, tree, sparse,
    )
}  # fmt: skip


def compiled(name: str, args: tuple, wrt: tuple[int, ...]):
    """Value and gradient as one compiled call without arguments, the value alone likewise, and what compiling says."""
    static = STATIC.get(name, ())
    given = [a if k in static else jnp.asarray(a) for k, a in enumerate(args)]
    both = jax.jit(jax.value_and_grad(PROGRAMS[name], argnums=wrt), static_argnums=static)
    value = jax.jit(PROGRAMS[name], static_argnums=static)
    made = both.lower(*given).compile()
    moving = [a for k, a in enumerate(given) if k not in static]
    temporaries = made.memory_analysis().temp_size_in_bytes

    def gradient():
        return jax.block_until_ready(made(*moving))

    def primal():
        return jax.block_until_ready(value(*given))

    return gradient, primal, temporaries


def numbers(found) -> np.ndarray:
    """A gradient's numbers in a row."""
    return np.concatenate([np.ravel(np.asarray(g)) for g in found[1]])
