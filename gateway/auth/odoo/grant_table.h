// Who has been granted what, and when Odoo is to be asked about it again. It asks nobody by itself.
//
// Connections of one session that named the same channels are one entry: one question serves all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/odoo/connection_link.h"
#include "auth/odoo/odoo_subject.h"
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
        int64_t asked_us = 0;         // when Odoo was asked what it answered last
        int64_t due_us = 0;           // when to ask again
        int64_t failing_since_us = 0; // Odoo could not be asked; 0: it could
        unsigned refused = 0;         // in a row
        bool asking = false;
        int64_t urgent_us = 0; // since when there is a reason to ask, whether it received something or not
    };

    // `due_us`: when the grant is to be checked. False when the connection has ended meanwhile.
    bool add(const std::shared_ptr<ConnectionLink>& link, const OdooSubject& subject,
             std::shared_ptr<const Grant> grant, int64_t asked_us, int64_t due_us);
    // Returns its subject when it was the last connection of that client.
    std::optional<OdooSubject> remove(const std::shared_ptr<ConnectionLink>& link);

    // The entry that has been due for longest, if any; marked as being asked about. Those whose connections
    // have received nothing wait until they have.
    std::shared_ptr<Entry> next_due(int64_t now_us, int64_t interval_us);
    void put_off(Entry& entry, int64_t due_us);
    // Asks about them as soon as may be.
    size_t hurry(int64_t now_us, const std::function<bool(const Entry&)>& is_meant);

    // A new answer: what its connections are granted from now on.
    void renew(Entry& entry, const Grant& grant, int64_t asked_us, int64_t due_us);
    // Ends its connections.
    static void close(const Entry& entry, const Refusal& refusal);
    // Ends the connections of all entries that are meant.
    void close(const std::function<bool(const Entry&)>& is_meant, const Refusal& refusal);

    bool has(const Digest& client) const { return clients_.contains(client); }
    size_t size() const { return entries_.size(); }
    // How long ago the answer is on which a connection rests that has received something since; 0: none.
    int64_t longest_unchecked_us(int64_t now_us) const;

private:
    using EntryPtr = std::shared_ptr<Entry>;
    static bool is_active(const Entry& entry);

    std::unordered_map<Digest, EntryPtr, DigestHash> entries_;
    std::unordered_map<const ConnectionLink*, Digest> key_of_link_;
    std::unordered_map<Digest, size_t, DigestHash> clients_; // how many connections each has
    std::set<std::pair<int64_t, Digest>> due_;
};

} // namespace odoo_bus
