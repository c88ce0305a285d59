#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static const char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/nowhere", NULL};

void loader_init(struct loader *loader)
{
    memset(loader, 0, sizeof(*loader));
    arena_init(&loader->arena, CONFIG_ARENA_BYTES);
    mistakes_init(&loader->mistakes);
    loader->request.root = "/the/root";
    loader->request.environment = environment;
    loader->request.file = loader->file;
    loader->request.file_is_named = true;
}

void loader_deinit(struct loader *loader)
{
    if (loader->directory[0] != '\0') {
        (void)unlink(loader->file);
        (void)rmdir(loader->directory);
    }
    mistakes_deinit(&loader->mistakes);
    arena_deinit(&loader->arena);
}

void loader_use_fixture(struct loader *loader, const char *name)
{
    (void)snprintf(loader->file, sizeof(loader->file), "%s/%s", FIXTURES, name);
}

void loader_use_text(struct loader *loader, const char *text)
{
    (void)snprintf(loader->directory, sizeof(loader->directory), "/tmp/flocks-config-XXXXXX");
    assert_non_null(mkdtemp(loader->directory));
    (void)snprintf(loader->file, sizeof(loader->file), "%.100s/flocks.yaml", loader->directory);
    FILE *file = fopen(loader->file, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

int loader_load(struct loader *loader)
{
    loader->error = ERROR_INIT;
    return config_load(
        &loader->request, &loader->arena, &loader->config, &loader->mistakes, &loader->error);
}

void loader_load_good(struct loader *loader)
{
    int result = loader_load(loader);
    if (result == CONFIG_MISTAKEN)
        mistakes_print(&loader->mistakes, stderr);
    if (result < 0)
        fail_msg("%s", loader->error.text);
    assert_int_equal(result, CONFIG_OK);
}

/* Every FIXTURES"/" goes. */
static void cut_directory(char *text)
{
    static const char directory[] = FIXTURES "/";
    for (char *found; (found = strstr(text, directory)) != NULL;)
        memmove(found, found + sizeof(directory) - 1, strlen(found + sizeof(directory) - 1) + 1);
}

char *loader_print_mistakes(struct loader *loader)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_mistakes_print(out, &loader->mistakes);
    assert_int_equal(fclose(out), 0);
    cut_directory(text);
    return text;
}
