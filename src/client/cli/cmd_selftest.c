/* `flocks selftest`: runs flocks-selftest in place of this command. */
#include <errno.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/interrupt.h"
#include "client/cli/report.h"

enum { ARGUMENTS_MAX = 8 };

static enum outcome run_selftest(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    char program[PATH_MAX];
    char self[PATH_MAX] = "";
    const char *items[ARGUMENTS_MAX + OPTIONS_OPERANDS_MAX] = {program, "--flocks", self};
    size_t n = 3;
    /* execv promises not to change them. */
    union {
        const char *const *constant;
        char *const *items;
    } argv;
    if (paths_find_program("flocks-selftest", program, &error) < 0)
        return report_error(cli, &error);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
        error_set_errno(&error, errno, "read /proc/self/exe");
        return report_error(cli, &error);
    }
    if (cli->json)
        items[n++] = "--json";
    if (cli->quiet)
        items[n++] = "--quiet";
    if (cli_flag(cli, OPTION_NO_COLOR, false))
        items[n++] = "--no-color";
    if (cli_flag(cli, OPTION_KEEP, false))
        items[n++] = "--keep";
    items[n++] = "--";
    for (size_t i = 0; i < cli->options.n_operands && n < ARRAY_LENGTH(items) - 1; i++)
        items[n++] = cli->options.operands[i];
    argv.constant = items;
    (void)execv(program, argv.items);
    error_set_errno(&error, errno, "run %s", program);
    return report_error(cli, &error);
}

static const enum option_id selftest_options[] = {OPTION_KEEP, OPTION_END};

const struct command command_selftest = {
    .name = "selftest",
    .summary = "try the promises on this machine, in a private root",
    .operands = "[DRILL...]",
    .details = "Starts an instance of its own in a directory below TMPDIR, with services that "
               "misbehave on purpose:\n"
               "kills and hangs one, holds its port, closes its listener, ignores SIGTERM, leaves "
               "strays, kills\n"
               "flocksd and the keeper, floods the socket. Shows what held, and how long it took. "
               "Your own\n"
               "instance is not touched, and nothing stays behind. Takes less than a minute; exits "
               "with 1 when\n"
               "something did not hold.",
    .options = selftest_options,
    .run = run_selftest,
};
