/* A disk that loses power. Calls that change a directory tree go to the real one and into a model
 * of what of it is on the disk: fsync of a file keeps its bytes, fsync of a directory the changes
 * of its names, syncfs all. At a chosen call the machine goes off: that call and all after it
 * change nothing and fail with EIO. power_restore then makes the tree what the disk has kept: all
 * that was synced, and of the rest nothing, everything, or any part, each change of names as a
 * whole.
 *
 * By -Wl,--wrap of the calls that power.c defines; a program that uses it links with all of them.
 * Failures of the model itself end the program. */
#ifndef FLOCKS_TESTS_RELEASE_POWER_H
#define FLOCKS_TESTS_RELEASE_POWER_H

enum {
    /* Of what is not synced: nothing is kept; everything is (a process that was killed); other
       seeds: any part. */
    POWER_KEEPS_NOTHING = 0,
    POWER_KEEPS_EVERYTHING = 1
};

/* The tree below `root`, an absolute path, is on the disk as it is now. The `off_at`-th call from
 * now finds the machine off; 0: none does. */
void power_begin(const char *root, unsigned off_at);
/* As power_begin, and the `fail_at`-th call alone fails, with `error_number`. */
void power_begin_failing(const char *root, unsigned fail_at, int error_number);
/* Calls so far. */
unsigned power_calls(void);
/* No more calls are watched; the tree stays as it is. */
void power_end(void);
/* The same, and the tree is what the disk has kept. */
void power_restore(unsigned seed);

#endif
