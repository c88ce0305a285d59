/* The words that may stand where a command line is being written, as the completions of the shells
 * read them: one a line with a tab and a few words about it, or ":file" or ":directory" with a tab
 * and what stands before the file's name in the word. */
#ifndef FLOCKS_CLI_CANDIDATES_H
#define FLOCKS_CLI_CANDIDATES_H

#include "client/cli/complete.h"
#include "crpc/catalog.h"

/* `cli`: of this run; the instance whose services are named is that of `complete`. Failures are
 * silent: then there is nothing to offer. */
void candidates_print(const struct cli *cli, const struct complete *complete,
    const struct crpc_catalog *catalog, FILE *out);

/* What an option's value is. */
enum candidates_value {
    CANDIDATES_UNKNOWN, /* nothing can be said about it */
    CANDIDATES_FREE,    /* a number, a time, a name that only its writer knows */
    CANDIDATES_FILE,
    CANDIDATES_DIRECTORY,
    CANDIDATES_LEVEL,
    CANDIDATES_RELEASE /* a version; those on the disk are known */
};
enum candidates_value candidates_value_of(enum option_id id);

#endif
