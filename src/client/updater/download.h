/* One URL into a file or into memory, over https (http on this machine, or where a parameter allows
 * it): tried again, resumed, bounded in every respect. Blocks. Knows nothing of releases and
 * signatures.
 *
 * A file that is under way is PATH.part, and PATH.part.record says what is known about it; both
 * stay after a failure, so that the next download of the same URL to the same path goes on (also
 * after a power loss: what the record promises is checked against a digest). One download of a path
 * at a time: the caller holds a lock.
 *
 * Proxies: http_proxy, https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY and no_proxy, NO_PROXY of the
 * environment, as curl(1) has them; what is on this machine is asked directly. */
#ifndef FLOCKS_UPDATER_DOWNLOAD_H
#define FLOCKS_UPDATER_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/updater/url.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

#define DOWNLOAD_BYTES_MAX (UINT64_C(4) * 1024 * 1024 * 1024)

enum {
    /* SHA-256 in hexadecimal, and its NUL. */
    DOWNLOAD_DIGEST_SIZE = 65,
    /* An answer without a byte for so long ends the try. */
    DOWNLOAD_STALL_MS = 30 * 1000,
    DOWNLOAD_CONNECT_MS = 30 * 1000,
    /* Everything together, with all tries and waits between them. */
    DOWNLOAD_TIMEOUT_MS = 60 * 60 * 1000,
    /* Tries in a row that brought no byte further. */
    DOWNLOAD_TRIES_MAX = 5,
    /* Before the second try; then twice as long each time, up to the second. Up to a quarter less
       by chance. */
    DOWNLOAD_DELAY_MS = 500,
    DOWNLOAD_DELAY_MAX_MS = 30 * 1000,
    /* A longer Retry-After is not waited for: the download fails and says so. */
    DOWNLOAD_RETRY_AFTER_MAX_MS = 2 * 60 * 1000,
    DOWNLOAD_REDIRECTS_MAX = 8,
    /* All headers of one answer; more end the try. */
    DOWNLOAD_HEADER_BYTES_MAX = 64 * 1024,
    /* Longer texts (download_text) are refused, unless the caller allows fewer. */
    DOWNLOAD_TEXT_BYTES_MAX = 16 * 1024 * 1024,
    /* Bytes from one record to the next: so much is fetched again at most. */
    DOWNLOAD_RECORD_BYTES = 16 * 1024 * 1024
};

/* Why a download failed, for whoever decides about another source. */
#define DOWNLOAD_FAILURES(X)                                                                       \
    X(NONE)                                                                                        \
    /* The URL may not be asked (url_parse). */                                                    \
    X(URL)                                                                                         \
    /* No connection: name, route, TLS, proxy. */                                                  \
    X(CONNECT)                                                                                     \
    /* The connection broke, or ended before the length that was announced. */                     \
    X(BROKEN)                                                                                      \
    X(STALLED)                                                                                     \
    /* 5xx, 429, 408, or nonsense instead of HTTP. */                                              \
    X(SERVER)                                                                                      \
    /* 404, 410. */                                                                                \
    X(MISSING)                                                                                     \
    /* Any other 4xx. */                                                                           \
    X(REFUSED)                                                                                     \
    /* Too many, to where must not be gone, or to nowhere. */                                      \
    X(REDIRECT)                                                                                    \
    X(TOO_LARGE)                                                                                   \
    /* Another length than the one that was expected. */                                           \
    X(LENGTH)                                                                                      \
    /* A web page: somebody on the way wants a login, or the URL is a page's. */                   \
    X(PAGE)                                                                                        \
    X(DIGEST)                                                                                      \
    X(DEADLINE)                                                                                    \
    X(CANCELLED)                                                                                   \
    /* This machine: disk, memory. Another source does not help. */                                \
    X(LOCAL)

enum download_failure {
#define DOWNLOAD_FAILURE_ENTRY(name) DOWNLOAD_FAILURE_##name,
    DOWNLOAD_FAILURES(DOWNLOAD_FAILURE_ENTRY)
#undef DOWNLOAD_FAILURE_ENTRY
};

struct download_progress {
    uint64_t bytes_done;
    /* 0: not known. */
    uint64_t bytes_total;
    /* From 1. */
    unsigned attempt;
    /* Waiting before the next attempt. */
    bool is_waiting;
};

struct download_request {
    const char *url;
    /* Where the file shall be; an existing one is replaced by rename. Not of download_text. */
    const char *path;
    /* What it must be, in hexadecimal of either case; NULL: not known. */
    const char *sha256;
    /* How long it must be; 0: not known. */
    uint64_t size;
    /* 0: DOWNLOAD_BYTES_MAX; of download_text DOWNLOAD_TEXT_BYTES_MAX. */
    uint64_t bytes_max;
    /* 0: as above. */
    int64_t timeout_ms;
    int64_t stall_ms;
    int64_t connect_ms;
    int64_t delay_ms;
    unsigned tries_max;
    /* Also over http from other machines. */
    bool allow_http;
    /* A page is what is asked for. */
    bool allow_page;
    /* Certificates to trust instead of the system's; NULL. */
    const char *ca_file;
    /* Authorization: Bearer TOKEN, to the URL's own host over https (or on this machine) alone, not
     * to where it redirects; NULL. Never shown. */
    const char *token;
    /* Accept; NULL: anything. */
    const char *accept;
    /* Ends the download when it becomes readable; -1: none. */
    int cancel_fd;
    /* May be NULL; called about every 100 ms. */
    void (*on_progress)(void *data, const struct download_progress *progress);
    void *data;
};

/* Written whatever the result. */
struct download_outcome {
    enum download_failure failure;
    unsigned attempts;
    /* The last answer's, 0: none came. */
    int http_status;
    uint64_t bytes;
    /* Of them, taken over from an earlier download. */
    uint64_t bytes_resumed;
    char sha256[DOWNLOAD_DIGEST_SIZE];
};

/* Into request->path. When it answers 0 the file is whole, has the length and digest that were
 * asked for, is on the disk (fsync, rename, fsync of the directory) and was hashed on the way:
 * out->sha256. Otherwise `path` is as it was.
 *
 * Tried again with growing delays while it makes sense (CONNECT, BROKEN, STALLED, SERVER): a try
 * that got further than all before it begins a new row of tries_max. A resumed answer counts only
 * if the server says that it is still the same file (If-Range with a strong ETag or a date that is
 * strong by RFC 9110, 8.8.2.2), or if `sha256` is known; what turns out to have another digest
 * after that is fetched once more from the beginning.
 *
 * The error says what, from where, why and what to do; URLs in it lack user, password and query.
 * Its code: UNAVAILABLE, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED,
 * DATA_LOSS, DEADLINE_EXCEEDED, CANCELLED, or what the system's refusal is. out->failure is finer.
 */
NODISCARD int download_file(
    const struct download_request *request, struct download_outcome *out, struct error *error);

/* Into memory, NUL-terminated; the caller frees *out_text. Not resumed, otherwise the same. */
NODISCARD int download_text(const struct download_request *request, struct download_outcome *out,
    char **out_text, size_t *out_len, struct error *error);

/* "STALLED". Static storage. */
const char *download_failure_name(enum download_failure failure);

#endif
