#include "server/supervise/holder_search.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"

enum {
    /* Descriptors between two looks at the clock. */
    CLOCK_INTERVAL = 64
};

enum entry_state { ENTRY_FREE, ENTRY_WAITING, ENTRY_SEARCHED, ENTRY_KNOWN };

struct entry {
    enum entry_state state;
    uint64_t inode;
    struct socket_location location; /* KNOWN; process.pid 0: nobody was seen with it */
    int64_t known_at;
};

struct holder_search {
    struct entry entries[SOCKET_SEARCH_MAX];
    int64_t slice_at; /* when the last slice ended */
    bool is_passing;
    bool is_in_process; /* `descriptors` is open, on `process` */
    struct process_id process;
    struct socket_search sought;
    struct proc_walk processes;
    struct proc_walk descriptors;
};

int holder_search_new(struct holder_search **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a search of holders");
    (*out)->slice_at = -HOLDER_SEARCH_PAUSE_MS;
    return 0;
}

/* ---- a pass ---- */

static void close_process(struct holder_search *search)
{
    if (!search->is_in_process)
        return;
    proc_walk_close(&search->descriptors);
    search->is_in_process = false;
    if (!process_is_alive(&search->process))
        socket_search_forget(&search->sought, &search->process);
}

static void end_pass(struct holder_search *search, int64_t now)
{
    close_process(search);
    proc_walk_close(&search->processes);
    search->is_passing = false;
    for (size_t i = 0; i < SOCKET_SEARCH_MAX; i++) {
        struct entry *entry = &search->entries[i];

        if (entry->state != ENTRY_SEARCHED)
            continue;
        entry->state = ENTRY_KNOWN;
        entry->known_at = now;
        entry->location = (struct socket_location){0};
        for (size_t k = 0; k < search->sought.count; k++) {
            if (search->sought.inodes[k] == entry->inode)
                entry->location = search->sought.found[k];
        }
    }
}

void holder_search_free(struct holder_search *search)
{
    if (search == NULL)
        return;
    if (search->is_passing)
        end_pass(search, 0);
    free(search);
}

static bool begin_pass(struct holder_search *search)
{
    if (proc_walk_open(&search->processes, "/proc") != 0)
        return false;
    search->is_passing = true;
    search->sought.count = 0;
    for (size_t i = 0; i < SOCKET_SEARCH_MAX; i++) {
        struct entry *entry = &search->entries[i];

        if (entry->state != ENTRY_WAITING)
            continue;
        entry->state = ENTRY_SEARCHED;
        search->sought.found[search->sought.count] = (struct socket_location){0};
        search->sought.inodes[search->sought.count++] = entry->inode;
    }
    return true;
}

/* False: there is none left. */
static bool next_process(struct holder_search *search)
{
    char path[64];
    int pid = 0;

    while (proc_walk_next(&search->processes, &pid)) {
        (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
        if (proc_walk_open(&search->descriptors, path) != 0)
            continue;
        if (process_identify(pid, &search->process, NULL) == 0) {
            search->is_in_process = true;
            return true;
        }
        proc_walk_close(&search->descriptors);
    }
    return false;
}

/* One descriptor, or on to the next process. False: the pass is through. */
static bool step(struct holder_search *search)
{
    uint64_t inode = 0;
    int descriptor = 0;

    if (socket_search_missing(&search->sought) == search->sought.count)
        return false;
    if (!search->is_in_process)
        return next_process(search);
    if (!proc_walk_next(&search->descriptors, &descriptor)) {
        close_process(search);
        return true;
    }
    if (proc_socket_inode(search->process.pid, descriptor, &inode) == 0)
        socket_search_note(&search->sought, &search->process, descriptor, inode);
    return true;
}

static bool do_slice(struct holder_search *search)
{
    int64_t give_up_at = clock_monotonic_ms() + HOLDER_SEARCH_SLICE_MS;
    bool goes_on = true;

    for (unsigned n = 1; goes_on; n++) {
        goes_on = step(search);
        if (n % CLOCK_INTERVAL == 0 && clock_monotonic_ms() >= give_up_at)
            break;
    }
    search->slice_at = clock_monotonic_ms();
    if (!goes_on)
        end_pass(search, search->slice_at);
    return !goes_on;
}

/* ---- questions ---- */

bool holder_search_is_pending(const struct holder_search *search)
{
    for (size_t i = 0; i < SOCKET_SEARCH_MAX; i++) {
        if (search->entries[i].state == ENTRY_WAITING || search->entries[i].state == ENTRY_SEARCHED)
            return true;
    }
    return false;
}

bool holder_search_turn(struct holder_search *search, int64_t now)
{
    if (now - search->slice_at < HOLDER_SEARCH_PAUSE_MS || !holder_search_is_pending(search))
        return false;
    if (!search->is_passing && !begin_pass(search))
        return false;
    return do_slice(search);
}

static struct entry *find_entry(struct holder_search *search, uint64_t inode)
{
    for (size_t i = 0; i < SOCKET_SEARCH_MAX; i++) {
        if (search->entries[i].state != ENTRY_FREE && search->entries[i].inode == inode)
            return &search->entries[i];
    }
    return NULL;
}

/* A free place, else the one that has been known for longest; NULL: all are being looked for. */
static struct entry *make_entry(struct holder_search *search, uint64_t inode)
{
    struct entry *oldest = NULL;

    for (size_t i = 0; i < SOCKET_SEARCH_MAX; i++) {
        struct entry *entry = &search->entries[i];
        bool is_usable = entry->state == ENTRY_FREE || entry->state == ENTRY_KNOWN;

        if (is_usable && (oldest == NULL || entry->known_at < oldest->known_at))
            oldest = entry;
    }
    if (oldest != NULL)
        *oldest = (struct entry){.state = ENTRY_WAITING, .inode = inode};
    return oldest;
}

static bool is_still_true(const struct entry *entry, int64_t now)
{
    if (entry->state != ENTRY_KNOWN)
        return false;
    if (entry->location.process.pid == 0)
        return now - entry->known_at < HOLDER_SEARCH_BELIEF_MS;
    return socket_location_holds(&entry->location, entry->inode);
}

enum holder_answer holder_search_ask(
    struct holder_search *search, uint64_t inode, int64_t now, struct socket_location *out)
{
    struct entry *entry = find_entry(search, inode);

    if (entry == NULL)
        entry = make_entry(search, inode);
    if (entry == NULL)
        return HOLDER_PENDING;
    if (entry->state == ENTRY_KNOWN && !is_still_true(entry, now))
        entry->state = ENTRY_WAITING;
    if (entry->state == ENTRY_WAITING && !search->is_passing)
        (void)holder_search_turn(search, now);
    if (entry->state != ENTRY_KNOWN)
        return HOLDER_PENDING;
    *out = entry->location;
    return out->process.pid != 0 ? HOLDER_FOUND : HOLDER_UNSEEN;
}
