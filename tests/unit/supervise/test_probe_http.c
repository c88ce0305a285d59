/* Requests as bytes, and answers judged byte by byte: no sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/probe_http.h"

static const struct probe_pair healthy[] = {{"status", "healthy"}};

static const struct probe_http plain = {.path = "/"};
static const struct probe_http expects_healthy = {
    .path = "/api/health", .expect = healthy, .expect_count = 1};

/* --- The request
 * ----------------------------------------------------------------------------------- */

static int request_text(const struct probe_http *http, const char *host, char *out, size_t size)
{
    struct endpoint endpoint;
    struct buffer buffer;
    assert_int_equal(endpoint_resolve(host, 8000, &endpoint, NULL), 0);
    buffer_init(&buffer, PROBE_REQUEST_MAX);
    int result = probe_http_request(http, &endpoint.addresses[0], &buffer, NULL);
    if (result == 0)
        (void)snprintf(
            out, size, "%.*s", (int)buffer_length(&buffer), (const char *)buffer_data(&buffer));
    buffer_deinit(&buffer);
    return result;
}

static void test_request_has_host_and_close(void **state)
{
    (void)state;
    char text[512];
    assert_int_equal(request_text(&expects_healthy, "::1", text, sizeof text), 0);
    assert_string_equal(text,
        "GET /api/health HTTP/1.1\r\nHost: [::1]:8000\r\nUser-Agent: flocks/" FLOCKS_VERSION
        "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

static void test_request_configured_headers_replace_ours(void **state)
{
    (void)state;
    char text[512];
    const struct probe_pair headers[] = {
        {"host", "demo.example"}, {"X-Key", "a b"}, {"Connection", "keep-alive"}};
    const struct probe_http http = {.path = "/", .headers = headers, .header_count = 3};
    assert_int_equal(request_text(&http, "127.0.0.1", text, sizeof text), 0);
    assert_non_null(strstr(text, "\r\nhost: demo.example\r\nX-Key: a b\r\n"));
    assert_null(strstr(text, "127.0.0.1"));
    assert_null(strstr(text, "keep-alive"));
}

static void test_request_refuses_what_ends_a_line(void **state)
{
    (void)state;
    char text[512];
    const struct probe_pair bad_value[] = {{"X", "a\r\nY: b"}};
    const struct probe_pair bad_name[] = {{"X: y", "a"}};
    const struct probe_http bad[] = {
        {.path = "health"},
        {.path = "/a b"},
        {.path = "/a\r\nX: y"},
        {.path = "/", .headers = bad_value, .header_count = 1},
        {.path = "/", .headers = bad_name, .header_count = 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(
            request_text(&bad[i], "127.0.0.1", text, sizeof text), -STATUS_INVALID_ARGUMENT);
}

/* --- The judgement
 * ----------------------------------------------------------------------------------- */

/* The judgement of an answer that comes in pieces of `step` bytes and ends with the connection. */
static struct probe_result judge(
    const struct probe_http *http, const char *answer, size_t len, size_t step)
{
    struct probe_judge *judge = NULL;
    struct probe_result result = {.passed = false};
    assert_int_equal(probe_judge_new(http, &judge, NULL), 0);
    bool is_decided = false;
    for (size_t at = 0; at < len && !is_decided; at += step)
        is_decided = probe_judge_feed(judge, answer + at, step < len - at ? step : len - at);
    if (!is_decided)
        is_decided = probe_judge_feed(judge, NULL, 0);
    assert_true(is_decided);
    probe_judge_result(judge, &result);
    probe_judge_free(judge);
    return result;
}

static void expect(
    const struct probe_http *http, const char *answer, bool passed, const char *message)
{
    for (size_t step = 1; step < 40; step += 13) {
        struct probe_result result = judge(http, answer, strlen(answer), step);
        assert_string_equal(result.message, message);
        assert_int_equal(result.passed, passed);
    }
}

static void test_judge_status_below_400_passes(void **state)
{
    (void)state;
    expect(&plain, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true, "answered 200");
    expect(&plain, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", true, "answered 302");
    expect(&plain, "HTTP/1.0 200 OK\r\n\r\nuntil the end", true, "answered 200");
    expect(&plain, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false,
        "answered 503, expected below 400");
}

static void test_judge_exact_status(void **state)
{
    (void)state;
    const struct probe_http http = {.path = "/", .status = 204};
    expect(&http, "HTTP/1.1 204 No Content\r\n\r\n", true, "answered 204");
    expect(
        &http, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "answered 200, expected 204");
}

static void test_judge_json_member_as_text(void **state)
{
    (void)state;
    const struct probe_pair pairs[] = {
        {"status", "healthy"}, {"ok", "true"}, {"n", "3"}, {"db.state", "up"}, {"none", "null"}};
    const struct probe_http http = {.path = "/", .expect = pairs, .expect_count = 5};
    expect(&http,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1b\r\n{\"status\":\"healthy\",\"ok\":tr\r\n2d\r\n"
        "ue,\"n\":3,\"db\":{\"state\":\"up\"},\"none\":null    }\r\n0\r\n\r\n",
        true, "answered 200");
}

static void test_judge_json_mismatch_is_told(void **state)
{
    (void)state;
    expect(&expects_healthy,
        "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"status\":\"starting\"}", false,
        "\"status\" is \"starting\", expected \"healthy\"");
    expect(&expects_healthy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", false,
        "answered 200 without \"status\"");
    expect(&expects_healthy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false,
        "answered 200, but not with JSON (line 1)");
    expect(&expects_healthy,
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"\\u001b[\"}", false,
        "\"status\" is \"\\x1b[\", expected \"healthy\"");
}

static void test_judge_interim_answers_are_skipped(void **state)
{
    (void)state;
    expect(&plain,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        true, "answered 200");
    expect(&plain, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false,
        "answered 101, expected below 400");
}

static void test_judge_cut_or_foreign_answer_fails(void **state)
{
    (void)state;
    expect(&plain, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", false,
        "closed the connection before its answer was complete");
    expect(&plain, "", false, "closed the connection before its answer was complete");
    expect(&plain, "SSH-2.0-x\r\n", false, "did not answer with HTTP (HPE_INVALID_CONSTANT)");
}

static void test_judge_long_body_is_bounded(void **state)
{
    (void)state;
    static char answer[PROBE_BODY_MAX + 1024];
    int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n");
    memset(answer + head, ' ', sizeof answer - (size_t)head);
    struct probe_result result = judge(&expects_healthy, answer, sizeof answer, 4096);
    assert_false(result.passed);
    assert_string_equal(result.message, "answered more than 262144 bytes");
    assert_true(judge(&plain, answer, sizeof answer, 4096).passed);
}

static void test_judge_long_headers_are_bounded(void **state)
{
    (void)state;
    static char answer[2 * PROBE_HEADER_MAX];
    int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nX: ");
    memset(answer + head, 'x', sizeof answer - (size_t)head);
    struct probe_result result = judge(&plain, answer, sizeof answer, 1024);
    assert_false(result.passed);
    assert_string_equal(result.message, "answered more than 32768 bytes of headers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_has_host_and_close),
        cmocka_unit_test(test_request_configured_headers_replace_ours),
        cmocka_unit_test(test_request_refuses_what_ends_a_line),
        cmocka_unit_test(test_judge_status_below_400_passes),
        cmocka_unit_test(test_judge_exact_status),
        cmocka_unit_test(test_judge_json_member_as_text),
        cmocka_unit_test(test_judge_json_mismatch_is_told),
        cmocka_unit_test(test_judge_interim_answers_are_skipped),
        cmocka_unit_test(test_judge_cut_or_foreign_answer_fails),
        cmocka_unit_test(test_judge_long_body_is_bounded),
        cmocka_unit_test(test_judge_long_headers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
