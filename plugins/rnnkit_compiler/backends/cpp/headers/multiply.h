// Whole products as one call from outside, done by a team.
#pragma once

#include <cstdint>

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

// How many products from the first on have the same matrix on their left.
static int with_the_same_left(const Multiply* m, std::int64_t count) {
    int same = 1;
    while (same < count && same < TOGETHER && m[same].a == m->a && m[same].M == m->M && m[same].K == m->K &&
           m[same].a_rs == m->a_rs && m[same].a_cs == m->a_cs)
        ++same;
    return same;
}

constexpr int SHORTEST_CHAIN = 16, LONGEST_CHAIN = 128;  // of terms

// How many terms of a sum over the rows of all steps are added up after each other. The loop adds up the rows of a step,
// and then the steps, two chains that are shorter than all rows together: one chain as long would be rounded more. Going
// from chain to chain takes about a hundredth of the time.
INLINE int chain_of(std::int64_t K) { return at_least(SHORTEST_CHAIN, at_most(LONGEST_CHAIN, int(K / 4))); }

static void multiply_share(const Multiply* m, std::int64_t count, real* workspace, int thread, int threads) {
    for (int some; count > 0; m += some, count -= some) {
        some = with_the_same_left(m, count);
        Right rights[TOGETHER];
        for (int i = 0; i < some; ++i)
            rights[i] = {m[i].c, std::ptrdiff_t(m[i].ldc), int(m[i].N), {m[i].b, m[i].b_rs, m[i].b_cs},
                         {m[i].bias, m[i].bias2}, m[i].row_sums, m[i].adds != 0,
                         m[i].over_steps ? chain_of(m->K) : UNBROKEN};
        linear(rights, some, int(m->M), int(m->K), {m->a, m->a_rs, m->a_cs},
               workspace + thread * LINEAR_WORKSPACE, thread, threads);
    }
}

static void multiply_shares(void* data, int thread, int threads) {
    const Products& all = *static_cast<const Products*>(data);
    multiply_share(all.products, all.count, all.workspace, thread, threads);
}

// What packs its factors. Contractions, and products that do not pack, are compiled where something asks for them: they
// would take as long again.
static void fill(Functions* f) {
    *f = {{sub_product<1>, sub_product<2>, sub_product<3>, sub_product<4>}, pack_share, multiply_share};
}
