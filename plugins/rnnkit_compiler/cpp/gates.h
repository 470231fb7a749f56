// Gates in packed weights, and what kernels leave to functions that are compiled once for all of them.
#pragma once

#include <cstdint>

#include "product.h"

// Columns of a matrix that are one gate: its value (k, n) is at data[k * rs + n * cs].
struct Source {
    const real* data;
    std::int64_t rs, cs;
};

typedef void (*Product)(real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K, bool add);
typedef void (*Pack)(real* to, const Source* sources, int K, int G, int H, int V, int share, int shares);

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
    real* row_sums;
};

// Does one thread's share of such a product; `workspace` is for all threads.
typedef void (*Whole)(const Multiply& product, real* workspace, int thread, int threads);

// Products with sub-panels of 1 to 4 vectors, the packing, and whole products. They are most of what there is to
// compile.
struct Functions {
    Product products[TILE_VECTORS];
    Pack pack;
    Whole multiply;
};

// Packs panels of G gates; gate g is `sources[g]`. The layout is that of `pack` in product.h.
static inline void pack_gates(real* to, const Source* sources, int K, int G, int H, int V, int share, int shares) {
    const int NV = G * V, panels = panel_count(H, V);
    const int last = share_start(panels, share + 1, shares);
    for (int u = share_start(panels, share, shares); u < last; ++u) {
        real* panel = to + std::ptrdiff_t(u) * K * NV * VL;
        for (int s = 0; s < sub_panels(NV); ++s) {
            const int start = sub_panel_start(NV, s), end = sub_panel_start(NV, s + 1);
            const std::ptrdiff_t step = std::ptrdiff_t(end - start) * VL;
            for (int k = 0; k < K; k += PACK_STEPS)
                for (int i = start; i < end; ++i) {
                    const Source& source = sources[i / V];
                    const int unit = (u * V + i % V) * VL, left = H - unit;
                    pack_vector(panel + std::ptrdiff_t(K) * start * VL + k * step + (i - start) * VL, step,
                                source.data + k * source.rs + unit * source.cs, source.rs, source.cs,
                                K - k < PACK_STEPS ? K - k : PACK_STEPS, left < 0 ? 0 : left < VL ? left : VL);
                }
        }
    }
}
