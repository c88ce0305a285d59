/* cmocka, with what it needs before it, and a directory of each test's own. */
#ifndef FLOCKS_TESTS_RELEASE_UNIT_H
#define FLOCKS_TESTS_RELEASE_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>

/* Fixtures of one test. */
int place_open(void **state);
int place_close(void **state);

/* The directory; "<directory>/<name>", static storage of 16, used in turn. */
const char *place_root(void);
const char *place_path(const char *name);

void place_make_directory(const char *name);
void place_write(const char *name, const char *text);
void place_link(const char *name, const char *target);
/* Of a file; "" when there is none. Static storage. */
const char *place_read(const char *name);
bool place_has(const char *name);
/* Names in a directory, "." and ".." apart. */
size_t place_count(const char *name);

#endif
