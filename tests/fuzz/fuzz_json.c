/* Any text as JSON of a message: what was read is written and read again as the same message. A
 * digit in front chooses the message; without one it is a status. */
#include <stdlib.h>
#include <string.h>

#include "flocks/ttrpc/v1/ttrpc.info.h"
#include "flocks/v1/config.info.h"
#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/types.info.h"

#include "common/base/buffer.h"
#include "common/schema/json_read.h"
#include "common/schema/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct crpc_message_info *const KNOWN[] = {&flocks_error_detail_info};
static const struct schema_registry registry = {
    .types = KNOWN, .n_types = sizeof KNOWN / sizeof KNOWN[0]};

/* Between them: maps, bytes, Any, times, durations, enums, all that our schemas have. */
static const struct crpc_message_info *const TYPES[] = {
    &flocks_get_status_response_info, &flocks_config_info, &ttrpc_response_info};

static ProtobufCMessage *read_text(
    const void *text, size_t len, const struct crpc_message_info *type, struct arena *arena)
{
    ProtobufCMessage *message;
    struct error error = ERROR_INIT;
    int result = json_read(text, len, type, &registry, arena, &message, NULL, &error);
    if ((result == 0) != (error.text[0] == '\0'))
        abort();
    return result == 0 ? message : NULL;
}

static void write_text(
    const ProtobufCMessage *message, const struct crpc_message_info *type, struct buffer *out)
{
    struct json_write_options options = {.reveal_secrets = true, .registry = &registry};
    buffer_init(out, 64 << 20);
    if (json_write(type, message, &options, out) != 0)
        abort();
}

static void check(
    const uint8_t *data, size_t size, const struct crpc_message_info *type, struct arena *arena)
{
    struct buffer first;
    struct buffer second;
    ProtobufCMessage *message = read_text(data, size, type, arena);
    if (message == NULL)
        return;
    write_text(message, type, &first);
    message = read_text(buffer_data(&first), buffer_length(&first), type, arena);
    if (message == NULL)
        abort();
    write_text(message, type, &second);
    if (buffer_length(&first) != buffer_length(&second) ||
        memcmp(buffer_data(&first), buffer_data(&second), buffer_length(&first)) != 0)
        abort();
    buffer_deinit(&first);
    buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    size_t choice = 0;
    if (size > 0 && data[0] >= '0' && data[0] <= '9') {
        choice = (size_t)(data[0] - '0') % (sizeof TYPES / sizeof TYPES[0]);
        data++;
        size--;
    }
    arena_init(&arena, 64 << 20);
    check(data, size, TYPES[choice], &arena);
    arena_deinit(&arena);
    return 0;
}
