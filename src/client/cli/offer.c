#include "client/cli/offer.h"

#include <stdbool.h>
#include <string.h>

enum {
    /* What is told about a word stands on the same line of a terminal. */
    ABOUT_MAX = 72,
    WORD_MAX = 512
};

/* Up to the end of its first sentence. */
static size_t sentence_length(const char *text)
{
    size_t n = 0;
    while (text[n] && !(text[n] == '.' && (text[n + 1] == ' ' || text[n + 1] == '\n')))
        n++;
    return text[n] == '.' ? n : n - (n > 0 && text[n - 1] == '.');
}

static void print_about(FILE *out, const char *about)
{
    size_t len = sentence_length(about);
    size_t shown = len;
    if (shown > ABOUT_MAX) {
        for (shown = ABOUT_MAX; shown > 0 && about[shown] != ' ' && about[shown] != '\n'; shown--)
            continue;
    }
    for (size_t i = 0; i < shown; i++)
        fputc((unsigned char)about[i] < ' ' ? ' ' : about[i], out);
    if (shown < len)
        fputs(" ...", out);
}

void offer_word(const struct offer *offer, const char *word, const char *about)
{
    if (strncmp(word, offer->partial, strlen(offer->partial)) != 0)
        return;
    fprintf(offer->out, "%.*s%s", (int)offer->prefix_len, offer->prefix, word);
    if (about && about[0]) {
        fputc('\t', offer->out);
        print_about(offer->out, about);
    }
    fputc('\n', offer->out);
}

void offer_pair(const struct offer *offer, const char *parent, char between, const char *child,
    const char *about)
{
    char word[WORD_MAX];
    (void)snprintf(word, sizeof(word), "%s%c%s", parent, between, child);
    offer_word(offer, word, about);
}

void offer_files(const struct offer *offer, const char *kind)
{
    fprintf(offer->out, ":%s\t%.*s\n", kind, (int)offer->prefix_len, offer->prefix);
}
