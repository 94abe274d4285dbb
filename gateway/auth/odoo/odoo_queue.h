// The queue of requests to Odoo: bounded in number and time, fair between addresses and between the clients
// of each, interactive requests first; and a circuit breaker that opens when Odoo does not respond.
//
// Cookies that a client makes up are clients of its address, and give it no further share. An address has no
// more than three quarters of the places, and when the queue is full, the address that waits for most gives
// way.
//
// It uses neither sockets nor clocks: the time is a parameter, and sending a request is the task's affair.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "http/memory_account.h"

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

    // For whom a task is.
    struct Turn {
        std::string client = {};  // of one address they take turns, as the addresses do
        std::string address = {}; // empty: not known

        bool operator==(const Turn&) const = default;
    };

    struct Task {
        Turn turn;
        Priority priority = Priority::interactive;
        // What the task holds is charged to it; may be null.
        std::shared_ptr<const MemoryAccount> account = {};
        // False: the answer is needed no more, and the task is dropped at its turn. Empty: it always is.
        std::function<bool()> is_wanted = {};
        std::function<void()> run;                        // done() must be called once for each run
        std::function<void(const std::string& why)> drop; // called instead of run
    };

    // `probe` finds out whether Odoo responds again, and calls recovered() or failed().
    OdooQueue(Bounds bounds, std::function<void()> probe) : bounds_(bounds), probe_(std::move(probe)) {}

    void set_bounds(Bounds bounds) { bounds_ = bounds; }

    // Runs it now or later, or drops it.
    void add(Task task, Monotonic now);
    // A task has ended; `answered`: Odoo has responded, with success or not.
    void done(const Turn& turn, bool answered, Monotonic began, Monotonic now);
    // Drops tasks of accounts that hold more than they may keep, the newest first.
    void shed();
    // The result of the probe.
    void recovered();
    void failed(Monotonic now);
    // About ten times a second: drops tasks that have waited too long, and probes when that is due.
    void tick(Monotonic now);

    // Why a new client would wait in vain, and the seconds after which it may try again.
    struct Refusal {
        std::string why;
        unsigned retry_after;
    };
    // For one of an address that waits for nothing yet; nothing when it would not wait in vain.
    std::optional<Refusal> refusal(Monotonic now) const;
    // For one of an address that waits for so much that it would, all of these.
    KeyedMap<std::string, Refusal> crowded() const;

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
    // Round robin: the first client's first task is next, then the client goes to the end; and so do the
    // addresses.
    struct Share {
        std::string address;
        std::list<Client> clients = {};
        KeyedMap<std::string, std::list<Client>::iterator> by_name = {};
        size_t tasks = 0;
    };
    struct Lane {
        std::list<Share> shares;
        KeyedMap<std::string, std::list<Share>::iterator> by_address;
        size_t tasks = 0;
    };

    void run_next();
    std::optional<Waiting> take(Lane& lane);
    Waiting take(Lane& lane, std::list<Share>::iterator share, std::list<Client>::iterator client,
                 bool first);
    std::optional<Task> take_newest(Lane& lane, const std::function<bool(const Share&)>& is_meant);
    std::optional<Task> take_from_largest();
    bool may_run(const Share& share) const;
    // The refusal if so many tasks are ahead that the wait is too long.
    std::optional<Refusal> refusal_behind(size_t tasks) const;
    void expire(Lane& lane, Monotonic now);

    Bounds bounds_;
    const std::function<void()> probe_;
    Lane lanes_[PRIORITIES];
    size_t waiting_ = 0;
    unsigned running_ = 0;
    KeyedMap<std::string, unsigned> running_of_;  // by address
    std::chrono::duration<double> average_{0.02}; // duration of a task
    unsigned failures_ = 0;                       // consecutive
    std::optional<Turn> last_failed_;             // one client alone cannot open the breaker
    bool open_ = false;
    bool probing_ = false;
    Monotonic probe_at_;
    uint64_t probe_after_ms_ = 0;
};

} // namespace odoo_bus
