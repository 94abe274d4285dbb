// Follows what another process of this gateway tells of a database that it reads, until this one takes over.
#pragma once

#include <functional>
#include <vector>

#include "ledger/database_state.h"
#include "protocol/database_event.h"
#include "take_over/message.h"

namespace odoo_bus {

class DatabaseFollower {
public:
    using Tell = std::function<void(const DatabaseEvent& event)>;

    // `tell`: the events that this process's clients are to hear.
    DatabaseFollower(DatabaseState& state, Tell tell) : state_(state), tell_(std::move(tell)) {}

    // False when a message does not fit to what came before.
    bool follow(const take_over::OfDatabase::What& message);

    // What has been told of the database.
    enum class There {
        UNKNOWN, // nothing yet
        KNOWN,
        READ,     // the other process reads it
        LEFT_OFF, // it has stopped, and has told where: the state is what it knew
    };
    There there() const { return there_; }
    // The last position that the other process has named.
    Position head() const { return beginning_.head; }

private:
    bool on_event(const DatabaseEvent& event);
    bool on_publish(const event::Publish& publish);
    bool on_kept(const BatchPtr& batch);
    bool on_begun(const take_over::Begun& begun);
    bool on_left_off(const take_over::LeftOff& left_off);

    DatabaseState& state_;
    const Tell tell_;
    There there_ = There::UNKNOWN;
    event::Begin beginning_;     // of the history that is on its way
    std::vector<BatchPtr> kept_; // of it, so far
};

} // namespace odoo_bus
