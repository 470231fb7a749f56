// Whole products as one call from outside, done by a team.
#pragma once

#include <cstdint>

#include "contraction.h"
#include "functions.h"
#include "linear.h"
#include "team.h"

// Products one after the other; none reads what another writes.
struct Products {
    const Multiply* products;
    std::int64_t count;
    real* workspace;  // LINEAR_WORKSPACE values for each thread
    Team team;
};

static void multiply_share(const Multiply& m, real* workspace, int thread, int threads) {
    linear(m.c, m.ldc, int(m.M), int(m.N), int(m.K), {m.a, m.a_rs, m.a_cs}, {m.b, m.b_rs, m.b_cs}, m.bias, m.row_sums,
           false, workspace + thread * LINEAR_WORKSPACE, thread, threads);
}

static void multiply_shares(void* data, int thread, int threads) {
    const Products& all = *static_cast<const Products*>(data);
    for (std::int64_t k = 0; k < all.count; ++k) multiply_share(all.products[k], all.workspace, thread, threads);
}

static void fill(Functions* f) {
    *f = {{sub_product<1>, sub_product<2>, sub_product<3>, sub_product<4>}, pack_share, multiply_share, contract_share};
}
