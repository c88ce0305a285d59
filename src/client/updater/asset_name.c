#include "client/updater/asset_name.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "common/base/attributes.h"
#include "common/base/utf8.h"

static const struct {
    const char *suffix;
    int rank;
} ARCHIVES[] = {
    {".tar.zst", 5},
    {".tzst", 5},
    {".tar.xz", 4},
    {".txz", 4},
    {".tar.gz", 3},
    {".tgz", 3},
    {".zip", 2},
    {".tar", 1},
};

/* What names and uname(2) call the same thing. Longer spellings first: "darwin" holds "win". */
static const struct alias {
    const char *word;
    const char *system;
    const char *machine;
} ALIASES[] = {
    {"x86_64", NULL, "x86_64"},
    {"x86-64", NULL, "x86_64"},
    {"aarch64", NULL, "aarch64"},
    {"riscv64", NULL, "riscv64"},
    {"ppc64le", NULL, "ppc64le"},
    {"loong64", NULL, "loongarch64"},
    {"loongarch64", NULL, "loongarch64"},
    {"s390x", NULL, "s390x"},
    {"amd64", NULL, "x86_64"},
    {"x64", NULL, "x86_64"},
    {"arm64", NULL, "aarch64"},
    {"armv7l", NULL, "armv7l"},
    {"armv7", NULL, "armv7l"},
    {"armhf", NULL, "armv7l"},
    {"i686", NULL, "i686"},
    {"i386", NULL, "i686"},
    {"x86", NULL, "i686"},
    {"linux64", "linux", "x86_64"},
    {"linux", "linux", NULL},
    {"darwin", "darwin", NULL},
    {"macos", "darwin", NULL},
    {"osx", "darwin", NULL},
    {"windows", "windows", NULL},
    {"win64", "windows", "x86_64"},
    {"win32", "windows", NULL},
    {"win", "windows", NULL},
    {"freebsd", "freebsd", NULL},
    {"openbsd", "openbsd", NULL},
    {"netbsd", "netbsd", NULL},
    {"android", "android", NULL},
};

static bool is_separator(char c)
{
    return c == '-' || c == '_' || c == '.' || c == '\0';
}

/* The alias that is a word by itself at `at`. */
static const struct alias *find_alias(const char *at)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ALIASES); i++) {
        size_t len = strlen(ALIASES[i].word);
        if (strncasecmp(at, ALIASES[i].word, len) == 0 && is_separator(at[len]))
            return &ALIASES[i];
    }
    return NULL;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
    }
}

void platform_of_machine(struct platform *out)
{
    struct utsname name;
    *out = (struct platform){.system = ""};
    if (uname(&name) < 0)
        return;
    (void)snprintf(out->system, sizeof out->system, "%s", name.sysname);
    (void)snprintf(out->machine, sizeof out->machine, "%s", name.machine);
    lower(out->system);
    lower(out->machine);
}

bool asset_name_is_good(const char *name)
{
    size_t len = strnlen(name, ASSET_NAME_MAX + 1);
    if (len == 0 || len > ASSET_NAME_MAX || name[0] == '.' || name[0] == '-' ||
        strchr(name, '/') != NULL || strchr(name, '\\') != NULL ||
        !utf8_is_valid((const uint8_t *)name, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)name[i] < ' ' || name[i] == 0x7f)
            return false;
    }
    return true;
}

static const char *archive_suffix(const char *name, int *out_rank)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LENGTH(ARCHIVES); i++) {
        size_t suffix_len = strlen(ARCHIVES[i].suffix);
        if (len > suffix_len && strcasecmp(name + len - suffix_len, ARCHIVES[i].suffix) == 0) {
            *out_rank = ARCHIVES[i].rank;
            return name + len - suffix_len;
        }
    }
    *out_rank = 0;
    return name + len;
}

int asset_name_archive(const char *name)
{
    int rank = 0;
    (void)archive_suffix(name, &rank);
    return rank;
}

int asset_name_fits(const char *name, const struct platform *platform)
{
    int found = 1;
    for (const char *at = name; *at != '\0';) {
        const struct alias *alias = at == name || is_separator(at[-1]) ? find_alias(at) : NULL;
        if (alias == NULL) {
            at++;
            continue;
        }
        if (alias->system != NULL && strcmp(alias->system, platform->system) != 0)
            return 0;
        if (alias->machine != NULL && strcmp(alias->machine, platform->machine) != 0)
            return 0;
        found += (alias->system != NULL) + (alias->machine != NULL);
        at += strlen(alias->word);
    }
    return found > 3 ? 3 : found;
}

/* Where the words of a platform begin; else `end`. */
static const char *find_platform(const char *at, const char *end)
{
    for (const char *dash = strchr(at, '-'); dash != NULL && dash < end;
         dash = strchr(dash + 1, '-')) {
        if (find_alias(dash + 1) != NULL)
            return dash;
    }
    return end;
}

bool asset_name_version(const char *name, struct version *out)
{
    int rank = 0;
    const char *end = archive_suffix(name, &rank);
    for (const char *at = name; at != NULL && at < end; at = strpbrk(at, "-_")) {
        char text[VERSION_TEXT_MAX + 1];
        at += *at == '-' || *at == '_';
        const struct alias *alias = find_alias(at);
        if (alias != NULL) {
            at += strlen(alias->word);
            continue;
        }
        size_t len = (size_t)(find_platform(at, end) - at);
        if (len == 0 || len > VERSION_TEXT_MAX)
            continue;
        memcpy(text, at, len);
        text[len] = '\0';
        if (version_parse(text, out))
            return true;
    }
    return false;
}
