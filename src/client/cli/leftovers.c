/* Records come from common/inventory, which has compared them with the running processes. */
#include "client/cli/leftovers.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/inventory/inventory.h"

/* Takes those whose process is still the recorded one. */
static int read_processes(const struct inventory_record *records, size_t n, struct leftover *out,
    size_t *out_n, struct error *error)
{
    for (size_t i = 0; i < n; i++) {
        struct leftover *item = &out[*out_n];
        int result = process_read(records[i].pid, &item->process, error);
        if (result < 0)
            return result;
        if (result == PROCESS_GONE || item->process.start_ticks != records[i].start_ticks)
            continue;
        (void)snprintf(item->service, sizeof(item->service), "%s", records[i].name);
        ++*out_n;
    }
    return 0;
}

int leftovers_find(
    const struct paths *paths, struct leftover **out, size_t *out_n, struct error *error)
{
    struct inventory_record *records = calloc(INVENTORY_RECORDS, sizeof(*records));
    size_t n = 0;
    *out = NULL;
    *out_n = 0;
    if (!records)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the inventory");
    int result = inventory_read(paths->run, INVENTORY_ALL, records, INVENTORY_RECORDS, &n, error);
    if (n > INVENTORY_RECORDS)
        n = INVENTORY_RECORDS;
    if (result == 0 && n > 0) {
        *out = calloc(n, sizeof(**out));
        result = *out ? read_processes(records, n, *out, out_n, error)
                      : error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for leftovers");
    }
    free(records);
    return result;
}

size_t leftovers_end(const struct leftover *items, size_t n)
{
    size_t n_left = 0;
    for (size_t i = 0; i < n; i++)
        n_left += process_end(&items[i].process, true, LEFTOVERS_GRACE_MS, NULL) < 0;
    return n_left;
}
