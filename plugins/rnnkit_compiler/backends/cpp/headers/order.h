// Ranks of elements of a row, equal ones as torch has them on a CPU: a kernel that puts elements in order includes this.
//
// Which of equal elements comes first follows from how they are moved, and torch moves them by the standard library. So it
// is called here in the same way, and compares with the same outcome: what it was compiled with there is what it is
// compiled with here, as long as both are the library of the system (libstdc++ on Linux, libc++ on macOS).
#pragma once

#include <algorithm>
#include <utility>

#include "kernel.h"

enum class Manner { STABLE, SORT, TOPK, TOP, KTHVALUE };  // as ir/orders.py has them

struct Ranked {
    real number;
    int place;
};

// Whether an element comes before another; a NaN is larger than any number.
template <bool falls>
INLINE bool comes_before(const Ranked& a, const Ranked& b) {
    if constexpr (falls) return !(a.number <= b.number) & (b.number == b.number);
    else return !(a.number >= b.number) & (a.number == a.number);
}

// Has element k where it belongs in rising order, smaller ones before it and larger ones behind it: by the partitions that
// torch's kthvalue makes, around the median of the first, the middle and the last one.
inline void select_one(Ranked* row, int count, int k) {
    const auto order = [&](int i, int j) {  // so that i is not the larger one
        if (comes_before<false>(row[j], row[i])) std::swap(row[i], row[j]);
    };
    int first = 0, last = count - 1;
    while (last - first > 1) {
        std::swap(row[first + (last - first) / 2], row[first + 1]);
        order(first + 1, last);
        order(first, last);
        order(first + 1, first);
        const Ranked pivot = row[first];
        int up = first + 1, down = last;
        for (;;) {
            do ++up; while (comes_before<false>(row[up], pivot));
            do --down; while (comes_before<false>(pivot, row[down]));
            if (down < up) break;
            std::swap(row[up], row[down]);
        }
        std::swap(row[first], row[down]);
        if (down <= k) first = up;
        if (down >= k) last = down - 1;
    }
    if (last - first == 1) order(first, last);
}

template <Manner manner, bool falls>
INLINE void put_in_order(Ranked* row, int count, int wanted) {
    const auto before = [](const Ranked& a, const Ranked& b) { return comes_before<falls>(a, b); };
    if constexpr (manner == Manner::STABLE) {
        std::sort(row, row + count, [&](const Ranked& a, const Ranked& b) {
            return before(a, b) || (!before(b, a) && a.place < b.place);
        });
    } else if constexpr (manner == Manner::SORT) {
        std::sort(row, row + count, before);
    } else if constexpr (manner == Manner::KTHVALUE) {
        select_one(row, count, wanted - 1);
    } else if (wanted == 0) {
        return;
    } else if (std::int64_t(wanted) * 64 <= count) {
        std::partial_sort(row, row + wanted, row + count, before);
    } else {
        std::nth_element(row, row + wanted - 1, row + count, before);
        if (manner == Manner::TOPK) std::sort(row, row + wanted - 1, before);
    }
}

// This thread's share of the ranks of rows of (outer, size, inner) elements, along `size`. `room` is for one such run.
template <Manner manner, bool falls>
inline void rank_elements(const Share& s, real* out, std::ptrdiff_t stride, RowsOf x, int outer, int size, int inner,
                          int wanted, Ranked* room) {
    const std::int64_t runs = std::int64_t(s.live - s.first_live) * outer * inner;
    for (std::int64_t k = runs * s.unit_share / s.unit_shares; k < runs * (s.unit_share + 1) / s.unit_shares; ++k) {
        const std::ptrdiff_t r = s.rows[s.first_live + k / (outer * inner)], run = k % (outer * inner);
        const std::ptrdiff_t begin = run / inner * size * inner + run % inner;
        const real* const from = x.first + r * x.stride + begin;
        real* const to = out + r * stride + begin;
        for (int j = 0; j < size; ++j) room[j] = {from[std::ptrdiff_t(j) * inner], j};
        put_in_order<manner, falls>(room, size, wanted);
        for (int j = 0; j < size; ++j) to[std::ptrdiff_t(room[j].place) * inner] = real(j);
    }
}
