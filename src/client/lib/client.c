/* The flocks client: its life, and blocking calls with their repetition. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "crpc/limits.h"

/* ---- life ---- */

struct flocks_client *flocks_client_new(
    const struct flocks_client_options *options, struct flocks_error **error)
{
    static const struct flocks_client_options DEFAULTS = {.socket = NULL};
    if (options == NULL)
        options = &DEFAULTS;
    struct flocks_error *failure = NULL;
    struct flocks_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        (void)failure_make(&failure, RPC_RESOURCE_EXHAUSTED, "no memory for a client");
    if (client == NULL || reach_init(&client->reach, options, &failure) != RPC_DONE) {
        free(client);
        (void)failure_hand_over(failure, error);
        return NULL;
    }
    client->is_running = options->is_running;
    client->data = options->data;
    client->epoll_fd = client->timer_fd = -1;
    list_init(&client->links);
    list_init(&client->pending);
    return client;
}

void flocks_client_free(struct flocks_client *client)
{
    if (client == NULL)
        return;
    if (client->is_driven)
        drive_end(client);
    rpc_client_close(client->rpc);
    reach_deinit(&client->reach);
    free(client);
}

const char *flocks_client_socket(const struct flocks_client *client)
{
    return client->reach.text;
}

/* ---- shared ---- */

int64_t client_left_ms(int64_t deadline_at)
{
    return deadline_at == CLOCK_NEVER ? CLOCK_NEVER : deadline_at - clock_monotonic_ms();
}

bool client_is_running(const struct flocks_client *client)
{
    return client->is_running == NULL || client->is_running(client->data);
}

enum rpc_result client_refuse_mode(
    const struct flocks_client *client, const struct rpc_method *method, struct flocks_error **out)
{
    return failure_make(out, RPC_FAILED_PRECONDITION, "calling %s: the client is %s", method->name,
        client->is_driven ? "driven by a loop, nothing may wait" : "not driven by a loop");
}

bool client_is_stale(const struct rpc_client *rpc)
{
    /* Not by reading: a late answer, or an error that is told once, may come before the end. */
    struct pollfd ready = {.fd = rpc_client_fd(rpc), .events = POLLRDHUP};
    return !rpc_client_is_alive(rpc) || poll(&ready, 1, 0) > 0;
}

bool client_is_final(const struct flocks_error *error)
{
    return error->code != RPC_UNAVAILABLE || error->is_not_running;
}

static size_t size_of_texts(const struct rpc_pair *pairs, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += strlen(pairs[i].key) + strlen(pairs[i].value) + 2;
    return size;
}

static void copy_pair(struct rpc_pair *pair, const struct rpc_pair *from, char **text)
{
    pair->key = *text;
    *text = stpcpy(*text, from->key) + 1;
    pair->value = *text;
    *text = stpcpy(*text, from->value) + 1;
}

enum rpc_result client_copy_metadata(struct flocks_client *client,
    const struct rpc_options *options, struct rpc_pair **out, size_t *out_n,
    struct flocks_error **error)
{
    const struct token *token = NULL;
    char bearer[sizeof "Bearer " + TOKEN_DIGITS] = "";
    const struct rpc_pair entry = {.key = "authorization", .value = bearer};
    size_t n = options == NULL ? 0 : options->n_metadata;
    *out = NULL;
    *out_n = 0;
    if (reach_token(&client->reach, &token, error) != RPC_DONE)
        return RPC_ERROR;
    if (token != NULL)
        (void)snprintf(bearer, sizeof bearer, "Bearer %s", token->digits);
    size_t n_all = n + (token != NULL);
    if (n_all == 0)
        return RPC_DONE;
    size_t size = n_all * sizeof **out + size_of_texts(&entry, token != NULL);
    if (n > 0)
        size += size_of_texts(options->metadata, n);
    struct rpc_pair *pairs = malloc(size);
    if (pairs == NULL)
        return failure_make(error, RPC_RESOURCE_EXHAUSTED, "no memory for metadata");
    char *text = (char *)(pairs + n_all);
    for (size_t i = 0; i < n; i++)
        copy_pair(&pairs[i], &options->metadata[i], &text);
    if (token != NULL)
        copy_pair(&pairs[n], &entry, &text);
    *out = pairs;
    *out_n = n_all;
    return RPC_DONE;
}

/* ---- one attempt ---- */

static void disconnect(struct flocks_client *client)
{
    rpc_client_close(client->rpc);
    client->rpc = NULL;
}

static enum rpc_result attempt(struct flocks_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, bool *out_was_sent, struct rpc_error **error)
{
    *out_was_sent = false;
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), options->timeout_ms);
    if (client->rpc != NULL && client_is_stale(client->rpc))
        disconnect(client);
    if (client->rpc == NULL)
        client->rpc = reach_connect(&client->reach, options->timeout_ms, error);
    if (client->rpc == NULL)
        return RPC_ERROR;
    struct rpc_options left = *options;
    /* What connecting took away; the call itself then says that the deadline has passed. */
    left.timeout_ms = client_left_ms(deadline_at);
    if (left.timeout_ms <= 0)
        left.timeout_ms = 1;
    *out_was_sent = true;
    enum rpc_result result = rpc_client_call(client->rpc, method, &left, request, out, error);
    /* The connection is gone, or about to be: the next attempt makes its own. */
    if (result != RPC_DONE && (*error)->code == RPC_UNAVAILABLE)
        disconnect(client);
    if (result != RPC_DONE)
        reach_note_code(&client->reach, (*error)->code);
    return result;
}

/* ---- repetition ---- */

static void pause_ms(int64_t wait_ms)
{
    if (wait_ms > 0)
        (void)poll(NULL, 0, (int)wait_ms);
}

/* What to do after a failed attempt. RPC_AGAIN: the next one. Consumes `last` unless it answers
 * that, in which case it waits. */
static enum rpc_result consider(struct flocks_client *client, const struct rpc_method *method,
    bool may_repeat, int64_t deadline_at, int64_t wait_ms, struct rpc_error *last,
    struct flocks_error **error)
{
    if (last->code != RPC_UNAVAILABLE || !may_repeat)
        return failure_from(last, error);
    if (!client_is_running(client)) {
        rpc_error_free(last);
        return failure_not_running(client->reach.text, error);
    }
    if (client_left_ms(deadline_at) <= wait_ms) {
        (void)failure_late(method, last->message, error);
        rpc_error_free(last);
        return RPC_ERROR;
    }
    rpc_error_free(last);
    pause_ms(wait_ms);
    return RPC_AGAIN;
}

/* Until it is answered, or the deadline has passed, or it may not be repeated. */
static enum rpc_result call(struct flocks_client *client, const struct rpc_method *method,
    struct rpc_options attempted, const ProtobufCMessage *request, const ProtobufCMessage **out,
    struct flocks_error **error)
{
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), attempted.timeout_ms);
    bool is_harmless = repeat_is_harmless(method, request);
    for (int64_t wait_ms = 0;; wait_ms = repeat_longer_wait_ms(wait_ms)) {
        struct rpc_error *last = NULL;
        bool was_sent = false;
        if (attempt(client, method, &attempted, request, out, &was_sent, &last) == RPC_DONE)
            return RPC_DONE;
        bool may_repeat = !was_sent || is_harmless;
        if (consider(client, method, may_repeat, deadline_at, wait_ms, last, error) != RPC_AGAIN)
            return RPC_ERROR;
        attempted.timeout_ms = client_left_ms(deadline_at);
        if (attempted.timeout_ms <= 0)
            return failure_late(method, NULL, error);
    }
}

enum rpc_result flocks_client_call(struct flocks_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct flocks_error **error)
{
    *out = NULL;
    if (client->is_driven)
        return client_refuse_mode(client, method, error);
    struct rpc_options attempted = {.timeout_ms = RPC_CLIENT_TIMEOUT_MS};
    if (options != NULL)
        attempted = *options;
    if (attempted.timeout_ms <= 0)
        attempted.timeout_ms = RPC_CLIENT_TIMEOUT_MS;
    if (!client->reach.is_tcp)
        return call(client, method, attempted, request, out, error);
    struct rpc_pair *metadata = NULL;
    if (client_copy_metadata(client, options, &metadata, &attempted.n_metadata, error) != RPC_DONE)
        return RPC_ERROR;
    attempted.metadata = metadata;
    enum rpc_result result = call(client, method, attempted, request, out, error);
    free(metadata);
    return result;
}
