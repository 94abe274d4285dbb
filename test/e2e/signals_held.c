/* Preloaded into PostgreSQL: the process whose id stands in the file HELD_SIGNALS names sends no SIGUSR1 while that file
   is there. It says so with a second file, whose name ends in ".held". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_held(const char *path) {
    int pid = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%d.", &pid) != 1)
        pid = 0;
    fclose(file);
    return pid == (int)getpid();
}

int kill(pid_t pid, int signal) {
    const char *path = getenv("HELD_SIGNALS");
    if (signal == SIGUSR1 && path && is_held(path)) {
        char said[4096];
        snprintf(said, sizeof said, "%s.held", path);
        close(open(said, O_CREAT | O_WRONLY, 0600));
        while (access(path, F_OK) == 0)
            usleep(1000);
    }
    return (int)syscall(SYS_kill, pid, signal);
}
