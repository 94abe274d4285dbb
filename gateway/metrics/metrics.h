// Counters, gauges and histograms, and their text for Prometheus.
//
//   const metrics::Counter slow_closes("odoo_bus_slow_closes_total", "Connections closed for ...");
//   slow_closes.add();
//
// Declare them at namespace scope, next to the code that counts (in a header: `inline const`). Each thread
// counts in memory of its own: an addition is a load and a store that no other thread writes to, and a scrape
// adds up.
//
// Names follow Prometheus' conventions: the prefix odoo_bus_, the base unit (seconds, bytes), _total for what
// only grows. Every metric has its line in docs/metrics.md, which --print-metrics-markdown prints.
//
// Never make a label's value of something that a client chooses.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace odoo_bus::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

// One thread's memory. It outlives the thread, and is taken over by another.
struct alignas(64) Block {
    static constexpr size_t SLOTS = 1024;
    std::array<std::atomic<uint64_t>, SLOTS> slots;

    void add(size_t slot, uint64_t n) {
        std::atomic<uint64_t>& value = slots[slot];
        value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
};

inline constinit thread_local Block* this_block = nullptr;
Block& attach_block();
inline Block& block() {
    return this_block ? *this_block : attach_block();
}

class Counter {
public:
    Counter(std::string_view name, std::string_view help, Labels labels = {});
    void add(uint64_t n = 1) const { block().add(slot_, n); }
    uint64_t value() const; // of all threads

private:
    size_t slot_;
};

// Goes up and down; what one thread adds another may take away.
class Gauge {
public:
    Gauge(std::string_view name, std::string_view help, Labels labels = {});
    void add(int64_t n = 1) const { block().add(slot_, static_cast<uint64_t>(n)); }
    void subtract(int64_t n = 1) const { add(-n); }
    int64_t value() const;

private:
    size_t slot_;
};

// How often something took how long. `bounds_us`: the upper bounds of its buckets, ascending, in
// microseconds.
class Histogram {
public:
    Histogram(std::string_view name, std::string_view help, std::span<const int64_t> bounds_us,
              Labels labels = {});
    void observe_us(int64_t us) const;

private:
    std::span<const int64_t> bounds_us_;
    size_t slot_; // of the first bucket; after the buckets: what is above them, and the sum
};

// From 50 us to 10 s.
inline constexpr int64_t LATENCY_US[] = {50,      100,       250,       500,       1'000,     2'500,
                                         5'000,   10'000,    25'000,    50'000,    100'000,   250'000,
                                         500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

// One number that is set, or counted where nothing is hot: all threads share it.
class Value {
public:
    void set(double value) { value_.store(value, std::memory_order_relaxed); }
    void add(double n = 1);
    double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_ = 0;
};

enum class Type { counter, gauge, histogram };

// Values that differ by labels whose values become known at run time: databases, close codes.
//
//   const metrics::Family closes("odoo_bus_closes_total", "...", metrics::Type::counter, {"code"});
//   closes.with({"1013"}).add();
class Family {
public:
    Family(std::string_view name, std::string_view help, Type type, std::vector<std::string> labels = {});
    // The same one each time; it stays until it is removed. Looked up under a lock: keep the reference where
    // that matters.
    Value& with(const std::vector<std::string>& values = {}) const;
    // What these label values stand for is gone, and so is every reference to it.
    void remove(const std::vector<std::string>& values) const;

private:
    size_t family_;
};

// What GET /metrics answers, in Prometheus' text format 0.0.4.
std::string text();
inline constexpr const char* CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
// docs/metrics.md.
std::string markdown();

} // namespace odoo_bus::metrics
