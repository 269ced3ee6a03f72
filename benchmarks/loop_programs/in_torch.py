"""The programs as users of torch write them, eagerly: loops in Python, operations on whole tensors.

Not here: `quadrature`, a stack of single numbers, of which eager code is the program itself with tensors of one number.
"""

from __future__ import annotations

import numpy as np
import torch


def soft_dtw(x, y, gamma):
    """Along antidiagonals, which is what makes it bearable."""
    n, m = x.shape[0], y.shape[0]
    cost = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    one = torch.full((n + 1,), 1e10, dtype=x.dtype)
    one[0] = 0.0
    two = torch.full((n + 1,), 1e10, dtype=x.dtype)
    for s in range(2, n + m + 1):
        i = torch.arange(max(1, s - m), min(n, s - 1) + 1)
        stack = torch.stack([one[i - 1], two[i - 1], two[i]])
        value = cost[i - 1, s - i - 1] - gamma * torch.logsumexp(-stack / gamma, 0)
        new = torch.full((n + 1,), 1e10, dtype=x.dtype).index_put((i,), value)
        one, two = two, new
    return two[n]


def crf(emit, trans):
    alpha = emit[0]
    for t in range(1, emit.shape[0]):
        alpha = torch.logsumexp(alpha[:, None] + trans, 0) + emit[t]
    return torch.logsumexp(alpha, 0)


def viterbi(emit, trans, margin):
    best, came = emit[0], []
    for t in range(1, emit.shape[0]):
        top, place = (best[:, None] + trans).max(0)
        best = top + emit[t]
        came.append(place)
    label = last = int(best.argmax())
    others = torch.ones(best.shape[0], dtype=torch.bool)
    others[last] = False
    path = []
    for place in reversed(came):
        before = int(place[label])
        path.append(trans[before, label] ** 2)
        label = before
    return best[last] + margin * torch.tanh(best[last] - best[others].max()) + 0.1 * torch.stack(path).sum()


def ode_rk4(p, u, v, steps, dt):
    def rates(s):
        return torch.stack([p[0] * s[0] - p[1] * s[0] * s[1], p[2] * s[0] * s[1] - p[3] * s[1]])

    s, loss = torch.stack([u, v]), 0.0
    for _ in range(steps):
        a = rates(s)
        b = rates(s + 0.5 * dt * a)
        c = rates(s + 0.5 * dt * b)
        d = rates(s + dt * c)
        s = s + dt / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        loss = loss + (s[0] - 1.0) ** 2 * dt
    return loss


def ode_adaptive(p, u, v, end, tolerance):
    def rates(u, v):
        return p[0] * u - p[1] * u * v, p[2] * u * v - p[3] * v

    t, h = torch.zeros((), dtype=p.dtype), torch.tensor(0.05, dtype=p.dtype)
    while t < end:
        if t + h > end:
            h = end - t
        a1, b1 = rates(u, v)
        a2, b2 = rates(u + h * a1, v + h * b1)
        du, dv = 0.5 * h * (a2 - a1), 0.5 * h * (b2 - b1)
        error = torch.sqrt(du * du + dv * dv) + 1e-12
        if error <= tolerance:
            u = u + 0.5 * h * (a1 + a2)
            v = v + 0.5 * h * (b1 + b2)
            t = t + h
        h = h * torch.clamp(0.9 * torch.sqrt(tolerance / error), 0.3, 2.0)
    return u * u + v


def n_body(start, speed, mass, steps, dt):
    pos, vel = start, speed
    for _ in range(steps):
        d = pos[None] - pos[:, None]
        r2 = (d * d).sum(-1) + 0.01
        w = mass[None] / (r2 * torch.sqrt(r2))
        vel = vel + dt * (w[:, :, None] * d).sum(1)
        pos = pos + dt * vel
    return (pos * pos).sum()


def stencil(u, kappa, steps, dt):
    w = u
    for _ in range(steps):
        c = w[1:-1, 1:-1]
        lap = w[:-2, 1:-1] + w[2:, 1:-1] + w[1:-1, :-2] + w[1:-1, 2:] - 4.0 * c
        new = w.clone()
        new[1:-1, 1:-1] = c + dt * (kappa[1:-1, 1:-1] * lap + c * (1.0 - c))
        w = new
    return (w * w).sum()


def level_set(phi, speed, steps, dt):
    w, f = phi, speed[1:-1, 1:-1]
    for _ in range(steps):
        c = w[1:-1, 1:-1]
        pairs = [(w[2:, 1:-1] - c, c - w[:-2, 1:-1]), (w[1:-1, 2:] - c, c - w[1:-1, :-2])]
        out = sum(b.clamp(min=0.0) ** 2 + a.clamp(max=0.0) ** 2 for a, b in pairs)
        back = sum(b.clamp(max=0.0) ** 2 + a.clamp(min=0.0) ** 2 for a, b in pairs)
        new = w.clone()
        new[1:-1, 1:-1] = c - dt * f * torch.sqrt(torch.where(f > 0.0, out, back) + 1e-12)
        w = new
    return (1.0 / (1.0 + torch.exp(4.0 * w))).sum()


def wave(speed, source, data, dt):
    n, m = speed.shape
    edge = (speed * dt - 1.0) / (speed * dt + 1.0)
    c2 = (speed[1:-1, 1:-1] * dt) ** 2
    before = now = torch.zeros((n, m), dtype=speed.dtype)
    loss = 0.0
    for t in range(source.shape[0]):
        inner = now[1:-1, 1:-1]
        lap = now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:] - 4.0 * inner
        after = torch.zeros((n, m), dtype=speed.dtype)
        after[1:-1, 1:-1] = 2.0 * inner - before[1:-1, 1:-1] + c2 * lap
        after[n // 2, m // 2] += source[t] * dt * dt
        after[0, 1:-1] = now[1, 1:-1] + edge[0, 1:-1] * (after[1, 1:-1].clone() - now[0, 1:-1])
        after[-1, 1:-1] = now[-2, 1:-1] + edge[-1, 1:-1] * (after[-2, 1:-1].clone() - now[-1, 1:-1])
        after[:, 0] = now[:, 1] + edge[:, 0] * (after[:, 1].clone() - now[:, 0])
        after[:, -1] = now[:, -2] + edge[:, -1] * (after[:, -2].clone() - now[:, -1])
        loss = loss + ((after[2] - data[t]) ** 2).sum()
        before, now = now, after
    return loss


def control(controls, states, params, dt):
    gravity, mass, length = params[0], params[1], params[2]
    x, v, a, w = states.unbind(1)
    on = torch.ones(x.shape[0], dtype=torch.bool)
    total = 0.0
    for t in range(controls.shape[0]):
        force = controls[t].clamp(-2.0, 2.0)
        s, c = torch.sin(a), torch.cos(a)
        push = (force + mass * length * w * w * s) / (1.0 + mass)
        turn = (gravity * s - c * push) / (length * (4.0 / 3.0 - mass * c * c / (1.0 + mass)))
        shift = push - mass * length * turn * c / (1.0 + mass)
        v, w = v + dt * shift, w + dt * turn
        x, a = x + dt * v, a + dt * w
        cost = dt * (x * x + 5.0 * (1.0 - torch.cos(a)) + 0.1 * v * v + 0.01 * force * force)
        out = x.abs() > 4.0
        total = total + (cost + (3.0 * (x.abs() - 4.0)) * out)[on].sum()
        on = on & ~out
        x, v, a, w = (torch.where(on, each, each.detach()) for each in (x, v, a, w))
    return total


def ray_march(spheres, light, size):
    each = (torch.arange(size, dtype=spheres.dtype) + 0.5) / size - 0.5
    y, x = torch.meshgrid(each, each, indexing="ij")
    d = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
    d = d / d.norm(dim=1, keepdim=True)

    def distance(p):
        return ((p[:, None] - spheres[:, :3]).norm(dim=-1) - spheres[:, 3]).min(1).values

    t = torch.zeros(d.shape[0], dtype=spheres.dtype)
    hit = torch.zeros(d.shape[0], dtype=torch.bool)
    going = ~hit
    for _ in range(40):
        near = distance(t[:, None] * d)
        hit = hit | (going & (near < 1e-3))
        going = going & (near >= 1e-3)
        t = torch.where(going, t + near, t)
        going = going & (t <= 20.0)
    t, d = t[hit], d[hit]
    p, e = t[:, None] * d, 1e-3
    base = distance(p)
    eye = e * torch.eye(3, dtype=spheres.dtype)
    g = torch.stack([distance(p + eye[k]) - base for k in range(3)], 1) / e
    return ((g @ light).clamp(min=0.0) + 0.1 * t).sum()


def kalman(obs, a, q, r):
    n = a.shape[0]
    x, p, total = torch.zeros(n, dtype=a.dtype), torch.eye(n, dtype=a.dtype), 0.0
    eye = torch.eye(n, dtype=a.dtype)
    for t in range(obs.shape[0]):
        x2 = a @ x
        p2 = a @ p @ a.T + torch.exp(q) * eye
        s = p2[0, 0] + torch.exp(r)
        e = obs[t] - x2[0]
        gain = p2[:, 0] / s
        x, p = x2 + gain * e, p2 - gain[:, None] * p2[0]
        total = total - 0.5 * (torch.log(s) + e * e / s)
    return total


def _uniform(seed, counter):
    z = (seed * 7919 + counter) % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    return (((z // 65536) ^ z).double() + 0.5) / 4294967296.0


def particle_filter(obs, params, count, seed):
    level, keep, spread = params[0], params[1], params[2]
    each = torch.arange(count)
    x, total = level.expand(count), 0.0
    for t in range(obs.shape[0]):
        u, v = _uniform(seed, 2 * (t * count + each)), _uniform(seed, 2 * (t * count + each) + 1)
        noise = torch.sqrt(-2.0 * torch.log(u)) * torch.cos(6.283185307179586 * v)
        x = level + keep * (x - level) + spread * noise
        w = torch.exp(-0.5 * (x + obs[t] * obs[t] * torch.exp(-x)))
        total = total + torch.log(w.sum() / count)
        edges = torch.cumsum(w.detach(), 0)
        place = torch.searchsorted(edges, (each + 0.5) / count * edges[-1]).clamp(max=count - 1)
        x = x[place]
    return total


def recurrent(w, u, x, start):
    h, loss = start, 0.0
    for t in range(x.shape[0]):
        h = torch.tanh(w @ h + u @ x[t])
        loss = loss + (h * h).sum()
    return loss


def gmm(alpha, mu, logs, x):
    z = (x[:, None] - mu[None]) * torch.exp(logs)
    term = alpha + logs.sum(1) - 0.5 * (z * z).sum(-1)
    return torch.logsumexp(term, 1).sum() - x.shape[0] * torch.logsumexp(alpha, 0)


def bundle(cams, points, weights, obs, feats):
    c, p = cams[obs[:, 0]], points[obs[:, 1]]
    x = p - c[:, 3:6]
    theta = torch.sqrt((c[:, :3] ** 2).sum(1, keepdim=True))
    k = c[:, :3] / theta
    cs, sn = torch.cos(theta), torch.sin(theta)
    r = x * cs + torch.linalg.cross(k, x) * sn + k * (k * x).sum(1, keepdim=True) * (1.0 - cs)
    uv = r[:, :2] / r[:, 2:]
    rad = (uv * uv).sum(1)
    stretch = 1.0 + c[:, 9] * rad + c[:, 10] * rad * rad
    e = weights[:, None] * (c[:, 6:7] * stretch[:, None] * uv + c[:, 7:9] - feats)
    return (e * e).sum() + ((1.0 - weights**2) ** 2).sum()


def kepler(ecc, mean):
    e = mean
    for _ in range(12):
        f = e - ecc * torch.sin(e) - mean
        e = torch.where(f.abs() < 1e-12, e, e - f / (1.0 - ecc * torch.cos(e)))
    return (e * e).sum()


def barrier(start, sigma, rate, z, strike, low):
    dt = 1.0 / z.shape[1]
    path = start * torch.exp(torch.cumsum((rate - 0.5 * sigma**2) * dt + sigma * dt**0.5 * z, 1))
    alive = (path >= low).all(1)
    zero = torch.zeros((), dtype=z.dtype)
    return torch.where(alive, torch.clamp(path[:, -1] - strike, min=0.0), zero).mean() * torch.exp(-rate)


def gauss_process(x, y, scale, noise):
    d = (x[:, None] - x[None]) / scale
    k = torch.exp(-0.5 * d * d) + noise**2 * torch.eye(x.shape[0], dtype=x.dtype)
    low = torch.linalg.cholesky(k)
    b = torch.linalg.solve_triangular(low, y[:, None], upper=False)[:, 0]
    return -0.5 * b @ b - torch.log(torch.diag(low)).sum()


def sinkhorn(cost, a, b, eps, rounds):
    f, g = torch.zeros(cost.shape[0], dtype=cost.dtype), torch.zeros(cost.shape[1], dtype=cost.dtype)
    for _ in range(rounds):
        f = eps * (torch.log(a) - torch.logsumexp((g[None] - cost) / eps, 1))
        g = eps * (torch.log(b) - torch.logsumexp((f[:, None] - cost) / eps, 0))
    return f @ a + g @ b


def lu_solve(matrix, rhs):
    x = torch.linalg.solve(matrix, rhs)
    return torch.linalg.slogdet(matrix).logabsdet + x @ x


def fft(re, im, weight):
    z = torch.fft.fft(torch.complex(re, im))
    return (weight * torch.log(1.0 + z.real**2 + z.imag**2)).sum()


def tree(weights, leaves, first, second, root):
    value = [None] * weights.shape[0]
    children = list(zip(first.tolist(), second.tolist(), strict=True))
    for node in range(weights.shape[0] - 1, -1, -1):  # children have greater numbers
        one, two = children[node]
        w = weights[node]
        if one < 0:
            value[node] = leaves[node] * w[0]
        else:
            a, b = value[one], value[two]
            value[node] = torch.tanh(w[0] * a + w[1] * b + w[2] * a * b)
    return value[root]


def sparse(values, columns, rows, x, rounds):
    row = torch.repeat_interleave(torch.arange(x.shape[0]), rows.diff())
    v, size = x, 0.0
    for _ in range(rounds):
        new = torch.zeros_like(x).index_add(0, row, values * v[columns])
        size = torch.sqrt((new * new).sum())
        v = new / size
    return size


PROGRAMS = {
    f.__name__: f
    for f in (
        soft_dtw, crf, ode_rk4, ode_adaptive, n_body, stencil, ray_march, kalman, recurrent, gmm, bundle, kepler,
        barrier, gauss_process, sinkhorn, lu_solve, fft, viterbi, particle_filter, level_set, control, wave, tree, sparse,
    )
}  # fmt: skip
_PLAIN = {"steps", "rounds", "size", "dt", "end", "tolerance", "count", "seed", "strike", "low", "root"}


def _dtype(value):
    return torch.float64 if np.asarray(value).dtype.kind == "f" else torch.int64


def eager(name: str, args: tuple, wrt: tuple[int, ...]):
    """Value and gradient as one call without arguments."""
    f = PROGRAMS[name]
    names = f.__code__.co_varnames
    given = [a if names[k] in _PLAIN else torch.as_tensor(a, dtype=_dtype(a)) for k, a in enumerate(args)]

    def gradient():
        leaves = [a.detach().requires_grad_() if k in wrt else a for k, a in enumerate(given)]
        value = f(*leaves)
        return value.item(), torch.autograd.grad(value, [leaves[k] for k in wrt])

    return gradient
