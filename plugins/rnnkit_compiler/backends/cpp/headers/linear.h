// The product of two whole matrices, C = A B + bias, for what is done once a sequence rather than at every step.
//
// Every thread of a team calls `linear` with its number and computes a part of C on its own: no thread waits for
// another, each packs what it needs. A block of B is packed into panels that stay in the second cache, and multiplied
// with all rows of A before the next. Rows of A are used where they lie if they are contiguous, or a transpose that suits
// the caches; others are made contiguous.
#pragma once

#include <cstddef>

#include "product.h"

// A part of C: rows [m, m + rows), columns [n, n + columns).
struct Part {
    int m, rows, n, columns;
};

constexpr int WIDTH = TILE_VECTORS * VL;  // columns of a panel of B; the last has as few vectors as will do
constexpr int HEIGHT = tile_rows(TILE_VECTORS);

constexpr int BLOCK_DEPTH = 512;                            // of the summed dimension, in a block of A or B
constexpr int BLOCK_COLUMNS = 1024 / int(sizeof(real));     // of B, whose block is half a megabyte
constexpr int BLOCK_ROWS = divide_up(96, HEIGHT) * HEIGHT;  // of A
constexpr int ROW_STRIDE = BLOCK_DEPTH + VL;  // of packed rows: no power of 2, so that they do not share cache sets
constexpr int PAGE = 4096;         // bytes
static_assert(BLOCK_COLUMNS % WIDTH == 0, "a block has whole panels");

// Values that each thread needs as workspace, aligned as packed weights are.
constexpr std::ptrdiff_t LINEAR_WORKSPACE =
    std::ptrdiff_t(BLOCK_DEPTH) * BLOCK_COLUMNS + BLOCK_ROWS * ROW_STRIDE + BLOCK_ROWS * WIDTH;

// ---- Division among threads ----

// How long a thread takes for its part, in vector operations for each k: the product, and packing at a third a value.
INLINE double part_cost(double rows, double columns, bool packs_rows) {
    return rows * columns / VL + (columns + (packs_rows ? rows : 0)) / 3;
}

// The part of one thread, in the grid of threads over C whose busiest thread takes the least time.
static inline Part part_of(int M, int N, bool packs_rows, int thread, int threads) {
    const int vectors = divide_up(N, VL);
    int down = 1;
    double least = -1;
    for (int candidate = 1; candidate <= threads; ++candidate) {
        if (threads % candidate) continue;
        const double columns = divide_up(vectors, threads / candidate) * VL;
        const double cost = part_cost(divide_up(M, candidate), columns, packs_rows);
        if (least < 0 || cost < least) down = candidate, least = cost;
    }
    const int across = threads / down, row = thread / across, column = thread % across;
    const int m = share_start(M, row, down), n = share_start(vectors, column, across) * VL;
    const int end = share_start(vectors, column + 1, across) * VL;
    return {m, share_start(M, row + 1, down) - m, n, (end < N ? end : N) - n};
}

// ---- Blocks ----

// Whether rows of A are read where they lie: contiguous ones, and those of a transpose. Of lines whole pages apart a cache
// keeps only a few.
INLINE bool is_read_in_place(Matrix a) {
    return a.cs == 1 || (READS_TRANSPOSES && a.rs == 1 && a.cs * std::int64_t(sizeof(real)) % PAGE);
}

// The rows of a block of A, made contiguous if need be.
static inline Rows rows_of_block(real* to, Matrix a, int rows, int K) {
    if (is_read_in_place(a)) return {a.data, a.rs, nullptr, a.cs};
    for (int k = 0; k < K; k += VL)
        pack_vector(to + k, ROW_STRIDE, a.data + k * a.cs, a.rs, a.cs, rows, K - k < VL ? K - k : VL);
    return {to, ROW_STRIDE, nullptr};
}

// sums[r] (+)= the sum of row r of a transpose, some vectors of rows side by side.
static inline void sum_rows_of_transpose(real* sums, Rows a, int rows, int K, bool add) {
    constexpr int wide = 4;
    for (int r = 0; r < rows; r += wide * VL) {
        const int left = rows - r;
        vec sum[wide]{};
        for (int block = 0; block < K; block += SUMMED_AT_ONCE) {
            vec part[wide]{};
            for (int k = block; k < at_most(K, block + SUMMED_AT_ONCE); ++k)
#pragma GCC unroll 4
                for (int v = 0; v < wide; ++v) {
                    const real* const from = a.first + k * a.step + r + v * VL;
                    part[v] += left >= wide * VL ? load(from) : load_n(from, at_least(0, at_most(left - v * VL, VL)));
                }
            for (int v = 0; v < wide; ++v) sum[v] += part[v];
        }
        for (int v = 0; v < wide && v * VL < left; ++v) {
            const int n = at_most(left - v * VL, VL);
            real* const to = sums + r + v * VL;
            store_n(to, add ? load_n(to, n) + sum[v] : sum[v], n);
        }
    }
}

// sums[r] (+)= the sum of row r of A, in several sums at a time, to cover the latency of an addition.
static inline void sum_rows(real* sums, Rows a, int rows, int K, bool add) {
    if (a.step != 1) return sum_rows_of_transpose(sums, a, rows, K, add);
    constexpr int chains = 4;
    for (int r = 0; r < rows; ++r) {
        const real* const row = a[r];
        vec sum[chains]{};
        int k = 0;
        for (; k + chains * VL <= K; k += chains * VL)
            for (int chain = 0; chain < chains; ++chain) sum[chain] += load(row + k + chain * VL);
        for (; k < K; k += VL) sum[0] += load_n(row + k, K - k < VL ? K - k : VL);
        sums[r] = (add ? sums[r] : real(0)) + hsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}

// What is added to each row: one vector (N,), or the sum of two; both null for nothing.
struct Bias {
    const real *one, *other;

    explicit operator bool() const { return one; }
    vec at(int n, int count) const {
        const vec b = load_n(one + n, count);
        return other ? b + load_n(other + n, count) : b;
    }
};

// c (rows, columns) = start + A times one panel of NV vectors, where columns <= NV * VL.
template <int NV>
static void panel_product(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K, int columns,
                          Start start, real* scratch) {
    if (columns == NV * VL) return product<NV>(c, ldc, a, rows, panel, K, start);
    product<NV>(scratch, NV * VL, a, rows, panel, K, Start{nullptr, 0, start.chain});
    for (int r = 0; r < rows; ++r)
        for (int n = 0; n < columns; n += VL) {
            const int count = columns - n < VL ? columns - n : VL;
            const vec sum = load(scratch + r * NV * VL + n);
            store_n(c + r * ldc + n, start ? sum + load_n(start[r] + n, count) : sum, count);
        }
}

// C (rows, columns) = start + a block of A times a packed block of B.
static inline void block_product(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* packed, int K, int columns,
                                 Start start, real* scratch) {
    for (int n = 0; n < columns; n += WIDTH, packed += std::ptrdiff_t(K) * WIDTH) {
        const int left = columns - n < WIDTH ? columns - n : WIDTH;
        constexpr decltype(&panel_product<1>) of_width[] = {panel_product<1>, panel_product<2>, panel_product<3>,
                                                            panel_product<4>};
        of_width[divide_up(left, VL) - 1](c + n, ldc, a, rows, packed, K, left, start.at(0, n), scratch);
    }
}

// Packs a block of B into panels of 4 vectors; what is left takes another of as few as will do.
static inline void pack_block(real* to, Matrix b, int K, int columns) {
    const int whole = columns / WIDTH, rest = columns % WIDTH;
    pack(to, &b, K, 1, columns, TILE_VECTORS, 0, whole);
    if (!rest) return;
    const Matrix right = b.at(0, whole * WIDTH);
    pack(to + std::ptrdiff_t(K) * whole * WIDTH, &right, K, 1, rest, divide_up(rest, VL), 0, 1);
}

// ---- The whole product ----

// Some of a dimension: [start, start + size).
struct Range {
    int start, size;
};

// Piece `index` of `pieces` into which `total` things are cut between multiples of `grain`.
INLINE Range piece(int total, int grain, int pieces, int index) {
    const int grains = divide_up(total, grain);
    const int start = share_start(grains, index, pieces) * grain, end = share_start(grains, index + 1, pieces) * grain;
    return {start, (end < total ? end : total) - start};
}

// A product of A with one of several matrices on its right: C (M, N) = A B + bias. Rows of C are contiguous, ldc apart.
//
// `row_sums` (M), unless null, gets the sum of every row of A: the gradient of a weight multiplies the transpose of its
// output's gradient, whose row sums are the gradient of the bias.
struct Right {
    real* c;
    std::ptrdiff_t ldc;
    int N;
    Matrix b;
    Bias bias;
    real* row_sums;
    bool adds;
    int chain = UNBROKEN;  // terms that are added up after each other, at most

    // Columns, so that each of several begins with a vector.
    int padded() const { return divide_up(N, VL) * VL; }
};

// Calls body(right, n, columns) for what `columns` of all matrices on the right, side by side, has of each.
template <class Body>
INLINE void each_right(const Right* rights, int count, Range columns, Body body) {
    for (int i = 0, start = 0; i < count; start += rights[i].padded(), ++i) {
        const int n = columns.start > start ? columns.start - start : 0, end = columns.start + columns.size - start;
        const int last = end < rights[i].N ? end : rights[i].N;
        if (n < last) body(rights[i], n, last - n);
    }
}

// This thread's part of the products of A (M, K) with several matrices on its right. Rows of A that have to be made
// contiguous are made so once for all that fit into a block.
static inline void linear(const Right* rights, int count, int M, int K, Matrix a, real* workspace, int thread,
                          int threads) {
    real biases[BLOCK_COLUMNS];
    real* const packed = workspace;
    real* const copied = packed + std::ptrdiff_t(BLOCK_DEPTH) * BLOCK_COLUMNS;
    real* const scratch = copied + BLOCK_ROWS * ROW_STRIDE;
    int N = 0;
    for (int i = 0; i < count; ++i) N += rights[i].padded();
    const Part part = part_of(M, N, !is_read_in_place(a), thread, threads);
    const int across = divide_up(part.columns, BLOCK_COLUMNS), down = divide_up(part.rows, BLOCK_ROWS);
    const int deep = K ? divide_up(K, BLOCK_DEPTH) : 1;  // a sum over nothing is zero, and put there too
    for (int x = 0; x < across; ++x) {
        const Range within = piece(part.columns, WIDTH, across, x), columns{part.n + within.start, within.size};
        for (int z = 0; z < deep; ++z) {
            const Range depth = piece(K, 1, deep, z);
            real* to = packed;
            real* bias = biases;
            each_right(rights, count, columns, [&](const Right& right, int n, int size) {
                pack_block(to, right.b.at(depth.start, n), depth.size, size);
                to += std::ptrdiff_t(depth.size) * divide_up(size, VL) * VL;
                for (int i = 0; i < size; i += VL, bias += VL)
                    if (right.bias) store(bias, right.bias.at(n + i, at_most(size - i, VL)));
            });
            for (int y = 0; y < down; ++y) {
                const Range rows = piece(part.rows, HEIGHT, down, y);
                const int m = part.m + rows.start;
                const Rows of_a = rows_of_block(copied, a.at(m, depth.start), rows.size, depth.size);
                const real *from = packed, *of_bias = biases;
                each_right(rights, count, columns, [&](const Right& right, int n, int size) {
                    real* const corner = right.c + m * right.ldc + n;
                    if (right.row_sums && n == 0) sum_rows(right.row_sums + m, of_a, rows.size, depth.size, z || right.adds);
                    Start start{nullptr, 0, right.chain};
                    if (z || right.adds) start.first = corner, start.stride = int(right.ldc);
                    else if (right.bias) start.first = of_bias;
                    block_product(corner, right.ldc, of_a, rows.size, from, depth.size, size, start, scratch);
                    const int padded = divide_up(size, VL) * VL;
                    from += std::ptrdiff_t(depth.size) * padded, of_bias += padded;
                });
            }
        }
    }
}
