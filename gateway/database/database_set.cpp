// The databases that are served.
#include "database/database_set.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/common_level.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "config/database_pattern.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

// How many dispatched ids a state file remembers, in 32 bytes each whose place on the disk is reserved; fewer
// where there may be a hundred of them.
constexpr size_t STATE_ENTRIES = size_t{1} << 21;
constexpr size_t STATE_ENTRIES_OF_MANY = size_t{1} << 17;

} // namespace

DatabaseSet::DatabaseSet(const Options& options, std::vector<std::string> names,
                         const std::string& gateway_id, Loop& loop, DatabaseObserver& observer)
    : options_(options), names_(std::move(names)), gateway_key_(fingerprint(gateway_id) >> 33), loop_(loop),
      observer_(observer),
      found_(options.max_databases, {.serve =
                                         [this](const std::string& name) {
                                             serve(name, with_database(options_.databases.front(), name));
                                         },
                                     .forget = [this](const std::string& name) { forget(name); }}) {}

void DatabaseSet::open() {
    const std::string& hub = options_.hub_database;
    if (hub != "none")
        hub_ = std::make_unique<Hub>(
            loop_.uv(), hub.empty() ? with_database(options_.databases.front(), "postgres") : hub,
            options_.relay, [this](const std::string& database) { ring(database); });
    if (hub_ && follower_)
        hub_->follow();
    if (finds())
        return look_for_databases();
    for (size_t i = 0; i < names_.size(); ++i)
        serve(names_[i], options_.databases[i]);
}

void DatabaseSet::close() {
    catalog_.reset();
    databases_.clear();
    hub_.reset();
}

void DatabaseSet::look_for_databases() {
    std::string wrong;
    catalog_ = std::make_unique<DatabaseCatalog>(
        loop_.uv(), with_database(options_.databases.front(), hub_name()),
        *DatabasePattern::parse(options_.database_match, wrong),
        DatabaseCatalog::Handlers{.found =
                                      [this](const std::vector<DatabaseCatalog::Found>& found) {
                                          listed_.store(true, std::memory_order_relaxed);
                                          found_.found(found, MonotonicClock::now());
                                      },
                                  .lost = [this] { listed_.store(false, std::memory_order_relaxed); }});
}

void DatabaseSet::serve(const std::string& name, const std::string& conninfo) {
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
                                .max_row_bytes = options_.max_row_bytes,
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
    if (follower_)
        settings.prepared = follower_;
    auto& database = databases_[name];
    database = std::make_unique<Database>(loop_.uv(), std::move(settings), observer_);
    database->limit_history(history_limit_);
}

void DatabaseSet::trim_histories(uint64_t bytes) {
    std::vector<uint64_t> amounts;
    for (const auto& [name, database] : databases_)
        amounts.push_back(database->history_bytes());
    limit_histories(common_level(std::move(amounts), bytes));
    log::warning("memory is at --max-memory: the history of each database is limited to {} KiB",
                 history_limit_ >> 10);
}

void DatabaseSet::release_histories() {
    limit_histories(UINT64_MAX);
    log::info("histories are limited by --history-bytes alone again");
}

void DatabaseSet::limit_histories(uint64_t bytes) {
    history_limit_ = bytes;
    for (const auto& [name, database] : databases_)
        database->limit_history(bytes);
}

void DatabaseSet::refused(const std::string& name, const std::string& why) {
    const auto it = databases_.find(name);
    if (it == databases_.end())
        return;
    if (it->second->is_followed()) // the former process has told of it since
        return it->second->try_again();
    databases_.erase(it);
    observer_.on_event(name, event::Forget{});
    if (follower_)
        follower_();
    found_.set_aside(name, why, MonotonicClock::now());
}

void DatabaseSet::forget(const std::string& name) {
    const auto it = databases_.find(name);
    if (it == databases_.end())
        return;
    it->second->remove_state();
    databases_.erase(it);
    observer_.on_event(name, event::Forget{});
}

std::string DatabaseSet::hub_name() const {
    const std::string& hub = options_.hub_database;
    std::string error;
    return hub.empty() || hub == "none" ? "postgres" : database_of(hub, error);
}

// What is notified in a database goes to the hub, unless it is the same one.
std::function<void(std::string_view)> DatabaseSet::hear(const std::string& name) {
    if (options_.hub_database == "none" || name == hub_name())
        return [](std::string_view) {};
    return [this](std::string_view payload) {
        if (hub_)
            hub_->pass_on(payload);
    };
}

void DatabaseSet::ring(const std::string& database) {
    if (database.empty())
        for (const auto& [name, each] : databases_)
            each->ring();
    else if (const auto it = databases_.find(database); it != databases_.end())
        it->second->ring();
    else
        found_.ring(database);
}

void DatabaseSet::replay(const std::string& database, Id last, std::vector<std::string> channels,
                         std::function<void(ReplayAnswer)> answer) {
    if (const auto it = databases_.find(database); it != databases_.end())
        return it->second->replay(last, std::move(channels), std::move(answer));
    ReplayAnswer none;
    none.failed = true;
    answer(std::move(none));
}

std::string DatabaseSet::unavailable() const {
    if (available_.load(std::memory_order_relaxed))
        return {};
    return finds() ? "no database that matches --database-match can be read" : "no database can be reached";
}

std::vector<std::string> DatabaseSet::unready() const {
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

// --- another process takes over ---

void DatabaseSet::describe(const Database::Send& send) const {
    for (const auto& [name, database] : databases_)
        database->describe(send);
}

void DatabaseSet::freeze(std::function<void()> frozen) {
    catalog_.reset();
    const auto left = std::make_shared<size_t>(databases_.size() + 1);
    const auto one_less = [left, frozen = std::move(frozen)] {
        if (--*left == 0)
            frozen();
    };
    for (const auto& [name, database] : databases_)
        database->freeze(one_less);
    one_less();
}

void DatabaseSet::send_ledgers(const Database::Send& send) const {
    for (const auto& [name, database] : databases_)
        database->send_ledger(send);
}

void DatabaseSet::thaw() {
    for (const auto& [name, database] : databases_)
        database->thaw();
    if (finds() && !catalog_)
        look_for_databases();
}

void DatabaseSet::retire() {
    for (const auto& [name, database] : databases_)
        database->retire();
    if (hub_)
        hub_->retire();
}

// --- this process takes over ---

bool DatabaseSet::is_prepared() const {
    return std::ranges::all_of(databases_, [](const auto& each) {
        return !each.second->must_be_prepared() || each.second->is_prepared();
    });
}

bool DatabaseSet::follow(const take_over::OfDatabase& message) {
    const std::string& name = message.database;
    const auto* const event = std::get_if<DatabaseEvent>(&message.what);
    if (event && std::holds_alternative<event::Forget>(*event)) {
        databases_.erase(name);
        observer_.on_event(name, *event);
        return true;
    }
    std::string wrong;
    if (event && std::holds_alternative<event::Begin>(*event) && finds() &&
        DatabasePattern::parse(options_.database_match, wrong)->matches(name))
        serve(name, with_database(options_.databases.front(), name));
    const auto it = databases_.find(name);
    return it == databases_.end() || it->second->follow(message.what);
}

void DatabaseSet::succeed_hub(bool relays) {
    if (hub_)
        hub_->succeed(relays);
}

void DatabaseSet::take() {
    follower_ = nullptr;
    for (const auto& [name, database] : databases_)
        database->take();
}

} // namespace odoo_bus
