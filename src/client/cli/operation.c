/* Where progress is shown, by streams; else, and from a daemon that has none, by unary calls:
 * GetOperation{wait, seen_revision} answers at each change. */
#include "client/cli/operation.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "flocks/v1/types.info.h"

#include "client/cli/interrupt.h"
#include "client/cli/operation_watch.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "common/base/clock.h"
#include "common/schema/message.h"

void operation_new_request_id(char out[OPERATION_REQUEST_ID_SIZE])
{
    unsigned char bytes[(OPERATION_REQUEST_ID_SIZE - 1) / 2] = {0};
    if (getrandom(bytes, sizeof(bytes), 0) < 0)
        memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool operation_has_ended(const flocks_operation *operation)
{
    enum flocks_operation_state state = flocks_operation_state_from((int)operation->state);
    return state != FLOCKS_OPERATION_STATE_QUEUED && state != FLOCKS_OPERATION_STATE_RUNNING;
}

/* ---- kept ---- */

void operation_end_free(struct operation_end *end)
{
    arena_deinit(&end->arena);
    end->operation = NULL;
}

int operation_keep(
    struct operation_end *end, const flocks_operation *operation, struct error *error)
{
    operation_end_free(end);
    arena_init(&end->arena, OPERATION_BYTES_MAX);
    end->operation = (flocks_operation *)schema_message_copy(
        &flocks_operation_info, &operation->base, &end->arena);
    return end->operation
               ? 0
               : error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the operation");
}

/* ---- interrupted ---- */

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

static void free_response(const flocks_get_operation_response **response)
{
    if (*response)
        rpc_message_free(&(*response)->base);
    *response = NULL;
}

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
        daemon->cli->live ? PROGRESS_REDRAW_MS : OPERATION_ASK_MS, &request.base, &message, error);
    *out = (const flocks_get_operation_response *)message;
    return result;
}

int operation_refuse_late(const char *id, struct error *error)
{
    int result =
        error_set(error, STATUS_DEADLINE_EXCEEDED, "the deadline passed; operation %s goes on", id);
    error_set_hint(error, "`flocks wait %s` waits on; --timeout waits longer", id);
    return result;
}

static int ask_until_it_ends(struct daemon *daemon, const char *id, struct progress *progress,
    struct operation_end *out, struct error *error)
{
    uint32_t revision = 0;
    for (;;) {
        CLEANUP(free_response) const flocks_get_operation_response *news = NULL;
        int result = ask(daemon, id, revision, &news, error);
        bool is_late = clock_monotonic_ms() >= daemon->deadline_at;
        if (result == -STATUS_DEADLINE_EXCEEDED && !is_late)
            continue;
        if (result == -STATUS_DEADLINE_EXCEEDED)
            return operation_refuse_late(id, error);
        if (result != 0)
            return result;
        if (!news->operation)
            return error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
        if (operation_has_ended(news->operation))
            return operation_keep(out, news->operation, error);
        if (is_late)
            return operation_refuse_late(id, error);
        revision = news->revision;
        progress_show(progress, news->operation, NULL);
    }
}

int operation_follow(
    struct daemon *daemon, const char *id, struct operation_end *out, struct error *error)
{
    struct progress progress;
    int result = -STATUS_UNIMPLEMENTED;
    progress_begin(&progress, daemon->cli);
    announce_id(daemon->cli, id);
    (void)snprintf(daemon->operation_id, sizeof(daemon->operation_id), "%s", id);
    if (progress_shows_services(&progress))
        result = operation_watch(daemon, id, &progress, out, error);
    if (result == -STATUS_UNIMPLEMENTED)
        result = ask_until_it_ends(daemon, id, &progress, out, error);
    progress_end(&progress);
    interrupt_exit_with("\nflocks: interrupted\n", "");
    return result;
}

/* ---- the end told ---- */

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

void operation_print_signalled(const struct cli *cli, const flocks_operation *operation)
{
    for (size_t i = 0; cli->notes && !cli->json && i < operation->n_outcomes; i++) {
        const flocks_service_outcome *outcome = operation->outcomes[i];
        for (size_t j = 0; j < outcome->n_signalled; j++) {
            const flocks_signalled_process *process = outcome->signalled[j];
            /* The polite signal of every stop is no news. */
            if (!process->stray && strcmp(process->signal, "SIGKILL") != 0)
                continue;
            fprintf(cli->notes, "flocks: %s: %s to pid %d (", outcome->service, process->signal,
                process->pid);
            terminal_print_escaped(cli->notes, process->executable);
            fprintf(cli->notes, ")%s\n", process->stray ? ", which had left the service" : "");
        }
    }
}

enum outcome operation_outcome(const flocks_operation *operation)
{
    if (operation->error && operation->error->reason == FLOCKS_ERROR_REASON_PREEMPTED)
        return OUTCOME_BUSY;
    return outcome_of_operation((int)operation->state);
}
