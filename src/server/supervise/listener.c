/* Joins two views of the kernel: which sockets answer (netlink.h, proc_net.h), and who holds them
 * (socket_search.h). Must never connect to the port, and must never believe a pid without its start
 * time. */
#include "server/supervise/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "server/supervise/holder_search.h"
#include "server/supervise/netlink.h"
#include "server/supervise/proc_net.h"

enum {
    /* A socket may go while its holder is looked for; then everything is asked again, this often.
     */
    ATTEMPTS_MAX = 3
};

_Static_assert((int)SOCKET_SEARCH_MAX == (int)TCP_LISTENERS_MAX, "one search for one lookup");

struct listener_finder {
    struct netlink *netlink;   /* NULL: by table */
    struct proc_net *proc_net; /* NULL: by netlink */
    struct holder_search *holders;
    struct process_scan *scan;
    int scan_result;
    int64_t scanned_ns;   /* when the last scan began */
    int64_t scan_next_ns; /* not before then */
};

/* The sockets that may answer, and where the generation holds each. */
struct sockets {
    struct tcp_listener items[TCP_LISTENERS_MAX];
    union endpoint_address reached_at[TCP_LISTENERS_MAX];
    struct socket_search ours; /* the same ones in the same order */
    bool is_cut;               /* there are more */
    bool is_partial;           /* some of the generation could not be looked at */
};

/* ---- the finder ---- */

int listener_finder_new(
    enum listener_means means, struct listener_finder **out, struct error *error)
{
    struct listener_finder *finder = calloc(1, sizeof *finder);
    int result = -STATUS_UNAVAILABLE;

    if (finder == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to look at ports with");
    if (means == LISTENER_BY_NETLINK)
        result = netlink_new(&finder->netlink, error);
    if (result < 0)
        result = proc_net_new("/proc/net", &finder->proc_net, error);
    if (result == 0)
        result = holder_search_new(&finder->holders, error);
    if (result == 0)
        result = process_scan_new(&finder->scan, error);
    if (result < 0) {
        listener_finder_free(finder);
        return result;
    }
    *out = finder;
    return 0;
}

void listener_finder_free(struct listener_finder *finder)
{
    if (finder == NULL)
        return;
    netlink_free(finder->netlink);
    proc_net_free(finder->proc_net);
    holder_search_free(finder->holders);
    process_scan_free(finder->scan);
    free(finder);
}

enum listener_means listener_finder_means(const struct listener_finder *finder)
{
    return finder->netlink != NULL ? LISTENER_BY_NETLINK : LISTENER_BY_PROC_NET;
}

bool listener_finder_is_searching(const struct listener_finder *finder)
{
    return holder_search_is_pending(finder->holders);
}

bool listener_finder_turn(struct listener_finder *finder)
{
    return holder_search_turn(finder->holders, clock_monotonic_ms());
}

/* ---- sockets that may answer ---- */

static bool has_socket(const struct sockets *sockets, uint64_t inode)
{
    for (size_t i = 0; i < sockets->ours.count; i++) {
        if (sockets->items[i].inode == inode)
            return true;
    }
    return false;
}

static void add_socket(struct sockets *sockets, const struct tcp_listener *socket,
    const union endpoint_address *reached_at)
{
    size_t n = sockets->ours.count;

    if (has_socket(sockets, socket->inode))
        return;
    if (n == TCP_LISTENERS_MAX) {
        sockets->is_cut = true;
        return;
    }
    sockets->items[n] = *socket;
    sockets->reached_at[n] = *reached_at;
    sockets->ours.inodes[n] = socket->inode;
    sockets->ours.count++;
}

/* `total` were there, the first of them are in `found`; reached at `address`, NULL: each at its
 * own.
 */
static void add_sockets(struct sockets *sockets, const struct tcp_listener *found, size_t total,
    const union endpoint_address *address)
{
    if (total > TCP_LISTENERS_MAX)
        sockets->is_cut = true;
    for (size_t i = 0; i < total && i < TCP_LISTENERS_MAX; i++)
        add_socket(sockets, &found[i], address != NULL ? address : &found[i].bound);
}

/* Those among which a connection to `address` is given to one. 0 or negative. */
static int find_at(struct listener_finder *finder, const union endpoint_address *address,
    struct sockets *sockets, struct error *error)
{
    struct tcp_listener found[TCP_LISTENERS_MAX];
    size_t total = 0;
    int result;

    if (finder->netlink == NULL) {
        result = proc_net_find(finder->proc_net, address, clock_monotonic_ms(), found,
            TCP_LISTENERS_MAX, &total, error);
    } else {
        struct tcp_listener first;

        result = netlink_find_listener(finder->netlink, address, &first, error);
        if (result == 0)
            result = netlink_list_group(
                finder->netlink, &first, found, TCP_LISTENERS_MAX, &total, error);
    }
    if (result == 0)
        add_sockets(sockets, found, total, address);
    return result < 0 ? result : 0;
}

/* A wildcard host is reached through every address of its family. */
static int find_on_port(struct listener_finder *finder, const union endpoint_address *address,
    struct sockets *sockets, struct error *error)
{
    struct tcp_listener found[TCP_LISTENERS_MAX];
    uint16_t port = endpoint_address_port(address);
    size_t total = 0;
    int result;

    if (finder->netlink == NULL)
        result = proc_net_list_port(finder->proc_net, address->any.sa_family, port,
            clock_monotonic_ms(), found, TCP_LISTENERS_MAX, &total, error);
    else
        result = netlink_list_port(
            finder->netlink, address->any.sa_family, port, found, TCP_LISTENERS_MAX, &total, error);
    if (result == 0)
        add_sockets(sockets, found, total, NULL);
    return result;
}

static int find_sockets(struct listener_finder *finder, const struct endpoint *endpoint,
    struct sockets *sockets, struct error *error)
{
    int result = 0;

    for (size_t i = 0; i < endpoint->count && result == 0; i++)
        result = find_at(finder, &endpoint->addresses[i], sockets, error);
    if (result == 0 && endpoint->is_wildcard)
        result = find_on_port(finder, &endpoint->addresses[0], sockets, error);
    return result;
}

/* ---- the cache ---- */

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
    for (size_t i = 0; i < sockets->ours.count; i++) {
        for (size_t n = 0; n < LISTENER_CACHE_MAX; n++) {
            if (socket_location_holds(&cache->ours[n], sockets->items[i].inode))
                sockets->ours.found[i] = cache->ours[n];
        }
    }
}

static void cache_remember(struct listener_cache *cache, const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->ours.count && i < LISTENER_CACHE_MAX; i++)
        cache->ours[i] = sockets->ours.found[i];
}

static bool is_known_foreign(const struct listener_cache *cache, uint64_t inode)
{
    return cache->foreign_inode == inode &&
           clock_monotonic_ms() - cache->foreign_at < LISTENER_FOREIGN_MS;
}

/* ---- the generation's processes ---- */

/* A scan that began after it was first wanted. 0, LISTENER_POSTPONED or negative. */
static int scan_all(
    struct listener_finder *finder, struct listener_cache *cache, struct error *error)
{
    int64_t now = clock_monotonic_ns();

    if (cache->scan_wanted_ns != 0 && finder->scanned_ns > cache->scan_wanted_ns &&
        finder->scan_result >= 0)
        return 0;
    if (now < finder->scan_next_ns) {
        if (cache->scan_wanted_ns == 0)
            cache->scan_wanted_ns = now;
        return LISTENER_POSTPONED;
    }
    finder->scanned_ns = now;
    finder->scan_result = process_scan_run(finder->scan, error);
    return finder->scan_result < 0 ? finder->scan_result : 0;
}

static int refuse_unread(struct error *error)
{
    return error_set(
        error, STATUS_RESOURCE_EXHAUSTED, "not every process of the service could be read");
}

/* Selecting reads, too, and counts. */
static void pay_for_scan(struct listener_finder *finder, int64_t began_ns)
{
    int64_t ended_ns = clock_monotonic_ns();
    int64_t next_ns = ended_ns + (ended_ns - began_ns) * (LISTENER_SCAN_SHARE - 1);

    if (next_ns > finder->scan_next_ns)
        finder->scan_next_ns = next_ns;
}

static int search_members(struct listener_finder *finder, const struct process_identity *identity,
    struct sockets *sockets, struct error *error)
{
    struct process_member *members;
    size_t count = 0;
    int found;
    int result = process_scan_select(finder->scan, identity, NULL, 0, &count, error);

    if (result != 0 || count == 0)
        return result;
    if (count > LISTENER_PROCESSES_MAX) {
        count = LISTENER_PROCESSES_MAX;
        sockets->is_partial = true;
    }
    members = calloc(count, sizeof *members);
    if (members == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a search of listeners");
    result = process_scan_select(finder->scan, identity, members, count, &count, error);
    for (size_t i = 0; i < count && i < LISTENER_PROCESSES_MAX; i++) {
        if (socket_search_missing(&sockets->ours) == sockets->ours.count)
            break;
        found = socket_search_process(&sockets->ours, &members[i].id);
        sockets->is_partial = sockets->is_partial || found == PROC_HIDDEN;
        if (found == PROC_UNREAD)
            result = refuse_unread(error);
    }
    free(members);
    return result;
}

/* All of the generation: the leader and its descendants first, for they are mostly it. 0,
 * LISTENER_POSTPONED or negative. */
static int search_generation(struct listener_finder *finder,
    const struct process_identity *identity, struct listener_cache *cache, struct sockets *sockets,
    struct error *error)
{
    int64_t began_ns;
    int result;

    result = socket_search_family(&sockets->ours, &identity->leader);
    if (socket_search_missing(&sockets->ours) == sockets->ours.count)
        return 0;
    if (result == PROC_UNREAD)
        return refuse_unread(error);
    sockets->is_partial = result == PROC_HIDDEN;
    began_ns = clock_monotonic_ns();
    result = scan_all(finder, cache, error);
    if (result != 0)
        return result;
    cache->scan_wanted_ns = 0;
    if (finder->scan_result == PROCESS_SCAN_INCOMPLETE)
        sockets->is_partial = true;
    result = search_members(finder, identity, sockets, error);
    pay_for_scan(finder, began_ns);
    return result;
}

/* Evidence as a scan looks for, on one process. */
static bool is_member(const struct process_identity *identity, pid_t pid)
{
    char invocation[PROCESS_INVOCATION_LENGTH + 1];
    struct proc_stat stat;
    uint64_t soft = 0;
    uint64_t hard = 0;

    if (proc_stat_read(pid, &stat) != 0 || stat.start_ticks < identity->leader.start_ticks)
        return false;
    if (identity->leader.pid != 0 && process_is_alive(&identity->leader) &&
        (stat.group == identity->leader.pid || stat.session == identity->leader.pid))
        return true;
    if (identity->mark != 0 && proc_rttime_read(pid, &soft, &hard) == 0 &&
        (soft == identity->mark || hard == identity->mark))
        return true;
    return identity->invocation[0] != '\0' && proc_invocation_read(pid, invocation) == 0 &&
           strcmp(invocation, identity->invocation) == 0;
}

/* ---- holders that are not ours ---- */

static void fill_holder(const struct process_id *process, struct listener_holder *out)
{
    char path[64];
    struct stat status;

    out->visible = true;
    out->pid = process->pid;
    process_executable(out->pid, out->executable);
    (void)snprintf(path, sizeof path, "/proc/%d", (int)out->pid);
    if (stat(path, &status) == 0)
        out->uid = status.st_uid;
}

/* Known from the last look, or by a search among all processes. */
static enum holder_answer find_holder(
    struct listener_finder *finder, struct listener_cache *cache, uint64_t inode)
{
    enum holder_answer answer = HOLDER_FOUND;

    if (!socket_location_holds(&cache->holder, inode))
        answer = holder_search_ask(finder->holders, inode, clock_monotonic_ms(), &cache->holder);
    return answer;
}

/* ---- the lookup ---- */

/* The generation was searched and does not have this one, as far as it could be looked at. 0 or
 * LISTENER_POSTPONED. */
static int judge_missing(struct listener_finder *finder, const struct process_identity *identity,
    struct listener_cache *cache, struct sockets *sockets, size_t missing,
    struct listener_observation *out)
{
    const struct tcp_listener *socket = &sockets->items[missing];
    enum holder_answer answer = find_holder(finder, cache, socket->inode);
    const struct socket_location location = cache->holder;

    out->inode = socket->inode;
    out->address = sockets->reached_at[missing];
    out->holder = (struct listener_holder){.uid = socket->uid};
    out->is_search_pending = answer == HOLDER_PENDING;
    if (answer == HOLDER_FOUND && identity != NULL && is_member(identity, location.process.pid)) {
        /* It came after the search, or was beyond its bounds. */
        sockets->ours.found[missing] = location;
        cache_remember(cache, sockets);
        cache->foreign_inode = 0;
        return LISTENER_POSTPONED;
    }
    if (answer == HOLDER_FOUND)
        fill_holder(&location.process, &out->holder);
    out->answer = LISTENER_FOREIGN;
    if (identity == NULL || !cache->foreign_is_partial || answer == HOLDER_FOUND)
        return 0;
    out->answer = LISTENER_UNVERIFIABLE;
    return answer == HOLDER_PENDING ? LISTENER_POSTPONED : 0;
}

static void judge_ours(const struct sockets *sockets, struct listener_observation *out)
{
    out->inode = sockets->items[0].inode;
    out->address = sockets->reached_at[0];
    out->owner = sockets->ours.found[0].process.pid;
    out->answer = sockets->is_cut ? LISTENER_UNVERIFIABLE : LISTENER_OURS;
}

/* Who holds `sockets`. 0, LISTENER_POSTPONED or negative. */
static int judge(struct listener_finder *finder, const struct process_identity *identity,
    struct listener_cache *cache, struct sockets *sockets, struct listener_observation *out,
    struct error *error)
{
    size_t missing;

    if (identity != NULL)
        cache_recall(cache, sockets);
    missing = socket_search_missing(&sockets->ours);
    if (missing < sockets->ours.count && identity != NULL &&
        !is_known_foreign(cache, sockets->items[missing].inode)) {
        int result = search_generation(finder, identity, cache, sockets, error);

        if (result != 0)
            return result;
        cache_remember(cache, sockets);
        missing = socket_search_missing(&sockets->ours);
        if (missing < sockets->ours.count) {
            cache->foreign_inode = sockets->items[missing].inode;
            cache->foreign_at = clock_monotonic_ms();
            cache->foreign_is_partial = sockets->is_partial;
        }
    }
    if (missing < sockets->ours.count)
        return judge_missing(finder, identity, cache, sockets, missing, out);
    judge_ours(sockets, out);
    return 0;
}

/* Nobody was seen with the socket: perhaps because it is gone by now. */
static bool should_ask_again(const struct listener_observation *observation)
{
    return (observation->answer == LISTENER_FOREIGN ||
               observation->answer == LISTENER_UNVERIFIABLE) &&
           !observation->holder.visible && !observation->is_search_pending;
}

int listener_lookup(struct listener_finder *finder, const struct endpoint *endpoint,
    const struct process_identity *identity, struct listener_cache *cache,
    struct listener_observation *out, struct error *error)
{
    uint64_t unexplained = 0;

    cache_begin(cache, identity);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        struct sockets sockets = {.is_cut = false};
        int result = find_sockets(finder, endpoint, &sockets, error);

        *out = (struct listener_observation){
            .answer = LISTENER_NONE, .address = endpoint->addresses[0]};
        if (result < 0 || sockets.ours.count == 0)
            return result;
        result = judge(finder, identity, cache, &sockets, out, error);
        if (result != 0)
            return result;
        if (!should_ask_again(out) || out->inode == unexplained)
            return 0;
        unexplained = out->inode;
    }
    return 0;
}

void listener_describe(const struct listener_observation *observation, char *out, size_t out_size)
{
    const struct listener_holder *holder = &observation->holder;
    char address[ENDPOINT_TEXT_MAX];

    endpoint_address_text(&observation->address, address);
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
