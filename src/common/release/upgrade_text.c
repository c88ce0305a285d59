#include "common/release/upgrade_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/release/release_keep.h"

/* First words. */
static const char magic[] = "flocks-upgrade";
static const char end_word[] = "end";

enum {
    END_DIGITS = 16,
    /* "end <digits>\n" */
    END_LEN = sizeof end_word + END_DIGITS + 1
};

/* ---- what is good ---- */

static bool is_id(const char *text)
{
    size_t len = strnlen(text, UPGRADE_ID_MAX + 1);
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return len <= UPGRADE_ID_MAX;
}

static bool has_good_links(const struct link_set *links)
{
    if (links->n_changes > LINK_SET_MAX)
        return false;
    for (size_t i = 0; i < links->n_changes; i++) {
        if (!link_change_is_good(&links->changes[i]))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(links->changes[i].link, links->changes[j].link) == 0)
                return false;
        }
    }
    return true;
}

static bool has_good_steps(const struct upgrade_journal *journal)
{
    unsigned seen = 0;
    if (journal->n_steps < 1 || journal->n_steps > UPGRADE_STEP_COUNT ||
        journal->steps[0] != UPGRADE_STEP_PREPARING)
        return false;
    for (size_t i = 0; i < journal->n_steps; i++) {
        if (journal->times[i] < 0 || (unsigned)journal->steps[i] >= UPGRADE_STEP_COUNT ||
            (i > 0 && !upgrade_step_is_legal(journal->steps[i - 1], journal->steps[i])))
            return false;
        seen |= 1U << journal->steps[i];
    }
    bool asked = (seen & (1U << UPGRADE_STEP_LEASING)) != 0;
    bool answered = (seen & (1U << UPGRADE_STEP_LEASED)) != 0;
    bool has_lease = journal->lease[0] != '\0';
    if ((answered && !has_lease) || (has_lease && !asked))
        return false;
    /* Only a server commits. */
    if ((seen & (1U << UPGRADE_STEP_COMMITTING)) != 0 && !answered)
        return false;
    return journal->links.n_changes > 0 ||
           journal->steps[journal->n_steps - 1] <= UPGRADE_STEP_PREPARED;
}

bool upgrade_journal_is_good(const struct upgrade_journal *journal)
{
    return journal->id[0] != '\0' && is_id(journal->id) && is_id(journal->lease) &&
           (journal->from[0] == '\0' || release_name_is_good(journal->from)) &&
           release_name_is_good(journal->to) && has_good_links(&journal->links) &&
           has_good_steps(journal);
}

/* ---- writing ---- */

/* FNV-1a: against accidents; who may write the file may write anything. */
static uint64_t checksum(const char *text, size_t len)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static int write_facts(const struct upgrade_journal *journal, struct buffer *out)
{
    int result = buffer_printf(out, "%s %d %d\nid %s\nfrom %s\nto %s\n", magic,
        UPGRADE_JOURNAL_FORMAT, UPGRADE_JOURNAL_FORMAT, journal->id, journal->from, journal->to);
    if (result == 0 && journal->lease[0] != '\0')
        result = buffer_printf(out, "lease %s\n", journal->lease);
    for (size_t i = 0; i < journal->links.n_changes && result == 0; i++) {
        const struct link_change *change = &journal->links.changes[i];
        result = buffer_printf(
            out, "link %s\nold %s\nnew %s\n", change->link, change->old_target, change->new_target);
    }
    for (size_t i = 0; i < journal->n_steps && result == 0; i++)
        result = buffer_printf(
            out, "step %s %" PRId64 "\n", upgrade_step_text(journal->steps[i]), journal->times[i]);
    return result;
}

int upgrade_text_write(const struct upgrade_journal *journal, struct buffer *out)
{
    size_t before = buffer_length(out);
    if (!upgrade_journal_is_good(journal))
        return -STATUS_INVALID_ARGUMENT;
    int result = write_facts(journal, out);
    if (result == 0)
        result = buffer_printf(out, "%s %016" PRIx64 "\n", end_word,
            checksum((const char *)buffer_data(out) + before, buffer_length(out) - before));
    if (result < 0)
        buffer_truncate(out, before);
    return result;
}

/* ---- reading ---- */

/* The facts that stand once. */
enum fact { FACT_ID, FACT_FROM, FACT_TO, FACT_LEASE, FACT_COUNT };

struct reading {
    struct upgrade_journal journal;
    unsigned facts;
    /* Of the last link: 0 to 2, what has been read behind it. */
    unsigned targets;
};

/* Bytes that are a number and nothing else. */
static bool take_number(const char *text, size_t len, int64_t *out)
{
    int64_t number = 0;
    if (len == 0 || len > 18)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
    }
    *out = number;
    return true;
}

static bool take_text(const char *text, size_t len, char *out, size_t size)
{
    if (len >= size)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

static bool take_fact(struct reading *reading, enum fact fact, const char *text, size_t len)
{
    struct upgrade_journal *journal = &reading->journal;
    if ((reading->facts & (1U << fact)) != 0)
        return false;
    reading->facts |= 1U << fact;
    switch (fact) {
    case FACT_ID:
        return take_text(text, len, journal->id, sizeof journal->id);
    case FACT_FROM:
        return take_text(text, len, journal->from, sizeof journal->from);
    case FACT_TO:
        return take_text(text, len, journal->to, sizeof journal->to);
    case FACT_LEASE:
        return len > 0 && take_text(text, len, journal->lease, sizeof journal->lease);
    case FACT_COUNT:
        break;
    }
    return false;
}

static bool take_link(struct reading *reading, const char *text, size_t len)
{
    struct link_set *links = &reading->journal.links;
    if (links->n_changes >= LINK_SET_MAX || (links->n_changes > 0 && reading->targets != 2))
        return false;
    reading->targets = 0;
    return take_text(text, len, links->changes[links->n_changes++].link, LINK_TEXT_MAX + 1);
}

/* `at`: 0 for the old one, 1 for the new one. */
static bool take_target(struct reading *reading, unsigned at, const char *text, size_t len)
{
    struct link_set *links = &reading->journal.links;
    if (links->n_changes == 0 || reading->targets != at)
        return false;
    struct link_change *change = &links->changes[links->n_changes - 1];
    reading->targets++;
    return take_text(
        text, len, at == 0 ? change->old_target : change->new_target, LINK_TEXT_MAX + 1);
}

static bool take_step(struct reading *reading, const char *text, size_t len)
{
    struct upgrade_journal *journal = &reading->journal;
    const char *space = memchr(text, ' ', len);
    if (space == NULL || journal->n_steps >= UPGRADE_STEP_COUNT)
        return false;
    size_t word = (size_t)(space - text);
    for (unsigned i = 0; i < UPGRADE_STEP_COUNT; i++) {
        const char *name = upgrade_step_text((enum upgrade_step)i);
        if (strlen(name) != word || memcmp(name, text, word) != 0)
            continue;
        journal->steps[journal->n_steps] = (enum upgrade_step)i;
        return take_number(space + 1, len - word - 1, &journal->times[journal->n_steps++]);
    }
    return false;
}

static bool take_line(struct reading *reading, const char *line, size_t len)
{
    static const char *const words[] = {"id", "from", "to", "lease", "link", "old", "new", "step"};
    const char *space = memchr(line, ' ', len);
    if (space == NULL || memchr(line, '\0', len) != NULL)
        return false;
    size_t word = (size_t)(space - line);
    const char *rest = space + 1;
    size_t rest_len = len - word - 1;
    size_t at = 0;
    while (at < ARRAY_LENGTH(words) &&
           (strlen(words[at]) != word || memcmp(words[at], line, word) != 0))
        at++;
    if (at < FACT_COUNT)
        return take_fact(reading, (enum fact)at, rest, rest_len);
    if (at == 4)
        return take_link(reading, rest, rest_len);
    if (at == 5 || at == 6)
        return take_target(reading, (unsigned)at - 5, rest, rest_len);
    return at >= ARRAY_LENGTH(words) || take_step(reading, rest, rest_len);
}

static bool take_lines(struct reading *reading, const char *text, size_t len)
{
    while (len > 0) {
        const char *feed = memchr(text, '\n', len);
        if (feed == NULL || !take_line(reading, text, (size_t)(feed - text)))
            return false;
        len -= (size_t)(feed - text) + 1;
        text = feed + 1;
    }
    unsigned needed = (1U << FACT_ID) | (1U << FACT_FROM) | (1U << FACT_TO);
    return (reading->facts & needed) == needed &&
           (reading->journal.links.n_changes == 0 || reading->targets == 2);
}

/* Whether the last line is the sum of all before it. */
static bool has_sum(const char *text, size_t len)
{
    char line[END_LEN + 1];
    if (len < END_LEN)
        return false;
    (void)snprintf(
        line, sizeof line, "%s %016" PRIx64 "\n", end_word, checksum(text, len - END_LEN));
    return memcmp(line, text + len - END_LEN, END_LEN) == 0;
}

/* The format that a reader must know; 0: this is no first line. *out_len: with its end. */
static int64_t needed_format(const char *text, size_t len, size_t *out_len)
{
    const char *feed = memchr(text, '\n', len);
    size_t prefix = sizeof magic;
    int64_t needed = 0;
    int64_t written = 0;
    if (feed == NULL || (size_t)(feed - text) <= prefix || memcmp(text, magic, prefix - 1) != 0 ||
        text[prefix - 1] != ' ')
        return 0;
    const char *first = text + prefix;
    const char *space = memchr(first, ' ', (size_t)(feed - first));
    if (space == NULL || !take_number(first, (size_t)(space - first), &needed) ||
        !take_number(space + 1, (size_t)(feed - space) - 1, &written) || written < needed)
        return 0;
    *out_len = (size_t)(feed - text) + 1;
    return needed;
}

int upgrade_text_read(const char *text, size_t len, const char *name, struct upgrade_journal *out,
    struct error *error)
{
    struct reading reading = {.facts = 0};
    size_t first = 0;
    int64_t format = has_sum(text, len) ? needed_format(text, len, &first) : 0;
    if (format > UPGRADE_JOURNAL_FORMAT) {
        int result = error_set(error, STATUS_UNIMPLEMENTED,
            "%s was written by a newer program (format %" PRId64 ", known is %d)", name, format,
            UPGRADE_JOURNAL_FORMAT);
        error_set_hint(error, "finish the upgrade with the program that began it");
        return result;
    }
    if (format < 1 || first > len - END_LEN ||
        !take_lines(&reading, text + first, len - END_LEN - first) ||
        !upgrade_journal_is_good(&reading.journal))
        return error_set(
            error, STATUS_DATA_LOSS, "%s is damaged, or no journal of an upgrade", name);
    *out = reading.journal;
    return 0;
}
