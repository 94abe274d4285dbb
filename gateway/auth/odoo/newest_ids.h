// The newest id of each database: a question to Odoo names it as `last`, so that Odoo looks for no older
// notifications. From any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "protocol/notification.h"

namespace odoo_bus {

class NewestIds {
public:
    // `database`: the one that a host stands for until Odoo has named another.
    explicit NewestIds(std::string database) : first_(std::move(database)) {}

    void set(const std::string& database, Id newest) {
        const std::lock_guard lock(mutex_);
        newest_[database] = newest;
    }
    void forget(const std::string& database) {
        const std::lock_guard lock(mutex_);
        newest_.erase(database);
    }
    // Odoo has answered a question on this host with channels of this database.
    void learn(const std::string& host, const std::string& database) {
        const std::lock_guard lock(mutex_);
        if (database_of_host_.size() < MAX_HOSTS)
            database_of_host_[host] = database;
    }
    // 0: it is not known.
    Id of_host(const std::string& host) const {
        const std::lock_guard lock(mutex_);
        const auto known = database_of_host_.find(host);
        const auto newest = newest_.find(known == database_of_host_.end() ? first_ : known->second);
        return newest == newest_.end() ? 0 : newest->second;
    }

private:
    static constexpr size_t MAX_HOSTS = 10'000; // clients name them

    const std::string first_;
    mutable std::mutex mutex_;
    std::map<std::string, Id> newest_; // by database
    std::map<std::string, std::string> database_of_host_;
};

} // namespace odoo_bus
