/* The first allocations by C++ of more than 9 MB fail, as many as the variable NO_MEMORY says. */
#include <stdlib.h>

extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv");
void *allocate(size_t size) __asm__("_Znwm");

void *
allocate(size_t size)
{
    static int failures = -1;
    void *memory;

    if (failures < 0)
        failures = atoi(getenv("NO_MEMORY"));
    if (size > 9000000 && failures > 0)
    {
        failures--;
        throw_bad_alloc();
    }
    if ((memory = malloc(size)) == NULL)
        throw_bad_alloc();
    return memory;
}
