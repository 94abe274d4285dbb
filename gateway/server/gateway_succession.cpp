// One process of a gateway takes over from another: what threads other than the reader do.
#include "server/gateway_succession.h"

#include <utility>
#include <variant>

#include "base/log.h"
#include "http/gateway_cookie.h"

namespace odoo_bus {

namespace {

// How long clients may take to go, and heads to be read, after --drain-seconds.
constexpr std::chrono::seconds LINGER{15};

} // namespace

GatewaySuccession::GatewaySuccession(GatewayParts& parts, const Options& options,
                                     std::function<void()> on_phase)
    : parts_(parts), on_phase_(std::move(on_phase)) {
    reconfigure(options);
}

void GatewaySuccession::reconfigure(const Options& options) {
    drain_within_ = options.drain_seconds;
    take_over_within_ = options.take_over_timeout;
}

std::string GatewaySuccession::problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
}

void GatewaySuccession::enter(Phase phase, const std::string& problem) {
    {
        const std::lock_guard lock(mutex_);
        problem_ = problem;
    }
    phase_ = phase;
    on_phase_();
}

void GatewaySuccession::listen(const std::vector<ListeningSocket>& sockets, bool for_metrics) {
    for (const ListeningSocket& each : sockets)
        listening_.push_back({each.descriptor(), for_metrics, each.is_given(), each.asked()});
}

Offer GatewaySuccession::offer() const {
    return {.gateway_id = parts_.id,
            .positions = positions_number(),
            .drain_within = drain_within_.load(),
            .sockets = listening_};
}

std::string GatewaySuccession::cannot_hand_over() const {
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

void GatewaySuccession::hand_over(int socket) {
    phase_ = Phase::handing_over;
    parts_.database_thread->succession().hand_over(socket, handlers(), take_over_within_);
}

void GatewaySuccession::succeed(int socket) {
    phase_ = Phase::taking_over;
    parts_.database_thread->succession().succeed(socket, handlers());
}

// --- called by the reader ---

Succession::Handlers GatewaySuccession::handlers() {
    return {.hand_over = [this](std::function<void()> done) { hand_over_clients(std::move(done)); },
            .inherit = [this](const TakeOverMessage& message) { inherit(message); },
            .taken = [this] { taken(); },
            .failed = [this](const std::string& why) { failed(why); },
            .left = [this] { has_predecessor_ = false; }};
}

void GatewaySuccession::hand_over_clients(std::function<void()> done) {
    Succession& succession = parts_.database_thread->succession();
    succession.tell_successor(take_over::MovedClientList{parts_.moved_clients->hand_over()});
    parts_.auth_backend->hand_over(
        [&succession](TakeOverMessage message) { succession.tell_successor(std::move(message)); },
        std::move(done));
}

void GatewaySuccession::inherit(const TakeOverMessage& message) {
    const auto* const moved = std::get_if<take_over::MovedClientList>(&message);
    if (!moved)
        return parts_.auth_backend->inherit(message);
    for (const auto& [client, last] : moved->clients)
        parts_.moved_clients->has_gone_on(client, last);
}

void GatewaySuccession::taken() {
    if (phase_ == Phase::handing_over)
        return begin_drain();
    has_predecessor_ = true;
    parts_.serve();
    enter(Phase::serving);
}

void GatewaySuccession::begin_drain() {
    parts_.http_server->stop_accepting();
    parts_.metrics_server->stop_accepting();
    parts_.auth_backend->retire();
    if (parts_.presence)
        parts_.presence->stop(); // its rows are the other process's: they have the same gateway's name
    drain(drain_within_);
    enter(Phase::draining);
}

void GatewaySuccession::failed(const std::string& why) {
    if (phase_ == Phase::taking_over)
        return enter(Phase::orphaned, why);
    if (phase_ == Phase::handing_over) {
        parts_.moved_clients->take_back();
        parts_.auth_backend->take_back();
        return enter(Phase::serving, why);
    }
    // This process receives no events any more: its clients find a process that starts anew, or none.
    log::error("{}: the clients that are left here are sent away", why);
    drain(std::chrono::milliseconds(0));
}

void GatewaySuccession::drain(std::chrono::milliseconds within) {
    for (const auto& service : parts_.services)
        service->drain(within, Service::Newcomers::go);
    drained_by_ = MonotonicClock::now() + within + LINGER;
}

// A socket counts as an HTTP connection until it counts as a client: asked in this order none is between the
// counts.
bool GatewaySuccession::is_drained() const {
    const bool is_over = !parts_.http_server->accepts() && parts_.http_server->connections() == 0 &&
                         !parts_.metrics_server->accepts() && parts_.metrics_server->connections() == 0 &&
                         parts_.connections() == 0 && !parts_.database_thread->databases().is_passing_on();
    return is_over || MonotonicClock::now() > drained_by_.load();
}

} // namespace odoo_bus
