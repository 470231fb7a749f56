// Contractions of rows: sums of products along axes within a row, and the largest or smallest along them. All sizes and
// steps are numbers of the call, so this is compiled once for all kernels.
#pragma once

#include <cstdint>

#include "functions.h"

// An axis: its size, and how many elements a step along it is in the result and in both operands.
struct Axis {
    std::int64_t size, out, x, y;
};

enum Fold : std::int64_t { SUM, LARGEST, SMALLEST };

// out[outer] = the fold, over `summed` axes and perhaps the last one, of x * y. Vectors go along the last axis, which is
// one of the result of step 1, unless it is folded (`across`), and then the fold ends in one over the lanes.
struct Contraction {
    std::int64_t fold, across, outer, summed;
    Axis axes[];  // `outer` ones of the result, `summed` ones that it lacks, and the last one
};

enum Step { SAME, NEXT, FAR };  // how lanes go along an operand: all read one number, neighbours, or numbers further apart

template <Step step>
INLINE vec lanes(const real* p, std::ptrdiff_t far, int count) {
    if constexpr (step == SAME) return broadcast(*p);
    else if constexpr (step == NEXT) return count == VL ? load(p) : load_n(p, count);
    else {
        vec v{};
        if (count == VL) {
#pragma GCC unroll 16
            for (int lane = 0; lane < VL; ++lane) v[lane] = p[lane * far];
        } else {
            for (int lane = 0; lane < count; ++lane) v[lane] = p[lane * far];
        }
        return v;
    }
}

template <Fold fold>
INLINE vec folded(vec total, vec value) {
    if constexpr (fold == SUM) return total + value;
    else if constexpr (fold == LARGEST) return vmax(total, value);
    else return vmin(total, value);
}

// Calls body(out, x, y) for every place along `count` axes, the last one the fastest; offsets begin as given.
template <class Body>
INLINE void each_place(const Axis* axes, std::int64_t count, std::ptrdiff_t out, std::ptrdiff_t x, std::ptrdiff_t y,
                       Body body) {
    if (count == 0) return body(out, x, y);
    if (count == 1) {
        for (std::int64_t n = axes->size; n > 0; --n, out += axes->out, x += axes->x, y += axes->y) body(out, x, y);
        return;
    }
    std::int64_t at[8] = {};
    for (;;) {
        body(out, x, y);
        std::int64_t k = count;
        while (k-- > 0) {
            out += axes[k].out, x += axes[k].x, y += axes[k].y;
            if (++at[k] < axes[k].size) break;
            out -= axes[k].size * axes[k].out, x -= axes[k].size * axes[k].x, y -= axes[k].size * axes[k].y;
            at[k] = 0;
        }
        if (k < 0) return;
    }
}

// Some neighbouring vectors of the result, `count` lanes of the last of them: the fold over the summed axes.
template <Fold fold, Step of_x, Step of_y, bool two, int vectors>
INLINE void fold_vectors(const Contraction& c, real* out, const real* x, const real* y, int count) {
    const Axis& last = c.axes[c.outer + c.summed];
    vec total[vectors];
    bool first = true;
    each_place(c.axes + c.outer, c.summed, 0, 0, 0, [&](std::ptrdiff_t, std::ptrdiff_t dx, std::ptrdiff_t dy) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const int own = v + 1 < vectors ? VL : count;
            vec value = lanes<of_x>(x + dx + v * VL * last.x, last.x, own);
            if constexpr (two) value *= lanes<of_y>(y + dy + v * VL * last.y, last.y, own);
            total[v] = first ? value : folded<fold>(total[v], value);
        }
        first = false;
    });
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
        if (v + 1 < vectors || count == VL) store(out + v * VL, total[v]);
        else store_n(out + v * VL, total[v], count);
    }
}

// One number of the result: the fold over the summed axes and across the lanes of the last one.
template <Fold fold, Step of_x, Step of_y, bool two>
INLINE real fold_across(const Contraction& c, const real* x, const real* y) {
    constexpr real neutral = fold == SUM ? real(0) : fold == LARGEST ? -real(INFINITY) : real(INFINITY);
    const Axis& last = c.axes[c.outer + c.summed];
    vec total = broadcast(neutral);
    each_place(c.axes + c.outer, c.summed, 0, 0, 0, [&](std::ptrdiff_t, std::ptrdiff_t dx, std::ptrdiff_t dy) {
        const real *p = x + dx, *q = y + dy;
        for (std::int64_t j = 0; j < last.size; j += VL, p += VL * last.x, q += VL * last.y) {
            const int count = last.size - j < VL ? int(last.size - j) : VL;
            vec value = lanes<of_x>(p, last.x, count);
            if constexpr (two) value *= lanes<of_y>(q, last.y, count);
            if (count < VL) value = select(lane_numbers() < broadcast_integer(count), value, broadcast(neutral));
            total = folded<fold>(total, value);
        }
    });
    return fold == SUM ? hsum(total) : fold == LARGEST ? hmax(total) : hmin(total);
}

// One row, places [begin, end) along the first of its outer axes.
template <Fold fold, Step of_x, Step of_y, bool two>
NOINLINE void contract_row(const Contraction& c, real* out, const real* x, const real* y, std::int64_t begin,
                           std::int64_t end) {
    const Axis& last = c.axes[c.outer + c.summed];
    auto place = [&](std::ptrdiff_t o, std::ptrdiff_t dx, std::ptrdiff_t dy) {
        if (c.across) {
            out[o] = fold_across<fold, of_x, of_y, two>(c, x + dx, y + dy);
            return;
        }
        std::int64_t j = 0;
        for (; j + 4 * VL <= last.size; j += 4 * VL)
            fold_vectors<fold, of_x, of_y, two, 4>(c, out + o + j, x + dx + j * last.x, y + dy + j * last.y, VL);
        for (; j < last.size; j += VL)
            fold_vectors<fold, of_x, of_y, two, 1>(c, out + o + j, x + dx + j * last.x, y + dy + j * last.y,
                                                   last.size - j < VL ? int(last.size - j) : VL);
    };
    if (c.outer == 0) return place(0, 0, 0);
    for (std::int64_t a = begin; a < end; ++a)
        each_place(c.axes + 1, c.outer - 1, a * c.axes->out, a * c.axes->x, a * c.axes->y, place);
}

typedef void (*ContractRow)(const Contraction&, real*, const real*, const real*, std::int64_t, std::int64_t);

template <Fold fold, Step of_x>
INLINE ContractRow of_one() {
    return contract_row<fold, of_x, SAME, false>;
}

INLINE Step step_of(std::int64_t along) { return along == 0 ? SAME : along == 1 ? NEXT : FAR; }

template <Step of_x>
INLINE ContractRow of_kinds(std::int64_t fold, Step of_y, bool two) {
    if (fold == LARGEST) return of_one<LARGEST, of_x>();
    if (fold == SMALLEST) return of_one<SMALLEST, of_x>();
    if (!two) return of_one<SUM, of_x>();
    if (of_y == SAME) return contract_row<SUM, of_x, SAME, true>;
    return of_y == NEXT ? contract_row<SUM, of_x, NEXT, true> : contract_row<SUM, of_x, FAR, true>;
}

// This thread's share of a contraction of the rows listed: of rows times places along the first outer axis.
static void contract_share(const std::int64_t* description, real* out, std::ptrdiff_t stride, RowsOf x, RowsOf y,
                           const int* rows, int count, int share, int shares) {
    const Contraction& c = *reinterpret_cast<const Contraction*>(description);
    const Axis& last = c.axes[c.outer + c.summed];
    const Step of_x = step_of(last.x), of_y = step_of(last.y);
    const ContractRow contract = of_x == SAME   ? of_kinds<SAME>(c.fold, of_y, y.first)
                                 : of_x == NEXT ? of_kinds<NEXT>(c.fold, of_y, y.first)
                                                : of_kinds<FAR>(c.fold, of_y, y.first);
    const std::int64_t places = c.outer ? c.axes->size : 1, all = places * count;
    const std::int64_t start = all * share / shares, stop = all * (share + 1) / shares;
    for (std::int64_t i = start / places; i * places < stop; ++i) {
        const std::int64_t begin = i * places < start ? start - i * places : 0;
        const std::int64_t end = stop - i * places < places ? stop - i * places : places;
        const std::ptrdiff_t r = rows[i];
        contract(c, out + r * stride, x.first + r * x.stride, y.first ? y.first + r * y.stride : nullptr, begin, end);
    }
}
