// slow_fsync.c: preloaded into a server, makes every flush of the WAL last SLOW_FSYNC_US microseconds longer, as on
// a slower disk. cc -shared -fPIC -o slow_fsync.so slow_fsync.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int descriptor) {
    static int (*original)(int);
    static useconds_t delay;
    if (!original) {
        const char *value = getenv("SLOW_FSYNC_US");
        delay = value ? (useconds_t)atoi(value) : 0;
        original = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    usleep(delay);
    return original(descriptor);
}
