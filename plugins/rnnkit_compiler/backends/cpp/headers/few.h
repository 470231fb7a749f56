// Products of calls of few rows, with weights where they lie.
#pragma once

#include "functions.h"
#include "unpacked.h"

static Whole multiply_packed;  // for those that do pack, compiled beside this

// Whole products of few rows, those of which the matrices are such that nothing need be packed.
static void multiply_share_where_it_lies(const Multiply* m, std::int64_t count, real* workspace, int thread,
                                         int threads) {
    for (; count > 0; ++m, --count) {
        const Matrix a{m->a, m->a_rs, m->a_cs}, b{m->b, m->b_rs, m->b_cs};
        if (m->adds)  // which only that does
            multiply_packed(m, 1, workspace, thread, threads);
        else if (m->K <= FEW_SUMMED && b.cs == 1 && !m->bias)
            linear_of_few(m->c, m->ldc, int(m->M), int(m->N), int(m->K), a, b, m->row_sums, thread, threads);
        else if (m->M > FEW_ROWS || a.cs != 1 || m->row_sums || !is_contiguous(b))
            multiply_packed(m, 1, workspace, thread, threads);
        else
            linear_where_it_lies(m->c, m->ldc, int(m->M), int(m->N), int(m->K), a, b, {m->bias, m->bias2}, thread,
                                 threads);
    }
}

static void fill_with_few(Functions* f) {
    multiply_packed = f->multiply;
    f->panel_where_it_lies = panel_where_it_lies;
    f->multiply_where_it_lies = multiply_share_where_it_lies;
}
