// The thread that reads PostgreSQL.
#include "reader.h"

#include <future>

#include <spdlog/fmt/fmt.h>

#include "conninfo.h"
#include "fingerprint.h"
#include "log.h"

namespace odoo_bus {

Reader::Reader(const Options& options, std::vector<std::string> names, const std::string& gateway_id,
               Audience& audience)
    : options_(options), names_(std::move(names)), gateway_key_(fingerprint(gateway_id) >> 33),
      audience_(audience) {}

Reader::~Reader() {
    stop();
}

void Reader::start() {
    loop_.start("reader", [this] { open(); });
}

void Reader::stop() {
    loop_.post([this] {
        databases_.clear();
        hub_.reset();
        loop_.stop();
    });
    loop_.join();
}

void Reader::open() {
    const std::string& hub = options_.hub_database;
    if (hub != "none")
        hub_ = std::make_unique<Hub>(
            loop_.uv(), hub.empty() ? with_database(options_.databases.front(), "postgres") : hub,
            options_.relay, [this](const std::string& database) { ring(database); });
    const History::Bounds bounds{.age_us = std::chrono::microseconds(options_.history_seconds).count(),
                                 .bytes = options_.history_bytes};
    for (size_t i = 0; i < names_.size(); ++i)
        databases_[names_[i]] =
            std::make_unique<Database>(loop_.uv(),
                                       Database::Settings{.conninfo = options_.databases[i],
                                                          .name = names_[i],
                                                          .state_dir = options_.state_dir,
                                                          .gateway_key = gateway_key_,
                                                          .history = bounds,
                                                          .available = &available_,
                                                          .heard = hear(names_[i])},
                                       audience_);
}

// What is notified in a database goes to the hub, unless it is the same one.
std::function<void(std::string_view)> Reader::hear(const std::string& name) {
    std::string error;
    const std::string& hub = options_.hub_database;
    if (hub == "none" || name == (hub.empty() ? "postgres" : database_of(hub, error)))
        return [](std::string_view) {};
    return [this](std::string_view payload) {
        if (hub_)
            hub_->pass_on(payload);
    };
}

void Reader::ring(const std::string& database) {
    if (database.empty())
        for (const auto& [name, each] : databases_)
            each->ring();
    else if (const auto it = databases_.find(database); it != databases_.end())
        it->second->ring();
}

void Reader::replay(const std::string& database, Id last, std::vector<std::string> channels,
                    std::function<void(ReplayAnswer)> answer) {
    loop_.post([this, database, last, channels = std::move(channels), answer = std::move(answer)]() mutable {
        if (const auto it = databases_.find(database); it != databases_.end())
            it->second->replay(last, std::move(channels), std::move(answer));
    });
}

std::string Reader::unavailable() const {
    return available_.load(std::memory_order_relaxed) ? "" : "no database can be reached";
}

std::vector<std::string> Reader::unready() const {
    const unsigned available = available_.load(std::memory_order_relaxed);
    if (available >= names_.size())
        return {};
    return {fmt::format("{} of {} databases cannot be read now", names_.size() - available, names_.size())};
}

} // namespace odoo_bus
