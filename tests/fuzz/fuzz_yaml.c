/* Any text as flocks.yaml: it is read or refused with mistakes, and what was read can be shown. */
#include <stdlib.h>

#include "flocks/v1/config.info.h"

#include "common/base/buffer.h"
#include "common/schema/json_write.h"
#include "common/schema/yaml_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const ProtobufCMessage *message)
{
    struct buffer text;
    buffer_init(&text, 64 << 20);
    if (json_write(&flocks_config_info, message, NULL, &text) != 0)
        abort();
    buffer_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct mistakes mistakes;
    struct yaml_origins origins;
    ProtobufCMessage *message;
    arena_init(&arena, 64 << 20);
    mistakes_init(&mistakes);
    int result = yaml_read((const char *)data, size, "fuzz", &flocks_config_info, &arena, &message,
        &origins, &mistakes, NULL);
    if (result == YAML_READ_OK)
        show(message);
    if ((result == YAML_READ_OK) != (mistakes.n == 0) && result >= 0)
        abort();
    mistakes_deinit(&mistakes);
    arena_deinit(&arena);
    return 0;
}
