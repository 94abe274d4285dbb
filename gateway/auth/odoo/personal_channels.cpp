// Which channels of a grant Odoo has granted for the identity of the session.
#include "auth/odoo/personal_channels.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/keyed_hash.h"
#include "common/ascii_json.h"

namespace odoo_bus {

namespace {

constexpr std::string_view EVERYONE = "broadcast";
constexpr std::string_view PRESENCE =
    "odoo-presence-"; // odoo-presence-res.partner_3, with a token or without

// The channel that such a name stands for: the presence of another record, which the page shows.
std::optional<std::string> presence_channel(const std::string& database, std::string_view name) {
    if (!name.starts_with(PRESENCE))
        return std::nullopt;
    name.remove_prefix(PRESENCE.size());
    const size_t underscore = name.rfind('_');
    if (underscore == name.npos)
        return std::nullopt;
    int64_t record = 0;
    const std::string_view id = name.substr(underscore + 1);
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), record);
    const bool is_whole = end == id.data() + id.size() || *end == '-';
    std::string channel;
    if (error != std::errc() || !is_whole ||
        !write_channel(channel, database, name.substr(0, underscore), record, "presence"))
        return std::nullopt;
    return channel;
}

} // namespace

std::vector<bool> personal_channels(const OdooSubject& subject, const Grant& grant) {
    KeyedSet<std::string> others;
    const auto add = [&](std::string_view name) {
        if (std::string channel; write_channel(channel, grant.database, name))
            others.insert(std::move(channel));
    };
    add(EVERYONE);
    for (const std::string& name : subject.channels) {
        add(name);
        if (auto channel = presence_channel(grant.database, name))
            others.insert(std::move(*channel));
    }
    std::vector<bool> personal;
    personal.reserve(grant.channels.size());
    for (const std::string& channel : grant.channels)
        personal.push_back(!others.contains(channel));
    return personal;
}

} // namespace odoo_bus
