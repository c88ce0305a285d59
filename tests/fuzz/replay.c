/* Runs a fuzz target's entry point over saved inputs, so that every build replays the corpus. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    static uint8_t data[8U << 20];
    size_t size = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    /* An exact heap copy, so that ASan sees a read one byte past the input. */
    uint8_t *copy = malloc(size + (size == 0));
    if (copy == NULL)
        return -1;
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *directory = opendir(argv[1]);
    if (directory == NULL) {
        perror(argv[1]);
        return 1;
    }
    int n = 0;
    int result = 0;
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this program has one thread. */
    while ((entry = readdir(directory)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name) >= (int)sizeof path)
            continue;
        result |= replay_file(path);
        n++;
    }
    (void)closedir(directory);
    printf("%d inputs replayed from %s\n", n, argv[1]);
    return n == 0 || result != 0;
}
