// The members present on channels.
#include "presence/presence.h"

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "common/ascii_json.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

constexpr uint64_t TICK_MS = 200;
constexpr size_t MAX_MEMBER_BYTES = 255;
// With a member an index row takes at most a third of a page: 2,704 bytes, in whatever encoding.
constexpr size_t MAX_CHANNEL_BYTES = 1'500;

bool fits(std::string_view pattern, std::string_view name) {
    if (!pattern.ends_with('*'))
        return pattern == name;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
}

} // namespace

bool is_member_name(std::string_view member) {
    return !member.empty() && member.size() <= MAX_MEMBER_BYTES && is_utf8(member) &&
           std::ranges::none_of(member, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_presence_channel(const std::string& channel, const std::string& database,
                         const std::vector<std::string>& patterns) {
    if (channel.size() > MAX_CHANNEL_BYTES || json_extent(channel).depth != 1)
        return false;
    const Json parts(json_loadb(channel.data(), channel.size(), 0, nullptr));
    const size_t count = json_array_size(parts.get());
    const auto text = [&](size_t i) {
        const json_t* const part = json_array_get(parts.get(), i);
        return std::string_view(json_string_value(part), json_string_length(part));
    };
    if (count < 2 || count > 4)
        return false;
    for (size_t i = 0; i < count; ++i)
        if (i == 2 ? !json_is_integer(json_array_get(parts.get(), i))
                   : !json_is_string(json_array_get(parts.get(), i)))
            return false;
    std::optional<int64_t> res_id;
    std::optional<std::string_view> subchannel;
    if (count > 2)
        res_id = json_integer_value(json_array_get(parts.get(), 2));
    if (count > 3)
        subchannel = text(3);
    std::string spelled;
    return text(0) == database && !text(1).empty() &&
           write_channel(spelled, text(0), text(1), res_id, subchannel) && spelled == channel &&
           std::ranges::any_of(patterns, [&](const std::string& each) { return fits(each, text(1)); });
}

Presence::Presence(const Options& options, const std::vector<std::string>& names, std::string gateway_id,
                   Duration drain_within)
    : options_(options), names_(names), gateway_id_(std::move(gateway_id)),
      others_until_(MonotonicClock::now() + drain_within) {}

Presence::~Presence() {
    stop();
}

void Presence::start() {
    loop_.start("presence", [this] {
        loop_.every(TICK_MS, [this] {
            for (const auto& [name, table] : tables_)
                table->tick();
        });
    });
}

// What this gateway has in the tables stays until it expires: its clients come back, here or elsewhere.
void Presence::stop() {
    loop_.post([this] {
        stopping_ = true;
        tables_.clear();
        loop_.stop();
    });
    loop_.join();
}

std::unique_ptr<PresenceTable> Presence::make_table(const std::string& database) {
    const auto named = std::ranges::find(names_, database);
    const auto& conninfos = options_.databases;
    return std::make_unique<PresenceTable>(
        loop_.uv(),
        PresenceTable::Settings{.database = database,
                                .conninfo = named == names_.end()
                                                ? with_database(conninfos.front(), database)
                                                : conninfos[static_cast<size_t>(named - names_.begin())],
                                .gateway = gateway_id_,
                                .others_until = others_until_,
                                .notify = options_.presence_notifications,
                                .heartbeat = options_.presence_heartbeat,
                                .batch = std::max<size_t>(1, options_.presence_rate * TICK_MS / 1000),
                                .bounds = {.rows = options_.presence_max_rows,
                                           .members = options_.presence_max_members,
                                           .grace = options_.presence_grace}});
}

void Presence::expect(const std::string& database) {
    loop_.post([this, database] {
        if (stopping_)
            return;
        auto& table = tables_[database];
        if (table)
            table->expect();
        else
            table = make_table(database);
    });
}

void Presence::let_go(const std::string& database) {
    with_table(database, [](PresenceTable& table) { table.let_go(); });
}

void Presence::forget(const std::string& database) {
    loop_.post([this, database] { tables_.erase(database); });
}

// On the presence thread, if there is one for the database.
void Presence::with_table(const std::string& database, std::function<void(PresenceTable&)> task) {
    loop_.post([this, database, task = std::move(task)] {
        if (const auto table = tables_.find(database); table != tables_.end())
            task(*table->second);
    });
}

uint64_t Presence::new_connection() {
    static std::atomic<uint64_t> last = 0;
    return ++last;
}

void Presence::set(uint64_t connection, const std::string& database, const std::string& member,
                   const std::vector<std::string>& channels) {
    std::vector<std::string> counted;
    if (is_member_name(member))
        for (const std::string& channel : channels)
            if (is_presence_channel(channel, database, options_.presence))
                counted.push_back(channel);
    with_table(database, [connection, member, counted = std::move(counted)](PresenceTable& table) {
        table.set(connection, member, counted);
    });
}

void Presence::gone(uint64_t connection, const std::string& database) {
    with_table(database, [connection](PresenceTable& table) { table.gone(connection); });
}

} // namespace odoo_bus
