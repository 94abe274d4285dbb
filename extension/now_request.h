// now_request.h: a request of bus_sendnow() to a sender, and the answer, in a segment of shared memory that
// both map.
#pragma once

#include "insert.h"

namespace odoo_bus {

struct NowRequest {
    enum State : uint32 { waiting, sent, failed };

    uint64 number; // see Waiting
    Oid schema, role;
    int lock_timeout; // in ms
    char synchronous_commit[16];

    // The answer. The state is written last.
    pg_atomic_uint32 state;
    int64 id;
    int sqlstate;
    char message[1024], detail[1024], hint[1024], context[1024]; // in the database's encoding

    uint32 channel_at, message_at; // offsets of the notification's texts in the segment
    Size size;

    Notification notification() {
        char* base = reinterpret_cast<char*>(this);
        return {reinterpret_cast<text*>(base + channel_at), reinterpret_cast<text*>(base + message_at)};
    }
};

} // namespace odoo_bus
