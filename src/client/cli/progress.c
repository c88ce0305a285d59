#include "client/cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/terminal.h"
#include "common/base/clock.h"

void progress_begin(struct progress *progress, const struct cli *cli)
{
    *progress = (struct progress){
        .cli = cli, .live = {.fd = STDERR_FILENO}, .began_at = clock_monotonic_ms()};
}

bool progress_shows_services(const struct progress *progress)
{
    return progress->cli->notes && !progress->cli->json;
}

/* ---- on a terminal ---- */

static void draw(struct progress *progress, const struct progress_view *view)
{
    char *text = NULL;
    size_t len = 0;
    FILE *picture = open_memstream(&text, &len);
    if (!picture)
        return;
    progress_view_print(view, picture);
    if (fclose(picture) == 0)
        live_draw_block(&progress->live, text);
    free(text);
}

/* ---- elsewhere ---- */

static void tell_step(struct progress *progress, const flocks_operation *operation)
{
    FILE *notes = progress->cli->notes;
    if (!operation->step[0] || strcmp(progress->step, operation->step) == 0)
        return;
    fputs("flocks: ", notes);
    terminal_print_escaped(notes, operation->step);
    fprintf(notes, " (%u of %u)\n", operation->steps_done, operation->steps_total);
    (void)snprintf(progress->step, sizeof(progress->step), "%s", operation->step);
}

static void tell_service(struct progress *progress, const struct progress_view *view, size_t index)
{
    FILE *notes = progress->cli->notes;
    char word[PROGRESS_WORD_MAX];
    char detail[PROGRESS_DETAIL_MAX];
    progress_view_word(view, index, word);
    if (strcmp(progress->words[index], word) == 0)
        return;
    memcpy(progress->words[index], word, sizeof(word));
    progress_view_detail(view, index, detail);
    fprintf(notes, "flocks: %s: %s%s", view->operation->outcomes[index]->service, word,
        detail[0] ? ": " : "");
    terminal_print_escaped(notes, detail);
    fputc('\n', notes);
}

/* Failures are told at the end, by whoever reports it. */
static bool is_news(const flocks_service_outcome *outcome)
{
    return outcome->state == FLOCKS_OPERATION_STATE_RUNNING ||
           outcome->state == FLOCKS_OPERATION_STATE_SUCCEEDED;
}

static void tell(struct progress *progress, const struct progress_view *view)
{
    const flocks_operation *operation = view->operation;
    if (!view->status || operation->n_outcomes > PROGRESS_SERVICES) {
        tell_step(progress, operation);
        return;
    }
    for (size_t i = 0; i < operation->n_outcomes; i++)
        if (is_news(operation->outcomes[i]))
            tell_service(progress, view, i);
}

void progress_show(struct progress *progress, const flocks_operation *operation,
    const flocks_get_status_response *status)
{
    const struct progress_view view = {.operation = operation,
        .status = status,
        .elapsed_ms = clock_monotonic_ms() - progress->began_at,
        .now_s = clock_wall_ns() / 1000000000,
        .color = progress->cli->color_notes};
    if (!progress->cli->notes)
        return;
    if (progress->cli->live && !progress->cli->json)
        draw(progress, &view);
    else
        tell(progress, &view);
}

void progress_end(struct progress *progress)
{
    live_draw_block(&progress->live, "");
}
