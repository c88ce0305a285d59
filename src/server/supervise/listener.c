/* Joins two views of the kernel: which socket answers (netlink.h), and who holds it
 * (/proc/<pid>/fd). Must never connect to the port, and must never believe a pid without its start
 * time. */
#include "server/supervise/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "server/supervise/proc_file.h"

enum {
    /* A socket may go while its holder is looked for; then everything is asked again, this often.
     */
    ATTEMPTS_MAX = 3
};

/* The sockets that may answer, and where the generation holds each (process.pid 0: not found). */
struct sockets {
    size_t count;
    struct netlink_listener items[NETLINK_LISTENERS_MAX];
    struct listener_location ours[NETLINK_LISTENERS_MAX];
    /* Some of the group or of the generation could not be looked at. */
    bool is_partial;
};

/* --- Where sockets are held
 * ----------------------------------------------------------------------- */

static bool location_holds(const struct listener_location *location, uint64_t inode)
{
    uint64_t found = 0;
    return location->process.pid > 0 && location->inode == inode &&
           proc_socket_inode(location->process.pid, location->descriptor, &found) == 0 &&
           found == inode && process_is_alive(&location->process);
}

/* First socket the generation has not been found to hold, or NULL. */
static const struct netlink_listener *first_missing(const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->ours[i].process.pid == 0)
            return &sockets->items[i];
    }
    return NULL;
}

static void note_descriptor(
    struct sockets *sockets, const struct process_id *process, int descriptor, uint64_t inode)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->items[i].inode == inode)
            sockets->ours[i] = (struct listener_location){
                .inode = inode, .process = *process, .descriptor = descriptor};
    }
}

static void forget_process(struct sockets *sockets, const struct process_id *process)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->ours[i].process.pid == process->pid)
            sockets->ours[i] = (struct listener_location){0};
    }
}

/* Looks through the descriptors of one process for any of the sockets. 0, PROC_GONE or PROC_HIDDEN.
 */
static int search_process(struct sockets *sockets, const struct process_id *process)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
    struct proc_walk walk;
    int result = proc_walk_open(&walk, path);
    if (result != 0)
        return result;
    int descriptor = 0;
    for (int seen = 0; proc_walk_next(&walk, &descriptor); seen++) {
        uint64_t inode = 0;
        if (seen == LISTENER_DESCRIPTORS_MAX) {
            result = PROC_HIDDEN;
            break;
        }
        if (proc_socket_inode(process->pid, descriptor, &inode) == 0)
            note_descriptor(sockets, process, descriptor, inode);
    }
    proc_walk_close(&walk);
    /* Ended meanwhile: what was seen may be another process's that took the number. */
    if (!process_is_alive(process)) {
        forget_process(sockets, process);
        result = PROC_GONE;
    }
    return result;
}

static void search_members(
    struct sockets *sockets, const struct process_member *members, size_t count)
{
    for (size_t i = 0; i < count && first_missing(sockets) != NULL; i++) {
        if (search_process(sockets, &members[i].id) == PROC_HIDDEN)
            sockets->is_partial = true;
    }
}

/* The generation's processes: the leader by itself first, for it is mostly the one. */
static int search_generation(struct sockets *sockets, struct process_scan *scan,
    const struct process_identity *identity, struct error *error)
{
    (void)search_process(sockets, &identity->leader);
    if (first_missing(sockets) == NULL)
        return 0;
    int scanned = process_scan_run(scan, error);
    if (scanned < 0)
        return scanned;
    size_t count = 0;
    int result = process_scan_select(scan, identity, NULL, 0, &count, error);
    if (result != 0)
        return result;
    sockets->is_partial = scanned == PROCESS_SCAN_INCOMPLETE || count > LISTENER_PROCESSES_MAX;
    if (count > LISTENER_PROCESSES_MAX)
        count = LISTENER_PROCESSES_MAX;
    if (count == 0)
        return 0;
    struct process_member *members = calloc(count, sizeof *members);
    if (members == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a search of listeners");
    size_t selected = 0;
    result = process_scan_select(scan, identity, members, count, &selected, error);
    if (result == 0)
        search_members(sockets, members, selected < count ? selected : count);
    free(members);
    return result;
}

/* --- The cache -----------------------------------------------------------------------------------
 */

static void cache_begin(struct listener_cache *cache, const struct process_identity *identity)
{
    static const struct process_id nobody = {0};
    const struct process_id *leader = identity == NULL ? &nobody : &identity->leader;
    if (cache->leader.pid == leader->pid && cache->leader.start_ticks == leader->start_ticks)
        return;
    *cache = (struct listener_cache){.leader = *leader};
}

static void cache_recall(const struct listener_cache *cache, struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        for (size_t n = 0; n < LISTENER_CACHE_MAX; n++) {
            if (location_holds(&cache->ours[n], sockets->items[i].inode))
                sockets->ours[i] = cache->ours[n];
        }
    }
}

static void cache_remember(struct listener_cache *cache, const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count && i < LISTENER_CACHE_MAX; i++)
        cache->ours[i] = sockets->ours[i];
}

/* --- Holders that are not ours
 * --------------------------------------------------------------------- */

static void fill_holder(const struct listener_location *location, struct listener_holder *out)
{
    char path[64];
    struct stat status;
    out->visible = true;
    out->pid = location->process.pid;
    process_executable(out->pid, out->executable);
    (void)snprintf(path, sizeof path, "/proc/%d", (int)out->pid);
    if (stat(path, &status) == 0)
        out->uid = status.st_uid;
}

/* Any process of the machine that holds the socket, as far as we may look and in bounded time. */
static bool search_everybody(const struct netlink_listener *socket, struct listener_location *out)
{
    struct sockets wanted = {.count = 1, .items = {*socket}};
    struct proc_walk walk;
    if (proc_walk_open(&walk, "/proc") != 0)
        return false;
    int64_t give_up_at = clock_monotonic_ms() + LISTENER_SEARCH_TIMEOUT_MS;
    int pid = 0;
    while (first_missing(&wanted) != NULL && clock_monotonic_ms() < give_up_at &&
           proc_walk_next(&walk, &pid)) {
        struct process_id process;
        if (process_identify(pid, &process, NULL) == 0)
            (void)search_process(&wanted, &process);
    }
    proc_walk_close(&walk);
    *out = wanted.ours[0];
    return out->process.pid != 0;
}

static void name_holder(struct listener_cache *cache, const struct netlink_listener *socket,
    struct listener_holder *out)
{
    *out = (struct listener_holder){.uid = socket->uid};
    if (location_holds(&cache->foreign, socket->inode))
        fill_holder(&cache->foreign, out);
}

/* The generation does not hold `socket`: find who does, and believe it for a while. */
static void remember_foreign(
    struct listener_cache *cache, const struct netlink_listener *socket, bool is_partial)
{
    if (!location_holds(&cache->foreign, socket->inode) &&
        !search_everybody(socket, &cache->foreign))
        cache->foreign = (struct listener_location){.inode = socket->inode};
    cache->foreign_at = clock_monotonic_ms();
    cache->foreign_is_partial = is_partial;
}

/* Was it looked for lately, and is whoever was found then still there? */
static bool is_known_foreign(
    const struct listener_cache *cache, const struct netlink_listener *socket)
{
    if (cache->foreign.inode != socket->inode ||
        clock_monotonic_ms() - cache->foreign_at >= LISTENER_FOREIGN_MS)
        return false;
    return cache->foreign.process.pid == 0 || location_holds(&cache->foreign, socket->inode);
}

/* --- The lookup
 * ----------------------------------------------------------------------------------- */

/* Fills `sockets` with what may answer at the first address that anything answers at. 0,
 * NETLINK_NOT_FOUND or negative. */
static int find_sockets(struct netlink *netlink, const struct endpoint *endpoint,
    struct sockets *sockets, union endpoint_address *out_address, struct error *error)
{
    for (size_t i = 0; i < endpoint->count; i++) {
        struct netlink_listener first;
        int result = netlink_find_listener(netlink, &endpoint->addresses[i], &first, error);
        if (result == NETLINK_NOT_FOUND)
            continue;
        if (result < 0)
            return result;
        *out_address = endpoint->addresses[i];
        size_t total = 0;
        result = netlink_list_group(
            netlink, &first, sockets->items, NETLINK_LISTENERS_MAX, &total, error);
        if (result < 0)
            return result;
        sockets->is_partial = total > NETLINK_LISTENERS_MAX;
        sockets->count = total < NETLINK_LISTENERS_MAX ? total : NETLINK_LISTENERS_MAX;
        return sockets->count > 0 ? 0 : NETLINK_NOT_FOUND;
    }
    return NETLINK_NOT_FOUND;
}

/* Looks for what the cache does not know. 0 or negative. */
static int search(struct process_scan *scan, const struct process_identity *identity,
    struct listener_cache *cache, struct sockets *sockets, struct error *error)
{
    if (identity != NULL) {
        int result = search_generation(sockets, scan, identity, error);
        if (result < 0)
            return result;
        cache_remember(cache, sockets);
    }
    const struct netlink_listener *missing = first_missing(sockets);
    if (missing != NULL)
        remember_foreign(cache, missing, sockets->is_partial);
    return 0;
}

/* Who holds `sockets`. 0 or negative. */
static int judge(struct process_scan *scan, const struct process_identity *identity,
    struct listener_cache *cache, struct sockets *sockets, struct listener_observation *out,
    struct error *error)
{
    bool group_is_cut = sockets->is_partial;
    if (identity != NULL)
        cache_recall(cache, sockets);
    const struct netlink_listener *missing = first_missing(sockets);
    if (missing != NULL && !is_known_foreign(cache, missing)) {
        int result = search(scan, identity, cache, sockets, error);
        if (result < 0)
            return result;
        missing = first_missing(sockets);
    }
    if (missing == NULL) {
        out->inode = sockets->items[0].inode;
        out->answer = group_is_cut ? LISTENER_UNVERIFIABLE : LISTENER_OURS;
        out->owner = sockets->ours[0].process.pid;
        return 0;
    }
    out->inode = missing->inode;
    name_holder(cache, missing, &out->holder);
    bool may_be_ours = identity != NULL && cache->foreign_is_partial && !out->holder.visible;
    out->answer = may_be_ours ? LISTENER_UNVERIFIABLE : LISTENER_FOREIGN;
    return 0;
}

/* Nobody was seen with the socket: perhaps because it is gone by now. */
static bool should_ask_again(const struct listener_observation *observation)
{
    return (observation->answer == LISTENER_FOREIGN ||
               observation->answer == LISTENER_UNVERIFIABLE) &&
           !observation->holder.visible;
}

int listener_lookup(struct netlink *netlink, struct process_scan *scan,
    const struct endpoint *endpoint, const struct process_identity *identity,
    struct listener_cache *cache, struct listener_observation *out, struct error *error)
{
    cache_begin(cache, identity);
    uint64_t unexplained = 0;
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        struct sockets sockets = {.count = 0};
        *out = (struct listener_observation){
            .answer = LISTENER_NONE, .address = endpoint->addresses[0]};
        int result = find_sockets(netlink, endpoint, &sockets, &out->address, error);
        if (result == NETLINK_NOT_FOUND)
            return 0;
        if (result == 0)
            result = judge(scan, identity, cache, &sockets, out, error);
        if (result < 0)
            return result;
        if (!should_ask_again(out) || out->inode == unexplained)
            return 0;
        unexplained = out->inode;
    }
    return 0;
}

void listener_describe(const struct listener_observation *observation, char *out, size_t out_size)
{
    char address[ENDPOINT_TEXT_MAX];
    endpoint_address_text(&observation->address, address);
    const struct listener_holder *holder = &observation->holder;
    switch (observation->answer) {
    case LISTENER_NONE:
        (void)snprintf(out, out_size, "nothing listens on %s", address);
        return;
    case LISTENER_OURS:
        (void)snprintf(out, out_size, "pid %d listens on %s", (int)observation->owner, address);
        return;
    case LISTENER_UNVERIFIABLE:
        (void)snprintf(out, out_size,
            "%s is listened on, but a process of this service hides its descriptors", address);
        return;
    case LISTENER_FOREIGN:
        break;
    }
    if (holder->visible)
        (void)snprintf(out, out_size, "%s is held by pid %d (%s, uid %u)", address,
            (int)holder->pid, holder->executable, (unsigned)holder->uid);
    else
        (void)snprintf(
            out, out_size, "%s is held by a process of uid %u", address, (unsigned)holder->uid);
}
