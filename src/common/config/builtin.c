#include "common/config/builtin.h"

#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/config/environment.h"
#include "common/schema/json_write.h"

/* %s: the Python program, then a line for the WebUI's environment; both are quoted text already. */
static const char template[] =
    "services:\n"
    "  backend:\n"
    "    command: [%s, -m, uvicorn, \"flocks.server.app:app\","
    " --host, \"${host}\", --port, \"${port}\"]\n"
    "    environment:\n"
    "      PYTHONUNBUFFERED: \"1\"\n"
    "      _FLOCKS_WEBUI_HOST: \"${webui.host}\"\n"
    "      _FLOCKS_WEBUI_PORT: \"${webui.port}\"\n"
    "    port: 8000\n"
    "    probes:\n"
    "      ready: {http: {path: /api/health, expect: {status: healthy}}, period: 500ms, timeout: "
    "2s}\n"
    "      alive: {http: {path: /api/health}, period: 5s, timeout: 5s, failure_threshold: 12,"
    " on_failure: RESTART}\n"
    "  webui:\n"
    "    command: [npm, run, preview, --, --host, \"${host}\", --port, \"${port}\", --strictPort]\n"
    "    directory: webui\n"
    "    environment:\n"
    "      FLOCKS_API_PROXY_TARGET: \"${backend.url}\"\n"
    "%s"
    "    port: 5173\n"
    "    probes:\n"
    "      ready: {http: {path: /}, period: 500ms, timeout: 2s}\n"
    "    prepare: {command: [npm, run, build], timeout: 10m}\n"
    "    after: [backend]\n";

static const char *get(const char *const *environment, const char *name)
{
    const char *value = environment_get(environment, name, strlen(name));
    return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *builtin_directory(const char *const *environment, const char *root)
{
    const char *directory = get(environment, "FLOCKS_REPO_ROOT");
    if (directory == NULL)
        directory = get(environment, "FLOCKS_INSTALL_ROOT");
    return directory != NULL ? directory : root;
}

/* A JSON string is a YAML text in double quotes. NULL: arena exhausted. */
static const char *quote(const char *text, struct arena *arena)
{
    struct buffer quoted CLEANUP(buffer_deinit);
    buffer_init(&quoted, 6 * strlen(text) + 2);
    if (json_write_text(text, strlen(text), &quoted) != 0)
        return NULL;
    return arena_strndup(arena, (const char *)buffer_data(&quoted), buffer_length(&quoted));
}

/* The product's own interpreter is preferred to the system's. */
static const char *python(const char *directory, struct arena *arena)
{
    const char *own = arena_printf(arena, "%s/.venv/bin/python", directory);
    if (own == NULL)
        return NULL;
    return access(own, X_OK) == 0 ? quote(own, arena) : "python3";
}

/* Directory of a bundled Node.js; NULL: none, and the one on PATH is used. */
static const char *bundled_node(const char *const *environment, struct arena *arena)
{
    const char *home = get(environment, "FLOCKS_NODE_HOME");
    const char *install = get(environment, "FLOCKS_INSTALL_ROOT");
    if (home == NULL && install != NULL)
        home = arena_printf(arena, "%s/tools/node", install);
    if (home == NULL)
        return NULL;
    const char *programs = arena_printf(arena, "%s/bin", home);
    return programs != NULL && access(programs, X_OK) == 0 ? programs : NULL;
}

/* "      PATH: ...\n", or nothing. */
static const char *path_line(const char *const *environment, struct arena *arena)
{
    const char *programs = bundled_node(environment, arena);
    if (programs == NULL)
        return "";
    const char *inherited = get(environment, "PATH");
    const char *value = arena_printf(arena, "%s%s%s", programs, inherited != NULL ? ":" : "",
        inherited != NULL ? "${PATH}" : "");
    const char *quoted = value != NULL ? quote(value, arena) : NULL;
    return quoted != NULL ? arena_printf(arena, "      PATH: %s\n", quoted) : NULL;
}

const char *builtin_text(const char *const *environment, const char *directory, struct arena *arena)
{
    const char *program = python(directory, arena);
    const char *line = path_line(environment, arena);
    if (program == NULL || line == NULL)
        return NULL;
    return arena_printf(arena, template, program, line);
}
