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
    Lane& lane = lanes_[static_cast<size_t>(task.priority)];
    auto share = lane.by_address.find(task.turn.address);
    if (share == lane.by_address.end()) {
        lane.shares.push_back({.address = task.turn.address});
        share = lane.by_address.emplace(task.turn.address, std::prev(lane.shares.end())).first;
    }
    Share& of_address = *share->second;
    auto client = of_address.by_name.find(task.turn.client);
    if (client == of_address.by_name.end()) {
        of_address.clients.push_back({task.turn.client, {}});
        client = of_address.by_name.emplace(task.turn.client, std::prev(of_address.clients.end())).first;
    }
    client->second->tasks.push_back({std::move(task), now});
    ++of_address.tasks;
    ++lane.tasks;
    if (++waiting_ > bounds_.waiting)
        if (const auto dropped = take_from_largest())
            dropped->drop("too many requests wait for Odoo");
    run_next();
}

OdooQueue::Waiting OdooQueue::take(Lane& lane, std::list<Share>::iterator share,
                                   std::list<Client>::iterator client, bool first) {
    Waiting taken = std::move(first ? client->tasks.front() : client->tasks.back());
    if (first)
        client->tasks.pop_front();
    else
        client->tasks.pop_back();
    --share->tasks;
    --lane.tasks;
    --waiting_;
    if (client->tasks.empty()) {
        share->by_name.erase(client->name);
        share->clients.erase(client);
    }
    if (share->clients.empty()) {
        lane.by_address.erase(share->address);
        lane.shares.erase(share);
    }
    return taken;
}

bool OdooQueue::may_run(const Share& share) const {
    const auto running = running_of_.find(share.address);
    return share.address.empty() || running == running_of_.end() ||
           running->second < bounds_.concurrency - bounds_.concurrency / 4;
}

std::optional<OdooQueue::Waiting> OdooQueue::take(Lane& lane) {
    const auto share = std::ranges::find_if(lane.shares, [this](const Share& each) { return may_run(each); });
    if (share == lane.shares.end())
        return std::nullopt;
    const auto client = share->clients.begin();
    if (client->tasks.size() > 1)
        share->clients.splice(share->clients.end(), share->clients, client);
    if (share->tasks > 1)
        lane.shares.splice(lane.shares.end(), lane.shares, share);
    return take(lane, share, client, true);
}

std::optional<OdooQueue::Task> OdooQueue::take_newest(Lane& lane,
                                                      const std::function<bool(const Share&)>& is_meant) {
    const auto share = std::ranges::find_if(lane.shares, is_meant);
    if (share == lane.shares.end())
        return std::nullopt;
    return take(lane, share, std::prev(share->clients.end()), false).task;
}

std::optional<OdooQueue::Task> OdooQueue::take_from_largest() {
    Lane* of = nullptr;
    const Share* largest = nullptr;
    for (Lane& lane : lanes_)
        for (const Share& share : lane.shares)
            if (!largest || share.tasks > largest->tasks) {
                of = &lane;
                largest = &share;
            }
    if (!largest)
        return std::nullopt;
    return take_newest(*of, [largest](const Share& share) { return &share == largest; });
}

void OdooQueue::shed() {
    // All tasks of an address are charged to the same account.
    const auto exceeds = [](const Share& share) {
        const auto& account = share.clients.back().tasks.back().task.account;
        return account && account->exceeds();
    };
    for (Lane& lane : lanes_)
        while (const auto task = take_newest(lane, exceeds))
            task->drop("memory is full");
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
        if (next->task.is_wanted && !next->task.is_wanted()) {
            next->task.drop("the client has gone");
            continue;
        }
        ++running_;
        ++running_of_[next->task.turn.address];
        next->task.run();
    }
}

void OdooQueue::done(const Turn& turn, bool answered, Monotonic began, Monotonic now) {
    --running_;
    if (const auto of_address = running_of_.find(turn.address);
        of_address != running_of_.end() && --of_address->second == 0)
        running_of_.erase(of_address);
    if (answered) {
        constexpr double WEIGHT = 0.05;
        average_ += WEIGHT * (now - began - average_);
        last_failed_.reset();
        failures_ = 0;
        if (open_)
            return recovered();
    } else if (std::exchange(last_failed_, turn) != turn && ++failures_ >= bounds_.failures && !open_) {
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
    last_failed_.reset();
    probe_after_ms_ = 0;
    open_ = false;
    run_next();
}

void OdooQueue::expire(Lane& lane, Monotonic now) {
    std::vector<Task> dropped;
    for (auto share = lane.shares.begin(); share != lane.shares.end();) {
        const auto of_address = share++; // it may end with its last task
        for (auto client = of_address->clients.begin(); client != of_address->clients.end();) {
            const auto of_client = client++;
            size_t late = 0;
            while (late < of_client->tasks.size() && now - of_client->tasks[late].since > bounds_.wait)
                ++late;
            const bool is_last = late == of_client->tasks.size() && client == of_address->clients.end();
            while (late-- > 0)
                dropped.push_back(take(lane, of_address, of_client, true).task);
            if (is_last)
                break;
        }
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
    return refusal_behind(lanes_[static_cast<size_t>(Priority::interactive)].shares.size());
}

KeyedMap<std::string, OdooQueue::Refusal> OdooQueue::crowded() const {
    KeyedMap<std::string, Refusal> refusals;
    const Lane& lane = lanes_[static_cast<size_t>(Priority::interactive)];
    for (const Share& share : lane.shares)
        if (auto refusal = refusal_behind(std::min(share.tasks * lane.shares.size(), lane.tasks)))
            refusals.emplace(share.address, std::move(*refusal));
    return refusals;
}

std::optional<OdooQueue::Refusal> OdooQueue::refusal_behind(size_t tasks) const {
    const auto wait = average_ * static_cast<double>(tasks) / std::max(1u, bounds_.concurrency);
    if (tasks < bounds_.waiting && wait <= bounds_.wait)
        return std::nullopt;
    return Refusal{"too many clients wait for Odoo",
                   static_cast<unsigned>(std::clamp(std::ceil(wait.count() / 2), 2.0, 60.0))};
}

} // namespace odoo_bus
