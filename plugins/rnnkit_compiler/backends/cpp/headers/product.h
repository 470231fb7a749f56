// The product of a few rows with packed weights: C = A W, or C += A W, inside a recurrence.
//
// W (K, G * H) has G gates of H units each in its columns. It is packed once a call into panels: panel u holds units
// [u * V * VL, (u + 1) * V * VL) of every gate, V vectors a gate and NV = G * V in all, so that pointwise code finds all
// gates of a unit in one panel. The last panel has as few vectors a gate as will do. In a row of a panel's product, vector
// g * V + v is vector v of gate g. Units past H are zero.
//
// Where BFLOAT16 is defined and the processor multiplies them, both factors are rounded to bfloat16 and their products
// added up in float: two rows of W are one, of pairs, and so are two numbers of A, as its rows are read.
//
// In memory a panel is a row of sub-panels of at most 4 vectors, as many as a register tile holds; within a sub-panel
// row k of W follows row k - 1, so that a product reads its weights from first to last. The processor's own prefetching
// follows that; asking for lines ahead only made it slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "panels.h"
#include "vector.h"

#define NOINLINE static __attribute__((noinline))

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool FUSED = true;
#else
constexpr bool FUSED = false;
#endif

constexpr int BLOCK_BYTES = 128 * 1024;  // of a sub-panel, between two passes over the rows: stays in a second cache
constexpr int PACK_STEPS = 64;           // rows of W that are packed before the next vector of columns
constexpr int SUMMED_AT_ONCE = 16;       // rows of a sum, begun at zero: many such are rounded less than one long one
constexpr int UNBROKEN = 1 << 30;        // terms of a sum that are added up after each other: all of them

// Rows of a register tile NV vectors wide: so many, up to 8, that all of it stays in registers. Beside the sums there
// are the vectors of one side, one of the other, and without a fused multiply-add the product.
constexpr int tile_rows(int NV) {
    int rows = 8;
    while (rows * NV + (rows < NV ? rows : NV) + (FUSED ? 1 : 2) > REGISTERS) --rows;
    return rows;
}

// ---- Factors: what is multiplied at once ----

#if defined(BFLOAT16) && defined(__AVX512BF16__)
constexpr int PAIRED = 2;      // numbers of a factor
typedef std::int32_t Factor;  // the first in the lower half

// Pairs of neighbours of 16 numbers, rounded to the nearest, and of the halves of ties to the even one.
INLINE void round_pairs(Factor* to, vec numbers) {
    _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_maskz_cvtneps_pbh((__mmask16)-1, (__m512)numbers));
}

// Lane by lane a pair of one number of each.
INLINE vec paired(vec first, vec second) {
    const auto half = [](vec v) {
        return _mm512_maskz_cvtepu16_epi32((__mmask16)-1, (__m256i)_mm512_maskz_cvtneps_pbh((__mmask16)-1, (__m512)v));
    };
    return from_bits((veci)half(first) | (veci)half(second) << 16);
}

INLINE vec broadcast_factor(Factor pair) { return from_bits(broadcast_integer(pair)); }
INLINE vec multiply_add(vec x, vec y, vec sum) {
    return (vec)_mm512_maskz_dpbf16_ps((__mmask16)-1, (__m512)sum, (__m512bh)x, (__m512bh)y);
}
#else
constexpr int PAIRED = 1;
typedef real Factor;

INLINE vec broadcast_factor(Factor number) { return broadcast(number); }
INLINE vec multiply_add(vec x, vec y, vec sum) { return fma(x, y, sum); }
#endif

// Whether rows of a transpose may be read where they lie: neighbouring rows of a tile share a line of the cache for each k.
// Measured to pay for 16 lanes, whose tiles have 6 rows of 4 bytes, and not for tiles of fewer rows or wider numbers. The
// line is asked for some k ahead, as no prefetcher of the processor's follows; of contiguous rows that costs nothing.
constexpr bool READS_TRANSPOSES = VL >= 16 && PAIRED == 1;
constexpr int FACTORS_AHEAD = 16;

// ---- Packing ----

// A matrix with value (i, j) at data[i * rs + j * cs].
struct Matrix {
    const real* data;
    std::int64_t rs, cs;

    Matrix at(std::ptrdiff_t i, std::ptrdiff_t j) const { return {data + i * rs + j * cs, rs, cs}; }
};

// Swaps, within every square of 2 * half lanes, the two squares of `half` lanes off the diagonal.
template <int half, int... lane>
INLINE void swap_corners(vec& upper, vec& lower, std::integer_sequence<int, lane...>) {
    const vec a = upper, b = lower;
    upper = vec{(lane & half ? b[(lane - half) & (VL - 1)] : a[lane])...};
    lower = vec{(lane & half ? b[lane] : a[(lane + half) & (VL - 1)])...};
}

// Transposes a square of VL vectors.
template <int half = VL / 2>
INLINE void transpose(vec* square) {
#pragma GCC unroll 16
    for (int i = 0; i < VL; ++i)
        if (!(i & half)) swap_corners<half>(square[i], square[i + half], std::make_integer_sequence<int, VL>{});
    if constexpr (half > 1) transpose<half / 2>(square);
}

// Packs one square whose columns are contiguous: K <= VL rows of W, n <= VL columns.
NOINLINE void pack_square(real* to, std::ptrdiff_t step, const real* from, std::ptrdiff_t cs, int K, int n) {
    vec square[VL];
    if (K == VL && n == VL) {
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) square[i] = load(from + i * cs);
    } else {
        for (int i = 0; i < VL; ++i) square[i] = i < n ? load_n(from + i * cs, K) : vec{};
    }
    transpose(square);
    if (K == VL) {
#pragma GCC unroll 16
        for (int k = 0; k < VL; ++k) store(to + k * step, square[k]);
    } else {
        for (int k = 0; k < K; ++k) store(to + k * step, square[k]);
    }
}

// Packs one vector of n <= VL columns: row k of W to `to + k * step`, zeros past n.
static void pack_vector(real* to, std::ptrdiff_t step, const real* from, std::ptrdiff_t rs, std::ptrdiff_t cs, int K,
                        int n) {
    if (cs == 1 && n == VL) {
        for (int k = 0; k < K; ++k) store(to + k * step, load(from + k * rs));
    } else if (cs == 1) {
        for (int k = 0; k < K; ++k) store(to + k * step, load_n(from + k * rs, n));
    } else if (rs == 1) {
        for (int k = 0; k < K; k += VL) pack_square(to + k * step, step, from + k, cs, K - k < VL ? K - k : VL, n);
    } else {
        for (int k = 0; k < K; ++k)
            for (int i = 0; i < VL; ++i) to[k * step + i] = i < n ? from[k * rs + i * cs] : real(0);
    }
}

// Packs one vector of n <= VL columns of factors: those of rows k of W to `to + k / PAIRED * step`, zeros past n and K.
static void pack_factors(real* to, std::ptrdiff_t step, const real* from, std::ptrdiff_t rs, std::ptrdiff_t cs, int K,
                         int n) {
#if defined(BFLOAT16) && defined(__AVX512BF16__)
    real rows[PACK_STEPS * VL];
    pack_vector(rows, VL, from, rs, cs, K, n);
    for (int k = 0; k < K; k += 2)
        store(to + k / 2 * step, paired(load(rows + k * VL), k + 1 < K ? load(rows + (k + 1) * VL) : vec{}));
#else
    pack_vector(to, step, from, rs, cs, K, n);
#endif
}

// Packs panels [first, last) of G gates of H units to their places in `to`.
static inline void pack(real* to, const Matrix* gates, int K, int G, int H, int V, int first, int last) {
    for (int u = first; u < last; ++u) {
        const int W = panel_width(H, V, u), NV = G * W;
        real* panel = to + std::ptrdiff_t(u) * K * G * V * VL;
        for (int s = 0; s < sub_panels(NV); ++s) {
            const int start = sub_panel_start(NV, s), end = sub_panel_start(NV, s + 1);
            const std::ptrdiff_t step = std::ptrdiff_t(end - start) * VL;
            for (int k = 0; k < K; k += PACK_STEPS)
                for (int i = start; i < end; ++i) {
                    const int unit = (u * V + i % W) * VL, left = H - unit;
                    const Matrix from = gates[i / W].at(k, unit);
                    pack_factors(panel + std::ptrdiff_t(K) * start * VL + k / PAIRED * step + (i - start) * VL, step,
                                 from.data, from.rs, from.cs, K - k < PACK_STEPS ? K - k : PACK_STEPS,
                                 left < 0 ? 0 : left < VL ? left : VL);
                }
        }
    }
}

// ---- The product ----

// The rows of A: row r begins at list[r], or, without a list, at first + r * stride. Its numbers are `step` apart, 1 but in
// a transpose.
struct Rows {
    const real* first;
    std::ptrdiff_t stride;
    const real* const* list;
    std::ptrdiff_t step = 1;

    const real* operator[](int r) const { return list ? list[r] : first + r * stride; }

    // The same rows without the first `n`.
    Rows from(int n) const { return {list ? first : first + n * stride, stride, list ? list + n : list, step}; }
};

// What the rows of a product are added to: row r begins at first + r * stride, where a stride of 0 is one row for all, a
// bias. No `first`: nothing. Of the product itself at most `chain` terms are added up after each other, from zero on.
struct Start {
    const real* first;
    int stride, chain = UNBROKEN;

    explicit operator bool() const { return first; }
    Start at(std::ptrdiff_t r, std::ptrdiff_t n) const {
        return first ? Start{first + r * stride + n, stride, chain} : *this;
    }
    const real* operator[](std::ptrdiff_t r) const { return first + r * stride; }
};

// The value, in a register where the compiler would rather read it from memory again for each use.
INLINE vec keep(vec value) {
#if defined(__x86_64__)
    asm("" : "+v"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#endif
    return value;
}

// sum[r][v] += x[r] * y[v]: the outer product of one column of the tile's rows, at a[r][k], and one row of W. The shorter
// side is held in registers, the longer passes by.
template <int NV, int ROWS>
INLINE void add_outer(vec (&sum)[ROWS][NV], const Factor* const (&a)[ROWS], std::ptrdiff_t k, const real* row) {
    if constexpr (ROWS < NV) {
        vec x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) x[r] = keep(broadcast_factor(a[r][k]));
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) {
            const vec y = ROWS == 1 ? load(row + v * VL) : keep(load(row + v * VL));
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; ++r) sum[r][v] = multiply_add(x[r], y, sum[r][v]);
        }
    } else {
        vec y[NV];
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) y[v] = keep(load(row + v * VL));
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const vec x = NV == 1 ? broadcast_factor(a[r][k]) : keep(broadcast_factor(a[r][k]));
#pragma GCC unroll 16
            for (int v = 0; v < NV; ++v) sum[r][v] = multiply_add(x, y[v], sum[r][v]);
        }
    }
}

// One register tile, ROWS rows by NV vectors: c[r] = start[r] + the sum over the factors k < K of a[r][k * step] * w[k].
//
// What stands in c itself is added last: a sum over many blocks of k, each begun at zero, is rounded less than one long one.
// A tile of few vectors has several sums of each, over every 2nd, 4th or 8th k, to cover the latency of an addition.
template <int NV, int ROWS>
NOINLINE void tile(real* c, std::ptrdiff_t ldc, const Factor* const* rows, std::ptrdiff_t step, const real* w, int K,
                   Start start) {
    constexpr int chains = ROWS * NV >= 8 ? 1 : ROWS * NV >= 4 ? 2 : ROWS * NV >= 2 ? 4 : 8;
    const bool adds = start.first == c;
    const Factor* a[ROWS];
    vec sum[chains][ROWS][NV];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        a[r] = rows[r];
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) {
            sum[0][r][v] = start && !adds ? load(start[r] + v * VL) : vec{};
#pragma GCC unroll 16
            for (int chain = 1; chain < chains; ++chain) sum[chain][r][v] = vec{};
        }
    }
    int k = 0;
    for (; k + chains <= K; k += chains) {
        if constexpr (READS_TRANSPOSES) __builtin_prefetch(a[0] + (k + FACTORS_AHEAD) * step, 0, 3);
#pragma GCC unroll 16
        for (int chain = 0; chain < chains; ++chain)
            add_outer<NV, ROWS>(sum[chain], a, (k + chain) * step, w + std::ptrdiff_t(k + chain) * NV * VL);
    }
    for (; k < K; ++k) add_outer<NV, ROWS>(sum[0], a, k * step, w + std::ptrdiff_t(k) * NV * VL);
    if (adds)
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
            for (int v = 0; v < NV; ++v) sum[0][r][v] += load(c + r * ldc + v * VL);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 16
            for (int chain = 1; chain < chains; ++chain) sum[0][r][v] += sum[chain][r][v];
            store(c + r * ldc + v * VL, sum[0][r][v]);
        }
}

typedef void (*Tile)(real*, std::ptrdiff_t, const Factor* const*, std::ptrdiff_t, const real*, int, Start);

// The tile of NV vectors and `rows` rows.
template <int NV, int... less>
INLINE Tile tile_of(int rows, std::integer_sequence<int, less...>) {
    static constexpr Tile tiles[] = {tile<NV, less + 1>...};
    return tiles[rows - 1];
}

// Some rows of A in factors: where they lie, or, if their numbers are neighbours, rounded to room of their own.
template <int ROWS, int DEPTH>
struct FactorRows {
    const Factor* begin[ROWS];
#if defined(BFLOAT16) && defined(__AVX512BF16__)
    Factor room[ROWS][DEPTH + VL];
#endif
};

template <int ROWS, int DEPTH>
INLINE void read_factors(FactorRows<ROWS, DEPTH>& to, Rows a, int first, int rows, int k, int depth) {
#if defined(BFLOAT16) && defined(__AVX512BF16__)
    for (int i = 0; i < rows; ++i) {
        const real* const from = a[first + i] + k;
        Factor* const room = to.room[i];
        int j = 0;
        for (; j + VL <= depth; j += VL) round_pairs(room + j / PAIRED, load(from + j));
        if (j < depth) round_pairs(room + j / PAIRED, load_n(from + j, depth - j));
        to.begin[i] = room;
    }
#else
    for (int i = 0; i < rows; ++i) to.begin[i] = a[first + i] + k * a.step;
    (void)depth;
#endif
}

// The product of one sub-panel of NV vectors, in blocks of its rows that stay in the cache over all rows of A, and are as
// short as the chains of the sum have to be.
template <int NV>
static void sub_product(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* w, int K, Start start) {
    constexpr int most = tile_rows(NV), block = BLOCK_BYTES / (NV * VECTOR_BYTES);
    const int factors = divide_up(K, PAIRED), tiles = divide_up(rows, most);
    const int blocks_of_cache = (rows <= most && PAIRED == 1) || factors <= block ? 1 : divide_up(factors, block);
    const int blocks = at_least(blocks_of_cache, divide_up(K, start.chain));
    FactorRows<most, block> of_a;
    for (int b = 0; b < blocks; ++b) {
        const int f = share_start(factors, b, blocks), depth = share_start(factors, b + 1, blocks) - f;
        const int k = f * PAIRED, numbers = K - k < depth * PAIRED ? K - k : depth * PAIRED;
        const real* from = w + std::ptrdiff_t(f) * NV * VL;
        const Start before = b ? Start{c, int(ldc), start.chain} : start;
        for (int t = 0; t < tiles; ++t) {
            const int r = share_start(rows, t, tiles), count = share_start(rows, t + 1, tiles) - r;
            read_factors(of_a, a, r, count, k, numbers);
            const Tile multiply = tile_of<NV>(count, std::make_integer_sequence<int, most>{});
            multiply(c + r * ldc, ldc, of_a.begin, a.step, from, depth, before.at(r, 0));
        }
    }
}

// c (rows, NV * VL) = start + A (rows, K) times one panel. Row r of c begins at c + r * ldc.
template <int NV>
static void product(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K, Start start = {}) {
    constexpr int parts = sub_panels(NV), widest = divide_up(NV, parts), wide = NV % parts ? NV % parts : parts;
    int n = 0;
    for (int s = 0; s < wide; ++s, n += widest * VL)
        sub_product<widest>(c + n, ldc, a, rows, panel + std::ptrdiff_t(K) * n, K, start.at(0, n));
    if constexpr (wide < parts)
        for (int s = wide; s < parts; ++s, n += (widest - 1) * VL)
            sub_product<widest - 1>(c + n, ldc, a, rows, panel + std::ptrdiff_t(K) * n, K, start.at(0, n));
}

// The same for a width that is known at run time only.
static inline void product(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K, int NV,
                           Start start = {}) {
    constexpr decltype(&sub_product<1>) of_width[] = {sub_product<1>, sub_product<2>, sub_product<3>, sub_product<4>};
    for (int s = 0; s < sub_panels(NV); ++s) {
        const int vector = sub_panel_start(NV, s), width = sub_panel_start(NV, s + 1) - vector, n = vector * VL;
        of_width[width - 1](c + n, ldc, a, rows, panel + std::ptrdiff_t(K) * n, K, start.at(0, n));
    }
}
