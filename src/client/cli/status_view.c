/* Texts of `flocks status`. Unknown numbers of a newer server are shown as STATE(17). */
#include "client/cli/status_view.h"

#include <string.h>

#include "client/cli/endpoint.h"
#include "client/cli/table.h"
#include "client/cli/terminal.h"

enum { AGE_MAX = 32, LABEL_MAX = 32, DETAIL_MAX = 400 };

/* ---- small texts ---- */

static void age_text(int64_t seconds, char out[AGE_MAX])
{
    if (seconds < 0)
        seconds = 0;
    if (seconds < 60)
        (void)snprintf(out, AGE_MAX, "%ds", (int)seconds);
    else if (seconds < 3600)
        (void)snprintf(out, AGE_MAX, "%dm %02ds", (int)(seconds / 60), (int)(seconds % 60));
    else if (seconds < 86400)
        (void)snprintf(out, AGE_MAX, "%dh %02dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
    else
        (void)snprintf(
            out, AGE_MAX, "%lldd %02dh", (long long)(seconds / 86400), (int)(seconds / 3600 % 24));
}

static void state_label(int state, char out[LABEL_MAX])
{
    enum flocks_service_state known = flocks_service_state_from(state);
    if (state != 0 && known == FLOCKS_SERVICE_STATE_UNSPECIFIED)
        (void)snprintf(out, LABEL_MAX, "STATE(%d)", state);
    else
        (void)snprintf(out, LABEL_MAX, "%s", flocks_service_state_name(known));
}

static void daemon_label(int state, char out[LABEL_MAX])
{
    switch (flocks_daemon_state_from(state)) {
    case FLOCKS_DAEMON_STATE_NOT_RUNNING:
        (void)snprintf(out, LABEL_MAX, "not running");
        return;
    case FLOCKS_DAEMON_STATE_STARTING:
        (void)snprintf(out, LABEL_MAX, "starting");
        return;
    case FLOCKS_DAEMON_STATE_RUNNING:
        (void)snprintf(out, LABEL_MAX, "running");
        return;
    case FLOCKS_DAEMON_STATE_STOPPING:
        (void)snprintf(out, LABEL_MAX, "stopping");
        return;
    case FLOCKS_DAEMON_STATE_REPLACING:
        (void)snprintf(out, LABEL_MAX, "being replaced");
        return;
    case FLOCKS_DAEMON_STATE_UNSPECIFIED:
        break;
    }
    (void)snprintf(out, LABEL_MAX, "STATE(%d)", state);
}

static enum terminal_color state_color(int state)
{
    switch (flocks_service_state_from(state)) {
    case FLOCKS_SERVICE_STATE_HEALTHY:
    case FLOCKS_SERVICE_STATE_COMPLETED:
        return TERMINAL_GREEN;
    case FLOCKS_SERVICE_STATE_FAILED:
    case FLOCKS_SERVICE_STATE_DEGRADED:
    case FLOCKS_SERVICE_STATE_BACKOFF:
        return TERMINAL_RED;
    case FLOCKS_SERVICE_STATE_STOPPED:
        return TERMINAL_DIM;
    case FLOCKS_SERVICE_STATE_UNSPECIFIED:
    case FLOCKS_SERVICE_STATE_WAITING:
    case FLOCKS_SERVICE_STATE_PREPARING:
    case FLOCKS_SERVICE_STATE_STARTING:
    case FLOCKS_SERVICE_STATE_STOPPING:
    case FLOCKS_SERVICE_STATE_PAUSED:
        break;
    }
    return TERMINAL_YELLOW;
}

static bool is_well(int state)
{
    enum flocks_service_state known = flocks_service_state_from(state);
    return known == FLOCKS_SERVICE_STATE_HEALTHY || known == FLOCKS_SERVICE_STATE_COMPLETED;
}

/* ---- parts ---- */

static void print_daemon(const struct status_view *view, FILE *stream)
{
    const flocks_daemon_status *daemon = view->status->daemon;
    char label[LABEL_MAX];
    daemon_label(daemon ? (int)daemon->state : FLOCKS_DAEMON_STATE_NOT_RUNNING, label);
    fprintf(stream, "%sflocks%s %s", terminal_color(TERMINAL_BOLD, view->color),
        terminal_reset(view->color), label);
    if (daemon && daemon->pid > 0) {
        char age[AGE_MAX] = "";
        if (daemon->started_at)
            age_text(view->now_s - daemon->started_at->seconds, age);
        fprintf(stream, ", version %s, pid %d, keeper %d%s%s", daemon->version, daemon->pid,
            daemon->keeper_pid, age[0] ? ", up " : "", age);
        if (daemon->takeovers > 0)
            fprintf(stream, ", taken over %u time%s", daemon->takeovers,
                daemon->takeovers == 1 ? "" : "s");
    }
    fprintf(stream, "\nroot %s\n", view->paths->root);
    if (daemon && daemon->config_changed)
        fprintf(stream, "%s was changed since; `flocks restart` applies it\n", view->paths->config);
    if (daemon && daemon->read_only_disk)
        fputs("the disk cannot be written: output of the services is being lost\n", stream);
}

/* Why it is not simply well; "" when there is nothing to say. */
static void detail_text(
    const struct status_view *view, const flocks_service_status *service, char out[DETAIL_MAX])
{
    char retry[AGE_MAX + 16] = "";
    out[0] = '\0';
    if (service->retry_at) {
        char age[AGE_MAX];
        age_text(service->retry_at->seconds - view->now_s, age);
        (void)snprintf(retry, sizeof(retry), " (next try in %s)", age);
    }
    enum flocks_state_reason reason = flocks_state_reason_from((int)service->reason);
    bool says_more =
        reason != FLOCKS_STATE_REASON_UNSPECIFIED && reason != FLOCKS_STATE_REASON_REQUESTED;
    if (!is_well((int)service->state) && service->last_error[0])
        (void)snprintf(out, DETAIL_MAX, "%s%s", service->last_error, retry);
    else if (!is_well((int)service->state) && says_more)
        (void)snprintf(out, DETAIL_MAX, "%s%s", flocks_state_reason_name(reason), retry);
    else if (service->notified_status[0])
        (void)snprintf(out, DETAIL_MAX, "%s", service->notified_status);
    else if (service->restart_count > 0 && service->last_error[0])
        (void)snprintf(out, DETAIL_MAX, "last: %s", service->last_error);
}

static void add_service(
    const struct status_view *view, const flocks_service_status *service, struct table *table)
{
    char label[LABEL_MAX];
    char url[ENDPOINT_URL_MAX];
    char age[AGE_MAX] = "";
    char detail[DETAIL_MAX];
    state_label((int)service->state, label);
    endpoint_url(service->host, service->port, url);
    if (service->since)
        age_text(view->now_s - service->since->seconds, age);
    detail_text(view, service, detail);
    table_cell(table, TERMINAL_PLAIN, "%s", service->name);
    table_cell(table, state_color((int)service->state), "%s", label);
    if (service->pid > 0)
        table_cell(table, TERMINAL_PLAIN, "%d", service->pid);
    else
        table_cell(table, TERMINAL_PLAIN, "-");
    table_cell(table, TERMINAL_PLAIN, "%s", age[0] ? age : "-");
    table_cell(table, service->restart_count > 0 ? TERMINAL_YELLOW : TERMINAL_PLAIN, "%u",
        service->restart_count);
    table_cell(table, TERMINAL_PLAIN, "%s", url[0] ? url : "-");
    table_cell(table, TERMINAL_PLAIN, "%s", detail);
}

static bool print_services(const struct status_view *view, FILE *stream)
{
    static const char *const headings[] = {
        "SERVICE", "STATE", "PID", "SINCE", "RESTARTS", "URL", ""};
    const flocks_get_status_response *status = view->status;
    if (status->n_services == 0)
        return true;
    struct table *table = table_new(headings, ARRAY_LENGTH(headings));
    if (!table)
        return false;
    for (size_t i = 0; i < status->n_services; i++)
        add_service(view, status->services[i], table);
    fputc('\n', stream);
    bool is_whole = table_print(table, stream, view->color);
    table_free(table);
    return is_whole;
}

static void print_leases(const struct status_view *view, FILE *stream)
{
    const flocks_get_status_response *status = view->status;
    for (size_t i = 0; i < status->n_leases; i++) {
        const flocks_lease *lease = status->leases[i];
        fprintf(stream, "%slease %s of ", i == 0 ? "\n" : "", lease->id);
        terminal_print_escaped(stream, lease->owner);
        fputs(": ", stream);
        terminal_print_escaped(stream, lease->reason);
        fputc('\n', stream);
    }
}

static void print_leftovers(const struct status_view *view, FILE *stream)
{
    const flocks_get_status_response *status = view->status;
    if (status->n_leftovers == 0)
        return;
    fputs("\nleft over by an earlier flocks; `flocks stop` ends them\n", stream);
    for (size_t i = 0; i < status->n_leftovers; i++) {
        const flocks_leftover *left = status->leftovers[i];
        fprintf(stream, "  %s: pid %d (", left->service, left->process ? left->process->pid : 0);
        terminal_print_escaped(stream, left->executable);
        fputs(")\n", stream);
    }
}

static void print_logs(const struct status_view *view, FILE *stream)
{
    const flocks_get_status_response *status = view->status;
    int width = (int)strlen("daemon");
    for (size_t i = 0; i < status->n_services; i++)
        if ((int)strlen(status->services[i]->name) > width)
            width = (int)strlen(status->services[i]->name);
    fprintf(stream, "\nlogs\n  %-*s  %s/daemon.log\n", width, "daemon", view->paths->logs);
    for (size_t i = 0; i < status->n_services; i++)
        fprintf(stream, "  %-*s  %s\n", width, status->services[i]->name,
            status->services[i]->log_path);
}

bool status_view_print(const struct status_view *view, FILE *stream)
{
    print_daemon(view, stream);
    bool is_whole = print_services(view, stream);
    print_leases(view, stream);
    print_leftovers(view, stream);
    print_logs(view, stream);
    return is_whole;
}

const flocks_service_status *status_view_find(
    const flocks_get_status_response *status, const char *name)
{
    for (size_t i = 0; i < status->n_services; i++)
        if (strcmp(status->services[i]->name, name) == 0)
            return status->services[i];
    return NULL;
}

enum outcome status_view_judge(
    const flocks_get_status_response *status, const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        const flocks_service_status *service = status_view_find(status, names[i]);
        if (!service || !is_well((int)service->state))
            return OUTCOME_FAILED;
    }
    for (size_t i = 0; n_names == 0 && i < status->n_services; i++)
        if (status->services[i]->wanted && !is_well((int)status->services[i]->state))
            return OUTCOME_FAILED;
    return OUTCOME_DONE;
}
