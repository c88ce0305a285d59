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
    PASS_MS = 20,
    /* Passes that find nothing. */
    CLEAN_PASSES = 2
};

struct leftovers {
    struct inventory_record *records;
    size_t n;
    struct process_scan *scan;
    struct process_member *members;
    size_t n_signalled;
    /* One that was found, for the message. */
    pid_t last;
    const char *last_name;
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
    struct leftovers *leftovers, struct inventory_record *record, int signal_number)
{
    struct process_identity identity = identity_of(record);
    size_t count = 0;

    /* From then on its number may be a stranger's, and so may a group of that number: only mark and
     * invocation tell. */
    if (record->pid != 0 && !process_is_alive(&identity.leader))
        record->pid = identity.leader.pid = 0;
    if (process_scan_select(
            leftovers->scan, &identity, leftovers->members, MEMBERS_MAX, &count, NULL) < 0)
        return 0;
    for (size_t i = 0; i < count && i < MEMBERS_MAX; i++) {
        if (process_signal(&leftovers->members[i].id, signal_number, NULL) != 0)
            continue;
        leftovers->last = leftovers->members[i].id.pid;
        leftovers->last_name = record->name;
        leftovers->n_signalled += signal_number != 0;
        if (signal_number != 0)
            log_info("leftover signalled", "name=%s pid=%d signal=%d executable=%s", record->name,
                (int)leftovers->members[i].id.pid, signal_number, leftovers->members[i].executable);
    }
    return count;
}

static size_t signal_all(struct leftovers *leftovers, int signal_number)
{
    size_t count = 0;

    /* What could not be looked at is not gone. */
    if (process_scan_run(leftovers->scan, NULL) != 0)
        count = 1;
    for (size_t i = 0; i < leftovers->n; i++)
        count += signal_set(leftovers, &leftovers->records[i], signal_number);
    return count;
}

/* Signals once per pass (0: only looks) until nothing is left, twice in a row because a process
 * that forks can slip through one pass, or the time is over. */
static size_t signal_until_gone(struct leftovers *leftovers, int signal_number, int64_t ms)
{
    int64_t end_at = clock_monotonic_ms() + ms;
    int n_clean = 0;
    size_t left = 0;

    for (;;) {
        left = signal_all(leftovers, signal_number);
        n_clean = left == 0 ? n_clean + 1 : 0;
        if (n_clean == CLEAN_PASSES || (left > 0 && clock_monotonic_ms() >= end_at))
            return left;
        if (left > 0)
            (void)poll(NULL, 0, PASS_MS);
    }
}

static int end_all(struct leftovers *leftovers, struct error *error)
{
    size_t left = signal_all(leftovers, SIGTERM);

    if (left > 0)
        /* Who has been stopped hears nothing before it goes on. */
        (void)signal_all(leftovers, SIGCONT);
    left = signal_until_gone(leftovers, 0, LEFTOVERS_GRACE_MS);
    if (left > 0)
        left = signal_until_gone(leftovers, SIGKILL, LEFTOVERS_KILL_MS);
    if (left == 0)
        return 0;
    return error_set(error, STATUS_FAILED_PRECONDITION,
        "%zu process%s of an earlier daemon cannot be ended (%s, pid %d)", left,
        left == 1 ? "" : "es", leftovers->last_name != NULL ? leftovers->last_name : "?",
        (int)leftovers->last);
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

int leftovers_end(const char *run, size_t *out_n_signalled, struct error *error)
{
    struct leftovers leftovers = {.n = 0};
    int result = read_records(&leftovers, run);

    if (result < 0)
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to look for leftovers");
    else if (leftovers.n > 0)
        result = end_all(&leftovers, error);
    /* Else the next start has to know them. */
    if (result == 0)
        inventory_forget_earlier(run);
    *out_n_signalled = leftovers.n_signalled;
    process_scan_free(leftovers.scan);
    free(leftovers.records);
    free(leftovers.members);
    return result;
}
