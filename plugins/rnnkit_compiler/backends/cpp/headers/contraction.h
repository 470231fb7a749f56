// Contractions of rows: sums of products along axes within a row, and the largest or smallest along them. All sizes and
// steps are numbers of the call, so this is compiled once for all kernels.
#pragma once

#include <cstdint>
#include <utility>

#include "functions.h"

// An axis: its size, and how many elements a step along it is in the result and in both operands.
struct Axis {
    std::int64_t size, out, x, y;
};

enum Fold : std::int64_t { SUM, LARGEST, SMALLEST };

// out[outer] = the fold, over `summed` axes and perhaps the last one, of x * y. Vectors go along the last axis, which is
// one of the result of step 1, unless it is folded (`across`), and then the fold ends in one over the lanes. There is at
// least one axis of either kind; one of a single element, if need be. `exchanged`: x is the second operand.
struct Contraction {
    std::int64_t fold, across, exchanged, outer, summed;
    Axis axes[];  // `outer` ones of the result, `summed` ones that it lacks, and the last one

    const Axis& last() const { return axes[outer + summed]; }
    const Axis& along() const { return axes[outer - 1]; }  // the last outer one: neighbours along it are computed together
};

// How lanes go along an operand: all read one number, neighbours, or what the step says.
enum Step { SAME, NEXT, ANY };

template <Step step>
INLINE vec lanes(const real* p, std::int64_t apart, int count) {
    if constexpr (step == SAME) return broadcast(*p);
    else if constexpr (step == NEXT) return count == VL ? load(p) : load_n(p, count);
    else {
        if (apart == 0) return broadcast(*p);
        if (apart == 1) return load_n(p, count);
        vec v{};
        for (int lane = 0; lane < count; ++lane) v[lane] = p[lane * apart];
        return v;
    }
}

INLINE vec folded(std::int64_t fold, vec total, vec value) {
    return fold == SUM ? total + value : fold == LARGEST ? vmax(total, value) : vmin(total, value);
}

// What a fold begins with; -0 and not 0, which would make 0 of -0.
INLINE real neutral(std::int64_t fold) {
    return fold == SUM ? real(-0.0) : fold == LARGEST ? -real(__builtin_inf()) : real(__builtin_inf());
}

// Calls body(out, x, y) for every place along `count` >= 1 axes, the last one the fastest.
template <class Body>
INLINE void each_place(const Axis* axes, std::int64_t count, Body body) {
    std::ptrdiff_t out = 0, x = 0, y = 0;
    std::int64_t at[8] = {};
    const Axis& fastest = axes[count - 1];
    for (;;) {
        std::ptrdiff_t o = out, dx = x, dy = y;
        for (std::int64_t n = fastest.size; n > 0; --n, o += fastest.out, dx += fastest.x, dy += fastest.y)
            body(o, dx, dy);
        std::int64_t k = count - 1;
        while (k-- > 0) {
            out += axes[k].out, x += axes[k].x, y += axes[k].y;
            if (++at[k] < axes[k].size) break;
            out -= axes[k].size * axes[k].out, x -= axes[k].size * axes[k].x, y -= axes[k].size * axes[k].y;
            at[k] = 0;
        }
        if (k < 0) return;
    }
}

// What the compiler knows of a contraction: how lanes go along the operands, whether there are two, whether it is a sum,
// and whether one operand is the same for neighbours along the last outer axis, so that it is read once for some.
template <Step x_, Step y_, bool two_, bool adds_, bool same_x_, bool same_y_>
struct Kind {
    static constexpr Step x = x_, y = y_;
    static constexpr bool two = two_, adds = adds_, same_x = same_x_, same_y = same_y_;
    static constexpr int tile = same_x || same_y ? 4 : 1;
};

// The products of one vector of each operand, for some neighbours along the last outer axis: body(which, product).
template <class K, int neighbours, class Body>
INLINE void multiply_lanes(const real* x, const real* y, const Axis& along, const Axis& last, int count, Body body) {
    vec of_x = lanes<K::x>(x, last.x, count), of_y{};
    if constexpr (K::two) of_y = lanes<K::y>(y, last.y, count);
#pragma GCC unroll 4
    for (int n = 0; n < neighbours; ++n) {
        if (n && !K::same_x) of_x = lanes<K::x>(x + n * along.x, last.x, count);
        if (n && K::two && !K::same_y) of_y = lanes<K::y>(y + n * along.y, last.y, count);
        body(n, K::two ? of_x * of_y : of_x);
    }
}

template <class K>
INLINE vec added(const Contraction& c, vec total, vec value) {
    return K::adds ? total + value : folded(c.fold, total, value);
}

// Some neighbours, and of each some vectors along the last axis, `count` lanes of the last of them.
template <class K, int neighbours, int vectors>
INLINE void fold_vectors(const Contraction& c, real* out, const real* x, const real* y, int count) {
    const Axis &last = c.last(), &along = c.along();
    vec total[neighbours][vectors];
    for (auto& some : total)
        for (vec& sum : some) sum = broadcast(neutral(K::adds ? SUM : c.fold));
    each_place(c.axes + c.outer, c.summed, [&](std::ptrdiff_t, std::ptrdiff_t dx, std::ptrdiff_t dy) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v)
            multiply_lanes<K, neighbours>(x + dx + v * VL * last.x, y + dy + v * VL * last.y, along, last, count,
                                          [&](int n, vec value) { total[n][v] = added<K>(c, total[n][v], value); });
    });
#pragma GCC unroll 4
    for (int n = 0; n < neighbours; ++n)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) store_n(out + n * along.out + v * VL, total[n][v], count);
}

// Some neighbours: for each the fold over the summed axes and across the lanes of the last one.
template <class K, int neighbours>
INLINE void fold_across(const Contraction& c, real* out, const real* x, const real* y) {
    const Axis &last = c.last(), &along = c.along();
    const vec begin = broadcast(neutral(K::adds ? SUM : c.fold));
    vec total[neighbours];
    for (vec& sum : total) sum = begin;
    each_place(c.axes + c.outer, c.summed, [&](std::ptrdiff_t, std::ptrdiff_t dx, std::ptrdiff_t dy) {
        for (std::int64_t j = 0; j < last.size; j += VL) {
            const int count = last.size - j < VL ? int(last.size - j) : VL;
            multiply_lanes<K, neighbours>(x + dx + j * last.x, y + dy + j * last.y, along, last, count,
                                          [&](int n, vec value) {
                if (count < VL) value = select(lane_numbers() < broadcast_integer(count), value, begin);
                total[n] = added<K>(c, total[n], value);
            });
        }
    });
    for (int n = 0; n < neighbours; ++n)
        out[n * along.out] = K::adds || c.fold == SUM ? hsum(total[n]) : c.fold == LARGEST ? hmax(total[n]) : hmin(total[n]);
}

// Some neighbours along the last outer axis.
template <class K, int neighbours>
NOINLINE void fold_neighbours(const Contraction& c, real* out, const real* x, const real* y) {
    if (c.across) return fold_across<K, neighbours>(c, out, x, y);
    const Axis& last = c.last();
    constexpr int vectors = K::x == ANY ? 1 : 8 / (neighbours > 1 ? neighbours : 2);
    std::int64_t j = 0;
    if constexpr (vectors > 1)
        for (; j + vectors * VL <= last.size; j += vectors * VL)
            fold_vectors<K, neighbours, vectors>(c, out + j, x + j * last.x, y + j * last.y, VL);
    for (; j < last.size; j += VL)
        fold_vectors<K, neighbours, 1>(c, out + j, x + j * last.x, y + j * last.y,
                                       last.size - j < VL ? int(last.size - j) : VL);
}

// Places [begin, end) along the last outer axis.
template <class K>
static void fold_line(const Contraction& c, real* out, const real* x, const real* y, std::int64_t begin,
                      std::int64_t end) {
    const Axis& along = c.along();
    std::int64_t a = begin;
    if constexpr (K::tile > 1)
        for (; a + K::tile <= end; a += K::tile)
            fold_neighbours<K, K::tile>(c, out + a * along.out, x + a * along.x, y + a * along.y);
    for (; a < end; ++a) fold_neighbours<K, 1>(c, out + a * along.out, x + a * along.x, y + a * along.y);
}

typedef void (*FoldLine)(const Contraction&, real*, const real*, const real*, std::int64_t, std::int64_t);

// The fastest that there is: the operands come in an order in which it is found.
static FoldLine line_of(const Contraction& c, bool two) {
    const Axis &last = c.last(), &along = c.along();
    if (!two && c.fold == SUM && last.x == 1) return fold_line<Kind<NEXT, SAME, false, true, false, false>>;
    if (!two && c.fold == SUM && last.x == 0) return fold_line<Kind<SAME, SAME, false, true, false, false>>;
    if (!two) return fold_line<Kind<ANY, SAME, false, false, false, false>>;
    if (last.x == 0 && last.y == 1 && along.y == 0) return fold_line<Kind<SAME, NEXT, true, true, false, true>>;
    if (last.x == 0 && last.y == 1) return fold_line<Kind<SAME, NEXT, true, true, false, false>>;
    if (last.x == 1 && last.y == 1 && along.x == 0) return fold_line<Kind<NEXT, NEXT, true, true, true, false>>;
    if (last.x == 1 && last.y == 1) return fold_line<Kind<NEXT, NEXT, true, true, false, false>>;
    return fold_line<Kind<ANY, ANY, true, true, false, false>>;
}

// This thread's share of a contraction of the rows listed: of rows times places along the first outer axis.
static void contract_share(const std::int64_t* description, real* out, std::ptrdiff_t stride, RowsOf x, RowsOf y,
                           const int* rows, int count, int share, int shares) {
    const Contraction& c = *reinterpret_cast<const Contraction*>(description);
    const FoldLine fold = line_of(c, y.first);
    if (c.exchanged) std::swap(x, y);
    const Axis& first = c.axes[0];
    const std::int64_t all = first.size * count, start = all * share / shares, stop = all * (share + 1) / shares;
    for (std::int64_t i = start / first.size; i * first.size < stop; ++i) {
        const std::int64_t begin = i * first.size < start ? start - i * first.size : 0;
        const std::int64_t end = stop - i * first.size < first.size ? stop - i * first.size : first.size;
        real* to = out + rows[i] * stride;
        const real *p = x.first + rows[i] * x.stride, *q = y.first ? y.first + rows[i] * y.stride : p;
        if (c.outer == 1) {
            fold(c, to, p, q, begin, end);
            continue;
        }
        Axis part[8];  // the outer axes but for the last one, of the first those places
        for (std::int64_t k = 0; k + 1 < c.outer; ++k) part[k] = c.axes[k];
        part[0].size = end - begin;
        to += begin * first.out, p += begin * first.x, q += begin * first.y;
        each_place(part, c.outer - 1, [&](std::ptrdiff_t o, std::ptrdiff_t dx, std::ptrdiff_t dy) {
            fold(c, to + o, p + dx, q + dy, 0, c.along().size);
        });
    }
}
