/* The effective configuration: what the file, the environment and the command line come to,
 * every default filled in, every value's origin kept, every mistake named. The one module
 * that knows the layers.
 *
 * Pure but for reading: opens the file, looks at executables
 * and directories, changes nothing, logs nothing. Any thread may load, several at once, as long as
 * nobody changes the environment. */
#ifndef FLOCKS_CONFIG_CONFIG_H
#define FLOCKS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "flocks/v1/config.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/config/option.h"
#include "common/schema/mistake.h"

enum {
    /* Cap for an arena given to config_load: 2,048
     * services with everything written out need half. */
    CONFIG_ARENA_BYTES = 64 * 1024 * 1024,
    CONFIG_DIGEST_SIZE = 65, /* 64 hexadecimal digits and a NUL */
    CONFIG_NAME_MAX = 63     /* longest service name */
};

/* Everything that decides the outcome; all borrowed. */
struct config_request {
    /* FLOCKS_ROOT, absolute: value of ${root}. */
    const char *root;
    /* The configuration file, absolute. Absent file: the
     * built-in Flocks services, unless `file_is_named`. */
    const char *file;
    /* A person named the file (--config, FLOCKS_CONFIG): then it must exist. */
    bool file_is_named;
    /* Taken instead of the file's content, `text_len` bytes; NULL: the file is read. Relative
     * directories begin at the file's all the same. */
    const char *text;
    size_t text_len;
    /* Name of `text` in mistakes; NULL: the file's. */
    const char *text_name;
    /* "NAME=VALUE", NULL at the end; NULL: this process's own environment. */
    const char *const *environment;
    /* Values of the running daemon to keep (flocks restart), below the environment. */
    const struct config_setting *running;
    size_t n_running;
    /* Settings options, the highest layer. */
    const struct config_setting *command_line;
    size_t n_command_line;
    /* The command line is that of a daemon that runs: what it says of a service that the text has
     * no more is passed over. */
    bool is_running;
    /* Do not look whether executables, directories and files of the services exist (`flocks status`
     * with the daemon down). */
    bool skip_host_checks;
};

/* The outcome. Plain value; everything it points to lives in the arena given to config_load. */
struct config {
    /* Complete: every default is in, texts are expanded, `directory` and `environment_files` are
     * absolute (a trailing "?" kept), services are sorted by name. */
    const flocks_config *message;
    /* Values that are not defaults, sorted by path. config_all_origins adds the defaults. */
    size_t n_origins;
    flocks_config_origin **origins;
    /* SHA-256 of the effective message, hexadecimal. */
    char digest[CONFIG_DIGEST_SIZE];
    /* The file that was read; NULL: built-in services. */
    const char *file;
};

enum config_result {
    CONFIG_OK = 0,
    /* Mistakes were added, in file order; *out is not set, and nothing was changed anywhere. */
    CONFIG_MISTAKEN = 1
};

/* config_result; or negative: the file cannot be read (-STATUS_PERMISSION_DENIED ...), or memory
 * ended. A named file that does not exist is -STATUS_NOT_FOUND. */
NODISCARD int config_load(const struct config_request *request, struct arena *arena,
    struct config *out, struct mistakes *mistakes, struct error *error);

/* ---- pure functions on an effective message, wherever it came from ---- */

/* NULL: no such service. */
const flocks_service_config *config_find_service(const flocks_config *message, const char *name);

/* One origin for every value, in the order of the fields: those given (sorted by path), and DEFAULT
 * for the rest. NULL: arena exhausted. */
NODISCARD flocks_config_origin **config_all_origins(const flocks_config *message,
    flocks_config_origin *const *origins, size_t n_origins, struct arena *arena, size_t *out_n);

/* A copy whose secrets (environment and header values) are "***". NULL: arena exhausted. */
NODISCARD flocks_config *config_masked(const flocks_config *message, struct arena *arena);

/* Equal messages have equal digests, whatever order their maps were written in. */
NODISCARD int config_digest(const flocks_config *message, char out[CONFIG_DIGEST_SIZE]);

/* The same hash over texts, one after the other: what stands for several things together. */
void config_digest_texts(const char *const *texts, size_t n, char out[CONFIG_DIGEST_SIZE]);

/* What `flocks restart` passes on as --running PATH=VALUE: the values of option paths (option.h)
 * that came from the command line, the environment or an earlier restart, as "PATH=VALUE" texts;
 * the file's own are read anew. NULL: arena exhausted. */
NODISCARD const char **config_running_settings(const flocks_config *message,
    flocks_config_origin *const *origins, size_t n_origins, struct arena *arena, size_t *out_n);

/* Text of the value at `path` ("services.backend.port") as flocks.yaml would have it; NULL: no such
 * path, or not a single value. */
NODISCARD const char *config_value_text(
    const flocks_config *message, const char *path, struct arena *arena);

/* [a-z][a-z0-9-]{0,62} and not reserved ("daemon" names flocksd's own log). */
bool config_name_is_valid(const char *name);

/* -STATUS_INVALID_ARGUMENT (INVALID_CONFIG): the first mistake with its place, its hint, or how
 * many there are more. There is at least one. */
int config_mistake_error(const struct mistakes *mistakes, struct error *error);

/* mistakes_print with a first line that says how many there are and that nothing was changed. */
void config_mistakes_print(FILE *out, const struct mistakes *mistakes);

#endif
