"""Error functions, their inverses, gamma's family, which vectorise; float32 is computed in float64 by shorter polynomials.

`lgamma`, `digamma` and `trigamma` are right where `is_plain` and `is_trigamma` hold.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from numgrad.kernels.angles import Angles
from numgrad.kernels.vector_math import intrinsic_of
from numgrad.runtime.kernel import device

# Polynomials, from the highest power down, for float32 and for float64: as in `bessel_vectors`.
_ERFCX = (  # exp(x**2) erfc(x) (1 + 2 x) in (x - 3.75) / (x + 3.75), from 0
    [1.8492686861206805e-05, 2.1939357063375108e-05, -0.0002841793346337457, 0.000330481234334049, 0.001750933650284372,
     -0.00977042882417962, 0.02836428007280978, -0.05868527064837842, 0.0923038722395029, -0.10880526518532502,
     0.0822767843319071, 0.0035854982972879637, -0.1402406000013169, 1.2375126299957915],
    [4.2379577239719987e-10, 3.109236159877724e-10, -5.165741644009413e-09, -3.742983629102698e-09, 3.865328454103711e-08,
     2.32605435954335e-08, -2.586346102746402e-07, -5.7214163343853926e-08, 1.7516045643353885e-06, -9.735633799872194e-07,
     -1.1444124882269426e-05, 2.2384241086279983e-05, 5.164908968480163e-05, -0.00029015408123639195, 0.0002937136682085906,
     0.0017556258530543073, -0.009746579558501594, 0.028362277418934538, -0.0586933985895864, 0.09230432116037911,
     -0.10880393014175163, 0.08227673849014515, 0.0035854154854644896, -0.14024059858554697, 1.2375126308378275],
)  # fmt: skip
_DIGAMMA = (  # digamma(x) / (x - root) in 2 x - 3, from 1 to 2
    [-3.6137412910792846e-06, 1.0954538843376932e-05, -2.2068117936134816e-05, 6.6088956117031e-05, -0.00021133910305170368,
     0.0006389498369618692, -0.0019349454515127545, 0.005936305361266166, -0.01855062195606463, 0.06013566323269484,
     -0.21181371081818828, 0.9510558754482125],
    [2.8039591703979554e-11, -8.493812656393303e-11, 9.364026245915314e-11, -2.7642282220868464e-10, 1.2320780162479046e-09,
     -3.7069991316640543e-09, 1.0547672492296617e-08, -3.1630840569013496e-08, 9.541637433140498e-08,
     -2.8631478508714775e-07, 8.589149377880024e-07, -2.5780946013536377e-06, 7.741231470720105e-06,
     -2.3258242321966126e-05, 6.995018889976652e-05, -0.00021074841141783133, 0.0006368880303058373, -0.0019350666648576805,
     0.005936795278306912, -0.018550615381735174, 0.060135621060196716, -0.2118137106407303, 0.9510558760318328],
)  # fmt: skip
_LGAMMA = (  # lgamma(x) / ((x - 1) (x - 2)) in x - 2, from 1 to 3
    [4.557242319860892e-06, -9.635132280360914e-06, 3.3533533341591794e-06, -7.419384726112594e-06, 4.21961700088446e-05,
     -9.156393009115464e-05, 0.00018082918739853102, -0.00040208398465581486, 0.0009157486745967217, -0.0021089123141546304,
     0.004998606220335257, -0.012384118740166294, 0.0329650015629158, -0.10031730365388107, 0.42278433509846713],
    [3.9592899392841773e-10, -8.152852870624974e-10, -1.1901740908188623e-09, 2.444386936885692e-09, 4.305220610785349e-09,
     -8.87711600370437e-09, 3.821541398410965e-10, -9.172949166290702e-10, 2.4876913129422816e-08, -5.1889381335192836e-08,
     8.858800462314761e-08, -1.8624721164419038e-07, 4.0491176292722286e-07, -8.554195306752008e-07, 1.8077244952477939e-06,
     -3.8465374565754054e-06, 8.22227252824938e-06, -1.7661849545809686e-05, 3.8168877217049974e-05, -8.309510094797398e-05,
     0.00018255264018626728, -0.0004057073998333553, 0.0009153769221939477, -0.0021081308338353785, 0.004998641164698706,
     -0.012384192193374183, 0.032965000621155816, -0.1003173016743539, 0.42278433509846713],
)  # fmt: skip
_ERFINV = (  # erfinv(x) / x in w - 2.5 for w = -log(1 - x**2) up to 5, and in sqrt(w) - 3.1 up to 1; for float32
    [1.3368341214794056e-10, 4.3634437869746215e-10, -1.1037705201059008e-08, 1.646795821358752e-08, 4.797919423677604e-07,
     -3.4260708133017356e-06, -4.9990232115480874e-06, 0.00021826368835643455, -0.0012527045694970568,
     -0.0041773247384004845, 0.2466402756836801, 1.5014093517052804],
    [-3.1464027105947257e-05, 0.00013172078316991796, -0.00014217028079761777, -0.0002888168168543168,
     0.0013231768505505333, -0.0027203388510752473, 0.004120419522565304, -0.005695527178946187, 0.007460142457885963,
     1.003356071042284, 2.933231671716018],
)  # fmt: skip
_DIGAMMA_ROOT = 1.4616321449683622, 9.549995429965697e-17  # its float64, and what that lacks
_ROOT_OF_2 = 1.4142135623730951
_ROOT_OF_PI = 1.7724538509055159
# B(2 k) / (2 k), and B(2 k), from the highest power down: of the asymptotic series of digamma and trigamma.
_DIGAMMA_FAR = [-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12]
_TRIGAMMA_FAR = [-3617 / 510, 7 / 6, -691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6]
_SHIFTS = 6, 10  # steps up to where the series is good enough
# B(2 k) / (2 k (2 k - 1)), from the highest power down: of Stirling's series, from these numbers on.
_STIRLING = (
    [-1 / 1680, 1 / 1260, -1 / 360, 1 / 12],
    [1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12],
)
_STIRLING_FROM = 4, 10
_HALF_LOG_OF_TURN = 0.9189385332046727  # log(2 pi) / 2

# Wichura's PPND16 (Algorithm AS 241, Applied Statistics 37, 1988): the normal quantile to about 1e-16, by rational functions
# of 0.180625 - q**2 near the middle, and of sqrt(-log(p)) - 1.6 or - 5 at the ends; the highest powers first.
_MIDDLE = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
    1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
)  # fmt: skip
_MIDDLE_BELOW = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
    5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
)  # fmt: skip
_END = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
    3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
)  # fmt: skip
_END_BELOW = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
    6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
)  # fmt: skip
_FAR_END = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
    2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
)  # fmt: skip
_FAR_END_BELOW = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
    1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
)  # fmt: skip


class Special(Angles):
    """Computes in float64, as `Angles` do."""

    # ---- error functions --------------------------------------------------------------------------------------------

    def erfcx(self, x: Any) -> Any:
        """A polynomial of ``(a - b) / (a + b)`` for ``a = abs(x)``, divided by 1 + 2 a; of negative x 2 exp(x**2) minus it."""
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        size, limit, middle = call("fabs", wide), number(2.0**60), number(3.75)
        is_far = builder.fcmp_ordered(">", size, limit)
        inside = builder.select(is_far, limit, size)
        above, below = builder.fadd(inside, middle), builder.fsub(inside, middle)
        t = builder.fdiv(below, above)
        curve = self.polynomial(t, _ERFCX[self.which])
        near = builder.fdiv(curve, call("fma", inside, number(2.0), number(1.0)))
        result = builder.select(is_far, builder.fdiv(number(1 / _ROOT_OF_PI), size), near)
        grown = builder.fmul(number(2.0), self._exp_of_square(size, 1.0))
        result = builder.select(builder.fcmp_ordered("<", wide, number(0.0)), builder.fsub(grown, result), result)
        return self._out(result)

    def _exp_of_square(self, size: Any, factor: float) -> Any:
        """exp(factor * size**2), with what the rounding of the square loses; the factor is a power of 2 with a sign."""
        builder, number, call = self.builder, self.number, self.call
        end = number(40.0)
        inside = builder.select(builder.fcmp_ordered(">", size, end), end, size)
        square = builder.fmul(inside, inside)
        lost = call("fma", inside, inside, builder.fneg(square))
        power = self.exp(builder.fmul(square, number(factor)))
        return builder.select(
            builder.fcmp_ordered("==", power, number(math.inf)),
            power,
            call("fma", power, builder.fmul(lost, number(factor)), power),
        )

    def ndtr(self, x: Any) -> Any:
        """Half of erfc(-x / sqrt(2)), the square of which is taken of x."""
        builder, number = self.builder, self.number
        return self._out(builder.fmul(number(0.5), self.normal_tail(builder.fneg(self._in(x)), self.which)))

    def erfinv(self, x: Any) -> Any:
        """Of float32 x times a polynomial of ``w = -log(1 - x**2)``, or of its root; of float64 the normal quantile."""
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        if not self.rounds:
            q = builder.fmul(wide, number(0.5))
            end = builder.fmul(number(0.5), builder.fsub(number(1.0), call("fabs", wide)))
            return builder.fdiv(self._quantile(q, end), number(_ROOT_OF_2))
        rest = builder.fmul(builder.fsub(number(1.0), wide), builder.fadd(number(1.0), wide))
        has_one = builder.fcmp_ordered(">", rest, number(0.0))
        w = builder.fneg(self.log_of_some(builder.select(has_one, rest, number(1.0))))
        near = self.polynomial(builder.fsub(w, number(2.5)), _ERFINV[0])
        far = self.polynomial(builder.fsub(call("sqrt", w), number(3.1)), _ERFINV[1])
        factor = builder.select(builder.fcmp_ordered(">", w, number(5.0)), far, near)
        at_end = builder.select(builder.fcmp_ordered("==", rest, number(0.0)), number(math.inf), number(math.nan))
        factor = builder.select(has_one, factor, at_end)
        return self._out(builder.fmul(wide, factor))

    def erfinv_inside(self, x: Any) -> Any:
        """`erfinv` with the polynomials that are near the middle alone."""
        builder, number = self.builder, self.number
        wide = self._in(x)
        if not self.rounds:
            q = builder.fmul(wide, number(0.5))
            square = builder.fsub(number(0.180625), builder.fmul(q, q))
            size = self.call("fabs", q)
            over = builder.fmul(size, self.polynomial(square, list(_MIDDLE)))
            ratio = self.call("copysign", builder.fdiv(over, self.polynomial(square, list(_MIDDLE_BELOW))), q)
            return builder.fdiv(ratio, number(_ROOT_OF_2))
        rest = builder.fmul(builder.fsub(number(1.0), wide), builder.fadd(number(1.0), wide))
        w = builder.fneg(self.log_of_some(rest))
        return self._out(builder.fmul(wide, self.polynomial(builder.fsub(w, number(2.5)), _ERFINV[0])))

    def ndtri(self, p: Any) -> Any:
        """The normal quantile."""
        builder, number = self.builder, self.number
        wide = self._in(p)
        rest = builder.fsub(number(1.0), wide)
        end = builder.select(builder.fcmp_ordered("<", rest, wide), rest, wide)
        return self._out(self._quantile(builder.fsub(wide, number(0.5)), end))

    def _quantile(self, q: Any, end: Any) -> Any:
        """Of the probability q + 1/2; ``end`` is the smaller one of that and its complement."""
        builder, number, call = self.builder, self.number, self.call
        size = call("fabs", q)
        is_middle = builder.fcmp_ordered("<=", size, number(0.425))
        square = builder.fsub(number(0.180625), builder.fmul(q, q))
        none = builder.fcmp_unordered("<=", end, number(0.0))
        root = call("sqrt", builder.fneg(self.log(builder.select(none, number(0.5), end))))
        is_far = builder.fcmp_ordered(">", root, number(5.0))
        rest = builder.fsub(root, builder.select(is_far, number(5.0), number(1.6)))
        over, under = (
            self._either(rest, is_far, far, near) for far, near in ((_FAR_END, _END), (_FAR_END_BELOW, _END_BELOW))
        )
        over = builder.select(is_middle, builder.fmul(size, self.polynomial(square, list(_MIDDLE))), over)
        under = builder.select(is_middle, self.polynomial(square, list(_MIDDLE_BELOW)), under)
        result = call("copysign", builder.fdiv(over, under), q)
        at_end = builder.select(
            builder.fcmp_ordered("==", end, number(0.0)), call("copysign", number(math.inf), q), number(math.nan)
        )
        return builder.select(builder.and_(none, builder.not_(is_middle)), at_end, result)

    def _either(self, x: Any, condition: Any, yes: Any, no: Any) -> Any:
        """A polynomial with one of two rows of coefficients."""
        builder, number = self.builder, self.number
        rows = [builder.select(condition, number(one), number(other)) for one, other in zip(yes, no, strict=True)]
        result = rows[0]
        for coefficient in rows[1:]:
            result = self.call("fma", result, x, coefficient)
        return result

    # ---- of gamma's family ------------------------------------------------------------------------------------------

    def _shifted(self, x: Any) -> tuple[Any, Any, int]:
        """Whether x is too small for a series, and x or what is as many steps above it."""
        steps = _SHIFTS[self.which]
        is_small = self.builder.fcmp_ordered("<", x, self.number(float(steps)))
        shift = self.builder.select(is_small, self.number(float(steps)), self.number(0.0))
        return is_small, self.builder.fadd(x, shift), steps

    def lgamma(self, x: Any) -> Any:
        """``(x - 1) (x - 2) p(x)`` between 1 and 3, less log(x) below; above the logarithm of the steps down to there is added,
        or it is Stirling's series. There is one logarithm for all."""
        builder, number, call = self.builder, self.number, self.call
        wide, bound = self._in(x), _STIRLING_FROM[self.which]
        down, steps = wide, number(1.0)
        for _ in range(bound - 3):
            more = builder.fcmp_ordered(">=", down, number(3.0))
            lower = builder.fsub(down, number(1.0))
            steps = builder.select(more, builder.fmul(steps, lower), steps)
            down = builder.select(more, lower, down)
        is_below = builder.fcmp_ordered("<", wide, number(1.0))
        is_far = builder.fcmp_ordered(">=", wide, number(float(bound)))
        log = self.log_parts(builder.select(is_below, wide, builder.select(is_far, wide, steps)))
        log = self._log_of(*log, short=self.rounds)
        # Below 1 it is that of x + 1, whose distances from 1 and 2 are not rounded.
        first = builder.select(is_below, wide, builder.fsub(down, number(1.0)))
        second = builder.fsub(down, builder.select(is_below, number(1.0), number(2.0)))
        curve = builder.fmul(builder.fmul(first, second), self.polynomial(second, _LGAMMA[self.which]))
        near = builder.fadd(curve, builder.select(is_below, builder.fneg(log), log))
        inverse = builder.fdiv(number(1.0), wide)
        rest = builder.fmul(inverse, self.polynomial(builder.fmul(inverse, inverse), _STIRLING[self.which]))
        rest = builder.fadd(rest, number(_HALF_LOG_OF_TURN - 0.5))
        far = call("fma", builder.fsub(wide, number(0.5)), builder.fsub(log, number(1.0)), rest)
        return self._out(builder.select(is_far, far, near))

    def digamma(self, x: Any) -> Any:
        """``log(y) - 1 / (2 y)`` and a series in 1 / y**2, without the steps ``1 / x + 1 / (x + 1) + ...`` from x to y; between 1
        and 2 a polynomial times the distance from the root. Of float64 one step leads from there down to 0 and up to 3, where
        the logarithm is much larger than what the steps leave of it.
        """
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        is_small, y, steps = self._shifted(wide)
        inverse = builder.fdiv(number(1.0), y)
        square = builder.fmul(inverse, inverse)
        far = self.polynomial(square, _DIGAMMA_FAR[-5:] if self.rounds else _DIGAMMA_FAR)
        result = builder.fadd(self.log(y), call("fma", inverse, number(-0.5), builder.fmul(square, far)))
        total = number(0.0)
        for step in range(0, steps, 2):
            a, b = (builder.fadd(wide, number(float(step + more))) for more in (0, 1))
            total = builder.fadd(total, builder.fdiv(builder.fadd(a, b), builder.fmul(a, b)))
        result = builder.select(is_small, builder.fsub(result, total), result)
        inside = wide
        if not self.rounds:
            is_above = builder.fcmp_ordered(">", wide, number(2.0))
            is_below = builder.and_(
                builder.fcmp_ordered("<", wide, number(1.0)), builder.fcmp_ordered(">", wide, number(0.0))
            )
            way = builder.select(is_above, number(-1.0), builder.select(is_below, number(1.0), number(0.0)))
            inside = builder.fadd(wide, way)
        distance = builder.fsub(builder.fsub(inside, number(_DIGAMMA_ROOT[0])), number(_DIGAMMA_ROOT[1]))
        t = call("fma", inside, number(2.0), number(-3.0))
        near = builder.fmul(distance, self.polynomial(t, _DIGAMMA[self.which]))
        if not self.rounds:
            near = builder.fsub(near, builder.fdiv(way, builder.select(is_above, inside, wide)))
        is_near = builder.fcmp_ordered("<=", call("fabs", t), number(1.0))
        return self._out(builder.select(is_near, near, result))

    def trigamma(self, x: Any, n: Any) -> Any:
        """``1 / y + 1 / (2 y**2)`` and a series in 1 / y**2, and the steps ``1 / x**2 + 1 / (x + 1)**2 + ...`` from x to y."""
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        is_small, y, steps = self._shifted(wide)
        inverse = builder.fdiv(number(1.0), y)
        square = builder.fmul(inverse, inverse)
        far = self.polynomial(square, _TRIGAMMA_FAR[-5:] if self.rounds else _TRIGAMMA_FAR)
        result = call("fma", square, call("fma", inverse, far, number(0.5)), inverse)
        total = number(0.0)
        for step in range(0, steps, 2):
            a, b = (builder.fadd(wide, number(float(step + more))) for more in (0, 1))
            product = builder.fmul(a, b)
            over = call("fma", a, a, builder.fmul(b, b))
            total = builder.fadd(total, builder.fdiv(over, builder.fmul(product, product)))
        return self._out(builder.select(is_small, builder.fadd(result, total), result))


def _erfcx_in_python(x: Any) -> Any:
    size = float(x)
    if size < 5.0:
        return type(x)(math.exp(size * size) * math.erfc(size) if size > -26.6 else math.inf)
    fraction = size
    for k in range(60, 0, -1):
        fraction = size + 0.5 * k / fraction
    return type(x)(1.0 / (_ROOT_OF_PI * fraction))


def _ndtri_in_python(p: Any) -> Any:
    if 0.0 < p < 1.0:
        return type(p)(NormalDist().inv_cdf(float(p)))
    return type(p)(-math.inf if p == 0.0 else math.inf if p == 1.0 else math.nan)


def _erfinv_in_python(x: Any) -> Any:
    size = abs(float(x))
    if size < 1e-4:  # p would have lost its digits
        return type(x)(float(x) * (0.5 * _ROOT_OF_PI) * (1.0 + math.pi / 12.0 * size * size))
    return type(x)(-math.copysign(_ndtri_in_python(0.5 * (1.0 - size)) / _ROOT_OF_2, -x))


def _steps_in_python(step: Any, far: Any) -> Any:
    """The reference of functions with a recurrence: steps up to 20, and a series from there."""

    def reference(x: Any, *_: Any) -> Any:
        total, y = 0.0, float(x)
        while y < 20.0:
            total, y = total + step(y), y + 1.0
        return type(x)(total + far(y))

    return reference


_UNITS = "to a few units in the last place"
erfcx = intrinsic_of("erfcx", f"exp(x**2) * erfc(x), {_UNITS}.", _erfcx_in_python, Special)
ndtr = intrinsic_of(
    "ndtr", f"The normal distribution's cumulative function, {_UNITS}.",
    lambda x: type(x)(0.5 * math.erfc(-x / _ROOT_OF_2)), Special,
)  # fmt: skip
ndtri = intrinsic_of("ndtri", f"The inverse of ndtr, {_UNITS}.", _ndtri_in_python, Special)
erfinv = intrinsic_of("erfinv", f"The inverse of erf, {_UNITS}.", _erfinv_in_python, Special)
erfinv_inside = intrinsic_of("erfinv_inside", "`erfinv` where `is_inside` holds.", _erfinv_in_python, Special)
lgamma = intrinsic_of("lgamma", f"The logarithm of gamma where `is_plain` holds, {_UNITS}.", emitter=Special)
digamma = intrinsic_of(
    "digamma", f"The derivative of lgamma where `is_plain` holds, {_UNITS}.",
    _steps_in_python(
        lambda y: -1.0 / y,
        lambda y: math.log(y) - 0.5 / y - (1 / 12 - (1 / 120 - (1 / 252 - 1 / 240 / y**2) / y**2) / y**2) / y**2,
    ), Special,
)  # fmt: skip
trigamma = intrinsic_of(
    "trigamma", f"The derivative of digamma where `is_trigamma` holds, {_UNITS}.",
    _steps_in_python(
        lambda y: y**-2.0, lambda y: (1 + (0.5 + (1 / 6 - (1 / 30 - (1 / 42 - 1 / 30 / y**2) / y**2) / y**2) / y) / y) / y
    ), Special, True,
)  # fmt: skip


@device
def is_plain(x):
    """Whether `lgamma` and `digamma` are right for x: it is positive, or NaN."""
    return not x <= 0.0


@device
def is_trigamma(x, n):
    """Whether `trigamma` is polygamma of x and n: n is 1, and x positive or NaN."""
    return (n == 1.0) & (not x <= 0.0)


@device
def is_inside(x):
    """Whether `erfinv_inside` is right for x, which is not near -1 and 1."""
    return abs(x) < (type(x)(0.84) if type(x)(1e300) < math.inf else type(x)(0.996))
