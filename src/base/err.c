#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

void errmsg_set(struct errmsg *errmsg, const char *format, ...)
{
    if (errmsg == NULL) return;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(errmsg->text, sizeof errmsg->text, format, args);
    va_end(args);
    if (len < 0) errmsg->text[0] = '\0';
}

const char *err_words(int code)
{
    switch (code) {
#define ERR_CASE(name, value, words) \
    case value: return words;
        ERR_TABLE(ERR_CASE)
#undef ERR_CASE
    case 0: return "no error";
    default: return "unknown error";
    }
}
