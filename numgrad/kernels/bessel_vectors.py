"""Bessel's functions of orders 0 and 1, which vectorise; float32 is computed in float64 by shorter polynomials.

`j0`, `j1`, `y0` and `y1` are right where `angles.is_small` is. Up to 8 they are polynomials of the square, beyond it waves whose
sizes are polynomials of 8 / x (Hankel's functions P and Q). The modified ones are right everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels.angles import Angles
from numgrad.kernels.vector_math import intrinsic_of
from numgrad.runtime.kernel import device

# Polynomials, from the highest power down, for float32 and for float64: as in `vector_math`, by least squares at Chebyshev's nodes
# in 45 digits, with errors below 2**-31 and 2**-56, relative ones for i0 and i1.
_MODIFIED_BOUND = 8.0, 16.0
_I0_NEAR = (  # i0(x) in x**2, to the bound
    [1.3554929956708838e-19, 1.9944774708437416e-17, 1.0065984976426167e-14, 2.372358753374981e-12, 4.71791941869216e-10,
     6.780252183783826e-08, 6.781828568885649e-06, 0.0004340269759534761, 0.01562500211795392, 0.24999999801361059,
     1.0000000002730844],
    [3.000308599807742e-52, -1.3076003919102341e-49, 4.580349913333372e-46, 2.502726929870245e-43, 4.970042202088245e-40,
     5.221817414042621e-37, 5.465655729988621e-34, 4.898669006223117e-31, 3.8432637512632005e-28, 2.5977689785809216e-25,
     1.4963368603149084e-22, 7.242257094920274e-20, 2.8969034514336077e-17, 9.385966971284447e-15, 2.4028075499712007e-12,
     4.709502796993748e-10, 6.781684027786104e-08, 6.7816840277771845e-06, 0.0004340277777777802, 0.015624999999999995,
     0.25, 1.0],
)  # fmt: skip
_I0_FAR = (  # exp(-x) i0(x) sqrt(x) in bound / x
    [6.9470063241203534e-06, -9.235721528210049e-06, 2.0659060178434603e-05, 5.330086886011739e-05, 0.0004389602990065399,
     0.0062334295179046475, 0.3989422808590987],
    [1.4041476344281573e-10, -7.106894197197033e-10, 1.6992781494917477e-09, -2.319418777629676e-09, 2.295269367359431e-09,
     -7.739432385841472e-10, 3.1418453783104376e-09, 1.3444077049008189e-08, 8.643930271316006e-08, 6.827077324846754e-07,
     7.133644197712841e-06, 0.00010957276987282424, 0.0031167365656363916, 0.3989422804014327],
)  # fmt: skip
_I1_NEAR = (  # i1(x) / x in x**2, to the bound
    [5.963006167527148e-21, 1.0540610800885778e-18, 5.523874145212349e-16, 1.4872112778403558e-13, 3.3681897297404695e-11,
     5.650626791004308e-09, 6.78176928275205e-07, 5.4253419806005826e-05, 0.0026041668239781893, 0.06249999982670887,
     0.5000000000292603],
    [6.625804120104596e-54, -2.662635174580019e-51, 1.0966389082455152e-47, 6.904253809883998e-45, 1.3662947698887045e-41,
     1.5404650507750093e-38, 1.7068896907576234e-35, 1.6330991783985208e-32, 1.3725641340345793e-29, 9.991452628912159e-27,
     6.234734024673703e-24, 3.291935236234111e-21, 1.4484517158579484e-18, 5.214426098954653e-16, 1.5017547186239295e-13,
     3.3639305693033656e-11, 5.651403356485287e-09, 6.781684027777475e-07, 5.425347222222236e-05, 0.0026041666666666665,
     0.0625, 0.5],
)  # fmt: skip
_I1_FAR = (  # exp(-x) i1(x) sqrt(x) in bound / x
    [-7.883599520058384e-06, 1.0177641643972136e-05, -2.508088039493174e-05, -7.56050568766836e-05, -0.0007312517834180547,
     -0.01870036906329471, 0.3989422798682664],
    [-1.4909815546596514e-10, 7.550844779051157e-10, -1.8082355669245407e-09, 2.4692952684228023e-09,
     -2.4558499454536627e-09, 7.903060689624829e-10, -3.577157981116748e-09, -1.590705369802982e-08,
     -1.0564305892041013e-07, -8.777679819735971e-07, -9.987101772240882e-06, -0.00018262128312888795,
     -0.009350209696908793, 0.3989422804014327],
)  # fmt: skip
_K0_NEAR = (  # k0(x) + log(x) i0(x) in x**2, to 1
    [1.6637267802207034e-07, 1.491058597267983e-05, 0.0008460372371862069, 0.02524892942868037, 0.2789828789577754,
     0.11593151565781279],
    [2.6984361912313664e-14, 6.507971505261944e-12, 1.208426900211292e-09, 1.627105606146431e-07, 1.4914719299410551e-05,
     0.0008460350907081938, 0.025248929932162698, 0.2789828789146031, 0.11593151565841245],
)  # fmt: skip
_K1_NEAR = (  # (k1(x) - 1 / x - log(x) i1(x)) / x in x**2, to 1
    [-1.4298674452847648e-08, -1.5589858368046952e-06, -0.00011253622765181875, -0.004642182729582126, -0.08537071973181379,
     -0.3079657578291623],
    [-1.5262686869512895e-15, -4.161426795175456e-13, -8.87189995422256e-11, -1.4030163678364844e-08, -1.5592887702114463e-06,
     -0.00011253607036630417, -0.004642182766471561, -0.08537071972865078, -0.3079657578292062],
)  # fmt: skip
_K0_FAR = (  # exp(x) k0(x) sqrt(x) in (x - 3) / (x + 1), from 1
    [1.4059051956497738e-07, -4.0592411986564775e-07, 1.0798114286084256e-06, -3.4778814674888854e-06, 1.3034752370658404e-05,
     -4.3585690086078366e-05, 0.00016277706205756337, -0.0005746057921900396, 0.002344354536299461, -0.009047855531954694,
     0.05190414199377319, 1.2085585393994815],
    [2.2964349455115336e-11, 3.443068000080339e-11, -4.096528003473446e-11, -1.0201554588342103e-10, 2.2505673175835275e-10,
     -8.322696770629892e-12, 9.759190480875032e-10, -2.4515872223003684e-09, 1.0079741023170381e-08, -2.7097521529616173e-08,
     1.0309182076384598e-07, -3.1009517086887545e-07, 1.1249553709307915e-06, -3.5911464513557478e-06, 1.301058149043755e-05,
     -4.352561024872352e-05, 0.00016278282384305602, -0.0005746200406164772, 0.0023443540383616024, -0.00904785430370246,
     0.05190414200069995, 1.2085585393824039],
)  # fmt: skip
_K1_FAR = (  # exp(x) k1(x) sqrt(x) in (x - 3) / (x + 1), from 1
    [4.83093083490841e-07, -1.5361554645784642e-06, 3.169274161849651e-06, -1.0065086260597246e-05, 3.367338526510679e-05,
     -0.00010809468933483097, 0.00034409212064502885, -0.0011268229842005216, 0.003692851309688661, -0.012635422200433111,
     0.04365061548047225, -0.17753773331460465, 1.3970089271126294],
    [-4.790708023294031e-11, 3.349365803404663e-11, -4.574093744599674e-11, 3.8542665498193403e-10, -1.3945125935283777e-09,
     3.548758040335184e-09, -1.1570500594379251e-08, 3.5090626882967956e-08, -1.1167069809574695e-07, 3.415040974037129e-07,
     -1.082019380340721e-06, 3.3583861432545085e-06, -1.0673196869277312e-05, 3.3556311143128015e-05, -0.00010771774063493306,
     0.0003441268507636094, -0.0011269348876062793, 0.0036928469287954967, -0.012635408079178474, 0.04365061563750166,
     -0.1775377338208504, 1.3970089271126294],
)  # fmt: skip
# Of i0(x) and i1(x) / x in x**2, to 1.
_I0_TERMS = [1 / (4**k * math.factorial(k) ** 2) for k in range(9, -1, -1)]
_I1_TERMS = [1 / (2 * 4**k * math.factorial(k) * math.factorial(k + 1)) for k in range(9, -1, -1)]
_J0 = (  # j0(x) in x**2 / 32 - 1
    [-2.743555615291057e-06, 3.8953797593184164e-05, -0.0004435136304450602, 0.0040575375951056895, -0.028472737996272656,
     0.14598912947702114, -0.5074680401912429, 1.038379395279324, -0.8080888083768181, -0.6484692774401636,
     0.9303012473211156, 0.045829664781368046],
    [4.0037632815796753e-13, -1.243301171273326e-11, 3.3634475788173604e-10, -7.91532308295207e-09, 1.5956109104549218e-07,
     -2.717749223632098e-06, 3.8473197855944365e-05, -0.0004435459224311503, 0.004058078989140991, -0.028472718610882047,
     0.14598884856759264, -0.5074680458471, 1.0383794611437211, -0.8080888076696872, -0.6484692830871837,
     0.9303012472958572, 0.04582966485981377],
)  # fmt: skip
_J1 = (  # j1(x) / x in x**2 / 32 - 1
    [1.8878124846577398e-06, -2.4376280977281116e-05, 0.0002494727766272698, -0.002028708482589763, 0.01245682570486779,
     -0.05474596313557745, 0.15858376167492014, -0.25959483939561806, 0.15151665166545802, 0.08105865909100714,
     -0.0581438279591498],
    [-4.0045728425886457e-13, 1.1658972367678622e-11, -2.943013798001659e-10, 6.431190177265836e-09, -1.196708186787801e-07,
     1.8684526037206013e-06, -2.404574865968694e-05, 0.0002494945813597261, -0.0020290394945705996, 0.012456814392263375,
     -0.05474581821284722, 0.15858376432721838, -0.2595948652859303, 0.15151665143806636, 0.08105866038589796,
     -0.05814382795599107],
)  # fmt: skip
_Y0 = (  # y0(x) - 2 / pi log(x) j0(x) in x**2 / 32 - 1
    [5.374765862226448e-06, -7.376503436297574e-05, 0.0008060917235185063, -0.007024648714645504, 0.04636708783292951,
     -0.21895803775722966, 0.6721770666284324, -1.0775476009232439, 0.1441263251576888, 1.6470964674800779,
     -0.8284358904127764, -0.3822506543011369],
    [-8.840112096073101e-13, 2.6926938054524057e-11, -7.13046146536789e-10, 1.6390875014077404e-08, -3.2185078445935923e-07,
     5.3213188103997145e-06, -7.279541882454115e-05, 0.000806158605961636, -0.00702574105727097, 0.046367047681375125,
     -0.21895747096171628, 0.6721770783431679, -1.0775477338215995, 0.14412632369302475, 1.6470964788745466,
     -0.8284358903604587, -0.382250654459425],
)  # fmt: skip
_Y1 = (  # (y1(x) - 2 / pi (log(x) j1(x) - 1 / x)) / x in x**2 / 32 - 1
    [-3.64060026446547e-06, 4.533197898321056e-05, -0.00044377274139079933, 0.003421832086054435, -0.01962877997313386,
     0.07854815760332379, -0.1963983931741031, 0.23507204054656655, 0.023367571255881313, -0.24337742821514052,
     0.07075985882764083],
    [8.75999895627043e-13, -2.4995315352326325e-11, 6.169688036723934e-10, -1.3153147367450456e-08, 2.3804930420407528e-07,
     -3.6010000225900065e-06, 4.46743301264644e-05, -0.00044381734344201495, 0.0034224907399188495, -0.01962875683311711,
     0.07854786922242532, -0.19639839859930203, 0.23507209206669755, 0.02336757172099348, -0.24337743079193114,
     0.07075985882118005],
)  # fmt: skip
_P0 = (  # in (8 / x)**2
    [2.0872274623521212e-07, -2.072035744230694e-06, 2.7344267110521796e-05, -0.0010986284596296678, 0.9999999999157112],
    [1.3678395660149744e-10, -1.0306603979084527e-09, 3.6629022652092997e-09, -8.424552895664085e-09,
     1.4953925525263033e-08, -2.425495980236503e-08, 4.342279684441386e-08, -1.0230311668957661e-07, 3.6201997727624913e-07,
     -2.1839178876546186e-06, 2.7380883620060956e-05, -0.0010986328124987458, 1.0],
)  # fmt: skip
_Q0 = (  # times x / 8, in (8 / x)**2
    [-9.308052339627034e-08, 7.612796785786438e-07, -6.910627330735784e-06, 0.00014304877194226372, -0.015624999954253052],
    [-1.399728514781326e-10, 1.0424666376451592e-09, -3.638846835394585e-09, 8.128004380306504e-09, -1.3732348154893128e-08,
     2.0507241205632187e-08, -3.232353407669618e-08, 6.400732006884867e-08, -1.816256864992346e-07, 8.238427797970191e-07,
     -6.930786104136887e-06, 0.00014305114745956487, -0.015624999999999997],
)  # fmt: skip
_P1 = (  # in (8 / x)**2
    [-2.3960201465988944e-07, 2.456046896419525e-06, -3.5163041222809144e-05, 0.0018310498151921058, 1.000000000094397],
    [-1.4522620075528588e-10, 1.095074858049799e-09, -3.896357601864384e-09, 8.979116348957172e-09, -1.599392035845848e-08,
     2.6103445465706578e-08, -4.7222972656087914e-08, 1.1307956374722232e-07, -4.10290920749526e-07, 2.580994081095415e-06,
     -3.5203993242596516e-05, 0.0018310546874986734, 1.0],
)  # fmt: skip
_Q1 = (  # times x / 8, in (8 / x)**2
    [1.0533367393336718e-07, -8.813803519922639e-07, 8.448628804928082e-06, -0.00020026897267275828, 0.046874999949253385],
    [1.4828000790534508e-10, -1.1050396779911114e-09, 3.861109557549058e-09, -8.638745160539758e-09, 1.4637507463215728e-08,
     -2.1971303928730558e-08, 3.493245954520952e-08, -7.011043984237218e-08, 2.0299488261425354e-07, -9.505880095165576e-07,
     8.470960807427086e-06, -0.00020027160644386357, 0.04687499999999999],
)  # fmt: skip


class Bessel(Angles):
    """Computes in float64, as `Angles` do."""

    # ---- of the first and the second kind ---------------------------------------------------------------------------

    def _near(self, size: Any, *tables: Any) -> list[Any]:
        """Polynomials of the square of a size up to 8."""
        builder, number = self.builder, self.number
        inside = builder.select(builder.fcmp_ordered("<", size, number(8.0)), size, number(8.0))
        t = self.call("fma", builder.fmul(inside, inside), number(1 / 32), number(-1.0))
        return [self.polynomial(t, table[self.which]) for table in tables]

    def _far(self, size: Any, order: int, second: bool) -> Any:
        """``sqrt(2 / (pi x)) (P cos(x - a) - Q sin(x - a))``, or the sum of P times the sine and Q times the cosine; a is
        pi / 4, for order 1 3 pi / 4."""
        builder, number = self.builder, self.number
        outside = builder.select(builder.fcmp_ordered(">", size, number(8.0)), size, number(8.0))
        ratio = builder.fdiv(number(8.0), outside)
        square = builder.fmul(ratio, ratio)
        p = self.polynomial(square, (_P0, _P1)[order][self.which])
        q = builder.fmul(ratio, self.polynomial(square, (_Q0, _Q1)[order][self.which]))
        bits, even, odd = self._both(outside)
        sine = self._turned(bits, even, odd)
        cosine = self._turned(builder.add(bits, self.integer(1)), even, odd)
        # The root of 2 of both is in the factor.
        c, s = builder.fadd(sine, cosine), builder.fsub(sine, cosine)
        if order:
            c, s = s, builder.fneg(c)
        wave = (
            builder.fadd(builder.fmul(p, s), builder.fmul(q, c))
            if second
            else builder.fsub(builder.fmul(p, c), builder.fmul(q, s))
        )
        return builder.fmul(wave, self.call("sqrt", builder.fmul(ratio, number(1 / (8 * math.pi)))))

    def _joined(self, x: Any, size: Any, near: Any, far: Any) -> Any:
        """One of both; x where that is NaN."""
        builder = self.builder
        result = builder.select(builder.fcmp_ordered(">", size, self.number(8.0)), far, near)
        return builder.select(builder.fcmp_unordered("uno", x, x), x, result)

    def j0(self, x: Any) -> Any:
        """A polynomial, or a wave."""
        wide = self._in(x)
        size = self.call("fabs", wide)
        [near] = self._near(size, _J0)
        return self._out(self._joined(wide, size, near, self._far(size, 0, False)))

    def j1(self, x: Any) -> Any:
        """x times a polynomial, or a wave with the sign of x."""
        builder = self.builder
        wide = self._in(x)
        size = self.call("fabs", wide)
        [near] = self._near(size, _J1)
        far = self._far(size, 1, False)
        negative = builder.fcmp_ordered("<", wide, self.number(0.0))
        far = builder.select(negative, builder.fneg(far), far)
        return self._out(self._joined(wide, size, builder.fmul(wide, near), far))

    def spherical_j0(self, x: Any) -> Any:
        """sin(x) / x, 1 at 0."""
        builder, number = self.builder, self.number
        wide = self._in(x)
        none = builder.fcmp_ordered("==", wide, number(0.0))
        sine = self._turned(*self._both(wide))
        quotient = builder.fdiv(sine, builder.select(none, number(1.0), wide))
        return self._out(builder.select(none, number(1.0), quotient))

    def y0(self, x: Any) -> Any:
        """``2 / pi log(x) j0(x)`` and a polynomial, or a wave."""
        builder, number = self.builder, self.number
        wide = self._in(x)
        first, rest = self._near(wide, _J0, _Y0)
        log = builder.fmul(self._log_in(wide), number(2 / math.pi))
        near = self.call("fma", log, first, rest)
        return self._out(self._of_positive(wide, near, self._far(wide, 0, True)))

    def y1(self, x: Any) -> Any:
        """``2 / pi (log(x) j1(x) - 1 / x)`` and x times a polynomial, or a wave."""
        builder, number = self.builder, self.number
        wide = self._in(x)
        first, rest = self._near(wide, _J1, _Y1)
        log = builder.fmul(self._log_in(wide), number(2 / math.pi))
        sum_ = builder.fmul(wide, self.call("fma", log, first, rest))
        near = builder.fsub(sum_, builder.fdiv(number(2 / math.pi), wide))
        return self._out(self._of_positive(wide, near, self._far(wide, 1, True)))

    def _log_in(self, wide: Any) -> Any:
        """The logarithm; anything for 0, where it would be infinite."""
        builder, number = self.builder, self.number
        none = builder.fcmp_ordered("==", wide, number(0.0))
        return self.log(builder.select(none, number(1.0), wide))

    def _of_positive(self, wide: Any, near: Any, far: Any) -> Any:
        """One of both; minus infinity at 0, NaN below."""
        builder, number = self.builder, self.number
        result = self._joined(wide, wide, near, far)
        result = builder.select(builder.fcmp_ordered("<", wide, number(0.0)), number(math.nan), result)
        return builder.select(builder.fcmp_ordered("==", wide, number(0.0)), number(-math.inf), result)

    # ---- modified, of the first kind --------------------------------------------------------------------------------

    def _modified(self, x: Any, order: int, scaled: bool) -> Any:
        """``p(x**2)``, times x for order 1; beyond the bound ``exp(x) q(1 / x) / sqrt(x)`` with the sign of x for it.

        Where i0 overflows lies beyond where exp does: the exponential is taken with a factor of 2**-10.
        """
        builder, number, call = self.builder, self.number, self.call
        bound, wide = _MODIFIED_BOUND[self.which], self._in(x)
        size = call("fabs", wide)
        is_far = builder.fcmp_ordered(">", size, number(bound))
        inside = builder.select(is_far, number(bound), size)
        near = self.polynomial(builder.fmul(inside, inside), (_I0_NEAR, _I1_NEAR)[order][self.which])
        ratio = builder.fdiv(number(bound), builder.select(is_far, size, number(bound)))
        far = builder.fmul(
            self.polynomial(ratio, (_I0_FAR, _I1_FAR)[order][self.which]),
            call("sqrt", builder.fmul(ratio, number(1 / bound))),
        )
        if order:
            near = builder.fmul(wide, near)
            far = call("copysign", far, wide)
        if scaled:
            near = builder.fmul(near, self._exp_of_some(builder.fneg(inside)))
            return self._out(builder.select(is_far, far, near))
        grown = self._scaled_exp(size, None, 719.0, -10)
        far = builder.fmul(builder.fmul(far, grown), number(1024.0))
        infinite = builder.fcmp_ordered("==", size, number(math.inf))
        far = builder.select(infinite, wide if order else size, far)
        return self._out(builder.select(is_far, far, near))

    def i0(self, x: Any) -> Any:
        """Of order 0."""
        return self._modified(x, 0, False)

    def i0e(self, x: Any) -> Any:
        """Of order 0, by exp(abs(x))."""
        return self._modified(x, 0, True)

    def i1(self, x: Any) -> Any:
        """Of order 1."""
        return self._modified(x, 1, False)

    def i1e(self, x: Any) -> Any:
        """Of order 1, by exp(abs(x))."""
        return self._modified(x, 1, True)

    # ---- modified, of the second kind -------------------------------------------------------------------------------

    def _decaying(self, x: Any, order: int, scaled: bool) -> Any:
        """Up to 1 a polynomial less ``log(x) i0(x)``, or ``1 / x + x (p(x**2) + log(x) i1(x) / x)``, whose terms hardly cancel;
        beyond it ``exp(-x) q((x - 3) / (x + 1)) / sqrt(x)``. One exponential serves both.
        """
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        is_far = builder.fcmp_ordered(">", wide, number(1.0))
        is_near = builder.fcmp_ordered(">", wide, number(0.0))
        inside = builder.select(is_far, number(1.0), builder.select(is_near, wide, number(1.0)))
        outside = builder.select(is_far, wide, number(1.0))
        outside = builder.select(builder.fcmp_ordered("==", outside, number(math.inf)), number(2.0**1000), outside)
        square = builder.fmul(inside, inside)
        log = self.log_of_some(inside) if self.rounds else self.log(inside)
        terms = (_I0_TERMS, _I1_TERMS)[order][-6 if self.rounds else 0 :]
        grown = builder.fmul(log, self.polynomial(square, terms))
        rest = self.polynomial(square, (_K0_NEAR, _K1_NEAR)[order][self.which])
        if order:
            near = call("fma", inside, builder.fadd(rest, grown), builder.fdiv(number(1.0), inside))
        else:
            near = builder.fsub(rest, grown)
        t = builder.fdiv(builder.fsub(outside, number(3.0)), builder.fadd(outside, number(1.0)))
        far = builder.fdiv(self.polynomial(t, (_K0_FAR, _K1_FAR)[order][self.which]), call("sqrt", outside))
        if scaled:
            near = builder.fmul(near, self._exp_of_some(inside))
        else:
            far = builder.fmul(far, self.exp(builder.fneg(outside)))
        result = builder.select(is_far, far, near)
        result = builder.select(builder.fcmp_ordered("==", wide, number(math.inf)), number(0.0), result)
        result = builder.select(builder.fcmp_ordered("==", wide, number(0.0)), number(math.inf), result)
        return self._out(builder.select(builder.fcmp_unordered("<", wide, number(0.0)), number(math.nan), result))

    def k0(self, x: Any) -> Any:
        """Of order 0."""
        return self._decaying(x, 0, False)

    def k0e(self, x: Any) -> Any:
        """Of order 0, by exp(x)."""
        return self._decaying(x, 0, True)

    def k1(self, x: Any) -> Any:
        """Of order 1."""
        return self._decaying(x, 1, False)

    def k1e(self, x: Any) -> Any:
        """Of order 1, by exp(x)."""
        return self._decaying(x, 1, True)


@device
def turned(even, odd, term, k):
    """The two sums of a series of waves with its term k, each of which is a quarter of a turn behind the one before it."""
    rest = k % 4.0
    if rest == 1.0:
        odd += term
    elif rest == 2.0:
        even -= term
    elif rest == 3.0:
        odd -= term
    else:
        even += term
    return even, odd


@device
def far_out(x, order, second):
    """J, or with ``second`` Y, of order 0 or 1 by Hankel's series."""
    mu = 4.0 * order
    even, odd, term, k = 1.0, 0.0, 1.0, 1.0
    while k < 40.0 and abs(term) > 1e-18:
        term *= (mu - (2.0 * k - 1.0) * (2.0 * k - 1.0)) / (8.0 * k * x)
        even, odd = turned(even, odd, term, k)
        k += 1.0
    sine, cosine = math.sin(x), math.cos(x)
    # The cosine and sine of x - pi / 4, and for order 1 of x - 3 pi / 4; the root of 2 is in the factor.
    if order == 0.0:
        c, s = cosine + sine, sine - cosine
    else:
        c, s = sine - cosine, -(sine + cosine)
    wave = even * s + odd * c if second else even * c - odd * s
    return wave / (math.sqrt(math.pi) * math.sqrt(x))


_ANGLES = (np.arange(4096) + 0.5) * (math.pi / 4096)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


def _mean_over_angles(function: Any) -> Any:
    """The reference of the first kind: Bessel's integral."""

    def reference(x: Any) -> Any:
        return type(x)(np.mean(function(np.float64(x), _ANGLES)))

    return reference


def _second_kind(order: int) -> Any:
    """The reference of the second kind: Schlaefli's integrals, and Hankel's series far out."""

    def reference(x: Any) -> Any:
        size = float(x)
        if not size > 0.0:
            return type(x)(-math.inf if size == 0.0 else math.nan)
        if size >= 25.0:
            return type(x)(far_out(size, float(order), True))
        end = math.asinh(40.0 / size)
        angles, steps = (_NODES + 1.0) * (math.pi / 2), (_NODES + 1.0) * (end / 2)
        waves = np.sum(_WEIGHTS * np.sin(size * np.sin(angles) - order * angles)) / 2
        decay = 2.0 * (np.sinh(steps) if order else np.cosh(0 * steps)) * np.exp(-size * np.sinh(steps))
        return type(x)(waves - np.sum(_WEIGHTS * decay) * end / (2 * math.pi))

    return reference


_WORDS = "to a few units in the last place of its size"
j0 = intrinsic_of(
    "j0", f"Of the first kind, order 0, where `angles.is_small`, {_WORDS}.",
    _mean_over_angles(lambda x, t: np.cos(x * np.sin(t))), Bessel,
)  # fmt: skip
j1 = intrinsic_of(
    "j1", f"Of the first kind, order 1, where `angles.is_small`, {_WORDS}.",
    _mean_over_angles(lambda x, t: np.sin(t) * np.sin(x * np.sin(t))), Bessel,
)  # fmt: skip
y0 = intrinsic_of("y0", f"Of the second kind, order 0, where `angles.is_small`, {_WORDS}.", _second_kind(0), Bessel)
y1 = intrinsic_of("y1", f"Of the second kind, order 1, where `angles.is_small`, {_WORDS}.", _second_kind(1), Bessel)
i0 = intrinsic_of(
    "i0", "The modified one of the first kind, order 0, to about three units in the last place.",
    _mean_over_angles(lambda x, t: np.exp(abs(x) * np.cos(t))), Bessel,
)  # fmt: skip
i0e = intrinsic_of(
    "i0e", "exp(-abs(x)) * i0(x), to about three units in the last place.",
    _mean_over_angles(lambda x, t: np.exp(abs(x) * (np.cos(t) - 1.0))), Bessel,
)  # fmt: skip
i1 = intrinsic_of(
    "i1", "The modified one of the first kind, order 1, to about three units in the last place.",
    _mean_over_angles(lambda x, t: np.cos(t) * np.exp(x * np.cos(t))), Bessel,
)  # fmt: skip
i1e = intrinsic_of(
    "i1e", "exp(-abs(x)) * i1(x), to about three units in the last place.",
    _mean_over_angles(lambda x, t: np.cos(t) * np.exp(x * np.cos(t) - abs(x))), Bessel,
)  # fmt: skip


def _decay_in_python(order: int, scaled: bool) -> Any:
    """The reference of the modified one of the second kind: the integral of exp(-x cosh t) cosh(order t)."""

    def reference(x: Any) -> Any:
        size = float(x)
        if not size > 0.0:
            return type(x)(math.inf if size == 0.0 else math.nan)
        if math.isinf(size):
            return type(x)(0.0)
        t = np.arange(1, 4097) * (math.acosh(1.0 + 745.0 / size) / 4096)
        with np.errstate(under="ignore"):
            parts = np.exp(-2.0 * size * np.sinh(0.5 * t) ** 2) * np.cosh(order * t)
            return type(x)((0.5 + parts.sum()) * t[0] * (1.0 if scaled else math.exp(-size)))

    return reference


k0 = intrinsic_of(
    "k0",
    "The modified one of the second kind, order 0, to a few units in the last place.",
    _decay_in_python(0, False),
    Bessel,
)
k0e = intrinsic_of("k0e", "exp(x) * k0(x), to a few units in the last place.", _decay_in_python(0, True), Bessel)
k1 = intrinsic_of(
    "k1",
    "The modified one of the second kind, order 1, to a few units in the last place.",
    _decay_in_python(1, False),
    Bessel,
)
k1e = intrinsic_of("k1e", "exp(x) * k1(x), to a few units in the last place.", _decay_in_python(1, True), Bessel)
spherical_j0 = intrinsic_of(
    "spherical_j0", "sin(x) / x where `angles.is_small`, to about two units in the last place.",
    lambda x: type(x)(math.sin(x) / x if x else 1.0), Bessel,
)  # fmt: skip
