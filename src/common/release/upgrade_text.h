/* The journal's text. Pure.
 *
 *     flocks-upgrade 1 1             format that a reader must know, and that of the writer
 *     id u7                          one each; `lease` may be missing, `from` empty
 *     from 1.0.0
 *     to 1.1.0
 *     lease 3f
 *     link /srv/app/current          0 to LINK_SET_MAX, each with its targets behind it
 *     old releases/1.0.0
 *     new releases/1.1.0
 *     step preparing 1764000000000   one or more
 *     end 0123456789abcdef           FNV-1a (64 bits) of all before it
 *
 * Lines with other first words are passed over, and lost at the next write: what a newer program
 * needs of them raises the first number. */
#ifndef FLOCKS_RELEASE_UPGRADE_TEXT_H
#define FLOCKS_RELEASE_UPGRADE_TEXT_H

#include <stddef.h>

#include "common/base/buffer.h"
#include "common/release/upgrade_journal.h"

/* Whether the members keep what struct upgrade_journal says. */
bool upgrade_journal_is_good(const struct upgrade_journal *journal);

/* Appends to `out`. -STATUS_INVALID_ARGUMENT: it is not good; -STATUS_RESOURCE_EXHAUSTED: memory.
 */
NODISCARD int upgrade_text_write(const struct upgrade_journal *journal, struct buffer *out);
/* As upgrade_journal_read; `out` is written when the result is 0. `name` is what messages call it.
 */
NODISCARD int upgrade_text_read(const char *text, size_t len, const char *name,
    struct upgrade_journal *out, struct error *error);

#endif
