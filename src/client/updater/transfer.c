#include "client/updater/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/updater/transfer_private.h"
#include "common/base/clock.h"

enum {
    PROGRESS_MS = 100,
    /* Of the body of a refusal or a redirect; the connection is given up rather than read further.
     */
    IGNORED_BYTES_MAX = 64 * 1024,
    RANGE_SIZE = 32,
    HEADER_SIZE = PART_VALIDATOR_MAX + 64
};

/* ---- an answer's body ---- */

/* Whether this is what was asked for, from where the part ends. */
static int accept_partial(struct transfer *transfer)
{
    const struct answer *answer = &transfer->answer;
    struct part *part = transfer->part;
    if (answer->has_range && answer->range_start == part->bytes &&
        (part->total == 0 || answer->range_total == 0 || answer->range_total == part->total)) {
        part->total = answer->range_total == 0 ? part->total : answer->range_total;
        return 0;
    }
    int result = part_restart(part, transfer->error);
    if (result < 0)
        return transfer_fail_as(transfer, DOWNLOAD_FAILURE_LOCAL, result);
    return transfer_fail(
        transfer, DOWNLOAD_FAILURE_SERVER, "it sent another part of the file than was asked for");
}

static int accept_whole(struct transfer *transfer)
{
    struct part *part = transfer->part;
    curl_off_t announced = -1;
    int result = part_restart(part, transfer->error);
    if (result < 0)
        return transfer_fail_as(transfer, DOWNLOAD_FAILURE_LOCAL, result);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    part->total = announced < 0 ? 0 : (uint64_t)announced;
    (void)snprintf(
        part->validator, sizeof part->validator, "%s", answer_validator(&transfer->answer));
    return 0;
}

static int check_total(struct transfer *transfer)
{
    const struct download_request *request = transfer->request;
    uint64_t total = transfer->part->total;
    if (total > transfer->limits->bytes_max)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_TOO_LARGE,
            "it has %llu bytes, more than the %llu that are allowed", (unsigned long long)total,
            (unsigned long long)transfer->limits->bytes_max);
    if (request->size != 0 && total != 0 && total != request->size)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_LENGTH,
            "it has %llu bytes, but should have %llu", (unsigned long long)total,
            (unsigned long long)request->size);
    transfer->progress.bytes_total = total != 0 ? total : request->size;
    return 0;
}

static int begin_body(struct transfer *transfer)
{
    int result = transfer->answer.status == 206 ? accept_partial(transfer) : accept_whole(transfer);
    if (result == 0 && transfer->answer.is_html && !transfer->request->allow_page)
        result =
            transfer_fail(transfer, DOWNLOAD_FAILURE_PAGE, "a web page came instead of the file");
    return result == 0 ? check_total(transfer) : result;
}

static bool is_wanted(const struct transfer *transfer)
{
    return transfer->answer.status == 200 || transfer->answer.status == 206;
}

static int take_body(struct transfer *transfer, const uint8_t *bytes, size_t len)
{
    struct part *part = transfer->part;
    int result = 0;
    if (!transfer->has_body)
        result = begin_body(transfer);
    transfer->has_body = true;
    if (result < 0)
        return result;
    if (part->bytes == 0 && !transfer->request->allow_page && answer_looks_like_page(bytes, len))
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_PAGE, "a web page came instead of the file");
    if (len > transfer->limits->bytes_max - part->bytes)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_TOO_LARGE,
            "it has more than the %llu bytes that are allowed",
            (unsigned long long)transfer->limits->bytes_max);
    if (transfer->request->size != 0 && part->bytes + len > transfer->request->size)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_LENGTH,
            "it has more than the %llu bytes that it should have",
            (unsigned long long)transfer->request->size);
    result = part_append(part, bytes, len, transfer->error);
    return result < 0 ? transfer_fail_as(transfer, DOWNLOAD_FAILURE_LOCAL, result) : 0;
}

/* libcurl's callbacks: fewer than all bytes end the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *bytes, size_t one, size_t len, void *data)
{
    struct transfer *transfer = data;
    (void)one;
    transfer->heard_at = clock_monotonic_ms();
    if (is_wanted(transfer))
        return take_body(transfer, (const uint8_t *)bytes, len) < 0 ? 0 : len;
    transfer->ignored += len;
    return transfer->ignored > IGNORED_BYTES_MAX ? 0 : len;
}

static size_t on_header(char *line, size_t one, size_t len, void *data)
{
    struct transfer *transfer = data;
    (void)one;
    transfer->heard_at = clock_monotonic_ms();
    answer_take_line(&transfer->answer, line, len, clock_wall_ns() / 1000000000);
    if (transfer->answer.header_bytes <= DOWNLOAD_HEADER_BYTES_MAX)
        return len;
    (void)transfer_fail(transfer, DOWNLOAD_FAILURE_SERVER, "its header does not end");
    return 0;
}

/* ---- one request ---- */

static int tell_progress(struct transfer *transfer)
{
    int64_t now = clock_monotonic_ms();
    transfer->progress.bytes_done = transfer->part->bytes;
    if (transfer->request->on_progress != NULL && now - transfer->told_at >= PROGRESS_MS) {
        transfer->told_at = now;
        transfer->request->on_progress(transfer->request->data, &transfer->progress);
    }
    if (now >= transfer->limits->deadline_at)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_DEADLINE, "it took longer than is allowed");
    if (now - transfer->heard_at >= transfer->limits->stall_ms)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_STALLED, "nothing has come for %lld ms",
            (long long)transfer->limits->stall_ms);
    return 0;
}

/* Until the answer has ended, or a bound ends it. */
static int drive(struct transfer *transfer, CURLcode *out_code)
{
    for (;;) {
        int running = 0;
        if (curl_multi_perform(transfer->multi, &running) != CURLM_OK)
            return transfer_fail_by_curl(transfer, CURLE_OUT_OF_MEMORY);
        int n_left = 0;
        const CURLMsg *message = curl_multi_info_read(transfer->multi, &n_left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *out_code = message->data.result;
            return 0;
        }
        int result = tell_progress(transfer);
        if (result < 0)
            return result;
        struct curl_waitfd cancel = {
            .fd = transfer->request->cancel_fd, .events = CURL_WAIT_POLLIN};
        unsigned n_fds = transfer->request->cancel_fd >= 0;
        if (curl_multi_poll(transfer->multi, &cancel, n_fds, PROGRESS_MS, NULL) != CURLM_OK)
            return transfer_fail_by_curl(transfer, CURLE_OUT_OF_MEMORY);
        if (n_fds > 0 && cancel.revents != 0)
            return transfer_fail(transfer, DOWNLOAD_FAILURE_CANCELLED, "interrupted");
    }
}

/* The options that stay the same; false: no memory. */
static bool set_common(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    const struct download_request *request = transfer->request;
    curl_easy_reset(easy);
    bool is_set =
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "flocks-update/" FLOCKS_VERSION) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    if (request->ca_file != NULL)
        is_set = is_set && curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file) == CURLE_OK;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    /* A name server that does not answer must not hold up the end of a cancelled download. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->limits->connect_ms);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->reason);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    return is_set;
}

static bool append_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[HEADER_SIZE];
    int n = snprintf(line, sizeof line, "%s: %s", name, value);
    if (n < 0 || (size_t)n >= sizeof line)
        return false;
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

/* What depends on the part and on where the request goes. */
static bool set_request(
    struct transfer *transfer, const char *url, bool may_see_token, struct curl_slist **headers)
{
    const struct download_request *request = transfer->request;
    CURL *easy = transfer->easy;
    char range[RANGE_SIZE];
    bool is_set = set_common(transfer) && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
    if (transfer->url.is_loopback)
        is_set = is_set && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    if (request->token != NULL && may_see_token) {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        is_set =
            is_set && curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, request->token) == CURLE_OK;
    }
    if (request->accept != NULL)
        is_set = is_set && append_header(headers, "Accept", request->accept);
    if (transfer->part->bytes > 0) {
        (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)transfer->part->bytes);
        is_set = is_set && curl_easy_setopt(easy, CURLOPT_RANGE, range) == CURLE_OK;
        if (transfer->part->validator[0] != '\0')
            is_set = is_set && append_header(headers, "If-Range", transfer->part->validator);
    }
    return is_set && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers) == CURLE_OK;
}

/* One request and its answer, which may be a redirect or a refusal. */
static int run(struct transfer *transfer, const char *url, bool may_see_token)
{
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OK;
    transfer->answer = (struct answer){.retry_after_ms = -1};
    transfer->has_body = false;
    transfer->ignored = 0;
    transfer->reason[0] = '\0';
    transfer->heard_at = clock_monotonic_ms();
    int result = 0;
    if (!set_request(transfer, url, may_see_token, &headers) ||
        curl_multi_add_handle(transfer->multi, transfer->easy) != CURLM_OK) {
        result = transfer_fail_by_curl(transfer, CURLE_OUT_OF_MEMORY);
    } else {
        result = drive(transfer, &code);
    }
    (void)curl_multi_remove_handle(transfer->multi, transfer->easy);
    curl_slist_free_all(headers);
    transfer->result->http_status = transfer->answer.status;
    transfer->result->retry_after_ms = transfer->answer.retry_after_ms;
    if (result < 0)
        return result;
    /* A callback has said why; or nobody needs the rest. */
    if (transfer->result->failure != DOWNLOAD_FAILURE_NONE)
        return -(int)STATUS_UNAVAILABLE;
    if (code == CURLE_WRITE_ERROR && transfer->ignored > IGNORED_BYTES_MAX)
        return 0;
    return code == CURLE_OK ? 0 : transfer_fail_by_curl(transfer, code);
}

/* ---- redirects ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where it sends us on to, if we may go there. */
static int follow(struct transfer *transfer, char url[URL_MAX + 1], bool *may_see_token)
{
    const char *target = NULL;
    struct url next;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &target);
    if (target == NULL || strlen(target) > URL_MAX)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_REDIRECT, "it sends on to nowhere");
    int result = url_parse(target, transfer->request->allow_http, &next, transfer->error);
    if (result == 0)
        result = url_check_redirect(&transfer->url, &next, transfer->error);
    if (result < 0) {
        (void)error_add_context(transfer->error, result, "%s sends on", transfer->url.shown);
        return transfer_fail_as(transfer, DOWNLOAD_FAILURE_REDIRECT, result);
    }
    if (strcasecmp(transfer->url.host, next.host) != 0)
        *may_see_token = false;
    memcpy(url, target, strlen(target) + 1);
    transfer->url = next;
    return 0;
}

/* The whole of it is there, as far as anybody said how much that is. */
static int check_end(struct transfer *transfer)
{
    struct part *part = transfer->part;
    /* An answer without a byte. */
    int result = transfer->has_body ? 0 : begin_body(transfer);
    if (result < 0)
        return result;
    if (part->total != 0 && part->bytes != part->total)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_BROKEN,
            "the answer ended after %llu of %llu bytes", (unsigned long long)part->bytes,
            (unsigned long long)part->total);
    if (transfer->request->size != 0 && part->bytes != transfer->request->size)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_LENGTH,
            "it has %llu bytes, but should have %llu", (unsigned long long)part->bytes,
            (unsigned long long)transfer->request->size);
    return 0;
}

static int judge(struct transfer *transfer)
{
    if (is_wanted(transfer))
        return check_end(transfer);
    /* Range Not Satisfiable: it has another file now. */
    if (transfer->answer.status == 416 && transfer->part->bytes > 0) {
        int result = part_restart(transfer->part, transfer->error);
        if (result < 0)
            return transfer_fail_as(transfer, DOWNLOAD_FAILURE_LOCAL, result);
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_SERVER, "the file is shorter than what was there of it");
    }
    return transfer_fail_by_status(transfer);
}

int transfer_attempt(
    struct transfer *transfer, unsigned attempt, struct transfer_result *out, struct error *error)
{
    char url[URL_MAX + 1];
    bool may_see_token = true;
    /* Callers without an error object want the result only. */
    struct error unread;
    transfer->error = error == NULL ? &unread : error;
    transfer->result = out;
    transfer->progress.attempt = attempt;
    *out = (struct transfer_result){.failure = DOWNLOAD_FAILURE_NONE, .retry_after_ms = -1};
    int result =
        url_parse(transfer->request->url, transfer->request->allow_http, &transfer->url, error);
    if (result < 0)
        return transfer_fail_as(transfer, DOWNLOAD_FAILURE_URL, result);
    may_see_token = transfer->url.is_https || transfer->url.is_loopback;
    memcpy(url, transfer->request->url, strlen(transfer->request->url) + 1);
    for (int i = 0; i <= DOWNLOAD_REDIRECTS_MAX; i++) {
        result = run(transfer, url, may_see_token);
        if (result < 0)
            return result;
        if (!is_redirect(transfer->answer.status))
            return judge(transfer);
        result = follow(transfer, url, &may_see_token);
        if (result < 0)
            return result;
    }
    return transfer_fail(transfer, DOWNLOAD_FAILURE_REDIRECT,
        "it was sent on %d times, and then again", DOWNLOAD_REDIRECTS_MAX);
}

/* ---- life ---- */

struct transfer *transfer_new(
    const struct download_request *request, const struct transfer_limits *limits, struct part *part)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->request = request;
    transfer->limits = limits;
    transfer->part = part;
    transfer->easy = curl_easy_init();
    transfer->multi = curl_multi_init();
    if (transfer->easy != NULL && transfer->multi != NULL)
        return transfer;
    transfer_free(transfer);
    return NULL;
}

void transfer_free(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    curl_easy_cleanup(transfer->easy);
    (void)curl_multi_cleanup(transfer->multi);
    free(transfer);
}
