/* Anything as a token of logs. What is taken is a token: written again from its marks, it is taken
 * again and has the same ones. */
#include <stdlib.h>
#include <string.h>

#include "server/output/log_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void write_again(const struct log_mark *mark)
{
    struct log_token *token = NULL;
    struct buffer bytes;
    struct buffer text;
    const struct log_mark *again;

    buffer_init(&bytes, LOG_TOKEN_TEXT_MAX);
    buffer_init(&text, LOG_TOKEN_TEXT_MAX);
    demand(log_token_begin(&bytes) == 0 && log_token_add(&bytes, "backend", mark) == 0);
    demand(log_token_finish(&bytes, &text) == 0);
    demand(log_token_read((const char *)buffer_data(&text), &token, NULL) == 0);
    again = log_token_find(token, "backend");
    demand(again != NULL && log_file_id_is_same(again->place.file, mark->place.file));
    demand(again->place.offset == mark->place.offset && again->place.check == mark->place.check);
    demand(again->count_id == mark->count_id && again->written == mark->written);
    demand(again->lost == mark->lost);
    log_token_free(token);
    buffer_deinit(&text);
    buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_token *token = NULL;
    char *text = malloc(size + 1);

    demand(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (log_token_read(text, &token, NULL) == 0) {
        const struct log_mark *mark = log_token_find(token, "backend");

        if (mark != NULL)
            write_again(mark);
        log_token_free(token);
    }
    free(text);
    return 0;
}
