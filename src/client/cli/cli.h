/* One run of `flocks`: what every command gets, and the row that a command is.
 *
 * One command, one file, one row; help, usage errors and dispatch come from the rows. */
#ifndef FLOCKS_CLI_CLI_H
#define FLOCKS_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/cli/options.h"
#include "client/cli/outcome.h"
#include "common/base/paths.h"

struct cli;

/* What stands behind a command's name, for completions. */
enum operand_kind {
    OPERAND_OTHER, /* none, or what only its writer knows */
    OPERAND_SERVICES,
    OPERAND_SERVICE,
    OPERAND_LOGS,           /* services, and the daemon itself */
    OPERAND_WORD,           /* one of `words` */
    OPERAND_WORDS_AND_FILE, /* the same, and behind all but the first a file */
    OPERAND_CALL,           /* a method, then JSON */
    OPERAND_SYMBOL
};

struct command {
    const char *name;
    const char *summary;           /* a few words, for the list */
    const char *operands;          /* "[SERVICE...]"; NULL: none are taken */
    const char *details;           /* what it does, for its own help */
    const enum option_id *options; /* besides options_common, ended by OPTION_END */
    enum operand_kind operand;
    const char *const *words; /* for some kinds of operands, ended by NULL */
    /* Does the work and has told everything when it answers. */
    enum outcome (*run)(const struct cli *cli);
};

/* Read once, by main; constant afterwards. */
struct cli {
    const struct command *command;
    struct options options;
    struct paths paths;
    bool config_is_named; /* --config or FLOCKS_CONFIG: the file must exist */
    bool json;
    bool quiet;
    bool color;       /* on standard output */
    bool color_notes; /* on standard error */
    bool live;        /* standard error is a terminal and progress is wanted */
    FILE *notes;      /* words for people; NULL: they want none (--quiet) */
};

/* Whether a flag or switch is on; `otherwise` when it was not given. */
bool cli_flag(const struct cli *cli, enum option_id id, bool otherwise);
/* NULL when not given. */
const char *cli_text(const struct cli *cli, enum option_id id);
/* --timeout, or `otherwise`. */
int64_t cli_timeout_ms(const struct cli *cli, int64_t otherwise);

extern const struct command command_start;
extern const struct command command_stop;
extern const struct command command_restart;
extern const struct command command_status;
extern const struct command command_why;
extern const struct command command_events;
extern const struct command command_logs;
extern const struct command command_config;
extern const struct command command_update;
extern const struct command command_wait;
extern const struct command command_cancel;
extern const struct command command_call;
extern const struct command command_describe;
extern const struct command command_selftest;
extern const struct command command_completion;
extern const struct command command_version;
/* Not in the help: for the completions of shells. */
extern const struct command command_complete;

/* In the order of the help. */
extern const struct command *const commands[];
extern const size_t n_commands;
/* Also the one that is not in the help. NULL: no such command. */
const struct command *command_find(const char *name);

#endif
