/* Requests as bytes, answers as bytes: no sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/attributes.h"
#include "server/supervise/holding_page_http.h"

/* ---- languages ---- */

static void test_language_follows_weight_then_order(void **state)
{
    static const struct {
        const char *value;
        enum holding_language expected;
    } cases[] = {
        {"", HOLDING_ENGLISH},
        {"zh", HOLDING_CHINESE},
        {"zh-CN,zh;q=0.9,en;q=0.8", HOLDING_CHINESE},
        {"ZH-Hant-TW", HOLDING_CHINESE},
        {"en-US,en;q=0.9,zh-CN;q=0.8", HOLDING_ENGLISH},
        {"de-DE, de;q=0.9, zh ; q=0.5, en;q=0.4", HOLDING_CHINESE},
        {"en;q=0.4,zh;q=0.40001", HOLDING_ENGLISH},
        {"en;q=0.400, zh;q=0.401", HOLDING_CHINESE},
        {"en;q=0,zh;q=0.001", HOLDING_CHINESE},
        {"zh;q=0", HOLDING_ENGLISH},
        {"zha, zho", HOLDING_ENGLISH},
        {"fr, *;q=0.5", HOLDING_ENGLISH},
        {"zh;q=", HOLDING_ENGLISH},
        {",,, ,\tzh", HOLDING_CHINESE},
        {"zh;q=9999999999, en", HOLDING_CHINESE},
        {";q=1", HOLDING_ENGLISH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (holding_language_of(cases[i].value) != cases[i].expected)
            fail_msg("wrong language for \"%s\"", cases[i].value);
    }
}

/* ---- requests ---- */

/* `step` bytes at a time. False: it wants more. */
static bool read_in_steps(const char *text, size_t step, struct holding_request *out)
{
    struct holding_reader *reader = NULL;
    size_t len = strlen(text);
    bool is_known = false;

    assert_int_equal(holding_reader_new(&reader), 0);
    for (size_t at = 0; at < len && !is_known; at += step)
        is_known = holding_reader_feed(reader, text + at, step < len - at ? step : len - at);
    *out = holding_reader_request(reader);
    holding_reader_free(reader);
    return is_known;
}

#define CRLF "\r\n"

struct shape {
    unsigned status;
    bool is_head;
    bool wants_json;
    enum holding_language language;
};

static const struct {
    const char *text;
    struct shape expected;
} requests[] = {
    {"GET / HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"HEAD /deep/link?a=b HTTP/1.1" CRLF "Host: x" CRLF CRLF, {503, true, false, HOLDING_ENGLISH}},
    {"GET / HTTP/1.0" CRLF "accept-language: zh-CN" CRLF CRLF,
        {503, false, false, HOLDING_CHINESE}},
    {"GET / HTTP/1.1" CRLF "Accept-Language: en;q=0.1" CRLF "X: 1" CRLF
     "Accept-Language: zh" CRLF CRLF,
        {503, false, false, HOLDING_CHINESE}},
    {"GET /api HTTP/1.1" CRLF CRLF, {503, false, true, HOLDING_ENGLISH}},
    {"GET /api?x HTTP/1.1" CRLF CRLF, {503, false, true, HOLDING_ENGLISH}},
    {"POST /api/chat HTTP/1.1" CRLF "Content-Length: 100000" CRLF CRLF "part of it",
        {503, false, true, HOLDING_ENGLISH}},
    {"GET /apiary HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"GET /ap HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"GET /x HTTP/1.1" CRLF "Accept: application/json" CRLF CRLF,
        {503, false, true, HOLDING_ENGLISH}},
    {"GET /x HTTP/1.1" CRLF "Accept: text/html, application/json;q=0.9" CRLF CRLF,
        {503, false, false, HOLDING_ENGLISH}},
    {"GET /x HTTP/1.1" CRLF "Accept-Charset: application/json" CRLF CRLF,
        {503, false, false, HOLDING_ENGLISH}},
    {"GET /x HTTP/1.1" CRLF "Accept: */*" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"PUT /x HTTP/1.1" CRLF "Expect: 100-continue" CRLF "Content-Length: 5" CRLF CRLF,
        {503, false, false, HOLDING_ENGLISH}},
    {"POST /x HTTP/1.1" CRLF "Transfer-Encoding: chunked" CRLF CRLF "5" CRLF "hello" CRLF,
        {503, false, false, HOLDING_ENGLISH}},
    {"GET /socket HTTP/1.1" CRLF "Connection: Upgrade" CRLF "Upgrade: websocket" CRLF CRLF "\x81",
        {503, false, false, HOLDING_ENGLISH}},
    {"CONNECT x:1 HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"OPTIONS * HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"GET http://x/api HTTP/1.1" CRLF CRLF, {503, false, false, HOLDING_ENGLISH}},
    {"GET / HTTP/1.1" CRLF CRLF "HEAD /api HTTP/1.1" CRLF CRLF,
        {503, false, false, HOLDING_ENGLISH}},
    {"HEAD / HTTP/1.1\n\n", {503, true, false, HOLDING_ENGLISH}},
    {"\x16\x03\x01\x02", {400, false, false, HOLDING_ENGLISH}},
    {"PRI * HTTP/2.0" CRLF CRLF "SM" CRLF CRLF, {400, false, false, HOLDING_ENGLISH}},
    {"HEAD / HTTP/1.1" CRLF "no colon" CRLF CRLF, {400, false, false, HOLDING_ENGLISH}},
    {"GET / HTTP/1.1" CRLF "A: b" CRLF "Content-Length: x" CRLF CRLF,
        {400, false, false, HOLDING_ENGLISH}},
    {"hello" CRLF CRLF, {400, false, false, HOLDING_ENGLISH}},
};

static void test_request_is_read_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        const struct shape *expected = &requests[i].expected;

        for (size_t step = 1; step < 64; step++) {
            struct holding_request seen;
            bool is_known = read_in_steps(requests[i].text, step, &seen);

            if (!is_known || seen.status != expected->status || seen.is_head != expected->is_head ||
                seen.wants_json != expected->wants_json || seen.language != expected->language)
                fail_msg("request %zu in steps of %zu: %d %u %d %d %d", i, step, is_known,
                    seen.status, seen.is_head, seen.wants_json, seen.language);
        }
    }
}

static void test_request_that_is_not_whole_is_waited_for(void **state)
{
    static const char *const texts[] = {"", "GET", "GET / HTTP/1.1" CRLF,
        "GET / HTTP/1.1" CRLF "Accept: text/html", "GET / HTTP/1.1" CRLF "A: b" CRLF};
    struct holding_request seen;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_false(read_in_steps(texts[i], 3, &seen));
        assert_int_equal(seen.status, 400);
    }
}

/* A request line and one header of so many bytes in all, less the end of the header. */
static unsigned status_of_length(size_t len)
{
    static const char start[] = "GET / HTTP/1.1" CRLF "Cookie: ";
    char *text = malloc(len + 1);
    struct holding_request seen;
    bool is_known;

    assert_non_null(text);
    memset(text, 'c', len);
    memcpy(text, start, sizeof start - 1);
    memcpy(text + len - 4, CRLF CRLF, 4);
    text[len] = '\0';
    is_known = read_in_steps(text, 1000, &seen);
    free(text);
    assert_true(is_known);
    return seen.status;
}

static void test_request_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(status_of_length(HOLDING_REQUEST_MAX), 503);
    assert_int_equal(status_of_length(HOLDING_REQUEST_MAX + 1), 431);
    assert_int_equal(status_of_length((size_t)HOLDING_REQUEST_MAX * 10), 431);
}

static void test_values_are_bounded(void **state)
{
    static const char start[] = "GET / HTTP/1.1" CRLF "Accept-Language: ";
    char text[4096];
    struct holding_request seen;

    (void)state;
    /* Its end is not looked at. */
    memset(text, 'x', sizeof text);
    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof text - 8, ",zh" CRLF CRLF, 8);
    assert_true(read_in_steps(text, 7, &seen));
    assert_int_equal(seen.language, HOLDING_ENGLISH);
}

/* ---- answers ---- */

struct answer {
    char text[HOLDING_ANSWER_MAX + 1];
    char *body;
};

static void make_answer(
    const struct holding_request *request, enum holding_notice notice, struct answer *out)
{
    struct buffer buffer;

    buffer_init(&buffer, HOLDING_ANSWER_MAX);
    assert_int_equal(holding_answer(request, notice, &buffer), 0);
    (void)snprintf(out->text, sizeof out->text, "%.*s", (int)buffer_length(&buffer),
        (const char *)buffer_data(&buffer));
    assert_int_equal(strlen(out->text), buffer_length(&buffer));
    buffer_deinit(&buffer);
    out->body = strstr(out->text, "\r\n\r\n");
    assert_non_null(out->body);
    out->body += 4;
}

static size_t told_length(const struct answer *answer)
{
    const char *at = strstr(answer->text, "\r\nContent-Length: ");

    assert_non_null(at);
    return strtoul(at + strlen("\r\nContent-Length: "), NULL, 10);
}

static void check_headers(const struct answer *answer)
{
    static const char *const headers[] = {"HTTP/1.1 503 Service Unavailable\r\n",
        "\r\nRetry-After: 2\r\n", "\r\nCache-Control: no-store\r\n",
        "\r\nFlocks-Holding-Page: 1\r\n", "\r\nConnection: close\r\n"};

    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
        assert_non_null(strstr(answer->text, headers[i]));
    assert_memory_equal(answer->text, headers[0], strlen(headers[0]));
}

static void test_answers_are_whole_in_every_form(void **state)
{
    struct answer answer;

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        const struct holding_request request = {.status = 503,
            .is_head = (i & 1) != 0,
            .wants_json = (i & 2) != 0,
            .language = (i & 4) != 0 ? HOLDING_CHINESE : HOLDING_ENGLISH};

        make_answer(&request, (i & 8) != 0 ? HOLDING_STUCK : HOLDING_UPDATING, &answer);
        check_headers(&answer);
        assert_int_equal(strlen(answer.body), request.is_head ? 0 : told_length(&answer));
        assert_true(told_length(&answer) > 0);
        assert_non_null(strstr(
            answer.text, request.wants_json ? "\r\nContent-Type: application/json\r\n"
                                            : "\r\nContent-Type: text/html; charset=utf-8\r\n"));
        assert_non_null(strstr(answer.text, request.language == HOLDING_CHINESE
                                                ? "\r\nContent-Language: zh-CN\r\n"
                                                : "\r\nContent-Language: en\r\n"));
    }
}

static void test_page_speaks_the_language_and_works_without_javascript(void **state)
{
    struct holding_request request = {.status = 503};
    struct answer answer;

    (void)state;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_non_null(strstr(answer.body, "<html lang=\"en\">"));
    assert_non_null(strstr(answer.body, "A new version is being installed"));
    assert_non_null(
        strstr(answer.body, "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>"));
    request.language = HOLDING_CHINESE;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_non_null(strstr(answer.body, "<html lang=\"zh-CN\">"));
    assert_non_null(strstr(answer.body, "正在安装新版本"));
    make_answer(&request, HOLDING_STUCK, &answer);
    assert_non_null(strstr(answer.body, "更新未能完成"));
}

/* An address with a fragment is not loaded again by `refresh` alone; and nothing of a request that
 * is more than a path of this server comes back. */
static void test_page_without_javascript_comes_back_to_the_path(void **state)
{
    static const struct {
        const char *path;
        const char *expected; /* after the seconds */
    } cases[] = {
        {"/", ";url=/\">"},
        {"/deep/link?a=b&copy=%20c", ";url=/deep/link?a=b&amp;copy=%20c\">"},
        {"//other.example/", "\">"},
        {"/\\other.example/", "\">"},
        {"/x'y", "\">"},
        {"/x\"y", "\">"},
        {"/<script>", "\">"},
        {"/;url=x", "\">"},
        {"http://x/", "\">"},
        {"*", "\">"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct holding_request request;
        struct answer answer;
        char text[128];
        const char *seen;

        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1" CRLF CRLF, cases[i].path);
        assert_true(read_in_steps(text, 5, &request));
        make_answer(&request, HOLDING_UPDATING, &answer);
        seen = strstr(answer.body, "<noscript><meta http-equiv=\"refresh\" content=\"2");
        assert_non_null(seen);
        seen = strchr(seen, '2') + 1;
        assert_memory_equal(seen, cases[i].expected, strlen(cases[i].expected));
    }
}

static void test_longest_path_fits_the_answer(void **state)
{
    char text[HOLDING_PATH_MAX + 64];
    struct holding_request request;
    struct answer answer;

    (void)state;
    for (size_t len = HOLDING_PATH_MAX - 1; len <= HOLDING_PATH_MAX; len++) {
        char path[HOLDING_PATH_MAX + 1];

        memset(path, '&', len);
        path[0] = '/';
        path[len] = '\0';
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1" CRLF CRLF, path);
        assert_true(read_in_steps(text, 100, &request));
        assert_int_equal(strlen(request.path), len < HOLDING_PATH_MAX ? len : 0);
        make_answer(&request, HOLDING_UPDATING, &answer);
    }
}

/* Nothing but itself: no address of anybody's. */
static void test_page_is_self_contained(void **state)
{
    const struct holding_request request = {.status = 503};
    struct answer answer;

    (void)state;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_null(strstr(answer.body, "http:"));
    assert_null(strstr(answer.body, "https:"));
    assert_null(strstr(answer.body, "src="));
    assert_non_null(strstr(answer.text, "\r\nContent-Security-Policy: default-src 'none';"));
}

static void test_programs_are_answered_with_json(void **state)
{
    const struct holding_request request = {.status = 503, .wants_json = true};
    struct answer answer;

    (void)state;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_string_equal(answer.body, "{\"status\":503,\"error\":\"UPDATING\",\"message\":\"A new "
                                     "version is being installed\",\"retry_after\":2}\n");
    make_answer(&request, HOLDING_STUCK, &answer);
    assert_non_null(strstr(answer.body, "\"error\":\"UPDATE_STUCK\""));
}

static void test_what_is_no_request_is_refused(void **state)
{
    struct holding_request request = {.status = 400, .wants_json = true};
    struct answer answer;

    (void)state;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_memory_equal(answer.text, "HTTP/1.1 400 Bad Request\r\n", 26);
    assert_string_equal(answer.body, "Bad Request\n");
    assert_int_equal(told_length(&answer), strlen(answer.body));
    request.status = 431;
    make_answer(&request, HOLDING_UPDATING, &answer);
    assert_memory_equal(answer.text, "HTTP/1.1 431 Request Header Fields Too Large\r\n", 46);
    assert_int_equal(told_length(&answer), strlen(answer.body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language_follows_weight_then_order),
        cmocka_unit_test(test_request_is_read_however_it_is_cut),
        cmocka_unit_test(test_request_that_is_not_whole_is_waited_for),
        cmocka_unit_test(test_request_is_bounded),
        cmocka_unit_test(test_values_are_bounded),
        cmocka_unit_test(test_answers_are_whole_in_every_form),
        cmocka_unit_test(test_page_speaks_the_language_and_works_without_javascript),
        cmocka_unit_test(test_page_without_javascript_comes_back_to_the_path),
        cmocka_unit_test(test_longest_path_fits_the_answer),
        cmocka_unit_test(test_page_is_self_contained),
        cmocka_unit_test(test_programs_are_answered_with_json),
        cmocka_unit_test(test_what_is_no_request_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
