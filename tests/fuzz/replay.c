/* Feeds a fuzz target with files, and with the files of directories; and then with changed ones:
 *
 *   fuzz_NAME corpus/NAME --mutants N
 *
 * The same N mutants at each run, for the same corpus and program: a short run in every preset, by any compiler.
 * One that fails is kept, in a file that is named. libFuzzer, which looks at what each input reaches, gets
 * much further (scripts/fuzz).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

enum {
    INPUT_MAX = 1024 * 1024,
    MUTANT_MAX = 64 * 1024,
    PATH_BYTES_MAX = 4096,
    INPUTS_MAX = 4096,
    CHANGES_MAX = 4,
    PIECE_MAX = 64
};

static struct slice inputs[INPUTS_MAX]; /* all that were replayed, each in memory of its own */
static size_t inputs_count;

static struct { /* what runs now, for who must tell of it */
    const char *program;
    const uint8_t *at;
    size_t len;
    unsigned number; /* of a mutant; 0 = a file */
} running;

/* In memory of exactly its size, so that a sanitizer sees the first byte behind it. */
static void run(struct slice input)
{
    uint8_t *exact = mem_copy(input.at, input.len);
    running.at = exact;
    running.len = input.len;
    LLVMFuzzerTestOneInput(exact, input.len);
    mem_free(exact);
    running.at = NULL;
}

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
    if (inputs_count < INPUTS_MAX) inputs[inputs_count++] = slice_make(mem_copy(at, len), len);
    run(slice_make(at, len));
    buf_close(&input);
    fclose(file);
    return 0;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay(const char *path)
{
    struct dirent **entries;
    int failed = 0;
    int count = scandir(path, &entries, is_shown, alphasort);
    if (count < 0 && errno == ENOTDIR) return replay_file(path);
    if (count < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char file[PATH_BYTES_MAX];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        failed |= replay_file(file);
        free(entries[i]);
    }
    free(entries);
    if (count > 0) return failed;
    fprintf(stderr, "%s: nothing to replay\n", path);
    return 1;
}

/* ---- mutants ---- */

static uint32_t draw(uint32_t below)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % below);
}

static uint8_t odd_byte(void)
{
    static const uint8_t bytes[] = {0,   1,   2,   '\t', '\n', '\r', ' ',  '"',  '%',  '&',
                                    '/', '<', '=', '[',  '\\', '{',  0x7f, 0x80, 0xc0, 0xff};
    return draw(2) == 0 ? (uint8_t)draw(256) : bytes[draw(sizeof bytes)];
}

static void replace(struct buf *mutant, size_t place, size_t cut, struct slice with)
{
    struct buf before;
    buf_init(&before, 2 * MUTANT_MAX);
    buf_add(&before, buf_slice(mutant));
    struct slice old = buf_slice(&before);
    buf_reset(mutant);
    buf_add(mutant, slice_first(old, place));
    buf_add(mutant, with);
    buf_add(mutant, slice_skip(old, place + cut));
    buf_close(&before);
}

static void change(struct buf *mutant)
{
    struct slice other = inputs[draw((uint32_t)inputs_count)];
    size_t place = draw((uint32_t)mutant->len + 1);
    struct slice piece = slice_skip(other, draw((uint32_t)other.len + 1));
    size_t some = draw(PIECE_MAX) + 1;
    char byte = (char)odd_byte();
    switch (mutant->len == 0 ? 5 : draw(6)) {
    case 0: mutant->at[place % mutant->len] ^= (char)(1 << draw(8)); break;
    case 1: mutant->at[place % mutant->len] = byte; break;
    case 2: replace(mutant, place, some, slice_make(NULL, 0)); break;
    case 3:
        replace(mutant, place, 0, slice_first(slice_skip(buf_slice(mutant), place), some));
        break;
    case 4: replace(mutant, place, some, slice_first(piece, some)); break;
    default:
        replace(mutant, place, 0, draw(2) == 0 ? slice_make(&byte, 1) : slice_first(piece, some));
    }
}

static void run_mutants(unsigned count)
{
    struct buf mutant;
    buf_init(&mutant, 2 * MUTANT_MAX);
    for (running.number = 1; running.number <= count; running.number++) {
        buf_reset(&mutant);
        buf_add(&mutant, slice_first(inputs[draw((uint32_t)inputs_count)], MUTANT_MAX));
        for (uint32_t changes = draw(CHANGES_MAX) + 1; changes > 0; changes--)
            change(&mutant);
        if (!mutant.overflowed) run(slice_first(buf_slice(&mutant), MUTANT_MAX));
        mutant.overflowed = false;
    }
    running.number = 0;
    buf_close(&mutant);
}

/* ---- an end in the middle ---- */

static void tell(void)
{
    char file[PATH_BYTES_MAX];
    if (running.at == NULL || running.number == 0) return;
    snprintf(file, sizeof file, "%s-mutant-%u", running.program, running.number);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_kept = fd >= 0 && write(fd, running.at, running.len) == (ssize_t)running.len;
    fprintf(stderr, "mutant %u%s%s\n", running.number, is_kept ? " is in " : "",
            is_kept ? file : "");
}

static void on_signal(int number)
{
    tell();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* A sanitizer's, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

int main(int argc, char **argv)
{
    int failed = argc < 2;
    unsigned mutants = 0;
    running.program = argv[0];
    if (__sanitizer_set_death_callback != NULL) __sanitizer_set_death_callback(tell);
    (void)signal(SIGABRT, on_signal);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutants") == 0 && i + 1 < argc)
            mutants = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            failed |= replay(argv[i]);
    }
    if (mutants > 0 && inputs_count > 0) run_mutants(mutants);
    for (size_t i = 0; i < inputs_count; i++)
        mem_free((void *)(uintptr_t)inputs[i].at);
    return failed;
}
