/* A tour of flocks with libflocks: tour SERVICE. The library finds the socket ($FLOCKS_SOCKET, or
 * that of $FLOCKS_ROOT), connects when it has to, and takes streams up again behind the last
 * message when the daemon is replaced in the middle of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flocks/calls.h>

enum { LINES = 5 };

/* Of every call, and of every stream from its first to its last message. */
static const struct rpc_options TEN_SECONDS = {.timeout_ms = 10000};
static const struct rpc_options A_MINUTE = {.timeout_ms = 60000};

static struct flocks_client *client;

/* Ends the program unless `result` says that the call was answered, or that its stream goes on. */
static bool check(enum rpc_result result, struct flocks_error **error)
{
    if (result == RPC_DONE)
        return true;
    if (result == RPC_END)
        return false;
    (void)fprintf(stderr, "tour: %s\n", (*error)->message);
    if ((*error)->detail != NULL && (*error)->detail->hint[0] != '\0')
        (void)fprintf(stderr, "tour: %s\n", (*error)->detail->hint);
    flocks_error_free(*error);
    exit(EXIT_FAILURE);
}

static struct flocks_stream *opened(struct flocks_stream *stream, struct flocks_error **error)
{
    (void)check(stream != NULL ? RPC_DONE : RPC_ERROR, error);
    return stream;
}

static const char *state_of(const flocks_service_status *service)
{
    return flocks_service_state_name(flocks_service_state_from(service->state));
}

/* Every service; the answer is the caller's. */
static const flocks_get_status_response *show_status(void)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    (void)check(flocks_client_get_status(client, &TEN_SECONDS, &request, &status, &error), &error);
    for (size_t i = 0; i < status->n_services; i++)
        printf("status: %s %s, generation %u\n", status->services[i]->name,
            state_of(status->services[i]), (unsigned)status->services[i]->generation);
    return status;
}

static void show_operation(const flocks_operation *operation)
{
    printf("restart: %s, %u of %u\n",
        flocks_operation_state_name(flocks_operation_state_from(operation->state)),
        (unsigned)operation->steps_done, (unsigned)operation->steps_total);
    for (size_t i = 0; i < operation->n_outcomes && operation->ended_at != NULL; i++)
        printf("restart: %s generation %u -> %u\n", operation->outcomes[i]->service,
            (unsigned)operation->outcomes[i]->from_generation,
            (unsigned)operation->outcomes[i]->to_generation);
}

/* The work is the daemon's: it would go on without us. */
static void restart(const char *service)
{
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    request.services = &service;
    request.n_services = 1;
    const flocks_restart_services_response *begun = NULL;
    struct flocks_error *error = NULL;
    (void)check(
        flocks_client_restart_services(client, &TEN_SECONDS, &request, &begun, &error), &error);

    flocks_watch_operation_request watch = FLOCKS_WATCH_OPERATION_REQUEST_INIT;
    watch.operation_id = begun->operation->id;
    struct flocks_stream *stream =
        opened(flocks_client_watch_operation(client, &A_MINUTE, &watch, &error), &error);
    const flocks_watch_operation_response *change = NULL;
    while (check(flocks_client_watch_operation_next(stream, &change, &error), &error)) {
        show_operation(change->operation);
        rpc_message_free(&change->base);
    }
    flocks_stream_close(stream);
    rpc_message_free(&begun->base);
}

/* Whole lines, as many as are still wanted; the number that was shown. */
static int show_lines(const char *text, size_t len, int wanted)
{
    int n = 0;
    while (len > 0 && n < wanted) {
        const char *end = memchr(text, '\n', len);
        size_t line = end != NULL ? (size_t)(end - text) : len;
        printf("log: %.*s\n", (int)line, text);
        size_t step = end != NULL ? line + 1 : line;
        text += step;
        len -= step;
        n++;
    }
    return n;
}

static void follow_log(const char *service)
{
    flocks_read_logs_request request = FLOCKS_READ_LOGS_REQUEST_INIT;
    request.services = &service;
    request.n_services = 1;
    request.start_case = FLOCKS__V1__READ_LOGS_REQUEST__START_TAIL;
    request.tail = 2;
    request.follow = true;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream =
        opened(flocks_client_read_logs(client, &A_MINUTE, &request, &error), &error);
    const flocks_read_logs_response *piece = NULL;
    int n = 0;
    while (n < LINES && check(flocks_client_read_logs_next(stream, &piece, &error), &error)) {
        n += show_lines((const char *)piece->data.data, piece->data.len, LINES - n);
        rpc_message_free(&piece->base);
    }
    flocks_stream_close(stream);
}

/* Everything since `token`, until the service is healthy in another generation than `old`. */
static void watch_events(const char *service, const char *token, uint32_t old)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    request.after = token;
    request.services = &service;
    request.n_services = 1;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream =
        opened(flocks_client_watch_events(client, &A_MINUTE, &request, &error), &error);
    const flocks_watch_events_response *item = NULL;
    bool is_seen = false;
    while (!is_seen && check(flocks_client_watch_events_next(stream, &item, &error), &error)) {
        if (item->item_case == FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT &&
            item->event->kind_case == FLOCKS__V1__EVENT__KIND_SERVICE) {
            const flocks_service_status *now = item->event->service->status;
            printf("event: %s %s, generation %u\n", now->name, state_of(now),
                (unsigned)now->generation);
            is_seen = flocks_service_state_from(now->state) == FLOCKS_SERVICE_STATE_HEALTHY &&
                      now->generation > old;
        }
        rpc_message_free(&item->base);
    }
    flocks_stream_close(stream);
}

static void explain(const char *service)
{
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    request.service = service;
    const flocks_explain_service_response *why = NULL;
    struct flocks_error *error = NULL;
    (void)check(
        flocks_client_explain_service(client, &TEN_SECONDS, &request, &why, &error), &error);
    printf("explain: %s %s, %s\n", service, state_of(why->status),
        flocks_state_reason_name(flocks_state_reason_from(why->status->reason)));
    const flocks_exit_record *last = why->n_exits > 0 ? why->exits[0] : NULL;
    if (last != NULL && last->outcome_case == FLOCKS__V1__EXIT_RECORD__OUTCOME_SIGNAL)
        printf("explain: generation %u ended by %s\n", (unsigned)last->generation, last->signal);
    else if (last != NULL && last->outcome_case == FLOCKS__V1__EXIT_RECORD__OUTCOME_EXIT_CODE)
        printf("explain: generation %u ended with %d\n", (unsigned)last->generation,
            (int)last->exit_code);
    rpc_message_free(&why->base);
}

/* What a failure brings: a code, a text, and a typed detail. */
static void make_a_mistake(void)
{
    const char *nobody = "nobody";
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    request.services = &nobody;
    request.n_services = 1;
    const flocks_restart_services_response *begun = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_restart_services(client, &TEN_SECONDS, &request, &begun, &error) == RPC_DONE)
        return;
    printf("mistake: code %d, %s\n", (int)error->code, error->message);
    if (error->detail != NULL)
        printf("mistake: %s, %s: %s\n",
            flocks_error_reason_name(flocks_error_reason_from(error->detail->reason)),
            error->detail->service, error->detail->hint);
    flocks_error_free(error);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fputs("usage: tour SERVICE\n", stderr);
        return 2;
    }
    const char *service = argv[1];
    struct flocks_error *error = NULL;
    client = flocks_client_new(NULL, &error);
    (void)check(client != NULL ? RPC_DONE : RPC_ERROR, &error);

    const flocks_get_status_response *before = show_status();
    uint32_t generation = 0;
    for (size_t i = 0; i < before->n_services; i++)
        if (strcmp(before->services[i]->name, service) == 0)
            generation = before->services[i]->generation;
    restart(service);
    follow_log(service);
    watch_events(service, before->event_token, generation);
    explain(service);
    make_a_mistake();
    rpc_message_free(&before->base);
    flocks_client_free(client);
    return EXIT_SUCCESS;
}
