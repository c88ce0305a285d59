/* Against a real server that has every fault (server.py). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium/crypto_hash_sha256.h>

#include "client/updater/answer.h"
#include "client/updater/download.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "place.h"
#include "unit.h"

enum {
    FILE_BYTES = 300000,
    CUT = 100000,
    STALL_MS = 300,
    DELAY_MS = 4,
    /* Whatever should end at once does so within this on a loaded machine. */
    SOON_MS = 5000
};

static int port;
static int port_tls;
static char digest_one[DOWNLOAD_DIGEST_SIZE];
static char digest_two[DOWNLOAD_DIGEST_SIZE];

static void digest_of(const char *name, char out[DOWNLOAD_DIGEST_SIZE])
{
    size_t len = 0;
    uint8_t hash[crypto_hash_sha256_BYTES];
    char *bytes = place_read(name, &len);
    (void)crypto_hash_sha256(hash, (const uint8_t *)bytes, len);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
    free(bytes);
}

static int set_up(void **state)
{
    (void)place_open(state);
    static const char *const variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
        "ALL_PROXY", "no_proxy", "NO_PROXY"};
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++)
        (void)unsetenv(variables[i]);
    place_write_noise("one", FILE_BYTES, 1);
    place_write_noise("two", FILE_BYTES, 2);
    place_write_noise("large", (size_t)DOWNLOAD_RECORD_BYTES + CUT, 3);
    digest_of("one", digest_one);
    digest_of("two", digest_two);
    struct place_server server = place_serve(SERVER);
    port = server.port;
    port_tls = server.port_tls;
    return 0;
}

/* Each test begins without files. */
static int clear(void **state)
{
    (void)state;
    (void)unlink(place_path("out"));
    (void)unlink(place_path("out.part"));
    (void)unlink(place_path("out.part.record"));
    return 0;
}

static const char *url_of(const char *path)
{
    static char urls[4][512];
    static unsigned next;
    char *url = urls[next++ % ARRAY_LENGTH(urls)];
    (void)snprintf(url, sizeof urls[0], "http://127.0.0.1:%d/%s", port, path);
    return url;
}

static const char *tls_url_of(const char *path)
{
    static char url[512];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/%s", port_tls, path);
    return url;
}

static struct download_request request_of(const char *path)
{
    return (struct download_request){.url = url_of(path),
        .path = place_path("out"),
        .timeout_ms = 20000,
        .stall_ms = 10000,
        .delay_ms = DELAY_MS,
        .cancel_fd = -1};
}

static unsigned requests_of(const char *path)
{
    char counting[512];
    char *text = NULL;
    size_t len = 0;
    struct download_outcome outcome;
    (void)snprintf(counting, sizeof counting, "count/%s", path);
    struct download_request request = request_of(counting);
    assert_int_equal(download_text(&request, &outcome, &text, &len, NULL), 0);
    unsigned n = (unsigned)strtoul(text, NULL, 10);
    free(text);
    return n;
}

static void check_same(const char *name)
{
    size_t len = 0;
    size_t wanted_len = 0;
    char *bytes = place_read("out", &len);
    char *wanted = place_read(name, &wanted_len);
    assert_int_equal(len, wanted_len);
    assert_memory_equal(bytes, wanted, len);
    free(bytes);
    free(wanted);
    assert_false(place_has("out.part"));
    assert_false(place_has("out.part.record"));
}

static void check_done(
    const struct download_request *request, const char *name, struct download_outcome *out)
{
    struct error error = ERROR_INIT;
    char digest[DOWNLOAD_DIGEST_SIZE];
    if (download_file(request, out, &error) != 0)
        fail_msg("%s: %s", request->url, error.text);
    digest_of(name, digest);
    assert_string_equal(out->sha256, digest);
    assert_int_equal(out->failure, DOWNLOAD_FAILURE_NONE);
    check_same(name);
}

/* Fails with that, says so in words that name the URL without its secrets, and leaves no file. */
static void check_fails(const struct download_request *request, enum download_failure failure,
    enum status_code code, const char *why, struct download_outcome *out)
{
    struct error error = ERROR_INIT;
    int result = download_file(request, out, &error);
    if (result != -(int)code || (int)error.code != (int)code || out->failure != failure ||
        strstr(error.text, why) == NULL)
        fail_msg("%s: %d, %s, \"%s\"", request->url, result, download_failure_name(out->failure),
            error.text);
    assert_null(strstr(error.text, "secret"));
    assert_true(strlen(error.hint) > 0 || code == STATUS_CANCELLED ||
                code == STATUS_INVALID_ARGUMENT || code == STATUS_PERMISSION_DENIED);
    assert_false(place_has("out"));
}

/* ---- good ---- */

static void test_download_whole_file_and_its_digest(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("file/one");
    char upper[DOWNLOAD_DIGEST_SIZE];
    for (size_t i = 0; i < sizeof upper; i++)
        upper[i] = (char)(digest_one[i] >= 'a' ? digest_one[i] - 'a' + 'A' : digest_one[i]);
    request.sha256 = upper;
    request.size = FILE_BYTES;
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 1);
    assert_int_equal(outcome.bytes, FILE_BYTES);
    assert_int_equal(outcome.http_status, 200);
    /* An existing file is replaced. */
    request = request_of("file/two");
    check_done(&request, "two", &outcome);
}

static void test_download_without_a_length(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("unknown-length/one");
    check_done(&request, "one", &outcome);
}

static void test_download_empty_file(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("empty");
    place_write_text("nothing", "");
    check_done(&request, "nothing", &outcome);
    assert_int_equal(outcome.bytes, 0);
}

static void test_download_text_in_memory(void **state)
{
    (void)state;
    struct download_outcome outcome;
    char *text = NULL;
    size_t len = 0;
    struct download_request request = request_of("echo");
    request.accept = "application/json";
    assert_int_equal(download_text(&request, &outcome, &text, &len, NULL), 0);
    assert_int_equal(strlen(text), len);
    assert_non_null(strstr(text, "Accept: application/json"));
    assert_non_null(strstr(text, "User-Agent: flocks-update/"));
    free(text);
    request = request_of("file/one");
    request.bytes_max = FILE_BYTES - 1;
    assert_int_equal(
        download_text(&request, &outcome, &text, &len, NULL), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(outcome.failure, DOWNLOAD_FAILURE_TOO_LARGE);
    /* Each attempt begins anew. */
    request = request_of("reset-no-ranges/1000/two");
    assert_int_equal(download_text(&request, &outcome, &text, &len, NULL), 0);
    assert_int_equal(len, FILE_BYTES);
    assert_string_equal(outcome.sha256, digest_two);
    free(text);
}

static void note_progress(void *data, const struct download_progress *progress)
{
    struct download_progress *last = data;
    assert_true(progress->bytes_done >= last->bytes_done);
    *last = *progress;
}

static void test_download_tells_progress(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_progress last = {.bytes_done = 0};
    struct download_request request = request_of("reset/100000/one");
    request.on_progress = note_progress;
    request.data = &last;
    check_done(&request, "one", &outcome);
    assert_int_equal(last.bytes_total, FILE_BYTES);
    assert_true(last.bytes_done >= CUT);
    assert_true(last.attempt >= 2);
}

/* ---- resuming ---- */

static void test_download_resumes_after_every_reset(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 3);
    assert_int_equal(outcome.http_status, 206);
}

static void test_download_resumes_by_date(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset-dated/100000/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 3);
}

static void test_download_without_validator_begins_anew(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset-weak/100000/one");
    request.tries_max = 3;
    check_fails(&request, DOWNLOAD_FAILURE_BROKEN, STATUS_UNAVAILABLE, "broke", &outcome);
    /* With a digest, the end is checked. */
    request.sha256 = digest_one;
    check_done(&request, "one", &outcome);
}

/* The next process goes on. */
static void test_download_is_taken_over_by_the_next(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    request.tries_max = 1;
    check_fails(&request, DOWNLOAD_FAILURE_BROKEN, STATUS_UNAVAILABLE, "given up", &outcome);
    assert_true(place_has("out.part.record"));
    check_fails(&request, DOWNLOAD_FAILURE_BROKEN, STATUS_UNAVAILABLE, "given up", &outcome);
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 1);
    assert_int_equal(outcome.bytes_resumed, 2 * CUT);
}

static void begin_part(void)
{
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    request.tries_max = 1;
    check_fails(&request, DOWNLOAD_FAILURE_BROKEN, STATUS_UNAVAILABLE, "given up", &outcome);
}

static void test_download_damaged_part_is_begun_anew(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    size_t len = 0;
    begin_part();
    char *bytes = place_read("out.part", &len);
    bytes[7] = (char)(bytes[7] ^ 1);
    place_write("out.part", bytes, len);
    free(bytes);
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.bytes_resumed, 0);
}

/* As after a power loss: the record promises more than is there, or is half there itself. */
static void test_download_part_shorter_than_its_record_is_begun_anew(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    begin_part();
    assert_int_equal(truncate(place_path("out.part"), CUT / 2), 0);
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.bytes_resumed, 0);
}

static void test_download_cut_record_is_none(void **state)
{
    (void)state;
    struct download_outcome outcome;
    size_t len = 0;
    begin_part();
    char *part = place_read("out.part", NULL);
    char *record = place_read("out.part.record", &len);
    for (size_t cut = 0; cut < len; cut += 13) {
        struct download_request request = request_of("file/one");
        place_write("out.part", part, CUT);
        place_write("out.part.record", record, cut);
        check_done(&request, "one", &outcome);
        assert_int_equal(outcome.bytes_resumed, 0);
    }
    free(part);
    free(record);
}

/* More was written than the record promises: that is not trusted. */
static void test_download_part_longer_than_its_record_is_cut(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset/100000/one");
    size_t len = 0;
    begin_part();
    char *bytes = place_read("out.part", &len);
    char *longer = calloc(1, len + 1000);
    assert_non_null(longer);
    memcpy(longer, bytes, len);
    place_write("out.part", longer, len + 1000);
    free(longer);
    free(bytes);
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.bytes_resumed, CUT);
}

static void test_download_of_another_url_begins_anew(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("file/two");
    begin_part();
    check_done(&request, "two", &outcome);
    assert_int_equal(outcome.bytes_resumed, 0);
}

static void test_download_complete_part_needs_no_request(void **state)
{
    (void)state;
    struct download_outcome outcome;
    char record[1024];
    struct download_request request = request_of("file/two");
    request.sha256 = digest_two;
    unsigned before = requests_of("file/two");
    size_t len = 0;
    char *bytes = place_read("two", &len);
    place_write("out.part", bytes, len);
    free(bytes);
    (void)snprintf(record, sizeof record,
        "flocks-part 1\nurl %s\nvalidator \"one\"\ntotal %d\nbytes %d\nsha256 %s\n", request.url,
        FILE_BYTES, FILE_BYTES, digest_two);
    place_write_text("out.part.record", record);
    check_done(&request, "two", &outcome);
    assert_int_equal(outcome.attempts, 0);
    assert_int_equal(requests_of("file/two"), before);
}

static void test_download_changed_file_is_fetched_whole(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset-changing/100000/one/two");
    check_done(&request, "two", &outcome);
    assert_int_equal(outcome.attempts, 2);
}

/* The server says that it is the same file, and it is not: seen by the digest, and fetched once
 * more. */
static void test_download_mixed_file_is_fetched_once_more(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset-lying/100000/one/two");
    request.sha256 = digest_two;
    check_done(&request, "two", &outcome);
    assert_int_equal(outcome.attempts, 3);
}

static void test_download_ranges_ignored_or_wrong(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("reset-no-ranges/100000/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 2);
    (void)clear(NULL);
    request = request_of("reset-wrong-range/100000/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 3);
    (void)clear(NULL);
    request = request_of("reset-gone/100000/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 3);
}

/* A process that is killed: what it has recorded by then is taken over. */
static void test_download_killed_is_taken_over(void **state)
{
    (void)state;
    char path[64];
    struct download_outcome outcome;
    (void)snprintf(path, sizeof path, "stall/%d/large", DOWNLOAD_RECORD_BYTES + 1000);
    struct download_request request = request_of(path);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(download_file(&request, &outcome, NULL) == 0 ? 0 : 1);
    int64_t end = clock_monotonic_ms() + 4 * (int64_t)SOON_MS;
    while (!place_has("out.part.record") && clock_monotonic_ms() < end)
        (void)usleep(1000);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(place_has("out.part.record"));
    struct stat status;
    assert_int_equal(stat(place_path("out.part"), &status), 0);
    request.tries_max = 1;
    request.stall_ms = STALL_MS;
    check_fails(
        &request, DOWNLOAD_FAILURE_STALLED, STATUS_UNAVAILABLE, "nothing has come", &outcome);
}

/* ---- faults ---- */

static void test_download_busy_server_is_tried_again(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("busy/3/one");
    check_done(&request, "one", &outcome);
    assert_int_equal(outcome.attempts, 4);
    request = request_of("status/500");
    request.tries_max = 4;
    (void)clear(NULL);
    check_fails(
        &request, DOWNLOAD_FAILURE_SERVER, STATUS_UNAVAILABLE, "after 4 attempts", &outcome);
    assert_int_equal(requests_of("status/500"), 4);
}

static void test_download_refusals_are_final(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("status/404");
    check_fails(&request, DOWNLOAD_FAILURE_MISSING, STATUS_NOT_FOUND, "404", &outcome);
    request = request_of("status/403");
    check_fails(&request, DOWNLOAD_FAILURE_REFUSED, STATUS_PERMISSION_DENIED, "403", &outcome);
    request = request_of("refuse-long/401");
    check_fails(&request, DOWNLOAD_FAILURE_REFUSED, STATUS_PERMISSION_DENIED, "401", &outcome);
    assert_int_equal(outcome.attempts, 1);
}

static void test_download_retry_after_is_heeded(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("later/86400");
    check_fails(&request, DOWNLOAD_FAILURE_SERVER, STATUS_UNAVAILABLE, "86400 s", &outcome);
    assert_int_equal(outcome.attempts, 1);
    request = request_of("later/60");
    check_fails(&request, DOWNLOAD_FAILURE_DEADLINE, STATUS_DEADLINE_EXCEEDED, "no time", &outcome);
}

static void test_download_stalls_are_bounded(void **state)
{
    (void)state;
    struct download_outcome outcome;
    static const char *const paths[] = {"stall/100000/one", "silent"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct download_request request = request_of(paths[i]);
        request.stall_ms = STALL_MS;
        request.tries_max = 2;
        int64_t begun = clock_monotonic_ms();
        check_fails(
            &request, DOWNLOAD_FAILURE_STALLED, STATUS_UNAVAILABLE, "nothing has come", &outcome);
        assert_true(clock_monotonic_ms() - begun < SOON_MS);
        (void)clear(NULL);
    }
}

static void test_download_drip_ends_at_the_deadline(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("drip");
    request.timeout_ms = STALL_MS;
    int64_t begun = clock_monotonic_ms();
    check_fails(&request, DOWNLOAD_FAILURE_DEADLINE, STATUS_DEADLINE_EXCEEDED, "longer", &outcome);
    assert_true(clock_monotonic_ms() - begun < SOON_MS);
}

static void test_download_lying_lengths(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("short/one");
    request.tries_max = 2;
    check_fails(&request, DOWNLOAD_FAILURE_BROKEN, STATUS_UNAVAILABLE, "ended before", &outcome);
    (void)clear(NULL);
    request = request_of("file/one");
    request.size = FILE_BYTES + 1;
    check_fails(
        &request, DOWNLOAD_FAILURE_LENGTH, STATUS_DATA_LOSS, "should have 300001", &outcome);
    assert_int_equal(outcome.bytes, 0);
    request = request_of("unknown-length/one");
    request.size = FILE_BYTES - 1;
    check_fails(
        &request, DOWNLOAD_FAILURE_LENGTH, STATUS_DATA_LOSS, "more than the 299999", &outcome);
    (void)clear(NULL);
    request.size = FILE_BYTES + 1;
    check_fails(
        &request, DOWNLOAD_FAILURE_LENGTH, STATUS_DATA_LOSS, "should have 300001", &outcome);
}

static void test_download_too_large(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("file/one");
    request.bytes_max = FILE_BYTES - 1;
    check_fails(
        &request, DOWNLOAD_FAILURE_TOO_LARGE, STATUS_RESOURCE_EXHAUSTED, "299999", &outcome);
    assert_int_equal(outcome.bytes, 0);
    request = request_of("chunks");
    request.bytes_max = FILE_BYTES;
    check_fails(
        &request, DOWNLOAD_FAILURE_TOO_LARGE, STATUS_RESOURCE_EXHAUSTED, "300000", &outcome);
    assert_true(outcome.bytes <= FILE_BYTES);
}

static void test_download_page_is_no_archive(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("page");
    check_fails(&request, DOWNLOAD_FAILURE_PAGE, STATUS_DATA_LOSS, "web page", &outcome);
    assert_int_equal(outcome.attempts, 1);
    request = request_of("disguised-page");
    check_fails(&request, DOWNLOAD_FAILURE_PAGE, STATUS_DATA_LOSS, "web page", &outcome);
    struct error error = ERROR_INIT;
    request.allow_page = true;
    assert_int_equal(download_file(&request, &outcome, &error), 0);
}

static void test_download_nonsense_is_bounded(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("headers");
    request.tries_max = 2;
    check_fails(&request, DOWNLOAD_FAILURE_SERVER, STATUS_UNAVAILABLE, "does not end", &outcome);
    request = request_of("nonsense");
    request.tries_max = 2;
    check_fails(&request, DOWNLOAD_FAILURE_SERVER, STATUS_UNAVAILABLE, "as HTTP", &outcome);
}

static void test_download_other_digest(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("file/one");
    request.sha256 = digest_two;
    check_fails(&request, DOWNLOAD_FAILURE_DIGEST, STATUS_DATA_LOSS, digest_one, &outcome);
    assert_int_equal(outcome.attempts, 1);
    assert_false(place_has("out.part"));
}

static void test_download_nobody_listens(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("x");
    request.url = "http://127.0.0.1:1/x";
    request.tries_max = 2;
    check_fails(&request, DOWNLOAD_FAILURE_CONNECT, STATUS_UNAVAILABLE, "127.0.0.1", &outcome);
    assert_int_equal(outcome.attempts, 2);
}

static void test_download_disk_fails(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct error error = ERROR_INIT;
    struct download_request request = request_of("file/one");
    request.path = place_path("no/out");
    assert_int_equal(download_file(&request, &outcome, &error), -STATUS_NOT_FOUND);
    assert_int_equal(outcome.failure, DOWNLOAD_FAILURE_LOCAL);
    /* A device on which nothing fits. */
    assert_int_equal(symlink("/dev/full", place_path("out.part")), 0);
    request.path = place_path("out");
    assert_true(download_file(&request, &outcome, &error) < 0);
    assert_int_equal(outcome.failure, DOWNLOAD_FAILURE_LOCAL);
}

/* ---- cancelling ---- */

static void cancel_later(void *data, const struct download_progress *progress)
{
    (void)progress;
    assert_int_equal(eventfd_write(*(const int *)data, 1), 0);
}

static void test_download_cancelled_at_once(void **state)
{
    (void)state;
    /* While it waits for an answer, for bytes, and between attempts. */
    static const char *const paths[] = {"silent", "stall/100000/one", "busy/1000/one"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct download_outcome outcome;
        CLEANUP(fd_close) int cancel = eventfd(0, EFD_CLOEXEC);
        struct download_request request = request_of(paths[i]);
        request.delay_ms = 10000;
        request.cancel_fd = cancel;
        request.on_progress = cancel_later;
        request.data = &cancel;
        int64_t begun = clock_monotonic_ms();
        check_fails(
            &request, DOWNLOAD_FAILURE_CANCELLED, STATUS_CANCELLED, "interrupted", &outcome);
        assert_true(clock_monotonic_ms() - begun < SOON_MS);
        (void)clear(NULL);
    }
}

/* ---- where to ---- */

static void test_download_follows_redirects(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("to//file/one");
    check_done(&request, "one", &outcome);
    request = request_of("loop");
    (void)clear(NULL);
    check_fails(&request, DOWNLOAD_FAILURE_REDIRECT, STATUS_FAILED_PRECONDITION, "sent on 8 times",
        &outcome);
    assert_int_equal(requests_of("loop"), DOWNLOAD_REDIRECTS_MAX + 1);
    request = request_of("nowhere");
    check_fails(
        &request, DOWNLOAD_FAILURE_REDIRECT, STATUS_FAILED_PRECONDITION, "nowhere", &outcome);
    request = request_of("to/file:///etc/passwd");
    check_fails(
        &request, DOWNLOAD_FAILURE_REDIRECT, STATUS_INVALID_ARGUMENT, "not a URL", &outcome);
    request = request_of("to/http://releases.invalid/x");
    check_fails(&request, DOWNLOAD_FAILURE_REDIRECT, STATUS_PERMISSION_DENIED, "releases.invalid",
        &outcome);
}

static void test_download_over_https(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("x");
    request.url = tls_url_of("reset/100000/one");
    check_fails(&request, DOWNLOAD_FAILURE_CONNECT, STATUS_UNAVAILABLE, "not trusted", &outcome);
    assert_int_equal(outcome.attempts, 1);
    request.ca_file = place_path("tls.pem");
    check_done(&request, "one", &outcome);
    (void)clear(NULL);
    /* Never down to http, not even on this machine. */
    char path[256];
    (void)snprintf(path, sizeof path, "to/%s", url_of("file/one"));
    request.url = tls_url_of(path);
    request.allow_http = true;
    check_fails(&request, DOWNLOAD_FAILURE_REDIRECT, STATUS_PERMISSION_DENIED, "from https to http",
        &outcome);
}

static void test_download_refuses_urls(void **state)
{
    (void)state;
    struct download_outcome outcome;
    struct download_request request = request_of("x");
    request.url = "http://example.com/x";
    check_fails(&request, DOWNLOAD_FAILURE_URL, STATUS_PERMISSION_DENIED, "anybody", &outcome);
    request.url = "file:///etc/passwd";
    check_fails(&request, DOWNLOAD_FAILURE_URL, STATUS_INVALID_ARGUMENT, "not a URL", &outcome);
    request.url = "https://";
    check_fails(&request, DOWNLOAD_FAILURE_URL, STATUS_INVALID_ARGUMENT, "", &outcome);
    request.url = "https://a/\nb";
    check_fails(&request, DOWNLOAD_FAILURE_URL, STATUS_INVALID_ARGUMENT, "", &outcome);
    assert_int_equal(outcome.attempts, 0);
}

static void test_download_tells_no_secrets(void **state)
{
    (void)state;
    struct download_outcome outcome;
    char url[256];
    (void)snprintf(url, sizeof url, "http://user:secret@127.0.0.1:%d/status/404?key=secret", port);
    struct download_request request = request_of("x");
    request.url = url;
    request.token = "secret";
    check_fails(&request, DOWNLOAD_FAILURE_MISSING, STATUS_NOT_FOUND, "/status/404", &outcome);
    request.url = "http://user:secret@127.0.0.1:1/?secret";
    request.tries_max = 1;
    check_fails(&request, DOWNLOAD_FAILURE_CONNECT, STATUS_UNAVAILABLE, "", &outcome);
}

static char *echo(const struct download_request *request)
{
    struct download_outcome outcome;
    struct error error = ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    if (download_text(request, &outcome, &text, &len, &error) != 0)
        fail_msg("%s", error.text);
    return text;
}

static void test_download_token_stays_with_its_host(void **state)
{
    (void)state;
    char path[256];
    struct download_request request = request_of("echo");
    request.token = "hush";
    char *text = echo(&request);
    assert_non_null(strstr(text, "Authorization: Bearer hush"));
    free(text);
    request.url = url_of("to//echo");
    text = echo(&request);
    assert_non_null(strstr(text, "Authorization: Bearer hush"));
    free(text);
    (void)snprintf(path, sizeof path, "to/http://localhost:%d/echo", port);
    request.url = url_of(path);
    text = echo(&request);
    assert_null(strstr(text, "hush"));
    free(text);
}

static void test_download_through_a_proxy(void **state)
{
    (void)state;
    char proxy[64];
    struct download_outcome outcome;
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port);
    struct download_request request = request_of("x");
    request.url = "http://releases.invalid/echo";
    request.allow_http = true;
    request.tries_max = 1;
    assert_int_equal(setenv("http_proxy", proxy, 1), 0);
    char *text = echo(&request);
    assert_non_null(strstr(text, "GET http://releases.invalid/echo"));
    free(text);
    /* Nobody needs a proxy to this machine. */
    request.url = url_of("echo");
    text = echo(&request);
    assert_non_null(strstr(text, "GET /echo"));
    free(text);
    request.url = "http://releases.invalid/echo";
    assert_int_equal(setenv("no_proxy", "releases.invalid", 1), 0);
    check_fails(
        &request, DOWNLOAD_FAILURE_CONNECT, STATUS_UNAVAILABLE, "releases.invalid", &outcome);
    assert_int_equal(unsetenv("no_proxy"), 0);
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void test_url_loopback_and_relative(void **state)
{
    (void)state;
    struct url url;
    char out[URL_MAX + 1];
    assert_int_equal(url_parse("http://localhost:1/x", false, &url, NULL), 0);
    assert_int_equal(url_parse("http://127.1.2.3/x", false, &url, NULL), 0);
    assert_int_equal(url_parse("http://[::1]:8/x", false, &url, NULL), 0);
    assert_true(url.is_loopback);
    assert_int_equal(
        url_parse("http://127.0.0.1.example.com/x", false, &url, NULL), -STATUS_PERMISSION_DENIED);
    assert_int_equal(
        url_parse("http://localhost@example.com/x", false, &url, NULL), -STATUS_PERMISSION_DENIED);
    assert_int_equal(url_parse("http://example.com/x", true, &url, NULL), 0);
    assert_false(url.is_loopback);
    assert_int_equal(url_parse("https://u:p@Example.com/a?b#c", false, &url, NULL), 0);
    assert_null(strstr(url.shown, "u:p"));
    assert_null(strchr(url.shown, '?'));
    assert_int_equal(url_resolve("https://a/b/index.json", "c.tar.xz", out, NULL), 0);
    assert_string_equal(out, "https://a/b/c.tar.xz");
    assert_int_equal(url_resolve("https://a/b/index.json", "https://d/e", out, NULL), 0);
    assert_string_equal(out, "https://d/e");
}

static void test_answer_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {"HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 206 Partial Content\r\n", "ETAG:  \"a b\" \r\n",
        "Content-Range: bytes 5-9/10\r\n", "Content-Type: Text/HTML; x\r\n", "Retry-After: 7\r\n",
        "Other\r\n", "\r\n"};
    struct answer answer = {.status = 0};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        answer_take_line(&answer, lines[i], strlen(lines[i]), 0);
    assert_int_equal(answer.status, 206);
    assert_true(answer.has_range);
    assert_int_equal(answer.range_start, 5);
    assert_int_equal(answer.range_total, 10);
    assert_true(answer.is_html);
    assert_int_equal(answer.retry_after_ms, 7000);
    assert_string_equal(answer_validator(&answer), "\"a b\"");
    static const char *const bad[] = {"bytes 5-9/9", "bytes 9-5/10", "bytes 5-9", "bytes -9/10",
        "bytes 99999999999999999999-9/10", "lines 5-9/10"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "Content-Range: %s\r\n", bad[i]);
        struct answer other = {.status = 206};
        answer_take_line(&other, line, strlen(line), 0);
        assert_false(other.has_range);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup(name, clear)
        CASE(test_download_whole_file_and_its_digest),
        CASE(test_download_without_a_length),
        CASE(test_download_empty_file),
        CASE(test_download_text_in_memory),
        CASE(test_download_tells_progress),
        CASE(test_download_resumes_after_every_reset),
        CASE(test_download_resumes_by_date),
        CASE(test_download_without_validator_begins_anew),
        CASE(test_download_is_taken_over_by_the_next),
        CASE(test_download_damaged_part_is_begun_anew),
        CASE(test_download_part_shorter_than_its_record_is_begun_anew),
        CASE(test_download_cut_record_is_none),
        CASE(test_download_part_longer_than_its_record_is_cut),
        CASE(test_download_of_another_url_begins_anew),
        CASE(test_download_complete_part_needs_no_request),
        CASE(test_download_changed_file_is_fetched_whole),
        CASE(test_download_mixed_file_is_fetched_once_more),
        CASE(test_download_ranges_ignored_or_wrong),
        CASE(test_download_killed_is_taken_over),
        CASE(test_download_busy_server_is_tried_again),
        CASE(test_download_refusals_are_final),
        CASE(test_download_retry_after_is_heeded),
        CASE(test_download_stalls_are_bounded),
        CASE(test_download_drip_ends_at_the_deadline),
        CASE(test_download_lying_lengths),
        CASE(test_download_too_large),
        CASE(test_download_page_is_no_archive),
        CASE(test_download_nonsense_is_bounded),
        CASE(test_download_other_digest),
        CASE(test_download_nobody_listens),
        CASE(test_download_disk_fails),
        CASE(test_download_cancelled_at_once),
        CASE(test_download_follows_redirects),
        CASE(test_download_over_https),
        CASE(test_download_refuses_urls),
        CASE(test_download_tells_no_secrets),
        CASE(test_download_token_stays_with_its_host),
        CASE(test_download_through_a_proxy),
        cmocka_unit_test(test_url_loopback_and_relative),
        cmocka_unit_test(test_answer_lines),
    };
    return cmocka_run_group_tests(tests, set_up, place_close);
}
