/* The same echo over sd-bus, two processes and a socketpair, no bus daemon: prints nanoseconds, one
 * call a line.
 *
 *   bench-echo-sdbus CALLS BYTES */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "rounds.h"

static const char PATH[] = "/bench";
static const char INTERFACE[] = "bench.v1.EchoService";

static int on_echo(sd_bus_message *message, void *data, sd_bus_error *error)
{
    (void)data;
    (void)error;
    const void *bytes = NULL;
    size_t len = 0;
    sd_bus_message *reply = NULL;
    int result = sd_bus_message_read_array(message, 'y', &bytes, &len);
    if (result >= 0)
        result = sd_bus_message_new_method_return(message, &reply);
    if (result >= 0)
        result = sd_bus_message_append_array(reply, 'y', bytes, len);
    if (result >= 0)
        result = sd_bus_send(NULL, reply, NULL);
    (void)sd_bus_message_unref(reply);
    return result;
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Echo", "ay", "ay", on_echo, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static sd_bus *open_bus(int fd, int is_server)
{
    sd_bus *bus = NULL;
    /* Any id will do, where nobody else is on the bus. */
    sd_id128_t id = {.bytes = {1}};
    if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
        (is_server && sd_bus_set_server(bus, 1, id) < 0) || sd_bus_start(bus) < 0)
        exit(1); /* NOLINT(concurrency-mt-unsafe) */
    return bus;
}

static _Noreturn void serve(int fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    sd_bus *bus = open_bus(fd, 1);
    int result = sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, vtable, NULL);
    while (result >= 0) {
        result = sd_bus_process(bus, NULL);
        if (result == 0)
            result = sd_bus_wait(bus, UINT64_MAX);
    }
    _exit(0);
}

struct caller {
    sd_bus *bus;
    const void *bytes;
    size_t len;
};

static int call(void *data, size_t index)
{
    const struct caller *caller = data;
    sd_bus_message *request = NULL;
    sd_bus_message *reply = NULL;
    const void *answer = NULL;
    size_t answer_len = 0;
    (void)index;
    int result =
        sd_bus_message_new_method_call(caller->bus, &request, NULL, PATH, INTERFACE, "Echo");
    if (result >= 0)
        result = sd_bus_message_append_array(request, 'y', caller->bytes, caller->len);
    if (result >= 0)
        result = sd_bus_call(caller->bus, request, 0, NULL, &reply);
    if (result >= 0)
        result = sd_bus_message_read_array(reply, 'y', &answer, &answer_len);
    (void)sd_bus_message_unref(request);
    (void)sd_bus_message_unref(reply);
    return result < 0 || answer_len != caller->len;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        (void)fprintf(stderr, "usage: %s CALLS BYTES\n", arguments[0]);
        return 2;
    }
    size_t calls = rounds_number(arguments[1]);
    struct caller caller = {.len = rounds_number(arguments[2])};
    int fds[2];
    caller.bytes = rounds_message(caller.len);
    if (caller.bytes == NULL || calls == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return 1;
    pid_t pid = fork();
    (void)close(pid == 0 ? fds[0] : fds[1]);
    if (pid == 0)
        serve(fds[1]);
    if (pid > 0)
        caller.bus = open_bus(fds[0], 0);
    return pid < 0 || rounds_run(calls, call, &caller) != 0;
}
