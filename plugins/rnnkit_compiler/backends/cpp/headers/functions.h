// What kernels leave to functions that are compiled once for all of them: products, and the packing of weights.
#pragma once

#include <cstdint>

#include "product.h"

typedef void (*Product)(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K, Start start);
typedef void (*Pack)(real* to, const Matrix* gates, int K, int G, int H, int V, int share, int shares);
typedef void (*Panel)(real* c, Rows a, int rows, const Matrix* gates, int u, int K, int G, int H, int V);

// A product of two whole matrices, C (M, N) = A (M, K) B (K, N) + bias; see `linear`. Strides are in elements.
struct Multiply {
    std::int64_t M, N, K;
    real* c;
    std::int64_t ldc;
    const real* a;
    std::int64_t a_rs, a_cs;
    const real* b;
    std::int64_t b_rs, b_cs;
    const real* bias;
    const real* bias2;  // if there is a bias that is the sum of two; or null
    real* row_sums;
    std::int64_t over_steps;  // whether it sums over rows of all steps, K of them; else it has M of them
    std::int64_t adds;        // whether C and the sums of rows are added to
};

constexpr int TOGETHER = 8;   // products that are done as neighbours, at most
constexpr int FEW_ROWS = 16;  // of a call: fewer than a stretch has, so that nothing is added to what an earlier one gave

// Does one thread's share of such products, of which none reads what another writes; `workspace` is for all threads.
// Neighbours with the same A are done together.
typedef void (*Whole)(const Multiply* products, std::int64_t count, real* workspace, int thread, int threads);

// The rows of a buffer: row r begins at first + r * stride. No `first`: ones.
struct RowsOf {
    const real* first;
    std::ptrdiff_t stride;
};

// Does one thread's share of a contraction of the rows listed; see contraction.h.
typedef void (*Contract)(const std::int64_t* description, real* out, std::ptrdiff_t stride, RowsOf x, RowsOf y,
                         const int* rows, int count, int share, int shares);

// Products with sub-panels of 1 to 4 vectors, the packing, whole products and contractions; and for calls of few rows,
// products with weights where they lie. They are most of what there is to compile.
struct Functions {
    Product products[TILE_VECTORS];
    Pack pack;
    Whole multiply;
    Contract contract;
    Panel panel_where_it_lies;
    Whole multiply_where_it_lies;
};

// Packs one share of the panels.
static inline void pack_share(real* to, const Matrix* gates, int K, int G, int H, int V, int share, int shares) {
    const int panels = panel_count(H, V);
    pack(to, gates, K, G, H, V, share_start(panels, share, shares), share_start(panels, share + 1, shares));
}
