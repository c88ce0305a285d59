/* A new lease: who may have one, of what, and whoever waits for its record to be on the disk. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_private.h"

struct supervisor_lease_wait {
    struct list link; /* in lease.waits */
    struct supervisor *supervisor;
    void (*done)(void *data, const struct error *error);
    void *data;
};

/* ---- begin ---- */

/* What people want of it once everything that is queued has had its turn. */
static bool is_wanted(const struct supervisor *supervisor, const struct service *service)
{
    const struct list *queue = &supervisor->operations.queues[service->slot];
    bool wanted = service->facts.wanted;

    if (queue->next == NULL)
        return wanted;
    LIST_FOR_EACH(link, queue)
    {
        const struct operation_step *step = CONTAINER_OF(link, struct operation_step, queue_link);
        enum flocks_operation_kind kind = step->operation->kind;

        if (kind == FLOCKS_OPERATION_KIND_START || kind == FLOCKS_OPERATION_KIND_RESTART)
            wanted = true;
        else if (kind == FLOCKS_OPERATION_KIND_SHUTDOWN ||
                 (kind == FLOCKS_OPERATION_KIND_STOP && !step->operation->pauses))
            wanted = false;
    }
    return wanted;
}

static void add_service(struct leased_service *leased, const struct service *service)
{
    const struct supervisor *supervisor = service->owner;

    (void)snprintf(leased->name, sizeof leased->name, "%s", service->name);
    leased->wanted = is_wanted(supervisor, service);
    leased->from_generation = service->facts.generation;
    leased->ask_at = CLOCK_NEVER;
}

static bool is_named_before(const struct supervisor_lease_request *request, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(request->services[j], request->services[i]) == 0)
            return true;
    }
    return false;
}

static int add_services(struct supervisor *supervisor, struct lease *lease,
    const struct supervisor_lease_request *request, struct error *error)
{
    size_t n = 0;

    for (size_t i = 0; i < request->n_services; i++) {
        const struct service *service = supervisor_find(supervisor, request->services[i]);

        if (service == NULL || service->is_retiring)
            return supervisor_refuse_unknown(supervisor, request->services[i], error);
        if (!is_named_before(request, i))
            add_service(&lease->services[n++], service);
    }
    for (uint32_t i = 0; request->n_services == 0 && i < supervisor->n_services; i++) {
        if (!supervisor->services[i]->is_retiring)
            add_service(&lease->services[n++], supervisor->services[i]);
    }
    lease->n_services = n;
    lease_sort_services(lease);
    return 0;
}

/* Absolute, and without parts that lead elsewhere than they say. */
static bool is_plain_path(const char *path)
{
    size_t len = strlen(path);

    return path[0] == '/' && len > 1 && path[len - 1] != '/' && strstr(path, "//") == NULL &&
           strstr(path, "/../") == NULL && strstr(path, "/./") == NULL &&
           strcmp(path + len - 2, "/.") != 0 && (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static int add_undo(
    struct lease *lease, const struct supervisor_lease_request *request, struct error *error)
{
    for (size_t i = 0; i < request->n_undo; i++) {
        const struct supervisor_link *undo = &request->undo[i];

        if (!is_plain_path(undo->link))
            return error_set(error, STATUS_INVALID_ARGUMENT,
                "undo[%zu]: a link is an absolute path without \".\" and \"..\"", i);
        if (!lease_add_undo(lease, undo->link, undo->target))
            return error_set_errno(error, ENOMEM, "begin a lease");
    }
    return 0;
}

static int admit(
    const struct supervisor *supervisor, const struct lease *lease, struct error *error)
{
    struct lease *other = NULL;
    char text[ERROR_TEXT_MAX];

    switch (leases_admit(&supervisor->leases, lease, &other)) {
    case LEASE_ADMITTED:
        return 0;
    case LEASE_OVERLAPS:
        for (size_t i = 0; i < lease->n_services; i++) {
            if (lease_holds_service(other, lease->services[i].name))
                return lease_refuse_held(
                    supervisor_find(supervisor, lease->services[i].name), other, error);
        }
        break;
    case LEASE_EXCLUDED_BY_UNDO:
        (void)snprintf(text, sizeof text, "one upgrade at a time: %s is at one", other->owner);
        return lease_refuse(
            error, STATUS_ALREADY_EXISTS, FLOCKS_ERROR_REASON_UPGRADE_RUNNING, other, text);
    case LEASE_TOO_MANY:
        break;
    }
    (void)snprintf(text, sizeof text, "%d leases are held", (int)LEASES_MAX);
    return lease_refuse(
        error, STATUS_RESOURCE_EXHAUSTED, FLOCKS_ERROR_REASON_LIMIT_REACHED, NULL, text);
}

static void set_texts(struct lease *lease, const struct supervisor_lease_request *request)
{
    (void)snprintf(lease->owner, sizeof lease->owner, "%s", request->owner);
    (void)snprintf(lease->reason, sizeof lease->reason, "%s", request->reason);
    (void)snprintf(lease->request_id, sizeof lease->request_id, "%s", request->request_id);
}

bool lease_make_id(char out[LEASE_ID_SIZE])
{
    uint8_t bytes[(LEASE_ID_SIZE - 1) / 2];

    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    return true;
}

static int make_lease(struct supervisor *supervisor, const struct supervisor_lease_request *request,
    struct lease **out, struct error *error)
{
    size_t n = request->n_services > 0 ? request->n_services : supervisor->n_services;
    struct lease *lease = lease_new(&supervisor->leases, n);
    int result;

    if (lease == NULL)
        return error_set_errno(error, ENOMEM, "begin a lease");
    lease->supervisor = supervisor;
    set_texts(lease, request);
    lease->facts.ttl_ms = request->ttl_ms;
    lease->holding_page = request->holding_page;
    lease->owner_uid = request->owner_uid;
    lease->began_wall_ns = clock_wall_ns();
    result = add_services(supervisor, lease, request, error);
    if (result == 0)
        result = add_undo(lease, request, error);
    if (result == 0)
        result = admit(supervisor, lease, error);
    if (result == 0 && !lease_make_id(lease->id))
        result = error_set(error, STATUS_UNAVAILABLE, "the system has no random numbers yet");
    if (result < 0)
        lease_free(lease);
    else
        *out = lease;
    return result;
}

static struct lease *find_request(const struct supervisor *supervisor, const char *request_id)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (request_id[0] != '\0' && lease_holds(lease) &&
            strcmp(lease->request_id, request_id) == 0)
            return lease;
    }
    return NULL;
}

static int wait_for(struct lease *lease, void (*done)(void *data, const struct error *error),
    void *data, struct supervisor_lease_wait **out, struct error *error)
{
    struct supervisor *supervisor = lease->supervisor;
    struct supervisor_lease_wait *wait;

    if (supervisor->n_waits >= SUPERVISOR_WAITS_MAX)
        return lease_refuse(error, STATUS_RESOURCE_EXHAUSTED, FLOCKS_ERROR_REASON_LIMIT_REACHED,
            NULL, "too many callers wait");
    wait = malloc(sizeof *wait);
    if (wait == NULL)
        return error_set_errno(error, ENOMEM, "wait for a lease");
    *wait = (struct supervisor_lease_wait){.supervisor = supervisor, .done = done, .data = data};
    list_append(&lease->waits, &wait->link);
    supervisor->n_waits++;
    supervisor->is_lease_turn_due = true;
    *out = wait;
    return 0;
}

/* What waits for its start is paused at once, not at its next look. */
static void recheck_services(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;

    for (size_t i = 0; i < lease->n_services && supervisor->is_reconciled; i++) {
        struct service *service = supervisor_find(supervisor, lease->services[i].name);

        if (service != NULL && service->facts.state == SERVICE_WAITING)
            service_recheck(service);
    }
}

int supervisor_begin_lease(struct supervisor *supervisor,
    const struct supervisor_lease_request *request, char out_id[SUPERVISOR_LEASE_ID_SIZE],
    void (*done)(void *data, const struct error *error), void *data,
    struct supervisor_lease_wait **out, struct error *error)
{
    struct lease *lease = find_request(supervisor, request->request_id);
    bool is_new = lease == NULL;
    int result = 0;

    if (is_new && supervisor->is_leaving)
        return lease_refuse(error, STATUS_FAILED_PRECONDITION, FLOCKS_ERROR_REASON_SHUTTING_DOWN,
            NULL, "the daemon is shutting down");
    if (is_new)
        result = make_lease(supervisor, request, &lease, error);
    if (result < 0)
        return result;
    assert(lease != NULL);
    result = wait_for(lease, done, data, out, error);
    if (result < 0 && is_new)
        lease_free(lease);
    if (result < 0)
        return result;
    memcpy(out_id, lease->id, sizeof lease->id);
    if (!is_new)
        return 0;
    log_info("lease asked for", "id=%s owner=%s services=%zu undo=%zu pid=%d", lease->id,
        lease->owner, lease->n_services, lease->n_undo, (int)request->owner_pid);
    lease_owner_watch(lease, request->owner_pid);
    lease->work = LEASE_WORK_OPEN;
    recheck_services(lease);
    lease_work_run(supervisor);
    return 0;
}

void supervisor_lease_wait_cancel(struct supervisor_lease_wait *wait)
{
    if (wait == NULL)
        return;
    list_remove(&wait->link);
    wait->supervisor->n_waits--;
    free(wait);
}

void lease_drop_waits(struct lease *lease)
{
    LIST_FOR_EACH_SAFE(link, &lease->waits)
    supervisor_lease_wait_cancel(CONTAINER_OF(link, struct supervisor_lease_wait, link));
}

/* ---- telling ---- */

/* Any of them may close the supervisor or begin another lease: each is taken from the list anew. */
static void tell_waiters(struct lease *lease)
{
    struct supervisor *supervisor = lease->supervisor;
    const struct error refusal = lease->refusal;
    bool is_dropped = lease->facts.phase == LEASE_DROPPED;
    struct list pending;

    list_init(&pending);
    list_move_all(&pending, &lease->waits);
    while (!list_is_empty(&pending)) {
        struct supervisor_lease_wait *wait =
            CONTAINER_OF(pending.next, struct supervisor_lease_wait, link);
        void (*done)(void *data, const struct error *error) = wait->done;
        void *data = wait->data;

        supervisor_lease_wait_cancel(wait);
        if (!supervisor->is_closing)
            done(data, is_dropped ? &refusal : NULL);
    }
}

void leases_tell_waiters(struct supervisor *supervisor)
{
    bool again = true;

    while (again && !supervisor->is_closing) {
        again = false;
        LIST_FOR_EACH(link, &supervisor->leases.all)
        {
            struct lease *lease = CONTAINER_OF(link, struct lease, link);

            if (lease->facts.phase == LEASE_OPENING || list_is_empty(&lease->waits))
                continue;
            tell_waiters(lease);
            again = true;
            break;
        }
    }
    LIST_FOR_EACH_SAFE(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->facts.phase == LEASE_DROPPED)
            lease_free(lease);
    }
}
