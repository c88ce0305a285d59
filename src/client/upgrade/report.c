#include "client/upgrade/report.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flocks/calls.h"
#include "flocks/v1/upgrade.info.h"

#include "client/upgrade/client.h"
#include "client/upgrade/report_state.h"
#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/schema/json_write.h"

enum { LINE_BYTES_MAX = 64 * 1024, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

struct update_reporter {
    int fd;
    int abort_fd;
    struct update_client client;
    bool to_server;
    pthread_t thread;
    /* Guards what follows. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct report_state state;
    /* Of `state`; what was sent last. */
    uint64_t revision;
    uint64_t sent_revision;
    bool wants_end;
};

/* ---- lines ---- */

static bool can_write(int fd, int wait_ms)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    return poll(&wanted, 1, wait_ms) > 0 && (wanted.revents & POLLOUT) != 0;
}

static void write_line(struct update_reporter *reporter, const struct report_state *state)
{
    bool is_last = state->step == FLOCKS_UPGRADE_STEP_DONE;
    CLEANUP(buffer_deinit) struct buffer text;
    struct report_message told;
    buffer_init(&text, LINE_BYTES_MAX);
    report_state_fill(state, &told);
    if (reporter->fd < 0 ||
        json_write(&flocks_upgrade_progress_info, &told.progress.base, NULL, &text) < 0 ||
        buffer_append_text(&text, "\n") < 0)
        return;
    /* A pipe that has room for anything takes PIPE_BUF bytes at once. */
    if (can_write(reporter->fd, is_last ? UPDATE_REPORT_LAST_MS : 0) &&
        fd_write_all(reporter->fd, buffer_data(&text), buffer_length(&text), NULL) < 0)
        reporter->fd = -1;
}

/* ---- the server ---- */

static void ask_for_end(const struct update_reporter *reporter)
{
    const uint64_t one = 1;
    if (reporter->abort_fd >= 0)
        (void)!write(reporter->abort_fd, &one, sizeof one);
}

static void report(struct update_reporter *reporter, const struct report_state *state)
{
    bool is_last = state->step == FLOCKS_UPGRADE_STEP_DONE;
    const struct rpc_options options = {
        .timeout_ms = is_last ? UPDATE_REPORT_LAST_MS : UPDATE_REPORT_CALL_MS};
    flocks_report_upgrade_request request = FLOCKS_REPORT_UPGRADE_REQUEST_INIT;
    const flocks_report_upgrade_response *answer = NULL;
    struct flocks_error *failure = NULL;
    struct report_message told;
    report_state_fill(state, &told);
    request.progress = &told.progress;
    /* A server that cannot be told learns the next state, or the last. */
    if (flocks_client_report_upgrade(
            reporter->client.client, &options, &request, &answer, &failure) == RPC_DONE) {
        if (answer->abort && !is_last)
            ask_for_end(reporter);
        rpc_message_free(&answer->base);
    }
    flocks_error_free(failure);
}

static struct timespec in_ms(int64_t ms)
{
    int64_t at_ns = clock_monotonic_ns() + ms * NS_PER_MS;
    return (struct timespec){
        .tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)};
}

/* Waits for a change, and at most a beat. False: it is over, and nothing is left to be told. */
static bool next_state(struct update_reporter *reporter, struct report_state *out)
{
    const struct timespec beat = in_ms(UPDATE_REPORT_BEAT_MS);
    int late = 0;
    (void)pthread_mutex_lock(&reporter->mutex);
    while (reporter->revision == reporter->sent_revision && !reporter->wants_end && late == 0)
        late = pthread_cond_timedwait(&reporter->changed, &reporter->mutex, &beat);
    bool is_news = reporter->revision != reporter->sent_revision;
    bool goes_on = is_news || !reporter->wants_end;
    *out = reporter->state;
    reporter->sent_revision = reporter->revision;
    (void)pthread_mutex_unlock(&reporter->mutex);
    return goes_on;
}

static void pause_reports(struct update_reporter *reporter)
{
    const struct timespec until = in_ms(UPDATE_REPORT_PAUSE_MS);
    int late = 0;
    (void)pthread_mutex_lock(&reporter->mutex);
    while (!reporter->wants_end && late == 0)
        late = pthread_cond_timedwait(&reporter->changed, &reporter->mutex, &until);
    (void)pthread_mutex_unlock(&reporter->mutex);
}

static void *run(void *data)
{
    struct update_reporter *reporter = data;
    struct report_state state;
    while (next_state(reporter, &state)) {
        if (state.id[0] != '\0' && state.step != FLOCKS_UPGRADE_STEP_UNSPECIFIED)
            report(reporter, &state);
        pause_reports(reporter);
    }
    return NULL;
}

/* Signals are for the thread that works. */
static int start_thread(struct update_reporter *reporter)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&reporter->thread, NULL, run, reporter);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* ---- life ---- */

static int init_locks(struct update_reporter *reporter)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int result = pthread_cond_init(&reporter->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return result == 0 ? pthread_mutex_init(&reporter->mutex, NULL) : result;
}

struct update_reporter *update_reporter_new(
    const struct update_reporter_request *request, struct error *error)
{
    struct update_reporter *reporter = calloc(1, sizeof *reporter);
    if (reporter == NULL || init_locks(reporter) != 0) {
        (void)error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for reports");
        free(reporter);
        return NULL;
    }
    reporter->fd = request->fd;
    reporter->abort_fd = request->abort_fd;
    reporter->state.began_wall_ns = clock_wall_ns();
    report_copy_text(reporter->state.id, sizeof reporter->state.id, request->id);
    int result =
        request->to_server ? update_client_open(&reporter->client, request->settings, error) : 0;
    if (result == 0 && request->to_server && start_thread(reporter) != 0)
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "no thread for reports");
    if (result == 0) {
        reporter->to_server = request->to_server;
        return reporter;
    }
    update_reporter_free(reporter);
    return NULL;
}

void update_reporter_free(struct update_reporter *reporter)
{
    if (reporter == NULL)
        return;
    (void)pthread_mutex_lock(&reporter->mutex);
    reporter->wants_end = true;
    (void)pthread_cond_signal(&reporter->changed);
    (void)pthread_mutex_unlock(&reporter->mutex);
    if (reporter->to_server)
        (void)pthread_join(reporter->thread, NULL);
    update_client_close(&reporter->client);
    (void)pthread_cond_destroy(&reporter->changed);
    (void)pthread_mutex_destroy(&reporter->mutex);
    free(reporter);
}

/* ---- telling ---- */

static struct report_state *begin_change(struct update_reporter *reporter)
{
    (void)pthread_mutex_lock(&reporter->mutex);
    return &reporter->state;
}

/* `is_told`: it goes out now; else with the next. */
static void end_change(struct update_reporter *reporter, bool is_told)
{
    struct report_state state = reporter->state;
    if (is_told) {
        reporter->revision++;
        (void)pthread_cond_signal(&reporter->changed);
    }
    (void)pthread_mutex_unlock(&reporter->mutex);
    if (is_told)
        write_line(reporter, &state);
}

void update_reporter_versions(
    struct update_reporter *reporter, const char *from, const char *to, const char *source)
{
    struct report_state *state = begin_change(reporter);
    if (from != NULL)
        report_copy_text(state->from, sizeof state->from, from);
    if (to != NULL)
        report_copy_text(state->to, sizeof state->to, to);
    if (source != NULL)
        report_copy_text(state->source, sizeof state->source, source);
    end_change(reporter, false);
}

void update_reporter_lease(
    struct update_reporter *reporter, const char *lease_id, enum flocks_upgrade_phase phase)
{
    struct report_state *state = begin_change(reporter);
    if (lease_id != NULL)
        report_copy_text(state->lease_id, sizeof state->lease_id, lease_id);
    state->phase = phase;
    end_change(reporter, false);
}

void update_reporter_plan(struct update_reporter *reporter, uint32_t steps)
{
    begin_change(reporter)->plan = steps;
    end_change(reporter, false);
}

void update_reporter_step(
    struct update_reporter *reporter, enum flocks_upgrade_step step, const char *format, ...)
{
    char message[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct report_state *state = begin_change(reporter);
    bool is_new = state->step != step || strcmp(state->message, message) != 0;
    state->step = step;
    state->bytes_done = 0;
    state->bytes_total = 0;
    report_copy_text(state->message, sizeof state->message, message);
    if (is_new)
        report_state_log(state);
    end_change(reporter, is_new);
}

void update_reporter_progress(void *data, const struct update_progress *progress)
{
    struct update_reporter *reporter = data;
    struct report_state *state = begin_change(reporter);
    enum flocks_upgrade_step step = flocks_upgrade_step_from(progress->step);
    bool is_new = state->step != step || strcmp(state->message, progress->message) != 0;
    state->step = step;
    state->bytes_done = progress->bytes_done;
    state->bytes_total = progress->bytes_total;
    report_copy_text(state->message, sizeof state->message, progress->message);
    if (is_new)
        report_state_log(state);
    end_change(reporter, true);
}

void update_reporter_end(struct update_reporter *reporter, enum flocks_upgrade_phase phase,
    bool not_verified, const struct error *failure, const char *message)
{
    struct report_state *state = begin_change(reporter);
    state->step = FLOCKS_UPGRADE_STEP_DONE;
    state->phase = phase;
    state->not_verified = not_verified;
    state->ended_wall_ns = clock_wall_ns();
    state->bytes_done = 0;
    state->bytes_total = 0;
    if (failure != NULL)
        state->failure = *failure;
    report_copy_text(state->message, sizeof state->message, message);
    report_state_log(state);
    end_change(reporter, true);
}
