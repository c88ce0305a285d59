/* Which process has a socket: /proc/<pid>/fd, read descriptor by descriptor. Never believes a pid
 * without its start time. */
#ifndef FLOCKS_SUPERVISE_SOCKET_SEARCH_H
#define FLOCKS_SUPERVISE_SOCKET_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/process_set.h"

enum {
    /* Sockets that one search looks for at once. */
    SOCKET_SEARCH_MAX = 64,
    /* Descriptors looked at in one process before it counts as unreadable. */
    SOCKET_SEARCH_DESCRIPTORS_MAX = 65536,
    /* Descendants of a leader that are searched without a scan of all processes. */
    SOCKET_SEARCH_FAMILY_MAX = 64
};

/* Where a socket was found; process.pid 0: nowhere. Plain value. */
struct socket_location {
    uint64_t inode;
    struct process_id process;
    int descriptor;
};

/* Does that process still have it there? One link and one stat are read. */
bool socket_location_holds(const struct socket_location *location, uint64_t inode);

/* Plain value: set count and inodes. */
struct socket_search {
    size_t count;
    uint64_t inodes[SOCKET_SEARCH_MAX];
    struct socket_location found[SOCKET_SEARCH_MAX];
};

/* Index of the first socket that has not been found; `count`: all have. */
size_t socket_search_missing(const struct socket_search *search);
void socket_search_note(
    struct socket_search *search, const struct process_id *process, int descriptor, uint64_t inode);
/* What was seen of a process that has ended may be of another that took its number. */
void socket_search_forget(struct socket_search *search, const struct process_id *process);

/* Looks through the descriptors of one process until nothing is missing: ~1 us each. 0, PROC_GONE,
 * or PROC_HIDDEN or PROC_UNREAD (then some of it was not seen). */
NODISCARD int socket_search_process(struct socket_search *search, const struct process_id *process);
/* The process and its descendants as far as parents tell of their children: no scan. 0, else
 * what is worst of one of them: PROC_HIDDEN or PROC_UNREAD. */
NODISCARD int socket_search_family(struct socket_search *search, const struct process_id *leader);

#endif
