// doorbell_queue.h: the shared memory in which committed transactions leave what the doorbell worker is to
// announce. It exists only if the extension is preloaded.
#pragma once

#include "announcement_set.h"

namespace odoo_bus {

extern int queue_size; // odoo_bus.queue_size, in kB

// See shared_memory.cpp.
void request_queue_space();
void create_queue();
bool queue_exists();

// A bundle has announcements of one transaction.
constexpr uint32 no_bundle = PG_UINT32_MAX;

// Those for whom they are: who listens in the worker's database, whichever that is, or in the sender's own.
enum class Audience { hub, this_database };

// Copies the announcements into shared memory. Returns no_bundle if there is no queue, no room, or no worker
// that announces to this audience.
uint32 reserve_bundle(const AnnouncementSet& announcements, Audience audience);
// Hands the bundle to the worker and wakes it. Neither allocates nor fails.
void publish_bundle(uint32 bundle);
void release_bundle(uint32 bundle);
// Counts a transaction that has committed. Neither allocates nor fails.
void count_committed(uint64 notifications, uint64 notifies, bool fell_back);

// For the worker: publish_bundle() sets its latch from now on, until it exits.
void attach_worker();
bool announcements_wait();
// Whether more than half of it is used.
bool queue_fills();
// Adds those of all published bundles to the set, including those that an earlier round did not release.
// Returns their number, duplicates included.
uint64 take_announcements(AnnouncementSet& announcements);
// Releases the taken bundles, after the NOTIFY has committed.
void release_taken(uint64 taken, uint64 announced, uint64 notifies);
void record_worker_error(const char* message);
// Counts the attempts to connect since the last success, by which the worker backs off.
uint32 begin_connecting();
void end_connecting();

// Whether this is the first warning of its kind in this database since the start of the server, as far as is
// known.
enum class Warning : uint32 { ids, retention };
bool is_first_warning(Warning kind);

struct QueueStat {
    uint64 sent, doorbells, notifies, coalesced, fallbacks, notified;
    int64 bytes_used, bytes;
    int worker_pid;                      // 0: there is none
    TimestampTz reset_at, last_error_at; // 0: never
    char last_error[256];
};
QueueStat queue_stat();
void reset_queue_stat();

} // namespace odoo_bus
