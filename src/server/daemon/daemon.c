#include "server/daemon/daemon.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/paths.h"
#include "common/config/config.h"
#include "common/inventory/inventory.h"
#include "server/api/api.h"
#include "server/daemon/configuration.h"
#include "server/daemon/succession.h"
#include "server/daemon/tcp_door.h"
#include "server/keeper/link.h"
#include "server/supervise/leftovers.h"
#include "server/supervise/supervisor.h"
#include "server/transport/limits.h"
#include "server/transport/transport.h"

enum {
    SIGNALS = 4,
    /* Held of each service's output, for the next keeper. */
    PIPES_OF_OUTPUT = 2
};
static const int signal_numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct daemon {
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    /* Leaves the supervisor's callback before the parts are closed. */
    uv_timer_t ending;
    struct paths paths;
    struct config_request config_request;
    int advance_fd;
    struct keeper_link *link;
    struct keeper_welcome welcome;
    struct supervisor *supervisor;
    struct api *api;
    struct transport *transport;
    struct succession succession;
    struct tcp_door tcp_door;
    /* Connections are being ended: for the next flocksd, or for good. */
    bool is_departing;
    /* The operation that another image takes our place for; "": the same one does. */
    char replacement[SUPERVISOR_OPERATION_ID_SIZE];
};

/* ---- the end ---- */

static void on_supervisor_closed(void *data)
{
    (void)data;
}

/* Whatever is left on the loop closes itself; daemon_run returns when nothing is. */
static void close_all(struct daemon *daemon)
{
    succession_close(&daemon->succession);
    tcp_door_close(&daemon->tcp_door);
    api_close(daemon->api);
    transport_close(daemon->transport);
    supervisor_close(daemon->supervisor, on_supervisor_closed, NULL);
    keeper_link_close(daemon->link);
    daemon->api = NULL;
    daemon->transport = NULL;
    daemon->supervisor = NULL;
    daemon->link = NULL;
    for (size_t i = 0; i < SIGNALS; i++) {
        if (!uv_is_closing((uv_handle_t *)&daemon->signals[i]))
            uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    }
    if (!uv_is_closing((uv_handle_t *)&daemon->ending))
        uv_close((uv_handle_t *)&daemon->ending, NULL);
}

static void on_left(void *data, int result, const struct error *error)
{
    struct daemon *daemon = data;

    if (result < 0)
        log_warn("keeper not told of the end", "error=%s", error->text);
    close_all(daemon);
}

/* The answers have gone out; the keeper is told that it may end when we have. */
static void on_all_told(void *data)
{
    struct daemon *daemon = data;
    struct error error = ERROR_INIT;

    api_close(daemon->api);
    transport_close(daemon->transport);
    daemon->api = NULL;
    daemon->transport = NULL;
    if (keeper_link_leave(daemon->link, on_left, daemon, &error) < 0)
        on_left(daemon, -(int)error.code, &error);
}

static void on_ending(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    tcp_door_close(&daemon->tcp_door);
    transport_refuse_calls(daemon->transport);
    daemon->is_departing = true;
    transport_shut(
        daemon->transport, TRANSPORT_LEAVE_MS, "the daemon is ending", on_all_told, daemon);
}

static void on_ended(void *data)
{
    struct daemon *daemon = data;

    log_info("services ended", "pid=%d", (int)getpid());
    succession_close(&daemon->succession);
    /* Cannot fail: the timer is not closing and has a callback. */
    (void)uv_timer_start(&daemon->ending, on_ending, 0, 0);
}

/* ---- losses ---- */

static void on_keeper_lost(void *data, const struct error *error)
{
    struct daemon *daemon = data;

    (void)error; /* logged */
    succession_begin(&daemon->succession);
}

static void on_succession_failed(void *data)
{
    struct daemon *daemon = data;

    if (daemon->supervisor)
        supervisor_abandon(daemon->supervisor);
    else
        close_all(daemon);
}

static int ask_to_be_run_again(struct daemon *daemon);

/* The keeper has something else prepared, or nothing: we cannot go on all the same. */
static void on_run_again(void *data, int result, const struct error *error)
{
    struct daemon *daemon = data;

    if (result >= 0 || !daemon->link || !daemon->replacement[0])
        return;
    log_error("keeper does not replace flocksd", "error=%s", error->text);
    daemon->replacement[0] = '\0';
    (void)ask_to_be_run_again(daemon);
}

/* The keeper ends us and runs the next one. We stay until it does: if it is killed at this very
 * moment we are its heir. */
static int ask_to_be_run_again(struct daemon *daemon)
{
    struct error error = ERROR_INIT;
    int result;

    log_info("flocksd asks to be run again", "pid=%d", (int)getpid());
    result = keeper_link_replace(daemon->link, daemon->replacement, on_run_again, daemon, &error);
    if (result < 0)
        log_error("keeper not asked to run flocksd again", "error=%s", error.text);
    return result;
}

static void on_leave(void *data)
{
    (void)ask_to_be_run_again(data);
}

/* ---- signals ---- */

static void shut_down(struct daemon *daemon)
{
    const struct supervisor_request request = {
        .kind = FLOCKS_OPERATION_KIND_SHUTDOWN,
        .requester_pid = (int32_t)getpid(),
        .requester_uid = (uint32_t)geteuid(),
    };
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    if (daemon->supervisor && supervisor_begin(daemon->supervisor, &request, id, &error) < 0)
        log_error("shutdown refused", "error=%s", error.text);
}

/* ---- hand-over ---- */

/* Whether the keeper can be asked or not, it runs another one. */
static void on_room_made(void *data)
{
    struct daemon *daemon = data;

    if (ask_to_be_run_again(daemon) < 0)
        close_all(daemon);
}

/* What we knew is in the state; who comes meanwhile waits in the sockets that the keeper holds. */
static void hand_over(struct daemon *daemon)
{
    if (!daemon->transport || daemon->is_departing)
        return;
    daemon->is_departing = true;
    log_info("flocksd makes room for the next one", "pid=%d", (int)getpid());
    tcp_door_close(&daemon->tcp_door);
    api_hand_over(daemon->api);
    transport_shut(daemon->transport, TRANSPORT_HAND_OVER_MS,
        "this flocksd makes room for the next one: ask again", on_room_made, daemon);
}

static void on_replace(void *data, const char *operation_id)
{
    struct daemon *daemon = data;

    if (!daemon->is_departing)
        (void)snprintf(daemon->replacement, sizeof daemon->replacement, "%s", operation_id);
    hand_over(daemon);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct daemon *daemon = handle->data;

    if (signal_number == SIGHUP) {
        log_info("configuration is applied by `flocks config apply`", "signal=SIGHUP");
        return;
    }
    if (signal_number == SIGUSR1) {
        hand_over(daemon);
        return;
    }
    log_info("shutdown requested", "signal=%s", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    shut_down(daemon);
}

static int open_loop(struct daemon *daemon, struct error *error)
{
    int result = uv_loop_init(&daemon->loop);

    if (result != 0)
        return error_set_errno(error, -result, "make the loop");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_timer_init(&daemon->loop, &daemon->ending);
    daemon->ending.data = daemon;
    for (size_t i = 0; i < SIGNALS; i++) {
        result = uv_signal_init(&daemon->loop, &daemon->signals[i]);
        assert(result == 0);
        daemon->signals[i].data = daemon;
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        result = uv_signal_start(&daemon->signals[i], on_signal, signal_numbers[i]);
        if (result != 0)
            return error_set_errno(error, -result, "watch signal %d", signal_numbers[i]);
        uv_unref((uv_handle_t *)&daemon->signals[i]);
    }
    return 0;
}

/* ---- the beginning ---- */

static int open_link(struct daemon *daemon, const struct options *options, struct error *error)
{
    return keeper_link_open(&daemon->loop, options->keeper_fd, daemon->advance_fd, &daemon->link,
        &daemon->welcome, error);
}

/* What the supervisor was given, or took over. */
static void on_configured(void *data)
{
    struct daemon *daemon = data;
    flocks_get_config_response *config = NULL;
    struct error error = ERROR_INIT;
    struct arena arena;

    /* Applied before the daemon itself is open: then this is asked again. */
    if (!daemon->transport)
        return;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    if (supervisor_get_config(daemon->supervisor, &arena, &config, &error) < 0)
        log_error("TCP left as it is: configuration not read", "error=%s", error.text);
    else if (config->config && config->config->daemon)
        tcp_door_configure(
            &daemon->tcp_door, config->config->daemon->tcp, (uint16_t)config->config->daemon->port);
    arena_deinit(&arena);
}

/* The first flocksd of this instance: the configuration decides what runs. */
static int begin_afresh(struct daemon *daemon, const struct options *options,
    const struct supervisor_setup *common, struct error *error)
{
    const struct supervisor_request start = {
        .kind = FLOCKS_OPERATION_KIND_START,
        .skip_prepare = options->skip_webui_build,
        .is_first = true,
        .requester_pid = (int32_t)getpid(),
        .requester_uid = (uint32_t)geteuid(),
    };
    flocks_get_config_response config;
    struct supervisor_setup setup = *common;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct arena arena;
    int result;

    arena_init(&arena, CONFIG_ARENA_BYTES);
    result = configuration_load(&daemon->config_request, &arena, &config, error);
    setup.config = &config;
    if (result == 0)
        result = supervisor_new(&setup, &daemon->supervisor, error);
    if (result == 0 && !options->starts_nothing)
        result = supervisor_begin(daemon->supervisor, &start, id, error);
    arena_deinit(&arena);
    return result;
}

static int open_supervisor(
    struct daemon *daemon, const struct options *options, struct error *error)
{
    struct supervisor_setup setup = {
        .loop = &daemon->loop,
        .link = daemon->link,
        .paths = &daemon->paths,
        .state_fd = daemon->welcome.state_fd,
        .notify_fd = daemon->welcome.notify_fd,
        .keeper_pid = daemon->welcome.keeper_pid,
        .keeper_version = daemon->welcome.keeper_version,
        .earlier_keepers = daemon->welcome.earlier_keepers,
        .earlier_starts = daemon->welcome.earlier_starts,
        .config_request = &daemon->config_request,
        .ended = on_ended,
        .lost = on_keeper_lost,
        .configured = on_configured,
        .replacement = daemon->welcome.replacement,
        .replace = on_replace,
        .data = daemon,
    };

    configuration_request(&daemon->paths, options, &daemon->config_request);

    if (supervisor_has_state(daemon->welcome.state_fd))
        return supervisor_new(&setup, &daemon->supervisor, error);
    return begin_afresh(daemon, options, &setup, error);
}

static int open_transport(struct daemon *daemon, struct error *error)
{
    const struct rpc_service *services[API_SERVICES];
    struct rpc_server_hooks hooks = api_hooks(daemon->api);
    const struct transport_setup setup = {
        .loop = &daemon->loop,
        .listen_fd = daemon->welcome.listener_fd,
        .owner = geteuid(),
        .services = services,
        .n_services = API_SERVICES,
        .hooks = &hooks,
        .gate_detail = tcp_door_refusal,
        .descriptors_kept = PIPES_OF_OUTPUT * supervisor_count(daemon->supervisor),
    };

    for (size_t i = 0; i < API_SERVICES; i++)
        services[i] = api_service(daemon->api, i);
    return transport_open(&setup, &daemon->transport, error);
}

static void open_tcp_door(struct daemon *daemon)
{
    daemon->tcp_door = (struct tcp_door){
        .transport = daemon->transport, .supervisor = daemon->supervisor, .paths = &daemon->paths};
    tcp_door_open(&daemon->tcp_door, &daemon->loop);
    on_configured(daemon);
}

static int open_succession(
    struct daemon *daemon, const struct options *options, struct error *error)
{
    daemon->succession = (struct succession){
        .link = daemon->link,
        .welcome = &daemon->welcome,
        .paths = &daemon->paths,
        .server_options = options->heirloom,
        .failed = on_succession_failed,
        .leave = on_leave,
        .data = daemon,
    };
    return succession_open(&daemon->succession, &daemon->loop, error);
}

static int open_services(struct daemon *daemon, const struct options *options, struct error *error)
{
    int result = open_supervisor(daemon, options, error);

    if (result == 0)
        result = api_new(&daemon->loop, daemon->supervisor, &daemon->api, error);
    if (result == 0)
        result = open_transport(daemon, error);
    if (result == 0)
        open_tcp_door(daemon);
    if (result == 0)
        result = open_succession(daemon, options, error);
    return result;
}

static void on_ready_told(void *data, int result, const struct error *error)
{
    (void)data;
    if (result < 0)
        log_warn("keeper not told of readiness", "error=%s", error->text);
}

static void on_failure_told(void *data, int result, const struct error *error)
{
    (void)result;
    (void)error;
    close_all(data);
}

static enum daemon_exit exit_of(const struct error *error)
{
    return error->code == STATUS_INVALID_ARGUMENT ? DAEMON_EXIT_USAGE : DAEMON_EXIT_FAILED;
}

/* Logged once, here, and told to whoever waits for the start. */
static enum daemon_exit give_up(struct daemon *daemon, const struct error *error)
{
    char text[ERROR_TEXT_MAX + ERROR_HINT_MAX + sizeof(" ()")];
    int written = snprintf(text, sizeof(text), "%s%s%s%s", error->text, error->hint[0] ? " (" : "",
        error->hint, error->hint[0] ? ")" : "");

    (void)written; /* the keeper takes what fits */
    log_error("flocksd cannot start", "error=%s", text);
    if (!daemon->link || keeper_link_fail(daemon->link, text, on_failure_told, daemon, NULL) < 0)
        close_all(daemon);
    (void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
    return exit_of(error);
}

static void log_beginning(const struct daemon *daemon)
{
    log_info("flocksd runs", "version=%s pid=%d keeper=%d starts=%u socket=%s", FLOCKS_VERSION,
        (int)getpid(), (int)daemon->welcome.keeper_pid,
        (unsigned)daemon->welcome.earlier_starts + 1, daemon->paths.socket);
}

/* The keeper was killed before it knew us. Nothing is begun: whom the next one runs does that. */
static enum daemon_exit succeed(struct daemon *daemon, const struct options *options)
{
    struct error error = ERROR_INIT;

    if (open_succession(daemon, options, &error) < 0)
        return give_up(daemon, &error);
    log_info("the keeper was killed before it answered", "pid=%d", (int)getpid());
    succession_begin(&daemon->succession);
    (void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
    return DAEMON_EXIT_FAILED;
}

static enum daemon_exit serve(struct daemon *daemon, const struct options *options)
{
    struct error error = ERROR_INIT;
    int result = open_link(daemon, options, &error);

    if (result == KEEPER_LINK_ORPHANED)
        return succeed(daemon, options);
    if (result == 0)
        result = open_services(daemon, options, &error);
    if (result == 0)
        result = keeper_link_ready(daemon->link, on_ready_told, daemon, &error);
    if (result < 0)
        return give_up(daemon, &error);
    log_beginning(daemon);
    (void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
    return DAEMON_EXIT_DONE;
}

enum daemon_exit daemon_end_leftovers(const struct options *options)
{
    struct paths paths;
    struct error error = ERROR_INIT;
    size_t n_signalled = 0;
    int result = paths_resolve(options->root, options->config, &paths, &error);

    if (result == 0)
        result = inventory_set_aside(paths.run, &error);
    if (result == 0)
        result = leftovers_end(paths.run, &n_signalled, &error);
    if (result < 0) {
        (void)printf("%s\n", error.text);
        return DAEMON_EXIT_FAILED;
    }
    return n_signalled > 0 ? DAEMON_EXIT_ENDED : DAEMON_EXIT_DONE;
}

enum daemon_exit daemon_run(const struct options *options)
{
    static struct daemon daemon = {.welcome = {.state_fd = -1, .listener_fd = -1, .notify_fd = -1}};
    struct error error = ERROR_INIT;
    enum daemon_exit code;

    daemon.advance_fd = keeper_link_find_advance(options->keeper_fd);
    if (paths_resolve(options->root, options->config, &daemon.paths, &error) < 0 ||
        open_loop(&daemon, &error) < 0) {
        log_error("flocksd cannot start", "error=%s", error.text);
        return exit_of(&error);
    }
    code = serve(&daemon, options);
    fd_close(&daemon.welcome.listener_fd);
    fd_close(&daemon.welcome.notify_fd);
    fd_close(&daemon.welcome.state_fd);
    (void)uv_loop_close(&daemon.loop);
    return code;
}
