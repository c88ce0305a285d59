/* Values come from files: they are made safe. */
#include "client/cli/plan_view.h"

#include <string.h>

#include "client/cli/terminal.h"
#include "common/base/attributes.h"

enum { IMPACT_WIDTH = 7 };

static const struct {
    const char *text;
    enum terminal_color color;
} impacts[] = {
    [FLOCKS_CONFIG_IMPACT_UNSPECIFIED] = {NULL, TERMINAL_PLAIN},
    [FLOCKS_CONFIG_IMPACT_NONE] = {"none", TERMINAL_DIM},
    [FLOCKS_CONFIG_IMPACT_RESTART] = {"restart", TERMINAL_YELLOW},
    [FLOCKS_CONFIG_IMPACT_START] = {"start", TERMINAL_GREEN},
    [FLOCKS_CONFIG_IMPACT_STOP] = {"stop", TERMINAL_RED},
};

static bool is_known(const flocks_service_impact *impact)
{
    return (int)impact->impact > 0 && (size_t)impact->impact < ARRAY_LENGTH(impacts);
}

static bool does_nothing(const flocks_service_impact *impact)
{
    return impact->impact == FLOCKS_CONFIG_IMPACT_NONE;
}

bool plan_view_is_empty(const flocks_plan_config_response *plan)
{
    for (size_t i = 0; i < plan->n_impacts; i++)
        if (!does_nothing(plan->impacts[i]))
            return false;
    return plan->n_changes == 0;
}

/* ---- what differs ---- */

static void print_change(const flocks_config_change *change, bool color, FILE *stream)
{
    enum terminal_color kind = TERMINAL_YELLOW;
    const char *sign = "~";
    if (!change->old_value[0]) {
        kind = TERMINAL_GREEN;
        sign = "+";
    } else if (!change->new_value[0]) {
        kind = TERMINAL_RED;
        sign = "-";
    }
    fprintf(stream, "  %s%s%s ", terminal_color(kind, color), sign, terminal_reset(color));
    terminal_print_escaped(stream, change->path);
    fputs(": ", stream);
    terminal_print_escaped(stream, change->old_value);
    if (change->old_value[0] && change->new_value[0])
        fputs(" -> ", stream);
    terminal_print_escaped(stream, change->new_value);
    fputc('\n', stream);
}

static void print_changes(const flocks_plan_config_response *plan, bool color, FILE *stream)
{
    size_t n = plan->n_changes < PLAN_CHANGES ? plan->n_changes : PLAN_CHANGES;
    if (n == 0)
        return;
    fprintf(stream, "%schanges%s\n", terminal_color(TERMINAL_BOLD, color), terminal_reset(color));
    for (size_t i = 0; i < n; i++)
        print_change(plan->changes[i], color, stream);
    if (n < plan->n_changes)
        fprintf(stream, "  and %zu more; --json has all\n", plan->n_changes - n);
    fputc('\n', stream);
}

/* ---- what that does ---- */

static void print_reasons(const flocks_service_impact *impact, FILE *stream)
{
    size_t n = impact->n_because < PLAN_REASONS ? impact->n_because : PLAN_REASONS;
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "  because of " : ", ", stream);
        terminal_print_escaped(stream, impact->because[i]);
    }
    if (n < impact->n_because)
        fprintf(stream, " and %zu more", impact->n_because - n);
}

static void print_impact(
    const flocks_service_impact *impact, int name_width, bool color, FILE *stream)
{
    fputs("  ", stream);
    terminal_print_escaped(stream, impact->service);
    fprintf(stream, "%*s  ", name_width - (int)strlen(impact->service), "");
    if (!is_known(impact)) {
        fprintf(stream, "IMPACT(%d)\n", (int)impact->impact);
        return;
    }
    const char *text = impacts[impact->impact].text;
    fprintf(stream, "%s%s%s", terminal_color(impacts[impact->impact].color, color), text,
        terminal_reset(color));
    if (impact->n_because > 0)
        fprintf(stream, "%*s", IMPACT_WIDTH - (int)strlen(text), "");
    print_reasons(impact, stream);
    fputc('\n', stream);
}

static void print_impacts(const flocks_plan_config_response *plan, bool color, FILE *stream)
{
    size_t n_untouched = 0;
    int width = 0;
    for (size_t i = 0; i < plan->n_impacts; i++) {
        const flocks_service_impact *impact = plan->impacts[i];
        n_untouched += does_nothing(impact);
        if (!does_nothing(impact) && (int)strlen(impact->service) > width)
            width = (int)strlen(impact->service);
    }
    fprintf(stream, "%swhat applying it does%s\n", terminal_color(TERMINAL_BOLD, color),
        terminal_reset(color));
    for (size_t i = 0; i < plan->n_impacts; i++)
        if (!does_nothing(plan->impacts[i]))
            print_impact(plan->impacts[i], width, color, stream);
    if (n_untouched == plan->n_impacts)
        fputs("  no service is touched\n", stream);
    else if (n_untouched > 0)
        fprintf(stream, "  %zu other%s untouched\n", n_untouched, n_untouched == 1 ? "" : "s");
}

void plan_view_print(const flocks_plan_config_response *plan, bool color, FILE *stream)
{
    if (plan_view_is_empty(plan)) {
        fputs("nothing differs from what runs\n", stream);
        return;
    }
    print_changes(plan, color, stream);
    print_impacts(plan, color, stream);
    fputs("\nplan ", stream);
    terminal_print_escaped(stream, plan->plan);
    fputc('\n', stream);
}
