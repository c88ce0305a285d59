/* Unary calls of a driven client: sent when there is a connection, repeated where that is harmless,
 * answered once. */
#include <stdlib.h>

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "crpc/limits.h"

static void free_pending(struct flocks_pending *pending)
{
    list_remove(&pending->in_pending);
    if (pending->rpc != NULL) {
        rpc_pending_cancel(pending->rpc);
        pending->client->link->n_calls--;
    }
    rpc_message_free(pending->request);
    free(pending->metadata);
    free(pending);
}

/* Gone before the callback runs: that may begin the next one, or cancel all that are left. */
static void conclude(struct flocks_pending *pending, const struct flocks_error *error,
    const ProtobufCMessage *response)
{
    flocks_deliver_fn deliver = pending->deliver;
    rpc_typed_fn typed = pending->typed;
    void *data = pending->data;
    free_pending(pending);
    deliver(typed, data, error, response);
}

static void take_answer(
    rpc_typed_fn typed, void *data, const struct rpc_error *error, const ProtobufCMessage *response)
{
    (void)typed;
    struct flocks_pending *pending = data;
    struct link *link = pending->client->link;
    pending->rpc = NULL;
    link->n_calls--;
    if (error == NULL) {
        link_note_success(link);
        conclude(pending, NULL, response);
        return;
    }
    if (error->code == RPC_UNAVAILABLE && pending->is_harmless) {
        link_note_failure(link, error);
        return;
    }
    reach_note_code(&pending->client->reach, error->code);
    struct flocks_error *failure = NULL;
    (void)failure_of(error, &failure);
    conclude(pending, failure, NULL);
    flocks_error_free(failure);
}

/* RPC_DONE: on its way. RPC_AGAIN: nobody takes it now. Else *error, which is final. */
static enum rpc_result start(struct flocks_pending *pending, struct flocks_error **error)
{
    struct link *link = pending->client->link;
    int64_t left_ms = client_left_ms(pending->deadline_at);
    const struct rpc_options options = {
        .timeout_ms = left_ms <= 0 ? 1 : left_ms,
        .metadata = pending->metadata,
        .n_metadata = pending->n_metadata,
    };
    struct rpc_error *failure = NULL;
    pending->rpc = rpc_client_begin(link->rpc, pending->method, &options, pending->request,
        take_answer, NULL, pending, &failure);
    if (pending->rpc != NULL) {
        link->n_calls++;
        return RPC_DONE;
    }
    if (failure->code != RPC_UNAVAILABLE)
        return failure_from(failure, error);
    link_note_failure(link, failure);
    rpc_error_free(failure);
    return RPC_AGAIN;
}

/* Runs `visit` for every call that waits; it may conclude it, and callbacks any other. */
static void visit_waiting(struct flocks_client *client,
    void (*visit)(struct flocks_pending *pending, const void *data), const void *data)
{
    struct list all;
    list_init(&all);
    list_move_all(&all, &client->pending);
    while (!list_is_empty(&all)) {
        struct flocks_pending *pending = CONTAINER_OF(all.next, struct flocks_pending, in_pending);
        list_remove(&pending->in_pending);
        list_append(&client->pending, &pending->in_pending);
        if (pending->rpc == NULL)
            visit(pending, data);
    }
}

static void go_on(struct flocks_pending *pending, const void *data)
{
    const struct flocks_error *failure = data;
    if (failure != NULL) {
        conclude(pending, failure, NULL);
        return;
    }
    struct flocks_error *error = NULL;
    if (start(pending, &error) != RPC_ERROR)
        return;
    conclude(pending, error, NULL);
    flocks_error_free(error);
}

static bool has_waiting(const struct flocks_client *client)
{
    LIST_FOR_EACH(link, &client->pending)
    {
        if (CONTAINER_OF(link, struct flocks_pending, in_pending)->rpc == NULL)
            return true;
    }
    return false;
}

void drive_call_up(struct link *link, const struct flocks_error *failure)
{
    struct flocks_client *client = link->client;
    if (failure == NULL || client_is_final(failure)) {
        /* The callbacks may make the link forget its own. */
        struct flocks_error *kept = NULL;
        if (failure != NULL)
            (void)failure_copy(failure, &kept);
        visit_waiting(client, go_on, kept);
        flocks_error_free(kept);
    }
    if (!has_waiting(client))
        link->retry_at = CLOCK_NEVER;
}

/* ---- time ---- */

static void end_late(struct flocks_pending *pending, const void *data)
{
    const int64_t *now_ms = data;
    if (pending->deadline_at > *now_ms)
        return;
    const struct flocks_error *last = pending->client->link->last;
    struct flocks_error *error = NULL;
    (void)failure_late(pending->method, last == NULL ? NULL : last->message, &error);
    conclude(pending, error, NULL);
    flocks_error_free(error);
}

void drive_call_expire(struct flocks_client *client, int64_t now_ms)
{
    if (drive_call_next_at(client) <= now_ms)
        visit_waiting(client, end_late, &now_ms);
}

int64_t drive_call_next_at(const struct flocks_client *client)
{
    int64_t next_at = CLOCK_NEVER;
    LIST_FOR_EACH(link, &client->pending)
    {
        const struct flocks_pending *pending =
            CONTAINER_OF(link, struct flocks_pending, in_pending);
        if (pending->rpc == NULL && pending->deadline_at < next_at)
            next_at = pending->deadline_at;
    }
    return next_at;
}

/* ---- beginning and giving up ---- */

static void refuse_memory(const struct rpc_method *method, struct flocks_error **error)
{
    (void)failure_make(
        error, RPC_RESOURCE_EXHAUSTED, "calling %s: no memory for a call", method->name);
}

static struct flocks_pending *new_pending(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, struct flocks_error **error)
{
    struct flocks_pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL) {
        refuse_memory(method, error);
        return NULL;
    }
    list_init(&pending->in_pending);
    pending->client = client;
    pending->method = method;
    pending->request = resume_clone(request);
    if (pending->request == NULL)
        refuse_memory(method, error);
    if (pending->request == NULL || client_copy_metadata(client, options, &pending->metadata,
                                        &pending->n_metadata, error) != RPC_DONE) {
        free_pending(pending);
        return NULL;
    }
    int64_t timeout_ms =
        options == NULL || options->timeout_ms <= 0 ? RPC_CLIENT_TIMEOUT_MS : options->timeout_ms;
    pending->deadline_at = clock_add_ms(clock_monotonic_ms(), timeout_ms);
    pending->is_harmless = repeat_is_harmless(method, request);
    return pending;
}

struct flocks_pending *flocks_client_begin(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, flocks_deliver_fn deliver, rpc_typed_fn typed, void *data,
    struct flocks_error **error)
{
    if (!client->is_driven) {
        (void)client_refuse_mode(client, method, error);
        return NULL;
    }
    struct flocks_pending *pending = new_pending(client, method, options, request, error);
    if (pending == NULL)
        return NULL;
    pending->deliver = deliver;
    pending->typed = typed;
    pending->data = data;
    list_append(&client->pending, &pending->in_pending);
    struct link *link = client->link;
    if (link->rpc == NULL || link->retry_at != CLOCK_NEVER || client_is_stale(link->rpc)) {
        link_want(link);
    } else if (start(pending, error) == RPC_ERROR) {
        free_pending(pending);
        return NULL;
    }
    drive_arm(client);
    return pending;
}

void flocks_pending_cancel(struct flocks_pending *pending)
{
    struct flocks_client *client = pending->client;
    free_pending(pending);
    drive_arm(client);
}

void drive_call_drop_all(struct flocks_client *client)
{
    LIST_FOR_EACH_SAFE(link, &client->pending)
    free_pending(CONTAINER_OF(link, struct flocks_pending, in_pending));
}
