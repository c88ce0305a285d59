/* A pool of the plugin as a test's state. */
#ifndef TESTS_UNIT_CRPC_POOL_FIXTURE_H
#define TESTS_UNIT_CRPC_POOL_FIXTURE_H

#include "pool.h"
#include "unit.h"

static inline int pool_set_up(void **state)
{
    static struct arena pool;
    arena_init(&pool, POOL_BYTES_MAX);
    *state = &pool;
    return 0;
}

static inline int pool_tear_down(void **state)
{
    arena_deinit(*state);
    return 0;
}

#endif
