#include "client/upgrade/told.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/updater/download.h"
#include "common/release/release_keep.h"

enum { MEMBER_SIZE = 256 };

/* The member called `name`, or found by following its dots through objects, as probes have it. */
static const json_t *find_member(const json_t *object, const char *name)
{
    const json_t *whole = json_object_get(object, name);
    const char *dot = strchr(name, '.');
    char first[MEMBER_SIZE];
    if (whole != NULL || dot == NULL || (size_t)(dot - name) >= sizeof first)
        return whole;
    memcpy(first, name, (size_t)(dot - name));
    first[dot - name] = '\0';
    const json_t *inner = json_object_get(object, first);
    return inner == NULL ? NULL : find_member(inner, dot + 1);
}

static bool write_url(const flocks_service_config *service, char out[URL_MAX + 1])
{
    const flocks_http_check *http = service->version->http;
    bool is_ipv6 = strchr(service->host, ':') != NULL;
    uint32_t port = http->port != 0 ? http->port : service->port;
    int len = snprintf(out, URL_MAX + 1, "http://%s%s%s:%u%s", is_ipv6 ? "[" : "", service->host,
        is_ipv6 ? "]" : "", (unsigned)port, http->path);
    return port != 0 && len > 0 && len <= URL_MAX;
}

/* The answer; NULL: there is none. The caller's. */
static json_t *ask(const flocks_service_config *service, int cancel_fd)
{
    char url[URL_MAX + 1];
    char *text = NULL;
    size_t len = 0;
    struct download_outcome outcome;
    if (service->version == NULL || service->version->http == NULL || !write_url(service, url))
        return NULL;
    const struct download_request request = {.url = url,
        .bytes_max = UPDATE_TOLD_BYTES_MAX,
        .timeout_ms = UPDATE_TOLD_MS,
        .tries_max = 1,
        .allow_page = true,
        .cancel_fd = cancel_fd};
    if (download_text(&request, &outcome, &text, &len, NULL) < 0)
        return NULL;
    json_t *answer = json_loadb(text, len, 0, NULL);
    free(text);
    return answer;
}

static const char *told_in(const flocks_service_config *service, const json_t *answer)
{
    return answer == NULL ? NULL : json_string_value(find_member(answer, service->version->member));
}

static bool ask_version(
    const flocks_service_config *service, int cancel_fd, char out[VERSION_TEXT_MAX + 1])
{
    struct version version;
    json_t *answer = ask(service, cancel_fd);
    const char *told = told_in(service, answer);
    bool is_good =
        told != NULL && version_parse(told, &version) && release_name_is_good(version.text);
    if (is_good)
        memcpy(out, version.text, sizeof version.text);
    json_decref(answer);
    return is_good;
}

bool update_told_is(const flocks_service_config *service, const char *version, int cancel_fd)
{
    json_t *answer = ask(service, cancel_fd);
    const char *told = told_in(service, answer);
    bool is = told != NULL && strcmp(told, version) == 0;
    json_decref(answer);
    return is;
}

void update_told_version(const flocks_config *config, int cancel_fd, char out[VERSION_TEXT_MAX + 1])
{
    char told[VERSION_TEXT_MAX + 1];
    out[0] = '\0';
    for (size_t i = 0; i < config->n_services; i++) {
        if (!ask_version(config->services[i]->value, cancel_fd, told))
            continue;
        if (out[0] != '\0' && strcmp(out, told) != 0) {
            out[0] = '\0';
            return;
        }
        memcpy(out, told, sizeof told);
    }
}
