#include "client/updater/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

static void free_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void free_part(char **part)
{
    curl_free(*part);
}

static bool is_loopback(const char *host)
{
    struct in_addr address;
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int refuse(struct error *error, const char *why)
{
    return error_set(error, STATUS_INVALID_ARGUMENT, "not a URL that can be asked: %s", why);
}

/* The part as text that is no longer than `max`. */
static bool copy_part(CURLU *url, CURLUPart which, char *out, size_t max)
{
    CLEANUP(free_part) char *part = NULL;
    if (curl_url_get(url, which, &part, 0) != CURLUE_OK || strlen(part) > max)
        return false;
    memcpy(out, part, strlen(part) + 1);
    return true;
}

/* curl takes only valid bytes, but leaves some that a terminal obeys. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    }
    return true;
}

int url_parse(const char *text, bool allow_http, struct url *out, struct error *error)
{
    CLEANUP(free_url) CURLU *url = curl_url();
    char scheme[16];
    if (strlen(text) > URL_MAX || !is_plain(text))
        return refuse(error, "it is too long, or has characters that a URL has not");
    if (url == NULL ||
        curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !copy_part(url, CURLUPART_SCHEME, scheme, sizeof scheme - 1) ||
        !copy_part(url, CURLUPART_HOST, out->host, URL_HOST_MAX))
        return refuse(error, "it must look like https://HOST/PATH");
    static const CURLUPart hidden[] = {
        CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY, CURLUPART_FRAGMENT};
    for (size_t i = 0; i < ARRAY_LENGTH(hidden); i++)
        (void)curl_url_set(url, hidden[i], NULL, 0);
    if (!copy_part(url, CURLUPART_URL, out->shown, URL_MAX))
        return refuse(error, "it is too long");
    out->is_https = strcasecmp(scheme, "https") == 0;
    out->is_loopback = is_loopback(out->host);
    if (!out->is_https && strcasecmp(scheme, "http") != 0)
        return refuse(error, "only https is asked (and http on this machine)");
    if (!out->is_https && !out->is_loopback && !allow_http) {
        int result = error_set(error, STATUS_PERMISSION_DENIED,
            "%s is not asked: over http anybody on the way can change the answer", out->shown);
        error_set_hint(error, "use https");
        return result;
    }
    return 0;
}

int url_check_redirect(const struct url *from, const struct url *to, struct error *error)
{
    if (!from->is_https || to->is_https)
        return 0;
    return error_set(error, STATUS_PERMISSION_DENIED,
        "%s sends on to %s: from https to http, which is never followed", from->shown, to->shown);
}

int url_resolve(const char *base, const char *reference, char out[URL_MAX + 1], struct error *error)
{
    CLEANUP(free_url) CURLU *url = curl_url();
    if (url == NULL || strlen(reference) > URL_MAX || !is_plain(reference) ||
        curl_url_set(url, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !copy_part(url, CURLUPART_URL, out, URL_MAX))
        return refuse(error, "what it is relative to, or what it says, is none");
    return 0;
}
