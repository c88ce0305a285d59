/* The files of src/client/cli/completion, as part of the program; the source is made by CMake. */
#ifndef FLOCKS_CLI_COMPLETION_SCRIPTS_H
#define FLOCKS_CLI_COMPLETION_SCRIPTS_H

#include <stddef.h>

struct completion_script {
    const char *shell;
    const unsigned char *text; /* not terminated */
    size_t len;
};

extern const struct completion_script completion_scripts[];
extern const size_t n_completion_scripts;

#endif
