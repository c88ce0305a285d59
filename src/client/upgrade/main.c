/* `flocks-update`: reads the command line, runs one command, ends. JSON lines on standard output,
 * words for people on standard error. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "flocks/v1/types.names.h"

#include "client/updater/cancel.h"
#include "client/upgrade/check.h"
#include "client/upgrade/client.h"
#include "client/upgrade/detach.h"
#include "client/upgrade/ending.h"
#include "client/upgrade/failure.h"
#include "client/upgrade/options.h"
#include "client/upgrade/report.h"
#include "client/upgrade/upgrade.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/release/upgrade_lock.h"

enum {
    ANSWER_BYTES_MAX = 32 * 1024 * 1024,
    ID_BYTES = 8,
    /* Somebody who only ends an earlier upgrade has the lock for so long at most. */
    LOCK_WAIT_MS = 10 * 1000,
    LOCK_PAUSE_MS = 20
};

struct program {
    struct update_options options;
    struct update_settings settings;
    struct update_client client;
    struct update_server server;
    int cancel_fd;
    char id[UPDATE_ID_SIZE];
    bool has_told; /* the end is told in a line of its own */
};

/* ---- the lock ---- */

/* What others are told of us, and by which they know that it will not take long. */
static const char recover_who[] = "flocks-update recover";

static int refuse_running(const struct upgrade_lock_holder *holder, struct error *error)
{
    int result = error_set(error, STATUS_ALREADY_EXISTS, "another upgrade is running: pid %ld (%s)",
        (long)holder->pid, holder->who[0] != '\0' ? holder->who : "it does not say what it does");
    error_set_hint(error, "wait for its end, or end it with `flocks update --abort`");
    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_UPGRADE_RUNNING;
    return result;
}

static bool is_short(const struct upgrade_lock_holder *holder)
{
    /* One that was killed: its install step is being ended, and holds the lock until then. */
    bool is_dead = holder->pid > 0 && kill(holder->pid, 0) < 0 && errno == ESRCH;
    return is_dead || holder->pid == 0 || strcmp(holder->who, recover_who) == 0 ||
           strncmp(holder->who, "flocks start", strlen("flocks start")) == 0;
}

static int take_lock(
    const struct program *program, const char *who, int *out_fd, struct error *error)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), LOCK_WAIT_MS);
    for (;;) {
        struct upgrade_lock_holder holder = {.pid = 0};
        int result = upgrade_lock_take(program->settings.places.lock, who, out_fd, &holder, error);
        if (result != UPGRADE_LOCK_HELD)
            return result;
        if (!is_short(&holder) || clock_monotonic_ms() >= until_at)
            return refuse_running(&holder, error);
        if (cancel_wait(program->cancel_fd, LOCK_PAUSE_MS))
            return error_set(error, STATUS_CANCELLED, "aborted while waiting for the lock");
    }
}

/* ---- commands ---- */

static int write_out(const struct buffer *text, struct error *error)
{
    struct error problem = ERROR_INIT;
    int result = fd_write_all(STDOUT_FILENO, buffer_data(text), buffer_length(text), &problem);
    /* A reader that has gone away is no failure. */
    if (result == 0 || problem.system_error == EPIPE)
        return 0;
    *error = problem;
    return error_add_context(error, result, "standard output");
}

static int check(struct program *program, struct error *error)
{
    CLEANUP(buffer_deinit) struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    int result =
        update_check(&program->settings, &program->options, program->cancel_fd, &answer, error);
    return result == 0 ? write_out(&answer, error) : result;
}

static void make_id(char out[UPDATE_ID_SIZE])
{
    unsigned char bytes[ID_BYTES] = {0};
    if (getrandom(bytes, sizeof bytes, 0) < 0)
        memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static const char *text_or(const char *text, const char *other)
{
    return text != NULL ? text : other;
}

static int apply_locked(
    struct program *program, struct update_reporter *reporter, struct error *error)
{
    CLEANUP(fd_close) int lock = -1;
    char who[UPGRADE_LOCK_WHO_MAX + 1];
    const struct update_options *options = &program->options;
    (void)snprintf(who, sizeof who, "flocks-update apply %s for %s", program->id,
        text_or(options->owner, "a command line"));
    int result = take_lock(program, who, &lock, error);
    if (result < 0) {
        update_reporter_end(reporter, FLOCKS_UPGRADE_PHASE_UNSPECIFIED, false, error, error->text);
        return result;
    }
    const struct update_apply_request request = {.version = text_or(options->to, ""),
        .from = text_or(options->from, ""),
        .roll_back = options->roll_back,
        .force = options->force,
        .id = program->id,
        .owner = text_or(options->owner, "flocks-update"),
        .settings = &program->settings,
        .server = &program->server,
        .reporter = reporter,
        .cancel_fd = program->cancel_fd};
    return update_apply(&request, error);
}

static int apply(struct program *program, struct error *error)
{
    const struct update_reporter_request request = {.settings = &program->settings,
        .id = program->id,
        .fd = STDOUT_FILENO,
        .to_server = true,
        .abort_fd = program->cancel_fd};
    struct update_reporter *reporter = update_reporter_new(&request, error);
    if (reporter == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    program->has_told = true;
    int result = apply_locked(program, reporter, error);
    update_reporter_free(reporter);
    return result;
}

static int recover(struct program *program, struct error *error)
{
    CLEANUP(fd_close) int lock = -1;
    const struct update_recover_request request = {.settings = &program->settings,
        .server = &program->server,
        .cancel_fd = program->cancel_fd};
    int result = take_lock(program, recover_who, &lock, error);
    return result < 0 ? result : update_recover_found(&request, STDOUT_FILENO, error);
}

/* ---- the program ---- */

static int prepare(struct program *program, struct error *error)
{
    const struct update_options *options = &program->options;
    bool changes = options->command != UPDATE_COMMAND_CHECK;
    const struct update_settings_request request = {.root = options->root,
        .config = options->config,
        .socket = options->socket,
        .region = options->region,
        .prepare = changes};
    int result = update_settings_load(&request, &program->settings, error);
    if (result < 0 || !changes)
        return result;
    if (program->settings.log_fd >= 0)
        log_open(program->settings.log_fd, "flocks-update", LOG_LEVEL_INFO);
    else
        log_open(STDERR_FILENO, "flocks-update", LOG_LEVEL_ERROR);
    /* What an install step leaves behind becomes ours, to be ended. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    result = update_client_open(&program->client, &program->settings, error);
    program->server = update_client_server(&program->client);
    return result;
}

static int run_command(struct program *program, struct error *error)
{
    int result = prepare(program, error);
    if (result < 0)
        return result;
    switch (program->options.command) {
    case UPDATE_COMMAND_CHECK:
        return check(program, error);
    case UPDATE_COMMAND_APPLY:
        return apply(program, error);
    case UPDATE_COMMAND_RECOVER:
        return recover(program, error);
    case UPDATE_COMMAND_NONE:
        break;
    }
    return 0;
}

static int run(struct program *program, int argc, char **argv, struct error *error)
{
    int result = update_options_parse(argc, argv, &program->options, error);
    if (result < 0)
        return result;
    if (program->options.help || program->options.version) {
        (void)fputs(
            program->options.help ? update_options_help() : "flocks-update " FLOCKS_VERSION "\n",
            stdout);
        return 0;
    }
    make_id(program->id);
    if (program->options.upgrade_id != NULL)
        (void)snprintf(program->id, sizeof program->id, "%s", program->options.upgrade_id);
    result = update_detach(&program->cancel_fd, error);
    if (result == 0)
        result = run_command(program, error);
    update_client_close(&program->client);
    return result;
}

/* For people, and for whoever reads lines where no line has said it. */
static void tell_failure(const struct program *program, const struct error *error)
{
    CLEANUP(buffer_deinit) struct buffer line;
    struct error unwanted = ERROR_INIT;
    buffer_init(&line, ANSWER_BYTES_MAX);
    (void)fprintf(stderr, "flocks-update: %s\n", error->text);
    if (error->hint[0] != '\0')
        (void)fprintf(stderr, "  hint: %s\n", error->hint);
    if (!program->has_told && update_failure_append(error, &line) == 0)
        (void)write_out(&line, &unwanted);
}

int main(int argc, char **argv)
{
    /* Large, and all zero at first. */
    static struct program program = {.cancel_fd = -1, .settings = {.log_fd = -1}};
    struct error error = ERROR_INIT;
    int result = run(&program, argc, argv, &error);
    if (result < 0)
        tell_failure(&program, &error);
    update_settings_deinit(&program.settings);
    fd_close(&program.cancel_fd);
    return result < 0 ? update_exit_code((enum status_code) - result) : 0;
}
