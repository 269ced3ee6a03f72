"""Programs with loops: likelihoods, filters, dynamic programmes. Each is written once, as one writes it for Numba."""

import math

import numpy as np


def soft_dtw(x, y, gamma):
    """Soft dynamic time warping of two series of vectors."""
    n, m, d = x.shape[0], y.shape[0], x.shape[1]
    r = np.full((n + 1, m + 1), 1e10)
    r[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            c = 0.0
            for k in range(d):
                e = x[i - 1, k] - y[j - 1, k]
                c += e * e
            a0 = -r[i - 1, j - 1] / gamma
            a1 = -r[i - 1, j] / gamma
            a2 = -r[i, j - 1] / gamma
            top = max(a0, a1, a2)
            z = math.exp(a0 - top) + math.exp(a1 - top) + math.exp(a2 - top)
            r[i, j] = c - gamma * (math.log(z) + top)
    return r[n, m]


def crf(emit, trans):
    """Log of the sum over all sequences of labels (forward algorithm)."""
    steps, k = emit.shape
    alpha = np.empty(k)
    new = np.empty(k)
    for j in range(k):
        alpha[j] = emit[0, j]
    for t in range(1, steps):
        for j in range(k):
            top = alpha[0] + trans[0, j]
            for i in range(1, k):
                v = alpha[i] + trans[i, j]
                if v > top:
                    top = v
            z = 0.0
            for i in range(k):
                z += math.exp(alpha[i] + trans[i, j] - top)
            new[j] = math.log(z) + top + emit[t, j]
        alpha, new = new, alpha
    top = alpha[0]
    for j in range(1, k):
        top = max(top, alpha[j])
    z = 0.0
    for j in range(k):
        z += math.exp(alpha[j] - top)
    return math.log(z) + top


def viterbi(emit, trans, margin):
    """Score of the best sequence of labels, and how far the last label's is from the second best's."""
    steps, k = emit.shape
    best = np.empty(k)
    new = np.empty(k)
    came = np.zeros((steps, k), np.int64)
    for j in range(k):
        best[j] = emit[0, j]
    for t in range(1, steps):
        for j in range(k):
            place = 0
            top = best[0] + trans[0, j]
            for i in range(1, k):
                v = best[i] + trans[i, j]
                if v > top:
                    top = v
                    place = i
            new[j] = top + emit[t, j]
            came[t, j] = place
        best, new = new, best
    last = 0
    for j in range(1, k):
        if best[j] > best[last]:
            last = j
    second = -1e30
    for j in range(k):
        if j != last:
            second = max(second, best[j])
    path = 0.0
    label = last
    for t in range(steps - 1, 0, -1):
        before = came[t, label]
        path += trans[before, label] ** 2
        label = before
    return best[last] + margin * math.tanh(best[last] - second) + 0.1 * path


def kalman(obs, a, q, r):
    """Log-likelihood of a linear Gaussian model whose first number is seen."""
    steps, n = obs.shape[0], a.shape[0]
    x = np.zeros(n)
    p = np.zeros((n, n))
    x2 = np.zeros(n)
    p2 = np.zeros((n, n))
    ap = np.zeros((n, n))
    for i in range(n):
        p[i, i] = 1.0
    total = 0.0
    for t in range(steps):
        for i in range(n):
            v = 0.0
            for k in range(n):
                v += a[i, k] * x[k]
            x2[i] = v
            for j in range(n):
                v = 0.0
                for k in range(n):
                    v += a[i, k] * p[k, j]
                ap[i, j] = v
        for i in range(n):
            for j in range(n):
                v = 0.0
                for k in range(n):
                    v += ap[i, k] * a[j, k]
                p2[i, j] = v
            p2[i, i] += math.exp(q)
        s = p2[0, 0] + math.exp(r)
        e = obs[t] - x2[0]
        total -= 0.5 * (math.log(s) + e * e / s)
        for i in range(n):
            gain = p2[i, 0] / s
            x[i] = x2[i] + gain * e
            for j in range(n):
                p[i, j] = p2[i, j] - gain * p2[0, j]
    return total


def _uniform(seed, counter):
    """A number between 0 and 1 that depends on the two alone."""
    z = (seed * 7919 + counter) % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    z = ((z // 65536) ^ z) * 73244475 % 4294967296
    return (((z // 65536) ^ z) + 0.5) / 4294967296.0


def particle_filter(obs, params, count, seed):
    """Log-likelihood of a stochastic volatility model by particles, drawn by counters and resampled in order."""
    steps = obs.shape[0]
    level, keep, spread = params[0], params[1], params[2]
    x = np.empty(count)
    drawn = np.empty(count)
    w = np.empty(count)
    for i in range(count):
        x[i] = level
    total = 0.0
    for t in range(steps):
        z = 0.0
        for i in range(count):
            u = _uniform(seed, 2 * (t * count + i))
            v = _uniform(seed, 2 * (t * count + i) + 1)
            noise = math.sqrt(-2.0 * math.log(u)) * math.cos(6.283185307179586 * v)
            x[i] = level + keep * (x[i] - level) + spread * noise
            w[i] = math.exp(-0.5 * (x[i] + obs[t] * obs[t] * math.exp(-x[i])))
            z += w[i]
        total += math.log(z / count)
        place = 0
        edge = w[0]
        for i in range(count):
            point = (i + 0.5) / count * z
            while edge < point and place < count - 1:
                place += 1
                edge += w[place]
            drawn[i] = x[place]
        x, drawn = drawn, x
    return total


def recurrent(w, u, x, start):
    """A recurrent net, h = tanh(W h + U x); the sum of squares of all h."""
    steps, k, n = x.shape[0], x.shape[1], start.shape[0]
    h = start.copy()
    new = np.zeros(n)
    loss = 0.0
    for t in range(steps):
        for i in range(n):
            s = 0.0
            for j in range(n):
                s += w[i, j] * h[j]
            for j in range(k):
                s += u[i, j] * x[t, j]
            new[i] = math.tanh(s)
        h, new = new, h
        for i in range(n):
            loss += h[i] * h[i]
    return loss


def gmm(alpha, mu, logs, x):
    """Log-likelihood of a mixture of Gaussians with diagonal covariances."""
    n, d = x.shape
    k = alpha.shape[0]
    term = np.empty(k)
    base = np.empty(k)
    for j in range(k):
        base[j] = alpha[j]
        for i in range(d):
            base[j] += logs[j, i]
    total = 0.0
    for t in range(n):
        top = -1e30
        for j in range(k):
            e = 0.0
            for i in range(d):
                z = (x[t, i] - mu[j, i]) * math.exp(logs[j, i])
                e += z * z
            term[j] = base[j] - 0.5 * e
            top = max(top, term[j])
        s = 0.0
        for j in range(k):
            s += math.exp(term[j] - top)
        total += math.log(s) + top
    top = alpha[0]
    for j in range(1, k):
        top = max(top, alpha[j])
    s = 0.0
    for j in range(k):
        s += math.exp(alpha[j] - top)
    return total - n * (math.log(s) + top)


def gauss_process(x, y, scale, noise):
    """Log-likelihood of a Gaussian process: kernel, Cholesky's factor in place, substitution."""
    n = x.shape[0]
    k = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            d = (x[i] - x[j]) / scale
            k[i, j] = math.exp(-0.5 * d * d)
        k[i, i] += noise * noise
    for j in range(n):
        for i in range(j, n):
            s = k[i, j]
            for p in range(j):
                s -= k[i, p] * k[j, p]
            if i == j:
                k[i, j] = math.sqrt(s)
            else:
                k[i, j] = s / k[j, j]
    b = y.copy()
    total = 0.0
    for i in range(n):
        s = b[i]
        for p in range(i):
            s -= k[i, p] * b[p]
        b[i] = s / k[i, i]
        total -= 0.5 * b[i] * b[i] + math.log(k[i, i])
    return total


def barrier(start, sigma, rate, z, strike, low):
    """Price of an option that ends when its path falls below a barrier, by simulation."""
    paths, steps = z.shape
    dt = 1.0 / steps
    total = 0.0
    for i in range(paths):
        s = start
        alive = True
        for t in range(steps):
            s *= math.exp((rate - 0.5 * sigma * sigma) * dt + sigma * math.sqrt(dt) * z[i, t])
            if s < low:
                alive = False
                break
        if alive:
            total += max(s - strike, 0.0)
    return total / paths * math.exp(-rate)


def sinkhorn(cost, a, b, eps, rounds):
    """Optimal transport with entropy, in logarithms."""
    n, m = cost.shape
    f = np.zeros(n)
    g = np.zeros(m)
    for _ in range(rounds):
        for i in range(n):
            top = -1e300
            for j in range(m):
                top = max(top, (g[j] - cost[i, j]) / eps)
            s = 0.0
            for j in range(m):
                s += math.exp((g[j] - cost[i, j]) / eps - top)
            f[i] = eps * (math.log(a[i]) - math.log(s) - top)
        for j in range(m):
            top = -1e300
            for i in range(n):
                top = max(top, (f[i] - cost[i, j]) / eps)
            s = 0.0
            for i in range(n):
                s += math.exp((f[i] - cost[i, j]) / eps - top)
            g[j] = eps * (math.log(b[j]) - math.log(s) - top)
    total = 0.0
    for i in range(n):
        total += f[i] * a[i]
    for j in range(m):
        total += g[j] * b[j]
    return total
