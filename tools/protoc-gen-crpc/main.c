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

#define USAGE                                                                                      \
    "usage: protoc --crpc_out=[PARAMETER,...:]DIR FILE.proto...\n"                                 \
    "       protoc-gen-crpc --rewrite < descriptor-set > descriptor-set\n"                         \
    "       protoc-gen-crpc --select METHOD... < descriptor-set > descriptor-set\n"                \
    "       protoc-gen-crpc --help\n"

static const char HELP[] =
    USAGE "\n"
          "As a plugin of protoc: typed C servers and clients from .proto files. Parameters:\n"
          "  prefix=NAME          what the names of the generated packages begin with;\n"
          "                       otherwise the package, or where there is none the file\n"
          "  prefix.PACKAGE=NAME  the same of one package, generated or imported\n"
          "  calls=short          a server's names leave out the service\n"
          "  nano                 over nanopb instead of protobuf-c: unary, without a heap\n"
          "  nano=client          of that only what a client needs\n"
          "  lint=strict          refuse what breaks the house rules, too\n"
          "  index=PATH           only PATH.index.h and .c: the descriptors, for reflection\n"
          "  rules=PATH           only a text of all defaults, limits and rules\n"
          "  catalog=PATH         only PATH.catalog.h and .c: all services and types by name\n"
          "\n"
          "--rewrite  makes the descriptor set that protoc-c is to be given.\n"
          "--select   leaves only some methods (package.Service.Method) and what they reach.\n"
          "\n"
          "protoc-gen-crpc(1) says more.\n";

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
    bool wants_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fputs(wants_help ? HELP : USAGE, wants_help ? stdout : stderr);
    return wants_help ? EXIT_SUCCESS : EXIT_FAILURE;
}
