// Authorization `open`: a string x means the channel ["<database>","x"], and everyone gets `broadcast`.
#include "auth/open_authorizer.h"

#include <algorithm>

#include "common/ascii_json.h"

namespace odoo_bus {

void OpenAuthorizer::authorize(const Admission& admission, const Subscribe& subscribe, bool,
                               std::function<void(Decision)> decide) {
    Grant grant{.database = admission.database.empty() ? database_ : admission.database, .channels = {}};
    auto add = [&grant](std::string_view name) {
        std::string channel;
        if (write_channel(channel, grant.database, name))
            grant.channels.push_back(std::move(channel));
    };
    // Clients name strings. A JSON array in string form is an attempt to name a record's channel.
    for (const std::string& name : subscribe.channels)
        if (name.starts_with('['))
            return decide(
                Refusal{.close_code = 0, .reason = "a channel is named by a string, not by a JSON array"});
    add("broadcast");
    for (const std::string& name : subscribe.channels)
        add(name);
    decide(std::move(grant));
}

} // namespace odoo_bus
