#include "common/schema/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

void nearest_init(struct nearest *nearest, const char *word, size_t word_len)
{
    *nearest = (struct nearest){.word = word, .word_len = word_len, .best_distance = SIZE_MAX};
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the matrix are enough, since a swap looks two back. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = lower(a[i - 1]);
            int y = lower(b[j - 1]);
            row[j] = min(min(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y)
                row[j] = min(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

/* A word that somebody broke off is nearest to what it begins. */
static bool is_beginning(const struct nearest *nearest, const char *candidate)
{
    return nearest->word_len > 1 && strncasecmp(nearest->word, candidate, nearest->word_len) == 0;
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t len = strlen(candidate);
    if (len > NEAREST_NAME_MAX || nearest->word_len > NEAREST_NAME_MAX)
        return;
    size_t found = is_beginning(nearest, candidate)
                       ? 0
                       : distance(nearest->word, nearest->word_len, candidate, len);
    if (found < nearest->best_distance) {
        nearest->best = candidate;
        nearest->best_distance = found;
    }
}

const char *nearest_result(const struct nearest *nearest)
{
    size_t allowed = nearest->word_len / 3 > 1 ? nearest->word_len / 3 : 1;
    return nearest->best_distance <= allowed ? nearest->best : NULL;
}
