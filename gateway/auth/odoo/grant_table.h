// The grants of the connections, and when each is due for a re-check. It sends no requests itself.
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
            Position checked = 0; // its received() when the last answered question was asked
            Position asked = 0;   // its received() when the last question was asked
        };
        std::vector<Member> members;
        Monotonic asked;                        // when the last answered question was asked
        Monotonic confirmed;                    // the same, or of another entry's that confirmed this one
        Monotonic due;                          // when to ask again
        std::optional<Monotonic> failing_since; // since when Odoo could not be asked
        unsigned refused = 0;                   // in a row
        bool closed = false;                    // its connections are told to end
        bool asking = false;
        Monotonic asking_since;
        std::optional<Monotonic> awaited; // since when notifications wait for the answer
        // Since when it must be asked about, whether it has received something or not.
        std::optional<Monotonic> urgent;
    };

    // `due`: when the grant is to be checked. False when the connection has ended meanwhile.
    bool add(const std::shared_ptr<ConnectionLink>& link, const OdooSubject& subject,
             std::shared_ptr<const Grant> grant, Monotonic asked, Monotonic due);
    // Returns its subject when it was the last connection of that client.
    std::optional<OdooSubject> remove(const std::shared_ptr<ConnectionLink>& link);

    // Null when the connection has ended.
    std::shared_ptr<Entry> find(const std::shared_ptr<ConnectionLink>& link) const;

    // Another entry of the same client; null when there is none that is meant.
    std::shared_ptr<Entry> find_other(const Entry& entry,
                                      const std::function<bool(const Entry&)>& is_meant) const;

    // The entry that has been due for longest, if any; it is marked as being asked about. Entries whose
    // connections have received nothing since the last answer wait until they have.
    std::shared_ptr<Entry> next_due(Monotonic now, Duration interval);
    // It is asked about now.
    void begin_question(Entry& entry, Monotonic now, Duration interval);
    void put_off(Entry& entry, Monotonic due);
    // Makes them due now, even if their connections have received nothing.
    size_t hurry(Monotonic now, const std::function<bool(const Entry&)>& is_meant);

    // A new answer: the grant of its connections from now on, which is confirmed until then.
    void renew(Entry& entry, const Grant& grant, Monotonic asked, Monotonic due,
               Monotonic confirmed_until = Monotonic::max());
    // The answer to a question that was asked then about another entry of the session confirms this one, too.
    void confirm(Entry& entry, Monotonic asked, Monotonic due, Monotonic confirmed_until);
    // Ends its connections.
    static void close(Entry& entry, const Refusal& refusal);
    // Ends the connections of all entries that are meant.
    void close(const std::function<bool(const Entry&)>& is_meant, const Refusal& refusal);

    bool has(const Digest& client) const { return clients_.contains(client); }
    size_t size() const { return entries_.size(); }
    // The age of the oldest answer whose connections have received something since; 0: there is none.
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
