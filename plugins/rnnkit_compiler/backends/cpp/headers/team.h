// The team: threads of an OpenMP pool that run one function together, and the barrier where they wait for each other.
//
// The pool is handed in as function pointers, taken from the OpenMP runtime that the host process already uses, so that
// no second pool competes with threads of the first that still spin.
#pragma once

#include <sched.h>

#include <atomic>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

// What each member of a team runs: it has number `thread` of `threads`.
typedef void (*Work)(void* data, int thread, int threads);

// A pool of threads by the entry points of libgomp; all null means the calling thread alone.
struct Team {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel
    int (*number)();                                               // omp_get_thread_num
    int threads;                                                   // as many as are asked for
    int (*count)();  // omp_get_num_threads: how many there are. Null: as many as were asked for
};

struct Assignment {
    const Team* team;
    Work work;
    void* data;
};

static inline void take_part(void* assignment) {
    const Assignment& a = *static_cast<const Assignment*>(assignment);
    a.work(a.data, a.team->number(), a.team->count ? a.team->count() : a.team->threads);
}

// Runs `work` on every thread of the team and returns when all are done. The runtime may give fewer threads than were
// asked for, as within a parallel region; `work` goes by the number that it is called with.
static inline void run(const Team& team, Work work, void* data) {
    if (team.threads <= 1 || !team.parallel) return work(data, 0, 1);
    Assignment assignment{&team, work, data};
    team.parallel(take_part, &assignment, unsigned(team.threads), 0);
}

// Tells the processor that this thread spins.
INLINE void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// A point that no thread of a team passes before all have come to it; what they wrote before it, all read after it.
//
// Arrivals are counted; the last one to come opens the next round. After some spins a waiting thread yields its core,
// so that a machine with more threads than cores goes on.
class Barrier {
  public:
    void wait(int threads) {
        if (threads <= 1) return;
        const unsigned round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
            if (spins < SPINS) relax();
            else sched_yield();
        }
    }

  private:
    static constexpr int SPINS = 2000;
    alignas(64) std::atomic<int> arrived_{0};     // each on a cache line of its own:
    alignas(64) std::atomic<unsigned> round_{0};  // an arrival does not disturb those who watch the round
};
