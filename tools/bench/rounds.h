/* Something done again and again, each time measured. */
#ifndef FLOCKS_BENCH_ROUNDS_H
#define FLOCKS_BENCH_ROUNDS_H

#include <stddef.h>

enum {
    /* Not measured, before the others. */
    ROUNDS_WARM_UP = 200,
    /* Largest message: ttrpc's frame. */
    ROUNDS_BYTES_MAX = 4 << 20,
    /* Largest message of a stream that sends back. */
    ROUNDS_BOUNCE_MAX = 64 << 10
};

/* Does round 0 and so on, prints one time a line, in nanoseconds. Not 0: a round has failed, with
 * its own answer. */
int rounds_run(size_t count, int (*round)(void *data, size_t index), void *data);
/* The same without a clock and without a word: for those who count what a round does. */
int rounds_run_quietly(size_t count, int (*round)(void *data, size_t index), void *data);

/* Decimal; 0 after a message. */
size_t rounds_number(const char *word);

/* `len` bytes of a message, static; NULL: more than ROUNDS_BYTES_MAX. */
void *rounds_message(size_t len);

#endif
