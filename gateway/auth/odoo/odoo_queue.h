// What waits for Odoo: bounded in number and time, fair between clients, interactive before background; and a
// breaker that opens when Odoo does not answer.
//
// It knows neither sockets nor clocks: it is told what time it is, and runs what may run.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace odoo_bus {

class OdooQueue {
public:
    enum class Priority { interactive, presence, background };
    static constexpr size_t PRIORITIES = 3;

    struct Bounds {
        unsigned concurrency = 8;
        Duration wait = std::chrono::seconds(20); // in the queue
        size_t waiting = 50'000;
        unsigned failures = 3; // in a row, of as many clients, that open the breaker
    };

    struct Task {
        std::string client; // fairness is between clients; nothing is read into it
        Priority priority = Priority::interactive;
        std::function<void()> run;                        // done() must be called once for each run
        std::function<void(const std::string& why)> drop; // called instead of run
    };

    // `probe` is to find out whether Odoo answers again, and then to call recovered(), or failed() again.
    OdooQueue(Bounds bounds, std::function<void()> probe) : bounds_(bounds), probe_(std::move(probe)) {}

    void set_bounds(Bounds bounds) { bounds_ = bounds; }

    // Runs it now or later, or drops it.
    void add(Task task, Monotonic now);
    // A task that ran has ended; `answered`: Odoo gave an answer, whatever it says.
    void done(const std::string& client, bool answered, Monotonic began, Monotonic now);
    // What the probe found.
    void recovered();
    void failed(Monotonic now);
    // About ten times a second: drops what has waited too long, and asks for a probe when it is time.
    void tick(Monotonic now);

    // Why a new client would wait in vain, and after how many seconds it may try again; nothing when it would
    // not.
    struct Refusal {
        std::string why;
        unsigned retry_after;
    };
    std::optional<Refusal> refusal(Monotonic now) const;

    size_t waiting() const { return waiting_; }
    unsigned running() const { return running_; }
    bool is_open() const { return open_; } // the breaker: nothing is sent but probes

private:
    struct Waiting {
        Task task;
        Monotonic since;
    };
    struct Client {
        std::string name;
        std::deque<Waiting> tasks;
    };
    // Clients take turns: the first one's first task is next, then it goes to the end.
    struct Lane {
        std::list<Client> clients;
        std::unordered_map<std::string, std::list<Client>::iterator> by_name;
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
    std::chrono::duration<double> average_{0.02}; // that a task takes
    unsigned failures_ = 0;                       // in a row
    std::string last_failed_;                     // one client alone cannot open the breaker
    bool open_ = false;
    bool probing_ = false;
    Monotonic probe_at_;
    uint64_t probe_after_ms_ = 0;
};

} // namespace odoo_bus
