// Whole products as one call from outside, done by a team.
#pragma once

#include <cstdint>

#include "contraction.h"
#include "functions.h"
#include "linear.h"
#include "team.h"
#include "unpacked.h"

// Products one after the other; none reads what another writes.
struct Products {
    const Multiply* products;
    std::int64_t count;
    real* workspace;  // LINEAR_WORKSPACE values for each thread
    Team team;
};

static void multiply_share(const Multiply& m, real* workspace, int thread, int threads) {
    linear(m.c, m.ldc, int(m.M), int(m.N), int(m.K), {m.a, m.a_rs, m.a_cs}, {m.b, m.b_rs, m.b_cs}, {m.bias, m.bias2}, m.row_sums,
           false, workspace + thread * LINEAR_WORKSPACE, thread, threads);
}

// The same of few rows, where the matrices are such that nothing need be packed.
static void multiply_share_where_it_lies(const Multiply& m, real* workspace, int thread, int threads) {
    const Matrix a{m.a, m.a_rs, m.a_cs}, b{m.b, m.b_rs, m.b_cs};
    if (m.M > FEW_ROWS || a.cs != 1 || m.row_sums || !is_contiguous(b))
        return multiply_share(m, workspace, thread, threads);
    linear_where_it_lies(m.c, m.ldc, int(m.M), int(m.N), int(m.K), a, b, {m.bias, m.bias2}, thread, threads);
}

static void multiply_shares(void* data, int thread, int threads) {
    const Products& all = *static_cast<const Products*>(data);
    for (std::int64_t k = 0; k < all.count; ++k) multiply_share(all.products[k], all.workspace, thread, threads);
}

static void fill(Functions* f) {
    *f = {{sub_product<1>, sub_product<2>, sub_product<3>, sub_product<4>},
          pack_share,
          multiply_share,
          contract_share,
          panel_where_it_lies,
          multiply_share_where_it_lies};
}
