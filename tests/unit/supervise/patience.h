/* Waiting for what a loop brings about, with an end to it. */
#ifndef FLOCKS_TEST_SUPERVISE_PATIENCE_H
#define FLOCKS_TEST_SUPERVISE_PATIENCE_H

#include <uv.h>

enum {
    /* Longest wait for anything; far beyond what is ever needed. */
    PATIENCE_MS = 20000
};

/* Fails the test after PATIENCE_MS. One turn of a loop runs its timers, then waits for the next
 * event: what a timer has brought about by then may have been the last event there is, so a turn
 * waits for a millisecond at most. One wait at a time. */
#define RUN_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        patience_begin(loop);                                                                      \
        while (!(condition))                                                                       \
            patience_turn();                                                                       \
        patience_end();                                                                            \
    } while (0)

/* RUN_UNTIL's. */
void patience_begin(uv_loop_t *loop);
void patience_turn(void);
void patience_end(void);

#endif
