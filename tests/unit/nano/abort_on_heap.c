/* Linked with --wrap: whoever of the program's own objects and archives asks for heap dies of it.
 */
#include <stddef.h>
#include <stdlib.h>

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
    (void)size;
    abort();
}

void *__wrap_calloc(size_t n, size_t size)
{
    (void)n;
    (void)size;
    abort();
}

void *__wrap_realloc(void *memory, size_t size)
{
    (void)memory;
    (void)size;
    abort();
}

void __wrap_free(void *memory)
{
    (void)memory;
    abort();
}
