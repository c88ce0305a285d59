/* Whose socket would answer on a service's host and port. Connecting is never proof of anything:
 * this asks the kernel which socket a connection would reach, and /proc/<pid>/fd who holds it. */
#ifndef FLOCKS_SUPERVISE_LISTENER_H
#define FLOCKS_SUPERVISE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/netlink.h"
#include "server/supervise/process_set.h"

enum {
    /* Descriptors looked at in one process before it counts as unreadable. */
    LISTENER_DESCRIPTORS_MAX = 65536,
    /* Processes of one generation that are searched; more: unverifiable. */
    LISTENER_PROCESSES_MAX = 1024,
    /* Sockets of one REUSEPORT group that are found without a search. */
    LISTENER_CACHE_MAX = 4,
    LISTENER_FOREIGN_MS = 1000,
    /* A search for a foreign holder through every process ends after this; then it is not named. */
    LISTENER_SEARCH_TIMEOUT_MS = 50
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
    /* The address of the endpoint that reaches it; its first one when nothing listens. Probe this
     * one. */
    union endpoint_address address;
    uint64_t inode;
    /* Process of the generation that holds it (OURS). */
    pid_t owner;
    struct listener_holder holder;
};

/* Where a socket was found. */
struct listener_location {
    uint64_t inode;
    struct process_id process;
    int descriptor;
};

/* Where the sockets were found last time: one link is read again instead of searching. Plain value,
 * one per service and port; zeroed = empty. It can be stale but never wrong: inode and start time
 * are compared, and another generation empties it. */
struct listener_cache {
    struct process_id leader;
    struct listener_location ours[LISTENER_CACHE_MAX];
    /* The last search that did not find a socket in the generation: believed for
     * LISTENER_FOREIGN_MS, because it costs a scan. foreign.process.pid is 0 for an unseen holder.
     */
    struct listener_location foreign;
    int64_t foreign_at;
    bool foreign_is_partial;
};

/* Looks once, at once. `identity` NULL: nobody is ours (is the port free?). 0 or negative; a
 * negative answer says nothing about the port. 2 us when nothing listens, ~5 us when the cache
 * hits; a search costs a process scan and ~1 us per descriptor of the generation, and after that of
 * all readable processes to name a foreign holder. `scan` is used for searches (its last result is
 * replaced). */
NODISCARD int listener_lookup(struct netlink *netlink, struct process_scan *scan,
    const struct endpoint *endpoint, const struct process_identity *identity,
    struct listener_cache *cache, struct listener_observation *out, struct error *error);

/* "port 8000 is held by pid 17 (/usr/bin/nc, uid 1000)", for people. */
void listener_describe(const struct listener_observation *observation, char *out, size_t out_size);

#endif
