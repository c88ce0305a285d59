/* Which connections exist, by peer process and by activity, and which one has to go.
 *
 * Pure bookkeeping: no descriptor, no clock, no log. */
#ifndef CRPC_POPULATION_H
#define CRPC_POPULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/list.h"
#include "common/base/status.h"

struct population_group;

/* Embedded in a connection. Private but for `is_busy`. */
struct population_member {
    struct list link; /* in its group's members, least recently active first */
    struct population_group *group;
    size_t held;
    /* A call is in flight: not closed for the sake of others while somebody idles. The owner keeps
     * it up to date. */
    bool is_busy;
};

/* Private. */
struct population {
    struct list groups;
    size_t count;
    size_t held;
};

void population_init(struct population *population);
/* Every member must have left. */
void population_deinit(struct population *population);

/* 0, or -STATUS_RESOURCE_EXHAUSTED (memory) and the member is not in. */
NODISCARD int population_join(
    struct population *population, int32_t pid, struct population_member *member);
/* Idempotent. */
void population_leave(struct population *population, struct population_member *member);
/* The member was active just now. */
void population_touch(struct population_member *member);

/* The member's connection holds `bytes` of memory now. */
void population_hold(struct population *population, struct population_member *member, size_t bytes);

size_t population_count(const struct population *population);
size_t population_count_of(const struct population *population, int32_t pid);

/* The least recently active idle member of `pid`; NULL: all of them are busy, or there is none. */
struct population_member *population_victim_of(const struct population *population, int32_t pid);
/* Who makes room for a newcomer of `pid`: the least recently active idle member, of the process
 * that has most among those with an idle one. When everybody is busy: the least recently active
 * member of the process that has most, if that leaves it no fewer than `pid` gets; else NULL, and
 * the newcomer has to go. */
struct population_member *population_victim(const struct population *population, int32_t pid);

/* What all connections hold. */
size_t population_held(const struct population *population);
/* Who has to go when that is too much: the member that holds most, of the process that holds most;
 * NULL: there is none. */
struct population_member *population_heaviest(const struct population *population);
/* The same among the connections of one process. */
size_t population_held_of(const struct population *population, int32_t pid);
struct population_member *population_heaviest_of(const struct population *population, int32_t pid);

#endif
