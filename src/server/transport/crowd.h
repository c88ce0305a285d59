/* Who makes room for whom: among the processes at the unix socket, and between them and those who
 * come over TCP, who have no pid and never push out anybody but each other.
 *
 * Pure: it names connections that have to go, its caller closes them. */
#ifndef FLOCKS_TRANSPORT_CROWD_H
#define FLOCKS_TRANSPORT_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rpc/population.h"

/* In the place of a pid; no process has these, nor what a foreign pid namespace shows (0). */
enum crowd {
    /* Over TCP, and nothing has been let in yet. */
    CROWD_STRANGERS = -1,
    /* Over TCP, with the token. */
    CROWD_TCP = -2
};

/* Whether one more of `pid` (or crowd) may come where `most` are allowed in all. True: when
 * *out_victim, unless that is NULL, has gone. False: the newcomer has to go. */
bool crowd_admits(const struct population *population, int32_t pid, size_t most,
    struct population_member **out_victim);

/* Who has to go because the connections hold too much memory; NULL: they do not. */
struct population_member *crowd_too_heavy(const struct population *population);

#endif
