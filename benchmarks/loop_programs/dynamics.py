"""Programs with loops: things that move. Each is written once, as one writes it for Numba."""

import math

import numpy as np


def _rates(u, v, p):
    return p[0] * u - p[1] * u * v, p[2] * u * v - p[3] * v


def ode_rk4(p, u, v, steps, dt):
    """Predators and prey by Runge and Kutta's method of order 4; distance of the prey from 1, integrated."""
    loss = 0.0
    for _ in range(steps):
        a1, b1 = _rates(u, v, p)
        a2, b2 = _rates(u + 0.5 * dt * a1, v + 0.5 * dt * b1, p)
        a3, b3 = _rates(u + 0.5 * dt * a2, v + 0.5 * dt * b2, p)
        a4, b4 = _rates(u + dt * a3, v + dt * b3, p)
        u += dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        v += dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        loss += (u - 1.0) ** 2 * dt
    return loss


def ode_adaptive(p, u, v, end, tolerance):
    """The same by Heun's method, with steps of adapted length, some of which are rejected."""
    t = 0.0
    h = 0.05
    while t < end:
        if t + h > end:
            h = end - t
        a1, b1 = _rates(u, v, p)
        a2, b2 = _rates(u + h * a1, v + h * b1, p)
        du = 0.5 * h * (a2 - a1)
        dv = 0.5 * h * (b2 - b1)
        error = math.sqrt(du * du + dv * dv) + 1e-12
        if error <= tolerance:
            u += 0.5 * h * (a1 + a2)
            v += 0.5 * h * (b1 + b2)
            t += h
        h *= min(2.0, max(0.3, 0.9 * math.sqrt(tolerance / error)))
    return u * u + v


def n_body(start, speed, mass, steps, dt):
    """Bodies under gravity, by leaps; the sum of squares of where they end."""
    n = start.shape[0]
    pos = start.copy()
    vel = speed.copy()
    acc = np.zeros((n, 3))
    for _ in range(steps):
        for i in range(n):
            ax = 0.0
            ay = 0.0
            az = 0.0
            for j in range(n):
                dx = pos[j, 0] - pos[i, 0]
                dy = pos[j, 1] - pos[i, 1]
                dz = pos[j, 2] - pos[i, 2]
                r2 = dx * dx + dy * dy + dz * dz + 0.01
                w = mass[j] / (r2 * math.sqrt(r2))
                ax += w * dx
                ay += w * dy
                az += w * dz
            acc[i, 0] = ax
            acc[i, 1] = ay
            acc[i, 2] = az
        for i in range(n):
            for k in range(3):
                vel[i, k] += dt * acc[i, k]
                pos[i, k] += dt * vel[i, k]
    total = 0.0
    for i in range(n):
        for k in range(3):
            total += pos[i, k] * pos[i, k]
    return total


def stencil(u, kappa, steps, dt):
    """Reaction and diffusion on a grid, two buffers that are swapped."""
    n, m = u.shape
    old = u.copy()
    new = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = old[i, j]
                lap = old[i - 1, j] + old[i + 1, j] + old[i, j - 1] + old[i, j + 1] - 4.0 * c
                new[i, j] = c + dt * (kappa[i, j] * lap + c * (1.0 - c))
        old, new = new, old
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += old[i, j] * old[i, j]
    return total


def level_set(phi, speed, steps, dt):
    """A front that moves along its normal with a speed of its own at each place (Godunov's upwind differences)."""
    n, m = phi.shape
    old = phi.copy()
    new = phi.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = old[i, j]
                west = c - old[i - 1, j]
                east = old[i + 1, j] - c
                south = c - old[i, j - 1]
                north = old[i, j + 1] - c
                f = speed[i, j]
                if f > 0.0:
                    g = max(west, 0.0) ** 2 + min(east, 0.0) ** 2 + max(south, 0.0) ** 2 + min(north, 0.0) ** 2
                else:
                    g = min(west, 0.0) ** 2 + max(east, 0.0) ** 2 + min(south, 0.0) ** 2 + max(north, 0.0) ** 2
                new[i, j] = c - dt * f * math.sqrt(g + 1e-12)
        old, new = new, old
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += 1.0 / (1.0 + math.exp(4.0 * old[i, j]))
    return total


def wave(speed, source, data, dt):
    """A wave in two dimensions whose borders absorb it (Mur); squared difference from what a row of receivers heard."""
    n, m = speed.shape
    steps = source.shape[0]
    before = np.zeros((n, m))
    now = np.zeros((n, m))
    after = np.zeros((n, m))
    loss = 0.0
    for t in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = speed[i, j] * dt
                lap = now[i - 1, j] + now[i + 1, j] + now[i, j - 1] + now[i, j + 1] - 4.0 * now[i, j]
                after[i, j] = 2.0 * now[i, j] - before[i, j] + c * c * lap
        after[n // 2, m // 2] += source[t] * dt * dt
        for j in range(1, m - 1):
            a = speed[0, j] * dt
            b = speed[n - 1, j] * dt
            after[0, j] = now[1, j] + (a - 1.0) / (a + 1.0) * (after[1, j] - now[0, j])
            after[n - 1, j] = now[n - 2, j] + (b - 1.0) / (b + 1.0) * (after[n - 2, j] - now[n - 1, j])
        for i in range(n):
            a = speed[i, 0] * dt
            b = speed[i, m - 1] * dt
            after[i, 0] = now[i, 1] + (a - 1.0) / (a + 1.0) * (after[i, 1] - now[i, 0])
            after[i, m - 1] = now[i, m - 2] + (b - 1.0) / (b + 1.0) * (after[i, m - 2] - now[i, m - 1])
        for j in range(m):
            d = after[2, j] - data[t, j]
            loss += d * d
        before, now, after = now, after, before
    return loss


def control(controls, states, params, dt):
    """Pendulums on carts under the same forces, clipped; the cost that model predictive control lowers."""
    total = 0.0
    gravity, mass, length = params[0], params[1], params[2]
    for b in range(states.shape[0]):
        x, v, a, w = states[b, 0], states[b, 1], states[b, 2], states[b, 3]
        for t in range(controls.shape[0]):
            force = min(max(controls[t], -2.0), 2.0)
            s = math.sin(a)
            c = math.cos(a)
            push = (force + mass * length * w * w * s) / (1.0 + mass)
            turn = (gravity * s - c * push) / (length * (4.0 / 3.0 - mass * c * c / (1.0 + mass)))
            shift = push - mass * length * turn * c / (1.0 + mass)
            v += dt * shift
            w += dt * turn
            x += dt * v
            a += dt * w
            total += dt * (x * x + 5.0 * (1.0 - math.cos(a)) + 0.1 * v * v + 0.01 * force * force)
            if abs(x) > 4.0:
                total += 3.0 * (abs(x) - 4.0)
                break
    return total


def kepler(ecc, mean):
    """Kepler's equation by Newton's method, with as many steps as each orbit needs."""
    total = 0.0
    for i in range(ecc.shape[0]):
        e = mean[i]
        for _ in range(50):
            f = e - ecc[i] * math.sin(e) - mean[i]
            if abs(f) < 1e-12:
                break
            e -= f / (1.0 - ecc[i] * math.cos(e))
        total += e * e
    return total
