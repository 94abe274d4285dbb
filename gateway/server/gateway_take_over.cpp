// One process of a gateway takes over from another: what threads other than the readers do
// (database_thread.h).
#include "base/clock.h"
#include "base/log.h"
#include "http/gateway_cookie.h"
#include "server/gateway.h"

namespace odoo_bus {

namespace {

// How long clients may take to go, and heads to be read, after --drain-seconds.
constexpr int64_t LINGER_US = 15'000'000;

} // namespace

std::string Gateway::problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
}

void Gateway::enter(Phase phase, const std::string& problem) {
    {
        const std::lock_guard lock(mutex_);
        problem_ = problem;
    }
    phase_ = phase;
    on_phase_();
}

Offer Gateway::offer() const {
    return {.gateway_id = id_, .positions = positions_number(), .drain_us = drain_us_, .sockets = listening_};
}

std::string Gateway::cannot_hand_over() const {
    if (phase_ == Phase::handing_over)
        return "another new process is starting already";
    if (phase_ == Phase::draining)
        return "another process has taken over already";
    if (phase_ == Phase::taking_over)
        return "this process has not taken over yet";
    if (has_predecessor_)
        return "the former process still has clients (--drain-seconds)";
    return {};
}

void Gateway::hand_over(int socket) {
    phase_ = Phase::handing_over;
    database_thread_->hand_over(socket, take_over(), std::chrono::milliseconds(take_over_us_ / 1000));
}

// All of it is called by the reader.
DatabaseThread::TakeOver Gateway::take_over() {
    return {
        .hand_over =
            [this](std::function<void()> done) {
                database_thread_->tell_successor(take_over::MovedClientList{moved_clients_->hand_over()});
                auth_backend_->hand_over(
                    [this](TakeOverMessage message) { database_thread_->tell_successor(std::move(message)); },
                    std::move(done));
            },
        .inherit =
            [this](const TakeOverMessage& message) {
                const auto* const moved = std::get_if<take_over::MovedClientList>(&message);
                if (!moved)
                    return auth_backend_->inherit(message);
                for (const auto& [client, last] : moved->clients)
                    moved_clients_->has_gone_on(client, last);
            },
        .taken =
            [this] {
                if (phase_ == Phase::handing_over)
                    return begin_drain();
                has_predecessor_ = true;
                serve();
                enter(Phase::serving);
            },
        .failed = [this](const std::string& why) { other_process_failed(why); },
        .left = [this] { has_predecessor_ = false; }};
}

void Gateway::begin_drain() {
    http_server_->stop_accepting();
    metrics_server_->stop_accepting();
    auth_backend_->retire();
    if (presence_)
        presence_->stop(); // its rows are the other process's: they have the same gateway's name
    for (const auto& service : services_)
        service->drain(std::chrono::milliseconds(drain_us_ / 1000));
    drained_by_us_ = now_us() + drain_us_ + LINGER_US;
    enter(Phase::draining);
}

void Gateway::other_process_failed(const std::string& why) {
    if (phase_ == Phase::taking_over)
        return enter(Phase::orphaned, why);
    if (phase_ == Phase::handing_over) {
        moved_clients_->take_back();
        auth_backend_->take_back();
        return enter(Phase::serving, why);
    }
    // Nobody tells this process anything any more: its clients find a process that starts anew, or none.
    log::error("{}: the clients that are left here are sent away", why);
    for (const auto& service : services_)
        service->drain(std::chrono::milliseconds(0));
    drained_by_us_ = now_us() + LINGER_US;
}

// A socket counts as an HTTP connection until it counts as a client:
// asked in this order nobody is between the counts.
bool Gateway::is_drained() const {
    const bool is_over = !http_server_->accepts() && http_server_->connections() == 0 &&
                         !metrics_server_->accepts() && metrics_server_->connections() == 0 &&
                         connections() == 0 && !database_thread_->is_passing_on();
    return is_over || now_us() > drained_by_us_;
}

} // namespace odoo_bus
