/* The name server of nowhere.invalid does not answer for a minute. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int Lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **addresses)
{
    Lookup *lookup = (Lookup *) dlsym(RTLD_NEXT, "getaddrinfo");

    if (!node || strcmp(node, "nowhere.invalid") != 0)
        return lookup(node, service, hints, addresses);
    sleep(60);
    return EAI_AGAIN;
}
