/* Texts of others are made safe. */
#include "client/cli/progress_view.h"

#include <string.h>

#include "client/cli/status_view.h"
#include "client/cli/terminal.h"
#include "client/cli/wording.h"
#include "common/base/attributes.h"

enum { STATE_WIDTH = 9, MS_PER_S = 1000 };

static const flocks_service_status *status_of(const struct progress_view *view, size_t index)
{
    const char *name = view->operation->outcomes[index]->service;
    return view->status ? status_view_find(view->status, name) : NULL;
}

static bool is_at_work(const flocks_service_outcome *outcome)
{
    return outcome->state == FLOCKS_OPERATION_STATE_QUEUED ||
           outcome->state == FLOCKS_OPERATION_STATE_RUNNING;
}

/* A part that went wrong says so, whatever state the service is in by now. */
static bool went_wrong(const flocks_service_outcome *outcome)
{
    return !is_at_work(outcome) && outcome->state != FLOCKS_OPERATION_STATE_SUCCEEDED;
}

void progress_view_word(const struct progress_view *view, size_t index, char out[PROGRESS_WORD_MAX])
{
    const flocks_service_outcome *outcome = view->operation->outcomes[index];
    const flocks_service_status *status = status_of(view, index);
    bool is_queued = outcome->state == FLOCKS_OPERATION_STATE_QUEUED;
    struct wording word = status && !is_queued && !went_wrong(outcome)
                              ? wording_state((int)status->state)
                              : wording_operation((int)outcome->state);
    (void)snprintf(out, PROGRESS_WORD_MAX, "%.30s", word.text);
}

void progress_view_detail(
    const struct progress_view *view, size_t index, char out[PROGRESS_DETAIL_MAX])
{
    const flocks_service_outcome *outcome = view->operation->outcomes[index];
    const flocks_service_status *status = status_of(view, index);
    char detail[STATUS_DETAIL_MAX] = "";
    out[0] = '\0';
    if (went_wrong(outcome) && outcome->message[0])
        (void)snprintf(out, PROGRESS_DETAIL_MAX, "%s", outcome->message);
    else if (went_wrong(outcome))
        (void)snprintf(out, PROGRESS_DETAIL_MAX, "%s", wording_reason((int)outcome->reason).text);
    if (out[0] || !status)
        return;
    status_view_detail(
        status, status_view_find_lease(view->status, status->lease_id), view->now_s, detail);
    (void)snprintf(out, PROGRESS_DETAIL_MAX, "%s", detail);
}

/* ---- the block ---- */

static enum terminal_color color_of(const struct progress_view *view, size_t index)
{
    const flocks_service_outcome *outcome = view->operation->outcomes[index];
    const flocks_service_status *status = status_of(view, index);
    if (went_wrong(outcome))
        return TERMINAL_RED;
    if (outcome->state == FLOCKS_OPERATION_STATE_QUEUED)
        return TERMINAL_DIM;
    return status ? wording_state_color((int)status->state) : TERMINAL_YELLOW;
}

static void print_head(const struct progress_view *view, FILE *stream)
{
    const flocks_operation *operation = view->operation;
    fprintf(stream, "%s%s%s", terminal_color(TERMINAL_BOLD, view->color),
        wording_kind((int)operation->kind).text, terminal_reset(view->color));
    if (operation->steps_total > 0)
        fprintf(stream, ", %u of %u", operation->steps_done, operation->steps_total);
    fprintf(stream, ", %s", wording_age(view->elapsed_ms / MS_PER_S).text);
    /* The services' own lines say it better. */
    if (!view->status && operation->step[0]) {
        fputs(": ", stream);
        terminal_print_escaped(stream, operation->step);
    }
    fputc('\n', stream);
}

static void print_service(
    const struct progress_view *view, size_t index, int name_width, FILE *stream)
{
    const flocks_service_outcome *outcome = view->operation->outcomes[index];
    char word[PROGRESS_WORD_MAX];
    char detail[PROGRESS_DETAIL_MAX];
    enum terminal_color color = color_of(view, index);
    progress_view_word(view, index, word);
    progress_view_detail(view, index, detail);
    fprintf(stream, "  %-*s  %s%s%s", name_width, outcome->service,
        terminal_color(color, view->color), word,
        color == TERMINAL_PLAIN ? "" : terminal_reset(view->color));
    if (detail[0]) {
        int pad = STATE_WIDTH - (int)strlen(word);
        fprintf(stream, "%*s  ", pad > 0 ? pad : 0, "");
        terminal_print_escaped(stream, detail);
    }
    fputc('\n', stream);
}

/* Whether there is a line for it. */
static bool is_shown(const struct progress_view *view, size_t index)
{
    const flocks_service_outcome *outcome = view->operation->outcomes[index];
    return view->operation->n_outcomes <= PROGRESS_SERVICES || is_at_work(outcome) ||
           went_wrong(outcome);
}

void progress_view_print(const struct progress_view *view, FILE *stream)
{
    const flocks_operation *operation = view->operation;
    size_t n_shown = 0;
    size_t n_left_out = 0;
    int width = 0;
    for (size_t i = 0; i < operation->n_outcomes; i++)
        if (is_shown(view, i) && (int)strlen(operation->outcomes[i]->service) > width)
            width = (int)strlen(operation->outcomes[i]->service);
    print_head(view, stream);
    for (size_t i = 0; i < operation->n_outcomes; i++) {
        if (!is_shown(view, i))
            continue;
        if (n_shown < PROGRESS_SERVICES)
            print_service(view, i, width, stream);
        else
            n_left_out++;
        n_shown++;
    }
    if (n_left_out > 0)
        fprintf(stream, "  and %zu more\n", n_left_out);
}
