#include "pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void pool_die(void)
{
    fputs("protoc-gen-crpc: out of memory\n", stderr);
    _Exit(EXIT_FAILURE);
}

static void *not_null(void *memory)
{
    if (memory == NULL)
        pool_die();
    return memory;
}

void *pool_calloc(struct arena *pool, size_t count, size_t size)
{
    return not_null(arena_calloc(pool, count, size));
}

char *pool_strdup(struct arena *pool, const char *text)
{
    return not_null(arena_strdup(pool, text));
}

char *pool_strndup(struct arena *pool, const char *text, size_t len)
{
    return not_null(arena_strndup(pool, text, len));
}

char *pool_printf(struct arena *pool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = not_null(arena_vprintf(pool, format, arguments));
    va_end(arguments);
    return text;
}
