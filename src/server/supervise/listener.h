/* Whose socket would answer on a service's host and port. Connecting is never proof of anything:
 * this asks the kernel which sockets a connection could reach, and /proc/<pid>/fd who holds them.
 */
#ifndef FLOCKS_SUPERVISE_LISTENER_H
#define FLOCKS_SUPERVISE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/process_set.h"
#include "server/supervise/socket_search.h"

enum {
    /* Processes of one generation that are searched; more: unverifiable. */
    LISTENER_PROCESSES_MAX = 1024,
    /* Sockets of one REUSEPORT group that are found without a search. */
    LISTENER_CACHE_MAX = 4,
    /* So long a socket is believed not to be the generation's once all of it has been searched. */
    LISTENER_FOREIGN_MS = 1000,
    /* Scans of all processes may take one part in so many of the time, however many services ask
     * for one; one scan serves all who waited for it. */
    LISTENER_SCAN_SHARE = 4
};

enum listener_answer {
    /* Nothing listens there. */
    LISTENER_NONE,
    /* Every socket that may answer is held by the generation. */
    LISTENER_OURS,
    /* At least one is held by somebody else, told in `holder`. */
    LISTENER_FOREIGN,
    /* Not found in the generation, but a process of it hides its descriptors (setuid,
       capabilities). */
    LISTENER_UNVERIFIABLE
};

enum listener_condition {
    /* It takes a scan or a search whose turn has not come: ask again some milliseconds later. */
    LISTENER_POSTPONED = 1
};

/* Who holds a socket that is not the generation's. */
struct listener_holder {
    uid_t uid;
    /* 0, "" when not visible: another user's process. */
    pid_t pid;
    char executable[PROCESS_EXECUTABLE_MAX];
    bool visible;
};

struct listener_observation {
    enum listener_answer answer;
    /* NONE: the endpoint's first address; OURS: the first one that reaches a socket, probe this
     * one; else where the other's socket is reached. */
    union endpoint_address address;
    uint64_t inode;
    /* Process of the generation that holds it (OURS). */
    pid_t owner;
    struct listener_holder holder;
    /* FOREIGN: the holder is still being looked for. */
    bool is_search_pending;
};

/* Where the sockets were found last time: one link is read again instead of searching. Plain value,
 * one per service and port; zeroed = empty. It can be stale but never wrong: inode and start time
 * are compared, and another generation empties it. */
struct listener_cache {
    struct process_id leader;
    struct socket_location ours[LISTENER_CACHE_MAX];
    /* The socket that the last search did not find in the generation. */
    uint64_t foreign_inode;
    int64_t foreign_at;
    bool foreign_is_partial;
    /* Where a socket that is not the generation's was found. */
    struct socket_location holder;
    /* Since when a scan is waited for; 0: it is not. */
    int64_t scan_wanted_ns;
};

/* How it is looked: by netlink, else by /proc/net. */
struct listener_finder;

enum listener_means { LISTENER_BY_NETLINK, LISTENER_BY_PROC_NET };

/* UNAVAILABLE where this system has neither. `means`: the best one to try. */
NODISCARD int listener_finder_new(
    enum listener_means means, struct listener_finder **out, struct error *error);
void listener_finder_free(struct listener_finder *finder);
enum listener_means listener_finder_means(const struct listener_finder *finder);

/* Looks once, at once, at every address of `endpoint`; of a wildcard host at every socket on its
 * port. `identity` NULL: nobody is ours (is the port free?). 0, LISTENER_POSTPONED, or negative;
 * both say nothing about the port. 2 us when nothing listens, ~30 us when the cache hits; else the
 * leader and its descendants are searched (~1 us per descriptor), then a scan of all processes
 * tells who else is of the generation. */
NODISCARD int listener_lookup(struct listener_finder *finder, const struct endpoint *endpoint,
    const struct process_identity *identity, struct listener_cache *cache,
    struct listener_observation *out, struct error *error);

/* Foreign holders are looked for in slices (holder_search.h): while this is true, call
 * listener_finder_turn now and then. */
bool listener_finder_is_searching(const struct listener_finder *finder);
/* True: there may be names now where there were none. */
bool listener_finder_turn(struct listener_finder *finder);

/* "127.0.0.1:8000 is held by pid 17 (/usr/bin/nc, uid 1000)", for people. */
void listener_describe(const struct listener_observation *observation, char *out, size_t out_size);

#endif
