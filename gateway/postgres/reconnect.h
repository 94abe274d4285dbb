// Opens a connection again after it was lost, for as long as it takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include <uv.h>

#include "base/backoff.h"
#include "base/timer.h"

namespace odoo_bus {

class Reconnect {
public:
    // `open`: opens the connection.
    Reconnect(uv_loop_t* loop, std::function<void()> open) : timer_(loop), open_(std::move(open)) {}

    // The connection was lost, or could not be opened: it is opened again after a while (Backoff). True when
    // the reason is not the last one again, and worth a line in the log.
    bool lost(const std::string& reason, std::chrono::milliseconds least = {}) {
        again(least);
        return std::exchange(last_reason_, reason) != reason;
    }
    // The same, for a reason that needs no line.
    void again(std::chrono::milliseconds least = {}) {
        timer_.start(static_cast<uint64_t>(backoff_.next(least).count()), open_);
    }
    // The connection does what it is for. True when it was lost before.
    bool succeeded() {
        backoff_.reset();
        return !std::exchange(last_reason_, {}).empty();
    }
    // The connection is not opened again before the next call of lost() or again().
    void stop() { timer_.stop(); }

private:
    Timer timer_;
    const std::function<void()> open_;
    Backoff backoff_;
    std::string last_reason_;
};

} // namespace odoo_bus
