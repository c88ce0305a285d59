/* What transfer.c and transfer_failure.c share. */
#ifndef FLOCKS_UPDATER_TRANSFER_PRIVATE_H
#define FLOCKS_UPDATER_TRANSFER_PRIVATE_H

#include <curl/curl.h>

#include "client/updater/answer.h"
#include "client/updater/transfer.h"

struct transfer {
    const struct download_request *request;
    const struct transfer_limits *limits;
    struct part *part;
    CURL *easy;
    CURLM *multi;
    struct error *error;
    struct transfer_result *result;
    struct download_progress progress;
    int64_t told_at;
    /* Of the present answer. */
    struct answer answer;
    struct url url;
    int64_t heard_at;
    bool has_body;
    uint64_t ignored;
    char reason[CURL_ERROR_SIZE];
};

/* Each tells the error and the result of this attempt why it failed, and answers the error's
 * negative status. */

/* Control characters of the text, which may quote a server, are shown as "?". */
PRINTF_LIKE(3, 4)
int transfer_fail(
    struct transfer *transfer, enum download_failure failure, const char *format, ...);
/* What another function has said in the error already, with `result`. */
int transfer_fail_as(struct transfer *transfer, enum download_failure failure, int result);
int transfer_fail_by_curl(struct transfer *transfer, CURLcode code);
/* By the status of the present answer. */
int transfer_fail_by_status(struct transfer *transfer);

#endif
