/* Any text as JSON of a message: what was read is written and read again as the same message. */
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.info.h"

#include "common/base/buffer.h"
#include "common/schema/json_read.h"
#include "common/schema/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ProtobufCMessage *read_text(const void *text, size_t len, struct arena *arena)
{
    ProtobufCMessage *message;
    int result =
        json_read(text, len, &flocks_get_status_response_info, NULL, arena, &message, NULL);
    return result == 0 ? message : NULL;
}

static void write_text(const ProtobufCMessage *message, struct buffer *out)
{
    struct json_write_options options = {.reveal_secrets = true};
    buffer_init(out, 64 << 20);
    if (json_write(&flocks_get_status_response_info, message, &options, out) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 64 << 20);
    ProtobufCMessage *message = read_text(data, size, &arena);
    if (message != NULL) {
        struct buffer first;
        struct buffer second;
        write_text(message, &first);
        message = read_text(buffer_data(&first), buffer_length(&first), &arena);
        if (message == NULL)
            abort();
        write_text(message, &second);
        if (buffer_length(&first) != buffer_length(&second) ||
            memcmp(buffer_data(&first), buffer_data(&second), buffer_length(&first)) != 0)
            abort();
        buffer_deinit(&first);
        buffer_deinit(&second);
    }
    arena_deinit(&arena);
    return 0;
}
