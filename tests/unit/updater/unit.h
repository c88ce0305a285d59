/* cmocka, with what it needs before it. */
#ifndef FLOCKS_TESTS_UPDATER_UNIT_H
#define FLOCKS_TESTS_UPDATER_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
