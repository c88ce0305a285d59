#include "server/keeper/children.h"

#include <assert.h>
#include <string.h>

void children_init(struct children *children)
{
    children->n_free = KEEPER_CHILDREN;
    for (size_t i = 0; i < KEEPER_CHILDREN; i++)
        children->free_places[i] = (uint16_t)(KEEPER_CHILDREN - 1 - i);
}

static const struct child *newest_of(const struct children *children, uint32_t slot)
{
    size_t place = children->newest[slot];
    return place != 0 ? &children->table[place - 1] : NULL;
}

bool children_slot_lives(const struct children *children, uint32_t slot)
{
    const struct child *child = newest_of(children, slot);
    return child != NULL && (child->state == CHILD_STARTING || child->state == CHILD_RUNNING);
}

void children_release(struct children *children, size_t place)
{
    struct child *child = &children->table[place];
    if (children->newest[child->slot] == place + 1)
        children->newest[child->slot] = 0;
    *child = (struct child){.state = CHILD_FREE};
    children->pids[place] = 0;
    children->free_places[children->n_free++] = (uint16_t)place;
}

static void release_newest_ended(struct children *children, uint32_t slot)
{
    const struct child *newest = newest_of(children, slot);
    if (newest != NULL && newest->state == CHILD_ENDED)
        children_release(children, (size_t)(newest - children->table));
}

int children_reserve(
    struct children *children, uint32_t slot, uint32_t generation, size_t *out_place)
{
    assert(slot < KEEPER_SLOTS);
    if (generation <= children->last_generation[slot] || children_slot_lives(children, slot))
        return CHILDREN_TAKEN;
    release_newest_ended(children, slot);
    if (children->n_free == 0)
        return CHILDREN_FULL;
    size_t place = children->free_places[--children->n_free];
    children->table[place] =
        (struct child){.state = CHILD_STARTING, .slot = slot, .generation = generation};
    children->newest[slot] = (uint16_t)(place + 1);
    *out_place = place;
    return 0;
}

void children_set_pid(struct children *children, size_t place, int32_t pid, uint64_t start_ticks)
{
    struct child *child = &children->table[place];
    child->pid = pid;
    child->start_ticks = start_ticks;
    children->pids[place] = pid;
    children->last_generation[child->slot] = child->generation;
    children->n_processes++;
}

size_t children_find_pid(const struct children *children, int32_t pid)
{
    for (size_t place = 0; place < KEEPER_CHILDREN; place++)
        if (children->pids[place] == pid)
            return place;
    return KEEPER_CHILDREN;
}

const struct child *children_find(
    const struct children *children, uint32_t slot, uint32_t generation)
{
    if (slot >= KEEPER_SLOTS)
        return NULL;
    const struct child *child = newest_of(children, slot);
    bool matches = child != NULL && child->generation == generation && child->pid != 0 &&
                   child->state != CHILD_FAILED;
    return matches ? child : NULL;
}

static struct keeper_exit *queue_exit(struct children *children, size_t place)
{
    assert(children->n_exits < CHILDREN_EXITS);
    size_t at = (children->first_exit + children->n_exits) % CHILDREN_EXITS;
    children->n_exits++;
    children->exits[at] = (struct keeper_exit){.sequence = ++children->last_sequence};
    children->exit_places[at] = (uint16_t)place;
    return &children->exits[at];
}

void children_adopt(struct children *children, size_t place, const struct child *child)
{
    assert(child->slot < KEEPER_SLOTS);
    size_t newest = children->newest[child->slot];
    children->table[place] = *child;
    if (child->state == CHILD_RUNNING) {
        children->pids[place] = child->pid;
        children->n_processes++;
    }
    if (newest == 0 || children->table[newest - 1].generation < child->generation)
        children->newest[child->slot] = (uint16_t)(place + 1);
    if (children->last_generation[child->slot] < child->generation)
        children->last_generation[child->slot] = child->generation;
}

bool children_restore(
    struct children *children, size_t place, const struct child *child, bool is_newest)
{
    bool has_process = child->state == CHILD_RUNNING || child->state == CHILD_FAILED;
    bool is_sane =
        has_process ? child->pid > 0 : child->state == CHILD_EXITED || child->state == CHILD_ENDED;
    if (!is_sane || place >= KEEPER_CHILDREN || child->slot >= KEEPER_SLOTS ||
        children->table[place].state != CHILD_FREE)
        return false;
    children->table[place] = *child;
    if (has_process) {
        children->pids[place] = child->pid;
        children->n_processes++;
    }
    if (is_newest)
        children->newest[child->slot] = (uint16_t)(place + 1);
    return true;
}

bool children_restore_exit(struct children *children, size_t place, const struct keeper_exit *exit)
{
    bool is_of_child = place < KEEPER_CHILDREN && children->table[place].state == CHILD_EXITED;
    if (children->n_exits == CHILDREN_EXITS || (!exit->stray && !is_of_child))
        return false;
    size_t at = (children->first_exit + children->n_exits) % CHILDREN_EXITS;
    children->exits[at] = *exit;
    children->exit_places[at] = exit->stray ? 0 : (uint16_t)place;
    children->n_exits++;
    children->n_queued_strays += exit->stray;
    return true;
}

void children_adopted(struct children *children, uint64_t last_sequence)
{
    children->last_sequence = last_sequence;
    children->n_free = 0;
    for (size_t left = KEEPER_CHILDREN; left > 0; left--) {
        struct child *child = &children->table[left - 1];
        if (child->state == CHILD_ENDED && newest_of(children, child->slot) != child)
            *child = (struct child){.state = CHILD_FREE};
        if (child->state == CHILD_FREE)
            children->free_places[children->n_free++] = (uint16_t)(left - 1);
    }
}

void children_exited(struct children *children, size_t place, int wait_status, int64_t at_ns)
{
    struct child *child = &children->table[place];
    children->pids[place] = 0;
    children->n_processes--;
    if (child->state == CHILD_FAILED) {
        children_release(children, place);
        return;
    }
    struct keeper_exit *exit = queue_exit(children, place);
    exit->slot = child->slot;
    exit->generation = child->generation;
    exit->pid = child->pid;
    exit->wait_status = wait_status;
    exit->unknown = wait_status == KEEPER_STATUS_UNKNOWN;
    exit->at_ns = at_ns;
    child->state = CHILD_EXITED;
    child->wait_status = wait_status;
}

void children_stray_exited(struct children *children, int32_t pid, int wait_status, int64_t at_ns)
{
    if (children->n_queued_strays == KEEPER_STRAYS)
        return;
    children->n_queued_strays++;
    struct keeper_exit *exit = queue_exit(children, 0);
    exit->pid = pid;
    exit->wait_status = wait_status;
    exit->at_ns = at_ns;
    exit->stray = true;
}

static void acknowledge_place(struct children *children, size_t place)
{
    struct child *child = &children->table[place];
    if (newest_of(children, child->slot) == child)
        child->state = CHILD_ENDED;
    else
        children_release(children, place);
}

void children_acknowledge(struct children *children, uint64_t up_to,
    void (*acknowledged)(void *data, size_t place), void *data)
{
    while (children->n_exits > 0 && children->exits[children->first_exit].sequence <= up_to) {
        size_t place = children->exit_places[children->first_exit];
        if (children->exits[children->first_exit].stray) {
            children->n_queued_strays--;
        } else {
            acknowledge_place(children, place);
            acknowledged(data, place);
        }
        children->first_exit = (children->first_exit + 1) % CHILDREN_EXITS;
        children->n_exits--;
    }
}

size_t children_exits_after(
    const struct children *children, uint64_t after, struct keeper_exit *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < children->n_exits && n < max; i++) {
        const struct keeper_exit *exit =
            &children->exits[(children->first_exit + i) % CHILDREN_EXITS];
        if (exit->sequence > after)
            out[n++] = *exit;
    }
    return n;
}

void children_forget_slot(struct children *children, uint32_t slot)
{
    release_newest_ended(children, slot);
    children->newest[slot] = 0;
    children->last_generation[slot] = 0;
}
