/* HTTP/1.1 without I/O: see the header. What the service sends is shown to people only escaped and
 * cut. */
#include "server/supervise/probe_http.h"

#include <http_parser.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/arena.h"

struct probe_judge {
    http_parser parser;
    struct arena arena;
    unsigned expected_status;
    struct probe_pair *expect;
    size_t expect_count;
    size_t header_bytes;
    unsigned interim_answers;
    bool headers_are_complete;
    /* The body went past PROBE_BODY_MAX. */
    bool body_is_cut;
    struct buffer body;
    bool is_decided;
    bool passed;
    bool is_other;
    unsigned status;
    char message[PROBE_MESSAGE_MAX];
};

/* --- The request ---------------------------------------------------------------------------------
 */

/* Nothing that ends a line or, for a path, a word. */
static bool is_clean(const char *text, bool allows_space)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < ' ' || *at == 0x7f || (*at == ' ' && !allows_space))
            return false;
    }
    return true;
}

/* RFC 9110 5.1: a token, ended by the colon. */
static bool is_header_name(const char *text)
{
    return *text != '\0' && is_clean(text, false) && strchr(text, ':') == NULL;
}

static const char *configured_header(const struct probe_http *http, const char *name)
{
    for (size_t i = 0; i < http->header_count; i++) {
        if (strcasecmp(http->headers[i].name, name) == 0)
            return http->headers[i].value;
    }
    return NULL;
}

static int check_request(const struct probe_http *http, struct error *error)
{
    if (http->path[0] != '/' || !is_clean(http->path, false))
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "probe path must begin with \"/\" and contain no spaces or control characters");
    for (size_t i = 0; i < http->header_count; i++) {
        if (!is_header_name(http->headers[i].name) || !is_clean(http->headers[i].value, true))
            return error_set(error, STATUS_INVALID_ARGUMENT,
                "header %zu of the probe contains what would end the line", i + 1);
    }
    return 0;
}

static int append_header(struct buffer *out, const char *name, const char *value)
{
    return buffer_printf(out, "%s: %s\r\n", name, value);
}

static int append_headers(const struct probe_http *http, const char *host, struct buffer *out)
{
    const struct probe_pair own[] = {
        {"Host", host}, {"User-Agent", "flocks/" FLOCKS_VERSION}, {"Accept", "*/*"}};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(own) && result == 0; i++) {
        if (configured_header(http, own[i].name) == NULL)
            result = append_header(out, own[i].name, own[i].value);
    }
    for (size_t i = 0; i < http->header_count && result == 0; i++) {
        /* One connection per probe, whatever is configured. */
        if (strcasecmp(http->headers[i].name, "Connection") != 0)
            result = append_header(out, http->headers[i].name, http->headers[i].value);
    }
    return result != 0 ? result : buffer_append_text(out, "Connection: close\r\n\r\n");
}

int probe_http_request(const struct probe_http *http, const union endpoint_address *address,
    struct buffer *out, struct error *error)
{
    int result = check_request(http, error);
    if (result != 0)
        return result;
    char host[ENDPOINT_TEXT_MAX];
    endpoint_address_text(address, host);
    result = buffer_printf(out, "GET %s HTTP/1.1\r\n", http->path);
    if (result == 0)
        result = append_headers(http, host, out);
    if (result != 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "the probe's request is too long");
    return 0;
}

/* --- The judgement -------------------------------------------------------------------------------
 */

static void decide(struct probe_judge *judge, bool passed, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void decide(struct probe_judge *judge, bool passed, const char *format, ...)
{
    if (judge->is_decided)
        return;
    judge->is_decided = true;
    judge->passed = passed;
    va_list arguments;
    va_start(arguments, format);
    /* clang-tidy 14 forgets va_start when it looks through a caller.
     * NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(judge->message, sizeof judge->message, format, arguments);
    va_end(arguments);
}

/* At most `size` - 1 characters of printable ASCII; the rest as \xNN, or cut with "...". */
static void escape(const char *text, char *out, size_t size)
{
    size_t at = 0;
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        bool is_plain = *byte >= ' ' && *byte < 0x7f && *byte != '"' && *byte != '\\';
        if (at + sizeof "\\xNN" + sizeof "..." > size) {
            (void)snprintf(out + at, size - at, "...");
            return;
        }
        if (is_plain)
            out[at++] = (char)*byte;
        else
            at += (size_t)snprintf(out + at, size - at, "\\x%02x", *byte);
    }
    out[at] = '\0';
}

/* The member called `name`, or found by following its dots through objects. */
static const json_t *find_member(const json_t *object, const char *name)
{
    const json_t *whole = json_object_get(object, name);
    const char *dot = strchr(name, '.');
    if (whole != NULL || dot == NULL)
        return whole;
    char first[PROBE_MESSAGE_MAX];
    if ((size_t)(dot - name) >= sizeof first)
        return NULL;
    memcpy(first, name, (size_t)(dot - name));
    first[dot - name] = '\0';
    const json_t *inner = json_object_get(object, first);
    return inner == NULL ? NULL : find_member(inner, dot + 1);
}

/* `value` as text: a string as it is, anything else as JSON. The caller frees. NULL: no memory. */
static char *member_text(const json_t *value)
{
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
}

static void judge_member(
    struct probe_judge *judge, const json_t *root, const struct probe_pair *expected)
{
    enum { SHOWN = 72 };
    char name[SHOWN];
    escape(expected->name, name, sizeof name);
    const json_t *value = find_member(root, expected->name);
    if (value == NULL) {
        decide(judge, false, "answered %u without \"%s\"", judge->status, name);
        return;
    }
    char *text = member_text(value);
    if (text == NULL) {
        decide(judge, false, "no memory to compare \"%s\"", name);
    } else if (strcmp(text, expected->value) != 0) {
        char is[SHOWN];
        char wanted[SHOWN];
        escape(text, is, sizeof is);
        escape(expected->value, wanted, sizeof wanted);
        judge->is_other = true;
        decide(judge, false, "\"%s\" is \"%s\", expected \"%s\"", name, is, wanted);
    }
    free(text);
}

static void judge_body(struct probe_judge *judge)
{
    if (judge->body_is_cut) {
        decide(judge, false, "answered more than %d bytes", PROBE_BODY_MAX);
        return;
    }
    json_error_t failure;
    json_t *root = json_loadb((const char *)buffer_data(&judge->body), buffer_length(&judge->body),
        JSON_DECODE_ANY, &failure);
    if (root == NULL) {
        decide(
            judge, false, "answered %u, but not with JSON (line %d)", judge->status, failure.line);
        return;
    }
    for (size_t i = 0; i < judge->expect_count && !judge->is_decided; i++)
        judge_member(judge, root, &judge->expect[i]);
    json_decref(root);
}

static bool status_is_expected(const struct probe_judge *judge)
{
    return judge->expected_status != 0 ? judge->status == judge->expected_status
                                       : judge->status >= 200 && judge->status < 400;
}

static void judge_answer(struct probe_judge *judge)
{
    if (!status_is_expected(judge)) {
        if (judge->expected_status != 0)
            decide(judge, false, "answered %u, expected %u", judge->status, judge->expected_status);
        else
            decide(judge, false, "answered %u, expected below 400", judge->status);
        return;
    }
    if (judge->expect_count > 0)
        judge_body(judge);
    decide(judge, true, "answered %u", judge->status);
}

/* --- The parser's callbacks
 * ------------------------------------------------------------------------ */

static int on_headers_complete(http_parser *parser)
{
    struct probe_judge *judge = parser->data;
    judge->status = parser->status_code;
    judge->headers_are_complete = judge->status >= 200 || judge->status == 101;
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t len)
{
    struct probe_judge *judge = parser->data;
    if (buffer_length(&judge->body) + len > PROBE_BODY_MAX ||
        buffer_append(&judge->body, bytes, len) != 0) {
        judge->body_is_cut = true;
        judge_answer(judge);
    }
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct probe_judge *judge = parser->data;
    if (judge->headers_are_complete)
        judge_answer(judge);
    else if (++judge->interim_answers > PROBE_INTERIM_MAX)
        decide(judge, false, "answered only interim statuses (%u)", judge->status);
    return 0;
}

static const http_parser_settings parser_settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- Life ----------------------------------------------------------------------------------------
 */

static int copy_expectations(struct probe_judge *judge, const struct probe_http *http)
{
    judge->expect = arena_calloc(&judge->arena, http->expect_count, sizeof *judge->expect);
    if (judge->expect == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < http->expect_count; i++) {
        judge->expect[i].name = arena_strdup(&judge->arena, http->expect[i].name);
        judge->expect[i].value = arena_strdup(&judge->arena, http->expect[i].value);
        if (judge->expect[i].name == NULL || judge->expect[i].value == NULL)
            return -STATUS_RESOURCE_EXHAUSTED;
    }
    judge->expect_count = http->expect_count;
    return 0;
}

int probe_judge_new(const struct probe_http *http, struct probe_judge **out, struct error *error)
{
    struct probe_judge *judge = calloc(1, sizeof *judge);
    if (judge == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a probe");
    arena_init(&judge->arena, PROBE_EXPECT_MAX);
    buffer_init(&judge->body, PROBE_BODY_MAX);
    http_parser_init(&judge->parser, HTTP_RESPONSE);
    judge->parser.data = judge;
    judge->expected_status = http->status;
    (void)snprintf(judge->message, sizeof judge->message, "no answer");
    if (copy_expectations(judge, http) != 0) {
        probe_judge_free(judge);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "what the probe expects is longer than %d bytes", PROBE_EXPECT_MAX);
    }
    *out = judge;
    return 0;
}

void probe_judge_free(struct probe_judge *judge)
{
    if (judge == NULL)
        return;
    buffer_deinit(&judge->body);
    arena_deinit(&judge->arena);
    free(judge);
}

bool probe_judge_feed(struct probe_judge *judge, const char *bytes, size_t len)
{
    if (judge->is_decided)
        return true;
    bool had_headers = judge->headers_are_complete;
    size_t eaten = http_parser_execute(&judge->parser, &parser_settings, bytes, len);
    enum http_errno failure = HTTP_PARSER_ERRNO(&judge->parser);
    if (!judge->is_decided && judge->parser.upgrade)
        decide(judge, false, "answered %u and left HTTP", judge->status);
    if (!judge->is_decided && failure != HPE_OK && len > 0)
        decide(judge, false, "did not answer with HTTP (%s)", http_errno_name(failure));
    if (!judge->is_decided && len == 0)
        decide(judge, false, "closed the connection before its answer was complete");
    judge->header_bytes += had_headers ? 0 : eaten;
    if (!judge->is_decided && !judge->headers_are_complete &&
        judge->header_bytes > PROBE_HEADER_MAX)
        decide(judge, false, "answered more than %d bytes of headers", PROBE_HEADER_MAX);
    return judge->is_decided;
}

void probe_judge_result(const struct probe_judge *judge, struct probe_result *out)
{
    out->passed = judge->passed;
    out->is_other = judge->is_other;
    out->status = judge->status;
    (void)snprintf(out->message, sizeof out->message, "%s", judge->message);
}
