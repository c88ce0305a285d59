/* What went wrong, for a person: what was attempted, on what, why, and what to do.
 *
 * Result rule of the whole project: a fallible function answers 0 (done), a positive condition
 * named in its own contract (the caller handles it), or a negative one, -STATUS_<CODE> (fatal to
 * the operation: forward it). Where a person will read the outcome, the last parameter is `struct
 * error *`; it may be NULL, and is written only when the result is negative. */
#ifndef FLOCKS_BASE_ERROR_H
#define FLOCKS_BASE_ERROR_H

#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/status.h"

enum {
    /* Longer texts are cut at a character boundary and end in "...". */
    ERROR_TEXT_MAX = 1024,
    ERROR_HINT_MAX = 256,
    ERROR_SUBJECT_MAX = 64,
    ERROR_LEASE_MAX = 33
};

/* A plain value in the caller's storage; nothing in it is owned. Start from ERROR_INIT. */
struct error {
    enum status_code code;
    /* flocks.v1.ErrorReason, or 0; a number here because base knows no schema. */
    uint32_t reason;
    /* The errno value that caused it, or 0. */
    int system_error;
    /* Service it is about, or "". */
    char subject[ERROR_SUBJECT_MAX];
    /* Id of the lease it is about, or "". */
    char lease_id[ERROR_LEASE_MAX];
    char text[ERROR_TEXT_MAX];
    char hint[ERROR_HINT_MAX];
};

#define ERROR_INIT                                                                                 \
    (struct error)                                                                                 \
    {                                                                                              \
        .code = STATUS_OK                                                                          \
    }

/* Replaces the error. Returns -code, so that a function can end in `return error_set(...)`. */
int error_set(struct error *error, enum status_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* As error_set with the code of status_from_errno(error_number); ": <strerror> (<NAME>)" is
 * appended to the text. errno itself is left alone. */
int error_set_errno(struct error *error, int error_number, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts "<context>: " before the text. Returns `result`
 * unchanged, so that callers forward in one line. */
int error_add_context(struct error *error, int result, const char *format, ...) PRINTF_LIKE(3, 4);

/* Replaces the hint: what to do about it, one sentence without a full stop. */
void error_set_hint(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* "ENOENT" for 2; "E<n>" style is never answered:
 * unknown numbers are "EUNKNOWN". Static storage. */
const char *error_errno_name(int error_number);

#endif
