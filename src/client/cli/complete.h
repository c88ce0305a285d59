/* What a half-written command line is about to say: which command, which options so far, and what
 * its last word is. Pure. */
#ifndef FLOCKS_CLI_COMPLETE_H
#define FLOCKS_CLI_COMPLETE_H

#include "client/cli/cli.h"

enum complete_what {
    COMPLETE_NOTHING,
    COMPLETE_COMMAND,
    COMPLETE_OPTION,  /* its name */
    COMPLETE_VALUE,   /* of `option` */
    COMPLETE_OPERAND, /* of the command, behind those in `options` */
};

/* Plain value; texts are borrowed. */
struct complete {
    enum complete_what what;
    const struct command *command; /* NULL: not said yet */
    /* What was said, as far as it can be understood; nothing of it is checked. */
    struct options options;
    enum option_id option;
    /* Of the last word: what stands before `partial` and belongs to every candidate
     * ("--config="). */
    const char *prefix;
    size_t prefix_len;
    const char *partial;
};

/* `words` are those behind the program's name, the last one is being written and may be "". */
void complete_look(const char *const *words, size_t n_words, struct complete *out);

/* The lists that may stand where an option's name is written, ended by OPTION_END. */
void complete_options(const struct complete *complete, const enum option_id *out_lists[2]);

#endif
