/* Any bytes as a request, cut anywhere: the first byte chooses the pieces' size. Read the same
 * however it was cut; whatever is answered is one whole answer within its bound. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/supervise/holding_page_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct holding_request read_in_steps(const char *bytes, size_t len, size_t step)
{
    struct holding_reader *reader = NULL;
    struct holding_request request = {.status = 0};
    bool is_known = false;

    if (holding_reader_new(&reader) != 0)
        return request;
    for (size_t at = 0; at < len && !is_known; at += step)
        is_known = holding_reader_feed(reader, bytes + at, step < len - at ? step : len - at);
    assert(is_known || len < HOLDING_REQUEST_MAX);
    request = holding_reader_request(reader);
    holding_reader_free(reader);
    return request;
}

static void check_answer(const struct holding_request *request)
{
    struct buffer out;
    char text[HOLDING_ANSWER_MAX + 1];
    const char *body;
    const char *told;
    size_t told_len;

    buffer_init(&out, HOLDING_ANSWER_MAX);
    if (holding_answer(request, HOLDING_UPDATING, &out) != 0)
        return;
    memcpy(text, buffer_data(&out), buffer_length(&out));
    text[buffer_length(&out)] = '\0';
    buffer_deinit(&out);
    body = strstr(text, "\r\n\r\n");
    told = strstr(text, "\r\nContent-Length: ");
    assert(body != NULL && told != NULL && told < body);
    told_len = strtoul(told + strlen("\r\nContent-Length: "), NULL, 10);
    assert(strlen(body + 4) == (request->is_head ? 0 : told_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct holding_request whole;
    struct holding_request cut;

    if (len < 2)
        return 0;
    whole = read_in_steps((const char *)bytes + 1, len - 1, len - 1);
    cut = read_in_steps((const char *)bytes + 1, len - 1, (size_t)bytes[0] + 1);
    assert(whole.status == 503 || whole.status == 400 || whole.status == 431);
    assert(whole.status == cut.status && whole.is_head == cut.is_head &&
           whole.wants_json == cut.wants_json && whole.language == cut.language &&
           strcmp(whole.path, cut.path) == 0);
    assert(strpbrk(whole.path, "<>\"'\\;") == NULL && strncmp(whole.path, "//", 2) != 0);
    check_answer(&whole);
    return 0;
}
