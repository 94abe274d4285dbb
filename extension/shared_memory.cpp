// shared_memory.cpp: the shared memory of the extension, which exists if it is preloaded.
#include "shared_memory.h"

#include "doorbell_queue.h"
#include "retention.h"
#include "sender_pool.h"

namespace odoo_bus {

namespace {

shmem_startup_hook_type previous_startup_hook;

// Runs in the postmaster, at its start and after a crash.
void create() {
    if (previous_startup_hook)
        previous_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    create_queue();
    create_sender_pool();
    create_schedule();
    LWLockRelease(AddinShmemInitLock);
}

} // namespace

void register_shared_memory() {
    request_shared_memory([] {
        request_queue_space();
        request_sender_pool_space();
        request_schedule_space();
    });
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = create;
}

} // namespace odoo_bus
