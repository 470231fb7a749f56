// A whole product as one call from outside, done by a team.
#pragma once

#include <cstdint>

#include "gates.h"
#include "linear.h"
#include "team.h"

// C (M, N) = A (M, K) B (K, N) + bias; see `linear`. Strides are in elements.
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
    real* workspace;  // LINEAR_WORKSPACE values for each thread
    Team team;
};

static void multiply_share(void* data, int thread, int threads) {
    const Multiply& m = *static_cast<const Multiply*>(data);
    linear(m.c, m.ldc, int(m.M), int(m.N), int(m.K), {m.a, m.a_rs, m.a_cs}, {m.b, m.b_rs, m.b_cs}, m.bias, m.row_sums,
           false, m.workspace + thread * LINEAR_WORKSPACE, thread, threads);
}

static void fill(Functions* f) { *f = {{sub_product<1>, sub_product<2>, sub_product<3>, sub_product<4>}, pack_gates}; }
