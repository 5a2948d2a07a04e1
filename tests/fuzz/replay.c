/* Feeds a fuzz target with files, and with the files of directories. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

enum { INPUT_MAX = 1024 * 1024, PATH_BYTES_MAX = 4096 };

/* In memory of exactly its size, so that a sanitizer sees the first byte behind it. */
static int replay_file(const char *path)
{
    struct buf input;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    buf_init(&input, INPUT_MAX);
    char *at = buf_extend(&input, INPUT_MAX);
    size_t len = fread(at, 1, INPUT_MAX, file);
    uint8_t *exact = mem_copy(at, len);
    LLVMFuzzerTestOneInput(exact, len);
    mem_free(exact);
    buf_close(&input);
    fclose(file);
    return 0;
}

static int replay(const char *path)
{
    struct dirent *entry;
    int failed = 0;
    DIR *directory = opendir(path);
    if (directory == NULL && errno == ENOTDIR) return replay_file(path);
    if (directory == NULL) {
        perror(path);
        return 1;
    }
    unsigned count = 0;
    while ((entry = readdir(directory)) != NULL) {
        char file[PATH_BYTES_MAX];
        if (entry->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        failed |= replay_file(file);
        count++;
    }
    closedir(directory);
    if (count > 0) return failed;
    fprintf(stderr, "%s: nothing to replay\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed;
}
