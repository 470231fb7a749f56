// Products of calls of so few rows in all that packing their factors would take longer than multiplying by them: a few
// rows with weights where they lie, C = A W + bias, and the gradient of weights, a sum over few rows.
//
// Every weight is read once from memory, in the direction in which it is contiguous: along the summed dimension, as the
// rows of a weight that is used transposed, or along the columns of C. A block of columns stays in the first cache while
// all rows of A pass by.
#pragma once

#include <cstddef>

#include "functions.h"
#include "linear.h"

constexpr int BLOCK_VECTORS = 4;  // columns that are added up side by side, where rows of W are contiguous

// Whether W can be read so.
INLINE bool is_contiguous(Matrix w) { return w.rs == 1 || w.cs == 1; }

constexpr int BURST = VL / 2;  // vectors of a column that are read one after the other

// sum[i] += the dot products of DEPTH vectors of a row and of column i of W; every column is read in one burst.
template <int DEPTH, bool full>
INLINE void add_dots(vec (&sum)[VL], const real* row, const real* w, std::ptrdiff_t cs, int n) {
    vec x[DEPTH];
#pragma GCC unroll 16
    for (int d = 0; d < DEPTH; ++d) x[d] = keep(load(row + d * VL));
#pragma GCC unroll 16
    for (int i = 0; i < VL; ++i, w += cs)
        if (full || i < n)
#pragma GCC unroll 16
            for (int d = 0; d < DEPTH; ++d) sum[i] = fma(x[d], load(w + d * VL), sum[i]);
}

// Lane i of the first vector of a square becomes the sum of the lanes of vector i.
template <int half = VL / 2>
INLINE void sum_lanes(vec* square) {
#pragma GCC unroll 16
    for (int i = 0; i < half; ++i) {
        swap_corners<half>(square[i], square[i + half], std::make_integer_sequence<int, VL>{});
        square[i] += square[i + half];
    }
    if constexpr (half > 1) sum_lanes<half / 2>(square);
}

// The dot products of a row (K,) with n <= VL contiguous columns of W, `cs` apart; lanes from n on are zero.
template <bool full>
INLINE vec dot_columns(const real* row, const real* w, std::ptrdiff_t cs, int K, int n) {
    vec sum[VL] = {};
    int k = 0;
    for (; k + BURST * VL <= K; k += BURST * VL) add_dots<BURST, full>(sum, row + k, w + k, cs, n);
    for (; k + VL <= K; k += VL) add_dots<1, full>(sum, row + k, w + k, cs, n);
    if (k < K) {
        const vec x = load_n(row + k, K - k);
        for (int i = 0; i < (full ? VL : n); ++i) sum[i] = fma(x, load_n(w + i * cs + k, K - k), sum[i]);
    }
    sum_lanes(sum);
    return sum[0];
}

// The sums over the rows of W, `rs` apart, weighted by a row (K,): n <= NV * VL columns, into `to`.
template <int NV, bool full>
INLINE void sum_columns(vec (&to)[NV], const real* row, const real* w, std::ptrdiff_t rs, int K, int n) {
    vec sum[2][NV] = {};
    auto add = [&](int k, vec (&half)[NV]) __attribute__((always_inline)) {
        const vec x = broadcast(row[k]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
            const real* at = w + k * rs + v * VL;
            const int left = n - v * VL;
            half[v] = fma(x, full ? load(at) : load_n(at, left < 0 ? 0 : at_most(left, VL)), half[v]);
        }
    };
    int k = 0;
    for (; k + 2 <= K; k += 2) add(k, sum[0]), add(k + 1, sum[1]);
    if (k < K) add(k, sum[0]);
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) to[v] = sum[0][v] + sum[1][v];
}

// Columns [0, n) of C = A W + bias, where n <= BLOCK_VECTORS * VL; put(r, v, vector) stores vector v of row r.
template <class Put>
INLINE void block_where_it_lies(Rows a, int rows, Matrix w, int K, int n, Put put) {
    if (w.rs == 1) {
        for (int v = 0; v * VL < n; ++v) {
            const int left = n - v * VL;
            const real* columns = w.data + v * VL * w.cs;
            for (int r = 0; r < rows; ++r)
                put(r, v, left >= VL ? dot_columns<true>(a[r], columns, w.cs, K, VL)
                                     : dot_columns<false>(a[r], columns, w.cs, K, left));
        }
        return;
    }
    for (int r = 0; r < rows; ++r) {
        vec sums[BLOCK_VECTORS];
        if (n == BLOCK_VECTORS * VL) sum_columns<BLOCK_VECTORS, true>(sums, a[r], w.data, w.rs, K, n);
        else sum_columns<BLOCK_VECTORS, false>(sums, a[r], w.data, w.rs, K, n);
        for (int v = 0; v * VL < n; ++v) put(r, v, sums[v]);
    }
}

// What `multiply_panel` does with a packed panel: c (rows, G * W * VL) = A (rows, K) times panel u of G gates of H units,
// of W vectors a gate.
static void panel_where_it_lies(real* c, Rows a, int rows, const Matrix* gates, int u, int K, int G, int H, int V) {
    const int W = panel_width(H, V, u);
    const std::ptrdiff_t ldc = std::ptrdiff_t(G) * W * VL;
    for (int g = 0; g < G; ++g)
        for (int v = 0; v < W; v += BLOCK_VECTORS) {
            const int unit = (u * V + v) * VL, n = at_most(H - unit, at_most(W - v, BLOCK_VECTORS) * VL);
            real* const to = c + (g * W + v) * VL;
            block_where_it_lies(a, rows, gates[g].at(0, unit), K, n,
                                [&](int r, int i, vec x) { store(to + r * ldc + i * VL, x); });
        }
}

// One thread's part of C (M, N) = A (M, K) B (K, N) + bias, of contiguous rows of A.
static void linear_where_it_lies(real* c, std::ptrdiff_t ldc, int M, int N, int K, Matrix a, Matrix b, Bias bias, int thread, int threads) {
    constexpr int WIDE = BLOCK_VECTORS * VL;
    const int blocks = divide_up(N, WIDE), last = share_start(blocks, thread + 1, threads);
    const Rows rows{a.data, a.rs, nullptr};
    for (int block = share_start(blocks, thread, threads); block < last; ++block) {
        const int start = block * WIDE, n = at_most(N - start, WIDE);
        block_where_it_lies(rows, M, b.at(0, start), K, n, [&](int r, int v, vec x) {
            const int at = start + v * VL, left = at_most(n - v * VL, VL);
            store_n(c + r * ldc + at, bias ? x + bias.at(at, left) : x, left);
        });
    }
}

// ---- A sum over few rows ----

constexpr int FEW_SUMMED = 8;

// Columns [n, n + VL * NV) of `rows` rows of C = A B, of which `left` are there.
template <int NV, bool full>
INLINE void sum_of_few(real* c, std::ptrdiff_t ldc, Matrix a, int rows, const real* b, std::ptrdiff_t rs, int K,
                       int left) {
    for (int r = 0; r < rows; ++r, c += ldc) {
        vec sum[NV] = {};
        for (int k = 0; k < K; ++k) {
            const vec x = broadcast(a.data[r * a.rs + k * a.cs]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                const real* at = b + k * rs + v * VL;
                sum[v] = fma(x, full ? load(at) : load_n(at, at_most(left - v * VL, VL)), sum[v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
            if (full) store(c + v * VL, sum[v]);
            else store_n(c + v * VL, sum[v], at_most(left - v * VL, VL));
        }
    }
}

// One thread's part of C (M, N) = A (M, K) B (K, N) of few k, of contiguous rows of B.
static void linear_of_few(real* c, std::ptrdiff_t ldc, int M, int N, int K, Matrix a, Matrix b, real* row_sums,
                          int thread, int threads) {
    constexpr int WIDE = BLOCK_VECTORS * VL;
    const int first = share_start(M, thread, threads), rows = share_start(M, thread + 1, threads) - first;
    const Matrix own = a.at(first, 0);
    c += first * ldc;
    for (int r = 0; row_sums && r < rows; ++r) {
        real sum = 0;
        for (int k = 0; k < K; ++k) sum += own.data[r * own.rs + k * own.cs];
        row_sums[first + r] = sum;
    }
    int n = 0;
    for (; n + WIDE <= N; n += WIDE)
        sum_of_few<BLOCK_VECTORS, true>(c + n, ldc, own, rows, b.data + n, b.rs, K, WIDE);
    for (; n < N; n += VL) sum_of_few<1, false>(c + n, ldc, own, rows, b.data + n, b.rs, K, N - n);
}
