// A service thread: see service.h.
#include "clients/service.h"

#include <algorithm>
#include <functional>
#include <limits>

#include <libwebsockets.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "clients/adopt_with_head.h"
#include "clients/event_stream.h"
#include "clients/long_poll.h"
#include "clients/odoo_websocket.h"
#include "clients/websocket.h"
#include "metrics/metrics.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

const metrics::Gauge behind("odoo_bus_backlogged_connections", "Connections with a backlog.");
const metrics::Gauge
    behind_bytes("odoo_bus_backlog_bytes",
                 "Bytes of the frames in backlogs; a shared frame is counted for each connection.");

constexpr std::chrono::milliseconds DRAIN_STEP{50};

} // namespace

Service::Service(const Options& options, Surroundings surroundings)
    : surroundings_(std::move(surroundings)),
      authorizer_(surroundings_.make_authorizer([this](Loop::Task task) { loop_.post(std::move(task)); })) {
    configure(options);
}

Service::~Service() {
    join();
    confirmation_deadlines_.reset();
    if (!context_)
        return;
    // On a foreign loop it closes its handles first, and frees what they belong to at the second call.
    lws_context_destroy(context_);
    loop_.run_pending();
    lws_context_destroy(context_);
    // The WebSockets went with it.
    for (auto sessions = std::exchange(sessions_, {}); auto& each : sessions)
        each.second.reset();
}

void Service::configure(const Options& options) {
    options_ = options;
    event_limits_ = {.max_channels = options.max_channels};
    event_limits_.max_values = std::max(event_limits_.max_values, options.max_channels + 1'000);
}

bool Service::create_context() {
    // It logs from all threads into one buffer, and each adoption as an error.
    [[maybe_unused]] static const bool silenced = (lws_set_log_level(0, nullptr), true);
    // Our own ping timer: libwebsockets' takes a sorted list of all connections.
    static constexpr lws_retry_bo_t no_validity_timer = {};
    void* loops[] = {loop_.uv()};
    lws_context_creation_info info = {};
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = loops;
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.user = this;
    info.gid = static_cast<gid_t>(-1);
    info.uid = static_cast<uid_t>(-1);
    info.protocols = WebSocket::PROTOCOLS;
    info.retry_and_idle_policy = &no_validity_timer;
    info.vhost_name = "gateway";
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
    // Every object of every context is counted in the default one, without a lock: between threads the count
    // goes wrong, and a wrong one ends the process.
    log_context_ = std::make_shared<lws_log_cx>();
    info.log_cx = log_context_.get();
#endif
    context_ = lws_create_context(&info);
    vhost_ = context_ ? lws_create_vhost(context_, &info) : nullptr;
    return vhost_ != nullptr;
}

bool Service::start() {
    if (!create_context()) {
        log::error("libwebsockets cannot be set up: is its event library for libuv installed "
                   "(libwebsockets-evlib-uv)?");
        return false;
    }
    confirmation_deadlines_ = std::make_unique<ConfirmationDeadlines>(loop_.uv(), [this](uint64_t number) {
        if (Session* const waits = session(number))
            waits->confirmation_is_overdue(MonotonicClock::now());
    });
    loop_.after_posted([this] { flush(); });
    loop_.start("service", [this] { loop_.every(1000, [this] { tick(); }); });
    return true;
}

void Service::stop(int code, std::string_view reason, uint64_t within_ms) {
    loop_.post([this, code, reason = std::string(reason), within_ms] {
        stopping_ = true;
        stop_at_ = MonotonicClock::now() + std::chrono::milliseconds(within_ms);
        for (const auto& each : sessions_)
            each.second->close(code, reason);
        loop_.every(20, [this] {
            tick_parted(MonotonicClock::now());
            if ((sessions_.empty() && parted_.empty()) || MonotonicClock::now() > stop_at_)
                loop_.stop();
        });
    });
}

void Service::drain(std::chrono::milliseconds within, Newcomers newcomers) {
    loop_.post([this, within, newcomers] {
        const bool is_first = !drained_at_;
        drained_at_ = MonotonicClock::now() + within;
        last_to_drain_ = newcomers == Newcomers::stay ? last_session_ : std::numeric_limits<uint64_t>::max();
        if (is_first)
            loop_.every(DRAIN_STEP.count(), [this] { send_back(); });
    });
}

// Of those that are left as many as belong to one step of the time that is left.
void Service::send_back() {
    const auto is_to_go = [this](const auto& each) {
        return each.first <= last_to_drain_ && !each.second->was_sent_back();
    };
    const int64_t left = std::ranges::count_if(sessions_, is_to_go);
    const int64_t steps = std::max<int64_t>(1, (*drained_at_ - MonotonicClock::now()) / DRAIN_STEP);
    due_ += static_cast<double>(left) / static_cast<double>(steps);
    int64_t now = steps == 1 ? left : static_cast<int64_t>(due_);
    due_ -= static_cast<double>(now);
    for (const auto& each : sessions_) {
        if (now == 0)
            break;
        if (is_to_go(each)) {
            --now;
            each.second->come_back();
        }
    }
}

void Service::flush() {
    for (DatabaseFeed* const feed : to_flush_)
        feed->fan_out.flush();
    to_flush_.clear();
}

void Service::tick() {
    authorizer_->tick();
    const Monotonic now = MonotonicClock::now();
    const WallTime wall = WallClock::now();
    int64_t behind_now = 0, bytes_now = 0;
    for (const auto& [number, session] : sessions_) {
        behind_now += session->is_behind();
        bytes_now += static_cast<int64_t>(session->queued_bytes());
        session->check_grant(now, wall);
        session->tick(now);
    }
    tick_parted(now);
    behind.add(behind_now - std::exchange(behind_, behind_now));
    behind_bytes.add(bytes_now - std::exchange(behind_bytes_, bytes_now));
}

// --- from any thread ---

void Service::adopt(Admission admission) {
    connections_.fetch_add(1, std::memory_order_relaxed);
    loop_.post([this, admission = std::make_shared<Admission>(std::move(admission))] {
        adopt_now(std::move(*admission));
    });
}

void Service::adopt_now(Admission admission) {
    if (admission.transport != Transport::websocket) {
        if (stopping_) {
            close(admission.socket);
            connections_.fetch_sub(1, std::memory_order_relaxed);
        } else if (admission.transport == Transport::events) {
            own(std::make_unique<EventStream>(*this, std::move(admission)));
        } else {
            own(std::make_unique<LongPoll>(*this, std::move(admission)));
        }
        return;
    }
    const std::string head = std::move(admission.head);
    const int socket = admission.socket;
    // The whole head is there, so libwebsockets answers it, and calls LWS_CALLBACK_ESTABLISHED, before it
    // returns.
    adopting_ = &admission;
    if (!stopping_)
#if LWS_LIBRARY_VERSION_NUMBER >= 4001000
        lws_adopt_socket_vhost_readbuf(vhost_, socket, head.data(), head.size());
#else
        adopt_with_head(context_, vhost_, socket, head);
#endif
    else
        close(socket);
    if (std::exchange(adopting_, nullptr))
        connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Service::on_event(const std::string& database, std::shared_ptr<const DatabaseEvent> event) {
    loop_.post([this, database, event = std::move(event)] { apply(database, *event); });
}

void Service::shed() {
    loop_.post([this] {
        std::vector<Session*> largest;
        for (const auto& [number, session] : sessions_)
            if (session->charge().gives_way())
                largest.push_back(session.get());
        std::ranges::sort(largest, std::greater(),
                          [](const Session* session) { return session->charge().bytes(); });
        for (Session* const session : largest)
            if (session->charge().gives_way()) // still
                session->shed();
    });
}

void Service::list_clients(std::string channel, std::function<void(ClientList)> answer) {
    loop_.post([this, channel = std::move(channel), answer = std::move(answer)] {
        answer(channel.empty() ? slowest_clients(sessions_, feeds_) : clients_of_channel(feeds_, channel));
    });
}

void Service::reconfigure(const Options& options) {
    loop_.post([this, options] { configure(options); });
}

// --- from this service's own thread ---

DatabaseFeed* Service::feed(const std::string& database) {
    const auto it = feeds_.find(database);
    return it == feeds_.end() ? nullptr : it->second.get();
}

DatabaseFeed& Service::feed_of(const std::string& database) {
    auto& feed = feeds_[database];
    if (!feed)
        feed = std::make_unique<DatabaseFeed>(database,
                                              FanOut::Bounds{.queue_bytes = options_.max_queue_bytes,
                                                             .queue_time = options_.max_queue_seconds});
    return *feed;
}

void Service::apply(const std::string& database, const DatabaseEvent& event) {
    std::visit(Overloaded{
                   [&](const event::Expect&) { feed_of(database); },
                   [&](const event::Begin& begin) { this->begin(feed_of(database), begin); },
                   [&](const event::Publish& publish) { this->publish(feed_of(database), publish); },
                   [&](const event::Lost& lost) { lose(feed_of(database), lost); },
                   [](const event::UsersChanged&) {},
                   [&](const event::Peers& peers) { feed_of(database).has_peers = peers.exist; },
                   [](const event::LetGo&) {},
                   [&](const event::Forget&) { forget(database); },
               },
               event);
}

void Service::begin(DatabaseFeed& feed, const event::Begin& begin) {
    feed.fan_out.forget_history(begin.head);
    for (const BatchPtr& batch : begin.kept)
        feed.fan_out.adopt(batch);
    feed.newest = begin.newest;
    feed.adopted_until = begin.adopted_until;
    if (begin.missed)
        tell_outdated(feed);
    feed.ready = true;
    for (const auto& subscribe : std::exchange(feed.waiting, {}))
        subscribe();
}

// Written when everything that was posted before has been applied, in one frame where that is possible.
void Service::publish(DatabaseFeed& feed, const event::Publish& publish) {
    if (publish.batch)
        for (const Notification& notification : *publish.batch)
            feed.newest = std::max(feed.newest, notification.id);
    feed.fan_out.enqueue(publish.batch, publish.keep_from);
    to_flush_.push_back(&feed);
}

void Service::lose(DatabaseFeed& feed, const event::Lost& lost) {
    feed.fan_out.forget(lost.positions);
    feed.newest = lost.newest;
    tell_outdated(feed);
}

void Service::forget(const std::string& database) {
    const auto it = feeds_.find(database);
    if (it == feeds_.end())
        return;
    const std::unique_ptr<DatabaseFeed> feed = std::move(it->second);
    feeds_.erase(it);
    std::erase(to_flush_, feed.get());
    for (const auto& [number, session] : sessions_)
        if (session->feed() == feed.get())
            session->forget_database();
    for (const auto& subscribe : std::exchange(feed->waiting, {}))
        subscribe(); // it finds no feed
}

void Service::tell_outdated(DatabaseFeed& feed) {
    for (const auto& [number, session] : sessions_)
        if (session->feed() == &feed && session->knows_internal())
            session->tell_outdated();
}

Duration Service::lifetime() {
    const Duration keep_alive = options_.keep_alive;
    return keep_alive + Duration(std::uniform_int_distribution<int64_t>(0, keep_alive.count() / 2)(random_));
}

void Service::own(std::unique_ptr<Session> session) {
    Session& owned = *session;
    sessions_.emplace(owned.number(), std::move(session));
    owned.recharge();
    owned.start();
}

Session* Service::session(uint64_t number) {
    const auto it = sessions_.find(number);
    return it == sessions_.end() ? nullptr : it->second.get();
}

void Service::await_confirmation(const Session& session) {
    confirmation_deadlines_->add(session.number(), MonotonicClock::now());
}

void Service::on_gone(const Session& session) {
    loop_.post([this, number = session.number()] { destroy(number); });
}

void Service::destroy(uint64_t session) {
    // While its destructor runs it is not to be found any more.
    if (const auto gone = sessions_.extract(session))
        connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Service::part(std::unique_ptr<OdooWebSocket> socket) {
    parted_.push_back(std::move(socket));
}

void Service::tick_parted(Monotonic now) {
    std::erase_if(parted_, [now](const auto& each) {
        each->tick(now);
        return each->is_over();
    });
}

void Service::replay(const std::string& database, Id last, std::vector<std::string> channels,
                     std::function<void(const ReplayAnswer&)> answer) {
    surroundings_.replay(database, last, std::move(channels),
                         [this, answer = std::move(answer)](ReplayAnswer rows) {
                             loop_.post([answer, rows = std::move(rows)] { answer(rows); });
                         });
}

} // namespace odoo_bus
