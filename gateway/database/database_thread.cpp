// The thread that reads PostgreSQL.
#include "database/database_thread.h"

#include <future>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

// How many dispatched ids a state file remembers, in 32 bytes each whose place on the disk is reserved; fewer
// where there may be a hundred of them.
constexpr size_t STATE_ENTRIES = size_t{1} << 21;
constexpr size_t STATE_ENTRIES_OF_MANY = size_t{1} << 17;

} // namespace

DatabaseThread::DatabaseThread(const Options& options, std::vector<std::string> names,
                               const std::string& gateway_id, DatabaseObserver& observer)
    : options_(options), names_(std::move(names)), gateway_key_(fingerprint(gateway_id) >> 33),
      observer_(observer),
      found_(options.max_databases, {.serve =
                                         [this](const std::string& name) {
                                             serve(name, with_database(options_.databases.front(), name));
                                         },
                                     .forget = [this](const std::string& name) { forget_database(name); }}) {}

DatabaseThread::~DatabaseThread() {
    stop();
}

void DatabaseThread::start() {
    loop_.start("reader", [this] {
        open();
        if (link_socket_ >= 0)
            open_link();
    });
}

void DatabaseThread::stop() {
    loop_.post([this] {
        watch_.reset();
        link_.reset();
        deadline_.reset();
        databases_.clear();
        hub_.reset();
        loop_.stop();
    });
    loop_.join();
}

void DatabaseThread::open() {
    const std::string& hub = options_.hub_database;
    if (hub != "none")
        hub_ = std::make_unique<Hub>(
            loop_.uv(), hub.empty() ? with_database(options_.databases.front(), "postgres") : hub,
            options_.relay, [this](const std::string& database) { ring(database); });
    if (hub_ && role_ == Role::following)
        hub_->follow();
    if (!finds()) {
        for (size_t i = 0; i < names_.size(); ++i)
            serve(names_[i], options_.databases[i]);
        return;
    }
    watch_databases();
}

void DatabaseThread::watch_databases() {
    std::string wrong;
    watch_ = std::make_unique<DatabaseCatalog>(
        loop_.uv(), with_database(options_.databases.front(), hub_name()),
        *DatabasePattern::parse(options_.database_match, wrong),
        DatabaseCatalog::Handlers{.found =
                                      [this](const std::vector<DatabaseCatalog::Found>& found) {
                                          listed_.store(true, std::memory_order_relaxed);
                                          found_.found(found, MonotonicClock::now());
                                      },
                                  .lost = [this] { listed_.store(false, std::memory_order_relaxed); }});
}

void DatabaseThread::serve(const std::string& name, const std::string& conninfo) {
    // The former process may have told of it.
    if (const auto it = databases_.find(name); it != databases_.end()) {
        if (it->second->has_begun())
            found_.began(name);
        return;
    }
    const History::Bounds bounds{.age = options_.history_seconds, .bytes = options_.history_bytes};
    Database::Settings settings{.conninfo = conninfo,
                                .name = name,
                                .state_dir = options_.state_dir,
                                .state_entries = finds() ? STATE_ENTRIES_OF_MANY : STATE_ENTRIES,
                                .gateway_key = gateway_key_,
                                .history = bounds,
                                .available = &available_,
                                .known = &known_,
                                .heard = hear(name),
                                .refused = {},
                                .began = [this, name] { found_.began(name); },
                                .found_standby =
                                    [this, name] {
                                        if (options_.standby == Standby::refuse && refuse_start_)
                                            refuse_start_(
                                                fmt::format("database \"{}\": the server is a standby "
                                                            "(--standby refuse)",
                                                            name));
                                    },
                                .prepared = {}};
    if (finds())
        settings.refused = [this, name](const std::string& why) {
            // It is still in use.
            loop_.post([this, name, why] { refused(name, why); });
        };
    if (role_ == Role::following)
        settings.prepared = [this] { check_prepared(); };
    databases_[name] =
        std::make_unique<Database>(loop_.uv(), std::move(settings), static_cast<DatabaseObserver&>(*this));
}

void DatabaseThread::refused(const std::string& name, const std::string& why) {
    const auto it = databases_.find(name);
    if (it == databases_.end())
        return;
    if (it->second->is_followed()) // the former process has told of it since
        return it->second->try_again();
    databases_.erase(it);
    on_event(name, event::Forget{});
    check_prepared();
    found_.set_aside(name, why, MonotonicClock::now());
}

void DatabaseThread::forget_database(const std::string& name) {
    const auto it = databases_.find(name);
    if (it == databases_.end())
        return;
    it->second->remove_state();
    databases_.erase(it);
    on_event(name, event::Forget{});
}

std::string DatabaseThread::hub_name() const {
    const std::string& hub = options_.hub_database;
    std::string error;
    return hub.empty() || hub == "none" ? "postgres" : database_of(hub, error);
}

// What is notified in a database goes to the hub, unless it is the same one.
std::function<void(std::string_view)> DatabaseThread::hear(const std::string& name) {
    if (options_.hub_database == "none" || name == hub_name())
        return [](std::string_view) {};
    return [this](std::string_view payload) {
        if (hub_)
            hub_->pass_on(payload);
    };
}

void DatabaseThread::ring(const std::string& database) {
    if (database.empty())
        for (const auto& [name, each] : databases_)
            each->ring();
    else if (const auto it = databases_.find(database); it != databases_.end())
        it->second->ring();
    else
        found_.ring(database);
}

void DatabaseThread::replay(const std::string& database, Id last, std::vector<std::string> channels,
                            std::function<void(ReplayAnswer)> answer) {
    loop_.post([this, database, last, channels = std::move(channels), answer = std::move(answer)]() mutable {
        if (const auto it = databases_.find(database); it != databases_.end())
            return it->second->replay(last, std::move(channels), std::move(answer));
        ReplayAnswer nobody;
        nobody.failed = true;
        answer(std::move(nobody));
    });
}

std::string DatabaseThread::unavailable() const {
    if (available_.load(std::memory_order_relaxed))
        return {};
    return finds() ? "no database that matches --database-match can be read" : "no database can be reached";
}

std::vector<std::string> DatabaseThread::unready() const {
    const size_t available = available_.load(std::memory_order_relaxed);
    const size_t wanted = finds() ? known_.load(std::memory_order_relaxed) : names_.size();
    std::vector<std::string> reasons;
    if (available < wanted)
        reasons.push_back(fmt::format("{} of {} databases cannot be read now", wanted - available, wanted));
    if (finds() && !listed_.load(std::memory_order_relaxed))
        reasons.emplace_back("the databases of the server cannot be listed now");
    else if (finds() && !found_.is_complete())
        reasons.emplace_back("not all databases were looked at yet");
    return reasons;
}

} // namespace odoo_bus
