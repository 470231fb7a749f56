// The vector: VL lanes of real, as wide as the machine's registers, with loads, stores, selection and reductions.
//
// The including source defines REAL, float or double. Arithmetic and comparisons are the operators of the GCC and Clang
// vector extensions; a comparison gives a mask, a veci whose lanes are 0 or -1. NaN and infinities follow IEEE 754, so
// nothing that includes this is compiled with -ffast-math.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifdef __FAST_MATH__
#error "vector.h: -ffast-math loses NaN and infinities; leave it out"
#endif

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

typedef REAL real;
static_assert(std::is_same<real, float>::value || std::is_same<real, double>::value, "REAL is float or double");
constexpr bool SINGLE = std::is_same<real, float>::value;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif
constexpr int VL = VECTOR_BYTES / int(sizeof(real));

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef decltype(vec{} < vec{}) veci;  // its lanes are long or long long, as the compiler has it
typedef std::conditional<SINGLE, std::int32_t, std::int64_t>::type integer;  // as wide as one lane of a veci
typedef real unaligned_vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

// ---- Lanes ----

// All lanes x. Subtracting from it keeps -0, where adding to zero would lose it.
INLINE vec broadcast(real x) { return x - vec{}; }
INLINE veci broadcast_integer(integer i) { return i - veci{}; }

INLINE veci lane_numbers() {
    veci lanes{};
    for (int lane = 0; lane < VL; ++lane) lanes[lane] = lane;
    return lanes;
}

// The same bits, read as the other type.
INLINE veci bits(vec v) { return (veci)v; }
INLINE vec from_bits(veci i) { return (vec)i; }

// Lane by lane: a where the mask is -1, b where it is 0.
INLINE vec select(veci mask, vec a, vec b) { return mask ? a : b; }
INLINE veci select(veci mask, veci a, veci b) { return mask ? a : b; }

// ---- Memory: p needs the alignment of real only ----

INLINE vec load(const real* p) { return *(const unaligned_vec*)p; }
INLINE void store(real* p, vec v) { *(unaligned_vec*)p = v; }

// Reads the first n lanes, 0 <= n <= VL, and no memory past them; the others are zero.
INLINE vec load_n(const real* p, int n) {
#if defined(__AVX512F__)
    const unsigned mask = (1u << n) - 1;
    if constexpr (SINGLE) return (vec)_mm512_maskz_loadu_ps((__mmask16)mask, p);
    else return (vec)_mm512_maskz_loadu_pd((__mmask8)mask, p);
#elif defined(__AVX__)
    const veci mask = lane_numbers() < broadcast_integer(n);
    if constexpr (SINGLE) return (vec)_mm256_maskload_ps((const float*)p, (__m256i)mask);
    else return (vec)_mm256_maskload_pd((const double*)p, (__m256i)mask);
#else
    vec v{};
    for (int lane = 0; lane < VL; ++lane)
        if (lane < n) v[lane] = p[lane];
    return v;
#endif
}

// Writes the first n lanes, 0 <= n <= VL, and no memory past them.
INLINE void store_n(real* p, vec v, int n) {
#if defined(__AVX512F__)
    const unsigned mask = (1u << n) - 1;
    if constexpr (SINGLE) _mm512_mask_storeu_ps(p, (__mmask16)mask, (__m512)v);
    else _mm512_mask_storeu_pd(p, (__mmask8)mask, (__m512d)v);
#elif defined(__AVX__)
    const veci mask = lane_numbers() < broadcast_integer(n);
    if constexpr (SINGLE) _mm256_maskstore_ps((float*)p, (__m256i)mask, (__m256)v);
    else _mm256_maskstore_pd((double*)p, (__m256i)mask, (__m256d)v);
#else
    for (int lane = 0; lane < VL; ++lane)
        if (lane < n) p[lane] = v[lane];
#endif
}

// ---- Arithmetic beyond the operators ----
// (With AVX-512 under a full mask, because GCC 12 warns of its own header's unmasked forms.)

// a * b + c, which the compiler contracts to one instruction, and one rounding, where the machine has it.
INLINE vec fma(vec a, vec b, vec c) { return a * b + c; }

INLINE vec vabs(vec v) { return from_bits(bits(v) & ~bits(broadcast(real(-0.0)))); }

// A magnitude that is not negative, with the sign of another number.
INLINE vec with_sign_of(vec sign, vec magnitude) {
    return from_bits(bits(magnitude) | (bits(sign) & bits(broadcast(real(-0.0)))));
}
INLINE vec vcopysign(vec magnitude, vec sign) { return with_sign_of(sign, vabs(magnitude)); }

// The larger and the smaller of two, and b where either is NaN: one instruction of x86, which GCC does not find.
INLINE vec larger_or_second(vec a, vec b) {
#if defined(__AVX512F__)
    if constexpr (SINGLE) return (vec)_mm512_maskz_max_ps((__mmask16)-1, (__m512)a, (__m512)b);
    else return (vec)_mm512_maskz_max_pd((__mmask8)-1, (__m512d)a, (__m512d)b);
#elif defined(__AVX__)
    if constexpr (SINGLE) return (vec)_mm256_max_ps((__m256)a, (__m256)b);
    else return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    if constexpr (SINGLE) return (vec)_mm_max_ps((__m128)a, (__m128)b);
    else return (vec)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    return a > b ? a : b;
#endif
}
INLINE vec smaller_or_second(vec a, vec b) {
#if defined(__AVX512F__)
    if constexpr (SINGLE) return (vec)_mm512_maskz_min_ps((__mmask16)-1, (__m512)a, (__m512)b);
    else return (vec)_mm512_maskz_min_pd((__mmask8)-1, (__m512d)a, (__m512d)b);
#elif defined(__AVX__)
    if constexpr (SINGLE) return (vec)_mm256_min_ps((__m256)a, (__m256)b);
    else return (vec)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    if constexpr (SINGLE) return (vec)_mm_min_ps((__m128)a, (__m128)b);
    else return (vec)_mm_min_pd((__m128d)a, (__m128d)b);
#else
    return a < b ? a : b;
#endif
}

// The larger and the smaller of two, NaN where either is NaN, as torch.maximum has it.
INLINE vec vmax(vec a, vec b) { return select(a != a, a, larger_or_second(a, b)); }
INLINE vec vmin(vec a, vec b) { return select(a != a, a, smaller_or_second(a, b)); }

INLINE vec vsqrt(vec v) {
#if defined(__AVX512F__)
    if constexpr (SINGLE) return (vec)_mm512_maskz_sqrt_ps((__mmask16)-1, (__m512)v);
    else return (vec)_mm512_maskz_sqrt_pd((__mmask8)-1, (__m512d)v);
#elif defined(__AVX__)
    if constexpr (SINGLE) return (vec)_mm256_sqrt_ps((__m256)v);
    else return (vec)_mm256_sqrt_pd((__m256d)v);
#elif defined(__SSE2__)
    if constexpr (SINGLE) return (vec)_mm_sqrt_ps((__m128)v);
    else return (vec)_mm_sqrt_pd((__m128d)v);
#elif defined(__aarch64__) && defined(__ARM_NEON)
    if constexpr (SINGLE) return (vec)vsqrtq_f32((float32x4_t)v);
    else return (vec)vsqrtq_f64((float64x2_t)v);
#else
    for (int lane = 0; lane < VL; ++lane) v[lane] = SINGLE ? __builtin_sqrtf(v[lane]) : __builtin_sqrt(v[lane]);
    return v;
#endif
}

// ---- Reductions over the lanes, by halves ----

// Lanes first, first + 1, ... of v, as many as part has: written out, so that it becomes one extraction.
template <class Part, int first, class V, int... lane>
INLINE Part lanes_from(V v, std::integer_sequence<int, lane...>) {
    return Part{v[first + lane]...};
}

template <class V, class Operation>
INLINE real fold(V v, Operation combine) {
    constexpr int half = int(sizeof(V) / sizeof(real) / 2);
    if constexpr (sizeof(V) > 16) {
        typedef real part __attribute__((vector_size(sizeof(V) / 2)));
        constexpr auto lanes = std::make_integer_sequence<int, half>{};
        return fold(part(combine(lanes_from<part, 0>(v, lanes), lanes_from<part, half>(v, lanes))), combine);
    } else if constexpr (SINGLE) {
        v = combine(v, V{v[2], v[3], v[2], v[3]});
        return combine(v, V{v[1], v[1], v[1], v[1]})[0];
    } else {
        return combine(v, V{v[1], v[1]})[0];
    }
}

INLINE real hsum(vec v) {
    return fold(v, [](auto a, auto b) { return a + b; });
}
INLINE real hmax(vec v) {
    return fold(v, [](auto a, auto b) { return ((a > b) | (a != a)) ? a : b; });
}
INLINE real hmin(vec v) {
    return fold(v, [](auto a, auto b) { return ((a < b) | (a != a)) ? a : b; });
}
