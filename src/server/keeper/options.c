#include "server/keeper/options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char keeper_options_help[] =
    "usage: flocks-keeper [--root DIR] [--config FILE] [--socket PATH] [--flocksd PROGRAM]\n"
    "                     [--ready-fd N] [--foreground] [-- OPTION-OF-FLOCKSD...]\n"
    "\n"
    "Parent of flocksd and of every service; run by `flocks start`. SIGTERM: orderly shutdown.\n"
    "\n"
    "  --root DIR         root of the instance (FLOCKS_ROOT; default ~/.flocks)\n"
    "  --config FILE      configuration (FLOCKS_CONFIG; default <root>/flocks.yaml)\n"
    "  --socket PATH      control socket (FLOCKS_SOCKET; default <root>/run/flocksd.sock)\n"
    "  --flocksd PROGRAM  the server to run (default: flocksd beside this program)\n"
    "  --ready-fd N       write `ready`, `busy` or `error TEXT` to this descriptor\n"
    "  --take-over N      go on for a keeper that was killed (only flocksd runs us so)\n"
    "  --flocksd-fd N     the same program, opened; --renew N, --returned TEXT: go on for another\n"
    "                     image of this program in this process (only the keeper runs us so)\n"
    "  --check            say whether the state in descriptor 3 could be gone on with\n"
    "  --foreground       stay in the terminal's session\n"
    "  --version, --help\n";

static int parse_descriptor(const char *name, const char *text, int *out, struct error *error)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > INT_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s is no descriptor: %s", name, text);
    *out = (int)value;
    return 0;
}

static const char **text_option(struct keeper_options *options, const char *name)
{
    if (strcmp(name, "--root") == 0)
        return &options->root;
    if (strcmp(name, "--config") == 0)
        return &options->config;
    if (strcmp(name, "--socket") == 0)
        return &options->socket;
    if (strcmp(name, "--flocksd") == 0)
        return &options->flocksd;
    if (strcmp(name, "--returned") == 0)
        return &options->returned;
    return NULL;
}

static int *descriptor_option(struct keeper_options *options, const char *name)
{
    if (strcmp(name, "--ready-fd") == 0)
        return &options->ready_fd;
    if (strcmp(name, "--flocksd-fd") == 0)
        return &options->flocksd_fd;
    if (strcmp(name, "--renew") == 0)
        return &options->renew_fd;
    return strcmp(name, "--take-over") == 0 ? &options->take_over_fd : NULL;
}

int keeper_options_parse(char **argv, struct keeper_options *out, struct error *error)
{
    *out = (struct keeper_options){
        .ready_fd = -1, .take_over_fd = -1, .flocksd_fd = -1, .renew_fd = -1};
    char **at = argv + 1;
    for (; *at != NULL && strcmp(*at, "--") != 0; at++) {
        const char **text = text_option(out, *at);
        int *descriptor = descriptor_option(out, *at);
        if (strcmp(*at, "--foreground") == 0) {
            out->foreground = true;
        } else if (strcmp(*at, "--check") == 0) {
            out->check = true;
        } else if (strcmp(*at, "--version") == 0) {
            out->version = true;
        } else if (strcmp(*at, "--help") == 0) {
            out->help = true;
        } else if (text == NULL && descriptor == NULL) {
            return error_set(error, STATUS_INVALID_ARGUMENT, "unknown option %s", *at);
        } else if (at[1] == NULL) {
            return error_set(error, STATUS_INVALID_ARGUMENT, "%s needs a value", *at);
        } else if (text != NULL) {
            *text = *++at;
        } else {
            int result = parse_descriptor(at[0], at[1], descriptor, error);
            at++;
            if (result != 0)
                return result;
        }
    }
    out->server_options = *at != NULL ? at + 1 : at;
    return 0;
}
