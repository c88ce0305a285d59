/* The full scan: one pass over /proc, then any number of generations picked out of it.
 * Evidence costs differently, so it is gathered in this order: numbers that the pass has read
 * anyway, parent chains, and only for young processes still unexplained their limits and
 * environment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/process_set.h"

enum { FIRST_CAPACITY = 512, CLOCK_INTERVAL = 64 };

enum entry_place { PLACE_UNKNOWN, PLACE_VISITED, PLACE_OUTSIDE, PLACE_INSIDE };

struct entry {
    struct process_id id;
    pid_t parent;
    pid_t group;
    pid_t session;
    /* Of the present selection. */
    unsigned evidence;
    enum entry_place place;
    /* Read when first wanted. */
    bool has_details;
    uint64_t soft_mark;
    uint64_t hard_mark;
    char invocation[PROCESS_INVOCATION_LENGTH + 1];
};

struct process_scan {
    /* Ascending by pid: the kernel walks /proc in that order. */
    struct entry *entries;
    size_t count;
    size_t capacity;
    int result;
};

int process_scan_new(struct process_scan **out, struct error *error)
{
    struct process_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a process scan");
    *out = scan;
    return 0;
}

void process_scan_free(struct process_scan *scan)
{
    if (scan == NULL)
        return;
    free(scan->entries);
    free(scan);
}

/* --- Reading -------------------------------------------------------------------------------------
 */

static bool make_room(struct process_scan *scan)
{
    if (scan->count < scan->capacity)
        return true;
    size_t capacity = scan->capacity == 0 ? FIRST_CAPACITY : scan->capacity * 2;
    struct entry *entries = realloc(scan->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    scan->entries = entries;
    scan->capacity = capacity;
    return true;
}

/* False: nothing is known of it. */
static bool add_entry(struct process_scan *scan, pid_t pid)
{
    struct proc_stat stat;
    int result = proc_stat_read(pid, &stat);
    if (result != 0)
        return result != PROC_UNREAD;
    if (stat.is_dead || (scan->count > 0 && pid <= scan->entries[scan->count - 1].id.pid))
        return true;
    scan->entries[scan->count++] = (struct entry){
        .id = {.pid = pid, .start_ticks = stat.start_ticks},
        .parent = stat.parent,
        .group = stat.group,
        .session = stat.session,
    };
    return true;
}

int process_scan_run(struct process_scan *scan, struct error *error)
{
    scan->count = 0;
    scan->result = 0;
    struct proc_walk walk;
    if (proc_walk_open(&walk, "/proc") != 0)
        return error_set_errno(error, errno, "open /proc");
    int64_t give_up_at = clock_monotonic_ms() + PROCESS_SCAN_TIMEOUT_MS;
    int pid = 0;
    bool is_read = true;
    for (unsigned seen = 1; proc_walk_next(&walk, &pid); seen++) {
        bool is_late = seen % CLOCK_INTERVAL == 0 && clock_monotonic_ms() >= give_up_at;
        if (is_late || scan->count == PROCESS_SCAN_MAX || !make_room(scan)) {
            scan->result = PROCESS_SCAN_INCOMPLETE;
            break;
        }
        is_read = add_entry(scan, pid) && is_read;
    }
    is_read = is_read && !walk.has_failed;
    proc_walk_close(&walk);
    if (!is_read)
        scan->result =
            error_set(error, STATUS_RESOURCE_EXHAUSTED, "not every process could be read");
    return scan->result;
}

/* --- Selecting -----------------------------------------------------------------------------------
 */

static int compare_pid(const void *key, const void *member)
{
    pid_t pid = *(const pid_t *)key;
    const struct entry *entry = member;
    return (pid > entry->id.pid) - (pid < entry->id.pid);
}

static struct entry *find_entry(const struct process_scan *scan, pid_t pid)
{
    if (scan->count == 0)
        return NULL;
    return bsearch(&pid, scan->entries, scan->count, sizeof *scan->entries, compare_pid);
}

static bool is_young(const struct entry *entry, const struct process_identity *identity)
{
    return entry->id.start_ticks >= identity->leader.start_ticks;
}

/* Leader, group and session. A pid number lives on as group or session while one member does, so
 * if another process has the leader's number now, group and session were empty in between. */
static void gather_numbers(struct process_scan *scan, const struct process_identity *identity)
{
    const pid_t leader = identity->leader.pid;
    const struct entry *holder = find_entry(scan, leader);
    bool is_recycled =
        leader == 0 || (holder != NULL && holder->id.start_ticks != identity->leader.start_ticks);
    for (size_t i = 0; i < scan->count; i++) {
        struct entry *entry = &scan->entries[i];
        entry->evidence = 0;
        if (!is_recycled && is_young(entry, identity)) {
            if (entry->id.pid == leader)
                entry->evidence |= PROCESS_IS_LEADER;
            if (entry->group == leader)
                entry->evidence |= PROCESS_IN_GROUP;
            if (entry->session == leader)
                entry->evidence |= PROCESS_IN_SESSION;
        }
    }
}

/* Up the parent chain of `entry` until something is known; everything passed shares the answer. */
static void place_entry(struct process_scan *scan, struct entry *entry)
{
    enum entry_place found = PLACE_OUTSIDE;
    struct entry *at = entry;
    while (at->place == PLACE_UNKNOWN) {
        at->place = PLACE_VISITED;
        struct entry *parent = find_entry(scan, at->parent);
        /* A parent younger than its child is a recycled pid. */
        if (parent == NULL || parent->id.start_ticks > at->id.start_ticks)
            break;
        at = parent;
    }
    if (at->place == PLACE_INSIDE)
        found = PLACE_INSIDE;
    for (at = entry; at != NULL && at->place == PLACE_VISITED; at = find_entry(scan, at->parent)) {
        at->place = found;
        if (found == PLACE_INSIDE)
            at->evidence |= PROCESS_IS_DESCENDANT;
    }
}

static void gather_descendants(struct process_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        struct entry *entry = &scan->entries[i];
        entry->place = entry->evidence != 0 ? PLACE_INSIDE : PLACE_UNKNOWN;
    }
    for (size_t i = 0; i < scan->count; i++)
        place_entry(scan, &scan->entries[i]);
}

static void read_details(struct entry *entry)
{
    if (entry->has_details)
        return;
    entry->has_details = true;
    if (proc_rttime_read(entry->id.pid, &entry->soft_mark, &entry->hard_mark) != 0)
        entry->soft_mark = entry->hard_mark = 0;
    if (proc_invocation_read(entry->id.pid, entry->invocation) != 0)
        entry->invocation[0] = '\0';
}

/* True: somebody was found, whose children may be members too. */
static bool gather_details(struct process_scan *scan, const struct process_identity *identity)
{
    bool found = false;
    for (size_t i = 0; i < scan->count; i++) {
        struct entry *entry = &scan->entries[i];
        /* Session 0: kernel threads, which have neither. */
        if (entry->evidence != 0 || entry->session == 0 || !is_young(entry, identity))
            continue;
        read_details(entry);
        if (identity->mark != 0 &&
            (entry->soft_mark == identity->mark || entry->hard_mark == identity->mark))
            entry->evidence |= PROCESS_HAS_MARK;
        if (identity->invocation[0] != '\0' && strcmp(entry->invocation, identity->invocation) == 0)
            entry->evidence |= PROCESS_HAS_INVOCATION;
        found = found || entry->evidence != 0;
    }
    return found;
}

int process_scan_select(struct process_scan *scan, const struct process_identity *identity,
    struct process_member *out_members, size_t capacity, size_t *out_count, struct error *error)
{
    if (identity->leader.pid < 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%d is not a leader's process id",
            (int)identity->leader.pid);
    gather_numbers(scan, identity);
    gather_descendants(scan);
    if (gather_details(scan, identity))
        gather_descendants(scan);

    size_t count = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const struct entry *entry = &scan->entries[i];
        if (entry->evidence == 0)
            continue;
        if (count < capacity) {
            struct process_member *member = &out_members[count];
            member->id = entry->id;
            member->parent = entry->parent;
            member->evidence = entry->evidence;
            process_executable(entry->id.pid, member->executable);
        }
        count++;
    }
    *out_count = count;
    return 0;
}
