/* flocks-update as a child: run with a pipe for its lines, waited for, told to undo, or left to
 * itself. It makes itself independent of this process and its terminal; closing the pipe changes
 * nothing for it. */
#ifndef FLOCKS_CLI_UPDATE_CHILD_H
#define FLOCKS_CLI_UPDATE_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/cli/cli.h"
#include "client/cli/update_lines.h"
#include "common/base/error.h"

enum {
    UPDATE_ARGUMENTS_MAX = 32,
    /* Of its standard error, which says for people what its lines say, or what it could not say
     * there: the first lines, so many bytes of each. */
    UPDATE_WORDS_MAX = 20,
    UPDATE_WORD_SIZE = 256
};

/* Options for it, borrowed texts. Embedded by value. */
struct update_arguments {
    const char *items[UPDATE_ARGUMENTS_MAX];
    size_t n;
};
/* The root and what belongs to it, then `verb`. */
void update_arguments_init(
    struct update_arguments *arguments, const struct cli *cli, const char *verb);
void update_arguments_add(struct update_arguments *arguments, const char *text);
/* "--name value"; nothing without a value. */
void update_arguments_add_value(
    struct update_arguments *arguments, const char *name, const char *value);

/* Embedded by value; zeroed but for the descriptors is none. */
struct update_child {
    update_line_fn on_line;
    void *data;
    pid_t pid;
    int pidfd;
    int out;
    int err;
    struct update_lines lines;
    struct update_lines words;
    size_t n_said; /* of `said`; more were left out */
    char said[UPDATE_WORDS_MAX][UPDATE_WORD_SIZE];
    bool has_ended;
    int status; /* of waitpid(2) */
};

/* Runs it; `on_line` is told each line of its standard output. To be closed also after a failure:
 * -STATUS_NOT_FOUND, it is not installed; others as the system refuses. */
NODISCARD int update_child_open(struct update_child *child,
    const struct update_arguments *arguments, update_line_fn on_line, void *data,
    struct error *error);
/* Does not end it. */
void update_child_close(struct update_child *child);

enum update_child_news {
    UPDATE_CHILD_NEWS, /* `on_line` may have been called */
    UPDATE_CHILD_DUE,  /* `due_at` has come */
    UPDATE_CHILD_SIGNAL,
    UPDATE_CHILD_ENDED /* and everything that it wrote has been told */
};
/* Sleeps until one of them, signals let in by `mask`. Bounded work at a time, whatever it writes.
 */
enum update_child_news update_child_wait(
    struct update_child *child, int64_t due_at, const sigset_t *mask);
/* SIGINT, SIGTERM, SIGKILL. One that has ended is no failure. */
void update_child_signal(const struct update_child *child, int signal_number);
/* Whether the way it ended fits what it said: with 0, or where it told a failure by any other
 * code. */
bool update_child_ended_well(const struct update_child *child, bool is_failure);
/* How one ended that has not told it itself, with what it said for people. Answers negative. */
int update_child_explain(const struct update_child *child, struct error *error);

#endif
