/* protoc-gen-crpc: without arguments a protoc plugin (CodeGeneratorRequest on stdin, Response on
 * stdout); with --rewrite a filter of descriptor sets for protoc-c. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#include "pool.h"
#include "text.h"

static bool read_all(FILE *file, struct text *out)
{
    char block[1 << 16];
    size_t len;
    while ((len = fread(block, 1, sizeof(block), file)) > 0)
        text_append(out, block, len);
    return ferror(file) == 0;
}

typedef const char *(*run_fn)(
    struct arena *pool, const uint8_t *bytes, size_t len, const uint8_t **out, size_t *out_len);

static int run(run_fn whole_run, struct arena *pool, const struct text *input)
{
    const uint8_t *answer = NULL;
    size_t len = 0;
    const char *mistake =
        whole_run(pool, (const uint8_t *)text_data(input), input->length, &answer, &len);
    if (mistake != NULL) {
        fprintf(stderr, "protoc-gen-crpc: stdin is not what protoc sends: %s\n", mistake);
        return EXIT_FAILURE;
    }
    if (fwrite(answer, 1, len, stdout) != len || fflush(stdout) != 0) {
        perror("protoc-gen-crpc: cannot write");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int run_over_stdin(run_fn whole_run)
{
    struct arena pool;
    struct text input;
    int result = EXIT_FAILURE;
    arena_init(&pool, POOL_BYTES_MAX);
    text_init(&input);
    if (read_all(stdin, &input))
        result = run(whole_run, &pool, &input);
    else
        perror("protoc-gen-crpc: cannot read");
    text_deinit(&input);
    arena_deinit(&pool);
    return result;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return run_over_stdin(plugin_generate);
    if (argc == 2 && strcmp(argv[1], "--rewrite") == 0)
        return run_over_stdin(plugin_rewrite);
    fputs("usage: protoc --crpc_out=[prefix=NAME][,...]:DIR FILE.proto\n"
          "       protoc-gen-crpc --rewrite < descriptor-set > descriptor-set\n",
        stderr);
    return EXIT_FAILURE;
}
