// A timer on a libuv loop that calls once.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include <uv.h>

namespace odoo_bus {

class Timer {
public:
    explicit Timer(uv_loop_t* loop) : state_(new State) {
        uv_timer_init(loop, &state_->handle);
        state_->handle.data = state_;
    }
    ~Timer() {
        uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
                 [](uv_handle_t* closed) { delete static_cast<State*>(closed->data); });
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // Replaces what was started before.
    void start(uint64_t milliseconds, std::function<void()> call) {
        state_->call = std::move(call);
        uv_timer_start(
            &state_->handle,
            [](uv_timer_t* due) {
                const auto what = std::move(static_cast<State*>(due->data)->call);
                what();
            },
            milliseconds, 0);
    }
    void stop() { uv_timer_stop(&state_->handle); }
    bool active() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0; }

private:
    struct State {
        uv_timer_t handle;
        std::function<void()> call;
    };
    State* state_; // freed by the handle's close callback
};

} // namespace odoo_bus
