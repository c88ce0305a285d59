/* What must be there on this machine: directories, programs, environment files. Looks only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/account.h"
#include "common/config/draft.h"
#include "common/config/environment.h"
#include "common/config/executable.h"

struct check {
    struct draft *draft;
    const char *name;
    const flocks_service_config *service;
};

static struct mistake *refuse(const struct check *check, const char *rest, const char *message)
{
    const char *path = draft_service_path(check->draft, check->name, rest);
    return draft_refuse(check->draft, path, "%s", message);
}

static void hint_for_directory(const struct check *check, struct mistake *mistake)
{
    static const char current[] = "/current/";
    struct draft *draft = check->draft;
    const char *directory = check->service->directory;
    size_t len = strlen(draft->directory);
    /* A directory made by hand would be in the way of the link. */
    bool is_of_release = strncmp(directory, draft->directory, len) == 0 &&
                         strncmp(directory + len, current, sizeof current - 1) == 0;
    if (is_of_release)
        mistake_set_hint(draft->mistakes, mistake,
            "`flocks update` installs a release there, if that is what it is for; else correct the "
            "path");
    else if (draft->is_builtin)
        mistake_set_hint(draft->mistakes, mistake,
            "set FLOCKS_REPO_ROOT to the product's directory, or write %s", draft->request->file);
    else
        mistake_set_hint(draft->mistakes, mistake, "mkdir -p %s, or correct the path", directory);
}

/* False: nothing in it can be found either. */
static bool check_directory(const struct check *check)
{
    struct stat status;
    char message[MISTAKE_TEXT_MAX];
    const char *directory = check->service->directory;
    if (stat(directory, &status) != 0)
        (void)snprintf(message, sizeof(message), "directory '%s' %s", directory,
            errno == ENOENT ? "does not exist" : "cannot be looked at");
    else if (!S_ISDIR(status.st_mode))
        (void)snprintf(message, sizeof(message), "'%s' is not a directory", directory);
    else if (access(directory, X_OK) != 0)
        (void)snprintf(message, sizeof(message), "directory '%s' may not be entered", directory);
    else
        return true;
    hint_for_directory(check, refuse(check, "directory", message));
    return false;
}

/* The PATH that the program will be started with. */
static const char *search_path(const struct check *check)
{
    for (size_t i = 0; i < check->service->n_environment; i++) {
        if (strcmp(check->service->environment[i]->key, "PATH") == 0)
            return check->service->environment[i]->value;
    }
    return environment_get(check->draft->environment, "PATH", strlen("PATH"));
}

static void check_program(const struct check *check, const char *rest, const char *program)
{
    char found[PATH_MAX];
    struct error error = ERROR_INIT;
    if (executable_find(program, check->service->directory, search_path(check), found, &error) != 0)
        mistake_set_hint(check->draft->mistakes, refuse(check, rest, error.text), "%s", error.hint);
}

static void check_probe_program(
    const struct check *check, const char *role, const flocks_probe *probe)
{
    if (probe == NULL || probe->check_case != FLOCKS__V1__PROBE__CHECK_EXEC)
        return;
    char rest[64];
    (void)snprintf(rest, sizeof(rest), "probes.%s.exec.command", role);
    check_program(check, rest, probe->exec->command[0]);
}

static void check_environment_file(const struct check *check, size_t index)
{
    const char *path = check->service->environment_files[index];
    size_t len = strlen(path);
    if (path[len - 1] == '?' || access(path, R_OK) == 0)
        return;
    char rest[64];
    char message[MISTAKE_TEXT_MAX];
    (void)snprintf(rest, sizeof(rest), "environment_files[%zu]", index);
    (void)snprintf(message, sizeof(message), "file '%s' %s", path,
        errno == ENOENT ? "does not exist" : "cannot be read");
    mistake_set_hint(check->draft->mistakes, refuse(check, rest, message),
        "create it, or write '?' behind the name if it may be missing");
}

static void check_account(const struct check *check)
{
    const flocks_limits_config *limits = check->service->limits;
    struct account account;
    struct error error = ERROR_INIT;
    if (!account_is_wanted(limits))
        return;
    const char *rest = limits->user[0] != '\0' ? "limits.user" : "limits.group";
    if (geteuid() != 0)
        mistake_set_hint(check->draft->mistakes,
            refuse(check, rest, "only root may run a service as another user or group"),
            "start as root, or leave user and group out");
    else if (account_resolve(limits->user, limits->group, &account, &error) < 0)
        (void)refuse(check, rest, error.text);
}

static void check_one(const struct check *check)
{
    const flocks_service_config *service = check->service;
    check_account(check);
    for (size_t i = 0; i < service->n_environment_files; i++)
        check_environment_file(check, i);
    if (!check_directory(check))
        return;
    check_program(check, "command", service->command[0]);
    if (service->prepare != NULL)
        check_program(check, "prepare.command", service->prepare->command[0]);
    if (service->probes != NULL) {
        check_probe_program(check, "startup", service->probes->startup);
        check_probe_program(check, "ready", service->probes->ready);
        check_probe_program(check, "alive", service->probes->alive);
    }
}

void check_host(struct draft *draft)
{
    for (size_t i = 0; i < draft->message->n_services; i++) {
        const flocks_config_services_entry *entry = draft->message->services[i];
        struct check check = {draft, entry->key, entry->value};
        if (!draft_is_mistaken(draft, draft_service_path(draft, entry->key, "")))
            check_one(&check);
    }
}
