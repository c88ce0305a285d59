#include "site.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_SIZE = 4096 };

static struct site_keys keys;

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

/* A line of `fd`, without its end. */
static void read_line(int fd, char *out, size_t size)
{
    size_t n = 0;
    while (n + 1 < size && read(fd, out + n, 1) == 1 && out[n] != '\n')
        n++;
    out[n] = '\0';
}

int site_open(void **state)
{
    int fd = -1;
    int status = 0;
    (void)place_open(state);
    place_run((const char *const[]){"/usr/bin/python3", ARCHIVES, NULL});
    pid_t pid = place_start((const char *const[]){"/usr/bin/python3", PUBLISH, NULL}, &fd);
    read_line(fd, keys.good, sizeof keys.good);
    read_line(fd, keys.other, sizeof keys.other);
    demand(waitpid(pid, &status, 0) == pid && status == 0, PUBLISH);
    (void)close(fd);
    return 0;
}

const struct site_keys *site_keys(void)
{
    return &keys;
}

const char *site_make_root(const char *update, const char *directory)
{
    static char name[32];
    static unsigned n;
    char text[TEXT_SIZE];
    char path[64];
    (void)snprintf(name, sizeof name, "root%u", n++);
    demand(mkdir(place_path(name), 0700) == 0, name);
    (void)snprintf(path, sizeof path, "%s/logs", name);
    demand(mkdir(place_path(path), 0700) == 0, path);
    (void)snprintf(text, sizeof text,
        "services:\n  backend:\n    command: [./run.sh]\n    directory: %s\nupdate: %s\n",
        directory, update);
    (void)snprintf(path, sizeof path, "%s/flocks.yaml", name);
    place_write_text(path, text);
    return name;
}

void site_load(const char *root, struct update_settings *out)
{
    struct error error = ERROR_INIT;
    const struct update_settings_request request = {.root = place_path(root)};
    int result = update_settings_load(&request, out, &error);
    if (result < 0)
        (void)fprintf(stderr, "%s\n", error.text);
    demand(result == 0, "settings");
}

void site_unload(struct update_settings *settings)
{
    update_settings_deinit(settings);
}

void site_add_release(const char *root, const char *version, bool is_current)
{
    char path[128];
    char target[128];
    (void)snprintf(path, sizeof path, "%s/releases", root);
    (void)mkdir(place_path(path), 0755);
    (void)snprintf(path, sizeof path, "%s/releases/%s", root, version);
    demand(mkdir(place_path(path), 0755) == 0, path);
    (void)snprintf(path, sizeof path, "%s/current", root);
    (void)snprintf(target, sizeof target, "releases/%s", version);
    demand(!is_current || symlink(target, place_path(path)) == 0, path);
}

const char *site_names(const char *name)
{
    static char text[TEXT_SIZE];
    struct dirent **found = NULL;
    size_t len = 0;
    text[0] = '\0';
    int n = scandir(place_path(name), &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (found[i]->d_name[0] != '.')
            len += (size_t)snprintf(text + len, sizeof text - len, "%s ", found[i]->d_name);
        free(found[i]);
    }
    free(found);
    return text;
}
