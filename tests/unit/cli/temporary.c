#include "temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(int is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    abort();
}

void temporary_open(struct temporary *directory)
{
    (void)snprintf(directory->path, sizeof(directory->path), "/tmp/flocks-cli-XXXXXX");
    require(mkdtemp(directory->path) != NULL, "mkdtemp");
}

/* Tests make files only, and directories of files. */
static void empty(const char *path)
{
    DIR *directory = opendir(path);
    require(directory != NULL, path);
    if (!directory)
        return;
    const struct dirent *entry = NULL;
    while ((entry = readdir(directory))) { // NOLINT(concurrency-mt-unsafe)
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char name[PATH_MAX];
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR) {
            empty(name);
            require(rmdir(name) == 0, name);
        } else {
            require(unlink(name) == 0, name);
        }
    }
    closedir(directory);
}

void temporary_close(struct temporary *directory)
{
    empty(directory->path);
    require(rmdir(directory->path) == 0, directory->path);
}

const char *temporary_path(const struct temporary *directory, const char *name)
{
    static char paths[4][PATH_MAX];
    static size_t next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_MAX, "%s/%s", directory->path, name);
    return path;
}

void temporary_append(const struct temporary *directory, const char *name, const char *text)
{
    int fd = open(temporary_path(directory, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    require(fd >= 0, name);
    require(write(fd, text, strlen(text)) == (ssize_t)strlen(text), name);
    close(fd);
}

void temporary_rename(const struct temporary *directory, const char *from, const char *to)
{
    require(rename(temporary_path(directory, from), temporary_path(directory, to)) == 0, from);
}

const char *temporary_printed(void (*print)(FILE *stream, const void *data), const void *data)
{
    static char *text;
    size_t len = 0;
    free(text);
    text = NULL;
    FILE *stream = open_memstream(&text, &len);
    require(stream != NULL, "open_memstream");
    print(stream, data);
    require(fclose(stream) == 0, "fclose");
    return text;
}
