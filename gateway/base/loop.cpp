// A thread with an event loop of its own: libuv's loop, and an async handle for the inbox.
#include "base/loop.h"

#include <utility>

#include <pthread.h>

namespace odoo_bus {

Loop::Loop() {
    uv_loop_init(&loop_);
    wake_.data = this;
    uv_async_init(&loop_, &wake_, [](uv_async_t* wake) { static_cast<Loop*>(wake->data)->run_inbox(); });
}

Loop::~Loop() {
    join();
    for (const auto& timer : timers_)
        uv_close(reinterpret_cast<uv_handle_t*>(&timer->handle), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
}

void Loop::start(const char* name, Task setup) {
    thread_ = std::thread([this, name, setup = std::move(setup)] { run(name, setup); });
}

void Loop::run(const char* name, const Task& setup) {
    pthread_setname_np(pthread_self(), name);
    setup();
    uv_run(&loop_, UV_RUN_DEFAULT);
    const std::lock_guard lock(mutex_);
    closed_ = true;
    inbox_.clear();
}

void Loop::post(Task task) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_)
            return;
        inbox_.push_back(std::move(task));
    }
    uv_async_send(&wake_);
}

void Loop::run_inbox() {
    std::vector<Task> tasks;
    {
        const std::lock_guard lock(mutex_);
        tasks.swap(inbox_);
    }
    for (const Task& task : tasks)
        task();
    if (after_posted_)
        after_posted_();
}

void Loop::every(uint64_t milliseconds, Task task) {
    Timer& timer = *timers_.emplace_back(std::make_unique<Timer>());
    timer.task = std::move(task);
    timer.handle.data = &timer;
    uv_timer_init(&loop_, &timer.handle);
    uv_timer_start(
        &timer.handle, [](uv_timer_t* due) { static_cast<Timer*>(due->data)->task(); }, milliseconds,
        milliseconds);
}

void Loop::join() {
    if (thread_.joinable())
        thread_.join();
}

void Loop::run_pending() {
    // A closed handle is reported one turn later; its callback may close another.
    for (int turn = 0; turn < 3; ++turn)
        uv_run(&loop_, UV_RUN_NOWAIT);
}

} // namespace odoo_bus
