/* Command line of flocks-keeper. */
#ifndef FLOCKS_KEEPER_OPTIONS_H
#define FLOCKS_KEEPER_OPTIONS_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* Borrows from argv. */
struct keeper_options {
    const char *root;
    const char *config;
    const char *socket;
    /* The program to keep running; NULL: the flocksd beside this program. */
    const char *flocksd;
    /* Where `ready`, `busy` or `error ...` is written; -1: nowhere. */
    int ready_fd;
    int take_over_fd; /* -1: not given */
    int flocksd_fd;   /* what lies at `flocksd`, opened; -1: not given */
    int renew_fd;     /* -1: not given */
    /* Why the image after us went back to us; NULL: it did not. */
    const char *returned;
    bool check;
    bool foreground;
    bool version;
    bool help;
    /* Options of flocksd, behind `--`; ends in NULL. */
    char **server_options;
};

extern const char keeper_options_help[];

/* -STATUS_INVALID_ARGUMENT: unknown option or missing value. */
NODISCARD int keeper_options_parse(char **argv, struct keeper_options *out, struct error *error);

#endif
