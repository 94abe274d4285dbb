// The queue of requests to Odoo.
#include "auth/odoo/odoo_queue.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "base/backoff.h"

namespace odoo_bus {

using namespace std::chrono_literals;

void OdooQueue::add(Task task, Monotonic now) {
    if (waiting_ >= bounds_.waiting)
        return task.drop("too many requests wait for Odoo");
    Lane& lane = lanes_[static_cast<size_t>(task.priority)];
    auto known = lane.by_name.find(task.client);
    if (known == lane.by_name.end()) {
        lane.clients.push_back({task.client, {}});
        known = lane.by_name.emplace(task.client, std::prev(lane.clients.end())).first;
    }
    known->second->tasks.push_back({std::move(task), now});
    ++lane.tasks;
    ++waiting_;
    run_next();
}

std::optional<OdooQueue::Waiting> OdooQueue::take(Lane& lane) {
    if (lane.clients.empty())
        return std::nullopt;
    Client& client = lane.clients.front();
    Waiting next = std::move(client.tasks.front());
    client.tasks.pop_front();
    --lane.tasks;
    --waiting_;
    if (client.tasks.empty()) {
        lane.by_name.erase(client.name);
        lane.clients.pop_front();
    } else {
        lane.clients.splice(lane.clients.end(), lane.clients, lane.clients.begin());
    }
    return next;
}

void OdooQueue::run_next() {
    while (!open_ && running_ < bounds_.concurrency) {
        std::optional<Waiting> next;
        for (size_t i = 0; i < PRIORITIES && !next; ++i) {
            // Background tasks leave at least half of the places to tasks for which a client waits.
            const bool background = i == static_cast<size_t>(Priority::background);
            if (!background || running_ < (bounds_.concurrency + 1) / 2)
                next = take(lanes_[i]);
        }
        if (!next)
            return;
        ++running_;
        next->task.run();
    }
}

void OdooQueue::done(const std::string& client, bool answered, Monotonic began, Monotonic now) {
    --running_;
    if (answered) {
        constexpr double WEIGHT = 0.05;
        average_ += WEIGHT * (now - began - average_);
        last_failed_.clear();
        failures_ = 0;
        if (open_)
            return recovered();
    } else if (std::exchange(last_failed_, client) != client && ++failures_ >= bounds_.failures && !open_) {
        open_ = true;
        failed(now);
    }
    run_next();
}

void OdooQueue::failed(Monotonic now) {
    probing_ = false;
    probe_after_ms_ = next_backoff(probe_after_ms_);
    probe_at_ = now + std::chrono::milliseconds(with_jitter(probe_after_ms_));
}

void OdooQueue::recovered() {
    probing_ = false;
    failures_ = 0;
    last_failed_.clear();
    probe_after_ms_ = 0;
    open_ = false;
    run_next();
}

void OdooQueue::expire(Lane& lane, Monotonic now) {
    std::vector<Task> dropped;
    for (auto client = lane.clients.begin(); client != lane.clients.end();) {
        auto& tasks = client->tasks;
        while (!tasks.empty() && now - tasks.front().since > bounds_.wait) {
            dropped.push_back(std::move(tasks.front().task));
            tasks.pop_front();
            --lane.tasks;
            --waiting_;
        }
        if (tasks.empty())
            lane.by_name.erase(client->name);
        client = tasks.empty() ? lane.clients.erase(client) : std::next(client);
    }
    for (const Task& task : dropped)
        task.drop("Odoo did not come to it in time");
}

void OdooQueue::tick(Monotonic now) {
    for (Lane& lane : lanes_)
        expire(lane, now);
    if (open_ && !probing_ && now >= probe_at_) {
        probing_ = true;
        probe_();
    }
}

std::optional<OdooQueue::Refusal> OdooQueue::refusal(Monotonic now) const {
    if (open_)
        return Refusal{"Odoo does not answer",
                       static_cast<unsigned>(2 + std::max(probe_at_ - now, Duration()) / 1s)};
    const size_t ahead = lanes_[static_cast<size_t>(Priority::interactive)].tasks;
    const auto wait = average_ * static_cast<double>(ahead) / std::max(1u, bounds_.concurrency);
    if (ahead >= bounds_.waiting || wait > bounds_.wait)
        return Refusal{"too many clients wait for Odoo",
                       static_cast<unsigned>(std::clamp(std::ceil(wait.count() / 2), 2.0, 60.0))};
    return std::nullopt;
}

} // namespace odoo_bus
