// What every generated kernel is built around: the call that comes from outside, who does which share of it, and the loop
// over time, forward and back.
#pragma once

// Steps are long chains of operations: in order before registers are given out, some of them run side by side.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("schedule-insns", "sched-pressure")
#endif

#include <cstdint>
#include <cstring>

#include "vector.h"
#include "elementary.h"
#include "functions.h"
#include "team.h"

// One call of a kernel. T steps, B rows; buffers are numbered as in the generated code.
struct Call {
    std::int64_t steps, batch;
    const std::int64_t* sizes;
    const real* numbers;
    const std::int64_t* contractions;  // the descriptions of all of them; see contraction.h
    const std::int32_t* const* units;  // tables of the units that gathers take, -1 for 0
    void* const* buffers;
    const Matrix* gates;         // columns of the weights, in the order of packing
    const Functions* functions;  // what is compiled once for all kernels
    const Multiply* products;    // whole ones: before the steps that read them, in backward behind those that give rows
    std::int64_t product_count;
    std::int64_t stretch;        // steps for which they are done at a time
    std::int64_t product_slots;  // of rows that they give: as many, each stretch over the one before, or all steps
    real* workspace;             // for them
    real* packed;                // room for all packed gates
    char* scratch;               // room for every thread
    std::int64_t slots;          // of the state: steps + 1, or 2 that take turns
    std::int64_t y_apart;        // whether the output is written, or is a state and so is there already
    const std::int64_t* order;   // (B,) rows by falling length; null: as they come
    const std::int64_t* lengths; // (B,); null: all rows run to the end
    const std::uint8_t* reset;   // (T, B); null: no row starts again
    std::int64_t unit_threads;   // how many threads share the units of a row; the others share the rows
    std::int64_t packs;          // whether weights are packed; else they are read where they lie, see unpacked.h
    Team team;
};

constexpr std::ptrdiff_t ALIGNMENT = 64;

INLINE std::ptrdiff_t aligned(std::ptrdiff_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

inline int rows_each(const Call& call, int row_shares) { return divide_up(int(call.batch), row_shares); }

// Vectors a gate in one panel of G gates of H units. Of weights that are read where they lie no register tile bounds it,
// so a panel is all that a thread has: all its weights are read without a pause, and then all its units computed.
inline int panel_vectors(const Call& call, int G, int H) {
    const int threads = int(call.unit_threads), rows = rows_each(call, at_least(1, call.team.threads / threads));
    return call.packs ? choose_vectors(G, H, threads, rows) : at_least(1, divide_up(panel_count(H, 1), threads));
}

template <bool full>
INLINE vec get(const real* p, int left) {
    if constexpr (full) return load(p);
    else return load_n(p, left);
}

template <bool full>
INLINE void put(real* p, vec v, int left) {
    if constexpr (full) store(p, v);
    else store_n(p, v, left);
}

// Lanes from `left` on replaced by `rest`, so that they leave a sum or maximum as it is.
template <bool full>
INLINE vec kept(vec v, int left, real rest) {
    if constexpr (full) return v;
    else return select(lane_numbers() < broadcast_integer(left), v, broadcast(rest));
}

// Units of a row by their numbers, 0 for -1.
template <bool full>
INLINE vec moved(const real* row, const std::int32_t* units, int left) {
    vec v{};
#pragma GCC unroll 16
    for (int lane = 0; lane < VL; ++lane)
        if ((full || lane < left) && units[lane] >= 0) v[lane] = row[units[lane]];
    return v;
}

// The running value of a * y + b along the lanes, onwards from y. In double, as torch adds up.
template <bool reverse, bool full>
INLINE vec running(vec a, vec b, int left, double& y) {
    vec v{};
    const int count = full ? VL : left;
#pragma GCC unroll 16
    for (int k = 0; k < count; ++k) {
        const int lane = reverse ? count - 1 - k : k;
        y = double(a[lane]) * y + double(b[lane]);
        v[lane] = real(y);
    }
    return v;
}

// The largest so far along the lanes, NaN from the first NaN on.
template <bool full>
INLINE vec peak(vec a, int left, double& y) {
    vec v{};
#pragma GCC unroll 16
    for (int lane = 0; lane < (full ? VL : left); ++lane) {
        if (!(double(a[lane]) <= y) && y == y) y = a[lane];
        v[lane] = real(y);
    }
    return v;
}

INLINE vec truth(veci mask) { return select(mask, broadcast(1), broadcast(0)); }

// Row r of c, from c + r * ldc on, = row r of A (rows, K) times a packed panel of NV vectors.
INLINE void multiply_packed(const Call& call, real* c, std::ptrdiff_t ldc, Rows a, int rows, const real* panel, int K,
                            int NV) {
    for (int s = 0; s < sub_panels(NV); ++s) {
        const int start = sub_panel_start(NV, s), width = sub_panel_start(NV, s + 1) - start;
        call.functions->products[width - 1](c + start * VL, ldc, a, rows, panel + std::ptrdiff_t(K) * start * VL, K,
                                            Start{});
    }
}

// Whether a panel whose last unit is before `end` goes as it is to rows of `width` units that lie one behind the other.
INLINE bool goes_straight(const Call& call, int end, int width) {
    return call.packs && !call.lengths && end <= width;
}

// c (rows, G * W * VL) = A (rows, K) times panel u of G gates of H units, of W vectors a gate, packed at w.
INLINE void multiply_panel(const Call& call, real* c, Rows a, int rows, const real* w, const Matrix* gates, int u, int K,
                           int G, int H, int V) {
    if (!call.packs) return call.functions->panel_where_it_lies(c, a, rows, gates, u, K, G, H, V);
    const int NV = G * panel_width(H, V, u);
    multiply_packed(call, c, NV * VL, a, rows, w + std::ptrdiff_t(u) * K * G * V * VL, K, NV);
}

struct Full { static constexpr bool full = true; };
struct Partial { static constexpr bool full = false; };

// Calls body(Full or Partial, j, left) for each vector of `width` elements.
template <class Body>
INLINE void each_vector(int width, Body body) {
    int j = 0;
    for (; j + VL <= width; j += VL) body(Full{}, j, VL);
    if (j < width) body(Partial{}, j, width - j);
}

// The same, with two that take turns: a sum for each, so that an addition need not wait for the one before it.
template <class Body>
INLINE void every_other_vector(int width, Body body) {
    const std::integral_constant<int, 0> first{};
    const std::integral_constant<int, 1> second{};
    int j = 0;
    for (; j + 2 * VL <= width; j += 2 * VL) body(Full{}, first, j, VL), body(Full{}, second, j + VL, VL);
    if (j + VL <= width) body(Full{}, first, j, VL), j += VL;
    if (j < width) body(Partial{}, second, j, width - j);
}

// Vectors in which numbers of a row are added up, or the largest of them kept.
template <int count>
struct Lanes {
    vec of[count];
    explicit Lanes(real neutral) {
        for (vec& v : of) v = broadcast(neutral);
    }
};

// The same from the last vector to the first.
template <class Body>
INLINE void each_vector_back(int width, Body body) {
    int j = width / VL * VL;
    if (j < width) body(Partial{}, j, width - j);
    for (j -= VL; j >= 0; j -= VL) body(Full{}, j, VL);
}

constexpr int ROWS_AHEAD = 4;  // in loops that go row by row: from the row that is read to that which is asked for

// The part of a call that one thread does: some of the rows, and of each row some of the units.
struct Share {
    const Call* call;
    int row_share, row_shares;    // which of the shares of rows
    int unit_share, unit_shares;  // which of the shares of units
    int* rows;                    // the rows, the longest first
    int count;                    // of them
    int first_live, live;         // those that run at this step: of them [first_live, live), mostly from 0 on
    std::ptrdiff_t onwards;       // from a row to the same of the step that comes next, in a buffer of all steps
    char* scratch;
    Barrier* barrier;

    // The row to ask for when row i is read: some rows on, past the last one a row of the next step. It is for prefetching
    // alone: behind the last step there is none.
    std::ptrdiff_t ahead(int i) const {
        const int behind = i + at_most(ROWS_AHEAD, live);
        return behind < live ? rows[behind] : rows[behind - live] + onwards;
    }

    // Waits for the threads that share the rows.
    void wait() const { barrier->wait(unit_shares); }

    bool first() const { return unit_share == 0; }

    // Calls body(share) for some of the rows at a time, so many that `bytes` each stay in the second cache. Threads that
    // share rows go through all of them together.
    template <class Body>
    __attribute__((always_inline)) void in_blocks(std::ptrdiff_t bytes, Body body) const {
        constexpr std::ptrdiff_t CACHE = 256 * 1024;
        const int rows = unit_shares > 1 || bytes * live <= CACHE ? live : bytes >= CACHE ? 1 : int(CACHE / bytes);
        Share some = *this;
        int first = 0;
        do {  // once where no row runs: threads wait for each other in it
            some.first_live = first, some.live = first + rows < live ? first + rows : live;
            body(some);
            first += rows;
        } while (first < live);
    }

    // The rows that run, in a buffer of rows of `width` elements; `list` has room for a pointer to each.
    Rows rows_of(const real* buffer, std::ptrdiff_t width, const real** list) const {
        if (!call->lengths) return {buffer + rows[0] * width, width, nullptr};
        for (int i = 0; i < live; ++i) list[i] = buffer + rows[i] * width;
        return {nullptr, 0, list};
    }
};

constexpr int ROWS_AT_ONCE = VL < 8 ? VL : 8;  // that numbers are computed for, a lane each

// A number of each of `count` rows from the i-th on, which are `width` elements apart.
INLINE vec of_rows(const Share& s, const real* at, std::ptrdiff_t width, int i, int count) {
    vec numbers{};
    for (int lane = 0; lane < count; ++lane) numbers[lane] = at[s.rows[i + lane] * width];
    return numbers;
}

// This thread's share of windows of rows: of each of `outer` runs of `size` numbers `length` ones, from `start` on, with
// zeros where that is outside of the run.
inline void look_through(const Share& s, real* out, std::ptrdiff_t stride, RowsOf x, int outer, int size, int start,
                         int length) {
    const int low = start > 0 ? start : 0, high = start + length < size ? start + length : size;
    const std::int64_t runs = std::int64_t(s.live - s.first_live) * outer;
    for (std::int64_t k = runs * s.unit_share / s.unit_shares; k < runs * (s.unit_share + 1) / s.unit_shares; ++k) {
        const std::ptrdiff_t r = s.rows[s.first_live + k / outer], o = k % outer;
        real* const to = out + r * stride + o * length;
        const real* const from = x.first + r * x.stride + o * size;
        for (int j = start; j < low; ++j) to[j - start] = 0;
        std::memcpy(to + low - start, from + low, (high - low) * sizeof(real));
        for (int j = high; j < start + length; ++j) to[j - start] = 0;
    }
}

constexpr int PIECES_AT_ONCE = 64;  // of rows: so many that the matrix pays, and their products stay in the first cache

// Multiplies each of `count` neighbouring pieces of K numbers of a row by one matrix of H columns. `c` has room for the
// products of PIECES_AT_ONCE pieces with a panel, `list` for a pointer to each piece of all rows.
inline void multiply_pieces(const Share& s, real* out, std::ptrdiff_t stride, RowsOf a, int count, const real* w,
                            const Matrix* matrix, int K, int H, int V, real* c, const real** list) {
    const int pieces = s.live * count;
    for (int i = 0; i < pieces; ++i) list[i] = a.first + s.rows[i / count] * a.stride + i % count * K;
    const int end = share_start(panel_count(H, V), s.unit_share + 1, s.unit_shares);
    for (int u = share_start(panel_count(H, V), s.unit_share, s.unit_shares); u < end; ++u) {
        const int W = panel_width(H, V, u);
        for (int first = 0; first < pieces; first += PIECES_AT_ONCE) {
            const int some = pieces - first < PIECES_AT_ONCE ? pieces - first : PIECES_AT_ONCE;
            multiply_panel(*s.call, c, {nullptr, 0, list + first}, some, w, matrix, u, K, 1, H, V);
            for (int i = 0; i < some; ++i) {
                real* const to = out + s.rows[(first + i) / count] * stride + (first + i) % count * H + u * V * VL;
                for (int v = 0, left = H - u * V * VL; v < W; ++v, left -= VL)
                    store_n(to + v * VL, load(c + (i * W + v) * VL), left < VL ? left : VL);
            }
        }
    }
}

// Asks for what the rows that run have at `at` in a buffer, `vectors` vectors of it, so that it is there when they are
// worked on: steps are far apart in memory, and no prefetcher of the processor's own follows.
template <bool written>
INLINE void fetch(const Share& s, int from, int to, const real* at, std::ptrdiff_t width, int vectors) {
    for (int i = from; i < to; ++i)
        for (int v = 0; v < vectors; ++v) __builtin_prefetch(at + s.rows[i] * width + v * VL, written, 2);
}

// The same of one vector, which a loop that goes row by row reads some rows ahead.
INLINE void fetch_one(const real* at) { __builtin_prefetch(at, 0, 3); }

// What a share needs of its own, in bytes, beside what the kernel asks for.
inline std::ptrdiff_t share_bytes(const Call& call) {
    return aligned(call.batch * sizeof(int));
}

inline Share take_share(const Call& call, int thread, int threads, Barrier* barriers, std::ptrdiff_t bytes) {
    Share s{};
    s.call = &call;
    s.unit_shares = threads % int(call.unit_threads) ? 1 : int(call.unit_threads);
    s.row_shares = threads / s.unit_shares;
    s.row_share = thread / s.unit_shares;
    s.unit_share = thread % s.unit_shares;
    s.barrier = &barriers[s.row_share];
    s.scratch = call.scratch + thread * (bytes + share_bytes(call));
    s.rows = reinterpret_cast<int*>(s.scratch);
    s.scratch += share_bytes(call);
    if (call.order) {  // dealt out in turn, so that every thread has long rows and short ones
        for (int r = s.row_share; r < call.batch; r += s.row_shares) s.rows[s.count++] = int(call.order[r]);
    } else {
        const int end = share_start(int(call.batch), s.row_share + 1, s.row_shares);
        for (int r = share_start(int(call.batch), s.row_share, s.row_shares); r < end; ++r) s.rows[s.count++] = r;
    }
    s.live = s.count;
    return s;
}

// ---- Rows that have ended, and rows that start again ----

// Copies the rows of this share from `first` on, `width` elements each; nowhere if `to` is null.
inline void copy_rows(const Share& s, int first, real* to, const real* from, std::ptrdiff_t width) {
    if (!s.first() || !to) return;
    for (int i = first; i < s.count; ++i)
        std::memcpy(to + s.rows[i] * width, from + s.rows[i] * width, width * sizeof(real));
}

// Fills all rows of this share from `from`, or with zeros if that is null.
inline void enter_rows(const Share& s, real* to, const real* from, std::ptrdiff_t width) {
    if (!s.first()) return;
    for (int i = 0; i < s.count; ++i) {
        if (from) std::memcpy(to + s.rows[i] * width, from + s.rows[i] * width, width * sizeof(real));
        else std::memset(to + s.rows[i] * width, 0, width * sizeof(real));
    }
}

inline void clear_rows(const Share& s, int first, real* to, std::ptrdiff_t width) {
    if (!s.first()) return;
    for (int i = first; i < s.count; ++i) std::memset(to + s.rows[i] * width, 0, width * sizeof(real));
}

// Whether row r starts again at step t.
inline bool restarts(const Call& call, std::int64_t t, int r) { return call.reset && call.reset[t * call.batch + r]; }

// ---- The loop over time ----
//
// A kernel is a class with
//     Kernel(const Call&)          sizes and places of everything
//     packed_values                values of all packed gates
//     scratch_bytes                of one thread
//     pack(share, shares)          its share of the packing
//     begin(share), end(share)     before the first step and behind the last
//     step(share, t)               one step
//     ended(share, t)              what becomes of the rows that have ended
//     restart(share, t)            what becomes of those that start again

inline Whole whole_product(const Call& call) {
    return call.packs ? call.functions->multiply : call.functions->multiply_where_it_lies;
}

// The part of a product that steps [first, first + count) have in it, each as many of its rows as every other.
inline Multiply part_of_steps(const Call& call, Multiply m, std::int64_t first, std::int64_t count) {
    const std::int64_t rows = (m.over_steps ? m.K : m.M) / call.steps;
    if (m.over_steps) {
        m.a += first * rows * m.a_cs, m.b += first * rows * m.b_rs, m.K = count * rows;
        m.adds = first + count < call.steps;  // backward: what later steps gave is there
    } else {
        m.c += first % call.product_slots * rows * m.ldc, m.a += first * rows * m.a_rs, m.M = count * rows;
    }
    return m;
}

// Does this thread's share of the products of the stretch that begins with step `first`, while its rows are in a cache.
// Behind steps nobody waits for it: what it reads, no earlier step writes.
inline void multiply_stretch(const Call& call, std::int64_t first, int thread, int threads) {
    const std::int64_t left = call.steps - first, count = left < call.stretch ? left : call.stretch;
    Multiply parts[TOGETHER];
    for (std::int64_t k = 0; k < call.product_count; k += TOGETHER) {
        const int some = at_most(int(call.product_count - k), TOGETHER);
        for (int i = 0; i < some; ++i) parts[i] = part_of_steps(call, call.products[k + i], first, count);
        whole_product(call)(parts, some, call.workspace, thread, threads);
    }
}

template <class Kernel, bool forward>
static void work(void* data, int thread, int threads) {
    struct Both { Kernel* kernel; const Call* call; Barrier* all; Barrier* some; };
    const Both& both = *static_cast<Both*>(data);
    const Call& call = *both.call;
    Kernel& kernel = *both.kernel;
    Share s = take_share(call, thread, threads, both.some, kernel.scratch_bytes);
    s.onwards = forward ? call.batch : -call.batch;
    if (call.packs) kernel.pack(thread, threads);
    kernel.begin(s);
    if (!forward) both.all->wait(threads);  // until all weights are packed
    for (std::int64_t n = 0; n < call.steps; ++n) {
        const std::int64_t t = forward ? n : call.steps - 1 - n;
        if (forward && n % call.stretch == 0) {
            if (n && call.product_slots < call.steps) both.all->wait(threads);  // for those that still read
            multiply_stretch(call, t, thread, threads);
            both.all->wait(threads);
        }
        if (call.lengths) {
            while (s.live > 0 && call.lengths[s.rows[s.live - 1]] <= t) --s.live;
            while (s.live < s.count && call.lengths[s.rows[s.live]] > t) ++s.live;
        }
        if (forward && call.reset) {
            if (s.first()) kernel.restart(s, t);
            s.wait();
        }
        if (s.live || s.unit_shares > 1) kernel.step(s, t);
        if (s.live < s.count) kernel.ended(s, t);
        if (!forward && call.reset) {
            s.wait();
            if (s.first()) kernel.restart(s, t);
        }
        if (call.lengths || call.reset) s.wait();
        if (!forward && call.product_count && t % call.stretch == 0) {
            both.all->wait(threads);
            multiply_stretch(call, t, thread, threads);
        }
    }
    kernel.end(s);
}

template <class Kernel, bool forward>
static void drive(const Call& call) {
    Kernel kernel(call);
    Barrier all;
    Barrier alone;
    Barrier* some = call.team.threads > 1 ? new Barrier[call.team.threads] : &alone;
    struct { Kernel* kernel; const Call* call; Barrier* all; Barrier* some; } both{&kernel, &call, &all, some};
    run(call.team, work<Kernel, forward>, &both);
    if (some != &alone) delete[] some;
}
