#include <stdarg.h>
#include <stdio.h>

#include "client/updater/transfer_private.h"

/* How each failure is told. */
static const struct {
    enum status_code code;
    bool is_transient;
    const char *hint;
} FAILURES[] = {
    [DOWNLOAD_FAILURE_CONNECT] = {STATUS_UNAVAILABLE, true,
        "check the network, and http_proxy and https_proxy if a proxy is needed"},
    [DOWNLOAD_FAILURE_BROKEN] = {STATUS_UNAVAILABLE, true,
        "try again: the download goes on where it ended"},
    [DOWNLOAD_FAILURE_STALLED] = {STATUS_UNAVAILABLE, true,
        "try again: the download goes on where it ended"},
    [DOWNLOAD_FAILURE_SERVER] = {STATUS_UNAVAILABLE, true, "try again later, or another source"},
    [DOWNLOAD_FAILURE_MISSING] = {STATUS_NOT_FOUND, false, "check the address of the source"},
    [DOWNLOAD_FAILURE_REFUSED] = {STATUS_PERMISSION_DENIED, false,
        "check the address of the source, and its token if it needs one"},
    [DOWNLOAD_FAILURE_REDIRECT] = {STATUS_FAILED_PRECONDITION, false,
        "check the address of the source"},
    [DOWNLOAD_FAILURE_TOO_LARGE] = {STATUS_RESOURCE_EXHAUSTED, false,
        "check the address of the source"},
    [DOWNLOAD_FAILURE_LENGTH] = {STATUS_DATA_LOSS, false, "try another source"},
    [DOWNLOAD_FAILURE_PAGE] = {STATUS_DATA_LOSS, false,
        "open it in a browser: a network that wants a login answers for others"},
    [DOWNLOAD_FAILURE_DEADLINE] = {STATUS_DEADLINE_EXCEEDED, false,
        "try again: the download goes on where it ended"},
    [DOWNLOAD_FAILURE_CANCELLED] = {STATUS_CANCELLED, false, ""},
};

int transfer_fail(struct transfer *transfer, enum download_failure failure, const char *format, ...)
{
    char why[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    /* Also what a library quotes from a server. */
    for (char *at = why; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
    transfer->result->failure = failure;
    transfer->result->is_transient = FAILURES[failure].is_transient;
    int result = error_set(
        transfer->error, FAILURES[failure].code, "downloading %s: %s", transfer->url.shown, why);
    error_set_hint(transfer->error, "%s", FAILURES[failure].hint);
    return result;
}

int transfer_fail_as(struct transfer *transfer, enum download_failure failure, int result)
{
    transfer->result->failure = failure;
    transfer->result->is_transient = false;
    return result;
}

int transfer_fail_by_curl(struct transfer *transfer, CURLcode code)
{
    const char *why = transfer->reason[0] == '\0' ? curl_easy_strerror(code) : transfer->reason;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
        int result = transfer_fail(
            transfer, DOWNLOAD_FAILURE_CONNECT, "its certificate is not trusted: %s", why);
        error_set_hint(transfer->error, "check this machine's clock and its ca-certificates");
        transfer->result->is_transient = false;
        return result;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return transfer_fail_as(transfer, DOWNLOAD_FAILURE_LOCAL,
            error_set(transfer->error, STATUS_RESOURCE_EXHAUSTED, "downloading %s: no memory",
                transfer->url.shown));
    if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
        code == CURLE_OPERATION_TIMEDOUT || code == CURLE_PROXY)
        return transfer_fail(transfer, DOWNLOAD_FAILURE_CONNECT, "%s", why);
    if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL)
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_SERVER, "it does not answer as HTTP: %s", why);
    if (code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING)
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_BROKEN, "the answer ended before its end: %s", why);
    return transfer_fail(transfer, DOWNLOAD_FAILURE_BROKEN, "the connection broke: %s", why);
}

int transfer_fail_by_status(struct transfer *transfer)
{
    int status = transfer->answer.status;
    if (status == 404 || status == 410)
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_MISSING, "there is no such file (status %d)", status);
    if (status == 408 || status == 429 || status >= 500 || status < 400)
        return transfer_fail(
            transfer, DOWNLOAD_FAILURE_SERVER, "the server is not ready (status %d)", status);
    return transfer_fail(
        transfer, DOWNLOAD_FAILURE_REFUSED, "the server refuses (status %d)", status);
}
