/* Command line options: one table of every option there is, and a pure parser over it.
 *
 * A command names the options it takes (a list of ids); what is not in its list and not common to
 * all is refused, with the nearest one that is. Nothing here writes, exits or looks at the
 * environment. */
#ifndef FLOCKS_CLI_OPTIONS_H
#define FLOCKS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

enum {
    /* Service names of one command line; as the schema's max_items of `services`. */
    OPTIONS_OPERANDS_MAX = 2048
};

enum option_kind {
    OPTION_KIND_FLAG,
    /* A flag that `--no-NAME` turns off again. */
    OPTION_KIND_SWITCH,
    OPTION_KIND_TEXT,
    /* 0 to 1,000,000. */
    OPTION_KIND_NUMBER,
    /* "1500ms", "2s", "5m", "1h" or seconds; 1 ms to 1 h. */
    OPTION_KIND_DURATION
};

/* id, long name, letter or 0, kind, name of the value, help */
#define OPTIONS(X)                                                                                 \
    X(HELP, "help", 'h', FLAG, NULL, "show this help")                                             \
    X(VERSION, "version", 'v', FLAG, NULL, "show the version (before COMMAND only)")               \
    X(ROOT, "root", 0, TEXT, "DIR", "root of this instance (FLOCKS_ROOT, ~/.flocks)")              \
    X(CONFIG, "config", 0, TEXT, "FILE", "configuration (FLOCKS_CONFIG, ROOT/flocks.yaml)")        \
    X(SOCKET, "socket", 0, TEXT, "PATH", "control socket, or tcp:127.0.0.1:PORT (FLOCKS_SOCKET)")  \
    X(TIMEOUT, "timeout", 0, DURATION, "TIME",                                                     \
        "longest wait, such as 500ms or 5m (5s; for work 15m)")                                    \
    X(JSON, "json", 0, FLAG, NULL, "one JSON object on standard output")                           \
    X(QUIET, "quiet", 'q', FLAG, NULL, "no progress, no tables; errors only")                      \
    X(NO_COLOR, "no-color", 0, FLAG, NULL, "no colours (also NO_COLOR in the environment)")        \
    X(LOG_LEVEL, "log-level", 0, TEXT, "LEVEL",                                                    \
        "of the daemon's log: debug, info (the default), warn or error")                           \
    X(FOREGROUND, "foreground", 0, FLAG, NULL, "stay in this terminal; Ctrl-C stops everything")   \
    X(NO_BROWSER, "no-browser", 0, FLAG, NULL, "do not open the WebUI in a browser")               \
    X(SKIP_WEBUI_BUILD, "skip-webui-build", 0, FLAG, NULL, "start without the prepare steps")      \
    X(SERVER_HOST, "server-host", 0, TEXT, "HOST", "address of the backend")                       \
    X(SERVER_PORT, "server-port", 0, TEXT, "PORT", "port of the backend")                          \
    X(WEBUI_HOST, "webui-host", 0, TEXT, "HOST", "address of the WebUI")                           \
    X(WEBUI_PORT, "webui-port", 0, TEXT, "PORT", "port of the WebUI")                              \
    X(BACKEND, "backend", 0, FLAG, NULL, "the backend's output (as the name `backend`)")           \
    X(WEBUI, "webui", 0, FLAG, NULL, "the WebUI's output (as the name `webui`)")                   \
    X(FOLLOW, "follow", 'f', SWITCH, NULL, "go on with what comes (the default)")                  \
    X(LINES, "lines", 'n', NUMBER, "N", "the last N lines of output (logs: 50, why: 10)")          \
    X(AFTER, "after", 0, TEXT, "TOKEN", "go on behind this event (its `token` in --json)")         \
    X(SNAPSHOT, "snapshot", 0, FLAG, NULL, "begin with the state of every service")                \
    X(WATCH, "watch", 'w', FLAG, NULL, "go on, and show every change, until Ctrl-C")               \
    X(EXIT_CODE, "exit-code", 0, FLAG, NULL, "exit with 1 when there is something to do")          \
    X(PLAN, "plan", 0, TEXT, "HASH", "apply: only the plan that was looked at")                    \
    X(YES, "yes", 'y', FLAG, NULL, "do not ask")                                                   \
    X(CHECK, "check", 0, FLAG, NULL, "tell what there is, change nothing")                         \
    X(LIST, "list", 0, FLAG, NULL, "tell all releases, here and at the source")                    \
    X(TO, "to", 0, TEXT, "VERSION", "exactly this version")                                        \
    X(FROM, "from", 0, TEXT, "SOURCE", "only from this file, directory, URL or project")           \
    X(ROLLBACK, "rollback", 0, FLAG, NULL, "back to the release before")                           \
    X(FORCE, "force", 0, FLAG, NULL, "also the version that is current: fetched again")            \
    X(REGION, "region", 0, TEXT, "REGION", "prefer mirrors of this region, such as cn")            \
    X(ABORT, "abort", 0, FLAG, NULL, "end the upgrade that is going on, whoever began it")         \
    X(KEEP, "keep", 0, FLAG, NULL, "leave the private root, for a look at its logs")               \
    X(FLOCKS, "flocks", 0, TEXT, "PATH", "the command to try")                                     \
    X(ORIGINS, "origins", 0, SWITCH, NULL, "say where each value comes from (the default)")

enum option_id {
#define OPTIONS_ENTRY(id, name, letter, kind, value_name, help) OPTION_##id,
    OPTIONS(OPTIONS_ENTRY)
#undef OPTIONS_ENTRY
        OPTION_COUNT,
    /* Ends a command's list of ids. */
    OPTION_END = OPTION_COUNT
};

struct option_row {
    const char *name;
    char letter;
    enum option_kind kind;
    const char *value_name;
    const char *help;
};
const struct option_row *option_row(enum option_id id);

struct option_value {
    bool given;
    bool on;          /* FLAG, SWITCH */
    const char *text; /* as written; borrowed from argv */
    int64_t number;   /* NUMBER; DURATION in milliseconds */
};

/* Plain value. `operands` borrows argv's texts. */
struct options {
    struct option_value values[OPTION_COUNT];
    size_t n_operands;
    const char *operands[OPTIONS_OPERANDS_MAX];
};

/* Options that every command takes, ended by OPTION_END. */
extern const enum option_id options_common[];

/* Reads argv[0..argc) into `*options`, which the caller has zeroed (or which an earlier call has
 * filled: later values win). `accepted` is the command's list. `*out_used`, if not NULL, makes the
 * parse stop at the first operand and says how many arguments came before it; "--" ends the
 * options. -STATUS_INVALID_ARGUMENT: unknown option (with the nearest), missing, superfluous or
 * malformed value, too many operands. */
NODISCARD int options_parse(const enum option_id *accepted, int argc, char *const *argv,
    int *out_used, struct options *options, struct error *error);

/* What one word beginning with '-' says, for who reads a command line that is not finished. */
struct option_word {
    enum option_id id;
    const char *value; /* "/x" of --root=/x; NULL: none is joined */
    bool wants_next;   /* its value is the next word */
};
/* False: there is no such option. Of letters the last one counts, or the one with a value. */
bool options_look(const enum option_id *accepted, const char *word, struct option_word *out);

/* "500ms", "2s", "1m30s", "1h" as in flocks.yaml, or "30" (seconds), into milliseconds.
 * -STATUS_INVALID_ARGUMENT for anything else, for 0, and for more than an hour. */
NODISCARD int options_parse_duration(const char *text, int64_t *out_ms);

#endif
