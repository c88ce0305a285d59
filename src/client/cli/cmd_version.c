/* `flocks version`. Versions are shown, never compared. */
#include <stdio.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/report.h"
#include "common/base/api_revision.h"

static enum outcome show(
    const struct cli *cli, flocks_daemon_status *daemon, const char *daemon_without_version)
{
    if (cli->json) {
        flocks_version_report report = FLOCKS_VERSION_REPORT_INIT;
        report.client_version = FLOCKS_VERSION;
        report.client_api_revision = FLOCKS_API_REVISION;
        report.daemon = daemon;
        return report_message(cli, &flocks_version_report_info, &report.base, OUTCOME_DONE);
    }
    printf("flocks         %s (API revision %d)\n", FLOCKS_VERSION, FLOCKS_API_REVISION);
    if (!daemon) {
        printf("flocksd        %s\n", daemon_without_version);
        return OUTCOME_DONE;
    }
    printf("flocksd        %s (API revision %u)\n", daemon->version, daemon->api_revision);
    printf("flocks-keeper  %s\n", daemon->keeper_version);
    return OUTCOME_DONE;
}

/* A daemon that cannot be asked is no failure of this command: its own version is what it is for.
 */
static enum outcome run_version(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    int result = daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = daemon_get_status(&daemon, NULL, 0, &status, &error);
    if (result < 0 && cli->notes)
        fprintf(cli->notes, "flocks: %s\n", error.text);
    daemon_close(&daemon);
    return show(
        cli, status ? status->daemon : NULL, result < 0 ? "cannot be asked" : "not running");
}

static const enum option_id version_options[] = {OPTION_END};

const struct command command_version = {
    .name = "version",
    .summary = "show the versions of command, daemon and keeper",
    .operands = NULL,
    .details = "Shows the version of this command, and of the daemon and the keeper that run in "
               "this root.",
    .options = version_options,
    .run = run_version,
};
