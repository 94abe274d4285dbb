// sender_pool.cpp: the background workers that send for bus_sendnow(), and their queues of requests, in
// shared memory.
#include "sender_pool.h"

namespace odoo_bus {

namespace {

constexpr uint32 none = PG_UINT32_MAX;
// A session waits for one request at a time, so this bounds the sessions; further ones wait for a place.
constexpr uint32 request_count = 1024;
// From the registration of a worker to its start.
constexpr int start_timeout_ms = 10000;

struct Request {
    uint32 next;
    Waiting waiting;
};

struct Sender {
    SenderKey key; // database invalid: the place is free
    uint64 life;
    TimestampTz registered_at;
    pid_t pid;           // 0: not started yet
    Latch* latch;        // of the worker
    Latch* served;       // of the caller whose request is being served
    bool busy;           // between a request and its end
    bool asked_to_leave; // another database or role needs the background worker
    uint32 first, last;  // requests
};

struct Pool {
    uint32 sender_count;
    uint32 free_request;
    uint64 sent, failed;
    Request requests[request_count];
    Sender senders[FLEXIBLE_ARRAY_MEMBER];
};

Pool* pool; // protected by the lock
LWLock* lock;

constexpr const char* shared_name = "odoo_bus_senders";

std::size_t shared_size() {
    return offsetof(Pool, senders) + static_cast<std::size_t>(max_worker_processes) * sizeof(Sender);
}

// Holds the lock for the rest of a scope; after an error PostgreSQL releases it.
struct Locked {
    explicit Locked(LWLockMode mode = LW_EXCLUSIVE) { LWLockAcquire(lock, mode); }
    ~Locked() { LWLockRelease(lock); }
};

bool is_current(const SenderLife& sender) {
    return pool->senders[sender.place].life == sender.life;
}

bool pop(Sender& sender, Waiting& waiting) {
    const uint32 request = sender.first;
    if (request == none)
        return false;
    waiting = pool->requests[request].waiting;
    sender.first = pool->requests[request].next;
    if (sender.first == none)
        sender.last = none;
    pool->requests[request].next = pool->free_request;
    pool->free_request = request;
    return true;
}

void push(Sender& sender, const Waiting& waiting) {
    const uint32 request = pool->free_request;
    pool->free_request = pool->requests[request].next;
    pool->requests[request] = {none, waiting};
    if (sender.last == none)
        sender.first = request;
    else
        pool->requests[sender.last].next = request;
    sender.last = request;
}

// Frees the place. Callers notice by the changed life.
void vacate(Sender& sender) {
    Waiting waiting;
    const uint64 next_life = sender.life + 1;
    if (sender.served)
        SetLatch(sender.served);
    while (pop(sender, waiting))
        SetLatch(waiting.latch);
    sender = Sender{};
    sender.life = next_life;
    sender.first = sender.last = none;
}

std::span<Sender> senders() {
    return {pool->senders, pool->sender_count};
}

uint32 place_of(const Sender& sender) {
    return static_cast<uint32>(&sender - pool->senders);
}

void detach_sender(int, Datum place) {
    const Locked locked;
    Sender& sender = pool->senders[DatumGetUInt32(place)];
    if (sender.pid == MyProcPid)
        vacate(sender);
}

} // namespace

void request_sender_pool_space() {
    RequestAddinShmemSpace(shared_size());
    RequestNamedLWLockTranche(shared_name, 1);
}

void create_sender_pool() {
    bool found;
    pool = static_cast<Pool*>(ShmemInitStruct(shared_name, shared_size(), &found));
    lock = &GetNamedLWLockTranche(shared_name)->lock;
    if (found)
        return;
    memset(static_cast<void*>(pool), 0, shared_size());
    pool->sender_count = static_cast<uint32>(max_worker_processes);
    for (uint32 request = 0; request < request_count; ++request)
        pool->requests[request].next = request + 1 < request_count ? request + 1 : none;
    for (Sender& sender : senders())
        sender.first = sender.last = none;
}

HandedOver hand_over(const SenderKey& key, const Waiting& waiting, SenderLife& life) {
    const Locked locked;
    if (pool->free_request == none)
        return HandedOver::not_at_all;
    Sender* free_place = nullptr;
    for (Sender& sender : senders()) {
        if (sender.key == key) {
            push(sender, waiting);
            life = {place_of(sender), sender.life};
            if (sender.latch)
                SetLatch(sender.latch);
            return HandedOver::to_running;
        }
        if (!free_place && !OidIsValid(sender.key.database))
            free_place = &sender;
    }
    if (!free_place)
        return HandedOver::not_at_all;
    free_place->key = key;
    free_place->registered_at = GetCurrentTimestamp();
    push(*free_place, waiting);
    life = {place_of(*free_place), free_place->life};
    return HandedOver::to_new;
}

void forget_sender(const SenderLife& life) {
    const Locked locked;
    if (is_current(life))
        vacate(pool->senders[life.place]);
}

bool is_alive(const SenderLife& life) {
    const Locked locked;
    if (!is_current(life))
        return false;
    Sender& sender = pool->senders[life.place];
    if (sender.pid != 0 ||
        !TimestampDifferenceExceeds(sender.registered_at, GetCurrentTimestamp(), start_timeout_ms))
        return true;
    vacate(sender);
    return false;
}

void ask_idle_sender_to_leave() {
    const Locked locked;
    for (Sender& sender : senders()) {
        if (!sender.latch || sender.busy || sender.first != none)
            continue;
        sender.asked_to_leave = true;
        SetLatch(sender.latch);
        return;
    }
}

bool attach_sender(const SenderLife& life) {
    before_shmem_exit(detach_sender, UInt32GetDatum(life.place));
    const Locked locked;
    if (!is_current(life))
        return false;
    Sender& sender = pool->senders[life.place];
    sender.pid = MyProcPid;
    sender.latch = MyLatch;
    return true;
}

bool take_request(const SenderLife& life, Waiting& waiting) {
    const Locked locked;
    Sender& sender = pool->senders[life.place];
    if (!pop(sender, waiting))
        return false;
    sender.busy = true;
    sender.served = waiting.latch;
    return true;
}

void finish_request(const SenderLife& life, bool sent) {
    const Locked locked;
    Sender& sender = pool->senders[life.place];
    SetLatch(sender.served);
    sender.busy = false;
    sender.served = nullptr;
    ++(sent ? pool->sent : pool->failed);
}

bool retire_sender(const SenderLife& life) {
    const Locked locked;
    Sender& sender = pool->senders[life.place];
    if (sender.first != none)
        return false;
    vacate(sender);
    return true;
}

bool is_asked_to_leave(const SenderLife& life) {
    const Locked locked(LW_SHARED);
    return pool->senders[life.place].asked_to_leave;
}

SenderStat sender_stat() {
    const Locked locked(LW_SHARED);
    SenderStat stat{pool->sent, pool->failed, 0};
    for (const Sender& sender : senders())
        stat.senders += sender.pid != 0;
    return stat;
}

void reset_sender_stat() {
    const Locked locked;
    pool->sent = pool->failed = 0;
}

} // namespace odoo_bus
