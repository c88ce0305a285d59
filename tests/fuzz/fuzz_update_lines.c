/* Any bytes as what flocks-update writes, however they come: lines are whole, each is read or
 * refused with a text, and nothing of it that is shown can drive a terminal. The first byte says
 * how many bytes come at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/update_lines.h"
#include "client/cli/update_message.h"
#include "client/cli/update_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void show(const struct update_message *message, FILE *stream)
{
    if (message->progress) {
        const struct update_bytes bytes = {.done = message->progress->bytes_done,
            .total = message->progress->bytes_total,
            .per_s = -1,
            .left_s = -1};
        update_view_step(message->progress, false, stream);
        update_view_bar(&bytes, stream);
        update_view_bytes(&bytes, stream);
        update_view_end(message->progress, 1, stream);
        update_view_present(message->progress, 0, false, stream);
    }
    if (message->check) {
        update_view_check(message->check, false, stream);
        update_view_notes(message->check, false, stream);
        demand(update_view_list(message->check, false, stream));
    }
}

static void check_shown(const struct update_message *message)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    demand(stream != NULL);
    show(message, stream);
    demand(fclose(stream) == 0);
    for (size_t i = 0; i < len; i++)
        demand(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
    free(text);
}

static void check_failure(const struct update_message *message)
{
    struct error error = ERROR_INIT;
    if (message->is_failure)
        demand(message->failure.code > STATUS_OK && message->failure.code < STATUS_CODE_COUNT);
    if (message->progress && update_message_failure(message->progress, &error) < 0)
        demand(error.text[0] != '\0' && error.code < STATUS_CODE_COUNT);
}

static void take_line(void *data, const char *line, size_t len)
{
    struct arena arena;
    struct error error = ERROR_INIT;
    struct update_message message;
    (void)data;
    demand(len > 0 && len <= UPDATE_LINE_MAX && memchr(line, '\n', len) == NULL);
    arena_init(&arena, UPDATE_MESSAGE_ARENA_BYTES);
    int result = update_message_read(line, len, &arena, &message, &error);
    demand((result < 0) == (error.text[0] != '\0'));
    if (result == 0) {
        demand((message.progress != NULL) + (message.check != NULL) + message.is_failure == 1);
        check_failure(&message);
        check_shown(&message);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct update_lines lines;
    size_t piece = size > 0 && data[0] > 0 ? data[0] : 1;
    update_lines_init(&lines);
    for (size_t at = 1; at < size; at += piece)
        update_lines_feed(&lines, (const char *)data + at, size - at < piece ? size - at : piece,
            take_line, NULL);
    demand(lines.n_dropped == 0 || size > UPDATE_LINE_MAX);
    update_lines_deinit(&lines);
    return 0;
}
