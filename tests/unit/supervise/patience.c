#include "patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"

/* Not of the function that waits: a test that fails leaves that for good, the loop goes on. */
static struct {
    uv_timer_t tick;
    int64_t give_up_at;
} patience;

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void patience_begin(uv_loop_t *loop)
{
    patience.give_up_at = clock_monotonic_ms() + PATIENCE_MS;
    (void)uv_timer_init(loop, &patience.tick);
    (void)uv_timer_start(&patience.tick, on_tick, 1, 1);
    /* A test that fails meanwhile must not keep the loop. */
    uv_unref((uv_handle_t *)&patience.tick);
}

void patience_turn(void)
{
    (void)uv_run(patience.tick.loop, UV_RUN_ONCE);
    if (clock_monotonic_ms() < patience.give_up_at)
        return;
    patience_end();
    fail_msg("waited in vain");
}

void patience_end(void)
{
    uv_loop_t *loop = patience.tick.loop;

    uv_close((uv_handle_t *)&patience.tick, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
}
