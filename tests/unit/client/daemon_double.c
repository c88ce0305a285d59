#include "daemon_double.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flocks/v1/supervisor.server.h"

#include "crpc/listener.h"
#include "unit.h"

static char directory[] = "/tmp/flocks-double-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listening_fd = -1;
static pid_t child;
/* In the child. */
static struct daemon_script script;
static unsigned n_said;

/* ---- handlers ---- */

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    (void)request;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = "token";
    flocks_get_status_reply(call, &response);
}

static void stop_services(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    (void)self;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = FLOCKS__V1__ERROR_REASON__ERROR_REASON_UNKNOWN_SERVICE;
    detail.service = request->services[0];
    detail.hint = "see flocks status";
    rpc_call_fail(flocks_stop_services_base(call), RPC_NOT_FOUND, &detail.base,
        "there is no service %s", request->services[0]);
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)self;
    (void)call;
    (void)request;
}

static void shut_down(
    void *self, struct flocks_shutdown_call *call, const flocks_shutdown_request *request)
{
    (void)self;
    (void)call;
    (void)request;
    _exit(0);
}

/* A stream that counts. */
struct counter {
    unsigned number;
    unsigned last;
    bool fails;
};

static struct counter *new_counter(const char *after)
{
    struct counter *counter = calloc(1, sizeof *counter);
    counter->number = (unsigned)strtoul(after, NULL, 10);
    counter->last = script.last == 0 ? 1 : script.last;
    return counter;
}

static bool is_done(void)
{
    return script.n_said_max > 0 && n_said >= script.n_said_max;
}

/* The next number as text; NULL: end_of. */
static const char *count(struct counter *counter)
{
    static char text[16];
    if (counter->number >= counter->last || is_done())
        return NULL;
    n_said++;
    (void)snprintf(text, sizeof text, "%u", ++counter->number);
    return text;
}

static enum rpc_pull end_of(const struct counter *counter)
{
    bool is_at_end = script.last > 0 && counter->number >= counter->last;
    return is_at_end ? RPC_PULL_DONE : RPC_PULL_LATER;
}

static void forget(void *state, enum rpc_code code)
{
    (void)code;
    free(state);
}

static enum rpc_pull next_event(void *state, struct flocks_watch_events_call *call)
{
    flocks_watch_events_response event = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    event.token = count(state);
    if (event.token == NULL)
        return end_of(state);
    (void)flocks_watch_events_send(call, &event);
    return RPC_PULL_SENT;
}

static void watch_events(
    void *self, struct flocks_watch_events_call *call, const flocks_watch_events_request *request)
{
    (void)self;
    static const struct flocks_watch_events_stream STREAM = {.next = next_event, .closed = forget};
    flocks_watch_events_begin(call, &STREAM, new_counter(request->after));
}

static enum rpc_pull next_log(void *state, struct flocks_read_logs_call *call)
{
    struct counter *counter = state;
    if (counter->fails && counter->number > 0) {
        rpc_call_fail(flocks_read_logs_base(call), RPC_ABORTED, NULL, "the log is torn");
        return RPC_PULL_DONE;
    }
    flocks_read_logs_response log = FLOCKS_READ_LOGS_RESPONSE_INIT;
    log.token = count(counter);
    if (log.token == NULL)
        return end_of(state);
    (void)flocks_read_logs_send(call, &log);
    return RPC_PULL_SENT;
}

static void read_logs(
    void *self, struct flocks_read_logs_call *call, const flocks_read_logs_request *request)
{
    (void)self;
    static const struct flocks_read_logs_stream STREAM = {.next = next_log, .closed = forget};
    bool is_after = request->start_case == FLOCKS__V1__READ_LOGS_REQUEST__START_AFTER;
    struct counter *counter = new_counter(is_after ? request->after : "0");
    counter->fails = request->daemon;
    flocks_read_logs_begin(call, &STREAM, counter);
}

static enum rpc_pull next_operation(void *state, struct flocks_watch_operation_call *call)
{
    flocks_watch_operation_response response = FLOCKS_WATCH_OPERATION_RESPONSE_INIT;
    response.revision = 1;
    if (count(state) == NULL)
        return RPC_PULL_LATER;
    (void)flocks_watch_operation_send(call, &response);
    return RPC_PULL_SENT;
}

static void watch_operation(void *self, struct flocks_watch_operation_call *call,
    const flocks_watch_operation_request *request)
{
    (void)self;
    (void)request;
    static const struct flocks_watch_operation_stream STREAM = {
        .next = next_operation, .closed = forget};
    flocks_watch_operation_begin(call, &STREAM, new_counter("0"));
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_status = get_status,
    .stop_services = stop_services,
    .get_operation = get_operation,
    .watch_events = watch_events,
    .read_logs = read_logs,
    .watch_operation = watch_operation,
    .shutdown = shut_down,
};

/* ---- the process ---- */

static void serve(void)
{
    for (int i = 0; i < script.n_dropped; i++) {
        int fd = accept(listening_fd, NULL, NULL);
        char byte;
        /* Not before the request has come: it was sent, and lost. */
        (void)!read(fd, &byte, 1);
        (void)close(fd);
    }
    struct rpc_listener *listener = rpc_listener_new(NULL, NULL);
    struct rpc_service service = flocks_supervisor_service(&HANDLERS, NULL);
    if (listener == NULL || rpc_listener_add(listener, &service) != RPC_OK ||
        rpc_listener_take_listening_fd(listener, listening_fd, NULL) != RPC_DONE)
        _exit(3);
    _exit(rpc_listener_run(listener, NULL) == RPC_DONE ? 0 : 4);
}

void double_run(const struct daemon_script *wanted)
{
    assert_int_equal(child, 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        script = *wanted;
        serve();
    }
}

void double_kill(void)
{
    if (child <= 0)
        return;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    child = 0;
}

/* ---- the place ---- */

void double_make_place(void)
{
    strcpy(directory + sizeof directory - 7, "XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
}

void double_remove_place(void)
{
    double_kill();
    double_stop_listening();
    (void)rmdir(directory);
}

const char *double_path(void)
{
    return address.sun_path;
}

void double_listen(void)
{
    listening_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening_fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening_fd, 8), 0);
}

void double_stop_listening(void)
{
    if (listening_fd >= 0)
        (void)close(listening_fd);
    listening_fd = -1;
    (void)unlink(address.sun_path);
}
