// What test_product.py calls: products of whole matrices of packed panels and whole, and teams of threads.
#include <cstdlib>
#include <vector>

#include "linear.h"
#include "team.h"
#include "unpacked.h"

extern "C" int lanes() { return VL; }
extern "C" int paired() { return PAIRED; }

extern "C" int vectors(int G, int H, int threads, int rows) { return choose_vectors(G, H, threads, rows); }

// Counts how often each row of each panel is dealt to a thread, and how many rows of panels each thread has.
extern "C" void deal(int panels, int threads, int from, int to, int* often, int* had) {
    for (int thread = 0; thread < threads; ++thread) {
        const Dealt own(panels, threads, thread, from, to);
        for (int n = 0; n < own.count; ++n)
            for (int i = own.from(n); i < own.to(n); ++i) ++often[own.panel(n) * to + i], ++had[thread];
    }
}

// The product of one panel, with its width known to the compiler or not.
static void multiply_panel(real* c, Rows a, int rows, const real* panel, int K, int NV, bool add, bool known) {
    const Start start{add ? c : nullptr, NV * VL};
    if (known && NV == 4) product<4>(c, NV * VL, a, rows, panel, K, start);
    else if (known && NV == 5) product<5>(c, NV * VL, a, rows, panel, K, start);
    else if (known && NV == 6) product<6>(c, NV * VL, a, rows, panel, K, start);
    else product(c, NV * VL, a, rows, panel, K, NV, start);
}

// C (rows, G * H) = A W, or C += A W, where A has K columns and `list` says which of its rows are meant. W is packed in
// two shares.
extern "C" void multiply(real* C, const real* A, long lda, const int* list, int rows, const real* W, long rs, long cs,
                         int K, int G, int H, int V, int add, int known) {
    const int panels = panel_count(H, V);
    std::vector<real> packed(packed_size(K, G, H, V), real(1e30)), c(rows * G * V * VL);
    std::vector<Matrix> gates;
    for (int g = 0; g < G; ++g) gates.push_back({W + g * H * cs, rs, cs});
    pack(packed.data(), gates.data(), K, G, H, V, panels / 2, panels);
    pack(packed.data(), gates.data(), K, G, H, V, 0, panels / 2);
    std::vector<const real*> begin;
    for (int r = 0; list && r < rows; ++r) begin.push_back(A + list[r] * lda);
    const Rows a{A, lda, list ? begin.data() : nullptr};
    for (int u = 0; u < panels; ++u) {
        const int first = u * V * VL, units = panel_width(H, V, u) * VL, ldc = G * units;
        auto whole = [&](int r, int n) { return &C[(r * G + n / units) * H + first + n % units]; };
        auto inside = [&](int n) { return first + n % units < H; };
        for (int r = 0; r < rows; ++r)
            for (int n = 0; n < ldc; ++n) c[r * ldc + n] = inside(n) ? *whole(r, n) : 0;
        multiply_panel(c.data(), a, rows, &packed[std::ptrdiff_t(u) * K * G * V * VL], K, ldc / VL, add, known);
        for (int r = 0; r < rows; ++r)
            for (int n = 0; n < ldc; ++n) {
                if (inside(n)) *whole(r, n) = c[r * ldc + n];
                else if (c[r * ldc + n] != 0) std::abort();  // units past H are zero
            }
    }
}

struct Call {
    real* c;
    std::ptrdiff_t ldc;
    int M, N, K;
    Matrix a, b;
    Bias bias;
    real* row_sums;
    bool adds;
};

static void part_of_call(void* data, int thread, int threads) {
    const Call& call = *static_cast<const Call*>(data);
    std::vector<real> workspace(LINEAR_WORKSPACE, real(1e30));
    const Right right{call.c, call.ldc, call.N, call.b, call.bias, call.row_sums, call.adds};
    linear(&right, 1, call.M, call.K, call.a, workspace.data(), thread, threads);
}

// The whole product, by the members of a team one after another.
extern "C" void multiply_whole(real* c, long ldc, int M, int N, int K, const real* a, long rs_a, long cs_a,
                               const real* b, long rs_b, long cs_b, const real* bias, const real* bias2, real* row_sums,
                               int adds, int threads) {
    Call call{c, ldc, M, N, K, {a, rs_a, cs_a}, {b, rs_b, cs_b}, {bias, bias2}, row_sums, adds != 0};
    for (int thread = 0; thread < threads; ++thread) part_of_call(&call, thread, threads);
}

// The products of A with the columns of B, `widths` of them at a time, all of them together; every other with a bias.
extern "C" void multiply_together(real* c, long ldc, int M, int K, const real* a, long rs_a, long cs_a, const real* b,
                                  long rs_b, long cs_b, const real* bias, const int* widths, int count, real* row_sums,
                                  int threads) {
    std::vector<Right> rights;
    for (int i = 0; i < count; c += widths[i], b += widths[i] * cs_b, bias += widths[i], ++i) {
        const Bias own{i % 2 ? nullptr : bias, nullptr};
        rights.push_back({c, ldc, widths[i], {b, rs_b, cs_b}, own, i == count - 1 ? row_sums : nullptr, false});
    }
    for (int thread = 0; thread < threads; ++thread) {
        std::vector<real> workspace(LINEAR_WORKSPACE, real(1e30));
        linear(rights.data(), count, M, K, {a, rs_a, cs_a}, workspace.data(), thread, threads);
    }
}

// The same of contiguous rows of A, with B where it lies.
extern "C" void multiply_where_it_lies(real* c, long ldc, int M, int N, int K, const real* a, long rs_a, const real* b,
                                       long rs_b, long cs_b, const real* bias, const real* bias2, int threads) {
    for (int thread = 0; thread < threads; ++thread)
        linear_where_it_lies(c, ldc, M, N, K, {a, rs_a, 1}, {b, rs_b, cs_b}, {bias, bias2}, thread, threads);
}

// A sum over few rows of B, as the gradient of a weight is one.
extern "C" void multiply_few(real* c, long ldc, int M, int N, int K, const real* a, long rs_a, long cs_a, const real* b,
                             long rs_b, real* row_sums, int threads) {
    for (int thread = 0; thread < threads; ++thread)
        linear_of_few(c, ldc, M, N, K, {a, rs_a, cs_a}, {b, rs_b, 1}, row_sums, thread, threads);
}

// C (rows, G * H) = A W by panels of G gates of H units, with W where it lies.
extern "C" void multiply_panels_where_they_lie(real* C, const real* A, long lda, int rows, const real* W, long rs, long cs,
                                               int K, int G, int H, int V) {
    std::vector<Matrix> gates;
    for (int g = 0; g < G; ++g) gates.push_back({W + g * H * cs, rs, cs});
    std::vector<real> c(rows * G * V * VL);
    for (int u = 0; u < panel_count(H, V); ++u) {
        const int units = panel_width(H, V, u) * VL, ldc = G * units;
        panel_where_it_lies(c.data(), {A, lda, nullptr}, rows, gates.data(), u, K, G, H, V);
        for (int r = 0; r < rows; ++r)
            for (int n = 0; n < ldc; ++n) {
                const int unit = u * V * VL + n % units;
                if (unit < H) C[(r * G + n / units) * H + unit] = c[r * ldc + n];
            }
    }
}

struct Relay {
    Barrier barrier;
    int rounds;
    std::vector<int> shares;
    int errors;
};

// Every thread writes the round into its own share and, past the barrier, reads the others'.
static void run_relay(void* data, int thread, int threads) {
    Relay& relay = *static_cast<Relay*>(data);
    for (int round = 1; round <= relay.rounds; ++round) {
        relay.shares[thread] = round;
        relay.barrier.wait(threads);
        for (int other = 0; other < threads; ++other)
            if (relay.shares[other] != round) __atomic_add_fetch(&relay.errors, 1, __ATOMIC_RELAXED);
        relay.barrier.wait(threads);
    }
    if (thread == 0) relay.rounds = threads;
}

// Runs a relay on a pool given by its entry points; gives the number of threads that took part, or -1 after errors.
extern "C" int relay(void* parallel, void* number, void* count, int threads, int rounds) {
    Relay relay{{}, rounds, std::vector<int>(threads), 0};
    run(Team{(decltype(Team::parallel))parallel, (int (*)())number, threads, (int (*)())count}, run_relay, &relay);
    return relay.errors ? -1 : relay.rounds;
}
