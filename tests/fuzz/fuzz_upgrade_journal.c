/* Any text as an upgrade's journal, as it is and with a right checksum. What is read is good, is
 * written and read again the same, and can be recovered from. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/release/upgrade_recovery.h"
#include "common/release/upgrade_text.h"

enum { TEXT_MAX = 8192, END_SIZE = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct upgrade_journal *journal)
{
    static struct upgrade_journal again;
    struct buffer text;
    demand(upgrade_journal_is_good(journal));
    buffer_init(&text, UPGRADE_JOURNAL_BYTES_MAX);
    demand(upgrade_text_write(journal, &text) == 0);
    demand(upgrade_text_read(
               (const char *)buffer_data(&text), buffer_length(&text), "x", &again, NULL) == 0);
    demand(again.n_steps == journal->n_steps && strcmp(again.to, journal->to) == 0 &&
           memcmp(again.steps, journal->steps, sizeof again.steps) == 0 &&
           again.links.n_changes == journal->links.n_changes);
    buffer_deinit(&text);
    for (unsigned server = 0; server < UPGRADE_SERVER_COUNT; server++) {
        for (unsigned links = LINK_SET_OLD; links <= LINK_SET_FOREIGN; links++)
            demand(upgrade_recover(journal, (enum upgrade_server)server,
                       (enum link_set_state)links) < UPGRADE_ACTION_COUNT);
    }
}

static void try_text(const char *text, size_t len)
{
    static struct upgrade_journal journal;
    struct error error = ERROR_INIT;
    int result = upgrade_text_read(text, len, "x", &journal, &error);
    demand(result == 0 || error.text[0] != '\0');
    if (result == 0)
        check(&journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX + END_SIZE];
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    size_t len = size < TEXT_MAX ? size : TEXT_MAX;
    if (len > 0)
        memcpy(text, data, len);
    try_text(text, len);
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    len += (size_t)snprintf(text + len, END_SIZE, "end %016" PRIx64 "\n", sum);
    try_text(text, len);
    return 0;
}
