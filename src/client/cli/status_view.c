/* Texts of `flocks status`. Unknown numbers of a newer server are shown as STATE(17). */
#include "client/cli/status_view.h"

#include <string.h>

#include "client/cli/endpoint.h"
#include "client/cli/table.h"
#include "client/cli/terminal.h"
#include "client/cli/update_view.h"
#include "client/cli/wording.h"

/* ---- small texts ---- */

const flocks_lease *status_view_find_lease(const flocks_get_status_response *status, const char *id)
{
    for (size_t i = 0; id[0] && i < status->n_leases; i++)
        if (strcmp(status->leases[i]->id, id) == 0)
            return status->leases[i];
    return NULL;
}

/* Why it is where it is, when that is not simply well; a lease is told by its own clause. */
static void trouble_text(const flocks_service_status *service, char *out, size_t size)
{
    enum flocks_state_reason reason = flocks_state_reason_from((int)service->reason);
    if (service->last_error[0])
        (void)snprintf(out, size, "%s", service->last_error);
    else if (reason != FLOCKS_STATE_REASON_REQUESTED && reason != FLOCKS_STATE_REASON_LEASE_HELD)
        (void)snprintf(out, size, "%s", wording_reason((int)service->reason).text);
}

static void lease_text(
    const flocks_service_status *service, const flocks_lease *lease, char *out, size_t size)
{
    bool is_paused = service->state == FLOCKS_SERVICE_STATE_PAUSED;
    (void)snprintf(out, size, "%s %s", is_paused ? "paused by" : "held by",
        lease && lease->owner[0] ? lease->owner : "an upgrade");
    size_t len = strlen(out);
    if (lease && lease->remaining)
        (void)snprintf(
            out + len, size - len, ", %s left", wording_age(lease->remaining->seconds).text);
}

/* Appends a clause; what does not fit is cut. */
static void add_clause(char out[STATUS_DETAIL_MAX], const char *clause)
{
    size_t len = strlen(out);
    if (clause[0])
        (void)snprintf(out + len, STATUS_DETAIL_MAX - len, "%s%s", len > 0 ? "; " : "", clause);
}

void status_view_detail(const flocks_service_status *service, const flocks_lease *lease,
    int64_t now_s, char out[STATUS_DETAIL_MAX])
{
    char clause[STATUS_DETAIL_MAX / 2] = "";
    bool is_well = wording_is_well((int)service->state);
    out[0] = '\0';
    if (!is_well)
        trouble_text(service, clause, sizeof(clause));
    else if (!service->notified_status[0] && service->restart_count > 0 && service->last_error[0])
        (void)snprintf(clause, sizeof(clause), "last: %s", service->last_error);
    add_clause(out, clause);
    if (service->retry_at) {
        size_t len = strlen(out);
        (void)snprintf(out + len, STATUS_DETAIL_MAX - len, "%s(next try in %s)", len > 0 ? " " : "",
            wording_age(service->retry_at->seconds - now_s).text);
    }
    add_clause(out, service->notified_status);
    /* A foreign holder is the trouble itself, and told already. */
    bool runs = service->pid > 0 && service->listener != FLOCKS_LISTENER_STATE_NONE;
    if (runs || !out[0])
        add_clause(out, wording_listener((int)service->listener).text);
    clause[0] = '\0';
    if (service->lease_id[0])
        lease_text(service, lease, clause, sizeof(clause));
    add_clause(out, clause);
}

/* ---- parts ---- */

static void print_tcp(const flocks_daemon_status *daemon, FILE *stream)
{
    if (daemon == NULL)
        return;
    for (size_t i = 0; i < daemon->n_tcp_addresses; i++)
        fprintf(stream, "%s%s", i == 0 ? "tcp " : ", ", daemon->tcp_addresses[i]);
    if (daemon->n_tcp_addresses > 0)
        fputs("\n", stream);
    if (daemon->tcp_problem[0] == '\0')
        return;
    fputs("tcp is not served as configured: ", stream);
    terminal_print_escaped(stream, daemon->tcp_problem);
    fputs("\n", stream);
}

static void print_daemon(const struct status_view *view, FILE *stream)
{
    const flocks_daemon_status *daemon = view->status->daemon;
    int state = daemon ? (int)daemon->state : FLOCKS_DAEMON_STATE_NOT_RUNNING;
    fprintf(stream, "%sflocks%s %s", terminal_color(TERMINAL_BOLD, view->color),
        terminal_reset(view->color), wording_daemon(state).text);
    if (daemon && daemon->pid > 0) {
        fprintf(stream, ", version %s, pid %d, keeper %d", daemon->version, daemon->pid,
            daemon->keeper_pid);
        if (daemon->started_at)
            fprintf(stream, ", up %s", wording_age(view->now_s - daemon->started_at->seconds).text);
        if (daemon->takeovers > 0)
            fprintf(stream, ", taken over %u time%s", daemon->takeovers,
                daemon->takeovers == 1 ? "" : "s");
    }
    fprintf(stream, "\nroot %s\n", view->paths->root);
    if (daemon && daemon->config_changed)
        fprintf(stream, "%s was changed since; `flocks config plan` shows what applying it does\n",
            view->paths->config);
    print_tcp(daemon, stream);
    if (daemon && daemon->read_only_disk)
        fputs("the disk cannot be written: output of the services is being lost\n", stream);
}

static void add_service(
    const struct status_view *view, const flocks_service_status *service, struct table *table)
{
    char url[ENDPOINT_URL_MAX];
    char detail[STATUS_DETAIL_MAX];
    struct wording age = {"-"};
    endpoint_url(service->host, service->port, url);
    if (service->since)
        age = wording_age(view->now_s - service->since->seconds);
    status_view_detail(
        service, status_view_find_lease(view->status, service->lease_id), view->now_s, detail);
    table_cell(table, TERMINAL_PLAIN, "%s", service->name);
    table_cell(table, wording_state_color((int)service->state), "%s",
        wording_state((int)service->state).text);
    if (service->pid > 0)
        table_cell(table, TERMINAL_PLAIN, "%d", service->pid);
    else
        table_cell(table, TERMINAL_PLAIN, "-");
    table_cell(table, TERMINAL_PLAIN, "%s", age.text);
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
        fprintf(stream, " (%s", wording_phase((int)lease->phase).text);
        if (lease->remaining)
            fprintf(stream, ", %s left", wording_age(lease->remaining->seconds).text);
        if (lease->holding_page_address[0])
            fprintf(stream, ", holding page at %s", lease->holding_page_address);
        fputs("): ", stream);
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
    if (view->upgrade) {
        fputc('\n', stream);
        update_view_present(view->upgrade, view->now_s, view->color, stream);
    }
    print_leases(view, stream);
    print_leftovers(view, stream);
    if (!view->without_logs)
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

/* What was asked has been done, and somebody has asked for something else since. */
static bool is_anothers_now(const flocks_service_status *service, const flocks_operation *done)
{
    if (!done || !service->operation_id[0] || strcmp(service->operation_id, done->id) == 0)
        return false;
    for (size_t i = 0; i < done->n_outcomes; i++) {
        const flocks_service_outcome *outcome = done->outcomes[i];
        if (strcmp(outcome->service, service->name) == 0)
            return outcome->state == FLOCKS_OPERATION_STATE_SUCCEEDED;
    }
    return false;
}

static bool is_well(const flocks_service_status *service, const flocks_operation *done)
{
    return wording_is_well((int)service->state) || is_anothers_now(service, done);
}

enum outcome status_view_judge(const flocks_get_status_response *status, const char *const *names,
    size_t n_names, const flocks_operation *done)
{
    for (size_t i = 0; i < n_names; i++) {
        const flocks_service_status *service = status_view_find(status, names[i]);
        if (!service || !is_well(service, done))
            return OUTCOME_FAILED;
    }
    for (size_t i = 0; n_names == 0 && i < status->n_services; i++)
        if (status->services[i]->wanted && !is_well(status->services[i], done))
            return OUTCOME_FAILED;
    return OUTCOME_DONE;
}
