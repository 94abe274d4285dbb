// sender_pool.h: the background workers that send for bus_sendnow(), and their queues of requests, in shared
// memory.
//
// A sender is one worker for the sessions of one database that have the same session and current user. It
// serves its queue in order, and exits after a time without requests. A request and its answer are in a
// segment of the caller's, which ends with the caller.
#pragma once

#include "pg.h"

namespace odoo_bus {

// See shared_memory.cpp.
void request_sender_pool_space();
void create_sender_pool();

// A request that waits for its sender.
struct Waiting {
    dsm_handle segment;
    uint64 number; // also in the segment: handles are reused
    Latch* latch;  // of the caller
};

// A sender serves only sessions for which all of this is the same.
struct SenderKey {
    Oid database, session_user, current_user;
    uint64 custom_names; // see SessionSettings
    bool operator==(const SenderKey&) const = default;
};

// A sender as a caller knows it: `life` changes when the worker in this place has ended.
struct SenderLife {
    uint32 place;
    uint64 life;
};

enum class HandedOver { to_running, to_new, not_at_all };

// For callers. A request to a new sender waits until the caller has started it.
HandedOver hand_over(const SenderKey& key, const Waiting& waiting, SenderLife& sender);
// It could not be started: its requests are dropped, and their callers are woken.
void forget_sender(const SenderLife& sender);
// Returns false if the worker has ended, or has not started in time. Requests without an answer were not
// served.
bool is_alive(const SenderLife& sender);
// Frees a background worker for another database or role.
void ask_idle_sender_to_leave();

// For the worker, which owns the place from here to its end. Returns false if no request waits any more.
bool attach_sender(const SenderLife& sender);
// Ends the current request, and takes the next.
bool take_request(const SenderLife& sender, Waiting& waiting);
void finish_request(const SenderLife& sender, bool sent);
// Whether no request waits, so that the worker may exit. After that no request is queued to it.
bool retire_sender(const SenderLife& sender);
bool is_asked_to_leave(const SenderLife& sender);

struct SenderStat {
    uint64 sent, failed;
    int senders;
};
SenderStat sender_stat();
void reset_sender_stat();

} // namespace odoo_bus
