/* Templates with anything in them: either a header is written, or there is one error that says where, and
 * nothing is written. The compiler is a program that ends with its first error; here its end leads back.
 */
#include <setjmp.h>

#include "base/slice.h"
#include "folder.h"

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

static char from[FOLDER_PATH_MAX], to[FOLDER_PATH_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char program[] = "heexc";
    char *arguments[] = {program, from, to};

    folder_path(from, "page.heex");
    folder_path(to, "page.heex.h");
    folder_write(from, slice_make(data, size));
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
