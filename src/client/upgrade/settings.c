#include "client/upgrade/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/source.h"
#include "common/base/fd.h"
#include "common/config/config.h"

enum { LOG_MODE = 0600 };

static const char *environment(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): read at start-up, and nobody calls setenv. */
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- places ---- */

static int use_socket(struct update_settings *settings, const char *socket, struct error *error)
{
    char directory[PATH_MAX] = "";
    bool is_tcp = strncmp(socket, "tcp:", 4) == 0;
    char *out = is_tcp ? settings->paths.tcp : settings->paths.socket;
    size_t size = is_tcp ? sizeof settings->paths.tcp : sizeof settings->paths.socket;
    settings->paths.tcp[0] = '\0';
    if (!is_tcp && socket[0] != '/' && getcwd(directory, sizeof directory) == NULL)
        return error_set_errno(error, errno, "finding the working directory");
    int len = snprintf(out, size, "%s%s%s", directory, directory[0] != '\0' ? "/" : "", socket);
    return len >= 0 && (size_t)len < size
               ? 0
               : error_set(error, STATUS_INVALID_ARGUMENT, "--socket is too long");
}

static int resolve_places(const struct update_settings_request *request,
    struct update_settings *settings, struct error *error)
{
    settings->config_is_named = request->config != NULL || environment("FLOCKS_CONFIG") != NULL;
    int result = paths_resolve(request->root, request->config, &settings->paths, error);
    if (result == 0 && request->socket != NULL)
        result = use_socket(settings, request->socket, error);
    return result == 0 ? upgrade_paths_resolve(settings->paths.root, &settings->places, error)
                       : result;
}

/* ---- the configuration ---- */

/* Whether the services could start on this machine is for whoever starts them. */
static int load_config(struct update_settings *settings, struct error *error)
{
    const struct config_request request = {.root = settings->paths.root,
        .file = settings->paths.config,
        .file_is_named = settings->config_is_named,
        .skip_host_checks = true};
    struct config config;
    int result = config_load(&request, &settings->arena, &config, &settings->mistakes, error);
    if (result == CONFIG_MISTAKEN)
        return config_mistake_error(&settings->mistakes, error);
    if (result < 0)
        return result;
    settings->config = config.message;
    settings->update = config.message->update;
    return 0;
}

static void choose_region(struct update_settings *settings, const char *asked)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *text = asked;
    if (text == NULL && settings->update->region[0] != '\0')
        text = settings->update->region;
    for (size_t i = 0; text == NULL && i < ARRAY_LENGTH(variables); i++)
        text = environment(variables[i]);
    source_region(text != NULL ? text : "", settings->region);
    /* A locale names more than the regions that have mirrors. */
    if (asked == NULL && settings->update->region[0] == '\0' && strcmp(settings->region, "cn") != 0)
        settings->region[0] = '\0';
}

/* ---- the log ---- */

static int open_log(const struct update_settings *settings)
{
    char earlier[PATH_MAX];
    struct stat file;
    const char *path = settings->places.log;
    if (stat(path, &file) == 0 && file.st_size > UPDATE_LOG_BYTES_MAX &&
        snprintf(earlier, sizeof earlier, "%s.1", path) < (int)sizeof earlier)
        (void)rename(path, earlier);
    return open(path,
        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, LOG_MODE);
}

int update_settings_load(
    const struct update_settings_request *request, struct update_settings *out, struct error *error)
{
    *out = (struct update_settings){.log_fd = -1};
    arena_init(&out->arena, CONFIG_ARENA_BYTES);
    mistakes_init(&out->mistakes);
    int result = resolve_places(request, out, error);
    if (result == 0)
        result = load_config(out, error);
    bool was_repaired = false;
    if (result == 0 && request->prepare)
        result = paths_prepare(&out->paths, &was_repaired, error);
    if (result < 0)
        return result;
    platform_of_machine(&out->platform);
    choose_region(out, request->region);
    out->token = environment("FLOCKS_UPDATE_TOKEN");
    out->ca_file = environment("SSL_CERT_FILE");
    out->log_fd = open_log(out);
    return 0;
}

void update_settings_deinit(struct update_settings *settings)
{
    fd_close(&settings->log_fd);
    mistakes_deinit(&settings->mistakes);
    arena_deinit(&settings->arena);
}
