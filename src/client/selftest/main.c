/* `flocks-selftest`, run by `flocks selftest`: every promise tried in a private root, one row each.
 *
 *     flocks-selftest --flocks PATH [--json] [--quiet] [--keep] [--no-color] [DRILL...]
 *     flocks-selftest --serve MODE ... : a service of the drills (service.h) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/wording.h"
#include "client/selftest/drills.h"
#include "client/selftest/service.h"
#include "client/selftest/sweep.h"
#include "common/base/attributes.h"
#include "common/base/clock.h"

enum {
    /* No drill begins after that; each is bounded itself. One that had no time counts as broken. */
    BUDGET_MS = 60 * 1000,
    DRILLS_MAX = 16,
    NS_PER_MS = 1000000,
    MS_PER_S = 1000
};

/* One run. */
struct selftest {
    struct cli cli; /* for the report: json, quiet, colours */
    struct stage stage;
    bool keeps;
    const char *const *names; /* of the drills wanted; none: all */
    size_t n_names;
    struct drill_result results[DRILLS_MAX];
    size_t n_left; /* processes that `flocks stop` left */
    bool has_stopped;
};

/* ---- what is asked for ---- */

static const enum option_id options_of_selftest[] = {OPTION_KEEP, OPTION_FLOCKS, OPTION_END};

static int check_names(const struct selftest *test, struct error *error)
{
    for (size_t i = 0; i < test->n_names; i++) {
        size_t j = 0;
        while (j < n_drills && strcmp(drills[j].name, test->names[i]) != 0)
            j++;
        if (j < n_drills)
            continue;
        int result =
            error_set(error, STATUS_INVALID_ARGUMENT, "there is no drill \"%s\"", test->names[i]);
        error_set_hint(error, "`flocks selftest` without names tries all, and shows their names");
        return result;
    }
    return 0;
}

static int read_options(struct selftest *test, int argc, char **argv, struct error *error)
{
    struct cli *cli = &test->cli;
    int result = options_parse(options_of_selftest, argc - 1, argv + 1, NULL, &cli->options, error);
    const char *flocks = cli_text(cli, OPTION_FLOCKS);
    cli->json = cli_flag(cli, OPTION_JSON, false);
    cli->quiet = cli_flag(cli, OPTION_QUIET, false);
    cli->color = terminal_has_color(stdout, cli_flag(cli, OPTION_NO_COLOR, false));
    cli->live = !cli->quiet && terminal_is_live(stderr);
    test->keeps = cli_flag(cli, OPTION_KEEP, false);
    test->names = cli->options.operands;
    test->n_names = cli->options.n_operands;
    if (result == 0 && !flocks)
        result = error_set(error, STATUS_INVALID_ARGUMENT, "run it as `flocks selftest`");
    if (result == 0)
        result = check_names(test, error);
    if (result < 0)
        return result;
    (void)snprintf(test->stage.flocks, sizeof(test->stage.flocks), "%s", flocks);
    ssize_t len = readlink("/proc/self/exe", test->stage.self, sizeof(test->stage.self) - 1);
    return len > 0 ? 0 : error_set_errno(error, errno, "read /proc/self/exe");
}

/* What this user has set for the instance of his own is not for this one. */
static void clean_environment(void)
{
    static const char *const names[] = {"FLOCKS_ROOT", "FLOCKS_CONFIG", "FLOCKS_SOCKET",
        "FLOCKS_TOKEN_FILE", "FLOCKS_CONTROL_PORT", "FLOCKS_INVOCATION_ID", "FLOCKS_SERVICE",
        "NOTIFY_SOCKET"};
    /* One thread, before anything else runs. */
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        (void)unsetenv(names[i]); // NOLINT(concurrency-mt-unsafe)
}

/* ---- the drills ---- */

static bool is_wanted(const struct selftest *test, const struct drill *drill)
{
    for (size_t i = 0; i < test->n_names; i++)
        if (strcmp(test->names[i], drill->name) == 0)
            return true;
    return test->n_names == 0;
}

static void skip(struct drill_result *out, const char *why)
{
    out->verdict = VERDICT_NOT_TRIED;
    (void)snprintf(out->message, sizeof(out->message), "%s", why);
}

static void run_drills(struct selftest *test)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), BUDGET_MS);
    for (size_t i = 0; i < n_drills; i++) {
        struct drill_result *result = &test->results[i];
        *result = (struct drill_result){.took_ms = -1};
        if (test->cli.live)
            fprintf(stderr, "\r\033[K%s ...", drills[i].name);
        if (!is_wanted(test, &drills[i]))
            skip(result, "not asked for");
        else if (stage_is_interrupted())
            skip(result, "interrupted");
        else if (clock_monotonic_ms() > until_at)
            *result = (struct drill_result){
                .verdict = VERDICT_BROKEN, .took_ms = -1, .message = "no time was left for it"};
        else
            drills[i].run(&test->stage, result);
    }
    if (test->cli.live)
        fputs("\r\033[K", stderr);
}

/* ---- what came of it ---- */

static const struct {
    const char *text;
    enum terminal_color color;
    enum flocks_selftest_verdict code;
} verdicts[] = {
    [VERDICT_HELD] = {"held", TERMINAL_GREEN, FLOCKS_SELFTEST_VERDICT_HELD},
    [VERDICT_BROKEN] = {"BROKEN", TERMINAL_RED, FLOCKS_SELFTEST_VERDICT_BROKEN},
    [VERDICT_NOT_TRIED] = {"not tried", TERMINAL_YELLOW, FLOCKS_SELFTEST_VERDICT_NOT_TRIED},
};

static size_t count(const struct selftest *test, enum verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < n_drills; i++)
        n += test->results[i].verdict == verdict;
    return n;
}

static void print_table(const struct selftest *test)
{
    static const char *const headings[] = {"DRILL", "RESULT", "TIME", "PROMISE", ""};
    struct table *table = table_new(headings, ARRAY_LENGTH(headings));
    if (!table)
        return;
    for (size_t i = 0; i < n_drills; i++) {
        const struct drill_result *result = &test->results[i];
        struct wording took = {"-"};
        if (result->took_ms >= 0)
            took = wording_duration(result->took_ms * NS_PER_MS);
        table_cell(table, TERMINAL_PLAIN, "%s", drills[i].name);
        table_cell(table, verdicts[result->verdict].color, "%s", verdicts[result->verdict].text);
        table_cell(table, TERMINAL_PLAIN, "%s", took.text);
        table_cell(table, TERMINAL_PLAIN, "%s", drills[i].promise);
        table_cell(table, TERMINAL_PLAIN, "%s", result->message);
    }
    (void)table_print(table, stdout, test->cli.color);
    table_free(table);
    if (test->n_left > 0)
        printf("\n`flocks stop` left %zu process%s, now killed\n", test->n_left,
            test->n_left == 1 ? "" : "es");
    if (test->keeps)
        printf("\nkept: %s\n", test->stage.root);
}

static enum outcome print_json(const struct selftest *test, enum outcome outcome)
{
    flocks_selftest_report report = FLOCKS_SELFTEST_REPORT_INIT;
    flocks_selftest_result items[DRILLS_MAX];
    flocks_selftest_result *list[DRILLS_MAX];
    Google__Protobuf__Duration took[DRILLS_MAX];
    for (size_t i = 0; i < n_drills; i++) {
        const struct drill_result *result = &test->results[i];
        items[i] = (flocks_selftest_result)FLOCKS_SELFTEST_RESULT_INIT;
        items[i].drill = drills[i].name;
        items[i].promise = drills[i].promise;
        items[i].verdict = (Flocks__V1__SelftestVerdict)verdicts[result->verdict].code;
        items[i].message = result->message;
        took[i] = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
        took[i].seconds = result->took_ms / MS_PER_S;
        took[i].nanos = (int32_t)(result->took_ms % MS_PER_S * NS_PER_MS);
        if (result->took_ms >= 0)
            items[i].took = &took[i];
        list[i] = &items[i];
    }
    report.n_results = n_drills;
    report.results = list;
    report.processes_left = (uint32_t)test->n_left;
    return report_message(&test->cli, &flocks_selftest_report_info, &report.base, outcome);
}

static enum outcome tell(const struct selftest *test)
{
    bool is_broken = count(test, VERDICT_BROKEN) > 0 || test->n_left > 0;
    enum outcome outcome = is_broken ? OUTCOME_FAILED : OUTCOME_DONE;
    if (stage_is_interrupted())
        outcome = OUTCOME_INTERRUPTED;
    if (test->cli.json)
        return print_json(test, outcome);
    if (!test->cli.quiet)
        print_table(test);
    return outcome;
}

/* ---- the whole ---- */

static enum outcome run(struct selftest *test)
{
    struct error error = ERROR_INIT;
    /* One thread, and nobody sets a variable. */
    const char *parent = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    int result = stage_open(&test->stage, parent && parent[0] ? parent : "/tmp", &error);
    if (result == 0)
        run_drills(test);
    test->n_left = stage_close(&test->stage);
    if (!test->keeps && test->stage.root[0] && sweep_files(test->stage.root, &error) < 0)
        result = -STATUS_INTERNAL;
    return result < 0 ? report_error(&test->cli, &error) : tell(test);
}

int main(int argc, char **argv)
{
    /* Large, and all zero at first. */
    static struct selftest test;
    struct error error = ERROR_INIT;
    if (argc > 2 && strcmp(argv[1], "--serve") == 0)
        return service_run(argc - 2, argv + 2);
    clean_environment();
    stage_catch_signals();
    enum outcome outcome =
        read_options(&test, argc, argv, &error) < 0 ? report_error(&test.cli, &error) : run(&test);
    return outcome_exit_code(report_flush() ? outcome : outcome_worse(outcome, OUTCOME_FAILED));
}
