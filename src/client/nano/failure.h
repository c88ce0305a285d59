/* Texts of failures, put together without stdio. */
#ifndef FLOCKS_NANO_FAILURE_H
#define FLOCKS_NANO_FAILURE_H

#include <stddef.h>

#include "flocks/nano.h"

/* As after RPC_OK. */
void nano_error_clear(struct flocks_nano_error *error);
/* Appends `len` bytes as far as they fit; cut between characters. */
void nano_error_append(struct flocks_nano_error *error, const char *text, size_t len);
/* Replaces all of it: "<what>: <why>", or `what` alone when `why` is NULL. Answers `code`. */
enum rpc_code nano_error_set(
    struct flocks_nano_error *error, enum rpc_code code, const char *what, const char *why);

#endif
