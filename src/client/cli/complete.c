#include "client/cli/complete.h"

#include <string.h>

static const enum option_id program_options[] = {OPTION_VERSION, OPTION_END};

void complete_options(const struct complete *complete, const enum option_id *out_lists[2])
{
    out_lists[0] = complete->command ? complete->command->options : program_options;
    out_lists[1] = options_common;
}

static void keep_value(struct complete *out, enum option_id id, const char *text)
{
    out->options.values[id] = (struct option_value){.given = true, .text = text};
}

static void take_operand(struct complete *out, const char *word)
{
    struct options *options = &out->options;
    if (options->n_operands < OPTIONS_OPERANDS_MAX)
        options->operands[options->n_operands++] = word;
}

/* Where an option that wants the next word was left. */
struct walk {
    struct complete *out;
    bool only_operands;
    enum option_id pending;
    bool is_lost; /* an unknown command: nothing more can be said */
};

static void take_option(struct walk *walk, const char *word)
{
    const enum option_id *lists[2];
    struct option_word found;
    complete_options(walk->out, lists);
    if (!options_look(lists[0], word, &found))
        return;
    if (found.wants_next)
        walk->pending = found.id;
    else
        keep_value(walk->out, found.id, found.value);
}

static void take_word(struct walk *walk, const char *word)
{
    struct complete *out = walk->out;
    if (walk->pending != OPTION_END) {
        keep_value(out, walk->pending, word);
        walk->pending = OPTION_END;
    } else if (!walk->only_operands && strcmp(word, "--") == 0) {
        walk->only_operands = true;
    } else if (!walk->only_operands && word[0] == '-' && word[1]) {
        take_option(walk, word);
    } else if (out->command) {
        take_operand(out, word);
    } else if (!walk->is_lost) {
        out->command = command_find(word);
        walk->is_lost = !out->command;
    }
}

/* "--config=/e": a value behind what belongs to the name. */
static bool take_joined_value(struct complete *out, const char *word)
{
    const enum option_id *lists[2];
    struct option_word found;
    const char *equals = strchr(word, '=');
    if (strncmp(word, "--", 2) != 0 || !equals)
        return false;
    complete_options(out, lists);
    bool is_known = options_look(lists[0], word, &found) && found.value;
    out->what = is_known ? COMPLETE_VALUE : COMPLETE_NOTHING;
    out->option = is_known ? found.id : OPTION_END;
    out->prefix = word;
    out->prefix_len = (size_t)(equals + 1 - word);
    out->partial = equals + 1;
    return true;
}

static void look_at_last(struct walk *walk, const char *word)
{
    struct complete *out = walk->out;
    out->prefix = word;
    out->partial = word;
    if (walk->is_lost)
        return;
    if (walk->pending != OPTION_END) {
        out->what = COMPLETE_VALUE;
        out->option = walk->pending;
    } else if (!walk->only_operands && word[0] == '-') {
        if (!take_joined_value(out, word))
            out->what = COMPLETE_OPTION;
    } else {
        out->what = out->command ? COMPLETE_OPERAND : COMPLETE_COMMAND;
    }
}

void complete_look(const char *const *words, size_t n_words, struct complete *out)
{
    struct walk walk = {.out = out, .pending = OPTION_END};
    memset(out, 0, sizeof(*out));
    out->prefix = "";
    out->partial = "";
    out->option = OPTION_END;
    if (n_words == 0)
        return;
    for (size_t i = 0; i + 1 < n_words; i++)
        take_word(&walk, words[i]);
    look_at_last(&walk, words[n_words - 1]);
}
