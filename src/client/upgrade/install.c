#include "client/upgrade/install.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/upgrade.names.h"

#include "client/updater/archive_path.h"
#include "client/updater/cancel.h"
#include "client/upgrade/warden.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/config/executable.h"
#include "common/schema/schema_value.h"
#include "common/schema/time_text.h"

enum {
    NS_PER_S = 1000 * 1000 * 1000,
    NS_PER_MS = 1000 * 1000,
    MS_PER_S = 1000,
    MESSAGE_SIZE = 256,
    /* A longer last line is cut. */
    LINE_BYTES = 240
};

#define TOKEN "FLOCKS_UPDATE_TOKEN="

struct installing {
    const struct install_request *request;
    const flocks_install_step *step;
    /* With the NULL that execve(2) wants at its end. */
    char **arguments;
    /* "pip install", "python3": for people, plain text. */
    char name[ARCHIVE_PATH_SHOWN_SIZE];
    size_t number;
    uint64_t logged;
    /* The last line that is not empty, and the one that is being written. */
    char last[LINE_BYTES + 1];
    char line[LINE_BYTES + 1];
    size_t line_len;
    struct error *error;
};

/* ---- what it says ---- */

static void log_bytes(struct installing *installing, const char *bytes, size_t len)
{
    if (installing->request->log_fd >= 0)
        (void)!fd_write_all(installing->request->log_fd, bytes, len, NULL);
}

static void log_line(struct installing *installing, const char *what)
{
    char when[TIME_TEXT_MAX] = "";
    char text[MESSAGE_SIZE + ARCHIVE_PATH_SHOWN_SIZE];
    (void)!time_text_format(clock_wall_ns() / NS_PER_S, 0, when);
    int len = snprintf(text, sizeof text, "%s install step %zu of %zu (%s): %s\n", when,
        installing->number, installing->request->file->n_install, installing->name, what);
    if (len > 0)
        log_bytes(installing, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static void end_line(struct installing *installing)
{
    installing->line[installing->line_len] = '\0';
    if (strspn(installing->line, " \t\r") < installing->line_len)
        memcpy(installing->last, installing->line, sizeof installing->last);
    installing->line_len = 0;
}

static void take_output(void *data, const char *bytes, size_t len)
{
    struct installing *installing = data;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r')
            end_line(installing);
        else if (installing->line_len < LINE_BYTES && bytes[i] != '\0')
            installing->line[installing->line_len++] = bytes[i];
    }
    bool was_full = installing->logged >= INSTALL_LOG_BYTES_MAX;
    installing->logged += len;
    if (installing->logged < INSTALL_LOG_BYTES_MAX)
        log_bytes(installing, bytes, len);
    else if (!was_full)
        log_line(installing, "it says more than is kept here");
}

static void tell(struct installing *installing, unsigned attempt)
{
    const struct install_request *request = installing->request;
    char message[MESSAGE_SIZE];
    char again[32] = "";
    if (attempt > 1)
        (void)snprintf(again, sizeof again, " (attempt %u)", attempt);
    (void)snprintf(message, sizeof message, "Installing %zu of %zu: %.150s%s", installing->number,
        request->file->n_install, installing->name, again);
    struct update_progress progress = {.step = FLOCKS_UPGRADE_STEP_INSTALLING, .message = message};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

/* ---- its environment ---- */

/* Texts in an arena; a later one replaces an earlier one of the same name. */
struct variables {
    struct arena arena;
    char **items;
    size_t n;
};

static bool set_variable(struct variables *variables, char *text)
{
    size_t name_len = text == NULL ? 0 : strcspn(text, "=");
    size_t i = 0;
    if (text == NULL)
        return false;
    while (i < variables->n && (strncmp(variables->items[i], text, name_len) != 0 ||
                                   variables->items[i][name_len] != '='))
        i++;
    if (i == INSTALL_VARIABLES_MAX)
        return false;
    variables->items[i] = text;
    if (i == variables->n)
        variables->n++;
    return true;
}

static bool set_all(struct variables *variables, const char *const *texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        if (!set_variable(variables, arena_strdup(&variables->arena, texts[i])))
            return false;
    }
    return true;
}

/* What the updater asks for releases with is none of a release's, nor of what its steps fetch. */
static bool is_ours(const char *text)
{
    return strncmp(text, TOKEN, sizeof TOKEN - 1) == 0;
}

static bool set_inherited(struct variables *variables)
{
    for (size_t i = 0; environ[i] != NULL; i++) {
        if (!is_ours(environ[i]) &&
            !set_variable(variables, arena_strdup(&variables->arena, environ[i])))
            return false;
    }
    return true;
}

static bool make_environment(const struct installing *installing, struct variables *variables)
{
    const flocks_install_step *step = installing->step;
    bool fits = variables->items != NULL && set_inherited(variables) &&
                set_all(variables, installing->request->environment);
    for (size_t i = 0; fits && i < step->n_environment; i++) {
        fits = set_variable(variables, arena_printf(&variables->arena, "%s=%s",
                                           step->environment[i]->key, step->environment[i]->value));
    }
    return fits;
}

static const char *find_variable(const struct variables *variables, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < variables->n; i++) {
        if (strncmp(variables->items[i], name, len) == 0 && variables->items[i][len] == '=')
            return variables->items[i] + len + 1;
    }
    return NULL;
}

/* ---- one try ---- */

static int64_t timeout_of(const flocks_install_step *step)
{
    return step->timeout->seconds * MS_PER_S + step->timeout->nanos / NS_PER_MS;
}

/* How it ended, for people; "": well. */
static void describe(const struct installing *installing, const struct warden_outcome *outcome,
    char out[MESSAGE_SIZE])
{
    char duration[SCHEMA_VALUE_TEXT_MAX];
    out[0] = '\0';
    if (outcome->is_haunted)
        (void)snprintf(out, MESSAGE_SIZE, "a process that it has started cannot be killed");
    else if (outcome->end == WARDEN_EXITED && outcome->number != 0)
        (void)snprintf(out, MESSAGE_SIZE, "it ended with exit status %d", outcome->number);
    else if (outcome->end == WARDEN_SIGNALED)
        (void)snprintf(out, MESSAGE_SIZE, "it was ended by signal %d (SIG%s)", outcome->number,
            sigabbrev_np(outcome->number));
    else if (outcome->end == WARDEN_NOT_STARTED)
        (void)snprintf(
            out, MESSAGE_SIZE, "it could not be started (%s)", error_errno_name(outcome->number));
    else if (outcome->end == WARDEN_TIMED_OUT) {
        schema_duration_format(timeout_of(installing->step) * NS_PER_MS, duration);
        (void)snprintf(out, MESSAGE_SIZE, "it did not end within %s and was killed", duration);
    }
}

static int fail(
    struct installing *installing, enum status_code code, const char *how, unsigned attempts)
{
    char last[ARCHIVE_PATH_SHOWN_SIZE];
    char tries[32] = "";
    archive_path_show(installing->last, last);
    if (attempts > 1)
        (void)snprintf(tries, sizeof tries, " (%u attempts)", attempts);
    int result =
        error_set(installing->error, code, "installing the release: step %zu of %zu (%s): %s%s%s%s",
            installing->number, installing->request->file->n_install, installing->name, how, tries,
            last[0] == '\0' ? "" : "; the last that it said: ", last);
    error_set_hint(installing->error, "read %s; try again, or tell whoever published the release",
        installing->request->log_path);
    return result;
}

/* 0, negative: no other try helps; 1: it failed, as `how` says. */
static int try_once(struct installing *installing, const char *program, const char *directory,
    const struct variables *variables, struct warden_outcome *outcome, char how[MESSAGE_SIZE])
{
    const struct install_request *request = installing->request;
    struct warden_request command = {.program = program,
        .directory = directory,
        .arguments = installing->arguments,
        .environment = variables->items,
        .timeout_ms = timeout_of(installing->step),
        .cancel_fd = request->cancel_fd,
        .on_output = take_output,
        .data = installing};
    installing->logged = 0;
    installing->last[0] = '\0';
    installing->line_len = 0;
    log_line(installing, "begins");
    int result = warden_run(&command, outcome, installing->error);
    end_line(installing);
    if (result < 0)
        return error_add_context(installing->error, result, "installing the release: step %zu (%s)",
            installing->number, installing->name);
    if (outcome->end == WARDEN_CANCELLED) {
        log_line(installing, "was interrupted");
        return error_set(installing->error, STATUS_CANCELLED,
            "installing the release: step %zu (%s) was interrupted", installing->number,
            installing->name);
    }
    describe(installing, outcome, how);
    log_line(installing, how[0] == '\0' ? "is done" : how);
    if (outcome->n_left > 0 && outcome->end == WARDEN_EXITED)
        log_line(installing, "processes that it had left were killed");
    return how[0] == '\0' ? 0 : 1;
}

/* ---- a step ---- */

static int try_often(struct installing *installing, const char *program, const char *directory,
    const struct variables *variables)
{
    unsigned attempts_max = installing->step->retries + 1;
    struct warden_outcome outcome;
    char how[MESSAGE_SIZE];
    for (unsigned attempt = 1;; attempt++) {
        tell(installing, attempt);
        int result = try_once(installing, program, directory, variables, &outcome, how);
        if (result <= 0)
            return result;
        if (attempt == attempts_max || outcome.is_haunted)
            return fail(installing,
                outcome.end == WARDEN_TIMED_OUT ? STATUS_DEADLINE_EXCEEDED
                                                : STATUS_FAILED_PRECONDITION,
                how, attempt);
        /* Answers early, and the next try is cancelled at once. */
        (void)cancel_wait(installing->request->cancel_fd, (int)(INSTALL_RETRY_MS * attempt));
    }
}

static int run_in(struct installing *installing, struct variables *variables)
{
    const struct install_request *request = installing->request;
    const flocks_install_step *step = installing->step;
    char program[PATH_MAX];
    char directory[PATH_MAX];
    installing->arguments =
        arena_calloc(&variables->arena, step->n_command + 1, sizeof *installing->arguments);
    for (size_t i = 0; installing->arguments != NULL && i < step->n_command; i++)
        installing->arguments[i] = arena_strdup(&variables->arena, step->command[i]);
    if (!make_environment(installing, variables) || arena_is_exhausted(&variables->arena))
        return fail(
            installing, STATUS_RESOURCE_EXHAUSTED, "its arguments and environment are too long", 1);
    int written =
        snprintf(directory, sizeof directory, "%s/%s", request->directory, step->directory);
    if (written < 0 || (size_t)written >= sizeof directory)
        return fail(installing, STATUS_INVALID_ARGUMENT, "its directory is too long", 1);
    int result = executable_find(step->command[0], request->directory,
        find_variable(variables, "PATH"), program, installing->error);
    if (result < 0) {
        installing->last[0] = '\0';
        return error_add_context(installing->error, result,
            "installing the release: step %zu of %zu (%s)", installing->number,
            request->file->n_install, installing->name);
    }
    return try_often(installing, program, directory, variables);
}

static int run_step(const struct install_request *request, size_t i, struct error *error)
{
    const flocks_install_step *step = request->file->install[i];
    struct installing installing = {
        .request = request, .step = step, .number = i + 1, .error = error};
    struct variables variables = {.n = 0};
    archive_path_show(step->name[0] != '\0' ? step->name : step->command[0], installing.name);
    arena_init(&variables.arena, INSTALL_ENVIRONMENT_BYTES_MAX);
    /* One more: the NULL at the end. */
    variables.items = calloc(INSTALL_VARIABLES_MAX + 1, sizeof *variables.items);
    int result = run_in(&installing, &variables);
    free(variables.items);
    arena_deinit(&variables.arena);
    return result;
}

/* A step that people see has a number; one that is empty says so. */
static void tell_nothing(const struct install_request *request)
{
    const struct update_progress progress = {
        .step = FLOCKS_UPGRADE_STEP_INSTALLING, .message = "Nothing to install"};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

int install_run(const struct install_request *request, struct error *error)
{
    int result = 0;
    if (request->file->n_install == 0)
        tell_nothing(request);
    for (size_t i = 0; result == 0 && i < request->file->n_install; i++) {
        if (cancel_is_asked(request->cancel_fd))
            return error_set(error, STATUS_CANCELLED, "installing the release was interrupted");
        result = run_step(request, i, error);
    }
    return result;
}
