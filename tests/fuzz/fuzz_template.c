/* Templates with anything in them: either a header is written, or there is one error that says where, and
 * nothing is written. The compiler is a program that ends with its first error; here its end leads back.
 */
#include <setjmp.h>
#include <unistd.h>

#include "base/slice.h"
#include "fuzz.h"

static jmp_buf back;
static FILE *said;
static char fuzz_words[4096];

__attribute__((noreturn)) static void leave(int status)
{
    longjmp(back, status == 0 ? -1 : status);
}

int heexc(int argc, char **argv);

/* All of its headers are read before its words get another meaning. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#undef stderr
#define stderr     said
#define exit(code) leave(code)
#define main       heexc
#include "tools/heexc.c"
#undef main
#undef exit
#undef stderr
#define stderr stdout /* where FUZZ_HOLDS speaks */

static char folder[] = "/tmp/livetea-fuzz-XXXXXX";
static char from[sizeof folder + 16], to[sizeof folder + 16];

static void remove_folder(void)
{
    unlink(from);
    unlink(to);
    rmdir(folder);
}

static void make_folder(void)
{
    FUZZ_HOLDS(mkdtemp(folder) != NULL);
    snprintf(from, sizeof from, "%s/page.heex", folder);
    snprintf(to, sizeof to, "%s/page.heex.h", folder);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char program[] = "heexc";
    char *arguments[] = {program, from, to};

    if (from[0] == '\0') make_folder();
    FILE *file = fopen(from, "wb");
    FUZZ_HOLDS(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    unlink(to);
    memset(&c, 0, sizeof c);
    memset(fuzz_words, 0, sizeof fuzz_words);
    said = fmemopen(fuzz_words, sizeof fuzz_words, "w");
    FUZZ_HOLDS(said != NULL);
    int status = setjmp(back);
    if (status == 0) status = heexc(3, arguments);
    fclose(said);
    bool is_written = access(to, F_OK) == 0;
    FUZZ_HOLDS(is_written == (status == 0));
    FUZZ_HOLDS(status == 0 || strstr(fuzz_words, "error: ") != NULL ||
               strstr(fuzz_words, "heexc: ") != NULL);
    return 0;
}
