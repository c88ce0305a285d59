/* One request in, one answer out: see the header. Nothing of a request is ever shown or sent back.
 */
#include "server/supervise/holding_page_http.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/status.h"
#include "server/supervise/holding_page_text.h"

enum {
    /* Longer than every name that is looked for. */
    NAME_KEPT = 24,
    STATUS_OUT_OF_SERVICE = 503,
    STATUS_NO_REQUEST = 400,
    STATUS_TOO_LONG = 431
};

/* Its first bytes; what does not fit is left out. */
struct value {
    char text[HOLDING_VALUE_MAX];
    size_t len;
};

struct holding_reader {
    http_parser parser;
    size_t n_bytes;
    char path[HOLDING_PATH_MAX];
    size_t path_len; /* sizeof path: it is longer */
    char name[NAME_KEPT];
    size_t name_len;
    bool is_in_value;
    struct value *value; /* of the header that is being read; NULL: nobody looks at it */
    struct value accept;
    struct value language;
    bool is_known;
    unsigned status; /* when it is known */
};

/* ---- languages ---- */

/* What follows ";q=" in thousandths (RFC 9110 12.4.2); what is none weighs 1. */
static unsigned weight_of(const char *parameters, size_t len)
{
    unsigned weight = 0;
    unsigned unit = 1000;
    size_t at = 0;

    while (at < len && (parameters[at] == ';' || parameters[at] == ' ' || parameters[at] == '\t'))
        at++;
    if (at + 2 > len || (parameters[at] != 'q' && parameters[at] != 'Q') ||
        parameters[at + 1] != '=')
        return 1000;
    for (at += 2; at < len && unit > 0; at++) {
        if (parameters[at] == '.')
            continue;
        if (parameters[at] < '0' || parameters[at] > '9')
            break;
        weight += (unsigned)(parameters[at] - '0') * unit;
        unit /= 10;
    }
    return weight < 1000 ? weight : 1000;
}

/* "zh", "zh-Hans-CN", but not "zha". */
static bool is_range(const char *text, size_t len, const char *language)
{
    return len >= 2 && strncasecmp(text, language, 2) == 0 && (len == 2 || text[2] == '-');
}

enum holding_language holding_language_of(const char *accept_language)
{
    enum holding_language best = HOLDING_ENGLISH;
    unsigned best_weight = 0;
    const char *at = accept_language;

    while (*at != '\0') {
        size_t len;
        size_t range_len;
        bool is_chinese;
        unsigned weight;

        at += strspn(at, ", \t");
        len = strcspn(at, ",");
        range_len = strcspn(at, ",; \t");
        is_chinese = is_range(at, range_len, "zh");
        weight = weight_of(at + range_len, len - range_len);
        if ((is_chinese || is_range(at, range_len, "en")) && weight > best_weight) {
            best = is_chinese ? HOLDING_CHINESE : HOLDING_ENGLISH;
            best_weight = weight;
        }
        at += len;
    }
    return best;
}

/* ---- reading ---- */

static int on_url(http_parser *parser, const char *bytes, size_t len)
{
    struct holding_reader *reader = parser->data;

    for (size_t i = 0; i < len && reader->path_len < sizeof reader->path; i++)
        reader->path[reader->path_len++] = bytes[i];
    return 0;
}

static int on_name(http_parser *parser, const char *bytes, size_t len)
{
    struct holding_reader *reader = parser->data;

    if (reader->is_in_value)
        reader->name_len = 0;
    reader->is_in_value = false;
    /* One that is cut is none of those that are looked for: they are shorter. */
    for (size_t i = 0; i < len && reader->name_len < NAME_KEPT; i++)
        reader->name[reader->name_len++] = bytes[i];
    return 0;
}

static bool is_name(const struct holding_reader *reader, const char *name)
{
    return reader->name_len == strlen(name) &&
           strncasecmp(reader->name, name, reader->name_len) == 0;
}

static void keep(struct value *value, const char *bytes, size_t len)
{
    size_t room = sizeof value->text - 1 - value->len;

    memcpy(value->text + value->len, bytes, len < room ? len : room);
    value->len += len < room ? len : room;
    value->text[value->len] = '\0';
}

static int on_value(http_parser *parser, const char *bytes, size_t len)
{
    struct holding_reader *reader = parser->data;

    if (!reader->is_in_value) {
        reader->is_in_value = true;
        reader->value = is_name(reader, "accept")            ? &reader->accept
                        : is_name(reader, "accept-language") ? &reader->language
                                                             : NULL;
        /* Told several times it is one list (RFC 9110 5.3). */
        if (reader->value != NULL && reader->value->len > 0)
            keep(reader->value, ",", 1);
    }
    if (reader->value != NULL)
        keep(reader->value, bytes, len);
    return 0;
}

static void decide(struct holding_reader *reader, unsigned status)
{
    reader->is_known = true;
    reader->status = status;
}

/* A body, or another request behind this one, is nobody's to read. */
static int on_headers(http_parser *parser)
{
    decide(parser->data, STATUS_OUT_OF_SERVICE);
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {.on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers};

int holding_reader_new(struct holding_reader **out)
{
    struct holding_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    http_parser_init(&reader->parser, HTTP_REQUEST);
    reader->parser.data = reader;
    reader->status = STATUS_NO_REQUEST;
    *out = reader;
    return 0;
}

void holding_reader_free(struct holding_reader *reader)
{
    free(reader);
}

bool holding_reader_feed(struct holding_reader *reader, const char *bytes, size_t len)
{
    size_t room = HOLDING_REQUEST_MAX - reader->n_bytes;

    if (reader->is_known || len == 0)
        return reader->is_known;
    (void)http_parser_execute(&reader->parser, &settings, bytes, len < room ? len : room);
    if (reader->is_known)
        return true;
    reader->n_bytes += len < room ? len : room;
    if (HTTP_PARSER_ERRNO(&reader->parser) != HPE_OK)
        decide(reader, STATUS_NO_REQUEST);
    else if (reader->n_bytes == HOLDING_REQUEST_MAX)
        decide(reader, STATUS_TOO_LONG);
    return reader->is_known;
}

/* "/api", "/api/health", "/api?x"; not "/apiary". */
static bool is_api(const struct holding_reader *reader)
{
    static const char prefix[] = {'/', 'a', 'p', 'i'};

    if (reader->path_len < sizeof prefix || memcmp(reader->path, prefix, sizeof prefix) != 0)
        return false;
    return reader->path_len == sizeof prefix || strchr("/?#", reader->path[sizeof prefix]) != NULL;
}

/* Not "//host", which is another server; nothing that would have to be escaped but "&". */
static bool is_plain_path(const char *path, size_t len)
{
    if (len == 0 || len >= HOLDING_PATH_MAX || path[0] != '/' || (len > 1 && path[1] == '/'))
        return false;
    for (size_t i = 0; i < len; i++) {
        bool is_word = (path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') ||
                       (path[i] >= '0' && path[i] <= '9');

        if (!is_word && (path[i] == '\0' || strchr("/-._~%?=&+:@!$*()", path[i]) == NULL))
            return false;
    }
    return true;
}

struct holding_request holding_reader_request(const struct holding_reader *reader)
{
    struct holding_request request;
    bool accepts_json = strcasestr(reader->accept.text, "application/json") != NULL;
    bool accepts_html = strcasestr(reader->accept.text, "text/html") != NULL;

    /* Of what was refused nothing else counts: how much of it was seen depends on where it was cut.
     */
    if (reader->status != STATUS_OUT_OF_SERVICE)
        return (struct holding_request){.status = reader->status};
    request = (struct holding_request){.status = reader->status,
        .is_head = reader->is_known && reader->parser.method == HTTP_HEAD,
        .wants_json = is_api(reader) || (accepts_json && !accepts_html),
        .language = holding_language_of(reader->language.text)};
    if (is_plain_path(reader->path, reader->path_len))
        memcpy(request.path, reader->path, reader->path_len);
    return request;
}

/* ---- answering ---- */

/* What was refused says why in a line; it has neither language nor form. */
static int append_refusal(unsigned status, struct buffer *out)
{
    const char *phrase =
        status == STATUS_TOO_LONG ? "Request Header Fields Too Large" : "Bad Request";

    return buffer_printf(out,
        "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s\n",
        status, phrase, strlen(phrase) + 1, phrase);
}

static int append_headers(
    const struct holding_request *request, size_t body_len, struct buffer *out)
{
    int result = buffer_printf(out,
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
        "Retry-After: %d\r\nCache-Control: no-store\r\n" HOLDING_MARK
        ": 1\r\nVary: Accept, Accept-Language\r\nX-Content-Type-Options: nosniff\r\n",
        request->wants_json ? "application/json" : "text/html; charset=utf-8", body_len,
        (int)HOLDING_RETRY_AFTER_S);

    if (result == 0)
        result = buffer_printf(out, "Content-Language: %s\r\n%sConnection: close\r\n\r\n",
            holding_text_language(request->language), request->wants_json ? "" : HOLDING_POLICY);
    return result;
}

int holding_answer(
    const struct holding_request *request, enum holding_notice notice, struct buffer *out)
{
    struct buffer body;
    int result;

    if (request->status != STATUS_OUT_OF_SERVICE)
        return append_refusal(request->status, out);
    buffer_init(&body, HOLDING_ANSWER_MAX);
    result = request->wants_json ? holding_text_json(notice, request->language, &body)
                                 : holding_text_page(notice, request, &body);
    if (result == 0)
        result = append_headers(request, buffer_length(&body), out);
    if (result == 0 && !request->is_head)
        result = buffer_append(out, buffer_data(&body), buffer_length(&body));
    buffer_deinit(&body);
    return result;
}
