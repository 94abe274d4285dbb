// now_request.h: a request of bus_sendnow() to a sender, and the answer, in a segment of shared memory that
// both map.
#pragma once

#include "insert.h"

namespace odoo_bus {

struct NowRequest {
    enum State : uint32 { waiting, sent, failed };

    uint64 number; // see Waiting
    Oid schema;
    Oid current_user;
    Oid set_role; // by SET ROLE; invalid: none
    int security_context;
    int lock_timeout; // in ms

    // The answer. The state is written last.
    pg_atomic_uint32 state;
    int64 id;
    int sqlstate;
    char message[1024], detail[1024], hint[1024], context[1024]; // in the database's encoding

    uint32 channel_at, message_at, settings_at; // offsets in the segment
    Size settings_length;
    Size size;

    const char* settings() const { return reinterpret_cast<const char*>(this) + settings_at; }

    Notification notification() {
        char* base = reinterpret_cast<char*>(this);
        return {reinterpret_cast<text*>(base + channel_at), reinterpret_cast<text*>(base + message_at)};
    }
};

} // namespace odoo_bus
