/* Texts lie one after another, each begun by its id, so that the block can be closed up in one
 * pass. */
#include "server/output/text_pool.h"

#include <assert.h>
#include <string.h>

enum { ID_BYTES = sizeof(uint32_t) };

static size_t record_length(const char *text)
{
    return ID_BYTES + strlen(text) + 1;
}

static uint32_t record_id(const struct text_pool *pool, size_t offset)
{
    uint32_t id;
    memcpy(&id, pool->bytes + offset, ID_BYTES);
    return id;
}

/* Moves the living records together; a record lives if its id still points at it. */
static void compact(struct text_pool *pool)
{
    size_t to = 0;
    for (size_t from = 0; from < pool->used;) {
        size_t length = record_length(pool->bytes + from + ID_BYTES);
        uint32_t id = record_id(pool, from);
        if (pool->at[id] == from + 1) {
            memmove(pool->bytes + to, pool->bytes + from, length);
            pool->at[id] = (uint32_t)to + 1;
            to += length;
        }
        from += length;
    }
    pool->used = to;
}

bool text_pool_set(struct text_pool *pool, size_t id, const char *text)
{
    assert(id < TEXT_POOL_TEXTS);
    size_t length = record_length(text);
    uint32_t old = pool->at[id];
    if (TEXT_POOL_BYTES - pool->used < length) {
        compact(pool);
        old = pool->at[id];
    }
    if (TEXT_POOL_BYTES - pool->used < length) {
        /* Once more, without the text that would be replaced anyway. */
        size_t freed = old != 0 ? record_length(pool->bytes + old - 1 + ID_BYTES) : 0;
        if (TEXT_POOL_BYTES - pool->used + freed < length)
            return false;
        pool->at[id] = 0;
        compact(pool);
    }
    uint32_t stored_id = (uint32_t)id;
    memcpy(pool->bytes + pool->used, &stored_id, ID_BYTES);
    memcpy(pool->bytes + pool->used + ID_BYTES, text, length - ID_BYTES);
    pool->at[id] = (uint32_t)pool->used + 1;
    pool->used += length;
    return true;
}

const char *text_pool_get(const struct text_pool *pool, size_t id)
{
    assert(id < TEXT_POOL_TEXTS);
    return pool->at[id] != 0 ? pool->bytes + pool->at[id] - 1 + ID_BYTES : "";
}

void text_pool_remove(struct text_pool *pool, size_t id)
{
    assert(id < TEXT_POOL_TEXTS);
    pool->at[id] = 0;
}
