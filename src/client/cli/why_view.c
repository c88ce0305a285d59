/* Every text that is not ours is made safe; a line of output keeps its tabs. */
#include "client/cli/why_view.h"

#include <string.h>

#include "client/cli/endpoint.h"
#include "client/cli/terminal.h"
#include "client/cli/update_view.h"
#include "client/cli/wording.h"
#include "common/base/attributes.h"

/* Where the values of the facts begin. */
enum { LABEL_WIDTH = 14 };

/* ---- small parts ---- */

static void begin_fact(const struct why_view *view, const char *label, FILE *stream)
{
    fprintf(stream, "  %s%-*s%s", terminal_color(TERMINAL_DIM, view->color), LABEL_WIDTH, label,
        terminal_reset(view->color));
}

static void print_fact(
    const struct why_view *view, const char *label, const char *text, FILE *stream)
{
    if (!text[0])
        return;
    begin_fact(view, label, stream);
    terminal_print_escaped(stream, text);
    fputc('\n', stream);
}

static void print_heading(const struct why_view *view, const char *text, FILE *stream)
{
    fprintf(stream, "\n%s%s%s", terminal_color(TERMINAL_BOLD, view->color), text,
        terminal_reset(view->color));
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "3m 05s ago", or "" without a time. */
static struct wording ago(const struct why_view *view, const Google__Protobuf__Timestamp *at)
{
    struct wording out = {""};
    if (at)
        (void)snprintf(
            out.text, sizeof(out.text), "%.40s ago", wording_age(view->now_s - at->seconds).text);
    return out;
}

/* ---- the state ---- */

static void print_state(const struct why_view *view, FILE *stream)
{
    const flocks_service_status *status = view->response->status;
    enum terminal_color color = wording_state_color((int)status->state);
    struct wording reason = wording_reason((int)status->reason);
    fputs(terminal_color(TERMINAL_BOLD, view->color), stream);
    terminal_print_escaped(stream, status->name);
    fprintf(stream, "%s is %s%s%s", terminal_reset(view->color), terminal_color(color, view->color),
        wording_state((int)status->state).text,
        color == TERMINAL_PLAIN ? "" : terminal_reset(view->color));
    if (status->since)
        fprintf(stream, " for %s", wording_age(view->now_s - status->since->seconds).text);
    if (reason.text[0])
        fprintf(stream, ": %s", reason.text);
    fputc('\n', stream);
}

static void print_retry(const struct why_view *view, FILE *stream)
{
    const flocks_service_status *status = view->response->status;
    if (!status->retry_at)
        return;
    int64_t left_s = status->retry_at->seconds - view->now_s;
    begin_fact(view, "next try", stream);
    fprintf(
        stream, "%s%s\n", left_s > 0 ? "in " : "", left_s > 0 ? wording_age(left_s).text : "now");
}

static void print_process(const struct why_view *view, FILE *stream)
{
    const flocks_service_status *status = view->response->status;
    begin_fact(view, "process", stream);
    if (status->pid > 0)
        fprintf(stream, "pid %d, generation %u", status->pid, status->generation);
    else if (status->generation > 0)
        fprintf(stream, "none; generation %u was the last", status->generation);
    else
        fputs("none; it was never started", stream);
    if (status->restart_count > 0)
        fprintf(stream, ", %u start%s that nobody asked for", status->restart_count,
            plural(status->restart_count));
    if (!status->wanted)
        fputs(", not wanted", stream);
    fputc('\n', stream);
}

static void print_port(const struct why_view *view, FILE *stream)
{
    const flocks_service_status *status = view->response->status;
    struct wording listener = wording_listener((int)status->listener);
    char url[ENDPOINT_URL_MAX];
    endpoint_url(status->host, status->port, url);
    if (!url[0])
        return;
    begin_fact(view, "port", stream);
    terminal_print_escaped(stream, url);
    if (status->listener == FLOCKS_LISTENER_STATE_OURS)
        fputs(", its own socket listens", stream);
    else if (listener.text[0])
        fprintf(stream, ", %s", listener.text);
    fputc('\n', stream);
}

static void print_holder(const struct why_view *view, FILE *stream)
{
    const flocks_foreign_process *holder = view->response->holder;
    if (!holder)
        return;
    begin_fact(view, "port held by", stream);
    if (holder->visible) {
        fprintf(stream, "pid %d (", holder->pid);
        terminal_print_escaped(stream, holder->executable);
        fprintf(stream, "), uid %u\n", holder->uid);
    } else {
        fprintf(stream, "a process of uid %u, which this user may not look into\n", holder->uid);
    }
}

static void print_waiting(const struct why_view *view, FILE *stream)
{
    const flocks_explain_service_response *response = view->response;
    if (response->n_waiting_for == 0)
        return;
    begin_fact(view, "waits for", stream);
    for (size_t i = 0; i < response->n_waiting_for; i++) {
        fputs(i > 0 ? ", " : "", stream);
        terminal_print_escaped(stream, response->waiting_for[i]);
    }
    fputc('\n', stream);
}

static void print_lease(const struct why_view *view, FILE *stream)
{
    const flocks_lease *lease = view->response->lease;
    if (!lease)
        return;
    begin_fact(view, "lease", stream);
    terminal_print_escaped(stream, lease->owner);
    fprintf(stream, ", pid %d, %s", lease->owner_pid, wording_phase((int)lease->phase).text);
    if (lease->remaining)
        fprintf(stream, ", %s left", wording_age(lease->remaining->seconds).text);
    if (lease->holding_page_address[0])
        fprintf(stream, ", holding page at %s", lease->holding_page_address);
    fputs(": ", stream);
    terminal_print_escaped(stream, lease->reason);
    fputc('\n', stream);
    if (!view->upgrade || strcmp(view->upgrade->lease_id, lease->id) != 0)
        return;
    begin_fact(view, "", stream);
    update_view_present(view->upgrade, view->now_s, view->color, stream);
}

static void print_asked(const struct why_view *view, FILE *stream)
{
    const flocks_operation *operation = view->response->last_operation;
    if (!operation)
        return;
    begin_fact(view, "last asked", stream);
    fprintf(stream, "%s by pid %d, uid %u", wording_kind((int)operation->kind).text,
        operation->requester_pid, operation->requester_uid);
    if (operation->began_at)
        fprintf(stream, ", %s", ago(view, operation->began_at).text);
    fprintf(stream, "; it %s", wording_operation((int)operation->state).text);
    if (operation->step[0] && (operation->state == FLOCKS_OPERATION_STATE_RUNNING ||
                                  operation->state == FLOCKS_OPERATION_STATE_QUEUED)) {
        fputs(": ", stream);
        terminal_print_escaped(stream, operation->step);
    }
    fputs(" (", stream);
    terminal_print_escaped(stream, operation->id);
    fputs(")\n", stream);
}

static void print_breaker(const struct why_view *view, FILE *stream)
{
    const flocks_explain_service_response *response = view->response;
    const char *separator = "";
    for (size_t i = 0; i < response->n_breaker; i++) {
        const flocks_breaker_count *count = response->breaker[i];
        if (count->consecutive == 0)
            continue;
        if (!separator[0])
            begin_fact(view, "breaker", stream);
        fprintf(stream, "%s%s: %u in a row", separator, wording_reason((int)count->cause).text,
            count->consecutive);
        if (count->allowed > 0)
            fprintf(stream, ", gives up at %u", count->allowed);
        separator = "; ";
    }
    if (separator[0])
        fputc('\n', stream);
}

static void print_not_in_force(const struct why_view *view, FILE *stream)
{
    for (size_t i = 0; i < view->response->n_not_in_force; i++)
        print_fact(view, "no effect", view->response->not_in_force[i], stream);
}

static void print_hint(const struct why_view *view, FILE *stream)
{
    print_fact(view, "hint", view->response->hint, stream);
}

/* ---- what happened ---- */

static void print_exit(const struct why_view *view, const flocks_exit_record *record, FILE *stream)
{
    if (record->ended_at)
        fprintf(stream, "%s  ", wording_time(record->ended_at->seconds, view->now_s).text);
    fprintf(stream, "generation %u, ", record->generation);
    terminal_print_escaped(stream, wording_exit(record).text);
    if (record->lived)
        fprintf(stream, " after %s", wording_duration(wording_ns(record->lived)).text);
    enum flocks_state_reason cause = flocks_state_reason_from((int)record->cause);
    if (cause != FLOCKS_STATE_REASON_UNSPECIFIED && cause != FLOCKS_STATE_REASON_EXITED &&
        cause != FLOCKS_STATE_REASON_SIGNALLED)
        fprintf(stream, ": %s", wording_reason((int)record->cause).text);
    fputc('\n', stream);
}

static void print_exits(const struct why_view *view, FILE *stream)
{
    const flocks_explain_service_response *response = view->response;
    size_t n = response->n_exits < WHY_EXITS ? response->n_exits : WHY_EXITS;
    if (n == 0)
        return;
    print_heading(view, "last ends", stream);
    fputc('\n', stream);
    for (size_t i = 0; i < n; i++) {
        fputs("  ", stream);
        print_exit(view, response->exits[i], stream);
    }
    if (n < response->n_exits)
        fprintf(stream, "  and %zu before\n", response->n_exits - n);
}

static void print_probe(const struct why_view *view, const flocks_probe_record *probe, FILE *stream)
{
    fputs("    ", stream);
    if (probe->at)
        fprintf(stream, "%s  ",
            wording_exact_time(probe->at->seconds, probe->at->nanos, view->now_s).text);
    fprintf(stream, "%s%s%s in %s",
        terminal_color(probe->passed ? TERMINAL_GREEN : TERMINAL_RED, view->color),
        probe->passed ? "passed" : "failed", terminal_reset(view->color),
        wording_duration(wording_ns(probe->took)).text);
    if (probe->message[0]) {
        fputs(": ", stream);
        terminal_print_escaped(stream, probe->message);
    }
    fputc('\n', stream);
}

/* One role: how it went of late, then its newest results. */
static void print_role(const struct why_view *view, int role, FILE *stream)
{
    const flocks_explain_service_response *response = view->response;
    size_t n = 0;
    size_t n_failed = 0;
    size_t n_in_a_row = 0;
    for (size_t i = 0; i < response->n_probes; i++) {
        const flocks_probe_record *probe = response->probes[i];
        if ((int)probe->role != role)
            continue;
        if (!probe->passed && n_in_a_row == n)
            n_in_a_row++;
        n++;
        n_failed += !probe->passed;
    }
    if (n == 0)
        return;
    fprintf(stream, "  %s: ", wording_role(role).text);
    if (n_failed == 0)
        fprintf(stream, "the last %zu passed\n", n);
    else if (n_failed == n)
        fprintf(stream, "the last %zu failed\n", n);
    else
        fprintf(stream, "%zu of the last %zu failed, %zu in a row now\n", n_failed, n, n_in_a_row);
    size_t shown = 0;
    for (size_t i = 0; i < response->n_probes && shown < WHY_PROBES; i++) {
        if ((int)response->probes[i]->role != role)
            continue;
        print_probe(view, response->probes[i], stream);
        shown++;
    }
}

static void print_probes(const struct why_view *view, FILE *stream)
{
    if (view->response->n_probes == 0)
        return;
    print_heading(view, "probes", stream);
    fputc('\n', stream);
    print_role(view, FLOCKS_PROBE_ROLE_STARTUP, stream);
    print_role(view, FLOCKS_PROBE_ROLE_READY, stream);
    print_role(view, FLOCKS_PROBE_ROLE_ALIVE, stream);
}

static void print_output(const struct why_view *view, FILE *stream)
{
    const flocks_explain_service_response *response = view->response;
    size_t n = response->n_output_tail < view->n_lines ? response->n_output_tail : view->n_lines;
    if (n == 0)
        return;
    print_heading(view, "last output", stream);
    fputs(" (", stream);
    terminal_print_escaped(stream, response->status->log_path);
    fputs(")\n", stream);
    for (size_t i = response->n_output_tail - n; i < response->n_output_tail; i++) {
        fputs("  | ", stream);
        terminal_print_output(stream, response->output_tail[i]);
        fputc('\n', stream);
    }
}

/* ---- the whole ---- */

void why_view_print(const struct why_view *view, FILE *stream)
{
    const flocks_service_status *status = view->response->status;
    print_state(view, stream);
    print_fact(view, "last error", status->last_error, stream);
    print_holder(view, stream);
    print_waiting(view, stream);
    print_lease(view, stream);
    print_retry(view, stream);
    print_breaker(view, stream);
    print_process(view, stream);
    print_port(view, stream);
    print_fact(view, "it says", status->notified_status, stream);
    print_asked(view, stream);
    print_not_in_force(view, stream);
    print_hint(view, stream);
    print_exits(view, stream);
    print_probes(view, stream);
    print_output(view, stream);
}

void why_view_print_brief(const struct why_view *view, FILE *stream)
{
    print_state(view, stream);
    print_fact(view, "last error", view->response->status->last_error, stream);
    print_holder(view, stream);
    print_waiting(view, stream);
    print_lease(view, stream);
    print_retry(view, stream);
    if (view->response->n_exits > 0) {
        begin_fact(view, "last end", stream);
        print_exit(view, view->response->exits[0], stream);
    }
    print_not_in_force(view, stream);
    print_hint(view, stream);
}
