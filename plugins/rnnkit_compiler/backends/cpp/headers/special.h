// Special functions, element by element and in double: a kernel that calls one includes this.
//
// Each sums a series where that has no terms of different signs, or an asymptotic one where that converges faster.
// Poles and ends are those of torch's functions of the same name.
#pragma once

#include <cmath>
#include <limits>

#include "elementary.h"

namespace special {

constexpr double PI = 3.141592653589793238, EPSILON = 1.1e-16;
constexpr double INF = std::numeric_limits<double>::infinity(), NAN_ = std::numeric_limits<double>::quiet_NaN();

// B_2k / (2k)!, k = 1, 2, ...
constexpr double BERNOULLI[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
                                -691.0 / 1307674368000.0, 1.0 / 74724249600.0, -3617.0 / 10670622842880000.0};

inline bool is_whole(double x) { return x == std::floor(x); }

inline double lgamma(double x) { return std::lgamma(x); }

// Upwards by the recurrence to where the asymptotic series is exact; from the left half by reflection.
inline double digamma(double x) {
    if (x == 0) return std::copysign(INF, -x);
    double sum = 0;
    if (x < 0) {
        if (is_whole(x)) return NAN_;
        sum = -PI / std::tan(PI * (x - std::floor(x)));
        x = 1 - x;
    }
    for (; x < 12; ++x) sum -= 1 / x;
    const double z = 1 / (x * x);
    const double tail = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132)))));
    return sum + std::log(x) - 0.5 / x - tail;
}

// Hurwitz's zeta: some terms of the sum, and Euler and Maclaurin's formula for the rest.
inline double zeta(double s, double q) {
    if (s == 1) return INF;
    if (s < 1 || s != s || q != q) return NAN_;
    if (q <= 0) {
        if (is_whole(q)) return INF;
        if (!is_whole(s)) return NAN_;
    }
    double sum = 0;
    for (; q < 16; ++q) sum += std::pow(q, -s);
    const double last = std::pow(q, -s);
    double rest = last * q / (s - 1) + 0.5 * last, term = last * s / q;
    for (int k = 0; k < 8; ++k) {
        rest += term * BERNOULLI[k];
        term *= (s + 2 * k + 1) * (s + 2 * k + 2) / (q * q);
    }
    return sum + rest;
}

// With as few terms as torch takes, of whose digits nine are right: a kernel's are the same ones.
inline double trigamma(double x) {
    double sign = 1, sum = 0;
    if (x < 0.5) {
        const double s = std::sin(PI * x);
        sign = -1, sum = -PI * PI / (s * s), x = 1 - x;
    }
    for (int k = 0; k < 6; ++k, ++x) sum += 1 / (x * x);
    const double z = 1 / (x * x);
    return sign * (sum + (1 + 1 / (2 * x) + z * (1.0 / 6 - z * (1.0 / 30 - z * (1.0 / 42)))) / x);
}

inline double polygamma(double n, double x) {
    if (n == 0) return digamma(x);
    if (n == 1) return trigamma(x);
    const double sign = std::fmod(n, 2) ? 1 : -1;
    return sign * std::exp(std::lgamma(n + 1)) * zeta(n + 1, x);
}

// Modified Bessel functions of order 0 and 1, times exp(-|x|).
inline double bessel(int order, double x) {
    const double magnitude = std::fabs(x), sign = order && x < 0 ? -1 : 1;
    double term = 1, sum = 1;
    if (magnitude < 30) {
        const double z = 0.25 * x * x;
        for (int k = 1; term > EPSILON * sum; ++k) sum += term *= z / (double(k) * (k + order));
        return sign * sum * (order ? 0.5 * magnitude : 1) * std::exp(-magnitude);
    }
    const double mu = 4.0 * order;
    for (int k = 1; k < 30 && std::fabs(term) > EPSILON; ++k) {
        const double odd = 2 * k - 1;
        sum += term *= -(mu - odd * odd) / (k * 8 * magnitude);
    }
    return x != x ? x : magnitude == INF ? 0.0 : sign * sum / std::sqrt(2 * PI * magnitude);
}
inline double i0e(double x) { return bessel(0, x); }
inline double i1e(double x) { return bessel(1, x); }
inline double i0(double x) { return bessel(0, x) * std::exp(std::fabs(x)); }
inline double i1(double x) { return bessel(1, x) * std::exp(std::fabs(x)); }

// exp(x^2) erfc(x): as it is written where nothing is lost, else a continued fraction from its end.
inline double erfcx(double x) {
    if (x < 2) return x < -26.7 ? INF : std::exp(x * x) * std::erfc(x);
    double fraction = 0;
    for (int k = 120; k > 0; --k) fraction = 0.5 * k / (x + fraction);
    return 1 / (std::sqrt(PI) * (x + fraction));
}

// log(erfc(-x / sqrt 2) / 2)
inline double log_ndtr(double x) {
    const double t = x * std::sqrt(0.5);
    return x < -1 ? std::log(erfcx(-t) / 2) - t * t : std::log1p(-std::erfc(t) / 2);
}

// Where log_ndtr is log p, by Newton's steps on a function that is nearly a parabola; p <= 1/2.
inline double lower_ndtri(double p) {
    const double logarithm = std::log(p), t = std::sqrt(-2 * logarithm);
    double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    for (int k = 0; k < 4; ++k) x -= (log_ndtr(x) - logarithm) * erfcx(-x * std::sqrt(0.5)) * std::sqrt(PI / 2);
    return x;
}

inline double ndtri(double p) {
    if (p == 0) return -INF;
    if (p == 1) return INF;
    if (!(p > 0 && p < 1)) return NAN_;
    return p <= 0.5 ? lower_ndtri(p) : -lower_ndtri(1 - p);
}

inline double erfinv(double y) {
    if (std::fabs(y) == 1) return y * INF;
    if (!(std::fabs(y) < 1)) return NAN_;
    double x = lower_ndtri(0.5 * (1 - std::fabs(y))) * -std::sqrt(0.5);
    if (std::fabs(y) < 0.5) {  // where 1 - |y| has lost digits of y
        x = 0.886 * std::fabs(y);
        for (int k = 0; k < 6; ++k) x -= (std::erf(x) - std::fabs(y)) * 0.5 * std::sqrt(PI) * std::exp(x * x);
    }
    return std::copysign(x, y);
}

// The upper incomplete gamma function over gamma, by Lentz's continued fraction; x > a + 1.
inline double upper_gamma(double a, double x) {
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int k = 1; k < 5000; ++k) {
        const double an = -k * (k - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (std::fabs(d * c - 1) < EPSILON) break;
    }
    return std::exp(a * std::log(x) - x - std::lgamma(a)) * h;
}

// The lower one, by its series.
inline double lower_gamma(double a, double x) {
    double term = 1 / a, sum = term;
    for (int k = 1; k < 5000 && term > EPSILON * sum; ++k) sum += term *= x / (a + k);
    return sum * std::exp(a * std::log(x) - x - std::lgamma(a));
}

inline double igamma(double a, double x) {
    if (x < 0 || a < 0 || x != x || a != a) return NAN_;
    if (a == 0) return x > 0 ? 1 : NAN_;
    if (x == 0) return 0;
    if (std::isinf(a)) return std::isinf(x) ? NAN_ : 0;
    if (std::isinf(x)) return 1;
    return x > a + 1 ? 1 - upper_gamma(a, x) : lower_gamma(a, x);
}

inline double igammac(double a, double x) {
    if (x < 0 || a < 0 || x != x || a != a) return NAN_;
    if (a == 0) return x > 0 ? 0 : NAN_;
    if (x == 0) return 1;
    if (std::isinf(a)) return std::isinf(x) ? NAN_ : 1;
    if (std::isinf(x)) return 0;
    return x > a + 1 ? upper_gamma(a, x) : 1 - lower_gamma(a, x);
}

}  // namespace special

#define OF_ONE(name) \
    INLINE vec v##name(vec a) { return map1([](real x) { return real(special::name(x)); }, a); }
#define OF_TWO(name) \
    INLINE vec v##name(vec a, vec b) { return map2([](real x, real y) { return real(special::name(x, y)); }, a, b); }

OF_ONE(lgamma)
OF_ONE(digamma)
OF_ONE(i0)
OF_ONE(i0e)
OF_ONE(i1)
OF_ONE(i1e)
OF_ONE(erfinv)
OF_ONE(erfcx)
OF_ONE(ndtri)
OF_ONE(log_ndtr)
OF_TWO(zeta)
OF_TWO(polygamma)
OF_TWO(igamma)
OF_TWO(igammac)

#undef OF_ONE
#undef OF_TWO
