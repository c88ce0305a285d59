/* What every test of this room starts with. */
#ifndef TESTS_UNIT_CRPC_UNIT_H
#define TESTS_UNIT_CRPC_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these four before it. */
#include <cmocka.h>

#endif
