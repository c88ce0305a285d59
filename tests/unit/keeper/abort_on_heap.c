/* Linked into a keeper of its own (--wrap): once the loop runs, whoever asks for heap dies of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct keeper;

int __real_keeper_run(struct keeper *keeper);
int __wrap_keeper_run(struct keeper *keeper);
int __real_capture_run(int control_fd, int counters_fd);
int __wrap_capture_run(int control_fd, int counters_fd);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

static bool is_armed;

static void check(void)
{
    if (is_armed)
        abort();
}

int __wrap_keeper_run(struct keeper *keeper)
{
    is_armed = true;
    int exit_code = __real_keeper_run(keeper);
    is_armed = false;
    return exit_code;
}

int __wrap_capture_run(int control_fd, int counters_fd)
{
    is_armed = true;
    int exit_code = __real_capture_run(control_fd, counters_fd);
    is_armed = false;
    return exit_code;
}

void *__wrap_malloc(size_t size)
{
    check();
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    check();
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    check();
    return __real_realloc(memory, size);
}

void __wrap_free(void *memory)
{
    check();
    __real_free(memory);
}
