/* Texts of the configuration, and lists from a network; what is on this machine is source_path.c's.
 */
#include "client/updater/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/updater/release_json.h"
#include "client/updater/source_path.h"

/* ---- hosts ---- */

static const struct host {
    const char *name;
    enum source_kind kind;
    enum release_format format;
    /* Where people see it. */
    const char *web;
    /* Its API: at another place than `web`, or below it. */
    const char *api;
    const char *path;
    const char *region;
    /* Components of a project's name. */
    size_t parts_min;
    size_t parts_max;
} HOSTS[] = {
    {"github", SOURCE_GITHUB, RELEASE_FORMAT_GITHUB, "https://github.com", "https://api.github.com",
        "/api/v3", "", 2, 2},
    {"gitee", SOURCE_GITEE, RELEASE_FORMAT_GITEE, "https://gitee.com", NULL, "/api/v5", "cn", 2, 2},
    {"gitlab", SOURCE_GITLAB, RELEASE_FORMAT_GITLAB, "https://gitlab.com", NULL, "/api/v4", "", 2,
        20},
};

static int refuse(struct error *error, const char *text, const char *why)
{
    struct url url;
    const char *shown = strstr(text, "://") == NULL ? text : "a URL";
    if (url_parse(text, true, &url, NULL) == 0)
        shown = url.shown;
    int result =
        error_set(error, STATUS_INVALID_ARGUMENT, "not a source of releases: %s: %s", shown, why);
    error_set_hint(
        error, "write github:OWNER/REPO, gitee:OWNER/REPO, gitlab:GROUP/PROJECT, a URL or a path");
    return result;
}

static bool is_project_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* Checked, without a slash at the end and ".git". */
static bool take_project(const struct host *host, const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    if (len > 4 && strncmp(text + len - 4, ".git", 4) == 0)
        len -= 4;
    size_t parts = 1;
    if (len == 0 || len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool begins = i == 0 || text[i - 1] == '/';
        /* Neither empty nor "." nor "..". */
        if (begins && (text[i] == '/' || text[i] == '.'))
            return false;
        if (text[i] != '/' && !is_project_character(text[i]))
            return false;
        parts += text[i] == '/';
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return parts >= host->parts_min && parts <= host->parts_max;
}

/* As one component of a URL. */
static void escape_slashes(const char *project, char *out, size_t size)
{
    size_t n = 0;
    for (; *project != '\0' && n + 4 < size; project++)
        n += (size_t)snprintf(out + n, size - n, *project == '/' ? "%%2F" : "%c", *project);
    out[n] = '\0';
}

static int take_host(const struct host *host, const char *web, const char *project_text,
    const char *text, struct source *out, struct error *error)
{
    char project[256];
    char escaped[3 * sizeof project];
    char api[URL_MAX + 1];
    if (!take_project(host, project_text, project, sizeof project))
        return refuse(
            error, text, host->parts_max == 2 ? "it needs OWNER/REPO" : "it needs GROUP/PROJECT");
    bool is_main = strcmp(web, host->web) == 0;
    (void)snprintf(api, sizeof api, "%s%s", is_main && host->api != NULL ? host->api : web,
        is_main && host->api != NULL ? "" : host->path);
    escape_slashes(project, escaped, sizeof escaped);
    int n = host->kind == SOURCE_GITLAB
                ? snprintf(out->place, sizeof out->place, "%s/projects/%s/releases?per_page=100",
                      api, escaped)
                : snprintf(out->place, sizeof out->place, "%s/repos/%s/releases?per_page=100%s",
                      api, project, host->kind == SOURCE_GITEE ? "&page=1&direction=desc" : "");
    if (n < 0 || (size_t)n >= sizeof out->place)
        return refuse(error, text, "it is too long");
    out->kind = host->kind;
    if (out->region[0] == '\0' && is_main)
        memcpy(out->region, host->region, strlen(host->region) + 1);
    return 0;
}

/* ---- texts ---- */

/* "https://HOST[:PORT]" of a URL, and what follows its slash. NULL: it has no path. */
static const char *split_url(const char *text, char *out, size_t size)
{
    const char *host = strstr(text, "://");
    const char *slash = host == NULL ? NULL : strchr(host + 3, '/');
    if (slash == NULL || (size_t)(slash - text) >= size)
        return NULL;
    memcpy(out, text, (size_t)(slash - text));
    out[slash - text] = '\0';
    return slash + 1;
}

/* "github:..." with an own URL, or without. */
static int parse_host(const struct host *host, const char *rest, const char *text,
    struct source *out, struct error *error)
{
    char web[URL_MAX + 1];
    struct url url;
    if (strstr(rest, "://") == NULL)
        return take_host(host, host->web, rest, text, out, error);
    const char *project = split_url(rest, web, sizeof web);
    if (project == NULL || url_parse(rest, true, &url, NULL) < 0)
        return refuse(error, text, "its URL is none");
    return take_host(host, web, project, text, out, error);
}

static bool ends_in(const char *text, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    return len >= end_len && strncasecmp(text + len - end_len, end, end_len) == 0;
}

static int parse_url(const char *text, struct source *out, struct error *error)
{
    char web[URL_MAX + 1];
    struct url url;
    if (url_parse(text, true, &url, NULL) < 0)
        return refuse(error, text, "only https is asked (and http on this machine)");
    const char *rest = split_url(text, web, sizeof web);
    for (size_t i = 0; rest != NULL && i < ARRAY_LENGTH(HOSTS); i++) {
        char project[256];
        /* Anything deeper there is a file of a release. */
        if (strcasecmp(web, HOSTS[i].web) == 0 && strstr(rest, "/-/") == NULL &&
            asset_name_archive(url.shown) == 0 &&
            take_project(&HOSTS[i], rest, project, sizeof project))
            return take_host(&HOSTS[i], HOSTS[i].web, rest, text, out, error);
    }
    size_t path_len = strcspn(text, "?#");
    bool is_archive = asset_name_archive(url.shown) > 0;
    bool is_index = ends_in(text, path_len, ".json");
    if (!is_archive && !is_index && text[path_len] != '\0')
        return refuse(error, text, "a directory has no query");
    int n = snprintf(out->place, sizeof out->place, "%s%s", text,
        is_archive || is_index ? "" : (text[path_len - 1] == '/' ? "index.json" : "/index.json"));
    if (n < 0 || (size_t)n >= sizeof out->place)
        return refuse(error, text, "it is too long");
    out->kind = is_archive ? SOURCE_ARCHIVE : SOURCE_INDEX;
    return 0;
}

static int parse_path(const char *text, struct source *out, struct error *error)
{
    char directory[PATH_MAX] = "";
    if (text[0] != '/' && getcwd(directory, sizeof directory) == NULL)
        return refuse(error, text, "the working directory is gone");
    int n = snprintf(
        out->place, sizeof out->place, "%s%s%s", directory, text[0] == '/' ? "" : "/", text);
    if (n < 0 || (size_t)n >= sizeof out->place)
        return refuse(error, text, "it is too long");
    out->kind = SOURCE_PATH;
    return 0;
}

/* "cn=": letters and an equals sign before everything else. */
static const char *take_region(const char *text, struct source *out)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
    if (len == 0 || len > RELEASE_REGION_MAX || text[len] != '=')
        return text;
    char region[RELEASE_REGION_MAX + 1];
    memcpy(region, text, len);
    region[len] = '\0';
    source_region(region, out->region);
    return text + len + 1;
}

int source_parse(const char *text, struct source *out, struct error *error)
{
    struct source source = {.kind = SOURCE_PATH};
    const char *rest = take_region(text, &source);
    int result = 0;
    size_t i = 0;
    size_t len = strcspn(rest, ":");
    if (rest[0] == '\0')
        return refuse(error, text, "it is empty");
    while (i < ARRAY_LENGTH(HOSTS) &&
           (strlen(HOSTS[i].name) != len || strncmp(rest, HOSTS[i].name, len) != 0))
        i++;
    if (i < ARRAY_LENGTH(HOSTS) && rest[len] == ':')
        result = parse_host(&HOSTS[i], rest + len + 1, rest, &source, error);
    else if (strstr(rest, "://") != NULL)
        result = parse_url(rest, &source, error);
    else
        result = parse_path(rest, &source, error);
    if (result == 0)
        *out = source;
    return result;
}

bool source_is_remote(const struct source *source)
{
    return source->kind != SOURCE_PATH;
}

void source_region(const char *text, char out[RELEASE_REGION_MAX + 1])
{
    static const char *const none[] = {"auto", "default", "global", "none", "c", "posix"};
    size_t n = 0;
    for (; *text != '\0' && *text != '.' && n < RELEASE_REGION_MAX; text++)
        out[n++] = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
    out[n] = '\0';
    if (strcmp(out, "china") == 0 || strcmp(out, "zh") == 0 || strcmp(out, "zh-cn") == 0 ||
        strcmp(out, "zh_cn") == 0)
        memcpy(out, "cn", sizeof "cn");
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        if (strcmp(out, none[i]) == 0)
            out[0] = '\0';
    }
}

static int rank(const struct source *source, const char *region)
{
    if (source->region[0] == '\0')
        return 1;
    return strcmp(source->region, region) == 0 ? 0 : 2;
}

void source_order(struct source *sources, size_t n, const char *region)
{
    /* By insertion: there are few, and those of one rank stay as they are. */
    for (size_t i = 1; i < n; i++) {
        struct source moved = sources[i];
        size_t k = i;
        for (; k > 0 && rank(&sources[k - 1], region) > rank(&moved, region); k--)
            sources[k] = sources[k - 1];
        sources[k] = moved;
    }
}

/* ---- lists ---- */

static enum release_format format_of(const struct source *source)
{
    for (size_t i = 0; i < ARRAY_LENGTH(HOSTS); i++) {
        if (HOSTS[i].kind == source->kind)
            return HOSTS[i].format;
    }
    return RELEASE_FORMAT_INDEX;
}

static int list_from_network(const struct source *source, const struct source_options *options,
    struct arena *arena, struct releases *out, enum download_failure *out_failure,
    struct error *error)
{
    struct download_request request = {.url = source->place,
        .timeout_ms = options->timeout_ms == 0 ? SOURCE_TIMEOUT_MS : options->timeout_ms,
        .delay_ms = options->delay_ms,
        .tries_max = SOURCE_TRIES_MAX,
        .bytes_max = RELEASE_JSON_BYTES_MAX,
        .allow_http = options->allow_http,
        .ca_file = options->ca_file,
        .token = options->token,
        .accept = "application/json",
        .cancel_fd = options->cancel_fd};
    struct download_outcome outcome;
    char *text = NULL;
    size_t len = 0;
    int result = download_text(&request, &outcome, &text, &len, error);
    *out_failure = outcome.failure;
    if (result < 0)
        return result;
    result = release_json_read(format_of(source), text, len, source->place, arena, out, error);
    free(text);
    struct url url;
    if (result < 0 && url_parse(source->place, true, &url, NULL) == 0)
        return error_add_context(error, result, "%s", url.shown);
    return result;
}

int source_list(const struct source *source, const struct source_options *options,
    struct arena *arena, struct releases *out, enum download_failure *out_failure,
    struct error *error)
{
    enum download_failure failure = DOWNLOAD_FAILURE_NONE;
    int result = 0;
    if (source->kind == SOURCE_PATH)
        result = source_path_list(source->place, arena, out, error);
    else if (source->kind == SOURCE_ARCHIVE)
        result = source_archive_list(source->place, arena, out, error);
    else
        result = list_from_network(source, options, arena, out, &failure, error);
    if (out_failure != NULL)
        *out_failure = failure;
    return result;
}
