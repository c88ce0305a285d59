/* Shows a page to the person at the desktop, if there is one. */
#ifndef FLOCKS_CLI_BROWSER_H
#define FLOCKS_CLI_BROWSER_H

#include <stdbool.h>

/* True when a display and a terminal are there: somebody sits in front of it. */
bool browser_is_possible(void);
/* Runs $BROWSER, else xdg-open, detached: its end is not waited for and it never holds the
 * terminal. False when neither could be run; `url` is then for the person to open. */
bool browser_open(const char *url);

#endif
