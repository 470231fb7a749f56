// Elementary functions of a vec: exp, expm1, tanh, sigmoid, log, log1p in vector instructions, the rest lane by lane.
//
// The vectorised ones are within 3 units in the last place over the whole range of float and of double: near zero, at
// denormal arguments and results, at overflow. NaN gives NaN, infinities their limits, -0 the sign that it should.
//
// exp and its kin split x = n ln 2 + r with |r| <= ln 2 / 2, so that exp x = 2^n exp r; log and log1p split x = 2^e m
// with m between sqrt(1/2) and sqrt(2). Where it matters ln 2 is subtracted in two parts, the upper so short that n
// times it is exact, so nothing relies on a fused multiply-add. The polynomials are minimax in the relative error of
// the result, by the Remez exchange, then rounded.
#pragma once

#include "vector.h"

template <class Real>
struct Constants;

template <>
struct Constants<float> {
    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float all_whole = 0x1p23f;        // from here on every number is an integer
    static constexpr float integer_shift = 0x1.8p23f;  // x + this has the integer nearest to x in its lowest bits
    static constexpr float log2_e = 0x1.715476p+0f;
    static constexpr float ln_2_upper = 0x1.62e4p-1f, ln_2_lower = 0x1.7f7d1cp-20f, ln_2 = 0x1.62e43p-1f;
    static constexpr float sqrt_half = 0x1.6a09e6p-1f;
    static constexpr float exp_is_zero = -104, exp_is_infinite = 89, expm1_is_minus_one = -20, tanh_is_one = 10;

    // (expm1(r) - r) / r^2 in powers of r, error 0.24 units in the last place of expm1
    static constexpr float expm1[] = {0x1.fffffep-2f, 0x1.5554aap-3f, 0x1.55579ap-5f, 0x1.122c38p-7f, 0x1.6ac052p-10f};
    // (log((1 + s) / (1 - s)) / s - 2) / s^2 in powers of s^2, error 0.01 units
    static constexpr float log[] = {0x1.55557ap-1f, 0x1.995ed6p-2f, 0x1.31e08p-2f};
};

template <>
struct Constants<double> {
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double all_whole = 0x1p52;
    static constexpr double integer_shift = 0x1.8p52;
    static constexpr double log2_e = 0x1.71547652b82fep+0;
    static constexpr double ln_2_upper = 0x1.62e42fefap-1, ln_2_lower = 0x1.cf79abc9e3b3ap-40;
    static constexpr double ln_2 = 0x1.62e42fefa39efp-1;
    static constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;
    static constexpr double exp_is_zero = -746, exp_is_infinite = 710, expm1_is_minus_one = -40, tanh_is_one = 20;

    // error 0.30 units in the last place
    static constexpr double expm1[] = {0x1.0000000000005p-1, 0x1.5555555555539p-3,  0x1.555555555228ep-5,
                                       0x1.1111111119016p-7, 0x1.6c16c17ee721fp-10, 0x1.a01a0174f9160p-13,
                                       0x1.a019a74a7b488p-16, 0x1.71de88296d19fp-19, 0x1.28a2068ce7049p-22,
                                       0x1.ae6ba52a2fda8p-26};
    // error 0.01 units
    static constexpr double log[] = {0x1.5555555555592p-1, 0x1.999999997ff1bp-2, 0x1.24924941e1276p-2,
                                     0x1.c71c521481902p-3, 0x1.74663ce1a8ef0p-3, 0x1.39a1ea1e637d9p-3,
                                     0x1.2f03ab88402a1p-3};
};

typedef Constants<real> constants;
typedef std::make_unsigned<integer>::type whole_bits;
typedef whole_bits vecu __attribute__((vector_size(VECTOR_BYTES)));

constexpr real INFINITE = real(__builtin_huge_val());
constexpr real NOT_A_NUMBER = real(__builtin_nan(""));
constexpr real SMALLEST_NORMAL = SINGLE ? real(0x1p-126) : real(0x1p-1022);
constexpr real HALF_ULP_OF_ONE = SINGLE ? real(0x1p-24) : real(0x1p-53);

// ---- Polynomials, bounds, powers of two ----

// c0 + c1 x + c2 x^2 + ..., Horner's rule over pairs of terms: as few operations as over terms, half the latency.
template <int n>
INLINE vec polynomial(const real (&c)[n], vec x, vec x_squared) {
    constexpr int last = (n - 1) / 2 * 2;
    vec sum = broadcast(c[last]);
    if constexpr (last + 1 < n) sum = fma(broadcast(c[last + 1]), x, sum);
    for (int k = last - 2; k >= 0; k -= 2) sum = fma(sum, x_squared, fma(broadcast(c[k + 1]), x, broadcast(c[k])));
    return sum;
}

// Within a bound, and NaN where x is NaN.
INLINE vec at_least(vec x, real bound) { return larger_or_second(broadcast(bound), x); }
INLINE vec at_most(vec x, real bound) { return smaller_or_second(broadcast(bound), x); }

// 2^n times 2^offset, from n + integer_shift: n stands in the lowest bits, and the others are shifted out.
INLINE vec power_of_two(vec shifted_n, int offset = 0) {
    const integer exponent_zero = integer(constants::exponent_bias + offset) << constants::mantissa_bits;
    return from_bits((bits(shifted_n) << constants::mantissa_bits) + broadcast_integer(exponent_zero));
}

// p times 2^n with one rounding, where n may be below the smallest exponent or one above the largest.
INLINE vec scale(vec p, vec n) {
#if defined(__AVX512F__)
    if constexpr (SINGLE) return (vec)_mm512_maskz_scalef_ps((__mmask16)-1, (__m512)p, (__m512)n);
    else return (vec)_mm512_maskz_scalef_pd((__mmask8)-1, (__m512d)p, (__m512d)n);
#else
    const vec shift = broadcast(constants::integer_shift);
    const vec half = fma(n, broadcast(real(0.5)), shift);
    const vec rest = n - (half - shift) + shift;
    return p * power_of_two(half) * power_of_two(rest);
#endif
}

// ---- exp and its kin ----

struct Reduced {
    vec shifted_n, n, expm1_r;  // n + integer_shift; n; exp(r) - 1
};

INLINE vec expm1_reduced(vec r) {
    const vec r_squared = r * r;
    return fma(r_squared, polynomial(constants::expm1, r, r_squared), r);
}

INLINE Reduced reduce(vec x) {
    const vec shift = broadcast(constants::integer_shift);
    const vec shifted_n = fma(x, broadcast(constants::log2_e), shift);
    const vec n = shifted_n - shift;
    const vec r = fma(n, broadcast(-constants::ln_2_lower), fma(n, broadcast(-constants::ln_2_upper), x));
    return {shifted_n, n, expm1_reduced(r)};
}

INLINE vec exp_below(vec x) {  // of x below the bound of overflow
    const Reduced reduced = reduce(at_least(x, constants::exp_is_zero));
    return scale(reduced.expm1_r + real(1), reduced.n);
}

INLINE vec vexp(vec x) { return exp_below(at_most(x, constants::exp_is_infinite)); }

// With y = exp(-|x|), which cannot overflow: y / (1 + y) below zero, 1 / (1 + y) above.
INLINE vec vsigmoid(vec x) {
    const vec y = exp_below(from_bits(bits(x) | bits(broadcast(real(-0.0)))));
    const vec one = broadcast(real(1));
    return select(x < vec{}, y, one) / (one + y);
}

// With e = expm1(2 |x|): e / (e + 2), which forgets what is lost in large e, and gives small x unharmed. Hence one part
// of ln 2 is enough here.
INLINE vec vtanh(vec x) {
    const vec two_x = at_most(vabs(x) * real(2), 2 * constants::tanh_is_one);
    const vec shift = broadcast(constants::integer_shift);
    const vec shifted_n = fma(two_x, broadcast(constants::log2_e), shift);
    const vec p = expm1_reduced(fma(shifted_n - shift, broadcast(-constants::ln_2), two_x));
    const vec power = power_of_two(shifted_n);
    const vec e = fma(power, p, power - real(1));
    return with_sign_of(x, e / (e + real(2)));
}

// 2^n p + (2^n - 1), halved before and doubled after so that 2^n does not overflow before the result does.
INLINE vec vexpm1(vec x) {
    const Reduced reduced = reduce(at_most(at_least(x, constants::expm1_is_minus_one), constants::exp_is_infinite));
    const vec half_power = power_of_two(reduced.shifted_n, -1);
    const vec y = fma(half_power, reduced.expm1_r, half_power - real(0.5)) * real(2);
    return select(vabs(x) < broadcast(HALF_ULP_OF_ONE), x, y);  // keeps -0 and denormal numbers
}

// ---- log and its kin ----

struct Split {
    veci biased_e;  // e + exponent_bias
    vec e, m;       // x = 2^e m
};

INLINE Split split(vec x) {  // of positive, normal, finite x
    const veci one = bits(broadcast(real(1)));
    const veci from_root_to_one = one - bits(broadcast(constants::sqrt_half));
    const veci biased_e = (veci)((vecu)(bits(x) + from_root_to_one) >> constants::mantissa_bits);
    const veci m = bits(x) - ((biased_e - broadcast_integer(constants::exponent_bias)) << constants::mantissa_bits);
    const vec shifted_e = from_bits(biased_e + bits(broadcast(constants::integer_shift)));
    return {biased_e, shifted_e - (constants::integer_shift + constants::exponent_bias), from_bits(m)};
}

// e ln 2 + log(1 + f), with s = f / (2 + f): log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 P(s^2)). The lower part of e ln 2,
// and what else is small, comes as `small`.
INLINE vec log_from(vec e, vec f, vec s, vec small) {
    const vec z = s * s;
    const vec tail = z * polynomial(constants::log, z, z * z);
    const vec half_square = f * f * real(0.5);
    return fma(e, broadcast(constants::ln_2_upper), f - (half_square - fma(s, half_square + tail, small)));
}

// The logarithm y of x where x is positive and finite, else what IEEE 754 asks.
INLINE vec with_limits_of_log(vec x, vec y) {
    const vec beyond = select(x < vec{}, broadcast(NOT_A_NUMBER), x);
    const vec limit = select(x == vec{}, broadcast(-INFINITE), beyond);
    return select((x > vec{}) & (x < broadcast(INFINITE)), y, limit);
}

INLINE vec vlog(vec x) {
    const veci denormal = x < broadcast(SMALLEST_NORMAL);
    const Split parts = split(select(denormal, x * constants::all_whole, x));
    const vec e = parts.e - select(denormal, broadcast(real(constants::mantissa_bits)), vec{});
    const vec f = parts.m - real(1);
    const vec y = log_from(e, f, f / (f + real(2)), e * constants::ln_2_lower);
    return with_limits_of_log(x, y);
}

// log u, where u is 1 + x rounded, plus d / (1 + f) for the 2^e d that the rounding lost; 1 / (1 + f) is
// 1 - 2 s + 2 s^2 - ..., of which a few terms do. Where e is 0, f is x itself and nothing is lost.
INLINE vec vlog1p(vec x) {
    const vec u = x + real(1);
    const vec x_in_u = u - real(1);
    const vec lost = (real(1) - (u - x_in_u)) + (x - x_in_u);
    const Split parts = split(u);
    const veci unscaled = parts.e == vec{};
    const veci biased_minus_e = broadcast_integer(2 * constants::exponent_bias) - parts.biased_e;
    const veci counts = (u < broadcast(constants::all_whole * constants::all_whole)) & ~unscaled;
    const vec d = select(counts, lost * from_bits(biased_minus_e << constants::mantissa_bits), vec{});
    const vec f = select(unscaled, x, parts.m - real(1));
    const vec s = f / (f + real(2));
    const vec slope = real(1) - s * (real(2) - s * (real(2) - s * real(2)));
    const vec y = log_from(parts.e, f, s, fma(parts.e, broadcast(constants::ln_2_lower), d * slope));
    return select(x == vec{}, x, with_limits_of_log(u, y));  // keeps -0
}

// ---- Rounding to integers ----

// To the nearest, halves to even.
INLINE vec vround(vec x) {
    const vec magnitude = vabs(x), shift = broadcast(constants::all_whole);
    return with_sign_of(x, select(magnitude < shift, (magnitude + shift) - shift, magnitude));
}
INLINE vec vfloor(vec x) {
    const vec nearest = vround(x);
    return nearest - select(nearest > x, broadcast(real(1)), vec{});
}
INLINE vec vceil(vec x) { return -vfloor(-x); }
INLINE vec vtrunc(vec x) { return with_sign_of(x, vfloor(vabs(x))); }

// ---- Lane by lane ----

// Not inlined, so that rare functions do not swell the loops that call them.
template <class Function>
__attribute__((noinline)) vec map1(Function function, vec a) {
    real lanes[VL];
    store(lanes, a);
    for (real& lane : lanes) lane = function(lane);
    return load(lanes);
}

template <class Function>
__attribute__((noinline)) vec map2(Function function, vec a, vec b) {
    real lanes[VL], others[VL];
    store(lanes, a);
    store(others, b);
    for (int lane = 0; lane < VL; ++lane) lanes[lane] = function(lanes[lane], others[lane]);
    return load(lanes);
}

// By the compiler's names of the functions in <cmath>, which takes longer to read than much of a kernel to compile.
#define OF_REAL(name) [](auto... x) { \
    if constexpr (SINGLE) return __builtin_##name##f(x...); \
    else return __builtin_##name(x...); \
}
#define LANE_BY_LANE(name) INLINE vec v##name(vec a) { return map1(OF_REAL(name), a); }
#define PAIR_BY_PAIR(name) INLINE vec v##name(vec a, vec b) { return map2(OF_REAL(name), a, b); }

LANE_BY_LANE(erf)
LANE_BY_LANE(erfc)
LANE_BY_LANE(sin)
LANE_BY_LANE(cos)
LANE_BY_LANE(tan)
LANE_BY_LANE(asin)
LANE_BY_LANE(acos)
LANE_BY_LANE(atan)
LANE_BY_LANE(sinh)
LANE_BY_LANE(cosh)
LANE_BY_LANE(asinh)
LANE_BY_LANE(acosh)
LANE_BY_LANE(atanh)
LANE_BY_LANE(exp2)
LANE_BY_LANE(log2)
LANE_BY_LANE(log10)
PAIR_BY_PAIR(pow)
PAIR_BY_PAIR(atan2)
PAIR_BY_PAIR(fmod)
PAIR_BY_PAIR(hypot)
PAIR_BY_PAIR(nextafter)

// ---- What is left by a division, as Python has it: with the sign of the divisor ----

INLINE vec vremainder(vec a, vec b) {
    const vec left = vfmod(a, b);
    return select((left != vec{}) & ((left < vec{}) != (b < vec{})), left + b, left);
}

// a / b rounded down, exactly: 1 / 0.1 is 9, since 0.1 is a little more than a tenth.
INLINE vec vfloordiv(vec a, vec b) {
    const vec left = vfmod(a, b), ratio = a / b;
    const veci borrowed = (left != vec{}) & ((b < vec{}) != (left < vec{}));
    const vec whole = (a - left) / b - select(borrowed, broadcast(real(1)), vec{});
    const vec below = vfloor(whole), nearest = below + select(whole - below > real(0.5), broadcast(real(1)), vec{});
    return select(b == vec{}, ratio, select(whole == vec{}, vcopysign(vec{}, ratio), nearest));
}

#undef OF_REAL
#undef LANE_BY_LANE
#undef PAIR_BY_PAIR
