#include "rounds.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slots.h"

size_t rounds_number(const char *word)
{
    char *end = NULL;
    unsigned long long number = strtoull(word, &end, 10);
    if (number > 0 && *end == '\0')
        return (size_t)number;
    (void)fprintf(stderr, "%s is not a number\n", word);
    return 0;
}

void *rounds_message(size_t len)
{
    static char bytes[ROUNDS_BYTES_MAX];
    if (len == 0 || len > sizeof bytes)
        return NULL;
    memset(bytes, 'x', len);
    return bytes;
}

static int measure(size_t count, int (*round)(void *data, size_t index), void *data, int64_t *times)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        int64_t began_ns = slots_now_ns();
        result = round(data, i);
        times[i] = slots_now_ns() - began_ns;
    }
    return result;
}

int rounds_run_quietly(size_t count, int (*round)(void *data, size_t index), void *data)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = round(data, i);
    return result;
}

int rounds_run(size_t count, int (*round)(void *data, size_t index), void *data)
{
    int64_t *times = calloc(count, sizeof *times);
    if (times == NULL)
        return 1;
    int result = rounds_run_quietly(ROUNDS_WARM_UP, round, data);
    if (result == 0)
        result = measure(count, round, data, times);
    for (size_t i = 0; i < count && result == 0; i++)
        (void)printf("%lld\n", (long long)times[i]);
    free(times);
    return result;
}
