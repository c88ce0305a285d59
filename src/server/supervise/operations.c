#include "server/supervise/operations.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

void signalled_add(struct signalled_list *list, const struct signalled *item)
{
    struct signalled *grown;

    if (list->n == SIGNALLED_MAX)
        return;
    /* Powers of two, counted by n alone. */
    if ((list->n & (list->n - 1)) == 0) {
        grown = realloc(list->items, (list->n == 0 ? 1 : list->n * 2) * sizeof *grown);
        if (grown == NULL)
            return;
        list->items = grown;
    }
    list->items[list->n++] = *item;
}

bool signalled_has(const struct signalled_list *list, pid_t pid, int signal_number)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].pid == pid && list->items[i].signal_number == signal_number)
            return true;
    }
    return false;
}

void signalled_clear(struct signalled_list *list)
{
    free(list->items);
    *list = (struct signalled_list){.n = 0};
}

int operations_init(
    struct operations *operations, uint32_t n_slots, uint32_t instance, struct error *error)
{
    *operations = (struct operations){.n_queues = n_slots, .instance = instance};
    list_init(&operations->all);
    operations->queues = calloc(n_slots > 0 ? n_slots : 1, sizeof *operations->queues);
    if (operations->queues == NULL)
        return error_set_errno(error, ENOMEM, "make the queues of operations");
    return 0;
}

/* Queues begin to be lists when they are first needed: most slots never are. */
static struct list *queue_of(struct operations *operations, uint32_t slot)
{
    struct list *queue = &operations->queues[slot];

    if (queue->next == NULL)
        list_init(queue);
    return queue;
}

static void operation_free(struct operations *operations, struct operation *operation)
{
    assert(list_is_empty(&operation->waits));
    for (size_t i = 0; i < operation->n_steps; i++) {
        list_remove(&operation->steps[i].queue_link);
        signalled_clear(&operation->steps[i].signalled);
    }
    list_remove(&operation->link);
    operations->count--;
    packed_clear(&operation->packed);
    free(operation->joined_ids);
    free(operation->steps);
    free(operation);
}

void operations_deinit(struct operations *operations)
{
    LIST_FOR_EACH_SAFE(link, &operations->all)
    operation_free(operations, CONTAINER_OF(link, struct operation, link));
    free(operations->queues);
    operations->queues = NULL;
}

bool operation_has_ended(const struct operation *operation)
{
    if (operation->kind == FLOCKS_OPERATION_KIND_REPLACE_DAEMON)
        return operation->state != FLOCKS_OPERATION_STATE_RUNNING;
    return operation->n_ended == operation->n_steps;
}

void operation_touch(struct operation *operation)
{
    operation->revision++;
    operation->is_changed = true;
}

void operation_remember_request(struct operation *operation, const char *request_id)
{
    if (request_id[0] == '\0')
        return;
    if (operation->joined_ids == NULL)
        operation->joined_ids = calloc(OPERATION_JOINED_IDS_MAX, sizeof *operation->joined_ids);
    if (operation->joined_ids == NULL)
        return;
    if (operation->n_joined_ids == OPERATION_JOINED_IDS_MAX)
        memmove(operation->joined_ids, operation->joined_ids + 1,
            --operation->n_joined_ids * sizeof *operation->joined_ids);
    (void)snprintf(operation->joined_ids[operation->n_joined_ids++], sizeof *operation->joined_ids,
        "%s", request_id);
}

static bool has_request(const struct operation *operation, const char *request_id)
{
    if (strcmp(operation->request_id, request_id) == 0)
        return true;
    for (size_t i = 0; i < operation->n_joined_ids; i++) {
        if (strcmp(operation->joined_ids[i], request_id) == 0)
            return true;
    }
    return false;
}

struct operation *operations_find_request(
    const struct operations *operations, const char *request_id)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (has_request(operation, request_id))
            return operation;
    }
    return NULL;
}

struct operation *operations_find(const struct operations *operations, const char *id)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (strcmp(operation->id, id) == 0)
            return operation;
    }
    return NULL;
}

static bool may_be_joined(
    const struct operation *operation, const struct operation_request *request)
{
    /* Two configurations are two, even if they touch the same services; two images as well. */
    if (request->kind == FLOCKS_OPERATION_KIND_APPLY_CONFIG ||
        request->kind == FLOCKS_OPERATION_KIND_REPLACE_DAEMON)
        return false;
    if (operation->kind != request->kind || operation->skip_prepare != request->skip_prepare ||
        operation->pauses != request->pauses || operation->n_steps != request->n_slots ||
        operation_has_ended(operation))
        return false;
    for (size_t i = 0; i < request->n_slots; i++) {
        const struct operation_step *step = &operation->steps[i];

        if (step->slot != request->slots[i])
            return false;
        if (request->kind == FLOCKS_OPERATION_KIND_RESTART && step->launched)
            return false;
    }
    return true;
}

static struct operation *find_identical(
    const struct operations *operations, const struct operation_request *request)
{
    assert(operations->all.next != NULL);
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (may_be_joined(operation, request))
            return operation;
    }
    return NULL;
}

static struct operation *operation_new(struct operations *operations, size_t n_steps)
{
    struct operation *operation = calloc(1, sizeof *operation);

    if (operation == NULL)
        return NULL;
    operation->steps = calloc(n_steps > 0 ? n_steps : 1, sizeof *operation->steps);
    if (operation->steps == NULL) {
        free(operation);
        return NULL;
    }
    operation->n_steps = n_steps;
    list_init(&operation->waits);
    for (size_t i = 0; i < n_steps; i++) {
        operation->steps[i].operation = operation;
        list_init(&operation->steps[i].queue_link);
    }
    list_append(&operations->all, &operation->link);
    operations->count++;
    return operation;
}

static bool ends_services(enum flocks_operation_kind kind)
{
    return kind == FLOCKS_OPERATION_KIND_STOP || kind == FLOCKS_OPERATION_KIND_SHUTDOWN;
}

/* Room for one more: the oldest that has ended and that nobody waits for makes it. */
static bool make_room(struct operations *operations, enum flocks_operation_kind kind)
{
    size_t limit = SUPERVISOR_OPERATIONS_MAX;

    if (ends_services(kind) || kind == FLOCKS_OPERATION_KIND_ROLL_BACK)
        limit += SUPERVISOR_OPERATIONS_RESERVED;
    if (operations->count < limit)
        return true;
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (operation_has_ended(operation) && list_is_empty(&operation->waits)) {
            operation_free(operations, operation);
            return true;
        }
    }
    return false;
}

/* What a changed configuration stops, it need not be asked to start; and a service that is no more
 * has ended for whoever stops it, too. */
static bool preempts(enum flocks_operation_kind kind, const struct operation_step *step)
{
    enum flocks_operation_kind other = step->operation->kind;
    bool ends = ends_services(kind);
    bool applies = kind == FLOCKS_OPERATION_KIND_APPLY_CONFIG;

    if (other == FLOCKS_OPERATION_KIND_START)
        return ends || applies || kind == FLOCKS_OPERATION_KIND_RESTART;
    if (other == FLOCKS_OPERATION_KIND_COMMIT_UPGRADE || other == FLOCKS_OPERATION_KIND_ROLL_BACK)
        return ends;
    if (other == FLOCKS_OPERATION_KIND_APPLY_CONFIG)
        return ends && step->impact != FLOCKS_CONFIG_IMPACT_STOP;
    return other == FLOCKS_OPERATION_KIND_RESTART && (ends || applies);
}

const char *operation_kind_text(enum flocks_operation_kind kind)
{
    switch (kind) {
    case FLOCKS_OPERATION_KIND_START:
        return "start";
    case FLOCKS_OPERATION_KIND_STOP:
        return "stop";
    case FLOCKS_OPERATION_KIND_RESTART:
        return "restart";
    case FLOCKS_OPERATION_KIND_APPLY_CONFIG:
        return "change of configuration";
    case FLOCKS_OPERATION_KIND_SHUTDOWN:
        return "shutdown";
    case FLOCKS_OPERATION_KIND_COMMIT_UPGRADE:
        return "commit of an upgrade";
    case FLOCKS_OPERATION_KIND_ROLL_BACK:
        return "roll-back";
    case FLOCKS_OPERATION_KIND_UPDATE:
        return "update";
    case FLOCKS_OPERATION_KIND_REPLACE_DAEMON:
        return "replacement of the daemon";
    case FLOCKS_OPERATION_KIND_UNSPECIFIED:
        break;
    }
    return "operation";
}

static void preempt(struct list *queue, const struct operation *by, int64_t now)
{
    char message[OPERATION_MESSAGE_SIZE];

    (void)snprintf(
        message, sizeof message, "pre-empted by %s %s", operation_kind_text(by->kind), by->id);
    LIST_FOR_EACH_SAFE(link, queue)
    {
        struct operation_step *step = CONTAINER_OF(link, struct operation_step, queue_link);
        const struct step_outcome outcome = {.state = FLOCKS_OPERATION_STATE_CANCELLED,
            .reason = by->kind == FLOCKS_OPERATION_KIND_SHUTDOWN ? FLOCKS_STATE_REASON_SHUTDOWN
                                                                 : FLOCKS_STATE_REASON_REQUESTED,
            .message = message,
            .to_generation = step->from_generation,
            .preempted = true};

        if (preempts(by->kind, step))
            operation_end_step(step, &outcome, now, by->began_wall_ns);
    }
}

static void fill(struct operations *operations, struct operation *operation,
    const struct operation_request *request)
{
    (void)snprintf(operation->id, sizeof operation->id, "%08x-%u", (unsigned)operations->instance,
        (unsigned)++operations->next);
    (void)snprintf(operation->request_id, sizeof operation->request_id, "%s", request->request_id);
    operation->kind = request->kind;
    operation->state = FLOCKS_OPERATION_STATE_RUNNING;
    operation->skip_prepare = request->skip_prepare;
    operation->pauses = request->pauses;
    operation->began_wall_ns = request->wall_ns;
    operation->deadline_at = CLOCK_NEVER;
    if (request->timeout_ms > 0) {
        operation->deadline_at = clock_add_ms(request->now, request->timeout_ms);
        operation->deadline_wall_ns = request->wall_ns + request->timeout_ms * 1000000;
    }
    operation->requester_pid = request->requester_pid;
    operation->requester_uid = request->requester_uid;
    for (size_t i = 0; i < request->n_slots; i++) {
        struct operation_step *step = &operation->steps[i];

        step->slot = request->slots[i];
        step->state = FLOCKS_OPERATION_STATE_QUEUED;
        if (request->names != NULL)
            (void)snprintf(step->service, sizeof step->service, "%s", request->names[i]);
        if (request->impacts != NULL)
            step->impact = request->impacts[i];
        preempt(queue_of(operations, step->slot), operation, request->now);
        list_append(queue_of(operations, step->slot), &step->queue_link);
    }
    if (request->n_slots == 0 && request->kind != FLOCKS_OPERATION_KIND_REPLACE_DAEMON) {
        operation->state = FLOCKS_OPERATION_STATE_SUCCEEDED;
        operation->ended_at = request->now;
        operation->ended_wall_ns = request->wall_ns;
    }
    operation_touch(operation);
}

static int refuse_full(struct error *error)
{
    int result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "%d operations are running",
        (int)SUPERVISOR_OPERATIONS_MAX);

    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

int operations_begin(struct operations *operations, const struct operation_request *request,
    struct operation **out, struct error *error)
{
    struct operation *found = NULL;

    if (request->request_id[0] != '\0') {
        found = operations_find_request(operations, request->request_id);
        if (found != NULL && found->kind != request->kind)
            return error_set(error, STATUS_ALREADY_EXISTS,
                "request id \"%s\" belongs to another kind of operation, %s", request->request_id,
                found->id);
    }
    if (found == NULL) {
        found = find_identical(operations, request);
        if (found != NULL)
            operation_remember_request(found, request->request_id);
    }
    if (found != NULL) {
        found->joined++;
        operation_touch(found);
        *out = found;
        return OPERATIONS_JOINED;
    }
    if (!make_room(operations, request->kind))
        return refuse_full(error);
    found = operation_new(operations, request->n_slots);
    if (found == NULL)
        return error_set_errno(error, ENOMEM, "begin an operation");
    fill(operations, found, request);
    *out = found;
    return 0;
}

struct operation_step *operations_active_step(const struct operations *operations, uint32_t slot)
{
    const struct list *queue = &operations->queues[slot];

    if (queue->next == NULL || list_is_empty(queue))
        return NULL;
    return CONTAINER_OF(queue->next, struct operation_step, queue_link);
}

bool operations_is_ending(const struct operations *operations, uint32_t slot)
{
    const struct list *queue = &operations->queues[slot];

    if (queue->next == NULL)
        return false;
    LIST_FOR_EACH(link, queue)
    {
        const struct operation_step *step =
            CONTAINER_OF(link, const struct operation_step, queue_link);

        if (ends_services(step->operation->kind) || step->impact == FLOCKS_CONFIG_IMPACT_STOP)
            return true;
    }
    return false;
}

static int compare_slot(const void *key, const void *member)
{
    uint32_t slot = *(const uint32_t *)key;
    const struct operation_step *step = member;
    return (slot > step->slot) - (slot < step->slot);
}

struct operation_step *operation_find_step(const struct operation *operation, uint32_t slot)
{
    if (operation->n_steps == 0)
        return NULL;
    return bsearch(
        &slot, operation->steps, operation->n_steps, sizeof *operation->steps, compare_slot);
}

const struct operation *operations_last_of(
    const struct operations *operations, uint32_t slot, const char *service)
{
    const struct operation *last = NULL;

    LIST_FOR_EACH(link, &operations->all)
    {
        const struct operation *operation = CONTAINER_OF(link, struct operation, link);
        const struct operation_step *step = operation_find_step(operation, slot);

        /* The slot may have been another's then. */
        if (step != NULL && strcmp(step->service, service) == 0)
            last = operation;
    }
    return last;
}

/* FAILED outweighs DEADLINE_EXCEEDED outweighs CANCELLED outweighs SUCCEEDED. */
static int weight(enum flocks_operation_state state)
{
    switch (state) {
    case FLOCKS_OPERATION_STATE_FAILED:
        return 4;
    case FLOCKS_OPERATION_STATE_INTERRUPTED:
        return 3;
    case FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED:
        return 2;
    case FLOCKS_OPERATION_STATE_CANCELLED:
        return 1;
    case FLOCKS_OPERATION_STATE_UNSPECIFIED:
    case FLOCKS_OPERATION_STATE_QUEUED:
    case FLOCKS_OPERATION_STATE_RUNNING:
    case FLOCKS_OPERATION_STATE_SUCCEEDED:
        return 0;
    }
    return 0;
}

static void end_operation(struct operation *operation, int64_t now, int64_t wall_ns)
{
    enum flocks_operation_state worst = FLOCKS_OPERATION_STATE_SUCCEEDED;

    for (size_t i = 0; i < operation->n_steps; i++) {
        if (weight(operation->steps[i].state) > weight(worst))
            worst = operation->steps[i].state;
    }
    operation->state = worst;
    operation->ended_at = now;
    operation->ended_wall_ns = wall_ns;
}

void operation_end_step(
    struct operation_step *step, const struct step_outcome *outcome, int64_t now, int64_t wall_ns)
{
    struct operation *operation = step->operation;

    list_remove(&step->queue_link);
    step->state = outcome->state;
    step->reason = outcome->reason;
    step->to_generation = outcome->to_generation;
    step->preempted = outcome->preempted;
    (void)snprintf(step->message, sizeof step->message, "%s", outcome->message);
    operation->n_ended++;
    if (operation_has_ended(operation))
        end_operation(operation, now, wall_ns);
    operation_touch(operation);
}

void operation_say(struct operation *operation, const char *message)
{
    (void)snprintf(operation->message, sizeof operation->message, "%s", message);
    operation_touch(operation);
}

void operation_end(struct operation *operation, enum flocks_operation_state state,
    const char *message, int64_t now, int64_t wall_ns)
{
    operation->state = state;
    operation->ended_at = now;
    operation->ended_wall_ns = wall_ns;
    operation_say(operation, message);
}

struct operation *operations_find_running(
    const struct operations *operations, enum flocks_operation_kind kind)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (operation->kind == kind && !operation_has_ended(operation))
            return operation;
    }
    return NULL;
}

/* When its change may be told of. */
static int64_t told_at(const struct operation *operation)
{
    if (!operation->is_changed)
        return CLOCK_NEVER;
    return operation_has_ended(operation) ? 0 : operation->tell_at;
}

struct operation *operations_take_changed(struct operations *operations, int64_t now)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (told_at(operation) <= now) {
            operation->is_changed = false;
            return operation;
        }
    }
    return NULL;
}

void operation_told(struct operation *operation, size_t len, int64_t now)
{
    operation->told_revision = operation->revision;
    operation->tell_at = clock_add_ms(now, (int64_t)(len / OPERATION_TOLD_BYTES_PER_MS));
    operation->is_told = true;
}

struct operation *operations_take_told(struct operations *operations)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (operation->is_told) {
            operation->is_told = false;
            return operation;
        }
    }
    return NULL;
}

struct operation *operations_find_overdue(const struct operations *operations, int64_t now)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (!operation_has_ended(operation) && operation->deadline_at <= now)
            return operation;
    }
    return NULL;
}

static int64_t operation_due_at(const struct operation *operation)
{
    if (operation_has_ended(operation))
        return clock_add_ms(operation->ended_at, SUPERVISOR_OPERATION_KEPT_MS);
    return operation->deadline_at;
}

int64_t operations_due_at(const struct operations *operations)
{
    int64_t due = CLOCK_NEVER;

    LIST_FOR_EACH(link, &operations->all)
    {
        const struct operation *operation = CONTAINER_OF(link, struct operation, link);
        int64_t at = operation_due_at(operation);

        if (at < due)
            due = at;
        if (told_at(operation) < due)
            due = told_at(operation);
    }
    return due;
}

void operations_forget(struct operations *operations, int64_t now)
{
    LIST_FOR_EACH_SAFE(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (operation_has_ended(operation) && list_is_empty(&operation->waits) &&
            operation_due_at(operation) <= now)
            operation_free(operations, operation);
    }
}

struct operation *operations_restore(struct operations *operations, size_t n_steps)
{
    return operation_new(operations, n_steps);
}

void operation_restore_step(struct operations *operations, struct operation_step *step)
{
    if (step->state == FLOCKS_OPERATION_STATE_QUEUED ||
        step->state == FLOCKS_OPERATION_STATE_RUNNING)
        list_append(queue_of(operations, step->slot), &step->queue_link);
    else
        step->operation->n_ended++;
}
