/* What `flocks update` shows a person: steps, a bar, what there is to be had, how it ended. Pure
 * but for the stream; texts of others are made safe and cut. */
#ifndef FLOCKS_CLI_UPDATE_VIEW_H
#define FLOCKS_CLI_UPDATE_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "flocks/v1/upgrade.names.h"

enum {
    /* Lines of a publisher's notes; the rest is counted. */
    UPDATE_NOTES_LINES = 20,
    /* Of one such line, in columns; the rest is left out. */
    UPDATE_NOTES_COLUMNS = 96,
    UPDATE_BAR_WIDTH = 24
};

/* "[3/8] downloading flocks-1.2.0.tar.xz", without a newline; "Downloading" where it has no number
 * and no message. */
void update_view_step(const flocks_upgrade_progress *progress, bool color, FILE *stream);

struct update_bytes {
    uint64_t done;
    uint64_t total; /* 0: not known */
    int64_t per_s;  /* -1: not known */
    int64_t left_s; /* -1: not known */
};
/* "45%, 4.5 MiB of 10.0 MiB, 1.2 MiB/s, 5s left", as far as it is known. */
void update_view_bytes(const struct update_bytes *bytes, FILE *stream);
/* "[==========>              ]"; nothing without a total. */
void update_view_bar(const struct update_bytes *bytes, FILE *stream);

/* What there is: `flocks update --check`, and what is shown before somebody is asked. */
void update_view_check(const flocks_update_check *check, bool color, FILE *stream);
/* The sources that did not answer. */
void update_view_failures(const flocks_update_check *check, FILE *stream);
/* What comes with `check->version` besides: publisher's notes and page. */
void update_view_notes(const flocks_update_check *check, bool color, FILE *stream);
/* A table of releases. False: it did not fit into memory. */
bool update_view_list(const flocks_update_check *check, bool color, FILE *stream);

/* "1.0.0 -> 1.2.0", with what is known of it. */
void update_view_versions(const char *from, const char *to, FILE *stream);
/* How a successful one ended, one line, without a newline. */
void update_view_end(const flocks_upgrade_progress *progress, int64_t took_s, FILE *stream);

/* Of one that goes on: `flocks status`, `flocks why`. One line, with its newline. */
void update_view_present(
    const flocks_upgrade_progress *progress, int64_t now_s, bool color, FILE *stream);

#endif
