/* Any text as a KEY=VALUE file. */
#include <stdlib.h>
#include <string.h>

#include "common/config/environment_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct mistakes mistakes;
    struct environment_pairs pairs;
    arena_init(&arena, 16 << 20);
    mistakes_init(&mistakes);
    int result =
        environment_file_parse((const char *)data, size, "fuzz", &arena, &pairs, &mistakes);
    for (size_t i = 0; result >= 0 && i < pairs.n; i++) {
        if (pairs.items[i].name[0] == '\0' || strlen(pairs.items[i].value) > size)
            abort();
    }
    mistakes_deinit(&mistakes);
    arena_deinit(&arena);
    return 0;
}
