/* `flocks logs`: reads the files themselves, so it works with and without a daemon. Prints bytes as
 * they are; never creates or changes a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "flocks/v1/types.names.h"

#include "client/cli/cli.h"
#include "client/cli/interrupt.h"
#include "client/cli/log_merge.h"
#include "client/cli/log_reader.h"
#include "client/cli/report.h"
#include "common/base/buffer.h"
#include "common/base/fd.h"
#include "common/config/config.h"
#include "common/schema/nearest.h"

enum {
    LINES_DEFAULT = 50,
    /* Without a notification the files are looked at this often: splice(2), which writes them,
     * notifies nobody before Linux 6.4. */
    LOOK_AGAIN_MS = 200,
    /* Output collected before it is written. */
    OUTPUT_MAX = 4 * LOG_READER_CHUNK + LOG_MERGE_LINE_MAX,
    /* One chunk can grow to this: JSON and a prefix for each of its lines. */
    OUTPUT_CAP = 64 * 1024 * 1024
};

struct source {
    char name[CONFIG_NAME_MAX + 1];
    char path[PATH_MAX + CONFIG_NAME_MAX + 8];
    struct log_reader *reader;
    struct log_lines lines;
};

/* What is being shown. */
struct show {
    const struct cli *cli;
    struct source *sources;
    size_t n_sources;
    struct buffer out;
    int watch_fd; /* inotify, -1: only LOOK_AGAIN_MS */
    enum report_written written;
};

/* ---- which files ---- */

static bool has_source(const struct show *show, const char *name)
{
    for (size_t i = 0; i < show->n_sources; i++)
        if (strcmp(show->sources[i].name, name) == 0)
            return true;
    return false;
}

static int add_source(struct show *show, const char *name, struct error *error)
{
    if (has_source(show, name))
        return 0;
    struct source *sources = realloc(show->sources, (show->n_sources + 1) * sizeof(*show->sources));
    if (!sources)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the list of logs");
    show->sources = sources;
    struct source *source = &sources[show->n_sources++];
    *source = (struct source){.reader = NULL};
    (void)snprintf(source->name, sizeof(source->name), "%s", name);
    (void)snprintf(source->path, sizeof(source->path), "%s/%s.log", show->cli->paths.logs, name);
    return 0;
}

/* "backend" of "backend.log"; false for anything else. */
static bool service_of_file(const char *file, char out[CONFIG_NAME_MAX + 1])
{
    size_t len = strlen(file);
    if (len <= 4 || len - 4 > CONFIG_NAME_MAX || strcmp(file + len - 4, ".log") != 0)
        return false;
    memcpy(out, file, len - 4);
    out[len - 4] = '\0';
    return strcmp(out, "daemon") == 0 || config_name_is_valid(out);
}

static int compare_sources(const void *a, const void *b)
{
    const struct source *left = a;
    const struct source *right = b;
    bool left_is_daemon = strcmp(left->name, "daemon") == 0;
    bool right_is_daemon = strcmp(right->name, "daemon") == 0;
    if (left_is_daemon != right_is_daemon)
        return left_is_daemon ? 1 : -1;
    return strcmp(left->name, right->name);
}

/* Every log there is, the daemon's last. */
static int add_all(struct show *show, struct error *error)
{
    DIR *directory = opendir(show->cli->paths.logs);
    if (!directory && errno == ENOENT)
        return 0;
    if (!directory)
        return error_set_errno(error, errno, "read directory %s", show->cli->paths.logs);
    int result = 0;
    char name[CONFIG_NAME_MAX + 1];
    const struct dirent *entry = NULL;
    /* One thread reads this directory. */
    while (result == 0 && (entry = readdir(directory))) // NOLINT(concurrency-mt-unsafe)
        if (service_of_file(entry->d_name, name))
            result = add_source(show, name, error);
    closedir(directory);
    if (result == 0 && show->n_sources > 0)
        qsort(show->sources, show->n_sources, sizeof(*show->sources), compare_sources);
    return result;
}

/* 1: the configuration has this service, so its log may come yet. 0: it has not, and the hint may
 * name the nearest one. A configuration with mistakes has no services. */
static int find_configured(const struct cli *cli, const char *name, struct error *error)
{
    struct arena arena;
    struct mistakes mistakes;
    struct config config;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    mistakes_init(&mistakes);
    const struct config_request request = {.root = cli->paths.root,
        .file = cli->paths.config,
        .file_is_named = cli->config_is_named,
        .skip_host_checks = true};
    struct nearest nearest;
    nearest_init(&nearest, name, strlen(name));
    int found = 0;
    if (config_load(&request, &arena, &config, &mistakes, NULL) == CONFIG_OK) {
        found = config_find_service(config.message, name) != NULL;
        for (size_t i = 0; i < config.message->n_services; i++)
            nearest_offer(&nearest, config.message->services[i]->key);
    }
    if (!found) {
        error_set(error, STATUS_NOT_FOUND, "there is no service \"%s\"", name);
        error->reason = FLOCKS_ERROR_REASON_UNKNOWN_SERVICE;
        if (nearest_result(&nearest))
            error_set_hint(error, "did you mean %s?", nearest_result(&nearest));
    }
    mistakes_deinit(&mistakes);
    arena_deinit(&arena);
    return found;
}

static int add_named(struct show *show, const char *name, struct error *error)
{
    struct stat file;
    char path[PATH_MAX + CONFIG_NAME_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s/%s.log", show->cli->paths.logs, name);
    bool may_exist = strcmp(name, "daemon") == 0 || config_name_is_valid(name);
    bool exists = strcmp(name, "daemon") == 0 || (may_exist && stat(path, &file) == 0);
    if (!exists && !find_configured(show->cli, name, error))
        return -STATUS_NOT_FOUND;
    return add_source(show, name, error);
}

static int choose_sources(struct show *show, struct error *error)
{
    const struct options *options = &show->cli->options;
    int result = 0;
    for (size_t i = 0; result == 0 && i < options->n_operands; i++)
        result = add_named(show, options->operands[i], error);
    if (result == 0 && cli_flag(show->cli, OPTION_BACKEND, false))
        result = add_named(show, "backend", error);
    if (result == 0 && cli_flag(show->cli, OPTION_WEBUI, false))
        result = add_named(show, "webui", error);
    return result == 0 && show->n_sources == 0 ? add_all(show, error) : result;
}

static int open_sources(struct show *show, struct error *error)
{
    enum log_format format = LOG_FORMAT_VERBATIM;
    const struct option_value *lines = &show->cli->options.values[OPTION_LINES];
    size_t tail = lines->given ? (size_t)lines->number : LINES_DEFAULT;
    if (show->cli->json)
        format = LOG_FORMAT_JSON;
    else if (show->n_sources > 1)
        format = LOG_FORMAT_PREFIXED;
    int result = 0;
    for (size_t i = 0; result == 0 && i < show->n_sources; i++) {
        struct source *source = &show->sources[i];
        log_lines_init(&source->lines, source->name, format);
        result = log_reader_new(source->path, tail, &source->reader, error);
    }
    return result;
}

/* ---- showing ---- */

static int write_collected(struct show *show)
{
    size_t len = buffer_length(&show->out);
    if (len > 0)
        show->written = report_write(buffer_data(&show->out), len);
    buffer_consume(&show->out, len);
    return show->written == REPORT_WRITTEN ? 0 : -STATUS_CANCELLED;
}

static void tell_loss(const struct show *show, const struct source *source, int result)
{
    if (show->cli->notes)
        fprintf(show->cli->notes, "flocks: %s was %s\n", source->path,
            result == LOG_READER_TRUNCATED ? "truncated" : "removed before it was read to its end");
}

/* Everything a source has now. -STATUS_CANCELLED: nobody reads us any more. */
static int drain(struct show *show, struct source *source, struct error *error)
{
    for (;;) {
        const char *bytes = NULL;
        size_t len = 0;
        int result = log_reader_next(source->reader, &bytes, &len, error);
        if (result > 0 && result != LOG_READER_IDLE) {
            tell_loss(show, source, result);
            continue;
        }
        if (result != 0)
            return result < 0 ? result : write_collected(show);
        if (log_lines_add(&source->lines, bytes, len, &show->out) < 0)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for output");
        if (buffer_length(&show->out) > OUTPUT_MAX - LOG_READER_CHUNK && write_collected(show) < 0)
            return -STATUS_CANCELLED;
    }
}

static int drain_all(struct show *show, bool with_headers, struct error *error)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < show->n_sources; i++) {
        struct source *source = &show->sources[i];
        if (with_headers && source->lines.format == LOG_FORMAT_PREFIXED)
            result = buffer_printf(&show->out, "[%s] --- %s ---\n", source->name, source->path);
        if (result == 0)
            result = drain(show, source, error);
        if (result == 0 && with_headers)
            result = log_lines_flush(&source->lines, &show->out);
    }
    return result == 0 ? write_collected(show) : result;
}

static void forget_notifications(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof(events)) > 0)
        continue;
}

/* Until something may have been written, the reader of our output is gone (false), or a signal came
 * (false). */
static bool wait_for_more(struct show *show, const sigset_t *mask)
{
    struct pollfd fds[] = {
        {.fd = STDOUT_FILENO, .events = 0}, {.fd = show->watch_fd, .events = POLLIN}};
    const struct timespec limit = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
    int n = ppoll(fds, ARRAY_LENGTH(fds), &limit, mask);
    if (interrupt_is_pending() || (n > 0 && (fds[0].revents & (POLLERR | POLLNVAL)) != 0))
        return false;
    if (n > 0 && fds[1].revents != 0)
        forget_notifications(show->watch_fd);
    return true;
}

static int follow(struct show *show, struct error *error)
{
    sigset_t mask;
    interrupt_set_flag(&mask);
    show->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (show->watch_fd >= 0 && inotify_add_watch(show->watch_fd, show->cli->paths.logs,
                                   IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        fd_close(&show->watch_fd);
    if (show->cli->notes && isatty(STDERR_FILENO))
        fputs("flocks: following, Ctrl-C ends it\n", show->cli->notes);
    int result = 0;
    while (result == 0 && wait_for_more(show, &mask))
        result = drain_all(show, false, error);
    fd_close(&show->watch_fd);
    return result;
}

static int run_show(struct show *show, struct error *error)
{
    bool follows = cli_flag(show->cli, OPTION_FOLLOW, true);
    int result = choose_sources(show, error);
    if (result == 0 && show->n_sources == 0 && show->cli->notes)
        fprintf(show->cli->notes, "flocks: no logs in %s\n", show->cli->paths.logs);
    if (result < 0 || show->n_sources == 0)
        return result;
    result = open_sources(show, error);
    if (result == 0)
        result = drain_all(show, true, error);
    return result == 0 && follows ? follow(show, error) : result;
}

static enum outcome run_logs(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct show show = {.cli = cli, .watch_fd = -1, .written = REPORT_WRITTEN};
    buffer_init(&show.out, OUTPUT_CAP);
    int result = run_show(&show, &error);
    for (size_t i = 0; i < show.n_sources; i++) {
        log_reader_free(show.sources[i].reader);
        log_lines_deinit(&show.sources[i].lines);
    }
    free(show.sources);
    buffer_deinit(&show.out);
    if (show.written != REPORT_WRITTEN)
        return show.written == REPORT_READER_GONE ? OUTCOME_DONE : OUTCOME_FAILED;
    return result < 0 ? report_error(cli, &error) : OUTCOME_DONE;
}

static const enum option_id logs_options[] = {
    OPTION_BACKEND, OPTION_WEBUI, OPTION_FOLLOW, OPTION_LINES, OPTION_END};

const struct command command_logs = {
    .name = "logs",
    .summary = "show the output of services, and follow it",
    .operands = "[SERVICE...]",
    .details = "Shows the last lines of each named service (none: of all, and of the daemon, whose "
               "name is\n"
               "`daemon`) and goes on with what comes, across rotation, until Ctrl-C. One service "
               "is shown byte\n"
               "for byte; several have their name before each line. Reads the files in ROOT/logs, "
               "so it works\n"
               "whether or not a daemon runs.",
    .options = logs_options,
    .operand = OPERAND_LOGS,
    .run = run_logs,
};
