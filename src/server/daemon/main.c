/* flocksd: the supervisor server. Started by flocks-keeper; see flocksd(8). */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/daemon/daemon.h"
#include "server/daemon/options.h"

/* What a client has made large goes back to the system when it is freed. By default glibc raises
 * this threshold with every large block, up to 32 MiB: then bursts leave holes in a heap that never
 * shrinks (mallopt(3)). */
static void give_memory_back(void)
{
    enum { OWN_MAPPING_BYTES = 128 * 1024 };
    /* Before there is any thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    (void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
}

int main(int argc, char **argv)
{
    struct options options;
    struct error error = ERROR_INIT;

    /* For the life of the process. */
    static char **heirloom;

    (void)argc;
    /* Asks for a hand-over (daemon.c); before there is anything to hand over, for nothing. */
    (void)signal(SIGUSR1, SIG_IGN);
    heirloom = options_bequeath(argv);
    if (!heirloom) {
        (void)fprintf(stderr, "flocksd: no memory for the command line\n");
        return DAEMON_EXIT_FAILED;
    }
    if (options_parse(argv, &options, &error) < 0) {
        (void)fprintf(
            stderr, "flocksd: %s%s%s\n", error.text, error.hint[0] ? ": " : "", error.hint);
        return DAEMON_EXIT_USAGE;
    }
    if (options.wants_version) {
        (void)printf("flocksd %s\n", FLOCKS_VERSION);
        return DAEMON_EXIT_DONE;
    }
    if (options.wants_help) {
        (void)printf(
            "flocksd is run by flocks-keeper, which `flocks start` runs; see flocksd(8).\n");
        return DAEMON_EXIT_DONE;
    }
    /* A full pipe costs a line, never the loop (log.h counts it). */
    if (fd_set_nonblocking(STDERR_FILENO, true, &error) < 0)
        (void)fprintf(stderr, "flocksd: %s\n", error.text);
    log_open(STDERR_FILENO, "flocksd", options.log_level);
    /* Executed by its descriptor it would be called by a number. */
    (void)prctl(PR_SET_NAME, "flocksd");
    give_memory_back();
    options.heirloom = heirloom;
    if (options.ends_leftovers)
        return (int)daemon_end_leftovers(&options);
    return (int)daemon_run(&options);
}
