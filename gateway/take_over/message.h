// What two processes of one gateway tell each other while one takes over from the other (successor.h), and
// its bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/notification.h"

namespace odoo_bus {

struct Checkpoint;

struct TakeOverMessage {
    enum class Type : uint8_t {
        // Of one database, from the process that reads it to the other one.
        begin,   // the history that follows replaces what was known
        kept,    // a batch of it
        begun,   // all of it was sent
        publish, // a batch, and the position from which the history is to be kept
        lost,    // positions
        users,   // partners that have changed
        peers,   // whether there are other gateways
        expect,  // it can be read, again or soon
        let_go,  // somebody wants it for himself
        forget,  // it is not served any more
        ledger,  // where the reader goes on; nothing follows of this database
        // From the old process.
        described,     // what it knows so far was sent
        moved_clients, // numbers: clients that have come from another gateway, each with its `last`
        rotation,      // texts: an old session id, the new one, and the cookie to set
        forgotten,     // texts: digests of grants that hold no more
        go,            // everything was sent: take over
        // From the new process.
        prepared, // nothing but the rest of the state is wanting
        taken,    // it has taken over
    };

    Type type = Type::go;
    std::string database = {};
    BatchPtr batch = {};
    Position position = 0; // begin: before the history; publish: that is the oldest to be kept
    Position adopted_until = 0;
    Id newest = 0;
    Id settled = 0;
    bool flag = false; // begin: something was missed; peers: there are some; go: the hub is to be served
    std::vector<int64_t> numbers = {};
    std::vector<std::string> texts = {};
};

// With its length in front.
std::string encode(const TakeOverMessage& message);

// Takes the first message off `bytes`. Nothing while it is not whole; `damaged`: it is none of ours.
std::optional<TakeOverMessage> decode(std::string_view& bytes, bool& damaged);

// A ledger among the texts.
std::string encode_ledger(const Checkpoint& checkpoint);
std::optional<Checkpoint> decode_ledger(std::string_view bytes);

} // namespace odoo_bus
