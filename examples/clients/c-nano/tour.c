/* A tour of flocks without a heap: tour SERVICE. Everything is in static memory, answers are
 * decoded from the socket one service at a time, so that the largest flocks needs no more than the
 * smallest. There are no streams here: progress comes by GetOperation, log and events are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flocks/nano.h>

enum { CALL_MS = 10000, NAME_SIZE = 64 };

static struct flocks_nano nano;
static struct flocks_nano_error error;

/* nanopb keeps no names of enum values; these are the ones that a device shows. */
/* clang-format off */
#define STATE(name) [FLOCKS_SERVICE_STATE_##name] = #name
static const char *const STATES[] = {STATE(STOPPED), STATE(WAITING), STATE(PREPARING),
    STATE(STARTING), STATE(HEALTHY), STATE(DEGRADED), STATE(STOPPING), STATE(BACKOFF),
    STATE(PAUSED), STATE(FAILED), STATE(COMPLETED)};
#define PROGRESS(name) [FLOCKS_OPERATION_STATE_##name] = #name
static const char *const PROGRESS[] = {PROGRESS(QUEUED), PROGRESS(RUNNING), PROGRESS(SUCCEEDED),
    PROGRESS(FAILED), PROGRESS(CANCELLED), PROGRESS(DEADLINE_EXCEEDED), PROGRESS(INTERRUPTED)};
#define CAUSE(name) [FLOCKS_STATE_REASON_##name] = #name
static const char *const CAUSES[] = {CAUSE(REQUESTED), CAUSE(EXITED), CAUSE(SIGNALLED),
    CAUSE(EXEC_FAILED), CAUSE(START_TIMEOUT), CAUSE(PORT_HELD), CAUSE(HEALTH_FAILED)};
#define MISTAKE(name) [FLOCKS_ERROR_REASON_##name] = #name
static const char *const MISTAKES[] = {MISTAKE(UNKNOWN_SERVICE), MISTAKE(LEASE_HELD),
    MISTAKE(LIMIT_REACHED), MISTAKE(SHUTTING_DOWN)};
#define NAME(table, value) name_of(table, sizeof(table) / sizeof *(table), (unsigned)(value))
/* clang-format on */

static const char *name_of(const char *const *names, size_t n_names, unsigned value)
{
    return value < n_names && names[value] != NULL ? names[value] : "?";
}

/* Ends the program unless the call was answered. */
static void check(enum rpc_code code)
{
    if (code == RPC_OK)
        return;
    (void)fprintf(stderr, "tour: %s\n", error.message);
    if (error.has_detail && error.detail.hint[0] != '\0')
        (void)fprintf(stderr, "tour: %s\n", error.detail.hint);
    exit(EXIT_FAILURE);
}

static void show_service(void *data, const flocks_service_status *service)
{
    (void)data;
    printf("status: %s %s, generation %u\n", service->name, NAME(STATES, service->state),
        (unsigned)service->generation);
}

static void show_status(void)
{
    static const flocks_get_status_request all;
    static flocks_get_status_response status;
    check(flocks_nano_get_status(&nano, &all, show_service, NULL, &status, &error));
}

static void show_outcome(void *data, const flocks_service_outcome *outcome)
{
    (void)data;
    printf("restart: %s generation %u -> %u\n", outcome->service,
        (unsigned)outcome->from_generation, (unsigned)outcome->to_generation);
}

static void show_operation(const flocks_operation *operation)
{
    printf("restart: %s, %u of %u\n", NAME(PROGRESS, operation->state),
        (unsigned)operation->steps_done, (unsigned)operation->steps_total);
}

/* Begins and does not wait: the work is the daemon's and would go on without us. */
static void restart(const char *service)
{
    static flocks_restart_services_request request;
    static flocks_restart_services_response begun;
    static flocks_get_operation_request get;
    static flocks_get_operation_response now;
    request.services_count = 1;
    (void)snprintf(request.services[0], NAME_SIZE, "%s", service);
    check(flocks_nano_restart_services(&nano, &request, NULL, NULL, &begun, &error));

    (void)snprintf(get.operation_id, sizeof get.operation_id, "%s", begun.operation.id);
    do {
        check(flocks_nano_get_operation(&nano, &get, NULL, NULL, &now, &error));
        show_operation(&now.operation);
        get.wait = true;
        get.seen_revision = now.revision;
    } while (!now.operation.has_ended_at);
    /* Outcomes are told while an answer is read: once more, now that they are final. */
    check(flocks_nano_get_operation(&nano, &get, show_outcome, NULL, &now, &error));
}

struct exits {
    size_t n;
    flocks_exit_record newest;
};

static void keep_newest(void *data, const flocks_exit_record *record)
{
    struct exits *exits = data;
    if (exits->n++ == 0)
        exits->newest = *record;
}

static void explain(const char *service)
{
    static flocks_explain_service_request request;
    static flocks_explain_service_response why;
    static struct exits exits;
    (void)snprintf(request.service, sizeof request.service, "%s", service);
    check(flocks_nano_explain_service(&nano, &request, keep_newest, &exits, &why, &error));
    printf("explain: %s %s, %s\n", service, NAME(STATES, why.status.state),
        NAME(CAUSES, why.status.reason));
    const flocks_exit_record *last = &exits.newest;
    if (exits.n > 0 && last->which_outcome == flocks_v1_ExitRecord_signal_tag)
        printf("explain: generation %u ended by %s\n", (unsigned)last->generation,
            last->outcome.signal);
    else if (exits.n > 0 && last->which_outcome == flocks_v1_ExitRecord_exit_code_tag)
        printf("explain: generation %u ended with %d\n", (unsigned)last->generation,
            (int)last->outcome.exit_code);
}

/* What a failure brings: a code, a text, and a typed detail. */
static void make_a_mistake(void)
{
    static const flocks_restart_services_request request = {
        .services_count = 1, .services = {"nobody"}};
    static flocks_restart_services_response begun;
    if (flocks_nano_restart_services(&nano, &request, NULL, NULL, &begun, &error) == RPC_OK)
        return;
    printf("mistake: code %d, %s\n", (int)error.code, error.message);
    if (error.has_detail)
        printf("mistake: %s, %s: %s\n", NAME(MISTAKES, error.detail.reason), error.detail.service,
            error.detail.hint);
}

/* $FLOCKS_SOCKET, or the socket of $FLOCKS_ROOT, which is ~/.flocks by default. */
static const char *socket_path(void)
{
    static char path[4096];
    const char *socket = getenv("FLOCKS_SOCKET");
    const char *root = getenv("FLOCKS_ROOT");
    const char *home = getenv("HOME");
    if (socket != NULL)
        return socket;
    if (root != NULL)
        (void)snprintf(path, sizeof path, "%s/run/flocksd.sock", root);
    else
        (void)snprintf(path, sizeof path, "%s/.flocks/run/flocksd.sock", home != NULL ? home : "");
    return path;
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    /* Or stdio would take its buffer from the heap. */
    (void)setvbuf(stdout, output, _IOLBF, sizeof output);
    if (argc != 2 || strlen(argv[1]) >= NAME_SIZE) {
        (void)fputs("usage: tour SERVICE\n", stderr);
        return 2;
    }
    check(flocks_nano_connect(&nano, socket_path(), CALL_MS, &error));
    show_status();
    restart(argv[1]);
    explain(argv[1]);
    make_a_mistake();
    flocks_nano_close(&nano);
    return EXIT_SUCCESS;
}
