#include "client/upgrade/options.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "common/release/upgrade_journal.h"

#define COMMAND(name) (1U << UPDATE_COMMAND_##name)
#define EVERY (COMMAND(NONE) | COMMAND(CHECK) | COMMAND(APPLY) | COMMAND(RECOVER))

/* One row an option; `flag` or `text` is where it goes, offset from the struct. */
struct row {
    const char *name;
    size_t offset;
    unsigned commands;
    bool takes_text;
};

#define FLAG(name, member, commands)                                                               \
    {                                                                                              \
        name, offsetof(struct update_options, member), commands, false                             \
    }
#define TEXT(name, member, commands)                                                               \
    {                                                                                              \
        name, offsetof(struct update_options, member), commands, true                              \
    }

static const struct row rows[] = {
    FLAG("--help", help, EVERY),
    FLAG("--version", version, EVERY),
    TEXT("--root", root, EVERY),
    TEXT("--config", config, EVERY),
    TEXT("--socket", socket, EVERY),
    TEXT("--region", region, COMMAND(CHECK) | COMMAND(APPLY)),
    TEXT("--from", from, COMMAND(CHECK) | COMMAND(APPLY)),
    TEXT("--to", to, COMMAND(CHECK) | COMMAND(APPLY)),
    FLAG("--list", list, COMMAND(CHECK)),
    FLAG("--rollback", roll_back, COMMAND(CHECK) | COMMAND(APPLY)),
    FLAG("--force", force, COMMAND(CHECK) | COMMAND(APPLY)),
    TEXT("--upgrade-id", upgrade_id, COMMAND(APPLY)),
    TEXT("--owner", owner, COMMAND(APPLY)),
};

static const char *const command_names[] = {[UPDATE_COMMAND_CHECK] = "check",
    [UPDATE_COMMAND_APPLY] = "apply",
    [UPDATE_COMMAND_RECOVER] = "recover"};

const char *update_options_help(void)
{
    return "usage: flocks-update [--root D] [--config F] [--socket S] COMMAND [options]\n"
           "\n"
           "Replaces what the services of a root run. `flocks update` runs it, for people.\n"
           "\n"
           "commands:\n"
           "  check     what would be installed: one flocks.v1.UpdateCheck as JSON\n"
           "  apply     does it: one flocks.v1.UpgradeProgress a line, the last with step DONE\n"
           "  recover   ends an unfinished upgrade\n"
           "\n"
           "options:\n"
           "  --root D         root of the instance (FLOCKS_ROOT, ~/.flocks)\n"
           "  --config F       its configuration (FLOCKS_CONFIG, <root>/flocks.yaml)\n"
           "  --socket S       its control socket (FLOCKS_SOCKET)\n"
           "  --region R       check, apply: mirrors to prefer (update.region, the locale)\n"
           "  --from S         check, apply: this source in place of the configured ones\n"
           "  --to V           check, apply: exactly this version\n"
           "  --list           check: everything that the source has\n"
           "  --rollback       check, apply: back to the release before, which is on the disk\n"
           "  --force          check, apply: fetched again also where it is there\n"
           "  --upgrade-id ID  apply: letters and digits, 32 at most; made up otherwise\n"
           "  --owner TEXT     apply: who asks, for people\n"
           "  --help, --version\n";
}

static const struct row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static int refuse(struct error *error, const char *what, const char *why)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "%.200s: %s", what, why);
    error_set_hint(error, "flocks-update --help lists commands and options");
    return result;
}

static int parse_command(const char *text, struct update_options *out, struct error *error)
{
    if (out->command != UPDATE_COMMAND_NONE)
        return refuse(error, text, "there is one command already");
    for (size_t i = 0; i < ARRAY_LENGTH(command_names); i++)
        if (command_names[i] != NULL && strcmp(command_names[i], text) == 0)
            out->command = (enum update_command)i;
    return out->command != UPDATE_COMMAND_NONE ? 0
                                               : refuse(error, text, "there is no such command");
}

/* "--name", "--name=text" or "--name text"; *at is left on the last word of it. */
static int parse_option(int argc, char **argv, int *at, struct update_options *out,
    unsigned *out_commands, struct error *error)
{
    const char *word = argv[*at];
    size_t len = strcspn(word, "=");
    const struct row *row = find_row(word, len);
    if (row == NULL)
        return refuse(error, word, "there is no such option");
    *out_commands &= row->commands;
    char *base = (char *)out + row->offset;
    if (!row->takes_text) {
        const bool yes = true;
        if (word[len] == '=')
            return refuse(error, word, "takes no value");
        memcpy(base, &yes, sizeof yes);
        return 0;
    }
    const char *text = word[len] == '=' ? word + len + 1 : NULL;
    if (text == NULL && *at + 1 < argc)
        text = argv[++*at];
    if (text == NULL || text[0] == '\0')
        return refuse(error, word, "wants a value");
    memcpy(base, (const void *)&text, sizeof text);
    return 0;
}

static bool id_is_good(const char *id)
{
    size_t len = 0;
    while (isalnum((unsigned char)id[len]))
        len++;
    return id[len] == '\0' && len > 0 && len <= UPGRADE_ID_MAX;
}

/* As `cn`, or a locale: zh_CN.UTF-8. */
static bool region_is_good(const char *region)
{
    size_t len = strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.@");
    return region[len] == '\0' && isalpha((unsigned char)region[0]);
}

static int check(const struct update_options *options, unsigned commands, struct error *error)
{
    if (options->help || options->version)
        return 0;
    if (options->command == UPDATE_COMMAND_NONE)
        return refuse(error, "flocks-update", "wants a command");
    if ((commands & (1U << options->command)) == 0)
        return refuse(
            error, command_names[options->command], "one of the options is not for this command");
    if (options->roll_back && (options->to != NULL || options->from != NULL || options->force))
        return refuse(error, "--rollback", "not with --to, --from or --force");
    if (options->region != NULL && !region_is_good(options->region))
        return refuse(error, "--region", "wants a region as 'cn', or 'none'");
    if (options->upgrade_id != NULL && !id_is_good(options->upgrade_id))
        return refuse(error, "--upgrade-id", "wants 1 to 32 letters and digits");
    return 0;
}

int update_options_parse(int argc, char **argv, struct update_options *out, struct error *error)
{
    unsigned commands = EVERY;
    *out = (struct update_options){.command = UPDATE_COMMAND_NONE};
    for (int i = 1; i < argc; i++) {
        int result = strncmp(argv[i], "--", 2) == 0
                         ? parse_option(argc, argv, &i, out, &commands, error)
                         : parse_command(argv[i], out, error);
        if (result < 0)
            return result;
    }
    return check(out, commands, error);
}
