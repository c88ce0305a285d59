/* Files of checksums: what sha256sum(1) writes ("<64 digits>  NAME", "<64 digits> *NAME"), and
 * `sha256sum --tag`
 * ("SHA256 (NAME) = <64 digits>"). Pure. */
#ifndef FLOCKS_UPDATER_CHECKSUMS_H
#define FLOCKS_UPDATER_CHECKSUMS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    CHECKSUM_SIZE = 65,
    /* Longer files are refused. */
    CHECKSUMS_BYTES_MAX = 1024 * 1024
};

/* 64 hexadecimal digits, into lower case. */
bool checksum_parse(const char *text, size_t len, char out[CHECKSUM_SIZE]);

/* The checksum of `name`; a directory before a name counts only as "./". A file with one line of
 * nothing but a checksum is that of any name (NAME.sha256). -STATUS_NOT_FOUND: none;
 * -STATUS_INVALID_ARGUMENT: two that differ, no line of these kinds, or too long. */
NODISCARD int checksums_find(const char *text, size_t text_len, const char *name,
    char out[CHECKSUM_SIZE], struct error *error);

#endif
