/* What a unit test includes; cmocka wants its own order. */
#ifndef FLOCKS_TESTS_UNIT_H
#define FLOCKS_TESTS_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
/* clang-format on */

#endif
