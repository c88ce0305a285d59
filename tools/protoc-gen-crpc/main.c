/* protoc-gen-crpc: without arguments a protoc plugin (CodeGeneratorRequest on stdin, Response on
 * stdout); with --rewrite a filter of descriptor sets for protoc-c, with --select one that leaves
 * only some methods. */
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

/* What is asked for: METHODS is what follows --select. */
struct job {
    enum { GENERATE, REWRITE, SELECT } kind;
    const char *const *methods;
    size_t n_methods;
};

/* NULL, or what is wrong with the input. */
static const char *transform(const struct job *job, struct arena *pool, const struct text *input,
    const uint8_t **out, size_t *out_len)
{
    const uint8_t *bytes = (const uint8_t *)text_data(input);
    switch (job->kind) {
    case GENERATE:
        return plugin_generate(pool, bytes, input->length, out, out_len);
    case REWRITE:
        return plugin_rewrite(pool, bytes, input->length, out, out_len);
    case SELECT:
        break;
    }
    return plugin_select(pool, job->methods, job->n_methods, bytes, input->length, out, out_len);
}

static int run(const struct job *job, struct arena *pool, const struct text *input)
{
    const uint8_t *answer = NULL;
    size_t len = 0;
    const char *mistake = transform(job, pool, input, &answer, &len);
    if (mistake != NULL) {
        fprintf(stderr, "protoc-gen-crpc: stdin is not what it should be: %s\n", mistake);
        return EXIT_FAILURE;
    }
    if (fwrite(answer, 1, len, stdout) != len || fflush(stdout) != 0) {
        perror("protoc-gen-crpc: cannot write");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int run_over_stdin(const struct job *job)
{
    struct arena pool;
    struct text input;
    int result = EXIT_FAILURE;
    arena_init(&pool, POOL_BYTES_MAX);
    text_init(&input);
    if (read_all(stdin, &input))
        result = run(job, &pool, &input);
    else
        perror("protoc-gen-crpc: cannot read");
    text_deinit(&input);
    arena_deinit(&pool);
    return result;
}

int main(int argc, char **argv)
{
    struct job job = {.kind = GENERATE};
    if (argc == 1)
        return run_over_stdin(&job);
    if (argc == 2 && strcmp(argv[1], "--rewrite") == 0) {
        job.kind = REWRITE;
        return run_over_stdin(&job);
    }
    if (argc > 2 && strcmp(argv[1], "--select") == 0) {
        job.kind = SELECT;
        job.methods = (const char *const *)argv + 2;
        job.n_methods = (size_t)argc - 2;
        return run_over_stdin(&job);
    }
    fputs("usage: protoc --crpc_out=[prefix=NAME][,...]:DIR FILE.proto\n"
          "       protoc-gen-crpc --rewrite < descriptor-set > descriptor-set\n"
          "       protoc-gen-crpc --select METHOD... < descriptor-set > descriptor-set\n",
        stderr);
    return EXIT_FAILURE;
}
