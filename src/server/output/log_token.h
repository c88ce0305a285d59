/* Where every log of a stream has been read to, as the text that its reader gives back. Nobody but
 * this module reads it; it survives every process of an instance. */
#ifndef FLOCKS_OUTPUT_LOG_TOKEN_H
#define FLOCKS_OUTPUT_LOG_TOKEN_H

#include "common/base/buffer.h"
#include "server/output/log_source.h"

enum {
    /* Logs in one token: every service and the daemon. */
    LOG_TOKEN_MARKS_MAX = 2048,
    /* Of one log, with its share of the text's letters. */
    LOG_TOKEN_MARK_BYTES_MAX = 64,
    LOG_TOKEN_TEXT_MAX = 131072
};

/* Written mark by mark into `bytes`, which is empty before. 0, or -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int log_token_begin(struct buffer *bytes);
NODISCARD int log_token_add(struct buffer *bytes, const char *log, const struct log_mark *mark);
/* The text, with its NUL, into `text`, which is empty before. */
NODISCARD int log_token_finish(const struct buffer *bytes, struct buffer *text);

struct log_token;

/* -STATUS_INVALID_ARGUMENT: it is none. */
NODISCARD int log_token_read(const char *text, struct log_token **out, struct error *error);
void log_token_free(struct log_token *token);
/* The mark of a log; NULL: the token does not know it. */
const struct log_mark *log_token_find(const struct log_token *token, const char *log);

#endif
