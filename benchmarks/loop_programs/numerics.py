"""Programs with loops: linear algebra, transforms, geometry. Each is written once, as one writes it for Numba."""

import math

import numpy as np


def lu_solve(matrix, rhs):
    """Solution by LU with partial pivoting, in place: its squares, and the logarithm of |determinant|."""
    n = matrix.shape[0]
    a = matrix.copy()
    x = rhs.copy()
    total = 0.0
    for k in range(n):
        p = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[p, k]):
                p = i
        if p != k:
            for j in range(n):
                a[k, j], a[p, j] = a[p, j], a[k, j]
            x[k], x[p] = x[p], x[k]
        total += math.log(abs(a[k, k]))
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            a[i, k] = factor
            for j in range(k + 1, n):
                a[i, j] -= factor * a[k, j]
            x[i] -= factor * x[k]
    for i in range(n - 1, -1, -1):
        s = x[i]
        for j in range(i + 1, n):
            s -= a[i, j] * x[j]
        x[i] = s / a[i, i]
        total += x[i] * x[i]
    return total


def fft(re, im, weight):
    """Fourier's transform of 2^k numbers by butterflies, in place; the weighted power of what comes out."""
    n = re.shape[0]
    a = re.copy()
    b = im.copy()
    j = 0
    for i in range(1, n):
        bit = n // 2
        while j >= bit:
            j -= bit
            bit //= 2
        j += bit
        if i < j:
            a[i], a[j] = a[j], a[i]
            b[i], b[j] = b[j], b[i]
    size = 2
    while size <= n:
        half = size // 2
        for k in range(half):
            c = math.cos(6.283185307179586 * k / size)
            s = -math.sin(6.283185307179586 * k / size)
            for start in range(0, n, size):
                i = start + k
                p = i + half
                x = a[p] * c - b[p] * s
                y = a[p] * s + b[p] * c
                a[p] = a[i] - x
                b[p] = b[i] - y
                a[i] += x
                b[i] += y
        size *= 2
    total = 0.0
    for i in range(n):
        total += weight[i] * math.log(1.0 + a[i] * a[i] + b[i] * b[i])
    return total


def _peaked(x, p):
    return p[0] * math.exp(-p[1] * (x - p[2]) ** 2) + math.sin(p[3] * x)


def quadrature(params, low, high, tolerance):
    """Simpson's rule on intervals that are halved where it is not good enough, kept on a stack."""
    left = np.empty(200)
    right = np.empty(200)
    total = 0.0
    for c in range(params.shape[0]):
        p = params[c]
        left[0] = low
        right[0] = high
        depth = 1
        while depth > 0:
            depth -= 1
            a = left[depth]
            b = right[depth]
            m = 0.5 * (a + b)
            fa = _peaked(a, p)
            fm = _peaked(m, p)
            fb = _peaked(b, p)
            f1 = _peaked(0.5 * (a + m), p)
            f2 = _peaked(0.5 * (m + b), p)
            coarse = (b - a) / 6.0 * (fa + 4.0 * fm + fb)
            fine = (b - a) / 12.0 * (fa + 4.0 * f1 + 2.0 * fm + 4.0 * f2 + fb)
            if abs(fine - coarse) < tolerance * (b - a) or depth > 190:
                total += fine + (fine - coarse) / 15.0
                continue
            left[depth] = a
            right[depth] = m
            left[depth + 1] = m
            right[depth + 1] = b
            depth += 2
    return total


def tree(weights, leaves, first, second, root):
    """A tree of numbers, each made of its two children's, visited by an explicit stack and no recursion."""
    n = weights.shape[0]
    value = np.zeros(n)
    stack = np.zeros(n + 2, np.int64)
    seen = np.zeros(n, np.int64)
    stack[0] = root
    depth = 1
    while depth > 0:
        node = stack[depth - 1]
        if first[node] < 0:
            value[node] = leaves[node] * weights[node, 0]
            depth -= 1
        elif seen[node] == 0:
            seen[node] = 1
            stack[depth] = first[node]
            stack[depth + 1] = second[node]
            depth += 2
        else:
            a = value[first[node]]
            b = value[second[node]]
            value[node] = math.tanh(weights[node, 0] * a + weights[node, 1] * b + weights[node, 2] * a * b)
            depth -= 1
    return value[root]


def sparse(values, columns, rows, x, rounds):
    """Products of a sparse matrix in compressed rows and a vector, again and again: its largest eigenvalue."""
    n = x.shape[0]
    v = x.copy()
    new = np.zeros(n)
    size = 0.0
    for _ in range(rounds):
        for i in range(n):
            s = 0.0
            for k in range(rows[i], rows[i + 1]):
                s += values[k] * v[columns[k]]
            new[i] = s
        square = 0.0
        for i in range(n):
            square += new[i] * new[i]
        size = math.sqrt(square)
        for i in range(n):
            v[i] = new[i] / size
    return size


def _distance(px, py, pz, s):
    d = 1e9
    for k in range(s.shape[0]):
        ex = px - s[k, 0]
        ey = py - s[k, 1]
        ez = pz - s[k, 2]
        d = min(d, math.sqrt(ex * ex + ey * ey + ez * ez) - s[k, 3])
    return d


def ray_march(spheres, light, size):
    """Rays that go on until a surface is near, or far away; what they see of the light."""
    total = 0.0
    for iy in range(size):
        for ix in range(size):
            dx = (ix + 0.5) / size - 0.5
            dy = (iy + 0.5) / size - 0.5
            dz = 1.0 / math.sqrt(dx * dx + dy * dy + 1.0)
            dx *= dz
            dy *= dz
            t = 0.0
            hit = False
            for _ in range(40):
                d = _distance(t * dx, t * dy, t * dz, spheres)
                if d < 1e-3:
                    hit = True
                    break
                t += d
                if t > 20.0:
                    break
            if not hit:
                continue
            e = 1e-3
            px, py, pz = t * dx, t * dy, t * dz
            base = _distance(px, py, pz, spheres)
            gx = (_distance(px + e, py, pz, spheres) - base) / e
            gy = (_distance(px, py + e, pz, spheres) - base) / e
            gz = (_distance(px, py, pz + e, spheres) - base) / e
            shade = gx * light[0] + gy * light[1] + gz * light[2]
            total += max(0.0, shade) + 0.1 * t
    return total


def bundle(cams, points, weights, obs, feats):
    """Squared errors of points seen by cameras that turn, move and distort."""
    total = 0.0
    for o in range(obs.shape[0]):
        c = cams[obs[o, 0]]
        p = points[obs[o, 1]]
        x0, x1, x2 = p[0] - c[3], p[1] - c[4], p[2] - c[5]
        square = c[0] * c[0] + c[1] * c[1] + c[2] * c[2]
        if square != 0.0:
            theta = math.sqrt(square)
            cs = math.cos(theta)
            sn = math.sin(theta)
            k0, k1, k2 = c[0] / theta, c[1] / theta, c[2] / theta
            dot = (k0 * x0 + k1 * x1 + k2 * x2) * (1.0 - cs)
            r0 = x0 * cs + (k1 * x2 - k2 * x1) * sn + k0 * dot
            r1 = x1 * cs + (k2 * x0 - k0 * x2) * sn + k1 * dot
            r2 = x2 * cs + (k0 * x1 - k1 * x0) * sn + k2 * dot
        else:
            r0 = x0 + c[1] * x2 - c[2] * x1
            r1 = x1 + c[2] * x0 - c[0] * x2
            r2 = x2 + c[0] * x1 - c[1] * x0
        u, v = r0 / r2, r1 / r2
        rad = u * u + v * v
        stretch = 1.0 + c[9] * rad + c[10] * rad * rad
        e0 = weights[o] * (c[6] * stretch * u + c[7] - feats[o, 0])
        e1 = weights[o] * (c[6] * stretch * v + c[8] - feats[o, 1])
        w = 1.0 - weights[o] * weights[o]
        total += e0 * e0 + e1 * e1 + w * w
    return total
