// The whole gateway: starts its threads, and passes on what one of them has for the others.
#include "server/gateway.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "postgres/conninfo.h"
#include "server/gateway_id.h"

namespace odoo_bus {

namespace {

constexpr int GOING_AWAY = 1001;

// How long clients may take to read their close frame when the gateway stops.
constexpr uint64_t STOP_WITHIN_MS = 3000;

std::string make_state_dir(const std::string& path) {
    if (path.empty() || mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
        return {};
    return fmt::format("--state-dir {}: {}", path, strerror(errno));
}

// What --listen must not say, the service manager must not give.
std::string judge_given(const Options& options, const GivenSockets& sockets) {
    if (options.auth != Auth::open || options.allow_open)
        return {};
    for (const Listener& given : sockets.given())
        if (!given.is_local())
            return fmt::format(
                "LISTEN_FDS: with --auth open everyone who reaches {} could read every channel; "
                "give a socket at 127.0.0.1, or add --allow-open",
                given.text());
    return {};
}

} // namespace

Gateway::Gateway(const Options& options, std::function<void()> on_phase)
    : options_(options), on_phase_(std::move(on_phase)),
      drain_us_(std::chrono::microseconds(options.drain_seconds).count()),
      take_over_us_(std::chrono::microseconds(options.take_over_timeout).count()),
      memory_(options.max_memory, [this](uint64_t bytes) {
          for (const auto& service : services_)
              service->shed(bytes / services_.size());
      }) {}

Gateway::~Gateway() {
    stop();
}

std::string Gateway::start(GivenSockets sockets, const Predecessor* predecessor) {
    std::vector<std::string> names;
    for (const std::string& conninfo : options_.databases) {
        std::string error;
        names.push_back(database_of(conninfo, error));
        if (!error.empty())
            return fmt::format("--database: {}", error);
    }
    if (names.empty())
        return "--database is needed: it tells which Odoo database to read, e.g. --database dbname=odoo";
    if (std::string problem = judge_given(options_, sockets); !problem.empty())
        return problem;
    if (std::string problem = make_state_dir(options_.state_dir); !problem.empty())
        return problem;
    id_ = gateway_id(options_.state_dir, predecessor ? predecessor->offer.gateway_id : "");
    if (predecessor)
        inherit_positions_number(predecessor->offer.positions);
    auth_backend_ = make_auth_backend(options_, names);
    if (!options_.presence.empty())
        presence_ = std::make_unique<Presence>(options_, names, id_,
                                               Duration(predecessor ? predecessor->offer.drain_us : 0));

    const unsigned threads =
        options_.threads ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
        auto service = std::make_unique<Service>(
            options_, Service::Surroundings{
                          .make_authorizer =
                              [this](std::function<void(Loop::Task)> post) {
                                  return auth_backend_->make(std::move(post));
                              },
                          .replay =
                              [this](const std::string& database, Id last, std::vector<std::string> channels,
                                     std::function<void(ReplayAnswer)> answer) {
                                  database_thread_->replay(database, last, std::move(channels),
                                                           std::move(answer));
                              },
                          .gateway_id = id_,
                          .moved_clients = moved_clients_,
                          .presence = presence_.get()});
        if (!service->start())
            return "the service threads cannot be started";
        services_.push_back(std::move(service));
    }
    database_thread_ = std::make_unique<DatabaseThread>(options_, std::move(names), id_, *this);
    database_thread_->on_refusal([this](const std::string& why) { enter(Phase::refused, why); });
    http_server_ = std::make_unique<HttpServer>(
        options_,
        HttpServer::Surroundings{.gateway_id = id_,
                                 .admit = [this](Admission admission) { admit(std::move(admission)); },
                                 .connections = [this] { return connections(); },
                                 .watch_memory = [this] { memory_.check(MonotonicClock::now()); },
                                 .memory_is_full = [this] { return memory_.is_reached(); },
                                 .unavailable = [this] { return database_thread_->unavailable(); },
                                 .authorizers = *auth_backend_});
    if (std::string problem = http_server_->listen(sockets); !problem.empty())
        return problem;
    metrics_server_ =
        std::make_unique<MetricsServer>(options_.metrics_listen, [this] { return not_ready(); });
    if (std::string problem = metrics_server_->listen(sockets); !problem.empty())
        return problem;
    if (std::string problem = auth_backend_->start(); !problem.empty())
        return problem;
    for (const ListeningSocket& each : http_server_->sockets())
        listening_.push_back({each.descriptor(), false, each.is_given(), each.asked()});
    for (const ListeningSocket& each : metrics_server_->sockets())
        listening_.push_back({each.descriptor(), true, each.is_given(), each.asked()});
    if (predecessor) {
        phase_ = Phase::taking_over;
        database_thread_->succeed(predecessor->socket, take_over());
    }
    database_thread_->start();
    if (!predecessor)
        serve();
    return {};
}

void Gateway::serve() {
    auth_backend_->begin();
    if (presence_)
        presence_->start();
    http_server_->start();
    metrics_server_->start();
}

void Gateway::stop() {
    stopping_ = true;
    // While another process takes over, or this one, the reader's thread may start or end the others at this
    // very moment: what it has decided until now holds.
    if (phase_ == Phase::taking_over || phase_ == Phase::handing_over || phase_ == Phase::refused)
        database_thread_->stop();
    if (http_server_)
        http_server_->stop();
    for (const auto& service : services_)
        service->stop(GOING_AWAY, "the gateway stops", STOP_WITHIN_MS);
    for (const auto& service : services_)
        service->join();
    if (auth_backend_)
        auth_backend_->stop();
    if (presence_)
        presence_->stop();
    if (database_thread_)
        database_thread_->stop();
    metrics_server_.reset(); // the last one: until here it says that the gateway stops
}

void Gateway::reconfigure(const Options& options) {
    drain_us_ = std::chrono::microseconds(options.drain_seconds).count();
    take_over_us_ = std::chrono::microseconds(options.take_over_timeout).count();
    http_server_->reconfigure(options);
    memory_.configure(options.max_memory);
    auth_backend_->reconfigure(options);
    for (const auto& service : services_)
        service->reconfigure(options);
}

bool Gateway::is_alive() {
    if (unanswered_ != 0)
        return false;
    const auto answer = [this] { --unanswered_; };
    unanswered_ = static_cast<unsigned>(services_.size()) + 2;
    for (const auto& service : services_)
        service->post(answer);
    database_thread_->post(answer);
    http_server_->post(answer);
    return true;
}

// --- what databases tell ---

void Gateway::on_event(const std::string& database, const DatabaseEvent& event) {
    tell_authorization(database, event);
    if (presence_)
        tell_presence(database, event);
    const auto shared = std::make_shared<const DatabaseEvent>(event);
    for (const auto& service : services_)
        service->on_event(database, shared);
}

void Gateway::tell_authorization(const std::string& database, const DatabaseEvent& event) {
    std::visit(
        Overloaded{
            [&](const event::Expect&) { auth_backend_->expect(database); },
            [&](const event::Begin& begin) { auth_backend_->set_newest(database, begin.newest); },
            [&](const event::Publish& publish) {
                if (publish.batch)
                    auth_backend_->set_newest(database,
                                              std::ranges::max(*publish.batch, {}, &Notification::id).id);
            },
            [&](const event::Lost& lost) { auth_backend_->set_newest(database, lost.newest); },
            [&](const event::UsersChanged& users) { auth_backend_->users_changed(database, users.partners); },
            [](const event::Peers&) {},
            [&](const event::LetGo&) { auth_backend_->let_go(database); },
            [&](const event::Forget&) { auth_backend_->forget(database); },
        },
        event);
}

void Gateway::tell_presence(const std::string& database, const DatabaseEvent& event) {
    if (std::holds_alternative<event::Expect>(event))
        presence_->expect(database);
    else if (std::holds_alternative<event::LetGo>(event))
        presence_->let_go(database);
    else if (std::holds_alternative<event::Forget>(event))
        presence_->forget(database);
}

// --- connections ---

void Gateway::admit(Admission admission) {
    (*std::ranges::min_element(services_, {}, [](const auto& service) {
        return service->connections();
    }))->adopt(std::move(admission));
}

// Health says that somebody can be served; ready, that a new client is served as well here as anywhere.
std::vector<std::string> Gateway::not_ready() const {
    std::vector<std::string> reasons = database_thread_->unready();
    if (stopping_)
        reasons.emplace_back("the gateway stops");
    if (connections() >= http_server_->max_connections())
        reasons.emplace_back("--max-connections is reached");
    if (memory_.is_reached())
        reasons.emplace_back("--max-memory is reached");
    return reasons;
}

size_t Gateway::connections() const {
    size_t connections = 0;
    for (const auto& service : services_)
        connections += service->connections();
    return connections;
}

} // namespace odoo_bus
