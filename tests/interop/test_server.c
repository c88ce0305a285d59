/* grpc_test_server SOCKET: the gRPC interop service on our engine, for clients that others have
 * written. It is a whole server in one thread: crpc/listener.h inside a loop that has timers, too.
 * Says "ready" when it serves, ends with SIGTERM. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/rpc/listener_parts.h"
#include "tests/interop/server/services.h"

static struct test_server server;

size_t test_server_held_bytes(const struct test_server *of)
{
    size_t held = 0;
    LIST_FOR_EACH(link, &of->listener->connections)
    {
        const struct listener_connection *connection =
            CONTAINER_OF(link, struct listener_connection, link);
        if (connection->rpc != NULL)
            held += rpc_connection_held_bytes(connection->rpc);
    }
    return held;
}

static volatile sig_atomic_t is_stop_asked;

static void on_signal(int number)
{
    (void)number;
    is_stop_asked = 1;
}

/* SIGTERM and SIGINT are seen while we wait for work, and nowhere else. Answers the mask that this
 * takes. */
static sigset_t catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours;
    sigset_t others;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ours, &others);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    return others;
}

static int complain(struct rpc_error *error)
{
    fprintf(stderr, "grpc_test_server: %s\n", error->message);
    rpc_error_free(error);
    return 1;
}

static int64_t next_at_ns(void)
{
    int64_t delays_at = delays_next_at(&server.delays);
    int64_t listener_at_ms = rpc_listener_next_at(server.listener);
    if (listener_at_ms > delays_at / 1000000)
        return delays_at;
    return listener_at_ms * 1000000;
}

/* Until the listener has something to do, a time has come, or a signal. */
static void wait_for_work(const sigset_t *signals)
{
    struct pollfd listener = {.fd = rpc_listener_fd(server.listener), .events = POLLIN};
    int64_t at_ns = next_at_ns();
    int64_t left_ns = at_ns - clock_monotonic_ns();
    if (left_ns < 0)
        left_ns = 0;
    const struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    (void)!ppoll(&listener, 1, at_ns == INT64_MAX ? NULL : &left, signals);
    if (is_stop_asked) {
        is_stop_asked = 0;
        rpc_listener_stop(server.listener);
    }
}

static enum rpc_result serve(const sigset_t *signals, struct rpc_error **error)
{
    enum rpc_result result;
    do {
        wait_for_work(signals);
        delays_run(&server.delays, clock_monotonic_ns());
        result = rpc_listener_process(server.listener, error);
    } while (result == RPC_DONE);
    return result == RPC_END ? RPC_DONE : result;
}

static int run(const char *path)
{
    struct rpc_error *error = NULL;
    const struct rpc_service services[] = {test_service(&server), mirror_service(&server)};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        if (rpc_listener_add(server.listener, &services[i]) != RPC_OK)
            return 1;
    }
    if (rpc_listener_bind(server.listener, path, 0600, &error) != RPC_DONE)
        return complain(error);
    const sigset_t signals = catch_signals();
    puts("ready");
    (void)fflush(stdout);
    return serve(&signals, &error) == RPC_DONE ? 0 : complain(error);
}

static void report_refusal(void *data, const struct rpc_peer *peer, const char *reason)
{
    (void)data;
    printf("closed %d %s\n", (int)peer->pid, reason);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct rpc_listener_options options = {.refused = report_refusal};
    struct rpc_error *error = NULL;
    if (argc != 2) {
        fputs("usage: grpc_test_server SOCKET\n", stderr);
        return 2;
    }
    delays_init(&server.delays);
    tally_init(&server.tally);
    server.listener = rpc_listener_new(&options, &error);
    if (server.listener == NULL)
        return complain(error);
    int status = run(argv[1]);
    rpc_listener_free(server.listener);
    return status;
}
