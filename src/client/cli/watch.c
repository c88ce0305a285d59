#include "client/cli/watch.h"

#include <unistd.h>

#include "client/cli/daemon.h"
#include "client/cli/poll_until.h"
#include "client/cli/report.h"
#include "common/base/clock.h"

enum { MS_PER_S = 1000 };

int watch_open(struct watch *watch, const struct cli *cli, struct error *error)
{
    struct flocks_error *failure = NULL;
    *watch = (struct watch){.cli = cli, .client = daemon_new_client(cli, error)};
    if (!watch->client)
        return -(int)error->code;
    if (flocks_client_drive(watch->client, &failure) == RPC_DONE)
        return 0;
    int result = daemon_take_failure(failure, error);
    flocks_error_free(failure);
    watch_close(watch);
    return result;
}

void watch_close(struct watch *watch)
{
    flocks_client_free(watch->client);
    watch->client = NULL;
}

enum watch_wake watch_wait(struct watch *watch, int64_t due_at)
{
    struct pollfd fds[] = {{.fd = flocks_client_fd(watch->client), .events = POLLIN},
        {.fd = watch->needs_reader ? STDOUT_FILENO : -1, .events = 0}};
    int n = poll_until(fds, ARRAY_LENGTH(fds), due_at, watch->mask);
    if (n < 0)
        return WATCH_SIGNAL;
    if (n > 0 && (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return WATCH_READER_GONE;
    if (n == 0)
        return WATCH_DUE;
    flocks_client_process(watch->client);
    return WATCH_NEWS;
}

int watch_end_of(const struct flocks_error *failure, struct error *error)
{
    if (!failure)
        return 0;
    return failure->is_not_running ? DAEMON_NOT_RUNNING : daemon_take_failure(failure, error);
}

int watch_begin_events(struct watch *watch, const char *const *names, size_t n_names,
    const char *after, const struct flocks_client_watch_events_hooks *hooks, void *data,
    struct flocks_stream **out, struct error *error)
{
    /* protobuf-c's lists are not const although nobody changes them. */
    const union {
        const char *const *constant;
        const char **list;
    } services = {.constant = names};
    struct flocks_error *failure = NULL;
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    request.after = after;
    request.services = services.list;
    request.n_services = n_names;
    const struct rpc_options call = {.timeout_ms = cli_timeout_ms(watch->cli, 0)};
    *out = flocks_client_watch_events_watch(watch->client, &call, &request, hooks, data, &failure);
    if (*out)
        return 0;
    int result = daemon_take_failure(failure, error);
    flocks_error_free(failure);
    return result;
}

int watch_refuse_late(const struct watch *watch, struct error *error)
{
    return error_set(error, STATUS_DEADLINE_EXCEEDED,
        "watching the events of the daemon at %s: no answer within %d s",
        flocks_client_socket(watch->client), DAEMON_ANSWER_MS / MS_PER_S);
}

/* A daemon that does not know the method is asked for its revision. */
enum outcome watch_report_end(const struct cli *cli, int result, struct error *error)
{
    struct daemon daemon;
    if (result == DAEMON_NOT_RUNNING)
        return report_not_running(cli);
    if (result == 0)
        return OUTCOME_DONE;
    if (daemon_open(&daemon, cli, DAEMON_ANSWER_MS, NULL) < 0)
        return report_error(cli, error);
    enum outcome outcome = daemon_report(&daemon, error);
    daemon_close(&daemon);
    return outcome;
}
