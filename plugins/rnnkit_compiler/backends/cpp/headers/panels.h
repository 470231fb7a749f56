// Panels of packed weights: how many there are, how wide, and how threads deal them out. See product.h for what they hold.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vector.h"

constexpr int TILE_VECTORS = 4;  // of a sub-panel, at most
constexpr int SHARED_ROWS = 4;   // that a thread has at least of a panel that it shares with others

constexpr int at_most(int a, int b) { return a < b ? a : b; }
constexpr int at_least(int a, int b) { return a > b ? a : b; }
constexpr int divide_up(int a, int b) { return (a + b - 1) / b; }

// Where share `index` of `shares` begins when `total` things are dealt out as evenly as can be.
constexpr int share_start(int total, int index, int shares) {
    return total / shares * index + (index < total % shares ? index : total % shares);
}

// A panel of NV vectors has this many sub-panels, and sub-panel s begins at this vector.
constexpr int sub_panels(int NV) { return divide_up(NV, TILE_VECTORS); }
constexpr int sub_panel_start(int NV, int s) { return share_start(NV, s, sub_panels(NV)); }

// Panels of V vectors a gate that cover H units.
inline int panel_count(int H, int V) { return divide_up(H, V * VL); }

// Vectors a gate in panel u: V, or in the last one as many as are left.
inline int panel_width(int H, int V, int u) { return at_most(V, divide_up(H, VL) - u * V); }

// Values of room for a packed matrix (K, G * H).
inline std::ptrdiff_t packed_size(int K, int G, int H, int V) {
    return std::ptrdiff_t(K) * G * V * VL * panel_count(H, V);
}

// What is left of `total` panels when `threads` have as many whole ones each: threads that have nothing else to do share
// the rows of such a panel, if there are enough.
struct Left {
    int panels;   // 0: all are dealt out whole, to some one more than to others
    int threads;  // of each panel at least
    Left(int total, int all, int rows) : panels(total % all), threads(panels ? all / panels : 1) {
        if (threads < 2 || rows < (threads + 1) * SHARED_ROWS) panels = 0, threads = 1;
    }
};

// Vectors a gate in one panel, for the least time of the busiest of `threads` that split the panels of `rows` rows.
inline int choose_vectors(int G, int H, int threads, int rows) {
    const long hundredths[] = {0, 110, 102, 101, 100};  // time a vector, of tiles 1 to 4 vectors wide
    const auto time_of = [&](int W) { return W * hundredths[G * W / sub_panels(G * W)]; };
    int best = 1;  // the narrowest of those that take as long
    long least = -1;
    for (int V = 1; V == 1 || G * V <= TILE_VECTORS; ++V) {
        const int total = panel_count(H, V), panels = divide_up(total, threads);  // of the busiest
        const Left shared(total, threads, rows);
        const int last = threads == 1 || shared.panels == 1 ? panel_width(H, V, total - 1) : V;
        const long time = (panels - 1) * time_of(V) + time_of(last) / shared.threads;
        if (least < 0 || time < least) best = V, least = time;
    }
    return best;
}

// Which of `shares` of `total` things has thing `index`.
inline int share_of(int total, int shares, int index) {
    int k = 0;
    while (share_start(total, k + 1, shares) <= index) ++k;
    return k;
}

// What one thread does of the panels of a region: whole ones, and some rows of one that it shares.
struct Dealt {
    int count, whole;                 // panels, and how many of them are whole
    int first, shared = 0;            // the first whole one, and the shared one
    int first_live, live;             // the rows of whole ones
    int first_row = 0, last_row = 0;  // and of the shared one

    Dealt(int panels, int threads, int me, int from, int to) : first_live(from), live(to) {
        const int rows = live - first_live;
        const Left left(panels, threads, rows);
        if (!left.panels) {
            first = share_start(panels, me, threads);
            count = whole = share_start(panels, me + 1, threads) - first;
            return;
        }
        whole = panels / threads, first = me * whole, count = whole + 1;
        const int k = share_of(threads, left.panels, me), begin = share_start(threads, k, left.panels);
        const int sharing = share_start(threads, k + 1, left.panels) - begin;
        shared = threads * whole + k;
        first_row = first_live + share_start(rows, me - begin, sharing);
        last_row = first_live + share_start(rows, me - begin + 1, sharing);
    }

    int panel(int n) const { return n < whole ? first + n : shared; }
    int from(int n) const { return n < whole ? first_live : first_row; }
    int to(int n) const { return n < whole ? live : last_row; }
};
