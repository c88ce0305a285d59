#include "client/cli/candidates.h"

#include <string.h>

#include "client/cli/context.h"
#include "client/cli/daemon.h"
#include "client/cli/instance.h"
#include "client/cli/offer.h"
#include "client/cli/offer_names.h"
#include "client/cli/wording.h"
#include "common/base/arena.h"
#include "common/config/config.h"
#include "common/release/release_dir.h"

enum {
    /* Somebody waits with a finger on the key; a daemon that is slower is not asked. */
    ANSWER_MS = 200
};

enum candidates_value candidates_value_of(enum option_id id)
{
    static const enum candidates_value values[OPTION_COUNT] = {
        [OPTION_ROOT] = CANDIDATES_DIRECTORY,
        [OPTION_CONFIG] = CANDIDATES_FILE,
        [OPTION_SOCKET] = CANDIDATES_FILE,
        [OPTION_FLOCKS] = CANDIDATES_FILE,
        [OPTION_FROM] = CANDIDATES_FILE,
        [OPTION_LOG_LEVEL] = CANDIDATES_LEVEL,
        [OPTION_TIMEOUT] = CANDIDATES_FREE,
        [OPTION_SERVER_HOST] = CANDIDATES_FREE,
        [OPTION_SERVER_PORT] = CANDIDATES_FREE,
        [OPTION_WEBUI_HOST] = CANDIDATES_FREE,
        [OPTION_WEBUI_PORT] = CANDIDATES_FREE,
        [OPTION_LINES] = CANDIDATES_FREE,
        [OPTION_AFTER] = CANDIDATES_FREE,
        [OPTION_PLAN] = CANDIDATES_FREE,
        [OPTION_TO] = CANDIDATES_RELEASE,
        [OPTION_REGION] = CANDIDATES_FREE,
    };
    return id < OPTION_COUNT ? values[id] : CANDIDATES_UNKNOWN;
}

/* ---- words of the tables ---- */

static void offer_commands(const struct offer *offer)
{
    for (size_t i = 0; i < n_commands; i++)
        offer_word(offer, commands[i]->name, commands[i]->summary);
}

static void offer_option(const struct offer *offer, enum option_id id)
{
    const struct option_row *row = option_row(id);
    char name[64];
    char about[80];
    (void)snprintf(name, sizeof(name), "--%s", row->name);
    offer_word(offer, name, row->help);
    (void)snprintf(about, sizeof(about), "not %s", name);
    (void)snprintf(name, sizeof(name), "--no-%s", row->name);
    if (row->kind == OPTION_KIND_SWITCH)
        offer_word(offer, name, about);
}

static void offer_options(const struct offer *offer, const struct complete *complete)
{
    const enum option_id *lists[2];
    complete_options(complete, lists);
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        for (const enum option_id *id = lists[i]; *id != OPTION_END; id++)
            if (!complete->options.values[*id].given)
                offer_option(offer, *id);
}

static void offer_words(const struct offer *offer, const char *const *words)
{
    for (; words && *words; words++)
        offer_word(offer, *words, NULL);
}

/* The instance that the command line means. False: it cannot be said. */
static bool find_there(const struct cli *cli, const struct complete *complete, struct cli *out)
{
    *out = *cli;
    out->command = complete->command;
    out->options = complete->options;
    /* Its text was not read, and it is not about this. */
    out->options.values[OPTION_TIMEOUT] = (struct option_value){0};
    return context_resolve(out, NULL) == 0;
}

static void offer_releases(
    const struct cli *cli, const struct offer *offer, const struct complete *complete)
{
    struct cli there;
    struct release_dir directory;
    struct release_list list;
    if (!find_there(cli, complete, &there) ||
        release_dir_open(there.paths.root, false, &directory, NULL) != 0)
        return;
    if (release_dir_list(&directory, &list, NULL) == 0)
        for (size_t i = 0; i < list.n_entries; i++)
            if (!list.entries[i].is_partial)
                offer_word(offer, list.entries[i].version.text,
                    list.entries[i].is_current ? "current" : "on the disk");
    release_dir_close(&directory);
}

static void offer_value(const struct cli *cli, const struct offer *offer,
    const struct complete *complete, enum option_id id)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    switch (candidates_value_of(id)) {
    case CANDIDATES_FILE:
        offer_files(offer, "file");
        return;
    case CANDIDATES_DIRECTORY:
        offer_files(offer, "directory");
        return;
    case CANDIDATES_LEVEL:
        offer_words(offer, levels);
        return;
    case CANDIDATES_RELEASE:
        offer_releases(cli, offer, complete);
        return;
    case CANDIDATES_FREE:
    case CANDIDATES_UNKNOWN:
        break;
    }
}

/* ---- services ---- */

static bool is_said(const struct complete *complete, const char *name)
{
    for (size_t i = 0; i < complete->options.n_operands; i++)
        if (strcmp(complete->options.operands[i], name) == 0)
            return true;
    return false;
}

static void offer_service(
    const struct offer *offer, const struct complete *complete, const char *name, const char *about)
{
    /* A daemon's words go to a terminal; a name it could not have is none. */
    if (config_name_is_valid(name) && !is_said(complete, name))
        offer_word(offer, name, about);
}

/* False: there is no daemon, or it does not answer in time. */
static bool offer_running(
    const struct cli *there, const struct offer *offer, const struct complete *complete)
{
    struct instance instance;
    struct daemon daemon;
    /* Of another root, perhaps: this one's lock says nothing about it. */
    bool is_tcp = there->paths.tcp[0] != '\0';
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    if (!is_tcp && (instance_look(&there->paths, &instance, NULL) < 0 || !instance.lives))
        return false;
    if (daemon_open(&daemon, there, ANSWER_MS, NULL) == 0)
        (void)!daemon_get_status(&daemon, NULL, 0, &status, NULL);
    daemon_close(&daemon);
    for (size_t i = 0; status && i < status->n_services; i++)
        offer_service(offer, complete, status->services[i]->name,
            flocks_service_state_name(status->services[i]->state));
    return status != NULL;
}

static void offer_configured(
    const struct cli *there, const struct offer *offer, const struct complete *complete)
{
    struct arena arena;
    struct mistakes mistakes;
    struct config config;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    mistakes_init(&mistakes);
    const struct config_request request = {.root = there->paths.root,
        .file = there->paths.config,
        .file_is_named = there->config_is_named,
        .skip_host_checks = true};
    if (config_load(&request, &arena, &config, &mistakes, NULL) == CONFIG_OK)
        for (size_t i = 0; i < config.message->n_services; i++)
            offer_service(offer, complete, config.message->services[i]->key, NULL);
    mistakes_deinit(&mistakes);
    arena_deinit(&arena);
}

static void offer_services(
    const struct cli *cli, const struct offer *offer, const struct complete *complete)
{
    struct cli there;
    if (!find_there(cli, complete, &there))
        return;
    if (!offer_running(&there, offer, complete))
        offer_configured(&there, offer, complete);
}

/* ---- operands ---- */

static void offer_json(const struct offer *offer)
{
    if (offer->partial[0] != '@')
        return;
    const struct offer files = {.out = offer->out, .prefix = "@", .prefix_len = 1};
    offer_files(&files, "file");
}

static void offer_operand(const struct cli *cli, const struct offer *offer,
    const struct complete *complete, const struct crpc_catalog *catalog)
{
    size_t n = complete->options.n_operands;
    bool is_first = n == 0;
    switch (complete->command->operand) {
    case OPERAND_SERVICES:
        offer_services(cli, offer, complete);
        return;
    case OPERAND_SERVICE:
        if (is_first)
            offer_services(cli, offer, complete);
        return;
    case OPERAND_LOGS:
        offer_services(cli, offer, complete);
        if (!is_said(complete, "daemon"))
            offer_word(offer, "daemon", "what flocksd itself writes");
        return;
    case OPERAND_WORDS_AND_FILE:
        if (is_first)
            offer_words(offer, complete->command->words);
        else if (n == 1 && strcmp(complete->options.operands[0], complete->command->words[0]) != 0)
            offer_files(offer, "file");
        return;
    case OPERAND_WORD:
        if (is_first)
            offer_words(offer, complete->command->words);
        return;
    case OPERAND_CALL:
        if (is_first)
            offer_methods(offer, catalog);
        else if (n == 1)
            offer_json(offer);
        return;
    case OPERAND_SYMBOL:
        if (is_first)
            offer_symbols(offer, catalog);
        return;
    case OPERAND_OTHER:
        break;
    }
}

void candidates_print(const struct cli *cli, const struct complete *complete,
    const struct crpc_catalog *catalog, FILE *out)
{
    const struct offer offer = {.out = out,
        .prefix = complete->prefix,
        .prefix_len = complete->prefix_len,
        .partial = complete->partial};
    switch (complete->what) {
    case COMPLETE_COMMAND:
        offer_commands(&offer);
        return;
    case COMPLETE_OPTION:
        offer_options(&offer, complete);
        return;
    case COMPLETE_VALUE:
        offer_value(cli, &offer, complete, complete->option);
        return;
    case COMPLETE_OPERAND:
        offer_operand(cli, &offer, complete, catalog);
        return;
    case COMPLETE_NOTHING:
        break;
    }
}
