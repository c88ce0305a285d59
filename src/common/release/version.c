#include "common/release/version.h"

#include <stddef.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static const char *skip_prefix(const char *text)
{
    static const char tags[] = "refs/tags/";
    if (strncmp(text, tags, sizeof tags - 1) == 0)
        text += sizeof tags - 1;
    return text + (*text == 'v' || *text == 'V');
}

/* The number at *at, which is moved behind it. */
static bool take_number(const char **at, uint32_t *out)
{
    uint64_t number = 0;
    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); ++*at) {
        number = number * 10 + (uint64_t)(**at - '0');
        if (number > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* Dot-separated words, none of them empty. */
static bool take_words(const char **at)
{
    for (;;) {
        if (!is_word(**at))
            return false;
        while (is_word(**at))
            ++*at;
        if (**at != '.')
            return true;
        ++*at;
    }
}

bool version_parse(const char *text, struct version *out)
{
    const char *at = skip_prefix(text);
    struct version version = {.numbers = {0}};
    size_t len = strnlen(at, VERSION_TEXT_MAX + 1);
    if (len > VERSION_TEXT_MAX)
        return false;
    memcpy(version.text, at, len + 1);
    for (size_t i = 0; i < VERSION_NUMBERS_MAX; i++) {
        if (!take_number(&at, &version.numbers[i]))
            return false;
        if (*at != '.' || i + 1 == VERSION_NUMBERS_MAX)
            break;
        at++;
    }
    if (*at == '-') {
        const char *begin = ++at;
        if (!take_words(&at))
            return false;
        memcpy(version.prerelease, begin, (size_t)(at - begin));
    }
    if (*at == '+') {
        at++;
        if (!take_words(&at))
            return false;
    }
    if (*at != '\0')
        return false;
    *out = version;
    return true;
}

/* One identifier of a prerelease, without the zeros before a number. */
struct word {
    const char *text;
    size_t len;
    bool is_number;
};

static struct word next_word(const char **at)
{
    struct word word = {.text = *at, .len = strcspn(*at, "."), .is_number = true};
    for (size_t i = 0; i < word.len; i++)
        word.is_number = word.is_number && is_digit(word.text[i]);
    *at += word.len;
    *at += **at == '.';
    while (word.is_number && word.len > 1 && *word.text == '0') {
        word.text++;
        word.len--;
    }
    return word;
}

/* SemVer 11.4: numbers by value and below words; words as ASCII. */
static int compare_words(const struct word *a, const struct word *b)
{
    if (a->is_number != b->is_number)
        return a->is_number ? -1 : 1;
    if (a->is_number && a->len != b->len)
        return a->len < b->len ? -1 : 1;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (order != 0 || a->len == b->len)
        return order;
    return a->len < b->len ? -1 : 1;
}

static int compare_prereleases(const char *a, const char *b)
{
    /* One without is the later one. */
    if (*a == '\0' || *b == '\0')
        return (*a == '\0') - (*b == '\0');
    while (*a != '\0' && *b != '\0') {
        struct word one = next_word(&a);
        struct word other = next_word(&b);
        int order = compare_words(&one, &other);
        if (order != 0)
            return order;
    }
    return (*a != '\0') - (*b != '\0');
}

int version_compare(const struct version *a, const struct version *b)
{
    for (size_t i = 0; i < VERSION_NUMBERS_MAX; i++) {
        if (a->numbers[i] != b->numbers[i])
            return a->numbers[i] < b->numbers[i] ? -1 : 1;
    }
    return compare_prereleases(a->prerelease, b->prerelease);
}

bool version_is_prerelease(const struct version *version)
{
    return version->prerelease[0] != '\0';
}
