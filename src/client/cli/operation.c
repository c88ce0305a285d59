/* Progress over unary calls: GetOperation{wait, seen_revision} answers at each change. */
#include "client/cli/operation.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "client/cli/interrupt.h"
#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "common/base/clock.h"

enum { LINE_MAX_BYTES = 256 };

/* What was drawn last. */
struct progress {
    const struct cli *cli;
    int64_t began_at;
    char step[128];
};

void operation_new_request_id(char out[OPERATION_REQUEST_ID_SIZE])
{
    unsigned char bytes[(OPERATION_REQUEST_ID_SIZE - 1) / 2] = {0};
    if (getrandom(bytes, sizeof(bytes), 0) < 0)
        memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool has_ended(const flocks_operation *operation)
{
    enum flocks_operation_state state = flocks_operation_state_from((int)operation->state);
    return state != FLOCKS_OPERATION_STATE_QUEUED && state != FLOCKS_OPERATION_STATE_RUNNING;
}

/* ---- progress ---- */

static void show_progress(struct progress *progress, const flocks_operation *operation)
{
    const struct cli *cli = progress->cli;
    char line[LINE_MAX_BYTES];
    if (!cli->notes)
        return;
    (void)snprintf(line, sizeof(line), "%s (%u of %u)", operation->step, operation->steps_done,
        operation->steps_total);
    if (cli->live) {
        size_t len = strlen(line);
        (void)snprintf(line + len, sizeof(line) - len, "  %llds",
            (long long)((clock_monotonic_ms() - progress->began_at) / 1000));
        terminal_live_line(cli->notes, line);
    } else if (operation->step[0] && strcmp(progress->step, operation->step) != 0) {
        fprintf(cli->notes, "flocks: %s\n", line);
    }
    (void)snprintf(progress->step, sizeof(progress->step), "%s", operation->step);
}

static void end_progress(const struct progress *progress)
{
    if (progress->cli->notes && progress->cli->live)
        terminal_live_line(progress->cli->notes, "");
}

static void make_json_notice(const char *id, char out[INTERRUPT_NOTICE_MAX])
{
    struct error error = ERROR_INIT;
    struct buffer text;
    error_set(&error, STATUS_CANCELLED, "interrupted; operation %s goes on", id);
    flocks_error_detail detail = report_detail(&error);
    detail.operation_id = id;
    buffer_init(&text, INTERRUPT_NOTICE_MAX - 1);
    if (report_append_error(&error, &detail, &text) == 0)
        (void)snprintf(out, INTERRUPT_NOTICE_MAX, "%.*s", (int)buffer_length(&text),
            (const char *)buffer_data(&text));
    buffer_deinit(&text);
}

static void announce_id(const struct cli *cli, const char *id)
{
    char words[INTERRUPT_NOTICE_MAX];
    char json[INTERRUPT_NOTICE_MAX] = "";
    (void)snprintf(words, sizeof(words), "\nflocks: interrupted; operation %s goes on\n", id);
    if (cli->json)
        make_json_notice(id, json);
    interrupt_exit_with(cli->json ? "" : words, json);
}

/* ---- following ---- */

/* The next news of the operation, or the present state when none comes for a while. */
static int ask(struct daemon *daemon, const char *id, uint32_t seen_revision,
    const flocks_get_operation_response **out, struct error *error)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    request.operation_id = id;
    request.wait = true;
    request.seen_revision = seen_revision;
    const ProtobufCMessage *message = NULL;
    int result = daemon_call(daemon, FLOCKS_SUPERVISOR_GET_OPERATION,
        daemon->cli->live ? OPERATION_REDRAW_MS : OPERATION_ASK_MS, &request.base, &message, error);
    *out = (const flocks_get_operation_response *)message;
    return result;
}

static int refuse_late(const char *id, struct error *error)
{
    int result =
        error_set(error, STATUS_DEADLINE_EXCEEDED, "the deadline passed; operation %s goes on", id);
    error_set_hint(error, "`flocks status` shows how it goes; --timeout waits longer");
    return result;
}

static int follow(struct daemon *daemon, const char *id, struct progress *progress,
    const flocks_get_operation_response **out, struct error *error)
{
    uint32_t revision = 0;
    for (;;) {
        CLEANUP(operation_free) const flocks_get_operation_response *news = NULL;
        int result = ask(daemon, id, revision, &news, error);
        bool is_late = clock_monotonic_ms() >= daemon->deadline_at;
        if (result == -STATUS_DEADLINE_EXCEEDED && !is_late)
            continue;
        if (result == -STATUS_DEADLINE_EXCEEDED)
            return refuse_late(id, error);
        if (result != 0)
            return result;
        if (!news->operation)
            return error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
        if (has_ended(news->operation)) {
            *out = news;
            news = NULL;
            return 0;
        }
        if (is_late)
            return refuse_late(id, error);
        revision = news->revision;
        show_progress(progress, news->operation);
    }
}

int operation_follow(struct daemon *daemon, const char *id,
    const flocks_get_operation_response **out, struct error *error)
{
    struct progress progress = {.cli = daemon->cli, .began_at = clock_monotonic_ms()};
    announce_id(daemon->cli, id);
    (void)snprintf(daemon->operation_id, sizeof(daemon->operation_id), "%s", id);
    int result = follow(daemon, id, &progress, out, error);
    end_progress(&progress);
    interrupt_exit_with("\nflocks: interrupted\n", "");
    return result;
}

void operation_free(const flocks_get_operation_response **response)
{
    if (*response)
        rpc_message_free(&(*response)->base);
    *response = NULL;
}

static bool is_a_start(const flocks_operation *operation)
{
    return operation->kind == FLOCKS_OPERATION_KIND_START ||
           operation->kind == FLOCKS_OPERATION_KIND_RESTART;
}

void operation_print_failures(const struct cli *cli, const flocks_operation *operation)
{
    const char *first = NULL;
    if (cli->json)
        return;
    for (size_t i = 0; i < operation->n_outcomes; i++) {
        const flocks_service_outcome *outcome = operation->outcomes[i];
        if (outcome->state == FLOCKS_OPERATION_STATE_SUCCEEDED)
            continue;
        fprintf(stderr, "flocks: %s: ", outcome->service);
        terminal_print_escaped(
            stderr, outcome->message[0]
                        ? outcome->message
                        : flocks_state_reason_name(flocks_state_reason_from((int)outcome->reason)));
        fputc('\n', stderr);
        if (!first && outcome->state == FLOCKS_OPERATION_STATE_FAILED)
            first = outcome->service;
    }
    if (first && is_a_start(operation))
        fprintf(stderr, "  hint: `flocks logs %s` shows what it said\n", first);
}
