// The queue of requests to Odoo: bounded in number and time, fair between clients, interactive requests
// first; and a circuit breaker that opens when Odoo does not respond.
//
// It uses neither sockets nor clocks: the time is a parameter, and sending a request is the task's affair.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/keyed_hash.h"

namespace odoo_bus {

class OdooQueue {
public:
    enum class Priority { interactive, presence, background };
    static constexpr size_t PRIORITIES = 3;

    struct Bounds {
        unsigned concurrency = 8;
        Duration wait = std::chrono::seconds(20); // in the queue
        size_t waiting = 50'000;
        unsigned failures = 3; // consecutive, of different clients, that open the breaker
    };

    struct Task {
        std::string client; // clients take turns
        Priority priority = Priority::interactive;
        std::function<void()> run;                        // done() must be called once for each run
        std::function<void(const std::string& why)> drop; // called instead of run
    };

    // `probe` finds out whether Odoo responds again, and calls recovered() or failed().
    OdooQueue(Bounds bounds, std::function<void()> probe) : bounds_(bounds), probe_(std::move(probe)) {}

    void set_bounds(Bounds bounds) { bounds_ = bounds; }

    // Runs it now or later, or drops it.
    void add(Task task, Monotonic now);
    // A task has ended; `answered`: Odoo has responded, with success or not.
    void done(const std::string& client, bool answered, Monotonic began, Monotonic now);
    // The result of the probe.
    void recovered();
    void failed(Monotonic now);
    // About ten times a second: drops tasks that have waited too long, and probes when that is due.
    void tick(Monotonic now);

    // Why a new client would wait in vain, and the seconds after which it may try again; nothing when it
    // would not.
    struct Refusal {
        std::string why;
        unsigned retry_after;
    };
    std::optional<Refusal> refusal(Monotonic now) const;

    size_t waiting() const { return waiting_; }
    unsigned running() const { return running_; }
    bool is_open() const { return open_; } // the breaker: only probes are sent

private:
    struct Waiting {
        Task task;
        Monotonic since;
    };
    struct Client {
        std::string name;
        std::deque<Waiting> tasks;
    };
    // Round robin: the first client's first task is next, then the client goes to the end.
    struct Lane {
        std::list<Client> clients;
        KeyedMap<std::string, std::list<Client>::iterator> by_name;
        size_t tasks = 0;
    };

    void run_next();
    std::optional<Waiting> take(Lane& lane);
    void expire(Lane& lane, Monotonic now);

    Bounds bounds_;
    const std::function<void()> probe_;
    Lane lanes_[PRIORITIES];
    size_t waiting_ = 0;
    unsigned running_ = 0;
    std::chrono::duration<double> average_{0.02}; // duration of a task
    unsigned failures_ = 0;                       // consecutive
    std::string last_failed_;                     // one client alone cannot open the breaker
    bool open_ = false;
    bool probing_ = false;
    Monotonic probe_at_;
    uint64_t probe_after_ms_ = 0;
};

} // namespace odoo_bus
