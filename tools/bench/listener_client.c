/* Lets a service close its listener, and prints how long it took until this is known: two times a
 * line, in nanoseconds from just before the close. First until the kernel's message about it is in
 * our own hands, which is the floor; then until flocksd answers GetStatus with a service that is
 * DEGRADED. It is asked from the kernel's message on, again and again, on an open connection, so
 * the second time includes one call or two.
 *
 *   bench-listener-client SOCKET SLOTS INDEX PORT ROUNDS */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "flocks/v1/supervisor.client.h"

#include "calls.h"
#include "rounds.h"
#include "server/supervise/port_events.h"
#include "slots.h"

enum {
    NS_PER_MS = 1000 * 1000,
    CONNECT_MS = 10 * 1000,
    LIMIT_MS = 10 * 1000,
    /* Rests between rounds, so that no round hears of the one before. */
    PAUSE_NS = 20 * NS_PER_MS
};

struct run {
    struct rpc_client *client;
    struct port_events *events;
    struct slot *slot;
};

static const char *wanted[] = {"listener"};

/* FLOCKS_SERVICE_STATE_*; -1 after a message. */
static int ask_state(struct run *run)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *response = NULL;
    struct rpc_error *error = NULL;
    int state;

    request.services = wanted;
    request.n_services = 1;
    if (flocks_supervisor_get_status(run->client, NULL, &request, &response, &error) != RPC_DONE)
        return -calls_failed(error);
    state = (int)response->services[0]->state;
    rpc_message_free(&response->base);
    return state;
}

/* Nanoseconds on the clock when it was first answered so; 0 after a message. */
static int64_t wait_for_state(struct run *run, int state)
{
    int64_t until_ns = slots_now_ns() + (int64_t)LIMIT_MS * NS_PER_MS;
    int answer;

    do {
        answer = ask_state(run);
        if (answer == state)
            return slots_now_ns();
    } while (answer >= 0 && slots_now_ns() < until_ns);
    (void)fprintf(stderr, "state %d, not %d\n", answer, state);
    return 0;
}

/* When the kernel has told; 0 after a message. */
static int64_t wait_for_message(struct run *run)
{
    struct pollfd readable = {.fd = port_events_fd(run->events), .events = POLLIN};
    uint16_t port = 0;

    if (poll(&readable, 1, LIMIT_MS) == 1 && port_events_next(run->events, &port, NULL) == 0)
        return slots_now_ns();
    (void)fprintf(stderr, "the kernel has not told\n");
    return 0;
}

/* Sends an order and waits until it is done; false: it was not. */
static bool order(struct run *run, int signal_number)
{
    uint32_t seen = run->slot->starts;

    return kill(run->slot->pid, signal_number) == 0 &&
           slot_wait(run->slot, seen, slots_now_ns() + (int64_t)LIMIT_MS * NS_PER_MS) != 0;
}

static int one_round(struct run *run)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint32_t seen = run->slot->starts;
    int64_t told_ns;
    int64_t known_ns;

    if (kill(run->slot->pid, SIGUSR1) != 0)
        return 1;
    told_ns = wait_for_message(run);
    known_ns = told_ns != 0 ? wait_for_state(run, FLOCKS_SERVICE_STATE_DEGRADED) : 0;
    if (known_ns == 0 ||
        slot_wait(run->slot, seen, slots_now_ns() + (int64_t)LIMIT_MS * NS_PER_MS) == 0)
        return 1;
    (void)printf("%lld %lld\n", (long long)(told_ns - run->slot->started_ns),
        (long long)(known_ns - run->slot->started_ns));
    if (!order(run, SIGUSR2) || wait_for_state(run, FLOCKS_SERVICE_STATE_HEALTHY) == 0)
        return 1;
    (void)nanosleep(&pause, NULL);
    return 0;
}

static int run_rounds(struct run *run, size_t rounds)
{
    int result = wait_for_state(run, FLOCKS_SERVICE_STATE_HEALTHY) == 0;

    for (size_t i = 0; i < rounds && result == 0; i++)
        result = one_round(run);
    return result;
}

int main(int argument_count, char **arguments)
{
    struct rpc_error *error = NULL;
    struct run run = {.client = NULL};
    struct slot *slots;
    uint16_t port;
    int result = 1;

    if (argument_count != 6) {
        (void)fprintf(stderr, "usage: %s SOCKET SLOTS INDEX PORT ROUNDS\n", arguments[0]);
        return 2;
    }
    slots = slots_open(arguments[2]);
    if (slots == NULL)
        return 2;
    run.slot = &slots[strtoul(arguments[3], NULL, 10) % SLOTS_MAX];
    port = (uint16_t)strtoul(arguments[4], NULL, 10);
    run.client = rpc_client_connect(arguments[1], CONNECT_MS, &error);
    if (run.client == NULL)
        return calls_failed(error);
    if (port_events_new(&run.events, NULL) == 0 &&
        port_events_watch(run.events, &port, 1, NULL) == 0)
        result = run_rounds(&run, rounds_number(arguments[5]));
    port_events_free(run.events);
    rpc_client_close(run.client);
    return result;
}
