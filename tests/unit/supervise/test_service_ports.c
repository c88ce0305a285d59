/* A service with real ports on a real loop, with a keeper made of memory: this very process is what
 * it spawns, so the sockets of the test are the service's own. Nothing here stops a service. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "fake_link.h"
#include "patience.h"
#include "ports.h"
#include "server/supervise/supervisor_private.h"
#include "shortage.h"

enum { STATE_BYTES = 1024 * 1024, BACKLOG = 8 };

struct world {
    uv_loop_t loop;
    int state_fd;
    uint16_t port;
    struct fake_keeper keeper;
    struct keeper_link link;
    struct paths paths;
    struct supervisor *supervisor;
};

/* ---- sockets ---- */

static int open_bound(const char *host, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int open_listener(struct world *world)
{
    int fd = open_bound("127.0.0.1", &world->port);

    assert_int_equal(listen(fd, BACKLOG), 0);
    return fd;
}

/* ---- the daemon ---- */

static void open_supervisor(struct world *world, bool fresh)
{
    static const char *command[] = {"/bin/sleep", "1000"};
    flocks_listener_config listener = FLOCKS_LISTENER_CONFIG_INIT;
    flocks_service_config service = FLOCKS_SERVICE_CONFIG_INIT;
    flocks_config_services_entry entry = FLOCKS_CONFIG_SERVICES_ENTRY_INIT;
    flocks_config_services_entry *entries[] = {&entry};
    flocks_config config = FLOCKS_CONFIG_INIT;
    flocks_get_config_response response = FLOCKS_GET_CONFIG_RESPONSE_INIT;
    struct supervisor_setup setup = {.loop = &world->loop,
        .link = &world->link,
        .paths = &world->paths,
        .state_fd = world->state_fd,
        .notify_fd = -1,
        .keeper_pid = 1,
        .keeper_version = "test"};

    service.command = command;
    service.n_command = 2;
    service.directory = "/";
    service.host = "127.0.0.1";
    service.port = world->port;
    service.start = true;
    service.listener = &listener;
    entry.key = "web";
    entry.value = &service;
    config.services = entries;
    config.n_services = 1;
    response.config = &config;
    response.digest = "digest";
    if (fresh)
        setup.config = &response;
    fake_link_open(&world->keeper, &world->link);
    assert_int_equal(supervisor_new(&setup, &world->supervisor, NULL), 0);
}

static void turn(struct world *world)
{
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static struct service *web(const struct world *world)
{
    return world->supervisor->services[0];
}

static void run_until_state(struct world *world, enum service_state wanted)
{
    RUN_UNTIL(&world->loop, web(world)->facts.state == wanted);
}

/* Up to the service's process, which is this one. */
static void start(struct world *world)
{
    const struct supervisor_request request = {.kind = FLOCKS_OPERATION_KIND_START};
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    assert_int_equal(supervisor_begin(world->supervisor, &request, id, NULL), 0);
    fake_link_answer_list(&world->link);
    turn(world);
}

/* It serves; its listener. */
static int serve(struct world *world)
{
    int fd;

    start(world);
    fake_link_answer_spawns(&world->link);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    return fd;
}

static void drop_supervisor(struct world *world)
{
    supervisor_close(world->supervisor, NULL, NULL);
    fake_link_close(&world->link);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    world->supervisor = NULL;
}

static void lose_events(struct world *world)
{
    struct supervisor_ports *ports = &world->supervisor->ports;

    (void)uv_poll_stop(&ports->poll);
    port_events_free(ports->events);
    ports->events = NULL;
}

static void lose_finder(struct world *world)
{
    lose_events(world);
    listener_finder_free(world->supervisor->ports.finder);
    world->supervisor->ports.finder = NULL;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct process_id self;

    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->state_fd = memfd_create("state", MFD_CLOEXEC);
    assert_int_equal(ftruncate(world->state_fd, STATE_BYTES), 0);
    fake_paths(&world->paths);
    assert_int_equal(process_identify(getpid(), &self, NULL), 0);
    world->keeper.next_pid = self.pid;
    world->keeper.start_ticks = self.start_ticks;
    world->port = ports_choose();
    open_supervisor(world, true);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->supervisor != NULL)
        drop_supervisor(world);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    fd_close(&world->state_fd);
    free(world);
    return 0;
}

/* ---- lost and found ---- */

static void test_service_ports_closed_listener_is_reported_and_comes_back(void **state)
{
    struct world *world = *state;
    int fd = open_listener(world);

    /* Before the start it is somebody else's: nothing of ours runs. */
    start(world);
    assert_int_equal(web(world)->facts.state, SERVICE_WAITING);
    assert_int_equal(web(world)->facts.reason, FLOCKS_STATE_REASON_PORT_HELD);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_FOREIGN);
    close(fd);
    run_until_state(world, SERVICE_STARTING);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_UNSPECIFIED);
    fake_link_answer_spawns(&world->link);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_OURS);
    close(fd);
    run_until_state(world, SERVICE_DEGRADED);
    assert_int_equal(web(world)->facts.reason, FLOCKS_STATE_REASON_LISTENER_LOST);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_NONE);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    close(fd);
}

static void test_service_ports_loss_is_remembered_by_the_next_flocksd(void **state)
{
    struct world *world = *state;
    int fd = serve(world);
    int64_t lost_at;

    close(fd);
    run_until_state(world, SERVICE_DEGRADED);
    lost_at = web(world)->listening.lost_at;
    assert_true(lost_at <= clock_monotonic_ms());
    drop_supervisor(world);
    open_supervisor(world, false);
    fake_link_answer_list(&world->link);
    turn(world);
    assert_int_equal(web(world)->facts.state, SERVICE_DEGRADED);
    assert_int_equal(web(world)->listening.lost_at, lost_at);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    assert_true(web(world)->listening.lost_at == CLOCK_NEVER);
    close(fd);
}

/* ---- when messages are missing, or too many ---- */

static void test_service_ports_overrun_looks_at_everything(void **state)
{
    struct world *world = *state;
    int fd;

    fd = serve(world);
    /* As if the message had not fitted. */
    assert_int_equal(port_events_watch(world->supervisor->ports.events, NULL, 0, NULL), 0);
    close(fd);
    turn(world);
    assert_int_equal(web(world)->facts.state, SERVICE_HEALTHY);
    supervisor_ports_look(world->supervisor);
    run_until_state(world, SERVICE_DEGRADED);
}

static void test_service_ports_without_messages_are_looked_at_every_second(void **state)
{
    struct world *world = *state;
    int fd;

    lose_events(world);
    fd = serve(world);
    assert_true(web(world)->listening.due_at <= clock_monotonic_ms() + SERVICE_PORT_CHECK_MS);
    close(fd);
    run_until_state(world, SERVICE_DEGRADED);
}

static bool is_bounded(const struct service_listening *listening)
{
    return listening->n_alarms > SERVICE_PORT_ALARMS_MAX &&
           listening->due_at == listening->alarms_since + SERVICE_PORT_ALARMS_MS;
}

/* Sockets of whomever that are bound to the port and go: each is a message, none is a loss. After
 * so many there is one look more, at the end of the time that they share. */
static void test_service_ports_storm_of_messages_is_bounded_and_blinds_nobody(void **state)
{
    struct world *world = *state;
    const struct service_listening *listening;
    int64_t give_up_at = clock_monotonic_ms() + PATIENCE_MS;
    int fd = serve(world);

    listening = &web(world)->listening;
    /* A look that has to wait for its turn is due sooner, and one that was due has been. */
    while (!is_bounded(listening)) {
        assert_true(clock_monotonic_ms() < give_up_at);
        close(open_bound("127.0.0.2", &world->port));
        turn(world);
        assert_int_equal(web(world)->facts.state, SERVICE_HEALTHY);
    }
    close(fd);
    run_until_state(world, SERVICE_DEGRADED);
}

/* ---- looks that fail ---- */

/* A stranger, nobody's child, that listens on the port until the leash is closed. */
static int open_stranger(struct world *world)
{
    int ready[2];
    int leash[2];
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leash), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setsid();
        if (fork() != 0)
            _exit(0);
        (void)open_listener(world);
        (void)close(leash[1]);
        _exit(write(ready[1], &byte, 1) == 1 && read(leash[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(leash[0]);
    return leash[1];
}

/* Long enough for several looks of a service that starts. */
static void run_for_some_looks(struct world *world)
{
    int64_t until = clock_monotonic_ms() + INT64_C(10) * SERVICE_PORT_POLL_MS;

    RUN_UNTIL(&world->loop, clock_monotonic_ms() >= until);
}

/* A look that fails says nothing; above all not that the stranger's socket is the service's. */
static void ready_by_looks_that_fail(struct world *world, size_t left)
{
    struct shortage shortage;
    enum service_state state;
    int leash;

    start(world);
    leash = open_stranger(world);
    shortage_begin(&shortage, left);
    fake_link_answer_spawns(&world->link);
    run_for_some_looks(world);
    state = web(world)->facts.state;
    shortage_end(&shortage);
    (void)close(leash);
    assert_int_equal(state, SERVICE_STARTING);
}

static void test_service_ports_looks_without_descriptors_make_nobody_ready(void **state)
{
    ready_by_looks_that_fail(*state, 0);
}

static void test_service_ports_looks_with_one_descriptor_make_nobody_ready(void **state)
{
    ready_by_looks_that_fail(*state, 1);
}

/* ---- where nobody can say whose sockets are whose ---- */

static void test_service_ports_unchecked_ports_are_tried(void **state)
{
    struct world *world = *state;
    int fd = open_listener(world);

    lose_finder(world);
    start(world);
    assert_int_equal(web(world)->facts.state, SERVICE_WAITING);
    assert_int_equal(web(world)->facts.reason, FLOCKS_STATE_REASON_PORT_HELD);
    assert_non_null(strstr(web(world)->facts.message, "is in use by somebody"));
    close(fd);
    run_until_state(world, SERVICE_STARTING);
    fake_link_answer_spawns(&world->link);
    turn(world);
    assert_int_equal(web(world)->facts.state, SERVICE_STARTING);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_UNCHECKED);
    close(fd);
    run_until_state(world, SERVICE_DEGRADED);
    assert_int_equal(web(world)->listening.state, FLOCKS_LISTENER_STATE_NONE);
    fd = open_listener(world);
    run_until_state(world, SERVICE_HEALTHY);
    close(fd);
}

#define PORTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PORTS_TEST(test_service_ports_closed_listener_is_reported_and_comes_back),
        PORTS_TEST(test_service_ports_loss_is_remembered_by_the_next_flocksd),
        PORTS_TEST(test_service_ports_overrun_looks_at_everything),
        PORTS_TEST(test_service_ports_without_messages_are_looked_at_every_second),
        PORTS_TEST(test_service_ports_storm_of_messages_is_bounded_and_blinds_nobody),
        PORTS_TEST(test_service_ports_looks_without_descriptors_make_nobody_ready),
        PORTS_TEST(test_service_ports_looks_with_one_descriptor_make_nobody_ready),
        PORTS_TEST(test_service_ports_unchecked_ports_are_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
