// Holds the functions of elementary.h to the C library in higher precision, and prints what it found.
//
//   probe patterns FUNCTION STRIDE   every STRIDE-th float there is (REAL is float)
//   probe points FUNCTION COUNT      COUNT random and structured numbers
//   probe lanes                      loads, stores, selections and reductions of vector.h
//
// Errors are in units in the last place of the true result, 0 for the number nearest to it. Wrong is what differs from
// the truth in sign, or is NaN, infinite or zero where the truth, unrounded, is not, or the other way round.
#include "vector.h"

#include "elementary.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

typedef std::conditional<SINGLE, double, long double>::type wide;
typedef std::numeric_limits<real> limits;

static wide sigmoid(wide x) { return 1 / (1 + std::exp(-x)); }

struct Candidate {
    const char* name;
    vec (*fast)(vec);
    wide (*exact)(wide);
};

#define LIKE_STD(name) \
    { #name, [](vec x) { return v##name(x); }, [](wide x) -> wide { return std::name(x); } }

static const Candidate candidates[] = {
    LIKE_STD(exp),
    LIKE_STD(expm1),
    LIKE_STD(tanh),
    {"sigmoid", [](vec x) { return vsigmoid(x); }, sigmoid},
    LIKE_STD(log),
    LIKE_STD(log1p),
    {"abs", [](vec x) { return vabs(x); }, [](wide x) -> wide { return std::fabs(x); }},
    LIKE_STD(sqrt),
    LIKE_STD(floor),
    LIKE_STD(ceil),
    LIKE_STD(trunc),
    {"round", [](vec x) { return vround(x); }, [](wide x) -> wide { return std::nearbyint(x); }},
    LIKE_STD(erf),
    LIKE_STD(sin),
    LIKE_STD(cos),
    LIKE_STD(tan),
    LIKE_STD(asin),
    LIKE_STD(acos),
    LIKE_STD(atan),
    LIKE_STD(sinh),
    LIKE_STD(cosh),
    LIKE_STD(asinh),
    LIKE_STD(acosh),
    LIKE_STD(atanh),
    LIKE_STD(exp2),
    LIKE_STD(log2),
    LIKE_STD(log10),
};

static const Candidate& candidate_named(const std::string& name) {
    for (const Candidate& candidate : candidates)
        if (name == candidate.name) return candidate;
    std::fprintf(stderr, "no function '%s'\n", name.c_str());
    std::exit(2);
}

// ---- What is found ----

struct Findings {
    double error = 0;  // the largest, at worst
    real worst = 0;
    long long count = 0, wrong = 0;
    real first_wrong = 0;

    void add(const Findings& other) {
        if (other.error > error) error = other.error, worst = other.worst;
        if (other.wrong && !wrong) first_wrong = other.first_wrong;
        count += other.count, wrong += other.wrong;
    }
};

// Distance between neighbours at y, that of the denormal numbers below all others.
static wide spacing(wide y) {
    const int exponent = y == 0 ? limits::min_exponent : std::ilogb(y) + 1;
    return std::ldexp(wide(1), std::max(exponent, limits::min_exponent) - limits::digits);
}

// The value of a result, and of an overflowed one the number that comes after the largest.
static wide value_of(real got) {
    return std::isinf(got) ? std::copysign(std::ldexp(wide(1), limits::max_exponent), wide(got)) : wide(got);
}

static void judge(real x, real got, wide truth, Findings& found) {
    ++found.count;
    const bool no_number = std::isnan(got) || std::isnan(truth);
    const bool limit = std::isinf(truth) || truth == 0;
    const bool wrong = no_number ? std::isnan(got) != std::isnan(truth)
                                 : std::signbit(got) != std::signbit(truth) || (limit && got != real(truth));
    if (wrong && !found.wrong++) found.first_wrong = x;
    if (wrong || no_number || limit || got == real(truth)) return;
    const double error = double(std::fabs(value_of(got) - truth) / spacing(truth));
    if (error > found.error) found.error = error, found.worst = x;
}

static void judge_all(const Candidate& candidate, const real* xs, Findings& found) {
    real results[VL];
    store(results, candidate.fast(load(xs)));
    for (int lane = 0; lane < VL; ++lane) judge(xs[lane], results[lane], candidate.exact(xs[lane]), found);
}

// ---- Where it is looked for ----

// All floats, or every stride-th, in chunks that the threads take in turn.
[[maybe_unused]] static Findings search_patterns(const Candidate& candidate, std::uint64_t stride) {
    constexpr std::uint64_t everything = std::uint64_t(1) << 32, chunk = std::uint64_t(1) << 22;
    std::atomic<std::uint64_t> next{0};
    std::mutex lock;
    Findings found;
    const auto work = [&] {
        Findings own;
        for (std::uint64_t start; (start = next.fetch_add(chunk)) < everything;) {
            std::uint64_t pattern = (start + stride - 1) / stride * stride;
            while (pattern < start + chunk) {
                real xs[VL];
                for (int lane = 0; lane < VL; ++lane, pattern += stride) {
                    const std::uint32_t low = std::uint32_t(std::min(pattern, everything - 1));
                    std::memcpy(&xs[lane], &low, sizeof low);
                }
                judge_all(candidate, xs, own);
            }
        }
        const std::lock_guard<std::mutex> guard(lock);
        found.add(own);
    };
    std::vector<std::thread> threads;
    for (unsigned k = 0; k < std::max(1u, std::thread::hardware_concurrency()); ++k) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    return found;
}

// Where functions change branch: zero, the limits of the type, halves and multiples of ln 2, the ends of exp.
static std::vector<real> landmarks() {
    std::vector<real> points = {0,  0.5, 1,     1.5,       2.5, 9.01f,  10,  17.3f,  19.06f,  20,
                                37, 40,  87.3f, 88.72284f, 89, 103.97f, 104, 708.4f, 709.79f, 745.14f, 746};
    points.insert(points.end(), {limits::denorm_min(), limits::min(), limits::max(), limits::infinity()});
    points.push_back(limits::quiet_NaN());
    for (int k = 1; k <= 2200; ++k) points.push_back(real(k * 0.34657359027997265470861606072909L));
    for (int k = limits::min_exponent - limits::digits; k < limits::max_exponent; ++k)
        for (real x : {real(1), std::sqrt(real(0.5))}) points.push_back(std::ldexp(x, k));
    return points;
}

// Each point with 40 neighbours on either side, and the same below zero.
static std::vector<real> with_neighbours(const std::vector<real>& points) {
    std::vector<real> all;
    for (real point : points) {
        real above = point, below = point;
        for (int k = 0; k <= 40; ++k) {
            all.insert(all.end(), {above, below, -above, -below});
            above = std::nextafter(above, limits::infinity()), below = std::nextafter(below, -limits::infinity());
        }
    }
    return all;
}

static real random_point(std::mt19937_64& random, long long k) {
    const wide fraction = wide(random() >> 11) / wide(1ull << 53) * 2 - 1;
    const integer pattern = integer(random());
    real anywhere;
    std::memcpy(&anywhere, &pattern, sizeof anywhere);
    switch (k % 8) {
        case 0: return anywhere;
        case 1: return real(fraction * (SINGLE ? 105 : 747));
        case 2: return real(fraction * 40);
        case 3: return real(fraction * 3);
        case 4: return real(1 + fraction / 2);
        case 5: return real(-1 + fraction / 1024);
        case 6: return std::ldexp(real(fraction), -int(random() % 60));
        default: return real(fraction);
    }
}

static Findings search_points(const Candidate& candidate, long long count) {
    std::vector<real> xs = with_neighbours(landmarks());
    std::mt19937_64 random(20);
    for (long long k = 0; k < count; ++k) xs.push_back(random_point(random, k));
    while (xs.size() % VL) xs.push_back(0);
    Findings found;
    for (std::size_t k = 0; k < xs.size(); k += VL) judge_all(candidate, &xs[k], found);
    return found;
}

// ---- vector.h ----

static int faults = 0;

#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            ++faults; \
            std::printf("line %d: %s\n", __LINE__, #condition); \
        } \
    } while (false)

static bool same(real a, real b) { return std::memcmp(&a, &b, sizeof(real)) == 0 || (std::isnan(a) && std::isnan(b)); }

// Two pages, of which the second may not be touched: numbers that end at the border, then numbers that begin at it.
static void check_partial_memory() {
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
    char* pages = (char*)mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + page, page, PROT_NONE);
    for (int n = 0; n <= VL; ++n) {
        real* p = (real*)(pages + page) - n;
        for (int k = 0; k < n; ++k) p[k] = real(k + 1);
        p[-1] = -1;
        const vec v = load_n(p, n);
        for (int lane = 0; lane < VL; ++lane) EXPECT(v[lane] == (lane < n ? real(lane + 1) : 0));
        store_n(p, v * real(2), n);
        for (int k = 0; k < n; ++k) EXPECT(p[k] == real(2 * k + 2));
        EXPECT(p[-1] == -1);
    }
    munmap(pages, 2 * page);
}

static void check_whole_memory() {
    real numbers[VL + 2], copy[VL + 2] = {};
    for (int k = 0; k < VL + 2; ++k) numbers[k] = real(k);
    store(copy + 1, load(numbers + 1));
    for (int k = 0; k < VL + 2; ++k) EXPECT(copy[k] == (k == 0 || k == VL + 1 ? 0 : real(k)));
    for (int lane = 0; lane < VL; ++lane) EXPECT(lane_numbers()[lane] == lane);
}

static void check_pairs() {
    const real infinity = limits::infinity(), nan = limits::quiet_NaN();
    const real numbers[] = {0, real(-0.0), 1, -2, limits::denorm_min(), infinity, -infinity, nan};
    for (real a : numbers) {
        EXPECT(same(broadcast(a)[VL - 1], a));
        EXPECT(same(vabs(broadcast(a))[0], std::fabs(a)));
        EXPECT(same(vsqrt(broadcast(a))[0], std::sqrt(a)));
        for (real b : numbers) {
            const vec u = broadcast(a), v = broadcast(b);
            const bool unordered = std::isnan(a) || std::isnan(b);
            EXPECT(unordered ? std::isnan(vmax(u, v)[0]) : vmax(u, v)[0] == std::max(a, b));
            EXPECT(unordered ? std::isnan(vmin(u, v)[0]) : vmin(u, v)[0] == std::min(a, b));
            EXPECT(same(vcopysign(u, v)[0], std::copysign(a, b)));
            EXPECT(same(select(u < v, u, v)[0], a < b ? a : b));
        }
    }
}

static void check_reductions() {
    for (int place = 0; place < VL; ++place) {
        vec v{};
        real sum = 0;
        for (int lane = 0; lane < VL; ++lane) sum += v[lane] = real((lane - place) * (lane - place));
        EXPECT(hsum(v) == sum);
        EXPECT(hmax(real(1) - v) == 1);
        EXPECT(hmin(v) == 0);
        v[place] = limits::quiet_NaN();
        EXPECT(std::isnan(hsum(v)) && std::isnan(hmax(v)) && std::isnan(hmin(v)));
    }
}

static void check_pairwise_functions() {
    const real numbers[] = {-3, real(-0.5), real(-0.0), 0, real(0.75), 2, 5, limits::infinity(), limits::quiet_NaN()};
    for (real a : numbers)
        for (real b : numbers) {
            EXPECT(same(vpow(broadcast(a), broadcast(b))[VL - 1], std::pow(a, b)));
            EXPECT(same(vatan2(broadcast(a), broadcast(b))[VL - 1], std::atan2(a, b)));
            EXPECT(same(vfmod(broadcast(a), broadcast(b))[VL - 1], std::fmod(a, b)));
        }
}

static int check_lanes() {
    check_partial_memory();
    check_whole_memory();
    check_pairs();
    check_reductions();
    check_pairwise_functions();
    std::printf("faults %d\n", faults);
    return 0;
}

int main(int count, char** arguments) {
    const std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "lanes") return check_lanes();
    if (count != 4) return 2;
    const Candidate& candidate = candidate_named(arguments[2]);
    Findings found;
    if (mode == "points") found = search_points(candidate, std::atoll(arguments[3]));
    else if constexpr (SINGLE) found = search_patterns(candidate, std::uint64_t(std::atoll(arguments[3])));
    std::printf("count %lld error %.4f at %a wrong %lld first %a\n", found.count, found.error, double(found.worst),
                found.wrong, double(found.first_wrong));
    return 0;
}
