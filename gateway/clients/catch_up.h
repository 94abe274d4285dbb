// A client that is given rows of the table before it continues in the history: page after page, as its
// transport takes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clients/database_feed.h"
#include "clients/resume.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class CatchUp {
public:
    class Owner {
    public:
        // The page of rows with an id above `last`, to be answered with answered().
        virtual void ask_table(Id last, const std::vector<std::string>& channels) = 0;
        virtual void tell_last_id_reset(Id newest) = 0;
        virtual void tell_outdated() = 0;

    protected:
        ~Owner() = default;
    };

    CatchUp(DatabaseFeed& feed, Subscriber& subscriber, Owner& owner, FromTable decision);

    // `granted`: what the subscriber is subscribed to from now on. What is dispatched meanwhile waits for it.
    void start(const GrantedChannels& granted);

    enum class Progress {
        waits,  // for the next page, for the transport to take it, or for a confirmation of the grant
        done,   // the subscriber continues in the history
        failed, // the database cannot be asked now
    };
    // `resume`: decides where to continue when the table has a `last` that was not dispatched here yet.
    Progress answered(const ReplayAnswer& page, const Resume& resume);
    // The subscriber's grant is confirmed, or could not be in time.
    Progress confirmed(const Resume& resume, bool in_time);

    // The transport takes frames again.
    void on_writable();

    // What it keeps in memory.
    size_t held_bytes() const;

private:
    Progress take(const ReplayAnswer& page, const Resume& resume);
    size_t personal_elements(const ReplayAnswer& page) const;
    void write(const ReplayAnswer& page);

    DatabaseFeed& feed_;
    Subscriber& subscriber_;
    Owner& owner_;
    const FromTable decision_;
    Id after_;                   // the next page begins after this id
    std::vector<bool> personal_; // of decision_.channels, if all that are granted are in it
    Monotonic confirmed_until_;
    std::optional<ReplayAnswer> unconfirmed_; // the page that waits for a confirmation
    enum class State : uint8_t { first_page, next_page, written } state_ = State::first_page;
};

} // namespace odoo_bus
