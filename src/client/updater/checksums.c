#include "client/updater/checksums.h"

#include <string.h>

enum { DIGITS = CHECKSUM_SIZE - 1 };

struct entry {
    char checksum[CHECKSUM_SIZE];
    /* NULL: a checksum alone. */
    const char *name;
    size_t name_len;
};

bool checksum_parse(const char *text, size_t len, char out[CHECKSUM_SIZE])
{
    if (len != DIGITS)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        out[i] = c;
    }
    out[DIGITS] = '\0';
    return true;
}

/* "<digits>  NAME", "<digits> *NAME", "<digits>". */
static bool take_plain(const char *line, size_t len, struct entry *out)
{
    if (len < DIGITS || !checksum_parse(line, DIGITS, out->checksum))
        return false;
    line += DIGITS;
    len -= DIGITS;
    out->name = NULL;
    if (len == 0)
        return true;
    if (len < 3 || line[0] != ' ' || (line[1] != ' ' && line[1] != '*'))
        return false;
    out->name = line + 2;
    out->name_len = len - 2;
    return true;
}

/* "SHA256 (NAME) = <digits>". */
static bool take_tagged(const char *line, size_t len, struct entry *out)
{
    static const char begin[] = "SHA256 (";
    static const char middle[] = ") = ";
    size_t around = sizeof begin - 1 + sizeof middle - 1 + DIGITS;
    if (len <= around || memcmp(line, begin, sizeof begin - 1) != 0)
        return false;
    out->name = line + sizeof begin - 1;
    out->name_len = len - around;
    const char *rest = out->name + out->name_len;
    return memcmp(rest, middle, sizeof middle - 1) == 0 &&
           checksum_parse(rest + sizeof middle - 1, DIGITS, out->checksum);
}

static bool is_about(const struct entry *entry, const char *name)
{
    const char *found = entry->name;
    size_t len = entry->name_len;
    if (found == NULL)
        return true;
    if (len > 2 && memcmp(found, "./", 2) == 0) {
        found += 2;
        len -= 2;
    }
    return strlen(name) == len && memcmp(name, found, len) == 0;
}

static int refuse(struct error *error, const char *name, const char *why)
{
    return error_set(error, STATUS_INVALID_ARGUMENT,
        "the checksums that %s is among cannot be used: %s", name, why);
}

int checksums_find(const char *text, size_t text_len, const char *name, char out[CHECKSUM_SIZE],
    struct error *error)
{
    const char *end = text + text_len;
    bool is_found = false;
    size_t n_lines = 0;
    bool has_alone = false;
    if (text_len > CHECKSUMS_BYTES_MAX)
        return refuse(error, name, "there are too many");
    while (text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((feed == NULL ? end : feed) - text);
        size_t line_len = len > 0 && text[len - 1] == '\r' ? len - 1 : len;
        struct entry entry = {.name = NULL};
        if (line_len > 0) {
            /* Also sha256sum's escaped names, which begin with a backslash: no name of ours needs
             * that. */
            if (!take_plain(text, line_len, &entry) && !take_tagged(text, line_len, &entry))
                return refuse(error, name, "a line is none of sha256sum's");
            has_alone |= entry.name == NULL;
            if (++n_lines > 1 && has_alone)
                return refuse(error, name, "a checksum has no name");
            if (is_about(&entry, name)) {
                if (is_found && strcmp(out, entry.checksum) != 0)
                    return refuse(error, name, "it has two");
                memcpy(out, entry.checksum, CHECKSUM_SIZE);
                is_found = true;
            }
        }
        text += len + (feed != NULL);
    }
    if (is_found)
        return 0;
    return error_set(error, STATUS_NOT_FOUND, "the published checksums have none of %s", name);
}
