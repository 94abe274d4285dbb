// sender_pool.h: the background workers that send for bus_sendnow(), and what waits for each of them, in
// shared memory.
//
// A sender is one worker for one role in one database. It takes what waits for it in order, and leaves when
// nothing has come for a while. A request itself, and its answer, are in a segment of the caller's: when the
// caller has gone, so has the segment.
#pragma once

#include "pg.h"

namespace odoo_bus {

// See shared_memory.cpp.
void request_sender_pool_space();
void create_sender_pool();

// A request that waits for its sender.
struct Waiting {
    dsm_handle segment;
    uint64 number; // stands in the segment as well: a handle may be used again
    Latch* latch;  // of the caller
};

// A sender as a caller knows it: `life` changes when the worker in this place has gone.
struct SenderLife {
    uint32 place;
    uint64 life;
};

enum class HandedOver { to_running, to_new, not_at_all };

// For callers. What is handed over to a new sender waits until the caller has started it.
HandedOver hand_over(Oid database, Oid role, const Waiting& waiting, SenderLife& sender);
// It could not be started: whatever waits for it is dropped, and its callers are woken.
void forget_sender(const SenderLife& sender);
// False when the worker has gone, or was not there in time. What it had not answered it has not done.
bool is_alive(const SenderLife& sender);
// Frees a background worker for others.
void ask_idle_sender_to_leave();

// For the worker; false when nobody waits for it any more. From here to its end it has the place.
bool attach_sender(const SenderLife& sender);
// The next request; the one before it is done.
bool take_request(const SenderLife& sender, Waiting& waiting);
void finish_request(const SenderLife& sender, bool sent);
// Whether the worker may go: nothing waits for it. Then nothing will.
bool retire_sender(const SenderLife& sender);
bool is_asked_to_leave(const SenderLife& sender);

struct SenderStat {
    uint64 sent, failed;
    int senders;
};
SenderStat sender_stat();
void reset_sender_stat();

} // namespace odoo_bus
