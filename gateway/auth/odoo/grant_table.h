// Who has been granted what, and when Odoo is to be asked about it again. It asks nobody by itself.
//
// Connections of one session that named the same channels are one entry: one question serves all of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/odoo/connection_link.h"
#include "auth/odoo/odoo_subject.h"
#include "base/clock.h"
#include "base/sha256.h"

namespace odoo_bus {

class GrantTable {
public:
    struct Entry {
        OdooSubject subject;
        std::shared_ptr<const Grant> grant;
        struct Member {
            std::shared_ptr<ConnectionLink> link;
            Position checked = 0; // what it had received when Odoo was asked what it answered last
            Position asked = 0;   // and when it was asked last
        };
        std::vector<Member> members;
        Monotonic asked;                        // when Odoo was asked what it answered last
        Monotonic due;                          // when to ask again
        std::optional<Monotonic> failing_since; // Odoo could not be asked
        unsigned refused = 0;                   // in a row
        bool asking = false;
        // Since when there is a reason to ask, whether it received something or not.
        std::optional<Monotonic> urgent;
    };

    // `due`: when the grant is to be checked. False when the connection has ended meanwhile.
    bool add(const std::shared_ptr<ConnectionLink>& link, const OdooSubject& subject,
             std::shared_ptr<const Grant> grant, Monotonic asked, Monotonic due);
    // Returns its subject when it was the last connection of that client.
    std::optional<OdooSubject> remove(const std::shared_ptr<ConnectionLink>& link);

    // The entry that has been due for longest, if any; marked as being asked about. Those whose connections
    // have received nothing wait until they have.
    std::shared_ptr<Entry> next_due(Monotonic now, Duration interval);
    void put_off(Entry& entry, Monotonic due);
    // Asks about them as soon as may be.
    size_t hurry(Monotonic now, const std::function<bool(const Entry&)>& is_meant);

    // A new answer: what its connections are granted from now on.
    void renew(Entry& entry, const Grant& grant, Monotonic asked, Monotonic due);
    // Ends its connections.
    static void close(const Entry& entry, const Refusal& refusal);
    // Ends the connections of all entries that are meant.
    void close(const std::function<bool(const Entry&)>& is_meant, const Refusal& refusal);

    bool has(const Digest& client) const { return clients_.contains(client); }
    size_t size() const { return entries_.size(); }
    // How long ago the answer is on which a connection rests that has received something since; 0: none.
    Duration longest_unchecked(Monotonic now) const;

private:
    using EntryPtr = std::shared_ptr<Entry>;
    static bool is_active(const Entry& entry);

    std::unordered_map<Digest, EntryPtr, DigestHash> entries_;
    std::unordered_map<const ConnectionLink*, Digest> key_of_link_;
    std::unordered_map<Digest, size_t, DigestHash> clients_; // how many connections each has
    std::set<std::pair<Monotonic, Digest>> due_;
};

} // namespace odoo_bus
