#include "failing_memory.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool is_counting;
static int n_left;
static bool has_failed;

void failing_memory_arm(int n)
{
    n_left = n;
    has_failed = false;
    is_counting = true;
}

void failing_memory_pause(void)
{
    is_counting = false;
}

void failing_memory_resume(void)
{
    is_counting = true;
}

bool failing_memory_has_failed(void)
{
    return has_failed;
}

static bool fails_now(void)
{
    if (!is_counting || has_failed || n_left-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}
