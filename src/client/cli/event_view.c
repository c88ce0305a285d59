/* Every text that is not ours is made safe. */
#include "client/cli/event_view.h"

#include <string.h>

#include "client/cli/status_view.h"
#include "client/cli/terminal.h"
#include "client/cli/wording.h"

enum {
    /* Names of services, and "daemon"; longer ones move their line. */
    NAME_WIDTH = 10,
    /* Of a line without a time. */
    TIME_WIDTH = 12
};

static void begin_line(const struct event_view *view, const char *name, FILE *stream)
{
    fputs(terminal_color(TERMINAL_BOLD, view->color), stream);
    terminal_print_escaped(stream, name);
    fputs(terminal_reset(view->color), stream);
    int pad = NAME_WIDTH - (int)strlen(name);
    fprintf(stream, "%*s  ", pad > 0 ? pad : 0, "");
}

static void print_time(
    const struct event_view *view, const Google__Protobuf__Timestamp *at, FILE *stream)
{
    struct wording text = {""};
    if (at)
        text = wording_exact_time(at->seconds, at->nanos, view->now_s);
    fprintf(stream, "%s%*s%s  ", terminal_color(TERMINAL_DIM, view->color), TIME_WIDTH, text.text,
        terminal_reset(view->color));
}

static void print_state(const struct event_view *view, int state, FILE *stream)
{
    enum terminal_color color = wording_state_color(state);
    fprintf(stream, "%s%s%s", terminal_color(color, view->color), wording_state(state).text,
        color == TERMINAL_PLAIN ? "" : terminal_reset(view->color));
}

static void print_detail(
    const struct event_view *view, const flocks_service_status *status, FILE *stream)
{
    char detail[STATUS_DETAIL_MAX];
    status_view_detail(status, NULL, view->now_s, detail);
    if (status->pid > 0)
        fprintf(stream, ", pid %d, generation %u", status->pid, status->generation);
    if (!detail[0])
        return;
    fputs(": ", stream);
    terminal_print_escaped(stream, detail);
}

static void print_exit(const flocks_exit_record *record, FILE *stream)
{
    fprintf(stream, " [generation %u: ", record->generation);
    terminal_print_escaped(stream, wording_exit(record).text);
    if (record->lived)
        fprintf(stream, " after %s", wording_duration(wording_ns(record->lived)).text);
    fputc(']', stream);
}

static void print_service(
    const struct event_view *view, const flocks_service_change *change, FILE *stream)
{
    const flocks_service_status *status = change->status;
    if (!status)
        return;
    begin_line(view, status->name, stream);
    if (change->previous_state != FLOCKS_SERVICE_STATE_UNSPECIFIED &&
        change->previous_state != status->state)
        fprintf(stream, "%s -> ", wording_state((int)change->previous_state).text);
    print_state(view, (int)status->state, stream);
    print_detail(view, status, stream);
    if (change->exit)
        print_exit(change->exit, stream);
}

static void print_operation(
    const struct event_view *view, const flocks_operation *operation, FILE *stream)
{
    begin_line(view, "operation", stream);
    fprintf(stream, "%s ", wording_kind((int)operation->kind).text);
    terminal_print_escaped(stream, operation->id);
    fprintf(stream, " %s", wording_operation((int)operation->state).text);
    if (operation->steps_total > 0)
        fprintf(stream, ", %u of %u", operation->steps_done, operation->steps_total);
    if (operation->step[0] && !operation->ended_at) {
        fputs(": ", stream);
        terminal_print_escaped(stream, operation->step);
    }
}

static void print_lease(const struct event_view *view, const flocks_lease *lease, FILE *stream)
{
    begin_line(view, "lease", stream);
    terminal_print_escaped(stream, lease->id);
    fputs(" of ", stream);
    terminal_print_escaped(stream, lease->owner);
    fprintf(stream, " %s", wording_phase((int)lease->phase).text);
    if (lease->remaining && !lease->ended_at)
        fprintf(stream, ", %s left", wording_age(lease->remaining->seconds).text);
    const char *why = lease->message[0] ? lease->message : lease->reason;
    if (why[0])
        fputs(": ", stream);
    terminal_print_escaped(stream, why);
}

static void print_daemon(
    const struct event_view *view, const flocks_daemon_status *daemon, FILE *stream)
{
    begin_line(view, "daemon", stream);
    fprintf(stream, "%s, pid %d, keeper %d", wording_daemon((int)daemon->state).text, daemon->pid,
        daemon->keeper_pid);
    if (daemon->takeovers > 0)
        fprintf(
            stream, ", taken over %u time%s", daemon->takeovers, daemon->takeovers == 1 ? "" : "s");
    if (daemon->tcp_problem[0]) {
        fputs("; tcp: ", stream);
        terminal_print_escaped(stream, daemon->tcp_problem);
    }
    if (daemon->config_changed)
        fputs("; the configuration file was changed", stream);
    if (daemon->read_only_disk)
        fputs("; the disk cannot be written", stream);
}

static void print_event(const struct event_view *view, const flocks_event *event, FILE *stream)
{
    print_time(view, event->at, stream);
    switch (event->kind_case) {
    case FLOCKS__V1__EVENT__KIND_SERVICE:
        print_service(view, event->service, stream);
        break;
    case FLOCKS__V1__EVENT__KIND_OPERATION:
        print_operation(view, event->operation, stream);
        break;
    case FLOCKS__V1__EVENT__KIND_LEASE:
        print_lease(view, event->lease, stream);
        break;
    case FLOCKS__V1__EVENT__KIND_DAEMON:
        print_daemon(view, event->daemon, stream);
        break;
    case FLOCKS__V1__EVENT__KIND__NOT_SET:
    default:
        fputs("something that this command does not know", stream);
        break;
    }
    fputc('\n', stream);
}

static void print_snapshot(
    const struct event_view *view, const flocks_snapshot *snapshot, FILE *stream)
{
    for (size_t i = 0; i < snapshot->n_services; i++) {
        const flocks_service_status *status = snapshot->services[i];
        fprintf(stream, "%*s  ", TIME_WIDTH, "");
        begin_line(view, status->name, stream);
        print_state(view, (int)status->state, stream);
        print_detail(view, status, stream);
        fputc('\n', stream);
    }
}

static void print_gap(const struct event_view *view, const flocks_gap *gap, FILE *stream)
{
    fputs(terminal_color(TERMINAL_YELLOW, view->color), stream);
    if (gap->events_lost > 0)
        fprintf(stream, "%llu event%s missed", (unsigned long long)gap->events_lost,
            gap->events_lost == 1 ? "" : "s");
    else
        fputs("events may be missed: their numbering began anew", stream);
    fprintf(stream, "%s\n", terminal_reset(view->color));
}

void event_view_print(
    const struct event_view *view, const flocks_watch_events_response *item, FILE *stream)
{
    switch (item->item_case) {
    case FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_SNAPSHOT:
        if (view->with_snapshot)
            print_snapshot(view, item->snapshot, stream);
        break;
    case FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT:
        print_event(view, item->event, stream);
        break;
    case FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_GAP:
        print_gap(view, item->gap, stream);
        break;
    case FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM__NOT_SET:
    default:
        break;
    }
}
