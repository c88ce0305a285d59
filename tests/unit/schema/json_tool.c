/* For json_as_python.py: `write` turns packed flocks.test.zoo.v1.Zoo messages on stdin into JSON,
 * `read` does the reverse. Each message, in and out, is a 32-bit length and that many bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/schema/json_read.h"
#include "common/schema/json_write.h"
#include "zoo.info.h"
#include "zoo.names.h"

enum { MESSAGE_MAX = 1 << 20 };

static const struct crpc_message_info *const types[] = {&zoo_leaf_info};
static const struct schema_registry registry = {types, 1};
static uint8_t input[MESSAGE_MAX];
static uint8_t packed[MESSAGE_MAX];

static void put(const void *bytes, uint32_t len)
{
    if (fwrite(&len, sizeof(len), 1, stdout) != 1 || fwrite(bytes, 1, len, stdout) != len)
        exit(1);
}

static void write_json(uint32_t len)
{
    zoo_zoo *zoo = (zoo_zoo *)protobuf_c_message_unpack(zoo_zoo_info.descriptor, NULL, len, input);
    struct json_write_options options = {.reveal_secrets = true, .registry = &registry};
    struct buffer out;
    buffer_init(&out, MESSAGE_MAX);
    if (zoo == NULL || json_write(&zoo_zoo_info, &zoo->base, &options, &out) != 0)
        exit(1);
    put(buffer_data(&out), (uint32_t)buffer_length(&out));
    buffer_deinit(&out);
    protobuf_c_message_free_unpacked(&zoo->base, NULL);
}

static void read_json(uint32_t len)
{
    struct arena arena;
    arena_init(&arena, 16 << 20);
    ProtobufCMessage *message;
    struct error error = ERROR_INIT;
    if (json_read((const char *)input, len, &zoo_zoo_info, &registry, &arena, &message, NULL,
            &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    put(packed, (uint32_t)protobuf_c_message_pack(message, packed));
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    uint32_t len;
    while (fread(&len, sizeof(len), 1, stdin) == 1) {
        if (len > MESSAGE_MAX || fread(input, 1, len, stdin) != len)
            return 1;
        if (strcmp(argv[1], "write") == 0)
            write_json(len);
        else
            read_json(len);
    }
    return 0;
}
