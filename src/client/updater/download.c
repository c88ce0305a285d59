/* What to do after each attempt; the attempts are transfer.h's. */
#include "client/updater/download.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "client/updater/cancel.h"
#include "client/updater/part.h"
#include "client/updater/transfer.h"
#include "common/base/clock.h"

struct download {
    const struct download_request *request;
    struct transfer_limits limits;
    int64_t delay_ms;
    unsigned tries_max;
    struct part part;
    struct transfer *transfer;
    struct download_outcome *out;
    /* The furthest that any attempt got, and attempts since that brought nothing further. */
    uint64_t best;
    unsigned tries;
    /* Bytes of an earlier attempt or download are in the file. */
    bool is_resumed;
    bool is_refetched;
};

static int64_t or_default(int64_t value, int64_t default_value)
{
    return value == 0 ? default_value : value;
}

/* ---- one attempt, and what it means ---- */

/* Before an attempt: what is there must be of use. */
static int prepare(struct download *download, struct error *error)
{
    struct part *part = &download->part;
    const struct download_request *request = download->request;
    bool is_checkable = part->validator[0] != '\0' || request->sha256 != NULL;
    bool is_too_long = (request->size != 0 && part->bytes > request->size) ||
                       (part->total != 0 && part->bytes > part->total) ||
                       part->bytes > download->limits.bytes_max;
    if (part->bytes > 0 && (!is_checkable || is_too_long || part->text != NULL)) {
        int result = part_restart(part, error);
        if (result < 0)
            return result;
    }
    download->out->bytes_resumed =
        download->out->attempts == 0 ? part->bytes : download->out->bytes_resumed;
    download->is_resumed = part->bytes > 0;
    return 0;
}

/* All bytes came with an earlier download, which ended before the file had its name. */
static bool is_whole(const struct download *download)
{
    const struct part *part = &download->part;
    return part->bytes > 0 && download->request->sha256 != NULL &&
           (part->bytes == part->total || part->bytes == download->request->size);
}

/* Positive: not what was asked for, but worth another attempt from the beginning. */
static int check_digest(struct download *download, struct error *error)
{
    const char *wanted = download->request->sha256;
    part_digest(&download->part, download->out->sha256);
    if (wanted == NULL || strcasecmp(wanted, download->out->sha256) == 0)
        return 0;
    if (download->is_resumed && !download->is_refetched) {
        download->is_refetched = true;
        int result = part_restart(&download->part, error);
        return result < 0 ? result : 1;
    }
    part_discard(&download->part);
    struct url url;
    bool is_url = url_parse(download->request->url, true, &url, NULL) == 0;
    int result = error_set(error, STATUS_DATA_LOSS,
        "downloading %s: it is another file than the one that was promised: its SHA-256 is %s, not "
        "%s",
        is_url ? url.shown : "it", download->out->sha256, wanted);
    error_set_hint(error, "try another source, and tell whoever published it");
    download->out->failure = DOWNLOAD_FAILURE_DIGEST;
    return result;
}

/* ---- trying again ---- */

static int64_t next_delay(const struct download *download, int64_t retry_after_ms)
{
    int64_t delay = download->delay_ms;
    for (unsigned i = 1; i < download->tries && delay < DOWNLOAD_DELAY_MAX_MS; i++)
        delay *= 2;
    delay = delay < DOWNLOAD_DELAY_MAX_MS ? delay : DOWNLOAD_DELAY_MAX_MS;
    /* Those who failed together do not come again together. */
    delay -= randombytes_uniform((uint32_t)(delay / 4) + 1);
    return retry_after_ms > delay ? retry_after_ms : delay;
}

static void tell_waiting(const struct download *download)
{
    const struct download_request *request = download->request;
    const struct download_progress progress = {.bytes_done = download->part.bytes,
        .bytes_total = download->part.total != 0 ? download->part.total : request->size,
        .attempt = download->out->attempts,
        .is_waiting = true};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

/* After a failure that may pass: waits, unless there is no sense in it. `result` is the failure's,
 * and what is returned when it is final; else 0. */
static int wait_before_next(struct download *download, const struct transfer_result *attempt,
    int result, struct error *error)
{
    if (download->part.bytes > download->best) {
        download->best = download->part.bytes;
        download->tries = 0;
    }
    download->tries++;
    if (download->tries >= download->tries_max)
        return error_add_context(
            error, result, "given up after %u attempts", download->out->attempts);
    if (attempt->retry_after_ms > DOWNLOAD_RETRY_AFTER_MAX_MS)
        return error_add_context(error, result, "the server wants to be left alone for %lld s",
            (long long)(attempt->retry_after_ms / 1000));
    int64_t delay = next_delay(download, attempt->retry_after_ms);
    if (clock_monotonic_ms() + delay >= download->limits.deadline_at) {
        download->out->failure = DOWNLOAD_FAILURE_DEADLINE;
        if (error != NULL)
            error->code = STATUS_DEADLINE_EXCEEDED;
        return error_add_context(error, -STATUS_DEADLINE_EXCEEDED,
            "no time is left after %u attempts", download->out->attempts);
    }
    tell_waiting(download);
    if (!cancel_wait(download->request->cancel_fd, (int)delay))
        return 0;
    download->out->failure = DOWNLOAD_FAILURE_CANCELLED;
    return error_set(error, STATUS_CANCELLED, "the download was interrupted");
}

static int run_attempts(struct download *download, struct error *error)
{
    for (;;) {
        int result = prepare(download, error);
        if (result < 0)
            return result;
        struct transfer_result attempt = {.failure = DOWNLOAD_FAILURE_NONE};
        if (!is_whole(download)) {
            download->out->attempts++;
            result = transfer_attempt(download->transfer, download->out->attempts, &attempt, error);
            download->out->http_status = attempt.http_status;
            download->out->failure = attempt.failure;
        }
        if (result == 0) {
            /* A server that ignored the range has sent everything. */
            result = check_digest(download, error);
            if (result <= 0)
                return result;
            continue;
        }
        part_keep(&download->part);
        if (attempt.is_transient)
            result = wait_before_next(download, &attempt, result, error);
        if (result < 0)
            return error != NULL ? -(int)error->code : result;
    }
}

static void begin(struct download *download, const struct download_request *request,
    uint64_t bytes_max, struct download_outcome *out)
{
    *out = (struct download_outcome){.failure = DOWNLOAD_FAILURE_LOCAL};
    download->request = request;
    download->out = out;
    download->limits.bytes_max = request->bytes_max == 0 ? bytes_max : request->bytes_max;
    download->limits.stall_ms = or_default(request->stall_ms, DOWNLOAD_STALL_MS);
    download->limits.connect_ms = or_default(request->connect_ms, DOWNLOAD_CONNECT_MS);
    download->limits.deadline_at =
        clock_add_ms(clock_monotonic_ms(), or_default(request->timeout_ms, DOWNLOAD_TIMEOUT_MS));
    download->delay_ms = or_default(request->delay_ms, DOWNLOAD_DELAY_MS);
    download->tries_max = request->tries_max == 0 ? DOWNLOAD_TRIES_MAX : request->tries_max;
}

/* With the part open. */
static int fetch(struct download *download, struct error *error)
{
    int result = -(int)STATUS_RESOURCE_EXHAUSTED;
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(
            error, STATUS_INTERNAL, "libsodium or libcurl cannot be used on this machine");
    download->best = download->part.bytes;
    download->transfer = transfer_new(download->request, &download->limits, &download->part);
    if (download->transfer == NULL)
        result = error_set_errno(error, ENOMEM, "beginning a download");
    else
        result = run_attempts(download, error);
    transfer_free(download->transfer);
    curl_global_cleanup();
    download->out->bytes = download->part.bytes;
    download->out->bytes_resumed = download->part.inherited;
    if (result == 0) {
        download->out->failure = DOWNLOAD_FAILURE_LOCAL;
        result = part_finish(&download->part, error);
    }
    if (result == 0)
        download->out->failure = DOWNLOAD_FAILURE_NONE;
    return result;
}

int download_file(
    const struct download_request *request, struct download_outcome *out, struct error *error)
{
    struct download download = {.request = request};
    struct url url;
    struct error local = ERROR_INIT;
    error = error == NULL ? &local : error;
    begin(&download, request, DOWNLOAD_BYTES_MAX, out);
    int result = url_parse(request->url, request->allow_http, &url, error);
    if (result < 0) {
        out->failure = DOWNLOAD_FAILURE_URL;
        return result;
    }
    result = part_open(&download.part, request->path, url.shown, request->cancel_fd, error);
    if (result < 0) {
        out->failure =
            result == -STATUS_CANCELLED ? DOWNLOAD_FAILURE_CANCELLED : DOWNLOAD_FAILURE_LOCAL;
        return result;
    }
    result = fetch(&download, error);
    part_close(&download.part);
    return result;
}

int download_text(const struct download_request *request, struct download_outcome *out,
    char **out_text, size_t *out_len, struct error *error)
{
    struct download download = {.request = request};
    struct error local = ERROR_INIT;
    struct buffer buffer;
    error = error == NULL ? &local : error;
    begin(&download, request, DOWNLOAD_TEXT_BYTES_MAX, out);
    /* One more for the NUL. */
    buffer_init(&buffer, (size_t)download.limits.bytes_max + 1);
    part_open_text(&download.part, &buffer);
    int result = fetch(&download, error);
    if (result == 0 && buffer_append(&buffer, "", 1) < 0)
        result = error_set_errno(error, ENOMEM, "keeping what was downloaded");
    char *text = result == 0 ? malloc(buffer_length(&buffer)) : NULL;
    if (text != NULL) {
        memcpy(text, buffer_data(&buffer), buffer_length(&buffer));
        *out_text = text;
        *out_len = buffer_length(&buffer) - 1;
    } else if (result == 0) {
        result = error_set_errno(error, ENOMEM, "keeping what was downloaded");
    }
    buffer_deinit(&buffer);
    if (result < 0 && out->failure == DOWNLOAD_FAILURE_NONE)
        out->failure = DOWNLOAD_FAILURE_LOCAL;
    return result;
}

const char *download_failure_name(enum download_failure failure)
{
    static const char *const names[] = {
#define DOWNLOAD_FAILURE_NAME(name) [DOWNLOAD_FAILURE_##name] = #name,
        DOWNLOAD_FAILURES(DOWNLOAD_FAILURE_NAME)
#undef DOWNLOAD_FAILURE_NAME
    };
    return (size_t)failure < ARRAY_LENGTH(names) ? names[failure] : "UNKNOWN";
}
