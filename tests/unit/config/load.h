/* Loads configurations of tests/fixtures/config, or from text, in a private directory. */
#ifndef TESTS_CONFIG_LOAD_H
#define TESTS_CONFIG_LOAD_H

#include <limits.h>

#include "common/config/config.h"

struct loader {
    struct arena arena;
    struct mistakes mistakes;
    struct error error;
    struct config config;
    struct config_request request;
    char file[PATH_MAX];
    char directory[PATH_MAX]; /* private; "" until loader_write */
};

/* An environment with a PATH and nothing else. */
void loader_init(struct loader *loader);
/* Removes the private directory. */
void loader_deinit(struct loader *loader);

/* The request's file becomes tests/fixtures/config/<name>. */
void loader_use_fixture(struct loader *loader, const char *name);
/* ... becomes a new file with this text in a private directory. */
void loader_use_text(struct loader *loader, const char *text);
/* config_load of the request. */
int loader_load(struct loader *loader);
/* Loads and fails the test with all that was wrong. */
void loader_load_good(struct loader *loader);
/* The mistakes as printed, the fixture's directory cut out; malloc. */
char *loader_print_mistakes(struct loader *loader);

#endif
