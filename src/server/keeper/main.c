/* flocks-keeper: sets everything up that may fail or allocate, then hands over to the loop. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/instance.h"
#include "server/keeper/keeper.h"
#include "server/keeper/legacy.h"
#include "server/keeper/options.h"
#include "server/keeper/renewal.h"
#include "server/keeper/state.h"
#include "server/output/capture.h"

enum {
    CAPTURE_CONTROL_FD = 3,
    CAPTURE_COUNTERS_FD = 4,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_BUSY = 5,
    /* Of the daemon's own log, until flocksd registers it with the configuration's. */
    DAEMON_LOG_BYTES = 16 * 1024 * 1024,
    DAEMON_LOG_KEEP = 3
};

/* All zero, so that it costs no memory but what is used. */
static struct keeper keeper;

/* ---- descriptors and signals ---- */

/* Nothing of whoever started us stays open but the three standard ones and the ready descriptor. */
static void close_inherited(int ready_fd)
{
    unsigned next = STDERR_FILENO + 1;
    if (ready_fd >= (int)next) {
        if (ready_fd > (int)next)
            (void)close_range(next, (unsigned)ready_fd - 1, 0);
        next = (unsigned)ready_fd + 1;
        (void)fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
    }
    (void)close_range(next, ~0U, 0);
}

static int raise_descriptor_limit(struct error *error)
{
    struct rlimit found;
    if (getrlimit(RLIMIT_NOFILE, &found) != 0)
        return error_set_errno(error, errno, "read the descriptor limit");
    struct rlimit raised = {.rlim_cur = found.rlim_max, .rlim_max = found.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) != 0)
        return error_set_errno(error, errno, "raise the descriptor limit");
    rlim_t bound = raised.rlim_cur > INT32_MAX ? INT32_MAX : raised.rlim_cur;
    keeper.outputs.descriptor_bound = (int)bound - KEEPER_DESCRIPTOR_RESERVE;
    /* A keeper that takes over has been told what the first one found. */
    if (keeper.descriptor_limit.rlim_max == 0)
        keeper.descriptor_limit = found;
    return 0;
}

static int make_shared(struct error *error)
{
    int failure = outputs_init(&keeper.outputs, -1);
    if (failure != 0)
        return error_set_errno(error, failure, "make the shared memory");
    struct keeper_memory *memory = &keeper.outputs.shared->memory;
    atomic_store(&memory->descriptors_soft, keeper.descriptor_limit.rlim_cur);
    atomic_store(&memory->descriptors_hard, keeper.descriptor_limit.rlim_max);
    atomic_store(&keeper.outputs.shared->is_untried, 1);
    return 0;
}

static int watch_signals(struct error *error)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        (void)sigaddset(&set, numbers[i]);
    if (pthread_sigmask(SIG_SETMASK, &set, NULL) != 0 ||
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) != 0)
        return error_set_errno(error, errno, "block signals");
    /* Inherited as ignored, exits would be reaped by the kernel. */
    if (sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL) != 0)
        return error_set_errno(error, errno, "take SIGCHLD");
    keeper.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    keeper.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (keeper.signal_fd < 0 || keeper.epoll_fd < 0)
        return error_set_errno(error, errno, "watch signals");
    keeper_watch(&keeper, EPOLL_CTL_ADD, keeper.signal_fd, EPOLLIN, EVENT_SIGNAL, 0);
    return 0;
}

/* ---- what outlives flocksd ---- */

static int make_state(struct error *error)
{
    keeper.state_fd = memfd_create("flocksd-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (keeper.state_fd < 0 || ftruncate(keeper.state_fd, KEEPER_STATE_BYTES) != 0 ||
        fcntl(keeper.state_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return error_set_errno(error, errno, "make flocksd's state memory");
    return 0;
}

static int choose_identity(struct error *error)
{
    inventory_set_owner(keeper.inventory, INVENTORY_KEEPER, (int32_t)getpid());
    if (getrandom(keeper.invocation, sizeof keeper.invocation, 0) !=
        (ssize_t)sizeof keeper.invocation)
        return error_set_errno(error, errno, "choose an identity");
    return 0;
}

static int open_log_pipe(struct error *error)
{
    char pipe_path[32];
    (void)snprintf(pipe_path, sizeof pipe_path, "/proc/self/fd/%d",
        outputs_pipe(&keeper.outputs, KEEPER_SLOT_DAEMON));
    keeper.log_fd = open(pipe_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (keeper.log_fd < 0)
        return error_set_errno(error, errno, "open the daemon's log");
    return 0;
}

/* From here on what we and flocksd say goes where every service's output goes. */
static int open_daemon_log(struct error *error)
{
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/daemon.log", keeper.paths.logs);
    if (strlen(path) >= PATH_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "path is too long: %s", path);
    int failure = outputs_register(
        &keeper.outputs, KEEPER_SLOT_DAEMON, path, DAEMON_LOG_BYTES, DAEMON_LOG_KEEP);
    if (failure != 0)
        return error_set_errno(error, failure, "make the daemon's log");
    return open_log_pipe(error);
}

static int use_daemon_log(struct error *error)
{
    if (chdir(keeper.paths.root) != 0)
        return error_set_errno(error, errno, "enter %s", keeper.paths.root);
    CLEANUP(fd_close) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(keeper.log_fd, STDOUT_FILENO) < 0 ||
        dup2(keeper.log_fd, STDERR_FILENO) < 0)
        return error_set_errno(error, errno, "turn to the daemon's log");
    log_open(STDERR_FILENO, "flocks-keeper", LOG_LEVEL_INFO);
    return 0;
}

/* ---- flocksd's command line ---- */

/* The program, and held open what it is now: run again, it is the same one. */
static int find_server(const struct keeper_options *options, struct image *out, struct error *error)
{
    char path[PATH_MAX];
    bool is_open = options->flocksd_fd >= 0 || options->renew_fd >= 0;
    if (options->flocksd == NULL) {
        int result = paths_find_program("flocksd", path, error);
        if (result != 0)
            return result;
    } else if (is_open) {
        (void)snprintf(out->path, sizeof out->path, "%s", options->flocksd);
        if (options->flocksd_fd < 0)
            return 0;
        int result = fd_set_cloexec(options->flocksd_fd, true, error);
        if (result == 0)
            out->fd = options->flocksd_fd;
        return result;
    } else if (realpath(options->flocksd, path) == NULL) {
        return error_set_errno(error, errno, "find %s", options->flocksd);
    }
    int failure = image_open(out, path);
    return failure == 0 ? 0 : error_set_errno(error, failure, "open %s", path);
}

static int plan_server(const struct keeper_options *options, struct error *error)
{
    struct server *server = &keeper.server;
    int result = find_server(options, &server->image, error);
    if (result != 0)
        return result;
    size_t n_options = 0;
    while (options->server_options[n_options] != NULL)
        n_options++;
    static char name[] = "flocksd";
    static char root[] = "--root";
    static char config[] = "--config";
    static char link_option[] = "--keeper-fd";
    static char link_fd[] = "3";
    char *const fixed[] = {
        name, root, keeper.paths.root, config, keeper.paths.config, link_option, link_fd};
    server->arguments = calloc(ARRAY_LENGTH(fixed) + n_options + 1, sizeof(char *));
    if (server->arguments == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the command line");
    memcpy(server->arguments, fixed, sizeof fixed);
    memcpy(server->arguments + ARRAY_LENGTH(fixed), options->server_options,
        n_options * sizeof(char *));
    return 0;
}

/* ---- start ---- */

static int resolve(const struct keeper_options *options, struct error *error)
{
    /* Before there is any thread; flocksd inherits it. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    if (options->socket != NULL && setenv("FLOCKS_SOCKET", options->socket, 1) != 0)
        return error_set_errno(error, errno, "set FLOCKS_SOCKET");
    int result = paths_resolve(options->root, options->config, &keeper.paths, error);
    if (result != 0)
        return result;
    bool repaired = false;
    return paths_prepare(&keeper.paths, &repaired, error);
}

/* Positive: INSTANCE_BUSY. */
static int found(struct error *error)
{
    int result = instance_lock(&keeper.paths, &keeper.files.lock_fd, error);
    /* Again: what a keeper that ended a moment ago has removed. */
    if (result == 0)
        result = paths_prepare(&keeper.paths, &(bool){false}, error);
    if (result == 0)
        result = instance_listen(
            &keeper.paths, &keeper.files.listener_fd, &keeper.files.listener_name, error);
    if (result == 0)
        result = instance_bind_notify(
            &keeper.paths, &keeper.files.notify_fd, &keeper.files.notify_name, error);
    if (result == 0)
        result = inventory_create(keeper.paths.run, &keeper.inventory, &keeper.inventory_fd, error);
    if (result == 0)
        result = raise_descriptor_limit(error);
    if (result == 0)
        result = make_shared(error);
    if (result == 0)
        result = make_state(error);
    return result;
}

static int succeed(int legacy_fd, struct error *error)
{
    int result = legacy_take(&keeper, legacy_fd, error);
    if (result == 0)
        result = instance_sign(&keeper.paths, keeper.files.lock_fd, error);
    return result == 0 ? raise_descriptor_limit(error) : result;
}

/* Another image of us, in this process, knew the rest; and the daemon's log is registered. */
static int set_up_again(const struct keeper_options *options, struct error *error)
{
    int result = renewal_read(&keeper, options->renew_fd, error);
    if (result == 0)
        result = resolve(options, error);
    if (result == 0)
        result = renewal_plan(&keeper, options, error);
    if (result == 0)
        result = plan_server(options, error);
    if (result == 0)
        result = renewal_take(&keeper, error);
    if (result == 0)
        result = raise_descriptor_limit(error);
    if (result == 0)
        result = open_log_pipe(error);
    if (result == 0)
        result = watch_signals(error);
    if (result == 0)
        result = use_daemon_log(error);
    if (result == 0)
        renewal_watch(&keeper);
    return result;
}

static int fail(const struct error *error, int exit_code)
{
    (void)fprintf(stderr, "flocks-keeper: %s\n", error->text);
    instance_tell(&keeper.ready_fd, "error", error->text);
    return exit_code;
}

static int serve_again(const struct keeper_options *options)
{
    struct error error = ERROR_INIT;
    char text[ERROR_TEXT_MAX + 128];
    (void)umask(077);
    log_open(STDERR_FILENO, "flocks-keeper", LOG_LEVEL_INFO);
    if (set_up_again(options, &error) != 0) {
        renewal_return(&keeper, options, error.text);
        return fail(&error, EXIT_FAILED);
    }
    log_info("keeper goes on", "version=%s pid=%d", FLOCKS_VERSION, (int)getpid());
    int renew_fd = options->renew_fd;
    fd_close(&renew_fd);
    image_close(&keeper.earlier_image);
    (void)snprintf(text, sizeof text,
        "flocksd is replaced; the keeper is version %s again, because the new one could not go on: "
        "%s",
        FLOCKS_VERSION, options->returned != NULL ? options->returned : "");
    replacement_end(&keeper, options->returned != NULL ? text : "");
    return keeper_run(&keeper);
}

/* Positive: INSTANCE_BUSY. */
static int set_up(const struct keeper_options *options, struct error *error)
{
    bool is_heir = options->take_over_fd >= 0;
    int result = plan_server(options, error);
    if (result == 0)
        result = renewal_plan(&keeper, options, error);
    if (result == 0)
        result = is_heir ? succeed(options->take_over_fd, error) : found(error);
    if (result == 0)
        result = choose_identity(error);
    if (result == 0)
        result = open_daemon_log(error);
    if (result == 0)
        result = watch_signals(error);
    if (result == 0 && is_heir) {
        adopted_take_all(&keeper);
        legacy_end_captor(&keeper);
    }
    if (result == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        result = error_set_errno(error, errno, "become the subreaper");
    if (result == 0)
        result = use_daemon_log(error);
    return result;
}

static void init(void)
{
    keeper.files = (struct instance_files){.lock_fd = -1, .listener_fd = -1, .notify_fd = -1};
    keeper.state_fd = keeper.inventory_fd = keeper.link.fd = keeper.outputs.shared_fd = -1;
    keeper.outputs.control_fd = keeper.ready_fd = -1;
    keeper.server.image.fd = keeper.own_image.fd = keeper.earlier_image.fd = -1;
    replacement_init(&keeper.replacement);
}

static int serve(const struct keeper_options *options)
{
    struct error error = ERROR_INIT;
    children_init(&keeper.children);
    keeper.ready_fd = options->ready_fd;
    keeper.is_foreground = options->foreground;
    /* The standard ones will be the daemon's log. */
    if (keeper.ready_fd >= 0 && keeper.ready_fd <= STDERR_FILENO)
        keeper.ready_fd = fcntl(keeper.ready_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    /* Whoever leaves us something has closed the rest. */
    if (options->take_over_fd < 0)
        close_inherited(keeper.ready_fd);
    (void)umask(077);
    if (resolve(options, &error) != 0)
        return fail(&error, EXIT_FAILED);
    if (!options->foreground)
        /* Refused only to the leader of a process group, who has no terminal to lose then. */
        (void)setsid();
    int result = set_up(options, &error);
    if (result == INSTANCE_BUSY) {
        instance_tell(&keeper.ready_fd, "busy", "");
        return EXIT_BUSY;
    }
    if (result != 0)
        return fail(&error, EXIT_FAILED);
    return keeper_run(&keeper);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--capture") == 0) {
        log_open(STDERR_FILENO, "flocks-capture", LOG_LEVEL_INFO);
        /* Run through /proc/self/exe, it would be called "exe" in ps and top. */
        (void)prctl(PR_SET_NAME, "flocks-capture");
        return capture_run(CAPTURE_CONTROL_FD, CAPTURE_COUNTERS_FD);
    }
    init();
    struct keeper_options options;
    struct error error = ERROR_INIT;
    if (keeper_options_parse(argv, &options, &error) != 0)
        return fail(&error, EXIT_USAGE);
    if (options.help || options.version) {
        (void)printf(
            "%s", options.help ? keeper_options_help : "flocks-keeper " FLOCKS_VERSION "\n");
        return 0;
    }
    if (options.check)
        return renewal_check(&keeper);
    /* Executed by its descriptor it would be called by a number. */
    (void)prctl(PR_SET_NAME, "flocks-keeper");
    return options.renew_fd >= 0 ? serve_again(&options) : serve(&options);
}
