#include "common/rpc/population.h"

#include <assert.h>
#include <stdlib.h>

/* The connections of one peer process. Lives while it has members. */
struct population_group {
    struct list link; /* in population.groups */
    struct list members;
    size_t count;
    size_t held;
    int32_t pid;
};

static struct population_group *group_of(struct list *link)
{
    return CONTAINER_OF(link, struct population_group, link);
}

static struct population_member *member_of(struct list *link)
{
    return CONTAINER_OF(link, struct population_member, link);
}

void population_init(struct population *population)
{
    list_init(&population->groups);
    population->count = 0;
    population->held = 0;
}

void population_deinit(struct population *population)
{
    assert(population->count == 0 && list_is_empty(&population->groups));
    (void)population;
}

static struct population_group *find(const struct population *population, int32_t pid)
{
    LIST_FOR_EACH(link, &population->groups)
    {
        if (group_of(link)->pid == pid)
            return group_of(link);
    }
    return NULL;
}

static struct population_group *group_new(struct population *population, int32_t pid)
{
    struct population_group *group = calloc(1, sizeof(*group));

    if (!group)
        return NULL;
    group->pid = pid;
    list_init(&group->members);
    list_append(&population->groups, &group->link);
    return group;
}

int population_join(struct population *population, int32_t pid, struct population_member *member)
{
    struct population_group *group = find(population, pid);

    if (!group)
        group = group_new(population, pid);
    if (!group)
        return -STATUS_RESOURCE_EXHAUSTED;
    list_append(&group->members, &member->link);
    member->group = group;
    member->held = 0;
    member->is_busy = false;
    group->count++;
    population->count++;
    return 0;
}

void population_leave(struct population *population, struct population_member *member)
{
    struct population_group *group = member->group;

    if (!group)
        return;
    population_hold(population, member, 0);
    list_remove(&member->link);
    member->group = NULL;
    population->count--;
    if (--group->count > 0)
        return;
    list_remove(&group->link);
    free(group);
}

void population_touch(struct population_member *member)
{
    if (!member->group)
        return;
    list_remove(&member->link);
    list_append(&member->group->members, &member->link);
}

void population_hold(struct population *population, struct population_member *member, size_t bytes)
{
    if (!member->group)
        return;
    population->held = population->held - member->held + bytes;
    member->group->held = member->group->held - member->held + bytes;
    member->held = bytes;
}

size_t population_count(const struct population *population)
{
    return population->count;
}

size_t population_count_of(const struct population *population, int32_t pid)
{
    const struct population_group *group = find(population, pid);

    return group ? group->count : 0;
}

static struct population_member *first_idle(const struct population_group *group)
{
    LIST_FOR_EACH(link, &group->members)
    {
        if (!member_of(link)->is_busy)
            return member_of(link);
    }
    return NULL;
}

struct population_member *population_victim_of(const struct population *population, int32_t pid)
{
    const struct population_group *group = find(population, pid);

    return group ? first_idle(group) : NULL;
}

static struct population_member *idle_victim(const struct population *population)
{
    struct population_member *victim = NULL;
    size_t most = 0;

    LIST_FOR_EACH(link, &population->groups)
    {
        struct population_member *idle;

        if (group_of(link)->count <= most)
            continue;
        idle = first_idle(group_of(link));
        if (!idle)
            continue;
        victim = idle;
        most = group_of(link)->count;
    }
    return victim;
}

static struct population_member *busy_victim(const struct population *population, int32_t pid)
{
    const struct population_group *largest = NULL;

    LIST_FOR_EACH(link, &population->groups)
    {
        if (!largest || group_of(link)->count > largest->count)
            largest = group_of(link);
    }
    if (!largest || largest->count <= population_count_of(population, pid) + 1)
        return NULL;
    return member_of(largest->members.next);
}

struct population_member *population_victim(const struct population *population, int32_t pid)
{
    struct population_member *idle = idle_victim(population);

    return idle ? idle : busy_victim(population, pid);
}

size_t population_held(const struct population *population)
{
    return population->held;
}

size_t population_held_of(const struct population *population, int32_t pid)
{
    const struct population_group *group = find(population, pid);

    return group ? group->held : 0;
}

static struct population_member *heaviest_member(const struct population_group *group)
{
    struct population_member *heaviest = NULL;

    LIST_FOR_EACH(link, &group->members)
    {
        if (!heaviest || member_of(link)->held > heaviest->held)
            heaviest = member_of(link);
    }
    return heaviest;
}

struct population_member *population_heaviest_of(const struct population *population, int32_t pid)
{
    const struct population_group *group = find(population, pid);

    return group ? heaviest_member(group) : NULL;
}

struct population_member *population_heaviest(const struct population *population)
{
    const struct population_group *heaviest = NULL;

    LIST_FOR_EACH(link, &population->groups)
    {
        if (!heaviest || group_of(link)->held > heaviest->held)
            heaviest = group_of(link);
    }
    return heaviest ? heaviest_member(heaviest) : NULL;
}
