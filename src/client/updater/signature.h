/* Signatures of releases, as minisign makes them: Ed25519 over a file (legacy) or over its
 * BLAKE2b-512, and over a trusted comment. Reads what others wrote; decides nothing about when a
 * signature is needed.
 *
 * Format: https://jedisct1.github.io/minisign/, "Signature format" and "Public key format". */
#ifndef FLOCKS_UPDATER_SIGNATURE_H
#define FLOCKS_UPDATER_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    SIGNATURE_KEY_ID_BYTES = 8,
    SIGNATURE_KEY_BYTES = 32,
    SIGNATURE_BYTES = 64,
    /* "5D1F9A0E2B3C4D5E" and its NUL: how minisign writes a key's id. */
    SIGNATURE_KEY_ID_SIZE = 17,
    /* A longer trusted comment is refused. As minisign: 8 KiB. */
    SIGNATURE_COMMENT_MAX = 8192,
    /* A longer text is no signature, and is not read: both comments, both signatures. */
    SIGNATURE_TEXT_MAX = 16384,
    /* The legacy form is made over the whole file, which must be in memory at once: a larger file
     * has to be signed in the present form (minisign without -l), which has no such limit. */
    SIGNATURE_LEGACY_BYTES_MAX = 256 * 1024 * 1024
};

/* A public key. A plain value. */
struct signature_key {
    uint8_t id[SIGNATURE_KEY_ID_BYTES];
    uint8_t bytes[SIGNATURE_KEY_BYTES];
};

/* A signature as it was written: nothing in it is true before signature_verify has said so. A plain
 * value. */
struct signature {
    uint8_t key_id[SIGNATURE_KEY_ID_BYTES];
    uint8_t bytes[SIGNATURE_BYTES];
    uint8_t comment_bytes[SIGNATURE_BYTES];
    /* Over the file's BLAKE2b-512 ("ED"); else over the file itself ("Ed"). */
    bool is_prehashed;
    /* Valid UTF-8 without control characters but tabs, so that it can be shown. */
    char comment[SIGNATURE_COMMENT_MAX + 1];
};

/* The key in `text`: the line that `minisign -G` prints ("RWQ..."), or the whole of a .pub file.
 * -STATUS_INVALID_ARGUMENT: it is none; a secret key and a signature are recognised and said. */
NODISCARD int signature_key_parse(
    const char *text, size_t text_len, struct signature_key *out, struct error *error);

/* The id as minisign shows it. */
void signature_key_id_text(
    const uint8_t id[SIGNATURE_KEY_ID_BYTES], char out[SIGNATURE_KEY_ID_SIZE]);

/* The signature in `text`, the whole of a .minisig file; `name` is what the error's text calls the
 * file that it is for. -STATUS_NOT_FOUND: the text is empty, the file is not signed;
 * -STATUS_INVALID_ARGUMENT: it is no signature of minisign's (a page, half a file, another kind of
 * key). */
NODISCARD int signature_parse(const char *text, size_t text_len, const char *name,
    struct signature *out, struct error *error);

/* Whether one of `n_keys` keys has signed both the file behind `fd`, from its first byte to its
 * last, and the trusted comment. The descriptor must be a regular file's; its position is not used
 * and not moved, so that whoever goes on with the same descriptor reads what was verified. Blocks
 * for as long as reading takes; `cancel_fd` (-1: none) ends it when it becomes readable.
 *
 * -STATUS_UNAUTHENTICATED: signed with a key that is not among these, or there are none;
 * -STATUS_DATA_LOSS: that key has signed something else, file or comment were altered;
 * -STATUS_RESOURCE_EXHAUSTED: legacy, and the file is longer than SIGNATURE_LEGACY_BYTES_MAX;
 * -STATUS_CANCELLED; others as reading fails. */
NODISCARD int signature_verify(const struct signature *signature, const struct signature_key *keys,
    size_t n_keys, int fd, const char *name, int cancel_fd, struct error *error);

/* The value of `field` in the trusted comment: "flocks-1.2.0.tar.xz" of
 * "timestamp:1763900000\tfile:flocks-1.2.0.tar.xz", which is what minisign writes by default. Only
 * of a verified signature does it mean anything: that the signer gave the file this name, so that
 * an old release cannot be served under the name of a new one. False: there is none, or it is
 * longer than `size` - 1. */
bool signature_comment_field(
    const struct signature *signature, const char *field, char *out, size_t size);

#endif
