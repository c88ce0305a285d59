#include "client/updater/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/cancel.h"
#include "common/base/utf8.h"

static const char UNTRUSTED_PREFIX[] = "untrusted comment:";
static const char TRUSTED_PREFIX[] = "trusted comment: ";

enum {
    ALGORITHM_BYTES = 2,
    PACKED_KEY_BYTES = ALGORITHM_BYTES + SIGNATURE_KEY_ID_BYTES + SIGNATURE_KEY_BYTES,
    PACKED_SIGNATURE_BYTES = ALGORITHM_BYTES + SIGNATURE_KEY_ID_BYTES + SIGNATURE_BYTES,
    /* In base64: 158 and 74 bytes. */
    SECRET_KEY_CHARACTERS = 212,
    SIGNATURE_CHARACTERS = 100,
    /* So much is read at once, and between two looks at cancel_fd. */
    CHUNK_BYTES = 1024 * 1024,
    HASH_BYTES = crypto_generichash_BYTES_MAX
};

_Static_assert(HASH_BYTES == 64, "minisign hashes with BLAKE2b-512");
_Static_assert(SIGNATURE_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");

/* ---- texts ---- */

/* The rest of a text, and its next line without the end. */
struct lines {
    const char *at;
    const char *end;
};

struct line {
    const char *text;
    size_t len;
};

static bool next_line(struct lines *lines, struct line *out)
{
    if (lines->at == lines->end)
        return false;
    size_t left = (size_t)(lines->end - lines->at);
    const char *feed = memchr(lines->at, '\n', left);
    size_t len = feed == NULL ? left : (size_t)(feed - lines->at);
    *out = (struct line){lines->at, len};
    lines->at += feed == NULL ? len : len + 1;
    if (out->len > 0 && out->text[out->len - 1] == '\r')
        out->len--;
    return true;
}

static bool line_begins(const struct line *line, const char *prefix)
{
    size_t len = strlen(prefix);
    return line->len >= len && memcmp(line->text, prefix, len) == 0;
}

/* Nothing but empty lines is left. */
static bool is_at_end(struct lines lines)
{
    struct line line;
    while (next_line(&lines, &line)) {
        if (line.len > 0)
            return false;
    }
    return true;
}

/* Exactly `len` bytes in base64. */
static bool decode(const struct line *line, uint8_t *out, size_t len)
{
    size_t n = 0;
    return sodium_base642bin(out, len, line->text, line->len, NULL, &n, NULL,
               sodium_base64_VARIANT_ORIGINAL) == 0 &&
           n == len;
}

/* ---- keys ---- */

static int refuse_key(struct error *error, const char *why)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "not a public key of minisign: %s", why);
    error_set_hint(error, "give the line that minisign -G printed, which begins with RW, or the "
                          "text of the .pub file");
    return result;
}

int signature_key_parse(
    const char *text, size_t text_len, struct signature_key *out, struct error *error)
{
    struct lines lines = {text, text + text_len};
    struct line line;
    if (!next_line(&lines, &line))
        return refuse_key(error, "it is empty");
    if (line_begins(&line, UNTRUSTED_PREFIX) && !next_line(&lines, &line))
        return refuse_key(error, "there is only a comment");
    if (line_begins(&line, "RW") && line.len == SECRET_KEY_CHARACTERS)
        return refuse_key(error, "this is a secret key; keep it to yourself");
    if (line_begins(&line, "R") && line.len == SIGNATURE_CHARACTERS)
        return refuse_key(error, "this is a signature");
    uint8_t packed[PACKED_KEY_BYTES];
    if (!decode(&line, packed, sizeof packed))
        return refuse_key(error, "its length or its base64 is wrong");
    if (memcmp(packed, "Ed", ALGORITHM_BYTES) != 0)
        return refuse_key(error, "it is for another algorithm than Ed25519");
    if (!is_at_end(lines))
        return refuse_key(error, "more text follows the key");
    memcpy(out->id, packed + ALGORITHM_BYTES, sizeof out->id);
    memcpy(out->bytes, packed + ALGORITHM_BYTES + SIGNATURE_KEY_ID_BYTES, sizeof out->bytes);
    return 0;
}

void signature_key_id_text(
    const uint8_t id[SIGNATURE_KEY_ID_BYTES], char out[SIGNATURE_KEY_ID_SIZE])
{
    uint64_t number = 0;
    /* minisign takes the id for a little-endian number, and writes no zeros before it. */
    for (size_t i = SIGNATURE_KEY_ID_BYTES; i-- > 0;)
        number = number << 8 | id[i];
    (void)snprintf(out, SIGNATURE_KEY_ID_SIZE, "%" PRIX64, number);
}

/* ---- signatures ---- */

static int refuse_signature(struct error *error, const char *name, const char *why)
{
    int result = error_set(
        error, STATUS_INVALID_ARGUMENT, "the signature of %s is none of minisign's: %s", name, why);
    error_set_hint(
        error, "the release has to be published with the .minisig file that minisign -S made");
    return result;
}

static bool is_text(const char *text, size_t len)
{
    if (!utf8_is_valid((const uint8_t *)text, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (((uint8_t)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    }
    return true;
}

/* The second line: algorithm, key id, signature. */
static const char *take_signature(const struct line *line, struct signature *out)
{
    uint8_t packed[PACKED_SIGNATURE_BYTES];
    if (!decode(line, packed, sizeof packed))
        return "the second line is not a signature in base64";
    if (memcmp(packed, "ED", ALGORITHM_BYTES) == 0)
        out->is_prehashed = true;
    else if (memcmp(packed, "Ed", ALGORITHM_BYTES) == 0)
        out->is_prehashed = false;
    else
        return "it is of another algorithm than Ed25519";
    memcpy(out->key_id, packed + ALGORITHM_BYTES, sizeof out->key_id);
    memcpy(out->bytes, packed + ALGORITHM_BYTES + SIGNATURE_KEY_ID_BYTES, sizeof out->bytes);
    return NULL;
}

static const char *take_comment(const struct line *line, struct signature *out)
{
    size_t skipped = sizeof TRUSTED_PREFIX - 1;
    if (!line_begins(line, TRUSTED_PREFIX))
        return "the third line is not a trusted comment";
    if (line->len - skipped > SIGNATURE_COMMENT_MAX)
        return "its trusted comment is too long";
    if (!is_text(line->text + skipped, line->len - skipped))
        return "its trusted comment is not plain text";
    memcpy(out->comment, line->text + skipped, line->len - skipped);
    out->comment[line->len - skipped] = '\0';
    return NULL;
}

static const char *take_lines(struct lines lines, struct signature *out)
{
    struct line line;
    if (!next_line(&lines, &line) || !line_begins(&line, UNTRUSTED_PREFIX))
        return "it does not begin with \"untrusted comment:\"";
    if (!next_line(&lines, &line))
        return "it ends after the first line";
    const char *why = take_signature(&line, out);
    if (why != NULL)
        return why;
    if (!next_line(&lines, &line))
        return "it ends after the second line";
    why = take_comment(&line, out);
    if (why != NULL)
        return why;
    if (!next_line(&lines, &line) || !decode(&line, out->comment_bytes, sizeof out->comment_bytes))
        return "the fourth line is not a signature in base64";
    return is_at_end(lines) ? NULL : "more text follows the fourth line";
}

int signature_parse(
    const char *text, size_t text_len, const char *name, struct signature *out, struct error *error)
{
    struct lines lines = {text, text + text_len};
    if (is_at_end(lines)) {
        int result =
            error_set(error, STATUS_NOT_FOUND, "%s is not signed: its signature is empty", name);
        error_set_hint(error, "ask whoever published it for a signed release");
        return result;
    }
    if (text_len > SIGNATURE_TEXT_MAX)
        return refuse_signature(error, name, "it is too long");
    const char *why = take_lines(lines, out);
    return why == NULL ? 0 : refuse_signature(error, name, why);
}

/* ---- verifying ---- */

static const struct signature_key *find_key(
    const struct signature *signature, const struct signature_key *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (memcmp(keys[i].id, signature->key_id, SIGNATURE_KEY_ID_BYTES) == 0)
            return &keys[i];
    }
    return NULL;
}

static int refuse_signer(const struct signature *signature, const struct signature_key *keys,
    size_t n_keys, const char *name, struct error *error)
{
    char id[SIGNATURE_KEY_ID_SIZE];
    signature_key_id_text(signature->key_id, id);
    if (n_keys == 0) {
        int result = error_set(error, STATUS_UNAUTHENTICATED,
            "%s is signed with key %s, but no key to check it with is configured", name, id);
        error_set_hint(error, "put the publisher's public key into the configuration");
        return result;
    }
    char first[SIGNATURE_KEY_ID_SIZE];
    signature_key_id_text(keys[0].id, first);
    int result = error_set(error, STATUS_UNAUTHENTICATED,
        "%s is signed with key %s, which is not trusted here (%zu trusted, the first is %s)", name,
        id, n_keys, first);
    error_set_hint(
        error, "add that key to the configuration only if the publisher announced it elsewhere");
    return result;
}

static int say_altered(struct error *error, const char *name, const char *what)
{
    int result = error_set(error, STATUS_DATA_LOSS, "%s is not what was signed: %s", name, what);
    error_set_hint(
        error, "do not use it; download it again, and tell the publisher if that does not help");
    return result;
}

/* Up to `len` bytes from `offset`; fewer only at the end of the file. */
static int read_at(int fd, uint8_t *out, size_t len, off_t offset, size_t *out_len,
    const char *name, struct error *error)
{
    size_t n = 0;
    while (n < len) {
        ssize_t got = pread(fd, out + n, len - n, offset + (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "reading %s to check its signature", name);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *out_len = n;
    return 0;
}

static int say_cancelled(struct error *error, const char *name)
{
    return error_set(error, STATUS_CANCELLED, "the check of %s's signature was interrupted", name);
}

/* BLAKE2b-512 of the file. */
static int hash_file(
    int fd, const char *name, int cancel_fd, uint8_t out[HASH_BYTES], struct error *error)
{
    uint8_t *chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL)
        return error_set_errno(error, ENOMEM, "checking the signature of %s", name);
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
    int result = 0;
    off_t offset = 0;
    for (size_t n = CHUNK_BYTES; result == 0 && n == CHUNK_BYTES;) {
        if (cancel_is_asked(cancel_fd)) {
            result = say_cancelled(error, name);
            break;
        }
        result = read_at(fd, chunk, CHUNK_BYTES, offset, &n, name, error);
        if (result == 0)
            (void)crypto_generichash_update(&state, chunk, n);
        offset += (off_t)n;
    }
    free(chunk);
    if (result == 0)
        (void)crypto_generichash_final(&state, out, HASH_BYTES);
    return result;
}

/* The first `len` bytes of the file; fewer when it has become shorter. */
static int read_whole(int fd, uint8_t *out, size_t len, size_t *out_len, const char *name,
    int cancel_fd, struct error *error)
{
    size_t n = 0;
    for (size_t got = 1; n < len && got > 0; n += got) {
        if (cancel_is_asked(cancel_fd))
            return say_cancelled(error, name);
        size_t wanted = len - n < CHUNK_BYTES ? len - n : CHUNK_BYTES;
        int result = read_at(fd, out + n, wanted, (off_t)n, &got, name, error);
        if (result < 0)
            return result;
    }
    *out_len = n;
    return 0;
}

static int verify_legacy(const struct signature *signature, const struct signature_key *key, int fd,
    const char *name, int cancel_fd, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(error, errno, "reading %s to check its signature", name);
    if (status.st_size > SIGNATURE_LEGACY_BYTES_MAX) {
        int result = error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "%s is too large for a signature of the legacy form", name);
        error_set_hint(error, "sign it with a present minisign, without -l");
        return result;
    }
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL)
        return error_set_errno(error, ENOMEM, "checking the signature of %s", name);
    size_t len = 0;
    int result = read_whole(fd, bytes, (size_t)status.st_size, &len, name, cancel_fd, error);
    if (result == 0 && crypto_sign_verify_detached(signature->bytes, bytes, len, key->bytes) != 0)
        result = say_altered(error, name, "the file was altered, or is not whole");
    free(bytes);
    return result;
}

static int verify_prehashed(const struct signature *signature, const struct signature_key *key,
    int fd, const char *name, int cancel_fd, struct error *error)
{
    uint8_t hash[HASH_BYTES];
    int result = hash_file(fd, name, cancel_fd, hash, error);
    if (result < 0)
        return result;
    if (crypto_sign_verify_detached(signature->bytes, hash, sizeof hash, key->bytes) != 0)
        return say_altered(error, name, "the file was altered, or is not whole");
    return 0;
}

static int verify_comment(const struct signature *signature, const struct signature_key *key,
    const char *name, struct error *error)
{
    uint8_t signed_bytes[SIGNATURE_BYTES + SIGNATURE_COMMENT_MAX];
    size_t len = strlen(signature->comment);
    memcpy(signed_bytes, signature->bytes, SIGNATURE_BYTES);
    memcpy(signed_bytes + SIGNATURE_BYTES, signature->comment, len);
    if (crypto_sign_verify_detached(
            signature->comment_bytes, signed_bytes, SIGNATURE_BYTES + len, key->bytes) != 0)
        return say_altered(error, name, "the trusted comment of its signature was altered");
    return 0;
}

int signature_verify(const struct signature *signature, const struct signature_key *keys,
    size_t n_keys, int fd, const char *name, int cancel_fd, struct error *error)
{
    if (sodium_init() < 0)
        return error_set(error, STATUS_INTERNAL, "libsodium cannot be used on this machine");
    const struct signature_key *key = find_key(signature, keys, n_keys);
    if (key == NULL)
        return refuse_signer(signature, keys, n_keys, name, error);
    int result = verify_comment(signature, key, name, error);
    if (result < 0)
        return result;
    return signature->is_prehashed ? verify_prehashed(signature, key, fd, name, cancel_fd, error)
                                   : verify_legacy(signature, key, fd, name, cancel_fd, error);
}

bool signature_comment_field(
    const struct signature *signature, const char *field, char *out, size_t size)
{
    size_t field_len = strlen(field);
    for (const char *at = signature->comment; *at != '\0';) {
        size_t len = strcspn(at, "\t");
        if (len > field_len && at[field_len] == ':' && memcmp(at, field, field_len) == 0) {
            size_t value_len = len - field_len - 1;
            if (value_len >= size)
                return false;
            memcpy(out, at + field_len + 1, value_len);
            out[value_len] = '\0';
            return true;
        }
        at += len;
        at += *at == '\t';
    }
    return false;
}
