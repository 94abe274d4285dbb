// A thread with an event loop of its own, and an inbox for work that other threads give it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <uv.h>

namespace odoo_bus {

class Loop {
public:
    using Task = std::function<void()>;

    Loop();
    ~Loop(); // joins the thread
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    uv_loop_t* uv() { return &loop_; }

    // Starts the thread under this name (at most 15 characters); `setup` is its first task.
    void start(const char* name, Task setup);
    // Runs `task` on the loop's thread, after all that was posted before. From any thread; after stop() it is
    // dropped.
    void post(Task task);
    // Runs `task` every `milliseconds`, until the loop stops. From the loop's thread.
    void every(uint64_t milliseconds, Task task);
    // Runs `task` whenever all that was posted so far has been run. Set it before start().
    void after_posted(Task task) { after_posted_ = std::move(task); }
    // Ends the loop after the task that calls it. From the loop's thread.
    void stop() { uv_stop(&loop_); }
    void join();
    // After join(): runs what is due, such as the callbacks of closed handles.
    void run_pending();

private:
    void run_inbox();
    void run(const char* name, const Task& setup);

    uv_loop_t loop_;
    uv_async_t wake_;
    std::mutex mutex_;
    std::vector<Task> inbox_;
    bool closed_ = false;
    Task after_posted_;
    struct Timer {
        uv_timer_t handle;
        Task task;
    };
    std::vector<std::unique_ptr<Timer>> timers_;
    std::thread thread_;
};

} // namespace odoo_bus
