// The whole gateway: starts its threads, and passes on what one of them has for the others.
#include "server/gateway.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_clock.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "base/trusted_file.h"
#include "http/gateway_cookie.h"
#include "postgres/conninfo.h"
#include "protocol/close_codes.h"
#include "server/gateway_id.h"

namespace odoo_bus {

namespace {

// How long clients may take to read their close frame when the gateway stops.
constexpr uint64_t STOP_WITHIN_MS = 3000;

std::string make_state_dir(const std::string& path) {
    if (path.empty())
        return {};
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return fmt::format("--state-dir {}: {}", path, strerror(errno));
    std::string problem;
    return open_own_directory(path, problem) ? "" : "--state-dir: " + problem;
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
    : options_(options), accounts_([this] { parts_.http_server->lower_memory(); }),
      memory_(options.max_memory, accounts_,
              {.shed = [this] { shed(); },
               .trim_history = [this](uint64_t bytes) { parts_.database_thread->trim_histories(bytes); },
               .release_history = [this] { parts_.database_thread->release_histories(); }}),
      succession_(parts_, options, std::move(on_phase)) {}

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
        if (const std::string problem = judge_passfile(conninfo); !problem.empty())
            return fmt::format("--database: {}", problem);
    }
    if (names.empty())
        return "--database is needed: it tells which Odoo database to read, e.g. --database dbname=odoo";
    if (std::string problem = judge_given(options_, sockets); !problem.empty())
        return problem;
    if (std::string problem = make_state_dir(options_.state_dir); !problem.empty())
        return problem;
    if (!options_.state_dir.empty())
        file_clock::load(options_.state_dir, file_clock::boot_id());
    parts_.id = gateway_id(options_.state_dir, predecessor ? predecessor->offer.gateway_id : "");
    if (predecessor)
        inherit_positions_number(predecessor->offer.positions);
    parts_.auth_backend = make_auth_backend(options_, names);
    if (!options_.presence.empty())
        parts_.presence = std::make_unique<Presence>(
            options_, names, parts_.id, predecessor ? predecessor->offer.drain_within : Duration());
    if (std::string problem = make_services(); !problem.empty())
        return problem;
    parts_.database_thread = std::make_unique<DatabaseThread>(options_, std::move(names), parts_.id, *this);
    parts_.database_thread->databases().on_refusal(
        [this](const std::string& why) { succession_.refuse(why); });
    if (std::string problem = make_servers(sockets); !problem.empty())
        return problem;
    if (std::string problem = parts_.auth_backend->start(); !problem.empty())
        return problem;
    if (predecessor)
        succession_.succeed(predecessor->socket);
    parts_.database_thread->start();
    if (!predecessor)
        parts_.serve();
    return {};
}

std::string Gateway::make_services() {
    const unsigned threads =
        options_.threads ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
        auto service = std::make_unique<Service>(
            options_, Service::Surroundings{
                          .make_authorizer =
                              [this](std::function<void(Loop::Task)> post) {
                                  return parts_.auth_backend->make(std::move(post));
                              },
                          .replay =
                              [this](const std::string& database, Id last, std::vector<std::string> channels,
                                     std::function<void(ReplayAnswer)> answer) {
                                  parts_.database_thread->replay(database, last, std::move(channels),
                                                                 std::move(answer));
                              },
                          .gateway_id = parts_.id,
                          .moved_clients = parts_.moved_clients,
                          .presence = parts_.presence.get()});
        if (!service->start())
            return "the service threads cannot be started";
        parts_.services.push_back(std::move(service));
    }
    return {};
}

std::string Gateway::make_servers(GivenSockets& sockets) {
    parts_.http_server = std::make_unique<HttpServer>(
        options_, HttpServer::Surroundings{
                      .gateway_id = parts_.id,
                      .admit = [this](Admission admission) { admit(std::move(admission)); },
                      .connections = [this] { return parts_.connections(); },
                      .accounts = accounts_,
                      .memory = memory_,
                      .unavailable = [this] { return parts_.database_thread->databases().unavailable(); },
                      .authorizers = *parts_.auth_backend});
    if (std::string problem = parts_.http_server->listen(sockets); !problem.empty())
        return problem;
    succession_.listen(parts_.http_server->sockets(), false);
    parts_.metrics_server = std::make_unique<MetricsServer>(
        options_, [this] { return not_ready(); },
        [this](const std::string& channel, const std::function<void(ClientList)>& answer) {
            for (const auto& service : parts_.services)
                service->list_clients(channel, answer);
            return parts_.services.size();
        });
    if (std::string problem = parts_.metrics_server->listen(sockets); !problem.empty())
        return problem;
    succession_.listen(parts_.metrics_server->sockets(), true);
    return {};
}

void Gateway::drain(std::chrono::milliseconds within) {
    stopping_ = true;
    for (const auto& service : parts_.services)
        service->drain(within, Service::Newcomers::stay);
}

void Gateway::stop() {
    stopping_ = true;
    // While another process takes over, or this one, the reader's thread may start or end the others at this
    // very moment: what it has decided until now holds.
    const Phase phase = succession_.phase();
    if (phase == Phase::taking_over || phase == Phase::handing_over || phase == Phase::refused)
        parts_.database_thread->stop();
    if (parts_.http_server)
        parts_.http_server->stop();
    for (const auto& service : parts_.services)
        service->stop(close_code::GOING_AWAY, "the gateway stops", STOP_WITHIN_MS);
    for (const auto& service : parts_.services)
        service->join();
    if (parts_.auth_backend)
        parts_.auth_backend->stop();
    if (parts_.presence)
        parts_.presence->stop();
    if (parts_.database_thread)
        parts_.database_thread->stop();
    parts_.metrics_server.reset(); // the last one: until here it says that the gateway stops
}

void Gateway::reconfigure(const Options& options) {
    succession_.reconfigure(options);
    parts_.http_server->reconfigure(options);
    memory_.configure(options.max_memory);
    parts_.auth_backend->reconfigure(options);
    for (const auto& service : parts_.services)
        service->reconfigure(options);
}

bool Gateway::is_alive() {
    if (unanswered_ != 0)
        return false;
    const auto answer = [this] { --unanswered_; };
    unanswered_ = static_cast<unsigned>(parts_.services.size()) + 2;
    for (const auto& service : parts_.services)
        service->post(answer);
    parts_.database_thread->post(answer);
    parts_.http_server->post(answer);
    return true;
}

// --- what databases tell ---

void Gateway::on_event(const std::string& database, const DatabaseEvent& event) {
    tell_authorization(database, event);
    if (parts_.presence)
        tell_presence(database, event);
    const auto shared = std::make_shared<const DatabaseEvent>(event);
    for (const auto& service : parts_.services)
        service->on_event(database, shared);
}

void Gateway::tell_authorization(const std::string& database, const DatabaseEvent& event) {
    std::visit(
        Overloaded{
            [&](const event::Expect&) { parts_.auth_backend->expect(database); },
            [&](const event::Begin& begin) { parts_.auth_backend->set_newest(database, begin.newest); },
            [&](const event::Publish& publish) {
                if (publish.batch)
                    parts_.auth_backend->set_newest(
                        database, std::ranges::max(*publish.batch, {}, &Notification::id).id);
            },
            [&](const event::Lost& lost) { parts_.auth_backend->set_newest(database, lost.newest); },
            [&](const event::UsersChanged& users) {
                parts_.auth_backend->users_changed(database, users.partners);
            },
            [](const event::Peers&) {},
            [&](const event::LetGo&) { parts_.auth_backend->let_go(database); },
            [&](const event::Forget&) { parts_.auth_backend->forget(database); },
        },
        event);
}

void Gateway::tell_presence(const std::string& database, const DatabaseEvent& event) {
    if (std::holds_alternative<event::Expect>(event))
        parts_.presence->expect(database);
    else if (std::holds_alternative<event::LetGo>(event))
        parts_.presence->let_go(database);
    else if (std::holds_alternative<event::Forget>(event))
        parts_.presence->forget(database);
}

// --- connections ---

void Gateway::admit(Admission admission) {
    (*std::ranges::min_element(parts_.services, {}, [](const auto& service) {
        return service->connections();
    }))->adopt(std::move(admission));
}

// On every thread that holds something for clients.
void Gateway::shed() {
    parts_.http_server->shed();
    parts_.auth_backend->shed();
    for (const auto& service : parts_.services)
        service->shed();
}

// /health says that clients can be served; /ready, that a new client is served here as well as by any other
// gateway.
std::vector<std::string> Gateway::not_ready() const {
    std::vector<std::string> reasons = parts_.database_thread->databases().unready();
    if (stopping_)
        reasons.emplace_back("the gateway stops");
    if (parts_.connections() >= parts_.http_server->max_connections())
        reasons.emplace_back("--max-connections is reached");
    if (memory_.is_full())
        reasons.emplace_back("--max-memory is reached");
    return reasons;
}

} // namespace odoo_bus
