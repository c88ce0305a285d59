#include "server/supervise/leftovers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/inventory/inventory.h"
#include "server/supervise/process_set.h"

enum {
    /* Members of one set that are signalled in a pass; the next pass finds the rest. */
    MEMBERS_MAX = 256,
    /* Between two looks at what is left. */
    PASS_MS = 20
};

struct leftovers {
    struct inventory_record *records;
    size_t n;
    struct process_scan *scan;
    struct process_member *members;
};

static struct process_identity identity_of(const struct inventory_record *record)
{
    struct process_identity identity = {
        .leader = {.pid = record->pid, .start_ticks = record->start_ticks},
        .mark = record->rttime_mark};

    for (size_t i = 0; i < INVENTORY_INVOCATION_BYTES; i++)
        (void)snprintf(identity.invocation + 2 * i, 3, "%02x", (unsigned)record->invocation[i]);
    return identity;
}

/* How many of one set were found; each got the signal. */
static size_t signal_set(
    struct leftovers *leftovers, const struct inventory_record *record, int signal_number)
{
    const struct process_identity identity = identity_of(record);
    size_t count = 0;

    if (process_scan_select(
            leftovers->scan, &identity, leftovers->members, MEMBERS_MAX, &count, NULL) < 0)
        return 0;
    for (size_t i = 0; i < count && i < MEMBERS_MAX; i++) {
        if (process_signal(&leftovers->members[i].id, signal_number, NULL) == 0 &&
            signal_number != 0)
            log_info("leftover signalled", "name=%s pid=%d signal=%d executable=%s", record->name,
                (int)leftovers->members[i].id.pid, signal_number, leftovers->members[i].executable);
    }
    return count;
}

static size_t signal_all(struct leftovers *leftovers, int signal_number)
{
    size_t count = 0;

    if (process_scan_run(leftovers->scan, NULL) < 0)
        return 0;
    for (size_t i = 0; i < leftovers->n; i++)
        count += signal_set(leftovers, &leftovers->records[i], signal_number);
    return count;
}

/* Signals once per pass (0: only looks) until nothing is left or the time is over. */
static size_t signal_until_gone(struct leftovers *leftovers, int signal_number, int64_t ms)
{
    int64_t end_at = clock_monotonic_ms() + ms;
    size_t left = signal_all(leftovers, signal_number);

    while (left > 0 && clock_monotonic_ms() < end_at) {
        (void)poll(NULL, 0, PASS_MS);
        left = signal_all(leftovers, signal_number);
    }
    return left;
}

static void end_all(struct leftovers *leftovers)
{
    size_t left = signal_all(leftovers, SIGTERM);

    if (left > 0)
        left = signal_until_gone(leftovers, 0, LEFTOVERS_GRACE_MS);
    if (left > 0)
        left = signal_until_gone(leftovers, SIGKILL, LEFTOVERS_KILL_MS);
    if (left > 0)
        log_error("leftovers of an earlier daemon could not be ended", "count=%zu", left);
}

static int read_records(struct leftovers *leftovers, const char *run)
{
    struct error error = ERROR_INIT;
    size_t count = 0;
    int result;

    leftovers->records = calloc(INVENTORY_RECORDS, sizeof *leftovers->records);
    leftovers->members = calloc(MEMBERS_MAX, sizeof *leftovers->members);
    if (leftovers->records == NULL || leftovers->members == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    result = inventory_read(
        run, INVENTORY_EARLIER, leftovers->records, INVENTORY_RECORDS, &count, &error);
    if (result < 0)
        log_warn("records of earlier keepers not read", "error=\"%s\"", error.text);
    leftovers->n = count < INVENTORY_RECORDS ? count : INVENTORY_RECORDS;
    return leftovers->n > 0 ? process_scan_new(&leftovers->scan, NULL) : 0;
}

void leftovers_end(const char *run)
{
    struct leftovers leftovers = {.n = 0};

    if (read_records(&leftovers, run) == 0) {
        if (leftovers.n > 0)
            end_all(&leftovers);
        inventory_forget_earlier(run);
    }
    process_scan_free(leftovers.scan);
    free(leftovers.records);
    free(leftovers.members);
}
