#include "common/base/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

enum { OTHERS = 077 };

static const char HINT[] = "remove it, and `flocksd` makes a new one when it is run again";

/* ---- reading ---- */

static bool are_digits(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") == len;
}

static int refuse(struct error *error, const char *path, const char *why)
{
    int result = error_set(error, STATUS_FAILED_PRECONDITION, "the token file %s %s", path, why);

    error_set_hint(error, "%s", HINT);
    return result;
}

static int check(int fd, const char *path, struct error *error)
{
    struct stat status;
    int result;

    if (fstat(fd, &status) != 0)
        return error_set_errno(error, errno, "look at the token file %s", path);
    if (!S_ISREG(status.st_mode))
        return refuse(error, path, "is no regular file");
    if ((status.st_mode & OTHERS) == 0)
        return 0;
    result = error_set(error, STATUS_FAILED_PRECONDITION,
        "the token file %s may be touched by others than its owner (mode %04o)", path,
        (unsigned)(status.st_mode & 07777));
    error_set_hint(error, "chmod 600; if others may have read it, remove it and have a new one");
    return result;
}

/* With or without the newline that editors and `echo` leave. */
static int take(
    const char *text, ssize_t len, const char *path, struct token *out, struct error *error)
{
    bool has_end = len == TOKEN_DIGITS || (len == TOKEN_DIGITS + 1 && text[TOKEN_DIGITS] == '\n');

    if (!has_end)
        return refuse(error, path, "holds no token: it has another length");
    memcpy(out->digits, text, TOKEN_DIGITS);
    out->digits[TOKEN_DIGITS] = '\0';
    if (!are_digits(out->digits, TOKEN_DIGITS))
        return refuse(error, path, "holds no token: not 64 hexadecimal digits");
    return 0;
}

int token_read(const char *path, struct token *out, struct error *error)
{
    char text[TOKEN_DIGITS + 2];
    /* A FIFO would not let us go. */
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t len;
    int result;

    if (fd < 0)
        return error_set_errno(error, errno, "read the token file %s", path);
    result = check(fd, path, error);
    if (result < 0)
        return result;
    len = read(fd, text, sizeof(text));
    if (len < 0)
        return error_set_errno(error, errno, "read the token file %s", path);
    if (len == 0)
        return error_set(error, STATUS_NOT_FOUND, "the token file %s is empty", path);
    return take(text, len, path, out, error);
}

/* ---- making ---- */

static int make(struct token *out, struct error *error)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[TOKEN_BYTES];

    /* So few bytes are never cut, and the source is ready once the system has started (random(7)).
     */
    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t)sizeof(bytes))
        return error_set_errno(error, errno, "make a token");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out->digits[2 * i] = digits[bytes[i] >> 4];
        out->digits[2 * i + 1] = digits[bytes[i] & 15];
    }
    out->digits[TOKEN_DIGITS] = '\0';
    return 0;
}

/* Without waiting for the disk: whoever makes it may not wait. What a crash of the machine may
 * leave is an empty file, which is read as none. */
static int fill(int fd, const char *temporary, const struct token *token, struct error *error)
{
    char text[TOKEN_DIGITS + 1];
    int result;

    memcpy(text, token->digits, TOKEN_DIGITS);
    text[TOKEN_DIGITS] = '\n';
    result = fd_write_all(fd, text, sizeof(text), error);
    return error_add_context(error, result, "write %s", temporary);
}

static int make_file(const char *path, struct token *out, struct error *error)
{
    char temporary[PATH_MAX];
    CLEANUP(fd_close) int fd = -1;
    int result = make(out, error);

    if (result < 0)
        return result;
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
        return error_set_errno(error, ENAMETOOLONG, "make the token file %s", path);
    /* Mode 0600. */
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "make the token file %s", path);
    result = fill(fd, temporary, out, error);
    if (result == 0 && rename(temporary, path) != 0)
        result = error_set_errno(error, errno, "make the token file %s", path);
    if (result != 0)
        (void)unlink(temporary);
    return result;
}

int token_read_or_make(const char *path, struct token *out, struct error *error)
{
    int result = token_read(path, out, error);

    return result == -STATUS_NOT_FOUND ? make_file(path, out, error) : result;
}

/* ---- comparing ---- */

bool token_matches(const struct token *token, const char *text, size_t text_len)
{
    /* Volatile: the compiler may not leave the loop early. */
    volatile unsigned char difference = 0;

    if (text_len != TOKEN_DIGITS)
        return false;
    for (size_t i = 0; i < TOKEN_DIGITS; i++)
        difference = (unsigned char)(difference | (token->digits[i] ^ text[i]));
    return difference == 0;
}
