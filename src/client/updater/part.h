/* A file that is being downloaded: PATH.part, what is known of it (PATH.part.record), and its
 * digest so far. Or a text in memory, which is begun anew each time. */
#ifndef FLOCKS_UPDATER_PART_H
#define FLOCKS_UPDATER_PART_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium/crypto_hash_sha256.h>

#include "client/updater/url.h"
#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

enum {
    PART_DIGEST_SIZE = 65,
    /* A longer validator is not kept; then there is none. */
    PART_VALIDATOR_MAX = 255,
    /* A longer record is none. */
    PART_RECORD_BYTES_MAX = 8192
};

struct part {
    /* Of a file; "": in memory. */
    char path[PATH_MAX];
    char partial[PATH_MAX];
    char record[PATH_MAX];
    /* As shown: without what is secret. */
    char url[URL_MAX + 1];
    int fd;
    struct buffer *text;
    uint64_t bytes;
    /* Of them, those that a record promises. */
    uint64_t recorded;
    /* Of them, those that part_open found. */
    uint64_t inherited;
    /* 0: not known. */
    uint64_t total;
    /* What If-Range says: an ETag with its quotes, or a date; "": the server gave nothing of use.
     */
    char validator[PART_VALIDATOR_MAX + 1];
    crypto_hash_sha256_state hash;
};

/* Opens what is there of an earlier download of the same URL: part->bytes of it are sound, their
 * digest is that of the record. Anything else there is begun anew. Blocks for as long as hashing
 * takes; `cancel_fd` ends that
 * (-STATUS_CANCELLED). */
NODISCARD int part_open(
    struct part *part, const char *path, const char *shown_url, int cancel_fd, struct error *error);
/* Into `text`, which is the caller's. */
void part_open_text(struct part *part, struct buffer *text);
/* What is there stays for part_open. */
void part_close(struct part *part);

/* Forgets all bytes: the next one is the first. */
NODISCARD int part_restart(struct part *part, struct error *error);
/* A record is written from time to time, after the bytes that it promises are on the disk. */
NODISCARD int part_append(struct part *part, const void *bytes, size_t len, struct error *error);
/* After a failure: what is there can be taken over later. Where that cannot be written down, more
 * is fetched again. */
void part_keep(struct part *part);
/* Digest of all bytes so far. */
void part_digest(const struct part *part, char out[PART_DIGEST_SIZE]);
/* The file is whole: to the disk, to its name; record removed. */
NODISCARD int part_finish(struct part *part, struct error *error);
/* Nothing of it is worth keeping: both files are removed. */
void part_discard(struct part *part);

#endif
