#include "server/supervise/probe_history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

enum { FIRST_CAPACITY = 4 };

static bool make_room(struct probe_history *history, enum probe_role role)
{
    size_t capacity = history->roles[role].capacity;
    struct probe_record *records = history->roles[role].records;

    if (history->roles[role].n < capacity || capacity == PROBE_HISTORY_MAX)
        return true;
    capacity = capacity == 0 ? FIRST_CAPACITY : capacity * 2;
    records = realloc(records, capacity * sizeof *records);
    if (records == NULL)
        return false;
    history->roles[role].records = records;
    history->roles[role].capacity = (uint8_t)capacity;
    return true;
}

static uint32_t bounded_ms(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void probe_history_add(struct probe_history *history, enum probe_role role, int64_t at_wall_ns,
    int64_t took_ms, bool passed, const char *message)
{
    struct probe_record record = {
        .at_wall_ns = at_wall_ns, .took_ms = bounded_ms(took_ms), .passed = passed};
    size_t n;

    assert(role < PROBE_ROLE_COUNT);
    if (!make_room(history, role))
        return;
    history->n_added++;
    memcpy(record.message, message, utf8_cut(message, strlen(message), sizeof record.message - 1));
    n = history->roles[role].n;
    if (n == PROBE_HISTORY_MAX)
        n--;
    memmove(history->roles[role].records + 1, history->roles[role].records,
        n * sizeof *history->roles[role].records);
    history->roles[role].records[0] = record;
    history->roles[role].n = (uint8_t)(n + 1);
}

const struct probe_record *probe_history_of(
    const struct probe_history *history, enum probe_role role, size_t *out_n)
{
    *out_n = history != NULL ? history->roles[role].n : 0;
    return history != NULL ? history->roles[role].records : NULL;
}

void probe_history_clear(struct probe_history *history)
{
    if (history == NULL)
        return;
    for (size_t role = 0; role < PROBE_ROLE_COUNT; role++)
        free(history->roles[role].records);
    *history = (struct probe_history){.roles = {{.n = 0}}};
}
