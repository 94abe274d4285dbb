/* odoo.test has two addresses: 127.0.0.2, and then 127.0.0.1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int Lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **addresses)
{
    Lookup *lookup = (Lookup *) dlsym(RTLD_NEXT, "getaddrinfo");

    if (!node || strcmp(node, "odoo.test") != 0)
        return lookup(node, service, hints, addresses);
    if (lookup("127.0.0.2", service, hints, addresses) != 0)
        return EAI_FAIL;
    return lookup("127.0.0.1", service, hints, &(*addresses)->ai_next);
}
