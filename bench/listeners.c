/* Connections that LISTEN and read, as Odoo's servers do, cheaper than in Python: a server's cost is what is measured.
 *
 *     listeners CONNINFO NUMBER CHANNEL...
 *
 * Prints "ready", and for each line that it reads how often its connections have woken and what they were notified of
 * since the line before: "WAKE-UPS NOTIFICATIONS".
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static PGconn* listen_on(const char* conninfo, char** channels) {
    PGconn* connection = PQconnectdb(conninfo);
    for (; *channels; ++channels) {
        char statement[256];
        snprintf(statement, sizeof(statement), "LISTEN %s", *channels);
        PGresult* result = PQexec(connection, statement);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fprintf(stderr, "listeners: %s", PQerrorMessage(connection));
            exit(1);
        }
        PQclear(result);
    }
    return connection;
}

int main(int argc, char** argv) {
    const int number = argc > 3 ? atoi(argv[2]) : 0;
    if (number < 1)
        return 2;
    PGconn** connections = calloc(number, sizeof(*connections));
    struct pollfd* polled = calloc(number + 1, sizeof(*polled));
    for (int i = 0; i < number; ++i) {
        connections[i] = listen_on(argv[1], argv + 3);
        polled[i] = (struct pollfd){.fd = PQsocket(connections[i]), .events = POLLIN};
    }
    polled[number] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    puts("ready");
    fflush(stdout);
    long wake_ups = 0, notifications = 0;
    while (poll(polled, number + 1, -1) > 0) {
        for (int i = 0; i < number; ++i) {
            if (!polled[i].revents)
                continue;
            if (!PQconsumeInput(connections[i]))
                return 1;
            ++wake_ups;
            for (PGnotify* notify; (notify = PQnotifies(connections[i])); PQfreemem(notify))
                ++notifications;
        }
        char line[64];
        if (polled[number].revents && read(STDIN_FILENO, line, sizeof(line)) <= 0)
            return 0;
        if (polled[number].revents) {
            printf("%ld %ld\n", wake_ups, notifications);
            fflush(stdout);
            wake_ups = notifications = 0;
        }
    }
    return 1;
}
