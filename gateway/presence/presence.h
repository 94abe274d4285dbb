// The members present on channels, kept in the databases' tables bus_presence: a thread of its own, with one
// connection for each database.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "config/options.h"
#include "presence/presence_table.h"

namespace odoo_bus {

class Presence {
public:
    // `names`: of the databases that are read, in the order of options.databases.
    // `drain_within`: how long a former process of this gateway may have clients, whose rows are to stay.
    Presence(const Options& options, const std::vector<std::string>& names, std::string gateway_id,
             Duration drain_within = {});
    ~Presence();

    void start();
    void stop();

    // --- from any thread ---

    // A database that is known by name, or may be connected to again.
    void expect(const std::string& database);
    // Closes its connection.
    void let_go(const std::string& database);
    void forget(const std::string& database);

    // A number that no other connection has.
    static uint64_t new_connection();
    // The connection has these channels now, as stored. Those that --presence does not name do not count, and
    // a member without a usable name is none.
    void set(uint64_t connection, const std::string& database, const std::string& member,
             const std::vector<std::string>& channels);
    void gone(uint64_t connection, const std::string& database);

private:
    std::unique_ptr<PresenceTable> make_table(const std::string& database);
    void with_table(const std::string& database, std::function<void(PresenceTable&)> task);

    const Options options_;
    const std::vector<std::string> names_;
    const std::string gateway_id_;
    const Monotonic others_until_;
    std::map<std::string, std::unique_ptr<PresenceTable>> tables_;
    bool stopping_ = false;
    Loop loop_;
};

// Whether it can be a member's name: not empty, no control characters, UTF-8, and at most 255 bytes.
bool is_member_name(std::string_view member);

// Whether a channel as stored is one of this database, in the form of the extension's bus_channel(), and of a
// length that the table can hold; and whether one of the patterns (a name or `prefix*`) fits its name or
// model.
bool is_presence_channel(const std::string& channel, const std::string& database,
                         const std::vector<std::string>& patterns);

} // namespace odoo_bus
